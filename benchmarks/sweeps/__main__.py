"""Run a sweep and store its results in helpers/results/: `python -m benchmarks.sweeps NAME ...`; none names them all.

A sweep is a module of this package with `points() -> Iterator[dict]`: what was set and what was measured, plain numbers
and words. What trains a single point lies in `helpers`, or in the lesson, so that the lesson can run it again.
"""
import argparse
import datetime
import importlib
import pkgutil
import sys
import time

import benchmarks.sweeps
from benchmarks.harness import machine, versions
from helpers.sweeps import Sweep, store

NAMES = tuple(module.name for module in pkgutil.iter_modules(benchmarks.sweeps.__path__) if module.name != "__main__")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweeps", description="Experiments, run and stored.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(NAMES)}; none means all")
    names = parser.parse_args(arguments).names or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no sweep {unknown[0]!r}; choose from {', '.join(NAMES)}.")
    for name in names:
        start, points = time.perf_counter(), []
        for point in importlib.import_module(f"benchmarks.sweeps.{name}").points():
            points.append(point)
            print(name, point, file=sys.stderr, flush=True)
        file = store(Sweep(name, f"python -m benchmarks.sweeps {name}", datetime.date.today().isoformat(),
                           f"{machine()}, {versions(('torch',))}", round(time.perf_counter() - start, 1), points))
        print(f"wrote {len(points)} points to {file.relative_to(file.parents[2])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
