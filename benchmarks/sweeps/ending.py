"""Lesson 05e: what it takes until the Storyteller's base listens to how a story shall end, and when it forgets that.

Three trainings: on whole answers; on the words that decide the ending alone; and, from there on, on whole answers or on
both together.
"""
import copy
from collections.abc import Iterator
from dataclasses import replace

import torch

from helpers import storyteller
from helpers.tuning_runs import base, heard, listening

SEEDS, STEPS, STORIES = range(3), 300, 12_000


def points() -> Iterator[dict]:
    """The way (what was learned from), the steps of its training, seed, step, and how far the ending asked for was
    `heard` after this step, in nats.

    A way with a comma goes on where the one before the comma ended, and its steps are counted on from there. One
    training is so short that a lesson can make it again.
    """
    torch.set_num_threads(1)                    # so small a model: a second thread would mostly wait
    start, tokenizer = base()
    answers = storyteller.instruction_data(tokenizer, STORIES)
    data = {"answers": (storyteller.INSTRUCTED, answers),
            "deciding": (storyteller.DECIDING, storyteller.deciding_data(tokenizer, STORIES)),
            "both": (storyteller.BOTH, storyteller.both(answers, storyteller.deciding_data(tokenizer, 3 * STORIES)))}
    yield {"way": "base", "steps": 0, "seed": 0, "step": 0, "heard": round(heard(start), 4)}
    trainings = [("answers", 50, 0)]
    for seed in SEEDS:
        trainings += [("answers", 2 * STEPS, seed), ("deciding", STEPS, seed), ("deciding, answers", STEPS, seed),
                      ("deciding, both", STEPS, seed)]
    models = {}
    for way, steps, seed in trainings:
        before, _, last = way.rpartition(", ")
        model = copy.deepcopy(models.get((before, seed), start)).requires_grad_(True)
        config, texts = data[last]
        for step, nats in listening(model, texts, replace(config, steps=steps, seed=seed)):
            yield {"way": way, "steps": steps, "seed": seed, "step": step + (STEPS if before else 0),
                   "heard": round(nats, 4)}
        models[way, seed] = model
