"""The held-out loss of a small model at many learning rates, for each of five ways to take a step (lesson 05b).

AdamW and Muon at seven rates, the older three at five, three seeds each; then each at its best rate with five seeds
that had no part in the choice.
"""
from collections.abc import Iterator

from helpers.optimizer_runs import FINAL, TUNING, best_rate, point

RATES = {
    "AdamW": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032),
    "Muon": (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32),
    "SGD": (0.05, 0.1, 0.2, 0.4, 0.8),
    "momentum": (0.025, 0.05, 0.1, 0.2, 0.4),
    "RMSprop": (0.0005, 0.001, 0.002, 0.004, 0.008),
}


def points() -> Iterator[dict]:
    """Each training's kind, rate, seed and held-out loss."""
    for kind, rates in RATES.items():
        tried = []
        for rate in rates:
            for seed in TUNING:
                tried.append(point(kind, rate, seed))
                yield tried[-1]
        for seed in FINAL:
            yield point(kind, best_rate(tried), seed)
