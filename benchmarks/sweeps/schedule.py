"""The held-out loss after 300 steps of AdamW under three plans for the learning rate, each at its best (lesson 05b).

Five rates with two seeds for each plan; then each plan at its best rate, and at a high one, with five other seeds.
"""
from collections.abc import Iterator

from helpers.optimizer_runs import FINAL, PLANS, TUNING, best_rate, point

RATES, STEPS, HIGH = (0.001, 0.002, 0.004, 0.008, 0.016), 300, 0.008


def points() -> Iterator[dict]:
    """Each training's plan, rate, seed and held-out loss."""
    for plan in PLANS:
        tried = []
        for rate in RATES:
            for seed in TUNING[:2]:
                tried.append(point("AdamW", rate, seed, steps=STEPS, plan=plan))
                yield tried[-1]
        for rate in sorted({best_rate(tried), HIGH}):
            for seed in FINAL:
                yield point("AdamW", rate, seed, steps=STEPS, plan=plan)
