"""Pictures of what happens from layer to layer: what each would say, what can be read after each, what each is worth.

    layer_plots.favourites(pieces, shares, rows, "The answer comes last")          # five tokens for each layer
    layer_plots.curves({"syntax": {"noun or verb": (mean, low, high)}}, "It comes early", "share right")
    layer_plots.damage({"left out": (mean, low, high)}, "The middle can be missed", "rise of the loss")
"""
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator
from torch import Tensor

from helpers import tracing
from helpers.charts import COLOURS, FILLS, MARKERS, PALE, STROKES, as_array
from helpers.plots import INK, SHARES, Picture, draw_lens, draw_next_tokens, in_style, new_figure, picture, visible
from helpers.proof import approximately
from helpers.transformer import Transformer

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer

Curve = tuple[Sequence[float] | Tensor, Sequence[float] | Tensor, Sequence[float] | Tensor]   # mean, low end, high end


@in_style
def favourites(pieces: Sequence[Sequence[str]], shares: Tensor, rows: Sequence[int], title: str) -> Picture:
    """The likeliest next tokens after some layers: a row for each layer, the likeliest first, brighter for likelier.

    pieces: the texts of the tokens, row by row. shares: (rows, columns), their probabilities. rows: which layers.
    Raises ValueError when the three do not fit together.
    """
    R, columns = shares.shape
    if len(pieces) != R or len(rows) != R or any(len(row) != columns for row in pieces):
        raise ValueError(f"shares has shape {tuple(shares.shape)}, pieces {len(pieces)} rows and rows {len(rows)}; "
                         "give a token for each probability and a layer for each row.")
    values = as_array(shares)                                                       # (R, columns)
    figure, area = new_figure(1.8 + 1.35 * columns, 1.2 + 0.27 * R)
    image = area.imshow(values, aspect="auto", vmin=0, vmax=1, cmap=SHARES, origin="lower")
    for y in range(R):
        for x in range(columns):
            area.text(x, y, visible(pieces[y][x], 14), ha="center", va="center", family="monospace", fontsize=8.5,
                      color=INK if values[y, x] > 0.3 else "white")
    area.set_xticks(range(columns), [str(place + 1) for place in range(columns)])
    area.set_yticks(range(R), [str(row) if row else "0 (embedding)" for row in rows])
    area.set(xlabel="place among the likeliest tokens", ylabel="after layer", title=title)
    figure.colorbar(image, ax=area, fraction=0.04, pad=0.02, label="probability")
    said = "; ".join(f"layer {row}: “{visible(tokens[0])}” {approximately(float(share), 2)}"
                     for row, tokens, share in zip(rows, pieces, values[:, 0], strict=True))
    return picture(figure, f"{title}. A table of the {columns} likeliest tokens after {R} layers. Likeliest after "
                           f"{said}.")


