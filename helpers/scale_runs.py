"""Models of several sizes on texts of several lengths: what lesson 05c and its sweep both run.

    run(width=64, characters_read=900_000, seed=0)      # {"parameters": ..., "loss": ..., "held_out": ..., ...}

Everything but width and text stays the same: three layers, the characters of Shakespeare, the same number of steps on
batches of the same size, so that what differs in the end is due to them.
"""
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from helpers import corpora
from helpers.counting import parameters
from helpers.optimizer_runs import characters
from helpers.token_data import TokenStream
from helpers.training import TrainConfig, train
from helpers.training_view import Silent
from helpers.transformer import Config, Transformer

CONTEXT, BATCH, STEPS, HELD_OUT = 64, 16, 400, 32_768
WIDTHS = (16, 24, 32, 48, 64, 96, 128)                      # channels
LENGTHS = (5_000, 20_000, 80_000, 300_000, 900_000)         # characters of text
MIDDLE = 64                                                 # the width at which texts are compared
LOOKS = 10                                                  # at held-out text, in a training


def config(width: int) -> Config:
    """Three layers of this many channels, in heads of 16 (of 8 for 24 channels)."""
    head = 16 if width % 16 == 0 else 8
    vocabulary = len(characters()[2])
    return Config(vocabulary, CONTEXT, d_model=width, layers=3, heads=width // head, mlp="relu2", qk_norm=True)


def inner(width: int) -> int:
    """Parameters of the blocks: without the table of characters, which a small text keeps small."""
    return sum(count for part, count in parameters(config(width)).items() if part in ("attention", "MLP", "norms"))


def new_model(width: int, seed: int) -> Transformer:
    """A model of this width with the weights of a seed; PyTorch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(config(width))


def settings(steps: int, seed: int) -> TrainConfig:
    """How each is trained, with the batches of a seed."""
    return TrainConfig(steps=steps, batch=BATCH, warmup=steps // 20, learning_rate=4e-3, muon_learning_rate=0.02,
                       seed=seed, evaluate_every=max(1, steps // LOOKS))


def run(width: int, characters_read: int, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Train on the first so many characters, with one seed for weights and batches.

    Returns settings and results as plain numbers: the mean loss of the last 50 batches, and the held-out loss at the
    end and at ten moments on the way.
    """
    data, held_out = text()
    model = new_model(width, seed)
    history = train(model, TokenStream(data.ids[:characters_read]), settings(steps, seed), held_out=held_out,
                    watch=Silent())
    last = history.losses[-50:]
    return {"width": width, "characters_read": characters_read, "seed": seed, "steps": steps,
            "parameters": inner(width), "loss": round(sum(last) / len(last), 4),
            "held_out": round(history.held_out[-1][1], 4),
            "curve": [[step, round(loss, 4)] for step, loss in history.held_out]}


@functools.cache
def text() -> tuple[TokenStream, TokenStream]:
    """The 900,000 characters of lesson 05b, and 32,768 that come after them and are only measured."""
    data, _, letters = characters()
    number = {letter: place for place, letter in enumerate(letters)}
    after = corpora.shakespeare()[len(data.ids):len(data.ids) + HELD_OUT]
    return data, TokenStream([number[letter] for letter in after])


def letters() -> str:
    """The characters, each at the place of its id."""
    return characters()[2]


def power_law(sizes: Sequence[float], losses: Sequence[float]) -> tuple[float, float]:
    """The straight line through log sizes and log losses (least squares): loss = factor x size^-exponent.

    Kaplan et al. (2020); lesson 05c builds it. Returns factor and exponent. Raises ValueError for fewer than two
    points or numbers not above zero.
    """
    if len(sizes) != len(losses) or len(sizes) < 2 or min(*sizes, *losses) <= 0:
        raise ValueError(f"sizes holds {len(sizes)} and losses {len(losses)} numbers; "
                         "give two or more of each, above 0.")
    slope, height = np.polyfit(np.log(sizes), np.log(losses), 1)
    return math.exp(height), -float(slope)
