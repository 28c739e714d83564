"""Numbers as lines, bars, maps and tables of colour: the plain charts of the lessons. Pictures of one idea each are in
`plots`.

    charts.lines({"loss": (steps, losses)}, "The loss falls fast, then slowly", "step", "loss")
    charts.bars(["German", "Japanese"], {"GPT-2": [2.1, 3.4]}, "Some languages cost more", "tokens per English token")
    charts.places({"animals": (["cat", "dog"], [[0.1, 2.0], [0.2, 1.8]])}, "Cats are near dogs", "axis 1", "axis 2")
    charts.heat(weights, ["The", " cat"], ["The", " cat"], "It looks back", "looked at", "looks", "weight")

Numbers in a picture's words are marked ≈, because their last digits may depend on the machine.
"""
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from torch import Tensor

from helpers.plots import ACCENT, INK, QUIET, SECOND, Picture, in_style, new_figure, picture, quoted, visible
from helpers.proof import approximately

Points = tuple[Sequence[float], Sequence[float]]             # the x and the y of a series, equally many

COLOURS = (ACCENT, SECOND, "#7b3f6e", QUIET, "#3f7d4e", "#b5483a")
STROKES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))   # so that series can be told apart in grey
MARKERS = ("o", "s", "^", "D", "v", "P")
FILLS = ("", "///", "...", "xxx", "\\\\\\", "++")
MOST = len(COLOURS)                                          # series in one chart
PALE = "#e5e7eb"


@in_style
def lines(series: Mapping[str, Points], title: str, x_label: str, y_label: str,
          points: Mapping[str, Points] | None = None, log_x: bool = False, log_y: bool = False) -> Picture:
    """Lines through points, one for each series.

    series: name -> (xs, ys). points: the same, drawn as dots without a line. log_x, log_y: equal steps multiply.
    Raises ValueError when there is nothing to draw, too much, an x has no y, or two have one name.
    """
    points = dict(points or {})
    if both := series.keys() & points.keys():
        raise ValueError(f"series and points both have {', '.join(map(repr, sorted(both)))}; give each its own name.")
    every = {**series, **points}
    check(every, ((len(xs), len(ys)) for xs, ys in every.values()))
    figure, area = new_figure(7.5, 3.6)
    for number, (name, (xs, ys)) in enumerate(every.items()):
        look = {"color": COLOURS[number], "label": name, "marker": MARKERS[number], "markersize": 5}
        if name in points:
            area.plot(xs, ys, linestyle="", markeredgecolor="white", **look)
        else:
            area.plot(xs, ys, linestyle=STROKES[number], linewidth=2, **look | ({} if len(xs) < 20 else {"marker": ""}))
    area.set(title=title, xlabel=x_label, ylabel=y_label)
    for axis, logarithmic in ((area.xaxis, log_x), (area.yaxis, log_y)):
        if logarithmic:
            multiply(axis)
    area.grid(color=PALE, linewidth=0.8)
    area.set_axisbelow(True)
    if len(every) > 1:
        area.legend(frameon=False)
    said = [f"{name}: {len(xs)} points" if name in points else
            f"{name} goes from {approximately(ys[0])} at {approximately(xs[0])} to {approximately(ys[-1])} at "
            f"{approximately(xs[-1])}" for name, (xs, ys) in every.items()]
    return picture(figure, f"{title}. {y_label} against {x_label}. {'; '.join(said)}.")


