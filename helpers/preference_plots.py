"""Pictures of lessons 06 to 06d: two answers side by side, what a reader likes in them.

    side_by_side("Write a sad story about a fox.", {"one": (text, "3 points"), "other": (text, "1 point")}, "Which?")
"""
import textwrap
from collections.abc import Mapping

from helpers.plots import INK, QUIET, Picture, in_style, new_figure, picture

LETTERS = 4_000                                             # of an answer that can still be read


@in_style
def side_by_side(request: str, texts: Mapping[str, tuple[str, str]], title: str) -> Picture:
    """Two or three answers to one request, in columns. texts: name -> (the answer, a line below its name).

    Raises ValueError for fewer than two, more than three, and an answer of more than 4,000 letters.
    """
    if not 2 <= len(texts) <= 3:
        raise ValueError(f"texts holds {len(texts)}; give two or three, which fit beside each other.")
    if long := [name for name, (text, _) in texts.items() if len(text) > LETTERS]:
        raise ValueError(f"the text of {long[0]!r} has more than {LETTERS:,} letters; cut it.")
    width = 112 // len(texts)
    columns = [textwrap.wrap(" ".join(text.split()), width - 4) or ["(nothing)"] for text, _ in texts.values()]
    lines = max(map(len, columns))
    figure, area = new_figure(9, 0.95 + 0.19 * lines)
    for number, ((name, (_, note)), column) in enumerate(zip(texts.items(), columns, strict=True)):
        x = number / len(texts)
        area.text(x, -1.6, name, weight="bold", fontsize=9.5, va="top", color=INK)
        area.text(x, -0.5, note, fontsize=8.5, va="top", color=QUIET)
        for line, words in enumerate(column):
            area.text(x, line + 0.7, words, va="top", fontsize=9, color=INK)
    area.set(xlim=(0, 1), ylim=(lines + 0.8, -1.8), title=f"{title}\n“{request}”")
    area.axis("off")
    said = "; ".join(f"{name} ({note}): “{' '.join(text.split())}”" for name, (text, note) in texts.items())
    return picture(figure, f"{title}{'' if title.endswith('?') else '.'} Asked: “{request}” {said}.")
