"""Lesson 04e's pictures: who may see whom in a translation, and where a model looks in the source as it writes."""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from helpers import translation
from helpers.number_words import START, TOKEN, aligned, batch, english, german, pieces
from helpers.plots import ACCENT, INK, Picture, in_style, picture, visible
from helpers.proof import approximately

Mask = tuple[Sequence[str], Sequence[str], Tensor]          # who looks, at whom, and whether it may: (rows, columns)
Look = tuple[Sequence[str], Tensor]                         # what is written, and (pieces, source) weights
MOST = 24                                                   # names beside one map that can be read
WEAK = 0.1                                                  # a strongest look below this says nothing


@in_style
def masks(views: Mapping[str, Mask], title: str) -> Picture:
    """Who may see whom, one map for each attention: a dark cell is a token that may be looked at.

    views: name -> (rows, columns, mask), the mask bool (rows, columns).
    Raises ValueError for no view, more than four, or names and mask that do not fit.
    """
    if not 1 <= len(views) <= 4:
        raise ValueError(f"views holds {len(views)} masks; give 1 to 4, which fit beside each other.")
    for name, (rows, columns, mask) in views.items():
        check(name, rows, columns, mask)
    figure, areas = row_of_axes([1.6 + len(columns) for _, columns, _ in views.values()], 11,
                                1.6 + 0.27 * max(len(rows) for rows, _, _ in views.values()))
    said = []
    for area, (name, (rows, columns, mask)) in zip(areas, views.items(), strict=True):
        seen = mask.cpu().numpy().astype(float)                                     # (rows, columns)
        area.imshow(seen, cmap=ListedColormap(["#eef0f3", ACCENT]), vmin=0, vmax=1, aspect="auto")
        for edge in range(len(rows) + 1):
            area.axhline(edge - 0.5, color="white", linewidth=1)
        for edge in range(len(columns) + 1):
            area.axvline(edge - 0.5, color="white", linewidth=1)
        name_axes(area, rows, columns)
        area.set_title(name, fontweight="normal", fontsize=9.5)
        area.set(xlabel="may be looked at", ylabel="looks")
        said.append(f"{name}: {int(seen.sum())} of {seen.size} cells are open")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return picture(figure, f"{title}. Tables of who looks, by row, at whom, by column. {'; '.join(said)}.")


@in_style
def looks(source: Sequence[str], views: Mapping[str, Look], title: str,
          right: Sequence[int | None] | None = None) -> Picture:
    """Where a model looks in the source as it writes each piece: one map for each model, brighter for more.

    source: S pieces. views: name -> (T written pieces, weights (T, S)).
    right: for each written piece the place that it translates, framed; None where there is none.
    Raises ValueError for no view, more than three, or names and weights that do not fit.
    """
    if not 1 <= len(views) <= 3:
        raise ValueError(f"views holds {len(views)} models; give 1 to 3, which fit beside each other.")
    for name, (written, weights) in views.items():
        check(name, written, source, weights)
    longest = max(len(written) for written, _ in views.values())
    figure, areas = row_of_axes([1] * len(views), min(11, 5.6 * len(views)), 1.9 + 0.3 * longest)
    said = []
    for area, (name, (written, weights)) in zip(areas, views.items(), strict=True):
        values = weights.detach().float().cpu().numpy()                             # (T, S)
        image = area.imshow(values, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        framed = [(row, place) for row, place in enumerate(right or []) if place is not None and row < len(written)]
        for row, place in framed:
            area.add_patch(Rectangle((place - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=3))
            area.add_patch(Rectangle((place - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.2))
        name_axes(area, written, source)
        area.set_title(name, fontweight="normal", fontsize=10)
        area.set(xlabel="looked at", ylabel="written")
        said.append(f"{name}: {in_words(source, written, values)}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.colorbar(image, ax=areas, fraction=0.03, pad=0.01, label="attention weight")
    frames = " Framed: the word that the piece translates." if right else ""
    return picture(figure, f"{title}. Tables of weights, written pieces by source pieces.{frames} {'; '.join(said)}.")


def translated(number: int, models: Mapping[str, tuple[nn.Module, int]]) -> Picture:
    """A number as models write it in German, with where one head of each looks.

    models: name -> (a model of `translation`, the head, counted through all layers).
    Raises ValueError for a number that cannot be spelled, and as `looks` does.
    """
    source, right = pieces(english(number)), german(number)
    views, faults = {}, []
    for name, (model, head) in models.items():
        ids, _, _ = batch([number])
        written, = translation.write(model, ids)
        target = torch.tensor([[START, *(TOKEN[piece] for piece in written)]])              # (1, T + 1)
        weights = translation.looks(model, ids, target)[0, :, :, :len(written)].flatten(0, 1)[head]     # (T, S)
        views[name] = written, weights
        faults += [name] if "".join(written) != right else []
    title = f"{number:,}: {'both write ' if len(models) > 1 else ''}{right}" if not faults else \
        f"{number:,} is {right}; wrong: {', '.join(faults)}"
    return looks(source, views, title, None if faults else aligned(number))


def in_words(source: Sequence[str], written: Sequence[str], values: np.ndarray) -> str:
    """Where each written piece looks most; of weak looks only that they are weak."""
    said = []
    for piece, row in zip(written, values, strict=True):
        place = int(row.argmax())
        said.append(f"“{visible(piece)}” looks most at “{visible(source[place])}” ({approximately(row[place], 2)})"
                    if row[place] >= WEAK else f"“{visible(piece)}” hardly looks at the source")
    return ", ".join(said)


def row_of_axes(widths: Sequence[float], width: float, height: float) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, one beside another, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0])


def name_axes(area: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Write the tokens beside a map."""
    area.set_xticks(range(len(columns)), [visible(name, 10) for name in columns], rotation=90, family="monospace",
                    fontsize=8.5)
    area.set_yticks(range(len(rows)), [visible(name, 10) for name in rows], family="monospace", fontsize=8.5)
    area.tick_params(length=0)


def check(name: str, rows: Sequence[str], columns: Sequence[str], values: Tensor) -> None:
    """Refuse what cannot be drawn."""
    if tuple(values.shape) != (len(rows), len(columns)):
        raise ValueError(f"{name!r} has shape {tuple(values.shape)} for {len(rows)} rows and {len(columns)} columns; "
                         "give a name for each.")
    if not (1 <= len(rows) <= MOST and 1 <= len(columns) <= MOST):
        raise ValueError(f"{name!r} has {len(rows)} rows and {len(columns)} columns; give 1 to {MOST} of each.")
