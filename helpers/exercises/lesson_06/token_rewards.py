"""Exercise 6.4, what each token earns: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_06.masks import draw_mask, first_places, last_places


def token_rewards(scores: Tensor, logps: Tensor, ref_logps: Tensor, completion_mask: Tensor, beta: float) -> Tensor:
    B, T = logps.shape
    rewards = torch.zeros(B, T)
    for b in range(B):
        for t in range(T):
            if completion_mask[b, t]:
                rewards[b, t] = -beta * (logps[b, t] - ref_logps[b, t])
                last = t
        rewards[b, last] += scores[b]
    return rewards


def at(places: Callable[[Tensor], Tensor]) -> Callable:
    """Scores (B,) put at places (B,) of a table (B, T) of zeros."""
    def put(scores, mask):
        table = torch.zeros(mask.shape)
        table[torch.arange(len(mask)), places(mask)] = scores
        return table
    return put


def price(logps: Tensor, ref_logps: Tensor, beta: float) -> Tensor:
    return -beta * (logps - ref_logps)                                           # (B, T)


def earns(put: Callable = at(last_places), cost: Callable = price,
          end: Callable = lambda paid, put, mask: torch.where(mask, paid, 0.0) + put) -> Callable:
    """token_rewards with one thing other than it should be."""
    def answer(scores, logps, ref_logps, completion_mask, beta):
        return end(cost(logps, ref_logps, beta), put(scores, completion_mask), completion_mask)
    return answer


def k3(logps, ref_logps, beta):
    return -beta * ((ref_logps - logps).exp() - (ref_logps - logps) - 1)


def paid_at_the_end(scores, logps, ref_logps, completion_mask, beta):
    whole = scores + (price(logps, ref_logps, beta) * completion_mask).sum(dim=1)
    return at(last_places)(whole, completion_mask)


def instead_of_price(paid, put, mask):
    return torch.where(put != 0, put, torch.where(mask, paid, 0.0))


def in_place(scores, logps, ref_logps, completion_mask, beta):
    logps -= ref_logps
    logps *= -beta * completion_mask
    logps[torch.arange(len(scores)), last_places(completion_mask)] += scores
    return logps


def draw_answers(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([3.0]), torch.tensor([[-4.0, -1.0, -2.0, -4.0]]), torch.tensor([[-4.0, -1.5, -1.0, -5.0]]),
              torch.tensor([[False, True, True, False]]), 0.5)]
    numbers = generator(draw)
    for B, T, beta in ((1, 3, 0.1), (2, 4, 1.0), (3, 5, 0.2), (2, 7, 0.5), (4, 6, 0.05), (3, 9, 2.0), (5, 8, 0.1),
                       (2, 5, 0.0), (6, 10, 0.3)):
        logps, moved = -5 * torch.rand(B, T, generator=numbers), torch.randn(B, T, generator=numbers)
        cases.append((torch.randn(B, generator=numbers) * 2, logps, logps + moved, draw_mask(draw, B, T), beta))
    return cases


def loses_some(answer) -> str | None:
    numbers = torch.Generator().manual_seed(6)
    scores, (logps, ref) = torch.randn(2, generator=numbers), -torch.rand(2, 2, 6, generator=numbers)
    mask = torch.tensor([[False, True, True, True, True, False], [False, False, True, True, False, False]])
    wanted = scores - 0.3 * ((logps - ref) * mask).sum(dim=1)
    sums = answer(scores.clone(), logps.clone(), ref.clone(), mask.clone(), 0.3).sum(dim=1)
    gap = float((sums - wanted).detach().abs().max())
    return None if gap < 1e-4 else f"the rewards of an answer miss that by {gap:.3g}."


EXERCISE = Exercise(
    id="6.4", name="token_rewards", title="What each token earns", minutes=15,
    oracle=token_rewards, cases=draw_answers,
    mistakes=(
        Mistake(earns(cost=lambda logps, ref_logps, beta: beta * (logps - ref_logps)),
                "The sign of the price is wrong: a token that became likelier than the reference has it must cost, "
                "-beta * (logps - ref_logps). Yours is paid for moving away."),
        Mistake(earns(put=lambda scores, mask: scores[:, None] * mask),
                "Every token of the answer gets the score, so that a long answer earns it many times. Only the last "
                "token does."),
        Mistake(earns(put=lambda scores, mask: scores[:, None].expand(mask.shape)),
                "Every place gets the score, as (B, 1) is added to (B, T). Only the last token of each answer does."),
        Mistake(earns(put=lambda scores, mask: scores[:, None] * mask / mask.sum(dim=1, keepdim=True)),
                "You spread the score over the answer. It was given for the whole, and the last token earns it: which "
                "token brought it is for gae to find out."),
        Mistake(earns(put=at(lambda mask: torch.full((len(mask),), mask.shape[1] - 1))),
                "You put the score at the end of the row. A shorter answer ends before that: look for the last True of "
                "its mask."),
        Mistake(earns(put=at(first_places)),
                "You put the score at the first token of the answer: argmax finds the first True."),
        Mistake(earns(put=at(lambda mask: mask.sum(dim=1) - 1)),
                "You put the score where the answer would end if it began at place 0. The request stands before it."),
        Mistake(earns(put=at(lambda mask: (last_places(mask) + 1).clamp(max=mask.shape[1] - 1))),
                "You put the score one place too far, behind the end of the answer."),
        Mistake(earns(put=lambda scores, mask: torch.zeros(mask.shape)),
                "The score is missing: the last token of each answer earns it as well."),
        Mistake(earns(end=instead_of_price),
                "The last token earns the score and pays nothing. It pays like the others: += and not =."),
        Mistake(earns(end=lambda paid, put, mask: paid + put),
                "The request and the filling pay too. Outside of the answers there is 0, whatever stands in logps."),
        Mistake(earns(cost=lambda logps, ref_logps, beta: -beta * (logps - ref_logps).abs()),
                "You let a token pay in both directions. One that is less likely now than by the reference earns a "
                "little: only so the sum is right on average."),
        Mistake(earns(cost=k3),
                "You let it pay the estimate that is never negative. Here the price is the plain difference of the two "
                "log-probabilities."),
        Mistake(earns(cost=lambda logps, ref_logps, beta: -beta * (logps.exp() - ref_logps.exp())),
                "You compare probabilities. The price is by the difference of their logarithms, as they are given."),
        Mistake(earns(cost=lambda logps, ref_logps, beta: -(logps - ref_logps)),
                "The factor beta is missing."),
        Mistake(earns(cost=lambda logps, ref_logps, beta: -beta * logps),
                "The reference is missing: what costs is not to be likely, but to be likelier than it."),
        Mistake(lambda scores, logps, ref_logps, mask, beta: token_rewards(beta * scores, logps, ref_logps, mask, beta),
                "You multiply the score by beta too. It belongs to the price alone."),
        Mistake(paid_at_the_end,
                "The last token pays for all. Each pays for itself, at its own place."),
        Mistake(lambda *given: token_rewards(*given).flip(1).cumsum(dim=1).flip(1) * given[3],
                "You add up all that comes later, the return. Asked for is what each token earns itself."),
        Mistake(lambda *given: token_rewards(*given).sum(dim=1),
                "You give one number for each answer. Each token has its own: (B, T)."),
        Mistake(in_place,
                "You write into the log-probabilities that you were given: -=, or an index on the left. PPO still "
                "needs them: make a new tensor."),
    ),
    hints=("Two things that have nothing to do with each other, added up: what every token of the answer pays, and "
           "what one token of each row gets. Which one is that?",
           "All tokens: rewards = -beta * (logps - ref_logps) * completion_mask. The last: last = (completion_mask * "
           "torch.arange(T)).argmax(dim=1), and rewards[torch.arange(B), last] += scores."),
    properties=(Property("an answer earns its score, less beta times its distance", loses_some),),
)
