"""A still picture for each idea: pure functions from numbers to a `Picture`, which knows its own words.

The same functions stand behind the sliders of `widgets`. Every picture has an opaque background, a title that says its
finding, labelled axes, colours that can be told apart in grey (cividis, or the four tints below), and alt text.
"""
import functools
import io
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor

from helpers import tracing
from helpers.transformer import Transformer

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer

INK, QUIET, ACCENT, SECOND = "#1b1f24", "#6b7280", "#00558c", "#c98a00"
TINTS = ("#cfe3f5", "#fbe6b3", "#d9ead3", "#ecd9ef")        # neighbouring tokens, told apart by their frames too
STYLE = {
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET, "text.color": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "image.cmap": "cividis", "text.parse_math": False,
}
DPI = 144                                                   # sharp on dense screens; shown at two thirds of its pixels


DRAWING = threading.RLock()                                 # matplotlib's style is global; sliders may draw in threads


def in_style(draw: Callable[..., "Picture"]) -> Callable[..., "Picture"]:
    """Draw in the course's style, one picture at a time; the learner's own style is left as it was."""
    @functools.wraps(draw)
    def drawn(*arguments, **options) -> "Picture":
        with DRAWING, rc_context(STYLE):
            return draw(*arguments, **options)
    return drawn


@dataclass(frozen=True)
class Picture:
    """A PNG with its words: what a notebook shows, a slider replaces, and a screen reader reads."""
    png: bytes
    alt: str
    width: int                                              # in the page's pixels

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": self.png, "text/plain": self.alt}, self.metadata

    @property
    def metadata(self) -> dict:
        """What a notebook stores beside the picture."""
        return {"image/png": {"width": self.width, "alt": self.alt}}


def picture(figure: Figure, alt: str) -> Picture:
    """Draw a figure into a Picture. Characters that the font lacks are drawn as boxes, without a warning."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return Picture(buffer.getvalue(), " ".join(alt.split()), round(figure.get_figwidth() * DPI * 2 / 3))


def new_figure(width: float, *heights: float):
    """An empty figure and its axes, one below another, in inches. Not pyplot, which keeps every figure it made."""
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    return figure, *figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0]


def visible(text: str, longest: int = 60) -> str:
    """A token's text with its white space made visible (a space as ␣, a new line as ⏎, a tab as ⇥), cut if too long."""
    shown = text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥") or "∅"
    return shown if len(shown) <= longest else shown[:longest - 1] + "…"


@in_style
def tokens(pieces: Sequence[str], ids: Sequence[int] | None = None, shares: Sequence[float] | None = None,
           title: str = "") -> Picture:
    """A text as its tokens, each in its own frame, wrapped like prose.

    pieces: the text of each token. ids: written below each. shares: probability of each, 0 to 1, shown as colour.
    """
    places, lines = wrap(pieces, ids)
    figure, area = new_figure(9, tokens_height(lines, ids) + (0.35 if shares is not None else 0))
    words = draw_tokens(area, pieces, ids, shares, title or f"{len(pieces)} tokens")
    if shares is not None:
        figure.colorbar(ScalarMappable(Normalize(0, 1), SHARES), ax=area, orientation="horizontal", fraction=0.08,
                        aspect=60, pad=0.02, label="probability the model gave to the token it chose")
    return picture(figure, words)


LINE = 78                                                   # characters in a line of tokens
LONGEST_WORD = 30                                           # letters, each of which may be a token in its own frame


def wrap(pieces: Sequence[str], ids: Sequence[int] | None) -> tuple[list[tuple[float, int, float]], int]:
    """Where each token stands, as (left edge, line, width), and the number of lines."""
    places, x, line = [], 0.0, 0
    for i, piece in enumerate(pieces):
        width = max(len(visible(piece)), 0.75 * len(str(ids[i])) if ids is not None else 0) + 1
        if x and x + width > LINE:
            x, line = 0.0, line + 1
        places.append((x, line, width))
        x += width
    return places, line + 1


def tokens_height(lines: int, ids: Sequence[int] | None) -> float:
    """Inches that so many lines of tokens take, with their title."""
    return 0.23 * lines * (2.3 if ids is not None else 1.5) + 0.4


