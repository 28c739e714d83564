"""Lesson 06b: PPO towards the shipped reward model, with several prices of a nat of distance to the reference."""
import functools
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import one_a_core, rounded
from helpers import judges, preference_runs, pretrained

BETAS, SHORT, SEEDS = (0.0, 0.03, 0.06, 0.1, 0.3), 10, range(3)


def points() -> Iterator[dict]:
    """Price, rounds and seed, and what `point` found."""
    usual = preference_runs.PPO
    settings = [(usual.beta, SHORT)] + [(beta, usual.steps) for beta in BETAS]
    return one_a_core(point, [(*setting, seed) for setting in settings for seed in SEEDS])


def point(beta: float, steps: int, seed: int) -> dict:
    """One run: what each round saw (`rewards`, `kls`, `entropies`, and `wins`, its win rate over the instructed model's
    stories for the same requests, by Robin's judge), and what `judged` finds in the end.
    """
    config = replace(preference_runs.PPO, beta=beta, steps=steps, seed=seed)
    model, history = preference_runs.tuned_by_ppo(*pretrained.reward_models(), config)
    wins = [judges.win_rate(told, rivals()[config.batch * number:][:config.batch], judges.robin)
            for number, told in enumerate(history.completions)]
    curves = {"rewards": history.rewards, "kls": history.kls, "entropies": history.entropies, "wins": wins}
    return {"beta": beta, "steps": steps, "seed": seed} | rounded(preference_runs.judged(model)) | {
        name: [round(value, 3) for value in values] for name, values in curves.items()}


@functools.cache
def rivals() -> list[str]:
    """What the instructed model answers to the requests of all rounds."""
    return preference_runs.stories(preference_runs.instructed()[0], preference_runs.practice(), seed=600_000)
