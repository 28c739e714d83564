"""Exercise 6.1, as good as a guess can be: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def highest_agreement(probabilities: Tensor) -> float:
    right = 0.0
    for first in probabilities.tolist():
        second = 1 - first
        right += first if first > second else second
    return right / len(probabilities)


def mean_of(measure: Callable[[Tensor], Tensor]) -> Callable:
    """The mean of a number (N,) that each pair has."""
    return lambda probabilities: measure(probabilities).mean().item()


def ties_are_lost(p):
    return torch.where(p > 0.5, p, torch.where(p < 0.5, 1 - p, 0.0))


def in_place(probabilities):
    probabilities[probabilities < 0.5] = 1 - probabilities[probabilities < 0.5]
    return probabilities.mean().item()


def draw_probabilities(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([0.3]),), (torch.tensor([0.9, 0.2]),), (torch.tensor([0.9, 0.2, 0.5]),),
             (torch.tensor([1.0, 0.0, 0.5, 0.75]),), (torch.full((5,), 0.5),)]
    numbers = generator(draw)
    for N, spread in ((6, 1.0), (7, 0.3), (9, 3.0), (12, 1.0), (20, 2.0), (31, 8.0), (50, 0.5)):
        cases.append((torch.sigmoid(spread * torch.randn(N, generator=numbers) + draw.uniform(-1, 1)),))
    return cases


def minds_order(answer) -> str | None:
    """Which story of a pair is called the first is of no account."""
    p = torch.tensor([0.9, 0.45, 0.5, 0.1, 0.7, 0.03])
    turned = torch.tensor([True, False, True, False, True, True])
    before, after = float(answer(p.clone())), float(answer(torch.where(turned, 1 - p, p)))
    return None if abs(before - after) < 1e-5 else f"four of six pairs were turned: {before:.4f} became {after:.4f}."


EXERCISE = Exercise(
    id="6.1", name="highest_agreement", title="As good as a guess can be", minutes=10,
    oracle=highest_agreement, cases=draw_probabilities,
    mistakes=(
        Mistake(mean_of(lambda p: p),
                "That is right for a guesser who always says the first. Where the second is likelier, the best guess "
                "is the second, and it is right with 1 - p."),
        Mistake(lambda p: max(p.mean().item(), 1 - p.mean().item()),
                "Your guesser says the same for all pairs, the side that is taken more often. The best one decides for "
                "each pair: first the larger of p and 1 - p, then the mean."),
        Mistake(lambda p: torch.maximum(p, 1 - p).max().item(),
                "You give the easiest pair alone. Take the larger of p and 1 - p for each pair, and their mean."),
        Mistake(mean_of(lambda p: torch.minimum(p, 1 - p)),
                "That is how often the best guesser errs. How often is it right?"),
        Mistake(mean_of(lambda p: p ** 2 + (1 - p) ** 2),
                "Your guesser chooses by chance as the reader does: so often two such readers agree. It does better to "
                "take the likelier one every time."),
        Mistake(mean_of(lambda p: (p - 0.5).abs()),
                "That is how far the guesser gets above 0.5, where a thrown coin is. Add 0.5."),
        Mistake(mean_of(lambda p: 2 * (p - 0.5).abs()),
                "You let 0.5 count as 0, the way from a thrown coin to certainty. Asked for was the share of right "
                "guesses, and that of a coin is 0.5."),
        Mistake(mean_of(lambda p: (p > 0.5).float()),
                "You count for how many pairs the first is likelier. A guess is right with the larger of p and 1 - p, "
                "and not always."),
        Mistake(lambda p: 1.0,
                "No guess is always right where the reader throws a coin: the likelier story is taken with the larger "
                "of p and 1 - p, and the other one otherwise."),
        Mistake(mean_of(ties_are_lost),
                "Where p is exactly 0.5 your guesser gets nothing. Either guess is right half of the time there."),
        Mistake(lambda p: (p[p > 0.5].sum() / max(1, int((p > 0.5).sum()))).item(),
                "You leave out the pairs in which the second is likelier. They count with 1 - p."),
        Mistake(lambda p: torch.maximum(p, 1 - p).sum().item(),
                "You add up. The share of the choices is the mean over the pairs."),
        Mistake(lambda p: torch.maximum(p, 1 - p),
                "You give a number for each pair. One for all was asked for: their mean, as a float."),
        Mistake(in_place,
                "You write into the probabilities that you were given. torch.maximum(p, 1 - p) makes a new tensor."),
    ),
    hints=("Think of a single pair, in which the reader takes the first in 2 of 10 cases. What would you say, and how "
           "often would you be right?",
           "Of each pair the larger of p and 1 - p; the mean of these, and .item() makes a float of it."),
    properties=(Property("which story comes first is of no account", minds_order),),
)
