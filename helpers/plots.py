"""A still picture for each idea: pure functions from numbers to a `Picture`, which knows its own words.

The same functions stand behind the sliders of `widgets`. Every picture has an opaque background, a title that says its
finding, labelled axes, colours that can be told apart in grey (cividis, or the four tints below), and alt text.
"""
import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

INK, QUIET, ACCENT, SECOND = "#1b1f24", "#6b7280", "#00558c", "#c98a00"
TINTS = ("#cfe3f5", "#fbe6b3", "#d9ead3", "#ecd9ef")        # neighbouring tokens, told apart by their frames too
STYLE = {
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
    "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET, "text.color": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "image.cmap": "cividis", "text.parse_math": False,
}
DPI = 144                                                   # sharp on dense screens; shown at two thirds of its pixels


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


def new_figure(width: float, height: float):
    """An empty figure and its axes, in inches. Not pyplot: a slider's callback may run in another thread."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def visible(text: str) -> str:
    """A token's text with its white space made visible: a space as ␣, a new line as ⏎, a tab as ⇥."""
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥") or "∅"


@rc_context(STYLE)
def tokens(pieces: Sequence[str], ids: Sequence[int] | None = None, shares: Sequence[float] | None = None,
           title: str = "", columns: int = 78) -> Picture:
    """A text as its tokens, each in its own frame, wrapped like prose.

    pieces: the text of each token. ids: written below each. shares: probability of each, 0 to 1, shown as colour.
    """
    marks = [visible(piece) for piece in pieces]
    widths = [max(len(mark), len(str(ids[i])) * 0.75 if ids is not None else 0) + 1 for i, mark in enumerate(marks)]
    places, x, line = [], 0.0, 0
    for width in widths:
        if x and x + width > columns:
            x, line = 0.0, line + 1
        places.append((x, line))
        x += width
    row = 2.3 if ids is not None else 1.5
    lines = line + 1
    figure, area = new_figure(9, 0.23 * row * lines + (0.75 if shares is not None else 0.4))
    for i, (mark, width, (x, line)) in enumerate(zip(marks, widths, places, strict=True)):
        top = line * row
        share = None if shares is None else float(shares[i])
        colour = TINTS[i % 4] if share is None else share_colour(share)
        area.add_patch(Rectangle((x + 0.06, top), width - 0.12, 1.2, facecolor=colour, edgecolor=QUIET, linewidth=0.6))
        area.text(x + width / 2, top + 0.62, mark, ha="center", va="center", family="monospace", fontsize=10,
                  color=INK if share is None or share > 0.3 else "white")
        if ids is not None:
            area.text(x + width / 2, top + 1.62, str(ids[i]), ha="center", va="center", family="monospace", fontsize=7.5,
                      color=QUIET)
    area.set(xlim=(0, columns), ylim=(lines * row, 0), title=title or f"{len(pieces)} tokens")
    area.axis("off")
    if shares is not None:
        scale = ScalarMappable(Normalize(0, 1), SHARES)
        figure.colorbar(scale, ax=area, orientation="horizontal", fraction=0.08, aspect=60, pad=0.02,
                        label="probability the model gave to the token it chose")
    words = ", ".join(f"“{mark}”" for mark in marks[:40]) + (" and more" if len(marks) > 40 else "")
    return picture(figure, f"{title or 'A text in tokens'}: {len(marks)} tokens: {words}.")


def share_colour(share: float) -> tuple[float, float, float, float]:
    """Colour of a probability: cividis without its darkest quarter, on which dark text cannot be read."""
    return matplotlib.colormaps["cividis"](0.25 + 0.75 * share)


SHARES = ListedColormap([share_colour(share) for share in np.linspace(0, 1, 256)])


