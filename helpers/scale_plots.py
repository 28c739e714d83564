"""A budget of compute, and what it buys: parameters against tokens, beside models whose numbers were published."""
import math
from collections.abc import Mapping

from matplotlib.ticker import FuncFormatter

from helpers.counting_plots import short
from helpers.plots import ACCENT, INK, QUIET, SECOND, Picture, in_style, new_figure, picture
from helpers.proof import approximately

LAPTOP, H100 = 1e11, 989e12                 # FLOPs a second: two CPU cores in float32; one H100's peak in bfloat16
USED = 0.4                                  # share of the peak that large trainings reach
UNITS = ((86_400 * 365, "years"), (86_400, "days"), (3_600, "hours"), (60, "minutes"), (0, "seconds"))


@in_style
def budget(power: float, tokens_a_parameter: float, known: Mapping[str, tuple[float, float]]) -> Picture:
    """All ways to spend 10^power FLOPs by 6 N D, the chosen one among them, and published models.

    tokens_a_parameter: D / N of the chosen one; Hoffmann et al. (2022) found about 20 to be best.
    known: name -> (N parameters, D tokens). Raises ValueError for a power outside 9 to 27.
    """
    if not 9 <= power <= 27 or tokens_a_parameter <= 0:
        raise ValueError(f"power is {power} and tokens_a_parameter {tokens_a_parameter}; "
                         "give 9 to 27, and more than 0.")
    compute = 10.0 ** power
    N = math.sqrt(compute / 6 / tokens_a_parameter)
    D = tokens_a_parameter * N
    figure, area = new_figure(8.5, 4.4)
    edge = (1e3, 1e13)
    area.plot(edge, [compute / 6 / n for n in edge], color=ACCENT, linewidth=2,
              label=f"all that costs 10^{power:g} FLOPs")
    area.plot(edge, [20 * n for n in edge], color=QUIET, linestyle="--", linewidth=1.2, label="20 tokens a parameter")
    area.plot([N], [D], marker="o", markersize=10, color=SECOND, markeredgecolor=INK, linestyle="", label="chosen")
    for name, (parameters, tokens) in known.items():
        area.plot([parameters], [tokens], marker="s", markersize=5, color=INK)
        area.annotate(f" {name}", (parameters, tokens), fontsize=8, va="center")
    area.set(xscale="log", yscale="log", xlim=(1e4, 1e13), ylim=(1e5, 1e15), xlabel="parameters N", ylabel="tokens D",
             title=f"10^{power:g} FLOPs: {short(N)} parameters and {short(D)} tokens")
    for axis in (area.xaxis, area.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, place: short(value)))
    area.legend(frameon=False, loc="lower right", fontsize=9)
    times = f"{duration(compute / LAPTOP)} on a laptop, {duration(compute / H100 / USED)} on one H100"
    figure.supxlabel(times, fontsize=10)
    return picture(figure, f"Parameters against tokens, both logarithmic. 10 to the {power:g} FLOPs buy a model of "
                           f"{short(N)} parameters that reads {short(D)} tokens, {approximately(D / N)} for each: "
                           f"{times}. Published: {', '.join(known)}.")


def duration(seconds: float) -> str:
    """A time in the unit that suits it, such as "3.2 days"."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size)
    number = seconds / max(size, 1)
    return f"{f'{number:.3g}' if number < 1000 else short(number)} {unit}"
