"""Lesson 06: a reward model from so many of Robin's choices, and from a Robin who is surer or less sure."""
import functools
from collections.abc import Iterator

from benchmarks.sweeps import one_a_core
from helpers import preference_runs

SIZES, NOISES, SEEDS = (60, 120, 240, 480, 960), (0.5, 2.0), range(3)


def points() -> Iterator[dict]:
    """Pairs, noise and seed; how often the reward model agrees with Robin on unseen pairs, and the highest possible."""
    settings = [(size, 1.0) for size in SIZES] + [(preference_runs.PAIRS, noise) for noise in NOISES]
    return one_a_core(point, [(*setting, seed) for setting in settings for seed in SEEDS])


def point(pairs: int, noise: float, seed: int) -> dict:
    """One reward model."""
    learn, test = groups()
    found = preference_runs.reward_point(learn[:pairs], test, noise, seed)
    return {"pairs": pairs, "noise": noise, "seed": seed} | found


@functools.cache
def groups() -> tuple[list[preference_runs.Group], list[preference_runs.Group]]:
    """Requests with their answers: to learn from, to test with."""
    return preference_runs.written(SIZES[-1]), preference_runs.test_groups()
