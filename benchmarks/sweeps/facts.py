"""Lesson 05d: how often must an invented fact be told among stories until a small model knows it? Five trainings."""
from collections.abc import Iterator

import torch

from helpers.facts import shares

SEEDS = range(10, 15)                                    # the learning rate and the width were chosen on others


def points() -> Iterator[dict]:
    torch.set_num_threads(1)                                # such small tensors: a second thread would only wait
    for seed in SEEDS:
        for (times, told, asked), share in shares(seed).items():
            yield {"seed": seed, "times": times, "told": told, "asked": asked, "recalled": share}
