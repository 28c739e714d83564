"""Lesson 06d: GRPO with three rewards, each of which asks for more than the one before."""
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import one_a_core, rounded
from helpers import grpo_runs

SHORT, SEEDS = 10, range(3)


def points() -> Iterator[dict]:
    """The instructed model (no reward), and each reward with each seed; the last one also in fewer rounds."""
    yield {"reward": "none", "steps": 0, "seed": 0} | rounded(grpo_runs.shares(grpo_runs.instructed()[0]))
    usual = grpo_runs.GRPO.steps
    settings = [(name, usual) for name in grpo_runs.REWARDS] + [("and it makes sense", SHORT)]
    yield from one_a_core(point, [(*setting, seed) for setting in settings for seed in SEEDS])


def point(name: str, steps: int, seed: int) -> dict:
    """One run: what became of held-out stories, and the mean reward and distance of each round."""
    requests = grpo_runs.with_place(grpo_runs.REQUESTS)
    reward = grpo_runs.reward_of(grpo_runs.REWARDS[name], requests)
    model, history = grpo_runs.tuned_by_grpo(reward, requests, replace(grpo_runs.GRPO, steps=steps, seed=seed))
    curves = {"rewards": history.rewards, "kls": history.kls}
    return {"reward": name, "steps": steps, "seed": seed} | rounded(grpo_runs.shares(model)) | {
        name: [round(value, 3) for value in values] for name, values in curves.items()}
