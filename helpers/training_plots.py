"""Pictures of a training: which token predicts which, and what a model does at some step of it.

    shift([["T", "o", " ", "b", "e"]], "Each letter predicts the next")
    moment(losses, 50, {"ln V": 6.93}, "Once", [" upon", " there"], [0.7, 0.2], " upon a time", "After 50 steps")
"""
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from helpers.charts import PALE, multiply
from helpers.plots import (ACCENT, INK, QUIET, SECOND, TINTS, Picture, draw_next_tokens, in_style, new_figure, picture,
                           quoted, visible)
from helpers.proof import approximately

ROWS, TOKENS = 6, 16                                        # of a batch that can still be read
LINE = 100                                                  # characters in a line of what a model wrote


@in_style
def shift(rows: Sequence[Sequence[str]], title: str) -> Picture:
    """A batch as inputs over targets: an arrow from each token that is read to the one it shall predict.

    rows: for each example its T + 1 pieces of text, equally many; the first T are read, the last T predicted. A token
    has the same tint where it is predicted and where it is then read.
    Raises ValueError for no row, more than six, rows of different lengths, and fewer than 2 or more than 17 pieces.
    """
    if not 1 <= len(rows) <= ROWS:
        raise ValueError(f"rows holds {len(rows)}; give 1 to {ROWS}, which can still be read.")
    sizes = {len(row) for row in rows}
    if len(sizes) > 1 or not 2 <= len(rows[0]) <= TOKENS + 1:
        raise ValueError(f"rows have {', '.join(map(str, sorted(sizes)))} pieces; "
                         f"give equally many, 2 to {TOKENS + 1}.")
    T = len(rows[0]) - 1
    figure, area = new_figure(9, 0.45 + 0.95 * len(rows))
    for number, row in enumerate(rows):
        top = 2.6 * number
        for place in range(T):
            box(area, place, top, row[place], TINTS[place % 4])
            box(area, place, top + 1.3, row[place + 1], TINTS[(place + 1) % 4])
            area.annotate("", (place, top + 0.88), (place, top + 0.42), arrowprops={"arrowstyle": "->", "color": INK})
        for height, word in ((top, "reads"), (top + 1.3, "predicts")):
            area.text(-0.62, height, word, ha="right", va="center", fontsize=9, color=QUIET)
    area.set(xlim=(-1.9, T - 0.3), ylim=(2.6 * len(rows) - 0.75, -0.6), title=title)
    area.axis("off")
    said = "; ".join(f"row {number} reads {quoted(row[:-1])} and predicts {quoted(row[1:])}"
                     for number, row in enumerate(rows))
    return picture(figure, f"{title}. {len(rows)} rows of {T} tokens, each with an arrow to the token that comes after "
                           f"it: {said}.")


def box(area: Axes, x: float, y: float, piece: str, colour: str) -> None:
    """One token in its frame."""
    area.add_patch(FancyBboxPatch((x - 0.36, y - 0.3), 0.72, 0.6, boxstyle="round,pad=0.04", facecolor=colour,
                                  edgecolor=QUIET, linewidth=0.6))
    area.text(x, y, visible(piece, 9), ha="center", va="center", family="monospace", fontsize=9)


@in_style
def moment(losses: Sequence[float], step: int, marks: Mapping[str, float], prompt: str, pieces: Sequence[str],
           shares: Sequence[float], written: str, title: str) -> Picture:
    """Where a training stands after some step: its loss, the likeliest tokens after a prompt, and what it writes.

    losses: of each step's batch, before the step. step: from 0 to len(losses). marks: losses to compare with, by name.
    pieces, shares: the likeliest tokens after the prompt and their probabilities. written: how the model goes on.
    Raises ValueError for a step outside, or tokens and probabilities that are not equally many.
    """
    if not 0 <= step <= len(losses):
        raise ValueError(f"step is {step}; give one from 0 to {len(losses)}, the number of losses.")
    if len(pieces) != len(shares) or not pieces:
        raise ValueError(f"pieces holds {len(pieces)} and shares {len(shares)}; give equally many, at least one.")
    lines = textwrap.wrap(visible_lines(prompt + written), LINE) or [""]
    figure, top, middle, bottom = new_figure(9, 2.3, 0.8 + 0.24 * len(pieces), 0.45 + 0.2 * len(lines))
    top.plot(range(1, len(losses) + 1), losses, color=ACCENT, linewidth=1.2)
    for number, (name, value) in enumerate(marks.items()):
        top.axhline(value, color=INK, linestyle=(":", "--", "-.")[number % 3], linewidth=1)
        top.text(1, value, f" {name}", va="bottom", fontsize=8)
    now = min(max(step, 1), len(losses))
    top.plot([now], [losses[now - 1]], "o", color=SECOND, markeredgecolor=INK, markersize=9)
    multiply(top.xaxis)
    top.set(title=title, xlabel="step", ylabel="loss, in nats")
    top.grid(color=PALE, linewidth=0.8)
    words = draw_next_tokens(middle, pieces, shares, f"After {step} steps, the likeliest after “{visible(prompt, 40)}”")
    for number, line in enumerate(lines):
        bottom.text(0, number, line, va="top", family="monospace", fontsize=8.5)
    bottom.set(xlim=(0, 1), ylim=(len(lines), -0.3), title="What it writes")
    bottom.axis("off")
    return picture(figure, f"{title}. The loss after {step} steps is {approximately(losses[now - 1])}. {words} It "
                           f"writes: “{' '.join((prompt + written).split())}”.")


def visible_lines(text: str) -> str:
    """A text in one line, with its ends of lines marked."""
    return text.replace("\n", "⏎ ").replace("\t", " ")
