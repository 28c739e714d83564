"""Pictures of lessons 05e to 05g: which tokens a loss counts, and answers side by side with what they fulfil.

    counted({"one example": (pieces, counts)}, "Only the answer counts")
    answers("Write a happy story about a fox and a kite.", {"base": (text, followed)}, "Two answers")
    story("Once there was a fox.", " It had a kite.", "One story")
"""
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.patches import Rectangle

from helpers.plots import (INK, LINE, QUIET, TINTS, Picture, in_style, new_figure, picture, quoted, tokens_height,
                           visible, wrap)
from helpers.tales import Followed

PARTS = ("who", "object", "ending", "place")
TEXTS, LETTERS = 3, 4_000                                   # of answers, and in each, that can still be read


@in_style
def counted(examples: Mapping[str, tuple[Sequence[str], Sequence[bool]]], title: str) -> Picture:
    """Examples as their tokens: those that the loss counts have a colour and a frame, those only read are pale.

    examples: name -> (the texts of its tokens, whether each is predicted and counts).
    Raises ValueError for no example, more than four, and pieces and marks that are not equally many.
    """
    if not 1 <= len(examples) <= 4:
        raise ValueError(f"examples holds {len(examples)}; give 1 to 4.")
    for name, (pieces, counts) in examples.items():
        if len(pieces) != len(counts) or not len(pieces):
            raise ValueError(f"{name!r} has {len(pieces)} tokens and {len(counts)} marks; give equally many, at least "
                             "one.")
    placed = [wrap(pieces, None) for pieces, _ in examples.values()]
    figure, *areas = new_figure(9, *(tokens_height(lines, None) + 0.1 for _, lines in placed))
    for area, (name, (pieces, counts)), (places, lines) in zip(areas, examples.items(), placed, strict=True):
        for piece, counts_here, (x, line, width) in zip(pieces, counts, places, strict=True):
            area.add_patch(Rectangle((x + 0.06, line * 1.5), width - 0.12, 1.2, linewidth=1.2 if counts_here else 0.4,
                                     facecolor=TINTS[1] if counts_here else "white", edgecolor=INK if counts_here
                                     else QUIET, linestyle="-" if counts_here else ":"))
            area.text(x + width / 2, line * 1.5 + 0.62, visible(piece), ha="center", va="center", family="monospace",
                      fontsize=10, color=INK if counts_here else QUIET)
        area.set(xlim=(0, LINE), ylim=(lines * 1.5, 0), title=f"{title}\n{name}" if area is areas[0] else name)
        area.axis("off")
    said = "; ".join(f"{name}: {sum(map(bool, counts))} of {len(pieces)} tokens count, beginning with "
                     f"{quoted([piece for piece, here in zip(pieces, counts) if here][:3]) or 'none'}"
                     for name, (pieces, counts) in examples.items())
    return picture(figure, f"{title}. Tokens in frames, those that the loss counts in colour. {said}.")


@in_style
def answers(request: str, written: Mapping[str, tuple[str, Followed]], title: str) -> Picture:
    """What several models wrote when asked for the same, and which parts of the request each fulfils.

    written: name of the model -> (its answer, what `tales.follows` says of it).
    Raises ValueError for no model, more than three, and an answer of more than 4,000 letters.
    """
    if not 1 <= len(written) <= TEXTS:
        raise ValueError(f"written holds {len(written)} answers; give 1 to {TEXTS}.")
    if long := [name for name, (text, _) in written.items() if len(text) > LETTERS]:
        raise ValueError(f"the answer of {long[0]!r} has more than {LETTERS:,} letters; cut it.")
    folded = {name: textwrap.wrap(" ".join(text.split()), 108) or ["(nothing)"] for name, (text, _) in written.items()}
    figure, *areas = new_figure(9, *(0.62 + 0.2 * len(lines) for lines in folded.values()))
    for number, (area, (name, (_, followed))) in enumerate(zip(areas, written.items(), strict=True)):
        for line, words in enumerate(folded[name]):
            area.text(0, line, words, va="top", fontsize=9)
        area.set(xlim=(0, 1), ylim=(len(folded[name]), -0.2))
        area.set_title((f"{title}\n“{request}”\n" if number == 0 else "") + f"{name}: {marks(followed)}", fontsize=10)
        area.axis("off")
    said = "; ".join(f"{name} ({marks(followed)}): “{' '.join(text.split())}”"
                     for name, (text, followed) in written.items())
    return picture(figure, f"{title}. Asked: “{request}” {said}.")


@in_style
def story(opening: str, told: str, title: str) -> Picture:
    """A story that a model went on with: what it read, pale, then what it wrote.

    Raises ValueError for a story of more than 4,000 letters.
    """
    if len(opening) + len(told) > LETTERS:
        raise ValueError(f"opening and told have {len(opening) + len(told):,} letters; give at most {LETTERS:,}.")
    parts = [(textwrap.wrap(" ".join(text.split()), 108), ink) for text, ink in ((opening, QUIET), (told, INK))]
    figure, area = new_figure(9, 0.55 + 0.2 * sum(len(lines) for lines, _ in parts))
    for at, (words, ink) in enumerate((line, ink) for lines, ink in parts for line in lines):
        area.text(0, at, words, va="top", fontsize=9, color=ink)
    area.set(xlim=(0, 1), ylim=(max(1, sum(len(lines) for lines, _ in parts)), -0.2), title=title)
    area.axis("off")
    return picture(figure, f"{title}. It reads: “{' '.join(opening.split())}” It writes: “{' '.join(told.split())}”.")


def marks(followed: Followed) -> str:
    """The parts of a request, each with yes or no."""
    return ", ".join(f"{part} {'yes' if getattr(followed, part) else 'no'}" for part in PARTS)
