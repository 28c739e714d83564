"""The held-out loss of a small model for three sizes of batch, after as much text and as many steps (lesson 05c).

For each size and number of steps, AdamW at four rates with one seed; then at the best with five other seeds.
"""
from collections.abc import Iterator

from helpers.optimizer_runs import FINAL, TUNING, best_rate, point

RATES, BATCHES = (0.001, 0.002, 0.004, 0.008), (2, 8, 32)
STEPS, PIECES = 100, 1600                                   # the same steps, or the same pieces of text in all


def points() -> Iterator[dict]:
    """Each training's batch, steps, rate, seed and held-out loss."""
    for batch in BATCHES:
        for steps in sorted({STEPS, PIECES // batch}):
            tried = []
            for rate in RATES:
                tried.append(point("AdamW", rate, TUNING[0], batch=batch, steps=steps))
                yield tried[-1]
            for seed in FINAL:
                yield point("AdamW", best_rate(tried), seed, batch=batch, steps=steps)
