"""Lesson 05g: the base tuned on instructions by adapters and by all its weights, both with AdamW: shortly at several
learning rates, then for longer at the best of these and six ranks.
"""
import itertools
from collections.abc import Iterator
from statistics import fmean

import torch

from helpers.transformer import Transformer
from helpers.tuning_runs import STEPS, followed, losses, tune

RANKS, LONG = (1, 2, 4, 8, 16, 32), 200
SEEDS = range(3)
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)              # times the usual, which is another one for adapters


def points() -> Iterator[dict]:
    """Rank (0: all weights), rate, steps and seed, and the losses; of the long ones also the shares of 40 requests
    whose hero, object, ending the answer has (`who`, `object`, `ending`), and that it fulfils (`ok`).
    """
    torch.set_num_threads(1)                    # so small a model: a second thread would mostly wait
    for rank, rate in itertools.product((0, 8), RATES):
        for seed in SEEDS:
            yield point(rank, rate, STEPS, seed)[0]
    for rank, seed in itertools.product((0, *RANKS), SEEDS):
        found, tuned = point(rank, 1.0, LONG, seed)
        answers = followed(tuned)
        yield found | {part: fmean(getattr(one, part) for one in answers) for part in ("who", "object", "ending", "ok")}


def point(rank: int, rate: float, steps: int, seed: int) -> tuple[dict, Transformer]:
    """The settings and losses of one training, and the model."""
    tuned = tune("instructions", rate, seed, optimizer="adamw", rank=rank, steps=steps)
    return {"rank": rank, "rate": rate, "steps": steps, "seed": seed} | {
        f"loss on {name}": round(loss, 4) for name, loss in losses(tuned).items()}, tuned