def draw_tokens(area: Axes, pieces: Sequence[str], ids: Sequence[int] | None, shares: Sequence[float] | None,
                title: str) -> str:
    """Draw tokens into axes; returns the picture's words."""
    places, lines = wrap(pieces, ids)
    row = 2.3 if ids is not None else 1.5
    for i, (x, line, width) in enumerate(places):
        share = None if shares is None else float(shares[i])
        colour = TINTS[i % 4] if share is None else share_colour(share)
        top, ink = line * row, INK if share is None or share > 0.3 else "white"
        area.add_patch(Rectangle((x + 0.06, top), width - 0.12, 1.2, facecolor=colour, edgecolor=QUIET, linewidth=0.6))
        label = {"ha": "center", "va": "center", "family": "monospace"}
        area.text(x + width / 2, top + 0.62, visible(pieces[i]), fontsize=10, color=ink, **label)
        if ids is not None:
            area.text(x + width / 2, top + 1.62, str(ids[i]), fontsize=7.5, color=QUIET, **label)
    area.set(xlim=(0, LINE), ylim=(lines * row, 0), title=title)
    area.axis("off")
    more = " and more" if len(pieces) > 40 else ""
    return f"{title}. Tokens: {quoted(pieces[:40])}{more}."


@in_style
def merging(words: Sequence[Sequence[str]], counts: Sequence[tuple[tuple[str, str], int]], title: str = "",
            newest: str | None = None) -> Picture:
    """Words as the tokens they are cut into, above the pairs of neighbours that could merge next.

    words: the tokens of each word. counts: (pair, how often it stands side by side), the most frequent first.
    newest: the token that was made last, in another colour.
    Raises ValueError for a word too long for a line.
    """
    if too_long := [word for word in map("".join, words) if len(word) > LONGEST_WORD]:
        raise ValueError(f"words has {too_long[0][:20] + '…'!r} of {len(too_long[0])} letters; give words of at most "
                         f"{LONGEST_WORD}, which fit in a line.")
    places, lines = wrap(["".join(word) + " " * len(word) for word in words], None)
    figure, top, bottom = new_figure(9, 0.35 * lines + 0.4, 0.8 + 0.26 * max(1, len(counts)))
    for word, (x, line, _) in zip(words, places, strict=True):
        for token in word:
            width = len(visible(token)) + 0.7
            top.add_patch(Rectangle((x, line * 1.5), width - 0.12, 1.2, edgecolor=QUIET, linewidth=0.6,
                                    facecolor=TINTS[1] if token == newest else TINTS[0]))
            top.text(x + width / 2 - 0.06, line * 1.5 + 0.62, visible(token), ha="center", va="center",
                     family="monospace", fontsize=10)
            x += width
    top.set(xlim=(0, LINE), ylim=(lines * 1.5, 0), title=title)
    top.axis("off")
    labels = [" + ".join(map(visible, pair)) for pair, _ in counts]
    bottom.barh(range(len(counts)), [count for _, count in counts], color=ACCENT, height=0.72)
    for place, (_, count) in enumerate(counts):
        bottom.text(count, place, f" {count}", va="center")
    bottom.set_yticks(range(len(counts)), labels, family="monospace")
    bottom.invert_yaxis()
    bottom.set(xlabel="how often the two stand side by side", ylabel="pair")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    cut = " ".join("|".join(map(visible, word)) for word in words)
    return picture(figure, f"{title}. The words: {cut}. Pairs: "
                           f"{', '.join(f'{label} {count}' for label, (_, count) in zip(labels, counts))}.")


def quoted(pieces: Sequence[str]) -> str:
    return ", ".join(f"“{visible(piece)}”" for piece in pieces)


def share_colour(share: float) -> tuple[float, float, float, float]:
    """Colour of a probability: cividis without its darkest quarter, on which dark text cannot be read."""
    return matplotlib.colormaps["cividis"](0.25 + 0.75 * share)


SHARES = ListedColormap([share_colour(share) for share in np.linspace(0, 1, 256)])


@in_style
def vectors(pieces: Sequence[str], table: Tensor, title: str = "") -> Picture:
    """Vectors as strips of colour, one row a token. table: (T, C)."""
    T, C = table.shape
    figure, area = new_figure(9, 0.95 + 0.32 * T)
    values = table.detach().float().cpu().numpy()                               # (T, C)
    edge = float(np.quantile(np.abs(values), 0.99))
    image = area.imshow(values, aspect="auto", interpolation="nearest", vmin=-edge, vmax=edge)
    area.set(xlabel=f"channel: which of the {C} numbers", title=title or f"Every token is now {C} numbers")
    area.set_yticks(range(T), [visible(piece, 16) for piece in pieces], family="monospace")
    figure.colorbar(image, ax=area, fraction=0.03, pad=0.01, label="value", extend="both")
    return picture(figure, f"{area.get_title(loc='left')}. {T} rows of {C} coloured cells, one row for each of: "
                           f"{', '.join(visible(piece) for piece in pieces)}.")


@in_style
def next_tokens(pieces: Sequence[str], shares: Sequence[float], title: str = "", drawn: Sequence[float] | None = None
                ) -> Picture:
    """The likeliest next tokens as bars.

    pieces, shares: text and probability of each, likeliest first. drawn: measured frequencies, as points on the bars.
    """
    figure, area = new_figure(7.5, 0.9 + 0.27 * len(pieces))
    return picture(figure, draw_next_tokens(area, pieces, shares, title or "The likeliest next tokens", drawn))


