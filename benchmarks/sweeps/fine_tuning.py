"""Lesson 05e: short fine-tunings of the Storyteller's base on several kinds of text: what is learned and forgotten,
how far attention patterns and weights move. And two of them at several learning rates.
"""
from collections.abc import Iterator

import torch

from helpers.tuning_runs import measures, tune

KINDS = ("stories", "instructions", "requests too", "Shakespeare", "Shakespeare, mixed")
SEEDS, FEWER = range(5), range(2)
RATES = (0.1, 0.3, 3.0)                         # times the usual; 1 is among the points of all kinds


def points() -> Iterator[dict]:
    """The settings and measures of each; before them the base itself, as "none"."""
    torch.set_num_threads(1)                    # so small a model: a second thread would mostly wait
    yield {"kind": "none", "rate": 0.0, "seed": 0} | measures()
    for kind in KINDS:
        for seed in SEEDS:
            yield point(kind, 1.0, seed)
    for kind in ("Shakespeare", "Shakespeare, mixed"):
        for rate in RATES:
            for seed in FEWER:
                yield point(kind, rate, seed)


def point(kind: str, rate: float, seed: int) -> dict:
    """One training."""
    return {"kind": kind, "rate": rate, "seed": seed} | measures(tune(kind, rate, seed))