@rc_context(STYLE)
def vectors(pieces: Sequence[str], table: Tensor, title: str = "") -> Picture:
    """Vectors as strips of colour, one row a token. table: (T, C)."""
    T, C = table.shape
    figure, area = new_figure(9, 0.95 + 0.32 * T)
    values = table.detach().float().cpu().numpy()                               # (T, C)
    edge = float(np.quantile(np.abs(values), 0.99))
    image = area.imshow(values, aspect="auto", interpolation="nearest", vmin=-edge, vmax=edge)
    area.set(xlabel=f"channel, 0 to {C - 1}", title=title or f"Every token is now {C} numbers")
    area.set_yticks(range(T), [visible(piece) for piece in pieces], family="monospace")
    figure.colorbar(image, ax=area, fraction=0.03, pad=0.01, label="value", extend="both")
    return picture(figure, f"{area.get_title(loc='left')}. {T} rows of {C} coloured cells, one row for each of: "
                           f"{', '.join(visible(piece) for piece in pieces)}.")


@rc_context(STYLE)
def next_tokens(pieces: Sequence[str], shares: Sequence[float], title: str = "", chosen: int | None = None,
                drawn: Sequence[float] | None = None) -> Picture:
    """The likeliest next tokens as bars.

    pieces, shares: text and probability of each, likeliest first. chosen: the bar to mark. drawn: measured frequencies,
    marked as points on the bars.
    """
    shares = [float(share) for share in shares]
    figure, area = new_figure(7.5, 0.9 + 0.27 * len(shares))
    colours = [SECOND if i == chosen else ACCENT for i in range(len(shares))]
    area.barh(range(len(shares)), shares, color=colours, height=0.72, label="probability")
    if drawn is not None:
        area.plot([float(share) for share in drawn], range(len(shares)), "D", color=SECOND, markeredgecolor=INK,
                  markersize=6, linestyle="none", label="how often it was drawn")
        area.legend(frameon=False, loc="lower right")
    for i, share in enumerate(shares):
        mark = "  ← drawn" if i == chosen else ""
        area.text(max(share, float(drawn[i]) if drawn is not None else 0) + 0.012, i, f"{share:.1%}{mark}", va="center")
    area.set_yticks(range(len(shares)), [visible(piece) for piece in pieces], family="monospace")
    area.invert_yaxis()
    area.set(xlim=(0, min(1.15, max(shares) * 1.3 + 0.05)), xlabel="probability", title=title)
    area.set_ylabel("next token")
    words = ", ".join(f"“{visible(piece)}”" for piece in pieces)
    taken = f" Drawn: “{visible(pieces[chosen])}”." if chosen is not None else ""
    return picture(figure, f"{title or 'Next tokens'}. Bars, likeliest first: {words}.{taken}")


@rc_context(STYLE)
def lens(pieces: Sequence[Sequence[str]], shares: Tensor, columns: Sequence[str], rows: Sequence[int],
         title: str = "") -> Picture:
    """What each layer would say: a table of layers by tokens, each cell holding the favourite next token.

    pieces: favourite of each row and column. shares: (rows, columns), its probability. columns: the tokens read so far.
    """
    values = shares.detach().float().cpu().numpy()                              # (rows, columns)
    figure, area = new_figure(9, 1.3 + 0.3 * len(rows))
    image = area.imshow(values, aspect="auto", vmin=0, vmax=1, cmap=SHARES, origin="lower")
    for y in range(len(rows)):
        for x in range(len(columns)):
            area.text(x, y, visible(pieces[y][x])[:12], ha="center", va="center", family="monospace", fontsize=8.5,
                      color=INK if values[y, x] > 0.3 else "white")
    area.set_xticks(range(len(columns)), [visible(piece) for piece in columns], family="monospace")
    area.set_yticks(range(len(rows)), [str(row) if row else "0 (embedding)" for row in rows])
    area.set(xlabel="the text so far, token by token", ylabel="after layer", title=title)
    figure.colorbar(image, ax=area, fraction=0.03, pad=0.01, label="probability of the favourite")
    return picture(figure, f"{title or 'What each layer would say next'}. A table of {len(rows)} layers by "
                           f"{len(columns)} tokens; the top row, after the last layer, reads: "
                           f"{', '.join(visible(piece) for piece in pieces[-1])}.")


@rc_context(STYLE)
def message(text: str) -> Picture:
    """A picture that holds only a sentence: what a view shows when its input cannot be drawn."""
    figure, area = new_figure(9, 1.0)
    area.text(0, 0.5, "\n".join(textwrap.wrap(text, 95)), va="center")
    area.axis("off")
    return picture(figure, text)
