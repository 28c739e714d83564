"""Lesson 06c: DPO on as many of Robin's choices as PPO's reward model had and on five times as many; and two readers
who want opposite things.
"""
import functools
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import one_a_core
from helpers import judges, preference_runs
from helpers.labellers import READERS

FEW, MANY = (preference_runs.PAIRS, 2, 1), (800, 8, 3)          # requests, answers to each, pairs of them
SETTINGS, SEEDS = (("Robin", FEW), ("cheerful", FEW), ("gloomy", FEW), ("Robin", MANY)), range(3)


def points() -> Iterator[dict]:
    """Reader, pairs and seed, and what `judged` finds, by that reader's judge."""
    return one_a_core(point, [(reader, size, seed) for reader, size in SETTINGS for seed in SEEDS])


def point(reader: str, size: tuple[int, int, int], seed: int) -> dict:
    """One training. seed: of the reader's choices and of the order of the pairs."""
    requests, answers, pairs = size
    chosen = preference_runs.ranked(groups(requests, answers), READERS[reader], seed, pairs)
    config = replace(preference_runs.DPO if size == FEW else preference_runs.MANY, seed=seed)
    model, _ = preference_runs.tuned_by_dpo(chosen, config)
    found = preference_runs.judged(model, points=judges.POINTS[reader])
    return {"reader": reader, "pairs": requests * pairs, "seed": seed} | {
        name: round(value, 4) for name, value in found.items()}


@functools.cache
def groups(requests: int, answers: int) -> list[preference_runs.Group]:
    """Requests with their answers."""
    return preference_runs.written(requests, answers)
