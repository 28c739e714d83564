"""Pictures of lesson 05d: what each token costs in bits, and shares that are right, with intervals.

    pair_plots.bits({"a sentence": (pieces, costs)}, "Names cost most")
    pair_plots.shares(times, {"as told": (shares, lows, highs)}, "Recall rises", "times told", "share", chance=0.25)
"""
from collections.abc import Mapping, Sequence

from helpers.charts import COLOURS, FILLS, MARKERS, PALE, STROKES
from helpers.plots import INK, Picture, in_style, new_figure, picture, visible
from helpers.proof import approximately

LONGEST = 60                                                # tokens in a row of `bits` that can still be read


@in_style
def bits(rows: Mapping[str, tuple[Sequence[str], Sequence[float]]], title: str) -> Picture:
    """What each token of one text, or of a few, costs: bars of bits, one text below another on the same scale.

    rows: name -> (the texts of its tokens, the bits of each, 0 or more). Raises ValueError for no row, more than four,
    a row of no token or more than 60, and for as many pieces as bits not being equal.
    """
    if not 1 <= len(rows) <= 4:
        raise ValueError(f"rows holds {len(rows)} texts; give 1 to 4.")
    for name, (pieces, costs) in rows.items():
        if not 1 <= len(pieces) <= LONGEST or len(pieces) != len(costs):
            raise ValueError(f"{name!r} has {len(pieces)} tokens and {len(costs)} numbers; give equally many, "
                             f"1 to {LONGEST}.")
    figure, *areas = new_figure(8.5, *[2.6] * len(rows))
    highest = max(max(costs) for _, costs in rows.values())
    for number, (area, (name, (pieces, costs))) in enumerate(zip(areas, rows.items())):
        area.bar(range(len(costs)), costs, color=COLOURS[number], hatch=FILLS[number], edgecolor="white", linewidth=0)
        area.set_xticks(range(len(pieces)), [visible(piece, 14) for piece in pieces], rotation=60, ha="right",
                        rotation_mode="anchor", family="monospace", fontsize=8.5)
        area.set(ylabel="bits", ylim=(0, max(highest * 1.15, 1)), xlim=(-0.7, len(pieces) - 0.3),
                 title=f"{title}\n{name}: {sum(costs):.0f} bits" if number == 0 else f"{name}: {sum(costs):.0f} bits")
        area.grid(axis="y", color=PALE, linewidth=0.8)
        area.set_axisbelow(True)
    areas[-1].set_xlabel("token")
    said = "; ".join(f"{name}, {approximately(sum(costs))} bits in all: "
                     + ", ".join(f"“{visible(piece)}” {approximately(cost, 2)}" for piece, cost in zip(pieces, costs))
                     for name, (pieces, costs) in rows.items())
    return picture(figure, f"{title}. Bars of bits, one for each token. {said}.")


@in_style
def shares(labels: Sequence[object], series: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
           title: str, x_label: str, y_label: str, chance: float, joined: bool = True) -> Picture:
    """Shares from 0 to 1 with their intervals, at labels that stand evenly.

    series: name -> (shares, low ends, high ends), each as many as labels. chance: drawn as a dashed line. joined:
    whether a line leads from one share to the next.
    Raises ValueError for no series, more than four, or numbers that do not fit the labels.
    """
    if not 1 <= len(series) <= 4 or any(len(part) != len(labels) for parts in series.values() for part in parts):
        raise ValueError(f"series holds {len(series)}; give 1 to 4, each with {len(labels)} shares and as many ends.")
    figure, area = new_figure(7.5, 4)
    for number, (name, (values, lows, highs)) in enumerate(series.items()):
        places = [place + 0.1 * (number - (len(series) - 1) / 2) for place in range(len(labels))]     # side by side
        area.vlines(places, lows, highs, color=COLOURS[number], linewidth=1.4)
        area.plot(places, values, linestyle=STROKES[number] if joined else "", marker=MARKERS[number], markersize=6,
                  linewidth=1.8, color=COLOURS[number], label=name)
    area.axhline(chance, color=INK, linestyle="--", linewidth=1, label="chance")
    area.set_xticks(range(len(labels)), list(map(str, labels)))
    area.set(title=title, xlabel=x_label, ylabel=y_label, ylim=(0, 1.05))
    area.grid(color=PALE, linewidth=0.8)
    area.set_axisbelow(True)
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=8.5)
    said = "; ".join(f"{name}: " + ", ".join(f"{label} {approximately(value, 2)}"
                                             for label, value in zip(labels, values))
                     for name, (values, _, _) in series.items())
    return picture(figure, f"{title}. {y_label} against {x_label}; chance is {approximately(chance)}. {said}.")
