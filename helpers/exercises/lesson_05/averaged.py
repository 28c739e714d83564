"""Exercise 5.6, the mean along the way: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def averaged(weights: Tensor, keep: float) -> Tensor:
    table, means = weights.tolist(), []
    for t in range(len(table)):
        shares = [keep ** (t - step) for step in range(t + 1)]                   # the last step's is 1
        means.append([sum(share * table[step][p] for step, share in enumerate(shares)) / sum(shares)
                      for p in range(len(table[0]))])
    return torch.tensor(means)                                                   # (S, P)


def running(weights: Tensor, keep: float) -> Tensor:
    """The running mean that begins at 0, without a correction."""
    m, means = torch.zeros_like(weights[0]), []
    for row in weights:
        m = keep * m + (1 - keep) * row
        means.append(m)
    return torch.stack(means)


def corrected(correct: Callable) -> Callable:
    """averaged, where correct(means, t, keep) is made of the running mean. t: (S, 1), steps counted from 1."""
    def answer(weights, keep):
        return correct(running(weights, keep), torch.arange(1.0, len(weights) + 1)[:, None], keep)
    return answer


def from_the_first(weights, keep):
    means = [weights[0]]
    for row in weights[1:]:
        means.append(keep * means[-1] + (1 - keep) * row)
    return torch.stack(means)


def from_the_first_and_corrected(weights, keep):
    t = torch.arange(1.0, len(weights) + 1)[:, None]
    return from_the_first(torch.cat([weights[:1], weights]), keep)[1:] / (1 - keep ** t)


def goes_on_with_the_corrected(weights, keep):
    m, means = torch.zeros_like(weights[0]), []
    for t, row in enumerate(weights, 1):
        m = (keep * m + (1 - keep) * row) / (1 - keep ** t)
        means.append(m)
    return torch.stack(means)


def swapped_shares(weights, keep):
    return running(weights, 1 - keep) / (1 - keep ** torch.arange(1.0, len(weights) + 1)[:, None])


def plain_mean(weights, keep):
    return weights.cumsum(dim=0) / torch.arange(1.0, len(weights) + 1)[:, None]


def with_rising_share(weights, keep):
    """As TensorFlow's ExponentialMovingAverage with num_updates."""
    means = [weights[0]]
    for t, row in enumerate(weights[1:], 1):
        now = min(keep, (1 + t) / (10 + t))
        means.append(now * means[-1] + (1 - now) * row)
    return torch.stack(means)


def without_its_own_step(weights, keep):
    return torch.cat([torch.zeros_like(weights[:1]), averaged(weights, keep)[:-1]])


def oldest_most(weights, keep):
    shares = keep ** torch.arange(float(len(weights)))[:, None]                  # (S, 1)
    return (shares * weights).cumsum(dim=0) / shares.cumsum(dim=0)


def by_growing_shares(weights, keep):
    """All at once, with shares that are 1 at the first step and grow. They soon grow too large."""
    shares = keep ** -torch.arange(float(len(weights)))[:, None]                 # (S, 1)
    return (shares * weights).cumsum(dim=0) / shares.cumsum(dim=0)


def draw_trainings(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[9.0, 1.0], [3.0, 1.0], [12.0, 1.0]]), 0.5), (torch.tensor([[4.0, -2.0]]), 0.9)]
    numbers = generator(draw)
    for S, P, keep in ((2, 1, 0.75), (3, 4, 0.9), (5, 2, 0.25), (4, 3, 0.8), (7, 5, 0.6), (6, 6, 0.95), (12, 3, 0.7),
                       (9, 8, 0.9), (20, 4, 0.8), (30, 2, 0.99)):
        path = torch.randn(S, P, generator=numbers).cumsum(dim=0) + draw.uniform(2, 6)
        cases.append((path, keep))
    return cases


