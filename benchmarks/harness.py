"""How the benchmarks measure: ours and the peer take turns, and the median of their ratios decides.

A machine is never quiet for long. Two programs measured one after the other may meet different weather; two
that take turns meet the same. So one repetition is ours then the peer's (the next begins with the peer's),
and each gives one ratio.
"""
import gc
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table. Speeds are in `unit`, work done a second; above a ratio of 1 ours is faster."""
    name: str
    peer: str                       # what ours is compared with, such as "tokenizers, 1 thread"
    unit: str
    ours: float                     # median speeds
    theirs: float
    ratios: tuple[float, ...]       # ours / theirs, one a repetition
    target: float                   # the ratio we want at least

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        return self.ratio >= self.target


def compare(name: str, peer: str, ours: Callable[..., object], theirs: Callable[[], object], work: float,
            unit: str, target: float, repetitions: int = 5, fresh: Callable[[], object] | None = None) -> Row:
    """Measure two functions that do the same work.

    work: how much one call does, in the numerator of `unit`: 5.0 for 5 MB with unit "MB/s".
    fresh: called, untimed, before each call of ours, which gets its result: a clean state each time.
    Each is called once to warm up; then they take turns, `repetitions` times.
    Raises ValueError if repetitions is less than 3.
    """
    if repetitions < 3:
        raise ValueError(f"repetitions is {repetitions}; a median needs at least 3.")

    def time_ours() -> float:
        return seconds(ours) if fresh is None else seconds(ours, fresh())

    times = in_turns({"theirs": lambda: seconds(theirs), "ours": time_ours}, repetitions)
    return as_row(name, peer, unit, work, times["ours"], times["theirs"], target)


def in_turns(runs: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, list[float]]:
    """What each measured in its turns, the first, which warms up, left out; every other turn goes backwards."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for n in range(repetitions + 1):
        for name in reversed(runs) if n % 2 else runs:
            times[name].append(runs[name]())
    return {name: measured[1:] for name, measured in times.items()}


def as_row(name: str, peer: str, unit: str, work: float, ours: Sequence[float], theirs: Sequence[float],
           target: float) -> Row:
    """One line of the table, from the seconds that the same work took each of both in each turn."""
    return Row(name, peer, unit, ours=work / statistics.median(ours), theirs=work / statistics.median(theirs),
               ratios=tuple(other / mine for mine, other in zip(ours, theirs, strict=True)), target=target)


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """How long one call takes by the clock on the wall."""
    gc.collect()                                                # nobody pays for another's rubbish
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table, with the machine and the versions under it."""
    lines = ["| what | peer | unit | ours | peer's | ratio (least to most) | target | |",
             "|---|---|---|---:|---:|---|---:|---|"]
    for row in rows:
        lines.append(f"| {row.name} | {row.peer} | {row.unit} | {row.ours:.3g} | {row.theirs:.3g} "
                     f"| {row.ratio:.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f}) | {row.target:.2f} "
                     f"| {'met' if row.met else 'NOT MET'} |")
    return "\n".join([*lines, "", machine(), versions()])


def machine() -> str:
    """Processor, cores and threads in one line; nothing that names the computer or its owner."""
    import torch

    return (f"{processor()}, {os.cpu_count()} cores, torch threads: {torch.get_num_threads()}, "
            f"{platform.system()} {platform.machine()}")


def processor() -> str:
    """The processor's name, as well as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def versions(packages: Iterable[str] = ("torch", "transformers", "tokenizers", "tiktoken", "regex")) -> str:
    """Python and the packages compared, in one line."""
    return ", ".join([f"Python {platform.python_version()}",
                      *(f"{package} {importlib.metadata.version(package)}" for package in packages)])
