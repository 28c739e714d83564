"""Pictures of attention: a map of who looks at whom, the strongest looks as lines, and a model's heads at a glance.

    attention_plots.attention(pieces, weights, "it looks at the first token")       # weights: (T, T), from tracing
"""
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from helpers.charts import draw_heat
from helpers.plots import ACCENT, INK, QUIET, Picture, in_style, new_figure, picture, visible
from helpers.proof import approximately

FUTURE = "#eceff3"                                          # of cells that no query may look at
MOST = 48                                                   # tokens whose names can still be read


@in_style
def attention(pieces: Sequence[str], weights: Tensor, title: str, first: bool = True) -> Picture:
    """A map of attention: one row for each query, one column for each key, lighter where more weight lies.

    pieces: the text of each of T tokens. weights: (T, T), each row adds up to 1; keys that no query before them may
    see are pale grey when the future has no weight at all. Numbers are written into the cells of a short text.
    first: whether to draw the first column, where many heads put most of their weight; without it the colours are
    stretched to the weights that are left.
    Raises ValueError for weights of another shape, for fewer than two tokens, and for more than can be read.
    """
    check(pieces, weights)
    side = 1.6 + 0.3 * len(pieces)
    figure, area = new_figure(min(9.0, side + 1.2), min(8.0, side))
    return picture(figure, draw_map(area, pieces, weights, title, first))


def draw_map(area: Axes, pieces: Sequence[str], weights: Tensor, title: str, first: bool) -> str:
    """Draw the map into axes; returns the picture's words."""
    T, start = len(pieces), 0 if first else 1
    values = weights.detach().float().cpu().numpy().copy()                          # (T, T), queries by keys
    ahead = [(q, k) for q in range(T) for k in range(q + 1, T)]
    causal = not any(values[q, k] for q, k in ahead)
    shown = values[:, start:].copy()                                                # (T, T or T - 1)
    top = 1.0 if first else max(shown.max(), 1e-6)
    if causal:
        for q, k in ahead:
            if k >= start:
                shown[q, k - start] = float("nan")
    image = draw_heat(area, shown, 0, top, FUTURE)
    names = [visible(piece, 14) for piece in pieces]
    area.set_xticks(range(T - start), names[start:], family="monospace", rotation=90, fontsize=8.5)
    area.set_yticks(range(T), names, family="monospace", fontsize=8.5)
    area.set(xlabel="key: the token looked at", ylabel="query: the token that looks", title=title)
    label = "attention weight" + ("" if first else ", first token left out")
    area.figure.colorbar(image, ax=area, fraction=0.04, pad=0.02, label=label)
    return f"{title}. A map of {T} queries by {T - start} keys. {in_words(pieces, values, start)}"


def in_words(pieces: Sequence[str], values, start: int) -> str:
    """Where the last few tokens look most."""
    said = []
    for q in range(max(1, len(pieces) - 6), len(pieces)):
        k = start + int(values[q, start:].argmax())
        said.append(f"“{visible(pieces[q])}” at “{visible(pieces[k])}” ({approximately(values[q, k], 2)})")
    return f"The last tokens look most: {', '.join(said)}."


@in_style
def looks(pieces: Sequence[str], weights: Tensor, title: str, first: bool = True, least: float = 0.05) -> Picture:
    """A map of attention beside its strongest looks: lines from each token to the tokens that it looks at.

    pieces, weights, first: as in `attention`. least: a weaker look than this gets no line.
    Raises ValueError as `attention` does.
    """
    check(pieces, weights)
    figure = Figure(figsize=(11, max(3.6, 1.2 + 0.26 * len(pieces))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    words = draw_map(left, pieces, weights, title, first)
    return picture(figure, words + " " + draw_lines(right, pieces, weights, first, least))


def draw_lines(area: Axes, pieces: Sequence[str], weights: Tensor, first: bool, least: float) -> str:
    """Draw looks as lines from a column of queries to a column of keys; returns the picture's words."""
    values, T = weights.detach().float().cpu().numpy(), len(pieces)                 # (T, T)
    for q in range(T):
        for k in range(0 if first else 1, T):
            if values[q, k] >= least:
                area.plot([0, 1], [q, k], color=ACCENT, linewidth=0.5 + 4 * values[q, k],
                          alpha=0.25 + 0.75 * values[q, k], solid_capstyle="butt")
    for place, piece in enumerate(pieces):
        ink = QUIET if place == 0 and not first else INK
        for x, side in ((-0.04, "right"), (1.04, "left")):
            area.text(x, place, visible(piece, 14), ha=side, va="center", family="monospace", fontsize=8.5, color=ink)
    area.set(xlim=(-0.75, 1.75), ylim=(T - 0.4, -0.6), title="looks" + ("" if first else " beyond the first token"))
    area.set_xticks([0, 1], ["query", "key"])
    area.set_yticks([])
    area.spines[:].set_visible(False)
    area.tick_params(length=0)
    return f"Beside it the same as lines, one for each look of at least {least:.0%}."


@in_style
def heads(scores: Mapping[str, Tensor], title: str, value_label: str = "score") -> Picture:
    """Every head of a model at a glance: for each score a strip of layers by heads, brighter for more.

    scores: name -> (layers, H), each from 0 to 1 (what lies below 0 is drawn as 0).
    Raises ValueError for no score, more than six, or scores of different shapes.
    """
    shapes = {tuple(score.shape) for score in scores.values()}
    if not 1 <= len(scores) <= 6 or len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"scores holds {len(scores)} of shapes {sorted(shapes)}; give 1 to 6, all (layers, H).")
    figure, *areas = new_figure(9, *[1.75] * len(scores))
    said = []
    for area, (name, score) in zip(areas, scores.items(), strict=True):
        values = score.detach().float().cpu().numpy()                               # (layers, H)
        image = area.imshow(values.T, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        area.set(ylabel="head")
        area.set_title(name, fontweight="normal", fontsize=10)
        for axis, nbins in ((area.xaxis, 10), (area.yaxis, 5)):
            axis.set_major_locator(MaxNLocator(nbins, integer=True))
        layer, head = divmod(int(values.argmax()), values.shape[1])
        said.append(f"{name}: most, {approximately(values.max(), 2)}, in head {head} of layer {layer}")
    areas[-1].set_xlabel("layer")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.colorbar(image, ax=areas, fraction=0.03, pad=0.01, label=value_label)
    layers, H = next(iter(shapes))
    return picture(figure, f"{title}. {len(scores)} tables of {layers} layers by {H} heads. {'; '.join(said)}.")


def check(pieces: Sequence[str], weights: Tensor) -> None:
    """Refuse what cannot be drawn."""
    T = len(pieces)
    if not 2 <= T <= MOST:
        raise ValueError(f"pieces holds {T} tokens; give 2 to {MOST}, whose names can be read.")
    if tuple(weights.shape) != (T, T):
        raise ValueError(f"weights has shape {tuple(weights.shape)}; give {(T, T)}, queries by keys.")