@in_style
def curves(panels: Mapping[str, Mapping[str, Curve]], title: str, y_label: str, limit: float | None = None,
           top: float | None = None) -> Picture:
    """Lines over the layers, each in its interval, in one panel or in several, one below another.

    panels: name -> series -> (mean, low, high), a number for each layer from 0. limit: a value to compare with, dashed.
    top: the end of the y axis; None takes what the numbers need.
    Raises ValueError for no panel, an empty one, more than four series in one, or ends that do not fit the mean.
    """
    check(panels)
    figure, *areas = new_figure(8, *[1.0 + 5.4 / (1 + len(panels))] * len(panels))
    said = []
    for area, (name, series) in zip(areas, panels.items(), strict=True):
        for number, (label, (mean, low, high)) in enumerate(series.items()):
            mean, low, high = map(as_array, (mean, low, high))                      # (L,) each
            layers = range(len(mean))
            area.fill_between(layers, low, high, color=COLOURS[number], alpha=0.18, linewidth=0)
            area.plot(layers, mean, linestyle=STROKES[number], marker=MARKERS[number], markersize=3.5, linewidth=1.8,
                      color=COLOURS[number], label=label)
            said.append(f"{label}: {approximately(mean[0], 2)} after layer 0, "
                        f"{approximately(mean[len(mean) // 2], 2)} after {len(mean) // 2}, "
                        f"{approximately(mean[-1], 2)} after {len(mean) - 1}")
        if limit is not None:
            area.axhline(limit, color=INK, linestyle="--", linewidth=1)
        area.set(ylabel=y_label, ylim=(None, top))
        if len(panels) > 1:
            area.set_title(name, fontweight="normal", fontsize=10)
        area.grid(color=PALE, linewidth=0.8)
        area.set_axisbelow(True)
        area.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        area.legend(frameon=False, loc="best", fontsize=8.5)
    areas[-1].set_xlabel("after layer (0 is the embedding)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return picture(figure, f"{title}. {y_label} by layer, with intervals. {'; '.join(said)}.")


@in_style
def damage(series: Mapping[str, Curve], title: str, y_label: str) -> Picture:
    """What the loss rises by when something is done to each block: standing bars with their intervals.

    series: name -> (mean, low, high), a number for each block from 0; a series may stop early.
    Raises ValueError as `curves` does.
    """
    check({title: series})
    figure, area = new_figure(9, 3.4)
    width, said = 0.84 / len(series), []
    for number, (name, ends) in enumerate(series.items()):
        mean, low, high = map(as_array, ends)                                       # (blocks,) each
        places = [block + (number - (len(series) - 1) / 2) * width for block in range(len(mean))]
        area.bar(places, mean, width * 0.95, color=COLOURS[number], hatch=FILLS[number], edgecolor="white", linewidth=0,
                 label=name)
        area.vlines(places, low, high, color=INK, linewidth=1)
        most = int(mean.argmax())
        said.append(f"{name}: most, {approximately(mean[most], 2)}, at block {most}; least, "
                    f"{approximately(mean.min(), 2)}, at block {int(mean.argmin())}")
    area.set(title=title, xlabel="block (counted from 0)", ylabel=y_label)
    area.xaxis.set_major_locator(MaxNLocator(15, integer=True))
    area.grid(color=PALE, linewidth=0.8, axis="y")
    area.set_axisbelow(True)
    area.legend(frameon=False, loc="upper center")
    return picture(figure, f"{title}. Standing bars of {y_label} for each block. {'; '.join(said)}.")


@in_style
def lens(model: Transformer, tokenizer: "BPETokenizer", text: str, layer: int, title: str,
         translate: Callable[[Tensor], Tensor] | None = None, columns: int = 7, bars: int = 6) -> Picture:
    """What each layer would say at the last tokens of a text, and below it one layer's likeliest tokens after the last.

    layer: whose tokens stand below, 0 for the embedding. translate: takes the residual stream (layers + 1, T, C) and
    gives what the last norm and the head shall read, such as with a map of lesson 04d; None is the logit lens.
    Raises ValueError for an empty text, one longer than the context, and a layer that the model has not.
    """
    last = model.config.layers
    if not 0 <= layer <= last:
        raise ValueError(f"layer is {layer}; this model's are 0, the embedding, to {last}.")
    seen = tracing.trace(model, tokenizer, text)
    stream = seen.residual[:, -columns:]                                            # (layers + 1, columns, C)
    chances = tracing.logit_lens(model, stream if translate is None else translate(stream))
    rows = sorted({*range(0, last, 3), last, layer})
    best, winners = chances[rows].max(dim=-1)                                       # (rows, columns) each
    pieces = [[tokenizer.decode([token]) for token in row] for row in winners.tolist()]
    figure, top, bottom = new_figure(9, 1.1 + 0.27 * len(rows), 0.9 + 0.25 * bars)
    words = draw_lens(top, pieces, best, seen.pieces[-columns:], rows, title)
    shares, tokens = chances[layer, -1].topk(bars)                                  # (bars,) each
    words += " " + draw_next_tokens(bottom, [tokenizer.decode([token]) for token in tokens.tolist()], shares.tolist(),
                                    f"The likeliest next tokens after layer {layer}")
    return picture(figure, words)


def check(panels: Mapping[str, Mapping[str, Curve]]) -> None:
    """Refuse what cannot be drawn."""
    if not panels or not all(1 <= len(series) <= 4 for series in panels.values()):
        raise ValueError(f"panels holds {[len(series) for series in panels.values()]} series; give 1 to 4 in each.")
    for series in panels.values():
        for name, ends in series.items():
            if len({len(end) for end in ends}) != 1 or not len(ends[0]):
                raise ValueError(f"series {name!r} has {', '.join(str(len(end)) for end in ends)} numbers; give as "
                                 "many ends as means, at least one.")
