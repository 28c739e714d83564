"""Exercise 2.5, one vector for each text: what its check compares with, tries, and recognises."""
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator, unit


def sentence_vectors(hidden: Tensor, mask: Tensor) -> Tensor:
    vectors = []
    for rows, real in zip(hidden, mask.tolist()):
        mine = [row for row, yes in zip(rows, real) if yes]
        if mine:
            mean = sum(mine) / len(mine)                                         # (C,)
            vectors.append(mean / sum(number ** 2 for number in mean).sqrt())
        else:
            vectors.append(torch.zeros(hidden.shape[-1]))
    return torch.stack(vectors)                                                  # (B, C)


def real(hidden: Tensor, mask: Tensor) -> Tensor:
    """0 where a text is filled up: (B, T, C)."""
    return hidden.masked_fill(~mask[..., None], 0.0)


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return real(hidden, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def first_places(hidden, mask):
    """Takes as many places as a text has tokens, from the left."""
    counts = mask.sum(dim=1, keepdim=True)
    return unit(mean(hidden, torch.arange(mask.shape[1]) < counts))


def first_token(hidden, mask):
    first = mask.int().argmax(dim=1)
    return unit(hidden[range(len(hidden)), first] * mask.any(dim=1, keepdim=True))


def last_token(hidden, mask):
    last = (mask * torch.arange(1, mask.shape[1] + 1)).argmax(dim=1)
    return unit(real(hidden, mask)[range(len(hidden)), last])


def largest(hidden, mask):
    return unit(hidden.masked_fill(~mask[..., None], -torch.inf).amax(dim=1).nan_to_num(neginf=0.0))


def draw_batches(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[True]])),
             (torch.tensor([[[5.0, 0.0], [1.0, 8.0], [9.0, 9.0]]]), torch.tensor([[True, True, False]])),
             (torch.tensor([[[7.0, 1.0], [0.0, 2.0]], [[4.0, 3.0], [1.0, -1.0]]]),
              torch.tensor([[False, True], [True, True]])),
             (torch.tensor([[[1.0, 2.0], [2.0, 4.0]], [[4.0, 3.0], [1.0, -1.0]]]),
              torch.tensor([[True, True], [False, False]])),
             (torch.tensor([[[2.0, 1.0], [torch.nan, 5.0]]]), torch.tensor([[True, False]]))]
    numbers = generator(draw)
    for B, T, C, odd in ((2, 3, 4, 0), (3, 5, 2, 0), (4, 3, 3, torch.inf), (3, 6, 5, 0), (2, 7, 4, torch.nan),
                         (5, 4, 6, 0), (6, 3, 4, 0)):
        hidden = torch.randn(B, T, C, generator=numbers) + 0.5                   # (B, T, C)
        lengths = torch.randint(1, T + 1, (B, 1), generator=numbers)             # (B, 1)
        lengths[0] = T
        mask = torch.arange(T) < lengths                                         # (B, T)
        mask[B // 2] = mask[B // 2].flip(0)                                      # filled up on the left
        if odd:
            hidden[~mask] = odd
        cases.append((hidden, mask))
    cases[-1][1][2] = False                                                      # a text without tokens
    return cases


def reads_the_padding(answer) -> str | None:
    numbers = torch.Generator().manual_seed(5)
    hidden = torch.randn(3, 4, 5, generator=numbers)
    mask = torch.tensor([[True, True, False, False], [True, False, False, False], [False, True, True, True]])
    before = answer(hidden, mask).detach()
    for filling in (0.0, 1000.0, torch.inf, torch.nan):
        after = answer(hidden.masked_fill(~mask[..., None], filling), mask).detach()
        if not torch.allclose(before, after, atol=1e-5):
            return f"filled up with {filling}, text {int((before != after).any(dim=1).nonzero()[0])} got another " \
                   "vector."
    return None


EXERCISE = Exercise(
    id="2.5", name="sentence_vectors", title="A batch from the real world", minutes=15,
    oracle=sentence_vectors, cases=draw_batches, gradients=(0,),
    mistakes=(
        Mistake(lambda hidden, mask: unit(hidden.mean(dim=1)),
                "You take the mean over all places, also those that only fill up. Leave these out: mask says which "
                "are real."),
        Mistake(lambda hidden, mask: unit((hidden * mask[..., None]).sum(dim=1)),
                "You multiply by 0 what fills up, but 0 * nan is nan, and so is 0 * inf. Put zeros there instead: "
                "masked_fill or torch.where."),
        Mistake(lambda hidden, mask: unit((hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)),
                "Two things give nan: 0 * nan or 0 * inf where a text is filled up (put zeros there with masked_fill "
                "or torch.where), and 0 / 0 for a text without tokens (clamp(min=1) below the line)."),
        Mistake(lambda hidden, mask: unit((hidden.masked_fill(hidden.isnan(), 0.0) * mask[..., None]).sum(dim=1)),
                "You look for nan alone, but infinity may stand there too, and 0 * inf is nan. Whatever it is, put a 0 "
                "where mask is False."),
        Mistake(lambda hidden, mask: unit(mean(hidden.detach(), mask)),
                "No gradient comes back to hidden: it ends at .detach(), .tolist() or torch.no_grad(). Stay with "
                "operations on tensors; torch.stack makes one tensor of several."),
        Mistake(lambda hidden, mask: unit(hidden.masked_fill(~mask, 0.0).sum(dim=1)),
                "If two sizes do not match: the mask is (B, T) and hidden is (B, T, C). Give the mask a last dimension "
                "of 1: mask[..., None]."),
        Mistake(lambda hidden, mask: unit(hidden[mask]),
                "Your hidden[mask] is one long list of the real tokens of all texts. Each text needs a vector of its "
                "own: put zeros where it is filled up and sum over dim=1, or go text by text."),
        Mistake(lambda hidden, mask: unit(mean(hidden[mask.any(dim=1)], mask[mask.any(dim=1)])),
                "You leave out the texts without tokens. The result has a row for each text, and theirs is all zeros."),
        Mistake(lambda hidden, mask: unit(hidden[mask].mean(dim=0)),
                "You make one vector for the whole batch. Each text has its own: only dim=1, its tokens, disappears."),
        Mistake(lambda hidden, mask: unit(real(hidden, mask).sum(dim=2)),
                "You add up the channels of each token. The tokens are dim=1: that is what must disappear."),
        Mistake(lambda hidden, mask: unit(hidden.masked_fill(~mask[..., None], -torch.inf).mean(dim=1)),
                "Minus infinity stands where a text is filled up, and the mean becomes minus infinity too. What adds "
                "nothing to a sum is 0."),
        Mistake(lambda hidden, mask: unit(mean(hidden, ~mask)),
                "You take the mean of what fills up: mask is True where a token is real."),
        Mistake(mean,
                "This is the mean. Divide each vector by its length, so that it becomes 1."),
        Mistake(lambda hidden, mask: unit(real(hidden, mask).sum(dim=1) / mask.sum(dim=1, keepdim=True)),
                "A text without tokens gives 0 / 0, which is nan: it has 0 tokens, and their sum has the length 0. "
                "Its vector is all zeros. Let no divisor be 0, as with clamp(min=1) and clamp(min=1e-9)."),
        Mistake(lambda hidden, mask: mean(unit(real(hidden, mask)), mask),
                "You give each token length 1 and then take the mean, which is shorter than 1. First the mean, then "
                "the length."),
        Mistake(lambda hidden, mask: unit(mean(unit(real(hidden, mask)), mask)),
                "You give each token length 1 before the mean, so that all count the same. First the mean, then the "
                "length."),
        Mistake(lambda hidden, mask: F.normalize(mean(hidden, mask), dim=0),
                "You divide by a length over the texts, so that each depends on the others. Each text's own vector "
                "gets length 1: dim=-1."),
        Mistake(lambda hidden, mask: mean(hidden, mask) / mean(hidden, mask).norm().clamp(min=1e-9),
                "A norm() without dim is one length for the whole batch. Each text's vector has its own: "
                "norm(dim=-1, keepdim=True)."),
        *(Mistake(lambda hidden, mask, total=total: total(hidden, mask) / total(hidden, mask).norm(dim=-1).clamp(1e-9),
                  "The lengths are (B,), and broadcasting lays them along the channels, or fails. Keep the dimension, "
                  "(B, 1): norm(dim=-1, keepdim=True).")
          for total in (mean, lambda hidden, mask: real(hidden, mask).sum(dim=1))),
        Mistake(lambda hidden, mask: mean(hidden, mask) / (mean(hidden, mask) ** 2).sum(-1, True).clamp(min=1e-9),
                "You divide by the square of the length: take the root of the sum of squares first."),
        Mistake(lambda hidden, mask: mean(hidden, mask) / mean(hidden, mask).sum(-1, True),
                "You divide by the sum of the numbers. The length is the root of the sum of their squares."),
        Mistake(first_places,
                "You count the real tokens and take as many from the left. Some texts are filled up on the left: take "
                "the places where mask is True."),
        Mistake(first_token, "You take the first token alone. The mean of all real tokens was asked for."),
        Mistake(last_token, "You take the last token alone. The mean of all real tokens was asked for."),
        Mistake(largest, "You take the largest number of each channel. The mean was asked for."),
    ),
    hints=("Which number times nan is not nan? None. So what fills up must be replaced before anything is added. And "
           "which two divisors can be 0?",
           "With hidden.masked_fill(~mask[..., None], 0.0), (B, T, C), zeros stand where a text is filled up; sum "
           "over dim=1. Divide by the sum's length, norm(dim=-1, keepdim=True).clamp(min=1e-9). The mean has the same "
           "direction, so no other divisor is needed."),
    properties=(Property("what fills a text up changes nothing", reads_the_padding),),
)
