"""Exercise 6.3, where the answer ends: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_06.masks import draw_mask, first_places, last_places


def last_reward(scores: Tensor, completion_mask: Tensor) -> Tensor:
    rewards = []
    for row, mask in zip(scores, completion_mask.tolist()):
        for t, of_answer in enumerate(mask):
            if of_answer:
                last = t
        rewards.append(row[last])
    return torch.stack(rewards)                                                  # (B,)


def reading(places: Callable[[Tensor], Tensor]) -> Callable:
    """The score at places (B,) that are found from the mask (B, T)."""
    return lambda scores, mask: scores[torch.arange(len(scores)), places(mask)]


def largest(scores, mask):
    return scores.masked_fill(~mask, -torch.inf).max(dim=1).values


def draw_answers(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[0.5, 2.0, 7.0]]), torch.tensor([[False, True, False]])),
             (torch.tensor([[0.1, 0.4, 2.0, 9.0, 9.0], [0.3, 0.2, 0.8, 0.6, -1.0]]),
              torch.tensor([[False, True, True, False, False], [False, False, True, True, True]])),
             (torch.tensor([[1.0, 2.0]]), torch.tensor([[False, True]]))]
    numbers = generator(draw)
    for B, T in ((3, 4), (2, 6), (4, 5), (5, 7), (3, 8), (6, 9), (4, 12), (7, 10)):
        cases.append((torch.randn(B, T, generator=numbers), draw_mask(draw, B, T)))
    return cases


def minds_filling(answer) -> str | None:
    numbers = torch.Generator().manual_seed(4)
    scores = torch.randn(3, 5, generator=numbers)
    mask = torch.tensor([[False, True, True, True, False], [False, False, False, True, True],
                         [False, True, False, False, False]])
    before = answer(scores.clone(), mask.clone())
    longer = torch.cat([scores, torch.randn(3, 4, generator=numbers)], dim=1)
    after = answer(longer, torch.cat([mask, torch.zeros(3, 4).bool()], dim=1))
    gap = float((before - after).detach().abs().max())
    return None if gap < 1e-6 else f"four more filled places were added, and a reward changed by {gap:.3g}."


EXERCISE = Exercise(
    id="6.3", name="last_reward", title="Where the answer ends", minutes=10,
    oracle=last_reward, cases=draw_answers, gradients=(0,),
    mistakes=(
        Mistake(lambda scores, mask: scores[:, -1],
                "You read the last place of the row. In a shorter answer that place was filled up: look for the last "
                "True of its mask."),
        Mistake(reading(first_places),
                "You read the first token of the answer: argmax finds the first True. There the model has not seen the "
                "answer yet."),
        Mistake(reading(lambda mask: mask.sum(dim=1) - 1),
                "You count the answer's tokens and read as if they began at place 0. The request stands before them: "
                "its length belongs to the place too."),
        Mistake(reading(lambda mask: mask.sum(dim=1)),
                "You count the answer's tokens and read at that place. The request stands before them, and the last of "
                "n tokens is one place before the n-th."),
        Mistake(lambda scores, mask: scores[torch.arange(len(scores)), last_places(mask) + 1],
                "You read one place too far, behind the end of the answer. Where the answer fills its row there is no "
                "such place."),
        Mistake(reading(lambda mask: (last_places(mask) + 1).clamp(max=mask.shape[1] - 1)),
                "You read one place too far, behind the end of the answer. Start plus length is where it no longer is: "
                "take 1 off."),
        Mistake(reading(lambda mask: first_places(mask) - 1),
                "You read the last token of the request. The answer was not seen there."),
        Mistake(reading(lambda mask: last_places(mask)[:1].expand(len(mask))),
                "All rows are read where the first one ends. Each has an end of its own: places (B,), with row numbers "
                "torch.arange(B)."),
        Mistake(reading(lambda mask: mask.flip(1).int().argmax(dim=1)),
                "You count from the right: after flip the first True is so many places before the end. The place is "
                "T - 1 minus that."),
        Mistake(lambda scores, mask: (scores * mask).sum(dim=1) / mask.sum(dim=1),
                "You take the mean over the answer. Asked for is the score at its last token, which alone has seen all "
                "of it."),
        Mistake(lambda scores, mask: (scores * mask).sum(dim=1),
                "You add up over the answer. Asked for is the score at its last token alone."),
        Mistake(largest,
                "You take the best score of the answer. Asked for is that at its last token."),
        Mistake(lambda scores, mask: last_places(mask),
                "You give the place. Read the scores there: scores[torch.arange(B), last]."),
        Mistake(lambda scores, mask: scores[:, last_places(mask)],
                "You read every row at the places of all, (B, B), as scores[:, last] does. Two lists go in pairs: "
                "scores[torch.arange(B), last]."),
        Mistake(lambda scores, mask: scores.gather(1, last_places(mask)[:, None]),
                "Your result is (B, 1), since gather keeps its dimension. Take it off: [:, 0]."),
    ),
    hints=("A mask is a row of 0 and 1. What do you get if you multiply it by the numbers of the places, 0 to T - 1, "
           "and which of these is the largest?",
           "The places are last = (completion_mask * torch.arange(T)).argmax(dim=1), (B,); the result is "
           "scores[torch.arange(B), last]."),
    properties=(Property("more filling changes nothing", minds_filling),),
)
