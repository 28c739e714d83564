"""Lesson 06d: a Storyteller that is taught to decline stories about foxes. What else does it decline?"""
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import one_a_core, rounded
from helpers import declining

SEEDS = range(3)


def points() -> Iterator[dict]:
    """For each seed, what is declined at each stage."""
    for stages in one_a_core(point, [(seed,) for seed in SEEDS]):
        yield from stages


def point(seed: int) -> list[dict]:
    """One teaching: shown refusals, then rewarded on foxes alone, then on foxes and others. seed: of all three."""
    config = replace(declining.GRPO, seed=seed)
    shown = declining.shown_to_decline(seed)
    foxes = declining.rewarded_for_declining(shown, config=config)
    both = declining.rewarded_for_declining(foxes, others=True, config=replace(config, steps=3 * config.steps))
    stages = {"shown": shown, "foxes rewarded": foxes, "then others too": both}
    return [{"stage": name, "seed": seed} | rounded(declining.declined(model)) for name, model in stages.items()]