def draw_next_tokens(area: Axes, pieces: Sequence[str], shares: Sequence[float], title: str,
                     drawn: Sequence[float] | None = None) -> str:
    """Draw bars into axes; returns the picture's words."""
    shares = [float(share) for share in shares]
    ends = shares if drawn is None else [max(pair) for pair in zip(shares, map(float, drawn), strict=True)]
    area.barh(range(len(shares)), shares, color=ACCENT, height=0.72, label="probability")
    if drawn is not None:
        area.plot([float(share) for share in drawn], range(len(shares)), "D", color=SECOND, markeredgecolor=INK,
                  markersize=6, label="how often it was drawn")
        area.legend(frameon=False, loc="lower right")
    edge = min(1.15, max(ends) * 1.25 + 0.05)
    for i, (share, end) in enumerate(zip(shares, ends, strict=True)):
        area.text(end + edge / 60, i, f"{share:.1%}", va="center")
    area.set_yticks(range(len(shares)), [visible(piece, 16) for piece in pieces], family="monospace")
    area.invert_yaxis()
    area.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    area.set(xlim=(0, edge), xlabel="probability", ylabel="next token", title=title)
    return f"{title}. Bars, likeliest first: {quoted(pieces)}."


@in_style
def lens(pieces: Sequence[Sequence[str]], shares: Tensor, columns: Sequence[str], rows: Sequence[int],
         title: str = "") -> Picture:
    """What each layer would say: a table of layers by tokens, each cell holding the favourite next token.

    pieces: favourite of each row and column. shares: (rows, columns), its probability. columns: the tokens read so far.
    rows: the number of each layer, 0 for the embedding.
    """
    figure, area = new_figure(9, 1.3 + 0.3 * len(rows))
    return picture(figure, draw_lens(area, pieces, shares, columns, rows, title or "What each layer would say next"))


def draw_lens(area: Axes, pieces: Sequence[Sequence[str]], shares: Tensor, columns: Sequence[str], rows: Sequence[int],
              title: str) -> str:
    """Draw the table of favourites into axes; returns the picture's words."""
    values = shares.detach().float().cpu().numpy()                              # (rows, columns)
    image = area.imshow(values, aspect="auto", vmin=0, vmax=1, cmap=SHARES, origin="lower")
    for y in range(len(rows)):
        for x in range(len(columns)):
            area.text(x, y, visible(pieces[y][x], 12), ha="center", va="center", family="monospace", fontsize=8.5,
                      color=INK if values[y, x] > 0.3 else "white")
    area.set_xticks(range(len(columns)), [visible(piece, 12) for piece in columns], family="monospace")
    area.set_yticks(range(len(rows)), [str(row) if row else "0 (embedding)" for row in rows])
    area.set(xlabel="the text so far, token by token", ylabel="after layer", title=title)
    area.figure.colorbar(image, ax=area, fraction=0.03, pad=0.01, label="probability of the favourite")
    return (f"{title}. A table of {len(rows)} layers by {len(columns)} tokens; its top row, after the last layer, "
            f"reads: {quoted(pieces[-1])}.")


@in_style
def whole_path(model: Transformer, tokenizer: "BPETokenizer", text: str | Sequence[int], columns: int = 8,
               bars: int = 8) -> Picture:
    """The whole path of a text in one picture: its tokens, what each layer would say, the likeliest next tokens.

    text: a text, or its tokens. The middle shows the last `columns` tokens, every third layer and the last.
    Raises ValueError for an empty text, or one longer than the model's context.
    """
    trace = tracing.trace(model, tokenizer, text)
    layers = [*range(0, model.config.layers, 3), model.config.layers]
    chances = tracing.logit_lens(model, trace.residual[layers, -columns:])                  # (rows, columns, V)
    best, winners = chances.max(dim=-1)                                                     # (rows, columns) each
    favourites = [[tokenizer.decode([token]) for token in row] for row in winners.tolist()]
    shares, following = chances[-1, -1].topk(bars)                                          # (bars,) each
    ids = trace.ids.tolist()
    _, lines = wrap(trace.pieces, ids)
    figure, top, middle, bottom = new_figure(9, tokens_height(lines, ids), 1.0 + 0.27 * len(layers), 0.9 + 0.25 * bars)
    words = [draw_tokens(top, trace.pieces, ids, None, f"1  The text is {len(ids)} tokens"),
             draw_lens(middle, favourites, best, trace.pieces[-columns:], layers, "2  What each layer would say next"),
             draw_next_tokens(bottom, [tokenizer.decode([token]) for token in following.tolist()], shares.tolist(),
                              "3  The likeliest next tokens")]
    return picture(figure, " ".join(words))