@in_style
def bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str, value_label: str,
         intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None, limit: float | None = None) -> Picture:
    """Lying bars, one for each label in each series, each with its number.

    series: name -> a value for each label. intervals: name -> (low, high) for each label, drawn as whiskers.
    limit: a value to compare with, drawn as a dashed line.
    Raises ValueError when there is nothing to draw, too much, a label has no value, a value is below 0, or intervals
    are for a series that there is not.
    """
    check(series, ((len(labels), len(values)) for values in series.values()))
    if least := [name for name, values in series.items() if not min(values) >= 0]:
        raise ValueError(f"series {least[0]!r} holds {min(series[least[0]])}; bars begin at 0, give no value below it.")
    if unknown := [name for name in intervals or {} if name not in series]:
        raise ValueError(f"intervals has {unknown[0]!r}; the series are {', '.join(map(repr, series))}.")
    height = 0.8 / len(series)
    figure, area = new_figure(7.5, 0.9 + len(labels) * (0.14 + 0.2 * len(series)))
    longest = max(limit or 0, *map(max, series.values())) or 1
    for number, (name, values) in enumerate(series.items()):
        places = [label + (number - (len(series) - 1) / 2) * height for label in range(len(labels))]
        area.barh(places, values, height * 0.9, color=COLOURS[number], hatch=FILLS[number], edgecolor="white",
                  linewidth=0, label=name)
        whiskers = (intervals or {}).get(name) or [(value, value) for value in values]
        for place, value, (low, high) in zip(places, values, whiskers, strict=True):
            if high > low:
                area.plot([low, high], [place, place], color="white", linewidth=3.6)     # so that it shows on the bar
                area.plot([low, high], [place, place], color=INK, linewidth=1.4)
            area.text(max(value, high) + longest / 90, place, f"{value:.3g}", va="center", fontsize=8.5)
            longest = max(longest, high)
    if limit is not None:
        area.axvline(limit, color=INK, linestyle="--", linewidth=1)
    area.set_yticks(range(len(labels)), labels)
    area.invert_yaxis()
    area.set(title=title, xlabel=value_label, xlim=(0, longest * 1.12))
    if len(series) > 1 and min(map(min, series.values())) > 0.4 * longest:       # no room beside the bars
        figure.legend(frameon=False, loc="outside lower right", ncols=2, fontsize=8.5)
    elif len(series) > 1:
        area.legend(frameon=False, loc="best", fontsize=8.5)
    said = [f"{name}: " + ", ".join(f"{label} {approximately(value)}" for label, value in zip(labels, values))
            for name, values in series.items()]
    return picture(figure, f"{title}. Bars of {value_label}. {'; '.join(said)}.")


@in_style
def places(groups: Mapping[str, tuple[Sequence[str], Sequence[Sequence[float]] | Tensor]], title: str, x_label: str,
           y_label: str) -> Picture:
    """A map: points with their names beside them, one colour and shape for each group.

    groups: name -> (labels, points), the points (N, 2).
    Raises ValueError when there is nothing to draw, too much, a label has no point, or a point is not two numbers.
    """
    check(groups, ((len(labels), len(points)) for labels, points in groups.values()))
    tables = {name: as_array(points) for name, (_, points) in groups.items()}
    if wrong := [name for name, table in tables.items() if table.ndim != 2 or table.shape[1] != 2]:
        raise ValueError(f"groups {wrong[0]!r} has points of shape {tables[wrong[0]].shape}; give (N, 2).")
    figure, area = new_figure(8, 5.2)
    spots = np.concatenate(list(tables.values()))                                # (N, 2)
    names = [visible(label.strip() or label, 24) for labels, _ in groups.values() for label in labels]
    colours = [COLOURS[number] for number, (labels, _) in enumerate(groups.values()) for _ in labels]
    first = 0
    for number, (name, (labels, _)) in enumerate(groups.items()):
        area.plot(*spots[first:first + len(labels)].T, MARKERS[number], color=COLOURS[number], markersize=6,
                  markeredgecolor="white", label=name)
        first += len(labels)
    for name, spot, colour, (right, up) in zip(names, spots, colours, sides(names, spots)):
        area.annotate(name, spot, xytext=(5 * right, 3 * up), textcoords="offset points", fontsize=8.5, color=colour,
                      ha="left" if right > 0 else "right", va="bottom" if up > 0 else "top")
    area.set(title=title, xlabel=x_label, ylabel=y_label)
    area.margins(0.12)
    area.grid(color=PALE, linewidth=0.8)
    area.set_axisbelow(True)
    if len(groups) > 1:
        area.legend(frameon=False, fontsize=8.5)
    said = [f"{name}: {quoted([label.strip() for label in labels])}" for name, (labels, _) in groups.items()]
    return picture(figure, f"{title}. A map with {x_label} from left to right and {y_label} upwards. "
                           f"{'; '.join(said)}.")


def sides(names: Sequence[str], spots: np.ndarray) -> list[tuple[int, int]]:
    """Where the name of each point (N, 2) stands, (right or left, up or down), so that it covers little else."""
    spread = np.ptp(spots, axis=0) * 1.24                                        # with the margins of the map
    places = spots / np.where(spread > 0, spread, 1)                             # (N, 2)  in parts of the map
    taken = [np.array([*place, 0.006, 0.01]) for place in places]                # middles and half sizes: points, names
    chosen = []
    for own, (name, place) in enumerate(zip(names, places)):
        half = np.array([0.0055 * len(name) + 0.004, 0.018])
        boxes = {side: np.concatenate([place + side * (half + 0.006), half])
                 for side in ((1, 1), (1, -1), (-1, 1), (-1, -1))}
        covers = {side: sum(bool((np.abs(box[:2] - other[:2]) < box[2:] + other[2:]).all())
                            for at, other in enumerate(taken) if at != own)
                  for side, box in boxes.items()}
        chosen.append(min(covers, key=covers.get))                               # the first of those that cover least
        taken.append(boxes[chosen[-1]])
    return chosen


