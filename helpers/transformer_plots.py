"""What happens to one token's vector on its way through the blocks, as a picture."""
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from helpers.charts import COLOURS, MARKERS, PALE, STROKES, multiply
from helpers.plots import INK, Picture, draw_next_tokens, in_style, new_figure, picture
from helpers.proof import approximately


@in_style
def journey(lengths: Sequence[float], added: dict[str, Sequence[float]], likeness: Sequence[float], after: int,
            pieces: Sequence[str], shares: Sequence[float], title: str = "") -> Picture:
    """The way of one vector through the blocks: its length and what was added, where it points, what it would say.

    lengths: of the residual stream after the embedding and after each block, layers + 1 numbers above 0.
    added: for each part of a block (such as attention), the length of what it added in each block, layers numbers.
    likeness: cosine of the stream with its last state, layers + 1 numbers from -1 to 1.
    after: how many blocks it has passed where it is looked at. pieces, shares: the likeliest next tokens there.
    Raises ValueError when the numbers are not equally many, a length is not above 0, or there are not so many blocks.
    """
    layers = len(lengths) - 1
    for name, numbers, wanted in (*((f"added[{part!r}]", numbers, layers) for part, numbers in added.items()),
                                  ("likeness", likeness, layers + 1)):
        if len(numbers) != wanted:
            raise ValueError(f"{name} holds {len(numbers)} numbers; with {layers + 1} lengths, give {wanted}.")
    if smallest := [value for numbers in (lengths, *added.values()) for value in numbers if not value > 0]:
        raise ValueError(f"lengths or added hold {smallest[0]}; a length must be above 0 to be drawn.")
    if not 0 <= after <= layers:
        raise ValueError(f"after is {after}; give 0 (the embedding) to {layers}.")
    place = f"after {after} block{'' if after == 1 else 's'}"
    figure, top, middle, bottom = new_figure(8, 2.7, 1.7, 0.8 + 0.25 * len(pieces))
    blocks = range(1, layers + 1)
    for number, (name, xs, ys) in enumerate((("the stream", range(layers + 1), lengths),
                                             *((f"added by {part}", blocks, ys) for part, ys in added.items()))):
        top.plot(xs, ys, linestyle=STROKES[number], color=COLOURS[number], linewidth=2, label=name,
                 marker=MARKERS[number], markersize=3)
    multiply(top.yaxis)
    top.set(title=title or f"{place.capitalize()} the vector is {approximately(lengths[after])} long", ylabel="length")
    top.legend(frameon=False, fontsize=8.5)
    middle.plot(range(layers + 1), likeness, color=COLOURS[0], linewidth=2)
    middle.set(ylim=(-1.05, 1.05), ylabel="cosine\nwith the end", xlabel="blocks passed (0: the embedding)")
    for area in (top, middle):
        mark(area, after)
    words = draw_next_tokens(bottom, pieces, shares, f"What it would say {place}")
    said = (f"The stream's length goes from {approximately(lengths[0])} to {approximately(lengths[-1])} in {layers} "
            f"blocks; {place} its cosine with the end is {approximately(likeness[after], 2)}.")
    return picture(figure, f"{top.get_title(loc='left')}. {said} {words}")


def mark(area: Axes, after: int) -> None:
    """A line at the place that is looked at."""
    area.axvline(after, color=INK, linestyle="--", linewidth=1)
    area.grid(color=PALE, linewidth=0.8)
    area.set_axisbelow(True)
    area.xaxis.set_major_locator(MaxNLocator(integer=True))
