"""Lesson 06c: DPO on as many of Robin's choices as PPO's reward model had, and on more that are clearer, with two
betas; and on the choices of readers who want opposite things.
"""
import functools
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import one_a_core, rounded
from helpers import judges, preference_runs
from helpers.labellers import READERS

FEW, MANY = (preference_runs.PAIRS, 2), (1_600, 8)      # requests, answers to each: of these the best and the worst
HALF = (800, 8)
USUAL, SMALL = preference_runs.DPO_BETA, 0.1
SETTINGS = (("Robin", FEW, USUAL), ("Robin", MANY, USUAL), ("Robin", MANY, SMALL),
            *((name, HALF, USUAL) for name in ("cheerful", "gloomy", "brief", "wordy")))
SEEDS, SHOWN = range(3), 4


def points() -> Iterator[dict]:
    """Reader, pairs, beta and seed, what `judged` finds, by that reader's judge, and a few held-out `stories`."""
    return one_a_core(point, [(*setting, seed) for setting in SETTINGS for seed in SEEDS])


def point(reader: str, size: tuple[int, int], beta: float, seed: int) -> dict:
    """One training. seed: of the reader's choices and of the order of the pairs."""
    chosen = preference_runs.ranked(groups(*size), READERS[reader], seed)
    model, _ = preference_runs.tuned_by_dpo(chosen, replace(preference_runs.DPO, seed=seed), beta)
    found = preference_runs.judged(model, points=judges.POINTS[reader])
    told = preference_runs.stories(model, preference_runs.asked(SHOWN, 2, "held_out"), seed=700_000)
    return {"reader": reader, "pairs": size[0], "beta": beta, "seed": seed, "stories": told} | rounded(found)


@functools.cache
def groups(requests: int, answers: int) -> list[preference_runs.Group]:
    """Requests with their answers; fewer are the first of more."""
    if (requests, answers) == HALF:
        return groups(*MANY)[:requests]
    return preference_runs.written(requests, answers)