WRITTEN = 12                                                 # rows and columns up to which numbers are written


@in_style
def heat(values: Sequence[Sequence[float]] | Tensor, rows: Sequence[str] | None, columns: Sequence[str] | None,
         title: str, x_label: str, y_label: str, value_label: str) -> Picture:
    """A table of numbers as colours, brighter for more, with the numbers written where there is room.

    values: (R, C); what is -inf or nan stays white. rows, columns: a name for each; None counts them from 0.
    Raises ValueError when it is no table, or names and numbers are not equally many.
    """
    table = as_array(values)
    names = (rows, columns)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"values has shape {table.shape}; give a table of rows and columns, with at least one number.")
    for name, labels, size in zip(("rows", "columns"), names, table.shape):
        if labels is not None and len(labels) != size:
            raise ValueError(f"{name} holds {len(labels)} names for {size} {name} of numbers; give one for each.")
    shown = np.ma.masked_invalid(table)
    R, C = table.shape
    figure, area = new_figure(min(9, 3.6 + 0.5 * C), min(6, 1.5 + 0.34 * R))
    image = draw_heat(area, table)
    for axis, labels in zip((area.yaxis, area.xaxis), names):
        if labels is None:
            axis.set_major_locator(MaxNLocator(integer=True))
        else:
            slanted = axis is area.xaxis and sum(map(len, labels)) > 60
            axis.set_ticks(range(len(labels)), [visible(label, 16) for label in labels], family="monospace",
                           fontsize=8.5, **({"rotation": 60} if slanted else {}))
    area.set(title=title, xlabel=x_label, ylabel=y_label)
    figure.colorbar(image, ax=area, fraction=0.04, pad=0.02, label=value_label)
    said = ""
    if shown.count():
        row, column = np.unravel_index(shown.argmax(), table.shape)
        place = " and ".join(f"“{visible(labels[at])}”" if labels is not None else str(at)
                             for labels, at in zip(names, (int(row), int(column))))
        said = f" The most, {approximately(shown.max())}, stands at {place}; the least is {approximately(shown.min())}."
    return picture(figure, f"{title}. A table of colours, {R} rows ({y_label}) by {C} columns ({x_label}), brighter "
                           f"for more {value_label}.{said}")


def draw_heat(area: Axes, table: np.ndarray, low: float | None = None, high: float | None = None,
              missing: str = "white") -> AxesImage:
    """Draw a table (R, C) into axes as colours, with numbers where there is room; returns what a colour bar needs.

    low, high: the numbers of the darkest and the brightest colour; None takes those of the table.
    missing: the colour of what is -inf or nan.
    """
    shown = np.ma.masked_invalid(table)
    colours = matplotlib.colormaps["cividis"].with_extremes(bad=missing)
    image = area.imshow(shown, aspect="auto", interpolation="nearest", cmap=colours, vmin=low, vmax=high)
    if max(table.shape) <= WRITTEN:
        for row, column in np.argwhere(~np.ma.getmaskarray(shown)):
            bright = image.norm(table[row, column]) > 0.5
            area.text(column, row, f"{table[row, column]:.2f}", ha="center", va="center", fontsize=8.5,
                      color=INK if bright else "white")
    return image


def as_array(values: Sequence[Sequence[float]] | Tensor) -> np.ndarray:
    """Numbers, wherever they lie, for matplotlib."""
    return np.asarray(values.detach().float().cpu() if isinstance(values, Tensor) else values, dtype=float)


def check(series: Mapping[str, object], lengths: Iterable[tuple[int, int]]) -> None:
    """Refuse what cannot be drawn. lengths: of both sides of each series."""
    if not 1 <= len(series) <= MOST:
        raise ValueError(f"series holds {len(series)}; give 1 to {MOST}, which can still be told apart.")
    for name, (one, other) in zip(series, lengths, strict=True):
        if one != other or not one:
            raise ValueError(f"series {name!r} has {one} and {other} numbers; give equally many, at least one.")


def multiply(axis: Axis) -> None:
    """Make equal steps of an axis multiply, with plain numbers beside them: 1,000 and not 10³."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
    low, high = axis.get_view_interval()
    if high < 10 * low:                                     # no power of ten need lie here: take plain steps
        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
