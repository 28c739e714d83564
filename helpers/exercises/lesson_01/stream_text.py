"""Exercise 1.2, show text while it is being written: what its check compares with, tries, and recognises."""
import random

from helpers.exercises.exercise import Exercise, Mistake, Property

SAMPLES = ("cat", "naïve café", "Größe", "これはペンです", "🦙🦙", "100 €", "Привет, мир", "한국어", "ok")


def stream_text(pieces: list[bytes], most: int = 3) -> list[str]:
    """most: how many bytes may wait behind whole characters; UTF-8 needs three."""
    shown, waiting = [], b""
    for piece in pieces:
        waiting += piece
        for end in range(len(waiting), max(len(waiting) - most - 1, -1), -1):
            try:
                text = waiting[:end].decode("utf-8")
            except UnicodeDecodeError:
                continue
            waiting = waiting[end:]
            break
        else:
            text = ""
        shown.append(text)
    return shown


def stream_all_or_nothing(pieces: list[bytes]) -> list[str]:
    shown, waiting = [], b""
    for piece in pieces:
        waiting += piece
        try:
            shown.append(waiting.decode("utf-8"))
            waiting = b""
        except UnicodeDecodeError:
            shown.append("")
    return shown


def stream_without_emptying(pieces: list[bytes]) -> list[str]:
    return [b"".join(pieces[:i + 1]).decode("utf-8", errors="ignore") for i in range(len(pieces))]


def stream_replaced(pieces: list[bytes]) -> list[str]:
    """Takes every � at the end for half a character, also one that was written."""
    shown, waiting = [], b""
    for piece in pieces:
        waiting += piece
        shown.append(waiting.decode("utf-8", errors="replace").rstrip("�"))
        waiting = waiting[len(shown[-1].encode()):]
    return shown


def stream_strictly_to_the_end(pieces: list[bytes]) -> list[str]:
    """Decodes what still waits at the end, whole or not."""
    b"".join(pieces).decode("utf-8")
    return stream_text(pieces)


def cut_off(pieces: list[bytes]) -> str:
    """� where the last character is cut off."""
    data = b"".join(pieces)
    return "�" * (data.decode("utf-8", errors="ignore").encode() != data)


def stream_with_cut_tail(pieces: list[bytes]) -> list[str]:
    shown = stream_text(pieces)
    return [*shown[:-1], shown[-1] + cut_off(pieces)]


def draw_pieces(draw: random.Random) -> list[tuple]:
    euro, llama, unknown = "€".encode(), "🦙".encode(), "�".encode()
    cases = [([b"ok"],), ([b"a", b"b c"],), ([euro[:1], euro[1:2], euro[2:]],), ([b"5 " + euro[:2], euro[2:] + b"!"],),
             ([b"so " + euro[:1], euro[1:] + euro[:2]],), ([b"a" + llama[:3], llama[3:] + b"b"],),
             ([b"? " + unknown, b"!"],), ([unknown[:2], unknown[2:] + unknown, euro[:1]],)]
    for sample in SAMPLES:
        data = (sample + " " + draw.choice(SAMPLES)).encode()
        cuts = sorted(draw.sample(range(1, len(data)), draw.randint(1, len(data) - 1)))
        cases.append(([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])],))
        cases.append(([data[a:b] for a, b in zip([0, *cuts], cuts)],))            # the end is cut off
    return cases


EXERCISE = Exercise(
    id="1.2", name="stream_text", title="Show text while it is being written", minutes=20,
    oracle=stream_text, cases=draw_pieces,
    mistakes=(
        Mistake(lambda pieces: [piece.decode("utf-8", errors="replace") for piece in pieces],
                "You decode each token by itself, so a character whose bytes lie in two tokens becomes two or more �. "
                "Keep what is not yet a whole character, and put the next token's bytes behind it."),
        Mistake(lambda pieces: [piece.decode("utf-8") for piece in pieces],
                "You decode each token by itself, and half a character cannot be decoded. Keep what is not yet a whole "
                "character, and put the next token's bytes behind it."),
        Mistake(lambda pieces: [piece.decode("utf-8", errors="ignore") for piece in pieces],
                "errors=\"ignore\" throws away the bytes of a character that is cut in two: it never appears. Keep "
                "them for the next token."),
        Mistake(stream_without_emptying,
                "Each string repeats all that was shown before. Show only what is new, and empty what waits once it "
                "has been shown."),
        Mistake(stream_all_or_nothing,
                "When a token ends in half a character you hold back all of it. Only its last one to three bytes must "
                "wait; what stands before them is whole and can be shown."),
        Mistake(stream_replaced,
                "A � at the end need not be half a character: a text may hold � itself, as the bytes EF BF BD, and "
                "yours then waits. Look at the bytes: is what stands at the end whole?"),
        Mistake(lambda pieces: stream_text(pieces, most=2),
                "At most two bytes wait with you, and 🦙 has four: three of them can have come already. Try to decode "
                "without the last three, too."),
        Mistake(stream_with_cut_tail,
                "What still waits at the end is a part of a character, and you show it as �. The model was stopped "
                "there: leave it out."),
        Mistake(lambda pieces: stream_text(pieces) + [cut_off(pieces)] * bool(cut_off(pieces)),
                "What still waits at the end is a part of a character, and you show it as � in a string of its own. "
                "Leave it out: there is one string for each token, and no more."),
        Mistake(stream_strictly_to_the_end,
                "What still waits at the end may be a part of a character, which cannot be decoded. The model was "
                "stopped there: leave it out."),
        Mistake(lambda pieces: [*stream_text(pieces), ""],
                "You give one string more than there are tokens. What still waits at the end is left out."),
        Mistake(lambda pieces: [text for text in stream_all_or_nothing(pieces) if text],
                "Where the end of a token cannot be decoded yet, you give no string. Give one for every token, with "
                "what stands before the cut character in it, or empty: \"\"."),
        Mistake(lambda pieces: [text for text in stream_text(pieces) if text],
                "Give a string for every token. Where nothing can be shown yet, it is empty: \"\"."),
        Mistake(lambda pieces: [piece.decode("latin-1") for piece in pieces],
                "latin-1 makes one character of every byte: € becomes three. The bytes are UTF-8."),
    ),
    hints=("Put each token behind the bytes that are still waiting. How many bytes at the end can belong to a "
           "character that is not finished?",
           "Decode the longest beginning that is valid UTF-8 (try all, then all but the last byte, then all but two, "
           "then all but three) and keep the rest waiting."),
    properties=(Property("nothing is lost or shown twice", lambda answer: lost_text(answer)),),
)


def lost_text(answer) -> str | None:
    for sample in SAMPLES:
        data = sample.encode()
        shown = "".join(answer([data[i:i + 1] for i in range(len(data))]))
        if shown != sample:
            return f"{sample!r}, byte by byte, was shown as {shown!r}."
    return None
