"""One short training of a small model, for comparing ways to train: what lesson 05b and its sweeps both run.

    result = trial("AdamW", 0.01, seed=0)
    result.losses[-1], result.held_out, result.seconds

Everything but what is compared stays the same: a Transformer of two layers, the characters of Shakespeare, batches
that depend on the seed alone.
"""
import functools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers import corpora, optimizers
from helpers.token_data import TokenStream, shifted
from helpers.training import token_loss
from helpers.transformer import Config, Transformer
from helpers.waiting import bar

STEPS, BATCH, CONTEXT = 200, 16, 32                         # a step reads 16 pieces of 32 characters
REST = 0.004                                                # AdamW's rate beside Muon, which takes only inner matrices
TUNING, FINAL = (10, 11, 12), (0, 1, 2, 3, 4)               # seeds that choose a rate, and seeds that judge it
KINDS = ("SGD", "momentum", "RMSprop", "AdamW", "Muon")


@functools.cache
def characters() -> tuple[TokenStream, Tensor, str]:
    """The first million characters of Shakespeare: 900,000 to train on, 512 held-out pieces, and which there are.

    The pieces are (512, 33). A character's id is its place in the last result, which has V of them.
    """
    text = corpora.shakespeare()[:1_000_000]
    letters = "".join(sorted(set(text)))
    numbers = {letter: number for number, letter in enumerate(letters)}
    ids = torch.tensor([numbers[letter] for letter in text])
    pieces = ids[900_000:].unfold(0, CONTEXT + 1, CONTEXT + 1)                  # (N, 33)  without overlap
    return TokenStream(ids[:900_000]), pieces[::len(pieces) // 512][:512], letters


def small_model(seed: int) -> Transformer:
    """Two layers of 64 channels with the weights of a seed; PyTorch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(Config(len(characters()[2]), CONTEXT, d_model=64, layers=2, heads=4, mlp="relu2"))


def loss_on(model: Transformer, inputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the next character: (B, T), (B, T) to one number."""
    return token_loss(model(inputs), targets)


@torch.no_grad()
def held_out_loss(model: Transformer) -> float:
    """The loss on 512 pieces that training never sees."""
    return loss_on(model, *shifted(characters()[1])).item()


def make(kind: str, model: Transformer, rate: float) -> list[torch.optim.Optimizer]:
    """The optimisers of a kind, one of `KINDS`, for all parameters of a model. Muon comes with AdamW for the rest.

    Raises ValueError for another kind.
    """
    if kind == "SGD":
        return [torch.optim.SGD(model.parameters(), lr=rate)]
    if kind == "momentum":
        return [torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)]
    if kind == "RMSprop":
        return [torch.optim.RMSprop(model.parameters(), lr=rate, alpha=0.95)]
    if kind == "AdamW":
        return optimizers.optimizers(model, "adamw", rate, 0.0, 0.1, (0.9, 0.95))
    if kind == "Muon":
        return optimizers.optimizers(model, "muon", REST, rate, 0.1, (0.9, 0.95))
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")


def train(model: Transformer, makers: Iterable[torch.optim.Optimizer], batches: Iterable[tuple[Tensor, Tensor]],
          share: Callable[[int], float] = lambda step: 1.0, clip: float | None = None, shown: bool = False
          ) -> list[float]:
    """One step for each batch; the loss before each.

    makers: the optimisers. share: what the learning rates are multiplied by at a step. clip: longest gradient allowed.
    shown: whether there is a progress bar.
    """
    makers, batches, losses = list(makers), list(batches), []
    groups = [(group, group["lr"]) for maker in makers for group in maker.param_groups]
    with bar(len(batches), "Training", shown=shown) as advance:
        for step, (inputs, targets) in enumerate(batches):
            for group, rate in groups:
                group["lr"] = rate * share(step)
            loss = loss_on(model, inputs, targets)
            model.zero_grad()
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            for maker in makers:
                maker.step()
            losses.append(loss.item())
            advance(1)
    for group, rate in groups:
        group["lr"] = rate                                  # as it was, for whoever trains on
    return losses


@dataclass(frozen=True)
class Trial:
    """What one training gave."""
    losses: list[float]             # before each step, on that step's batch
    held_out: float                 # at the end
    seconds: float                  # of the steps alone


def trial(kind: str, rate: float, seed: int, batch: int = BATCH, steps: int = STEPS, plan: str = "constant",
          shown: bool = False) -> Trial:
    """Train the small model of a seed.

    plan: of the learning rate, "constant", "fall" (half a cosine wave down to 0) or "rise and fall" (a tenth of the
    steps up, then down). shown: whether there is a progress bar. Raises ValueError for another plan.
    """
    if plan not in PLANS:
        raise ValueError(f"plan is {plan!r}; choose one of {', '.join(PLANS)}.")
    model, text = small_model(seed), characters()[0]
    batches = [text.batch(number, batch, CONTEXT, seed) for number in range(steps)]
    start = time.perf_counter()
    losses = train(model, make(kind, model, rate), batches, PLANS[plan](steps), shown=shown)
    return Trial(losses, held_out_loss(model), time.perf_counter() - start)


PLANS: dict[str, Callable[[int], Callable[[int], float]]] = {
    "constant": lambda steps: lambda step: 1.0,
    "fall": lambda steps: lambda step: optimizers.schedule(step, steps),
    "rise and fall": lambda steps: lambda step: optimizers.schedule(step, steps, warmup=steps // 10),
}


def best_rate(points: Iterable[dict]) -> float:
    """The learning rate with the lowest mean of held-out losses over the tuning seeds.

    points: each with "rate", "seed" and "held_out", which is None where training flew away. Such a rate is not chosen.
    Raises ValueError when every rate flew away.
    """
    found: dict[float, list[float]] = {}
    for point in points:
        if point["seed"] in TUNING:
            value = point["held_out"]
            found.setdefault(point["rate"], []).append(math.inf if value is None else value)
    means = {rate: sum(values) / len(values) for rate, values in found.items()}
    if not means or min(means.values()) == math.inf:
        raise ValueError("points has no learning rate at which training stayed finite; give lower ones.")
    return min(means, key=means.get)


def point(kind: str, rate: float, seed: int, **settings: int | str) -> dict:
    """A trial as a stored point: its settings, and the held-out loss at the end, None where training flew away."""
    loss = trial(kind, rate, seed, **settings).held_out
    return {"kind": kind, "rate": rate, "seed": seed, **settings, "held_out": round(loss, 5) if loss < 99 else None}
