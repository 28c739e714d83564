"""Exercise 6.2, a whole order at once: what its check compares with, tries, and recognises."""
import itertools
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def ranking_loss(rewards: Tensor) -> Tensor:
    losses = []
    for row in rewards:                                                          # (K,)
        loss = 0 * row[0]
        for place in range(len(row)):
            left = list(row[place:])                                             # not taken yet, the right one first
            largest = max(row[place:].tolist())
            total = sum((reward - largest).exp() for reward in left)
            loss = loss - (row[place] - largest - total.log())
        losses.append(loss)
    return torch.stack(losses)                                                   # (B,)


def remaining(rewards: Tensor) -> Tensor:
    """The log of the sum of the powers of each place and all after it: (B, K)."""
    return rewards.flip(1).logcumsumexp(1).flip(1)


def each_place(rewards: Tensor) -> Tensor:
    return remaining(rewards) - rewards                                          # (B, K)


def pairs(rewards: Tensor) -> list[Tensor]:
    """Bradley and Terry's loss of every pair, the better one first, (B,) each."""
    return [F.softplus(rewards[:, j] - rewards[:, i]) for i, j in itertools.combinations(range(rewards.shape[1]), 2)]


def neighbours(rewards):
    return F.softplus(rewards[:, 1:] - rewards[:, :-1]).sum(dim=1)


def among_all(rewards):
    return (rewards.logsumexp(dim=1, keepdim=True) - rewards).sum(dim=1)


def among_the_others(rewards):
    return sum(rewards[:, k + 1:].logsumexp(dim=1) - rewards[:, k] for k in range(rewards.shape[1] - 1))


def by_powers(rewards: Tensor) -> Tensor:
    powers = rewards.exp()
    return -(powers / powers.flip(1).cumsum(1).flip(1)).log().sum(dim=1)


def by_product(rewards):
    probabilities = [rewards[:, k:].softmax(dim=1)[:, 0] for k in range(rewards.shape[1])]
    return -torch.stack(probabilities).prod(dim=0).log()


def shifted(largest: Callable[[Tensor], Tensor]) -> Callable:
    """By powers, after something was subtracted once."""
    return lambda rewards: by_powers(rewards - largest(rewards))


def draw_rewards(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 0.0]]),), (torch.tensor([[2.0, 1.0, 0.0]]),),
             (torch.tensor([[0.0, 3.0], [2.0, 2.0], [-1.0, 1.0]]),), (torch.tensor([[0.0, 150.0], [0.0, 100.0]]),)]
    numbers = generator(draw)
    for B, K, size, level in ((2, 3, 1, 0), (4, 2, 2, 0), (3, 4, 1, 0), (2, 5, 3, 0), (5, 3, 2, 100), (3, 6, 1, -120),
                              (6, 4, 2, 0), (4, 7, 1, 0), (2, 3, 90, 0)):
        cases.append((torch.randn(B, K, generator=numbers) * size + level * torch.randn(B, 1, generator=numbers),))
    return cases


def two_differ(answer) -> str | None:
    rewards = torch.randn(6, 2, generator=torch.Generator().manual_seed(2)) * 3
    gap = float((answer(rewards.clone()).detach() - F.softplus(rewards[:, 1] - rewards[:, 0])).abs().max())
    return None if gap < 1e-4 else f"for two answers it differs from -log sigmoid of their difference by {gap:.3g}."


def not_one(answer) -> str | None:
    """Every order of four answers has a probability."""
    rewards = torch.tensor([1.0, -0.5, 0.3, 2.0])
    orders = torch.stack([rewards[list(order)] for order in itertools.permutations(range(4))])               # (24, 4)
    total = float((-answer(orders)).detach().exp().sum())
    return None if abs(total - 1) < 1e-4 else f"the 24 orders of four answers have {total:.4f} together."


TOO_LARGE = ("The power of a large reward is infinite in a float32, and those of small ones are 0. Let logsumexp, or "
             "logcumsumexp, take the logarithm of the sum: they subtract the largest first.")

EXERCISE = Exercise(
    id="6.2", name="ranking_loss", title="A whole order at once", minutes=20,
    oracle=ranking_loss, cases=draw_rewards, gradients=(0,), tolerance=1e-4,
    mistakes=(
        Mistake(lambda rewards: sum(pairs(rewards)),
                "You compare each answer with each that is ranked lower, by two and two. Here, at each place, one is "
                "taken among all that are left: a softmax over them."),
        Mistake(lambda rewards: sum(pairs(rewards)) / len(pairs(rewards)),
                "You take the mean over all pairs, as InstructGPT did (Ouyang et al., 2022). Here, at each place, one "
                "is taken among all that are left: a softmax over them."),
        Mistake(neighbours,
                "You compare each answer with the next one alone. At each place one is taken among all that are left."),
        Mistake(among_all,
                "What has been taken stays among those to choose from. At place k only rewards[:, k:] is left."),
        Mistake(lambda rewards: rewards.logsumexp(dim=1) - rewards[:, 0],
                "You score the first place alone. The second is taken among the rest, and so on: add all of them up."),
        Mistake(lambda rewards: (rewards.logcumsumexp(dim=1) - rewards).sum(dim=1),
                "You choose among an answer and those before it. What is before it has been taken: left are it and "
                "those after it."),
        Mistake(among_the_others,
                "The right answer is not among those to choose from in your sum. It is left too, until it is taken: "
                "rewards[:, k:], not k + 1."),
        Mistake(by_powers, TOO_LARGE),
        Mistake(shifted(lambda rewards: rewards.max()), TOO_LARGE),
        Mistake(shifted(lambda rewards: rewards.max(dim=1, keepdim=True).values),
                "You subtract the row's largest reward once. When that answer is taken, all that are left may lie far "
                "below it, and their powers are 0. Take a logsumexp at each place."),
        Mistake(by_product,
                "A very small probability becomes 0 in a float32, and log 0 is infinite. Do not multiply "
                "probabilities: add up their logarithms, reward minus logsumexp."),
        Mistake(lambda rewards: -each_place(rewards).sum(dim=1),
                "This is the log of the probability, never above 0. The loss is minus that."),
        Mistake(lambda rewards: (-each_place(rewards).sum(dim=1)).exp(),
                "This is the probability of the order. The loss is minus its logarithm."),
        Mistake(lambda rewards: each_place(rewards).mean(dim=1),
                "You take the mean over the places. The log of a product is the sum of the logs."),
        Mistake(lambda rewards: each_place(rewards)[:, :-1].mean(dim=1),
                "You take the mean over the places where there is a choice. The log of a product is the sum of the "
                "logs."),
        Mistake(lambda rewards: each_place(rewards).sum(dim=1).mean(),
                "You take the mean over the batch. One loss for each row was asked for: (B,)."),
        Mistake(each_place,
                "You give a loss for each place, (B, K). Add them up: the result is (B,)."),
        Mistake(lambda rewards: each_place(rewards.sort(dim=1, descending=True).values).sum(dim=1),
                "You sort by reward. The order is the one people gave, and the model's rewards need not agree with it: "
                "that is what is measured."),
    ),
    hints=("What is the probability that the first of K is taken? It is a softmax. And when it is gone, that of the "
           "second? How many are left at the last place?",
           "At place k the loss grows by rewards[:, k:].logsumexp(dim=1) - rewards[:, k]. Add that up over k; where "
           "one answer is left it is 0."),
    properties=(Property("for two answers it is Bradley and Terry's", two_differ),
                Property("all orders together have probability 1", not_one)),
)
