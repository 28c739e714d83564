"""Trainings of several seeds as one line in a band: what a part taken away costs, depth by depth."""
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from helpers.charts import COLOURS, MOST, PALE, STROKES
from helpers.plots import INK, Picture, in_style, picture
from helpers.proof import approximately

Runs = Sequence[Sequence[float]]        # a curve for each seed

EVERY = 10                              # steps whose mean is a point of a curve


@in_style
def curves(panels: Mapping[str, Mapping[str, Runs]], title: str, limits: Mapping[str, float] | None = None) -> Picture:
    """Loss curves, side by side: of each series the mean of its seeds, in a band from the lowest seed to the highest.

    panels: its name -> series: name -> a curve for each seed, each number the mean of ten steps.
    limits: losses to compare with, drawn as dashed lines: what it is -> loss.
    Raises ValueError when there is nothing to draw or too much, or curves of one series differ in length.
    """
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    if not 1 <= len(panels) <= 4 or not 1 <= len(names) <= MOST:
        raise ValueError(f"panels holds {len(panels)} panels and {len(names)} series; give 1 to 4, and 1 to {MOST}.")
    for panel, series in panels.items():
        for name, runs in series.items():
            if len({len(run) for run in runs}) != 1 or not runs[0]:
                raise ValueError(f"panels[{panel!r}][{name!r}] holds curves of {[len(run) for run in runs]} points; "
                                 "give equally many, at least one.")
    figure = Figure(figsize=(9 if len(panels) > 1 else 7, 3.6), layout="constrained")
    areas = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    said = []
    for area, (panel, series) in zip(areas, panels.items(), strict=True):
        for name, runs in series.items():
            number, points = names.index(name), list(zip(*runs, strict=True))
            steps = [EVERY * place + EVERY / 2 for place in range(len(points))]
            means = [sum(point) / len(point) for point in points]
            area.fill_between(steps, list(map(min, points)), list(map(max, points)), color=COLOURS[number], alpha=0.22,
                              linewidth=0)
            area.plot(steps, means, color=COLOURS[number], linestyle=STROKES[number], linewidth=2, label=name)
            low, high = (approximately(bound(points[-1])) for bound in (min, max))
            said.append(f"{panel}, {name}: from {approximately(means[0])} to {approximately(means[-1])}, in the last "
                        f"steps {low} to {high} over {len(runs)} seeds")
        for name, loss in (limits or {}).items():
            area.axhline(loss, color=INK, linestyle=(0, (2, 2)), linewidth=1.2, label=name)
        area.set(title=panel, xlabel="step")
        area.grid(color=PALE, linewidth=0.8)
        area.set_axisbelow(True)
    areas[0].set_ylabel("training loss, nats a letter")
    handles = {label: handle for area in areas for handle, label in zip(*area.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return picture(figure, f"{title}. Training loss in nats a letter against the step. {'; '.join(said)}.")