def fails_late(answer) -> str | None:
    """One weight stands still, one rises by 1 a step: with a share of 1/4 the mean of that is 1/3 of a step behind."""
    means = answer(torch.stack([torch.full((600,), 3.0), torch.arange(600.0)], dim=1), 0.25)
    for step in (9, 599):
        for what, mean, wanted in zip(("that stands still", "that rises by 1 a step"), means[step].tolist(),
                                      (3, step - 1 / 3)):
            if not abs(mean - wanted) < 0.01:
                return f"after {step + 1} steps a weight {what} has the mean {mean:.4g}, expected {wanted:.4g}."
    return None


EXERCISE = Exercise(
    id="5.6", name="averaged", title="The mean along the way", minutes=20,
    oracle=averaged, cases=draw_trainings, tolerance=1e-4,
    mistakes=(
        Mistake(running,
                "Your first means are too small, because they begin at 0. The shares of the steps so far add up to "
                "1 - keep ** t only: divide by that, as Adam does."),
        Mistake(from_the_first,
                "You begin with the first weights themselves, as PyTorch's get_ema_avg_fn does. They then count for "
                "all the steps that never were. Begin with zeros, and divide by 1 - keep ** t."),
        Mistake(from_the_first_and_corrected,
                "You begin with the first weights, and correct all the same. The correction makes up for zeros at the "
                "beginning: begin with zeros."),
        Mistake(goes_on_with_the_corrected,
                "You go on with the corrected mean, so that it is corrected again in each step. Keep the running mean "
                "as it is; what is divided goes into the result alone."),
        Mistake(corrected(lambda means, t, keep: means * (1 - keep ** t)),
                "You multiply by 1 - keep ** t, and the means get smaller still. Divide."),
        Mistake(corrected(lambda means, t, keep: means / (1 - keep ** (t - 1))),
                "At the first step you divide by 1 - keep ** 0, which is 0. After the first step t is 1: count from "
                "1."),
        Mistake(corrected(lambda means, t, keep: means / (1 - keep ** (t + 1))),
                "Your t is one too large: after the first step it is 1."),
        Mistake(corrected(lambda means, t, keep: means / (1 - keep ** len(means))),
                "You correct every row by what the last one needs. Each has its own t, the number of steps so far."),
        Mistake(corrected(lambda means, t, keep: means / (1 - keep)),
                "You add up, each step counting keep times as much as the one after it, and never divide by what "
                "these shares add up to: (1 - keep ** t) / (1 - keep)."),
        Mistake(swapped_shares,
                "The shares are swapped: `keep` is for the old mean, 1 - keep for the weights that come in."),
        Mistake(plain_mean,
                "You take the plain mean, in which the random beginning counts as much as the last step. Each step "
                "counts keep times as much as the one after it."),
        Mistake(with_rising_share,
                "You let the share that is kept rise from step to step, as TensorFlow may. It is `keep` throughout, "
                "and the correction takes care of the beginning."),
        Mistake(oldest_most,
                "It is the wrong way round in time: the first step counts most. The last one has to."),
        Mistake(without_its_own_step,
                "Each row leaves out its own step. Mix the weights in first, then write the mean down."),
        Mistake(lambda weights, keep: averaged(weights.T, keep).T,
                "You average along a row, over the parameters of one step. The steps lie below each other."),
        Mistake(lambda weights, keep: averaged(weights, keep)[-1:].repeat(len(weights), 1),
                "All your rows are the last mean. Did you append the same tensor each time, and change it in place? "
                "m = keep * m + ... makes a new one."),
        Mistake(lambda weights, keep: averaged(weights, keep)[-1],
                "This is the mean at the end. Give the one after each step: (S, P)."),
        Mistake(by_growing_shares,
                "Your shares grow as keep ** -t. In a long training they grow beyond what a number of 32 bits can "
                "hold. Go step by step with shares that stay below 1."),
    ),
    hints=("Lesson 05b's Adam keeps such a running mean, of slopes. What is it too small by after t steps, and why is "
           "the first row of the result always the first weights?",
           "The running mean m begins as zeros (P,). For t, row in enumerate(weights, 1): m = keep * m + (1 - keep) * "
           "row, and m / (1 - keep ** t) goes into a list. torch.stack makes (S, P) of it."),
    properties=(Property("it still holds after 600 steps", fails_late),),
)
