"""Lesson 05f: the base tuned on instructions by adapters of six ranks and by all its weights, both with AdamW; and both
at several learning rates.
"""
from collections.abc import Iterator
from statistics import fmean

import torch

from helpers.tuning_runs import followed, losses, tune

RANKS = (1, 2, 4, 8, 16, 32)
SEEDS = range(3)
RATES = (0.1, 0.3, 1.0, 3.0, 10.0)              # times the usual, which is another one for adapters


def points() -> Iterator[dict]:
    """Rank (0: all weights), rate and seed; the losses, and at the usual rate the share of 40 requests fulfilled."""
    torch.set_num_threads(1)                    # so small a model: a second thread would mostly wait
    for rank in (0, *RANKS):
        for rate in RATES if rank in (0, 8) else (1.0,):
            for seed in SEEDS:
                tuned = tune("instructions", rate, seed, optimizer="adamw", rank=rank)
                point = {"rank": rank, "rate": rate, "seed": seed}
                point |= {f"loss on {name}": round(loss, 4) for name, loss in losses(tuned).items()}
                yield point | ({"followed": fmean(one.ok for one in followed(tuned))} if rate == 1.0 else {})
