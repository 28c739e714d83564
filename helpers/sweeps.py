"""Experiments too long for a lesson: run once from `benchmarks/sweeps/`, stored with all that made them, drawn here.

    sweep = stored("learning_rate")
    sweep.points                    # [{"rate": 0.001, "seed": 0, "loss": 2.31}, ...]
    print(sweep.origin)             # who made this, when, on what machine
    rerun(sweep, function, rate=0.001, seed=0, tol=0.01)

A lesson that draws stored points runs at least one of them again, live, so that they cannot drift from its code.
"""
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Sweep:
    """The points of an experiment, and what made them."""
    name: str
    command: str                    # that makes them again
    date: str                       # such as 2026-11-28
    machine: str                    # processor, cores and threads, versions
    seconds: float                  # how long all of it took there
    points: list[dict[str, Any]]    # what was set, what was measured

    @property
    def origin(self) -> str:
        """One line that says where the points come from."""
        return (f"{len(self.points)} points from `{self.command}`, {self.date}, {self.seconds / 60:.0f} minutes on "
                f"{self.machine}")

    def where(self, **settings: Any) -> list[dict[str, Any]]:
        """The points with these settings. Raises ValueError when there is none."""
        found = [point for point in self.points if all(point.get(name) == value for name, value in settings.items())]
        if not found:
            raise ValueError(f"settings are {settings}; the sweep {self.name!r} has no such point.")
        return found


def stored(name: str, folder: Path = RESULTS) -> Sweep:
    """The stored results of a sweep. Raises ValueError for a name that has none."""
    file = folder / f"{name}.json"
    if not file.exists():
        known = sorted(path.stem for path in folder.glob("*.json"))
        raise ValueError(f"name is {name!r}; there are results of {', '.join(known)}.")
    return Sweep(**json.loads(file.read_text(encoding="utf-8")))


def store(sweep: Sweep, folder: Path = RESULTS) -> Path:
    """Write a sweep's results, a point a line, so that a change can be read."""
    head = {name: value for name, value in asdict(sweep).items() if name != "points"}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    points = ",\n".join(f"  {json.dumps(point)}" for point in sweep.points)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{sweep.name}.json"
    file.write_text("\n".join(["{", *lines, ' "points": [', points, " ]", "}"]) + "\n", encoding="utf-8", newline="\n")
    return file


def rerun(sweep: Sweep, measure: Callable[..., float], result: str, tol: float, **settings: Any) -> None:
    """Measure one stored point again and print both, or raise AssertionError if they lie more than `tol` apart.

    measure: takes the settings, gives what the point holds under the name `result`.
    """
    point, = sweep.where(**settings)
    value = float(measure(**settings))
    if not abs(value - point[result]) <= tol:
        raise AssertionError(f"{result} at {settings} is {value:.4g} now and {point[result]:.4g} in the stored sweep; "
                             f"more than {tol:g} apart: run {sweep.command} again.")
    print(f"{result} at {settings}: stored {point[result]:.3f}, now ≈{value:.3f}")
