"""Exercise 6c.3, better than the others: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def leave_one_out(rewards: Tensor) -> Tensor:
    P, G = rewards.shape
    advantages = torch.zeros(P, G)
    for p in range(P):
        for g in range(G):
            others = [float(rewards[p, other]) for other in range(G) if other != g]
            advantages[p, g] = rewards[p, g] - sum(others) / len(others)
    return advantages


def of_others(rewards: Tensor) -> Tensor:
    """The mean of the other answers to the same request: (P, G)."""
    return (rewards.sum(dim=1, keepdim=True) - rewards) / (rewards.shape[1] - 1)


def against(expected: Callable[[Tensor], Tensor]) -> Callable:
    """The rewards, less what was to be expected of each."""
    return lambda rewards: rewards - expected(rewards)


def grpo(rewards):
    return (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + 1e-4)


def of_all_others(rewards):
    return (rewards.sum() - rewards) / (rewards.numel() - 1)


def other_requests(rewards):
    P = len(rewards)
    return (rewards.sum(dim=0) - rewards) / max(1, P - 1)


def best_of_others(rewards: Tensor) -> Tensor:
    G = rewards.shape[1]
    return rewards[:, None].masked_fill(torch.eye(G).bool(), -torch.inf).amax(dim=2)             # (P, G, G) -> (P, G)


def in_place(rewards):
    rewards -= of_others(rewards)
    return rewards


def draw_rewards(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 4.0]]),), (torch.tensor([[1.0, 0.0, 0.0, 1.0]]),),
             (torch.tensor([[6.0, 3.0, 0.0], [1.0, 1.0, 1.0]]),)]
    numbers = generator(draw)
    for P, G in ((3, 2), (2, 4), (4, 3), (3, 5), (5, 4), (2, 7), (6, 8), (7, 5)):
        level = torch.randn(P, 1, generator=numbers) * 3                         # some requests are easy
        cases.append((level + torch.randn(P, G, generator=numbers),))
    return cases


def expects_itself(answer) -> str | None:
    """What is expected of an answer must not hang on its own reward."""
    rewards = torch.tensor([[1.0, 2.0, 4.0], [0.0, 3.0, -1.0]])
    raised = rewards.clone()
    raised[0, 1] += 3
    before, after = answer(rewards.clone()), answer(raised)
    grown = float(after[0, 1] - before[0, 1])
    if abs(grown - 3) > 1e-4:
        return f"the reward of an answer grew by 3, and its advantage by {grown:.4f}."
    if float((after[1] - before[1]).abs().max()) > 1e-5:
        return "a reward of one request was changed, and so did the advantages of another."
    return None


EXERCISE = Exercise(
    id="6c.3", name="leave_one_out", title="Better than the others", minutes=10,
    oracle=leave_one_out, cases=draw_rewards,
    mistakes=(
        Mistake(against(lambda rewards: rewards.mean(dim=1, keepdim=True)),
                "Your mean holds the answer itself, and so a part of its own success is taken off again. Leave it out: "
                "the sum less its own reward, over G - 1."),
        Mistake(grpo,
                "That is GRPO: the mean of all, and a division by the spread. Here the mean is that of the others, and "
                "nothing is divided by a spread."),
        Mistake(lambda rewards: (rewards - of_others(rewards)) / rewards.std(dim=1, keepdim=True).clamp(min=1e-4),
                "You divide by the spread, as GRPO does. Here the difference stays as it is."),
        Mistake(against(lambda rewards: rewards.mean(dim=0)),
                "You compare with the same place of other requests. Answers to one request stand side by side: dim=1."),
        Mistake(against(other_requests),
                "You leave one out of a column. Columns are other requests, some of them easier: the others are those "
                "in the same row, dim=1."),
        Mistake(against(of_all_others),
                "You compare with the answers to all requests. Where a request is easy all its answers would look "
                "good: only those to the same request, dim=1."),
        Mistake(against(lambda rewards: rewards.sum(dim=1, keepdim=True) - rewards),
                "You take off the sum of the others. Their mean was asked for: over G - 1."),
        Mistake(against(lambda rewards: (rewards.sum(dim=1, keepdim=True) - rewards) / rewards.shape[1]),
                "You divide the sum of the others by G. There are G - 1 of them."),
        Mistake(against(lambda rewards: rewards.sum(dim=1, keepdim=True) / (rewards.shape[1] - 1)),
                "You divide by G - 1, but the answer is still in the sum. Take its own reward off the sum first."),
        Mistake(lambda rewards: (rewards - rewards.mean(dim=1, keepdim=True)) * (rewards.shape[1] - 1)
                / rewards.shape[1],
                "It can be made from the distance to the mean of all, but the factor is G / (G - 1), not (G - 1) / G."),
        Mistake(against(best_of_others),
                "You compare with the best of the others. Asked for is their mean."),
        Mistake(of_others,
                "That is what was to be expected of each answer. Its advantage is its reward, less that."),
        Mistake(lambda rewards: of_others(rewards) - rewards,
                "The sign is wrong: an answer that is better than the others has an advantage above 0."),
        Mistake(in_place,
                "You write into the rewards that you were given. Make a new tensor: rewards - mean, not -=."),
    ),
    hints=("With a loop over the answers it is easy. Without: if you know the sum of a row, what is the sum of all but "
           "one?",
           "The mean of the others is (rewards.sum(dim=1, keepdim=True) - rewards) / (G - 1), (P, G). Take it off the "
           "rewards."),
    properties=(Property("nothing that is expected of an answer comes from itself", expects_itself),),
)
