"""Experiments too long for a lesson, one a module. `python -m benchmarks.sweeps` runs them."""
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch


def one_a_core(run: Callable[..., Any], settings: Iterable[tuple]) -> Iterator[Any]:
    """What `run` gives for each of the settings, in their order, as many at a time as there are cores.

    Each runs in a process of its own with one thread: for models as small as ours a second one mostly waits.
    run: a function of a module's top level, so that another process can find it.
    """
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield from (job.result() for job in [pool.submit(run, *one) for one in settings])


def rounded(found: dict[str, float], digits: int = 4) -> dict[str, float]:
    """What was measured, as it is stored."""
    return {name: round(value, digits) for name, value in found.items()}
