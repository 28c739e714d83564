"""Exercise 4.4, who spoke for this token: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator
from helpers.exercises.lesson_04.models import EPS, rms_norm


def contributions(parts: Tensor, gain: Tensor, table: Tensor, token: int, other: int) -> Tensor:
    N, C = parts.shape
    total = [sum(parts[n, c].item() for n in range(N)) for c in range(C)]
    size = math.sqrt(sum(number ** 2 for number in total) / C + EPS)
    result = torch.zeros(N)
    for n in range(N):
        for c in range(C):
            result[n] += parts[n, c] / size * gain[c] * (table[token, c] - table[other, c])
    return result


def size_of(x: Tensor) -> Tensor:
    """The root of the mean square: (..., C) to (..., 1)."""
    return (x.square().mean(dim=-1, keepdim=True) + EPS).sqrt()


def attributes(size: Callable = lambda parts: size_of(parts.sum(dim=0)),
               direction: Callable = lambda table, token, other: table[token] - table[other],
               gains: Callable = lambda gain: gain, change: Callable = lambda parts: parts,
               after: Callable = lambda result: result) -> Callable:
    """contributions with one thing other than it should be."""
    def answer(parts, gain, table, token, other):
        return after(change(parts) / size(parts) * gains(gain) @ direction(table, token, other))
    return answer


def by_lens(parts, gain, table, token, other):
    """What the lens shows after each addition: each sum divided by its own size."""
    return rms_norm(parts.cumsum(dim=0), gain) @ (table[token] - table[other])


def by_probabilities(parts, gain, table, token, other):
    chances = (parts / size_of(parts.sum(dim=0)) * gain @ table.T).softmax(dim=-1)             # (N, V)
    return chances[:, token] - chances[:, other]


def in_logits(parts, gain, table, token, other):
    logits = parts / size_of(parts.sum(dim=0)) * gain @ table.T                  # (N, V)
    return logits[:, token] - logits.mean(dim=-1)


def without_gain_of_other(parts, gain, table, token, other):
    return parts / size_of(parts.sum(dim=0)) @ (table[token] * gain - table[other])


def draw_parts(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
              0, 1)]
    numbers = generator(draw)
    for N, C, V in ((1, 3, 2), (2, 2, 3), (3, 4, 5), (4, 3, 4), (5, 5, 3), (3, 8, 6), (7, 6, 9), (9, 4, 7), (12, 10, 8),
                    (4, 5, 6)):
        parts = torch.randn(N, C, generator=numbers) * (0.002 if (N, C) in ((3, 4), (4, 5)) else 2.0)
        token, other = draw.sample(range(V), 2)
        cases.append((parts, torch.randn(C, generator=numbers), torch.randn(V, C, generator=numbers), token, other))
    return cases


def loses_votes(answer) -> str | None:
    numbers = torch.Generator().manual_seed(6)
    parts, gain, table = (torch.randn(*shape, generator=numbers) for shape in ((61, 16), (16,), (30, 16)))
    logits = rms_norm(parts.sum(dim=0), gain) @ table.T                          # (V,)
    for token, other in ((3, 8), (29, 0)):
        total, wanted = float(answer(parts, gain, table, token, other).sum()), float(logits[token] - logits[other])
        if abs(total - wanted) > 1e-3:
            return f"61 contributions add up to {total:.4f}, and the logits differ by {wanted:.4f}."
    return None


EXERCISE = Exercise(
    id="4.4", name="contributions", title="Who spoke for this token?", minutes=20,
    oracle=contributions, cases=draw_parts, tolerance=1e-4,
    mistakes=(
        Mistake(attributes(size=size_of),
                "You norm every part by itself, so that a short one speaks as loudly as a long one. The model norms "
                "their sum: all parts are divided by one and the same number."),
        Mistake(by_lens,
                "These are the sums up to each part, as the lens sees them. Each part's own contribution was asked "
                "for, divided by the size of the whole."),
        Mistake(attributes(after=lambda result: result.cumsum(dim=0)),
                "You add up as you go. Each part's own contribution was asked for."),
        Mistake(attributes(after=lambda result: result.sum()),
                "This is the difference of the logits, in one number. Say what each part gave to it: (N,)."),
        Mistake(attributes(size=lambda parts: 1.0),
                "The size is missing: the norm divides what leaves the last block by its root mean square."),
        Mistake(attributes(size=lambda parts: parts.sum(dim=0).norm()),
                "You divide by the length. RMSNorm divides by the root of the mean square, which is smaller by the "
                "root of C."),
        Mistake(attributes(size=lambda parts: size_of(parts.sum(dim=0)) ** 2),
                "The root is missing: you divide by the mean square."),
        Mistake(attributes(size=lambda parts: parts.sum(dim=0).square().mean().sqrt()),
                "The 1e-5 is missing. For short vectors it matters: it is added to the mean square, under the root."),
        Mistake(attributes(size=lambda parts: size_of(parts.mean(dim=0))),
                "You take the size of the mean of the parts. The stream is their sum."),
        Mistake(attributes(size=lambda parts: size_of(parts).sum(dim=0)),
                "You add up the sizes of the parts. The parts are added first; their sum has a size, and it is "
                "smaller, since they partly point against each other."),
        Mistake(attributes(size=lambda parts: size_of(parts[-1])),
                "You take the size of the last part. What leaves the last block is the sum of all."),
        Mistake(attributes(change=lambda parts: parts - parts.mean(dim=-1, keepdim=True)),
                "You take the mean away, as LayerNorm does. RMSNorm does not."),
        Mistake(attributes(gains=lambda gain: 1.0),
                "The gains are missing: the norm multiplies each channel by its own before the table reads it."),
        Mistake(without_gain_of_other,
                "Only the first token's vector meets the gains. They belong to the channels, whoever reads them."),
        Mistake(attributes(gains=lambda gain: gain.abs()),
                "You use the gains without their sign. A negative gain turns its channel round."),
        Mistake(attributes(direction=lambda table, token, other: table[other] - table[token]),
                "The sign is wrong: what speaks for `token` is above 0. It is table[token] - table[other]."),
        Mistake(attributes(direction=lambda table, token, other: table[token]),
                "This is the logit of `token` alone. What matters is by how much it beats the other: table[token] - "
                "table[other]."),
        Mistake(attributes(direction=lambda table, token, other: torch.nn.functional.normalize(
                    table[token] - table[other], dim=0)),
                "You bring the direction to length 1. A logit is a plain dot product."),
        Mistake(in_logits,
                "You compare with the mean of all tokens. Compare with one: `other`."),
        Mistake(by_probabilities,
                "These are probabilities. Contributions add up in logits, not after a softmax."),
        Mistake(attributes(after=lambda result: result / result.sum()),
                "You give shares of the whole. Give the contributions as they are, in logits."),
    ),
    hints=("Write down the difference of two logits, from the stream to the end. All of it is multiplying and adding, "
           "but for one number by which the norm divides: of what is that the size?",
           "The size is (parts.sum(dim=0).square().mean() + 1e-5).sqrt(), one number. The direction is gain * "
           "(table[token] - table[other]), (C,). Then parts / size @ direction is (N, C) @ (C,) -> (N,)."),
    properties=(Property("they add up to the difference of the logits", loses_votes),),
)
