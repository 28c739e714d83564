"""Exercise 0b.1, how far is everything from everything?: what its check compares with, tries, and recognises."""
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def distances(a: Tensor, b: Tensor) -> Tensor:
    rows = []
    for one in a:
        rows.append(torch.stack([sum((one[d] - other[d]) ** 2 for d in range(len(one))) for other in b]))
    return torch.stack(rows)                                                     # (N, M)


def differences(a: Tensor, b: Tensor) -> Tensor:
    return a[:, None, :] - b[None, :, :]                                         # (N, M, D)


def draw_tables(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 1.0]])),
             (torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 2.0]]))]
    numbers = generator(draw)
    for N, M, D in ((3, 3, 2), (4, 1, 3), (1, 5, 2), (2, 4, 1), (3, 5, 4), (5, 4, 3), (4, 2, 6), (6, 3, 5)):
        cases.append((torch.randn(N, D, generator=numbers), torch.randn(M, D, generator=numbers)))
    return cases


def moved(answer) -> str | None:
    """Distances do not change when all points move alike."""
    numbers = torch.Generator().manual_seed(0)
    a, b = torch.randn(7, 3, generator=numbers), torch.randn(5, 3, generator=numbers)
    before, after = answer(a, b), answer(a + 2.0, b + 2.0)
    worst = float((before - after).detach().abs().max())
    return f"all points moved by 2.0, and a distance changed by {worst:.3g}." if worst > 1e-3 else None


EXERCISE = Exercise(
    id="0b.1", name="distances", title="How far is everything from everything?", minutes=15,
    oracle=distances, cases=draw_tables, gradients=(0, 1),
    mistakes=(
        Mistake(lambda a, b: ((a - b) ** 2).sum(dim=-1),
                "Your a - b pairs row 1 with row 1, row 2 with row 2, and stops where there are not equally many. "
                "Every row of a must meet every row of b: give a the shape (N, 1, D) and b the shape (1, M, D) first."),
        Mistake(lambda a, b: (differences(a, b) ** 2).sum(dim=1),
                "You add up over the rows of b: what is left is (N, D). The dimension that must disappear is D, "
                "the last: dim=-1."),
        Mistake(lambda a, b: (differences(b, a) ** 2).sum(dim=-1),
                "Rows and columns are swapped: result[n, m] belongs to row n of a and row m of b. The size-1 "
                "dimension goes after N in a, and before M in b."),
        Mistake(lambda a, b: (differences(a, b) ** 2).sum(dim=-1).sqrt(),
                "These are the distances themselves. Leave out the square root: what is nearest stays nearest, and "
                "the gradient of a square root at 0 is not finite."),
        Mistake(lambda a, b: (differences(a, b) ** 2).mean(dim=-1),
                "You take the mean over the D numbers. A distance grows with each of them: add up."),
        Mistake(lambda a, b: differences(a, b).sum(dim=-1),
                "You add up without squaring, so that +3 and -3 cancel and far points seem near."),
        Mistake(lambda a, b: differences(a, b).sum(dim=-1) ** 2,
                "You add up first and square the sum, so that +3 and -3 cancel and far points seem near. Square each "
                "difference, then add up."),
        Mistake(lambda a, b: differences(a, b).abs().sum(dim=-1),
                "You add up absolute values. That is a distance too (along the streets of a grid), but the squared one "
                "was asked for: ** 2 instead of abs."),
        Mistake(lambda a, b: a @ b.T,
                "The product a @ b.T holds the dot product of every row with every row: large for vectors that fit. "
                "You need how far they are apart: subtract, square, add up."),
    ),
    hints=("What shape has the table of all differences before you add up? It needs three dimensions: which row of a, "
           "which row of b, which number.",
           "With None in an index, a[:, None, :] is (N, 1, D) and b[None, :, :] is (1, M, D); their difference is "
           "(N, M, D). Square it and sum over dim=-1."),
    properties=(Property("distances stay when all points move alike", moved),),
)
