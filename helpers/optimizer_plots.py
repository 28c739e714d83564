"""Where optimisers walk: the paths of steps over a loss of two parameters, seen from above.

    optimizer_plots.paths({"SGD": path}, loss, "SGD crosses the valley, and creeps along it")
"""
import math
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from helpers.plots import INK, Picture, in_style, picture
from helpers.proof import approximately

MOST = 6                                                    # panels in one picture
FINE = 161                                                  # points along each side at which the loss is worked out


@in_style
def paths(walks: Mapping[str, Tensor], loss: Callable[[Tensor], Tensor], title: str,
          x_range: tuple[float, float] = (-10.0, 4.0), y_range: tuple[float, float] = (-2.0, 2.0)) -> Picture:
    """Steps over a loss of two parameters, darker where it is lower: a panel for each walk, two in a row.

    walks: name -> (steps + 1, 2), where it has been. loss: (..., 2) to (...), nowhere negative.
    x_range, y_range: what part of the plane is shown; a walk that leaves it is cut off there.
    Raises ValueError when there is nothing to draw, too much, or a walk is not a row of points.
    """
    if not 1 <= len(walks) <= MOST:
        raise ValueError(f"walks holds {len(walks)}; give 1 to {MOST}.")
    for name, walk in walks.items():
        if walk.ndim != 2 or walk.shape[1] != 2 or len(walk) < 2:
            raise ValueError(f"walks {name!r} has shape {tuple(walk.shape)}; give (steps + 1, 2).")
    columns = min(2, len(walks))
    rows = math.ceil(len(walks) / columns)
    figure = Figure(figsize=(4.5 * columns if columns > 1 else 6.5, 2.3 * rows + 0.5), layout="constrained")
    areas = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    x, y = torch.meshgrid(torch.linspace(*x_range, FINE), torch.linspace(*y_range, FINE), indexing="xy")
    heights = loss(torch.stack([x, y], dim=-1)).detach().numpy()                # (FINE, FINE)
    levels = np.geomspace(max(heights.max() / 1000, 1e-9), max(heights.max(), 1e-8), 11)
    for area, (name, walk) in zip(areas.flat, walks.items()):
        area.contourf(x, y, np.maximum(heights, levels[0]), levels, norm=LogNorm(levels[0], levels[-1] * 8),
                      cmap=matplotlib.colormaps["cividis"], alpha=0.75)
        steps = walk.detach().numpy()
        area.plot(*steps.T, "-", color="white", linewidth=2.6)                  # so that it shows on any colour
        area.plot(*steps.T, "-o", color=INK, linewidth=1, markersize=2.6, markerfacecolor="white", markeredgewidth=0.7)
        area.plot(*steps[0], "s", color="white", markeredgecolor=INK, markersize=6)
        area.set(title=name if len(walks) > 1 else "", xlim=x_range, ylim=y_range)
    for area in areas[-1]:
        area.set_xlabel("first parameter")
    for area in areas[:, 0]:
        area.set_ylabel("second parameter")
    for area in areas.flat[len(walks):]:
        area.axis("off")
    figure.suptitle(title, fontweight="bold", fontsize=11, x=0.01, ha="left")
    return picture(figure, f"{title}. A loss of two parameters from above, and the steps taken over it from the "
                           f"square. {' '.join(described(name, walk, loss) for name, walk in walks.items())}")


def described(name: str, walk: Tensor, loss: Callable[[Tensor], Tensor]) -> str:
    """A walk in words."""
    first, last = loss(walk[[0, -1]]).tolist()
    turns = int(((walk[1:, 1] * walk[:-1, 1]) < 0).sum())
    return (f"{name}: {len(walk) - 1} steps, the loss goes from {approximately(first)} to {approximately(last)}, and "
            f"the second parameter changes its sign {turns} times.")
