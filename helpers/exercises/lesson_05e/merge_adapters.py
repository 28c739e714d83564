"""Exercise 5e.4, several adapters in one matrix: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

Adapter = tuple[Tensor, Tensor, float]


def merge_adapters(weight: Tensor, adapters: list[Adapter]) -> Tensor:
    rows = []
    for o in range(weight.shape[0]):
        row = []
        for i in range(weight.shape[1]):
            number = weight[o, i]
            for A, B, alpha in adapters:
                rank = A.shape[0]
                number = number + alpha / rank * sum(B[o, r] * A[r, i] for r in range(rank))
            row.append(number)
        rows.append(torch.stack(row))
    return torch.stack(rows)                                                     # (out, in)


def scaled(scale: Callable[[Tensor, Tensor, float], float]) -> Callable:
    """merge_adapters, with another scale."""
    def answer(weight, adapters):
        return weight + sum(scale(A, B, alpha) * (B @ A) for A, B, alpha in adapters)
    return answer


def right(A: Tensor, B: Tensor, alpha: float) -> float:
    return alpha / A.shape[0]


def one_scale(weight, adapters):
    """The scale of the first adapter for all."""
    return weight + sum(right(*adapters[0]) * (B @ A) for A, B, _ in adapters) if adapters else weight + 0


def as_one(weight, adapters):
    """Puts them side by side, and scales by the sum of alphas over the sum of ranks."""
    if not adapters:
        return weight + 0
    A, B = torch.cat([A for A, _, _ in adapters]), torch.cat([B for _, B, _ in adapters], dim=1)
    return weight + sum(alpha for *_, alpha in adapters) / len(A) * (B @ A)


def mean_of_all(weight, adapters):
    return weight + (merge_adapters(weight, adapters) - weight) / max(1, len(adapters))


def in_place(weight, adapters):
    weight.copy_(merge_adapters(weight, adapters))
    return weight


def compounded(weight, adapters):
    """Applies each adapter to what the one before has made, as if it were a factor."""
    for A, B, alpha in adapters:
        weight = weight + alpha / A.shape[0] * (B @ A) * weight
    return weight


def draw_adapters(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 2.0]]), [(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0]]), 0.5)]),
             (torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]),
              [(torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), 4.0)])]
    numbers = generator(draw)
    for out, into, ranks in ((2, 3, (1,)), (3, 2, ()), (3, 4, (2, 1)), (5, 3, (2, 2)), (4, 4, (1, 3)), (4, 6, (3,)),
                             (6, 5, (1, 2, 4)), (5, 7, (2, 3)), (7, 4, (4, 1, 1, 2))):
        adapters = [(torch.randn(rank, into, generator=numbers), torch.randn(out, rank, generator=numbers),
                     draw.choice((0.5, 1.0, 2.0, 8.0, 16.0))) for rank in ranks]
        cases.append((torch.randn(out, into, generator=numbers), adapters))
    return cases


def differs(answer) -> str | None:
    """The merged matrix does what the frozen one and its detours do."""
    numbers = torch.Generator().manual_seed(5)
    weight, x = torch.randn(4, 6, generator=numbers), torch.randn(3, 6, generator=numbers)
    adapters = [(torch.randn(rank, 6, generator=numbers), torch.randn(4, rank, generator=numbers), 3.0)
                for rank in (1, 2)]
    beside = x @ weight.T + sum(alpha / len(A) * (x @ A.T @ B.T) for A, B, alpha in adapters)
    worst = float((x @ answer(weight, adapters).T - beside).detach().abs().max())
    return None if worst < 1e-3 else f"what it gives for three vectors lies {worst:.3g} from the detours' answer."


EXERCISE = Exercise(
    id="5e.4", name="merge_adapters", title="Several adapters in one matrix", minutes=15,
    oracle=merge_adapters, cases=draw_adapters, gradients=(0,),
    mistakes=(
        Mistake(scaled(lambda A, B, alpha: alpha),
                "The scale is alpha / rank, not alpha: an adapter of a higher rank adds up more directions, each less "
                "loud."),
        Mistake(scaled(lambda A, B, alpha: 1.0),
                "Your adapters have no scale. Each is multiplied by its own alpha / rank."),
        Mistake(scaled(lambda A, B, alpha: alpha / A.shape[1]),
                "You divide alpha by the number of columns. The rank is what lies between A and B: A.shape[0], or "
                "B.shape[1]."),
        Mistake(scaled(lambda A, B, alpha: alpha / B.shape[0]),
                "You divide alpha by the number of rows. The rank is what lies between A and B: A.shape[0], or "
                "B.shape[1]."),
        Mistake(scaled(lambda A, B, alpha: A.shape[0] / alpha),
                "The scale is upside down: alpha / rank, not rank / alpha."),
        Mistake(scaled(lambda A, B, alpha: -alpha / A.shape[0]),
                "You subtract. That takes an adapter out of a merged matrix; merging adds."),
        Mistake(lambda weight, adapters: merge_adapters(weight, adapters[-1:]),
                "The last adapter alone is merged. Each adds to what the ones before have made: += in the loop, or a "
                "sum."),
        Mistake(lambda weight, adapters: merge_adapters(weight, adapters[:1]),
                "The first adapter alone is merged. Is the return inside the loop?"),
        Mistake(lambda weight, adapters: merge_adapters(weight, adapters) - weight,
                "The frozen matrix itself is missing: begin with weight, and add to it."),
        Mistake(one_scale,
                "All adapters get the scale of the first. Each has its own alpha and its own rank."),
        Mistake(as_one,
                "Put side by side they may have one product, but not one scale: multiply each B by its own "
                "alpha / rank first."),
        Mistake(mean_of_all,
                "You take the mean of the adapters. They are added, each with its own scale."),
        Mistake(in_place,
                "You write into the matrix that you were given: +=, or a name that ends in an underscore. The frozen "
                "matrix must stay for other adapters: begin with a clone()."),
        Mistake(compounded,
                "You multiply the product by the matrix. The detour is added beside it, and does not read it."),
        Mistake(lambda weight, adapters: weight + sum(right(A, B, alpha) * (A.T @ B.T) for A, B, alpha in adapters),
                "A.T @ B.T is the transpose of what you need: (in, out). The matrix is (out, in), as nn.Linear keeps "
                "it: B @ A."),
        Mistake(lambda weight, adapters: weight + sum(right(A, B, alpha) * (A @ B) for A, B, alpha in adapters),
                "If two sizes do not match: A is (rank, in) and B is (out, rank), so the product of the two is B @ A."),
    ),
    hints=("For one adapter the lesson has the line. What is the rank, if nobody tells you? And which matrix must not "
           "be changed?",
           "Begin with weight.clone(). For each A, B, alpha add alpha / A.shape[0] * B @ A, and give the sum back."),
    properties=(Property("it does what the detours did", differs),),
)
