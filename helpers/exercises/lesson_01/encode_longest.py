"""Exercise 1.4, longest match, with bytes for the rest: what its check compares with, tries, and recognises."""
import random

from helpers.exercises.exercise import Exercise, Mistake


def encode_longest(text: str, vocabulary: dict[str, int], byte_ids: list[int]) -> list[int]:
    ids, i = [], 0
    while i < len(text):
        for end in range(len(text), i, -1):
            if text[i:end] in vocabulary:
                ids.append(vocabulary[text[i:end]])
                i = end
                break
        else:
            ids += [byte_ids[value] for value in text[i].encode("utf-8")]
            i += 1
    return ids


def encode_with(fallback, shortest: bool = False, first: int = 0, last: int = 0):
    """encode_longest with another way to write what the vocabulary lacks, or the shortest match.

    first, last: how many candidates are forgotten, of the longest and of the shortest.
    """
    def answer(text, vocabulary, byte_ids):
        ids, i = [], 0
        while i < len(text):
            ends = range(i + 1, len(text) + 1) if shortest else range(len(text) - first, i + last, -1)
            end = next((end for end in ends if text[i:end] in vocabulary), None)
            ids += [vocabulary[text[i:end]]] if end else fallback(text[i], byte_ids)
            i = end or i + 1
        return ids
    return answer


def in_bytes(character: str, byte_ids: list[int]) -> list[int]:
    return [byte_ids[value] for value in character.encode("utf-8")]


def encode_by_word_or_bytes(text, vocabulary, byte_ids):
    if text in vocabulary:
        return [vocabulary[text]]
    return in_bytes(text, byte_ids)


def growing_from(length: int):
    """encode_longest where a piece of some length grows while the longer one is a token too."""
    def answer(text, vocabulary, byte_ids):
        ids, i = [], 0
        while i < len(text):
            end = i + length
            while end < len(text) and text[i:end + 1] in vocabulary:
                end += 1
            found = text[i:end] in vocabulary
            ids += [vocabulary[text[i:end]]] if found else in_bytes(text[i], byte_ids)
            i = end if found else i + 1
        return ids
    return answer


def encode_longest_anywhere(text, vocabulary, byte_ids):
    """Takes the longest token of all that the text holds, then what is left and right of it."""
    found = max((token for token in vocabulary if token in text), key=len, default="")
    if not found:
        return in_bytes(text, byte_ids)
    left, right = text.split(found, 1)
    return [*encode_longest_anywhere(left, vocabulary, byte_ids), vocabulary[found],
            *encode_longest_anywhere(right, vocabulary, byte_ids)]


def encode_nested(text, vocabulary, byte_ids):
    ids, i = [], 0
    while i < len(text):
        end = next((end for end in range(len(text), i, -1) if text[i:end] in vocabulary), None)
        ids.append(vocabulary[text[i:end]] if end else in_bytes(text[i], byte_ids))
        i = end or i + 1
    return ids


def encode_one_by_one(text, vocabulary, byte_ids):
    """Goes one character on after a token, as if it were one character long."""
    ids = []
    for i in range(len(text)):
        found = next((text[i:end] for end in range(len(text), i, -1) if text[i:end] in vocabulary), None)
        ids += [vocabulary[found]] if found else in_bytes(text[i], byte_ids)
    return ids


def draw_vocabularies(draw: random.Random) -> list[tuple]:
    byte_ids = list(range(100, 356))
    small = {"a": 0, "b": 1, "ab": 2, "abc": 3}
    cases = [("ab", small, byte_ids), ("", small, byte_ids), ("abcab", small, byte_ids), ("aé", small, byte_ids),
             ("c", small, byte_ids), ("abc", {"a": 0, "abc": 1}, byte_ids), ("€a", small, byte_ids),
             ("abcd", {"ab": 0, "bcd": 1}, byte_ids), ("a🦙b", small, byte_ids), ("ca", small, byte_ids),
             ("é", small | {"é": 4}, byte_ids), ("bébé", small | {"bé": 4}, byte_ids)]
    for size in range(4, 16):                                 # the first token has the id 0
        tokens = {"".join(draw.choices("abcdé", k=draw.randint(1, 3))) for _ in range(size)}
        vocabulary = {token: i for i, token in enumerate(sorted(tokens))}
        cases.append(("".join(draw.choices("abcdéß€🦙", k=size + 3)), vocabulary, byte_ids[::-1]))
    return cases


EXERCISE = Exercise(
    id="1.4", name="encode_longest", title="Longest match, with bytes for the rest", minutes=20,
    oracle=encode_longest, cases=draw_vocabularies,
    mistakes=(
        Mistake(encode_with(in_bytes, shortest=True),
                "You take the first match, which is the shortest: 'abc' falls into 'a', 'b', .... Begin with the "
                "longest candidate and shorten it."),
        Mistake(encode_with(lambda character, byte_ids: []),
                "A character that the vocabulary lacks disappears. Write its bytes instead, so that the text can be "
                "put together again."),
        Mistake(encode_with(lambda character, byte_ids: [byte_ids[ord(character)]]),
                "ord gives a character's number in Unicode, which can be far above 255. Its bytes are what "
                ".encode(\"utf-8\") gives: one to four of them."),
        Mistake(encode_with(lambda character, byte_ids: list(character.encode("utf-8"))),
                "You append the bytes' values. Byte 195 has the id byte_ids[195], which may be any number."),
        Mistake(encode_with(lambda character, byte_ids: in_bytes(character, byte_ids)[:1]),
                "Only the first byte of a character is written. é has two, € three, 🦙 four."),
        Mistake(lambda text, vocabulary, byte_ids: encode_longest(
            text, {token: id for token, id in vocabulary.items() if id}, byte_ids),
                "The id 0 counts as false, so the token that has it is never found. Ask whether piece in vocabulary, "
                "or whether .get(piece) is not None."),
        *(Mistake(growing_from(length),
                  "You let a piece grow while it is a token, and stop too early: a longer token may exist although the "
                  "next shorter does not, as abc without ab. Begin with the longest candidate and shorten it.")
          for length in (0, 1)),
        Mistake(encode_longest_anywhere,
                "You take the longest token of the whole text first. Walk from left to right: of the tokens that begin "
                "at place i, take the longest, whatever comes later."),
        Mistake(encode_with(in_bytes, first=1),
                "The text's last character is never part of a piece: text[i:end] stops before end, so the longest "
                "candidate has end = len(text)."),
        Mistake(encode_with(in_bytes, last=1),
                "Single characters can be tokens too, and you do not look them up: range(len(text), i, -1) goes down "
                "to i + 1."),
        Mistake(encode_nested,
                "With append, the list of a character's ids goes into yours as one item: a list in a list. += or "
                "extend adds its items."),
        Mistake(encode_one_by_one,
                "After a token you go one character on, so its other characters are written again. Go on behind its "
                "end."),
        Mistake(encode_by_word_or_bytes,
                "You look up the whole text, and write all of it in bytes when it is not there. Match piece by piece: "
                "only single characters that begin no token become bytes."),
    ),
    hints=("Stand at place i. Which pieces of text can begin there, and in which order should you try them?",
           "Try text[i:end] for end from len(text) down to i + 1; the first that is in the vocabulary wins. If none "
           "is, append byte_ids[value] for each value in text[i].encode(\"utf-8\")."),
)
