"""Exercise 2.4, take away what all share: what its check compares with, tries, and recognises."""
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

GAP = 1.25                                                    # how much stronger each main direction is than the next


def without_common(vectors: Tensor, k: int) -> Tensor:
    rows = vectors.double()
    rows = rows - sum(rows) / len(rows)                                          # (N, C)
    for _ in range(k):
        direction = strongest(rows)                                              # (C,)
        rows = torch.stack([row - (row @ direction) * direction for row in rows])
    return rows.float()


def strongest(rows: Tensor) -> Tensor:
    """The main direction, by turning any vector towards it again and again."""
    direction = rows[rows.norm(dim=1).argmax()]
    for _ in range(120):
        direction = (rows @ direction) @ rows                                    # (N,) @ (N, C) -> (C,)
        direction = direction / direction.norm().clamp(min=1e-30)
    return direction


def centred(vectors: Tensor) -> Tensor:
    return vectors - vectors.mean(dim=0)


def directions(rows: Tensor) -> Tensor:
    """All main directions, the strongest first: (min(N, C), C)."""
    return torch.linalg.svd(rows, full_matrices=False).Vh


def without(rows: Tensor, main: Tensor) -> Tensor:
    """What remains of rows (N, C) without their part along each direction of main (k, C)."""
    return rows - rows @ main.T @ main


def right(vectors: Tensor, k: int) -> Tensor:
    return without(centred(vectors), directions(centred(vectors))[:k])


def mean_afterwards(vectors, k):
    return centred(without(vectors, directions(vectors)[:k]))


def weakest(vectors, k):
    main = directions(centred(vectors))
    return without(centred(vectors), main[len(main) - k:])


def columns(vectors, k):
    main = torch.linalg.svd(centred(vectors), full_matrices=False).Vh
    return without(centred(vectors), main[:, :k].T if len(main) == vectors.shape[1] else main[:k])


def of_other_rows(vectors, k):
    rows = vectors - vectors.mean(dim=1, keepdim=True)
    return without(rows, directions(rows)[:k])


def strongest_after_each(vectors, k):
    """Looks anew after each step, and takes the second, then the third of what is left."""
    rows = centred(vectors)
    for i in range(k):
        rows = without(rows, directions(rows)[i:i + 1])
    return rows


def without_strength(vectors, k):
    U, _, Vh = torch.linalg.svd(centred(vectors), full_matrices=False)
    return centred(vectors) - U[:, :k] @ Vh[:k]


def number_for_all(vectors, k):
    rows = vectors - vectors.mean()
    return without(rows, directions(rows)[:k])


def of_rows_of_eigh(vectors, k):
    main = torch.linalg.eigh(centred(vectors).T @ centred(vectors)).eigenvectors
    return without(centred(vectors), main.flip(1)[:k])


def last_columns(vectors, k):
    """-k: takes all columns when k is 0."""
    main = torch.linalg.eigh(centred(vectors).T @ centred(vectors)).eigenvectors[:, -k:]
    return without(centred(vectors), main.T)


def one_part_for_all(vectors, k):
    rows = centred(vectors)
    for u in directions(rows)[:k]:
        rows = rows - (rows @ u) * u
    return rows


def first_numbers_away(vectors, k):
    rows = centred(vectors)
    rows[:, :k] = 0
    return rows


def of_other_rows_without_keepdim(vectors, k):
    rows = vectors - vectors.mean(dim=1)
    return without(rows, directions(rows)[:k])


def kept(vectors, k):
    main = directions(centred(vectors))[:k]
    return centred(vectors) @ main.T @ main


def of_equal_spread(vectors, k):
    rows = centred(vectors) / vectors.std(dim=0)
    return without(rows, directions(rows)[:k])


def draw_vectors(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[5.0, 3.0], [1.0, 0.0], [3.0, 0.0]]), 0),
             (torch.tensor([[14.0, 22.0], [22.0, 16.0], [10.0, 0.0], [2.0, 6.0]]), 1)]
    numbers = generator(draw)
    for N, C, k in ((5, 2, 1), (4, 3, 2), (6, 3, 1), (8, 4, 0), (4, 6, 1), (9, 4, 2), (5, 8, 3), (12, 5, 3),
                    (20, 6, 2), (7, 7, 4)):
        vectors = draw_cloud(numbers, N, C)
        while not clear(vectors, k):
            vectors = draw_cloud(numbers, N, C)
        cases.append((vectors, k))
    return cases


def draw_cloud(numbers: torch.Generator, N: int, C: int) -> Tensor:
    """Vectors that reach ever less far along C directions, and lie away from 0."""
    reach = 2 * 1.7 ** -torch.arange(C)                                          # (C,)
    turn = torch.linalg.qr(torch.randn(C, C, generator=numbers)).Q               # (C, C)  a rotation
    return torch.randn(N, C, generator=numbers) * reach @ turn + torch.randn(C, generator=numbers) * 3


def clear(vectors: Tensor, k: int) -> bool:
    """Whether each of the first k + 1 main directions is clearly stronger than the next."""
    strength = torch.linalg.svdvals(centred(vectors))
    return all(strength[i] > GAP * strength[i + 1] for i in range(min(k + 1, len(strength) - 1)))


def moved(answer) -> str | None:
    numbers = torch.Generator().manual_seed(4)
    vectors = torch.randn(9, 4, generator=numbers) * torch.tensor([5.0, 2.5, 1.2, 0.6])
    before, after = answer(vectors, 2), answer(vectors + torch.tensor([3.0, -8.0, 0.0, 5.0]), 2)
    worst = float((before - after).detach().abs().max())
    return f"the same vector was added to all, and a number changed by {worst:.3g}." if worst > 1e-3 else None


EXERCISE = Exercise(
    id="2.4", name="without_common", title="Take away what all share", minutes=20,
    oracle=without_common, cases=draw_vectors, tolerance=1e-4,
    mistakes=(
        Mistake(lambda vectors, k: without(vectors, directions(vectors)[:k]),
                "You do not subtract the mean. Subtract it first, and look for the directions in what is left."),
        Mistake(lambda vectors, k: without(vectors, directions(centred(vectors))[:k]),
                "You find the directions without the mean, but then take them away from the vectors with it. Subtract "
                "the mean once, and go on with what is left."),
        Mistake(lambda vectors, k: without(vectors, directions(centred(vectors))[:k]) - vectors.mean(dim=0),
                "The parts that you take away still have the mean in them. Subtract the mean once, and measure how far "
                "what is left reaches along each direction."),
        Mistake(lambda vectors, k: 2 * centred(vectors) - right(vectors, k),
                "You add the parts along the main directions. They are to go: subtract."),
        Mistake(lambda vectors, k: right(vectors, k) + vectors.mean(dim=0),
                "You put the mean back at the end. It is a part of what all share: leave it out."),
        Mistake(mean_afterwards,
                "You subtract the mean last, and by then it has turned the directions its own way. Subtract it first."),
        Mistake(of_other_rows,
                "You subtract from each vector the mean of its own numbers. The mean of all vectors is meant: dim=0 "
                "must disappear."),
        Mistake(of_other_rows_without_keepdim,
                "If two sizes do not match: mean(dim=1) is the mean of each vector's own numbers, (N,). The mean of "
                "all vectors is meant, (C,): dim=0 must disappear."),
        Mistake(number_for_all,
                "A mean() without dim is one number for everything. The mean of all vectors is a vector: "
                "mean(dim=0)."),
        Mistake(lambda vectors, k: centred(vectors),
                "Only the mean is gone. For each of the k main directions u, subtract (x @ u) * u from each vector x."),
        Mistake(lambda vectors, k: right(vectors, min(k, 1)),
                "One direction is gone, however large k is. Take the first k rows of Vh, or look for each next "
                "direction in what the last one left."),
        Mistake(lambda vectors, k: right(vectors, k + 1),
                "You take away one direction too many: with k = 0, none is to go."),
        Mistake(lambda vectors, k: without(centred(vectors), directions(centred(vectors))[k:k + 1]),
                "Vh[k] is a single row, the one after those that were meant. The first k are Vh[:k]."),
        Mistake(strongest_after_each,
                "Once a direction is gone, the next one is the strongest of what is left: row 0 again, not row i. Or "
                "find all with one svd, before the loop."),
        Mistake(one_part_for_all,
                "If two sizes do not match: x @ u is a number for each vector, (N,), and u is (C,). Give the numbers a "
                "dimension: (x @ u)[:, None] * u is (N, 1) * (C,) -> (N, C)."),
        Mistake(lambda vectors, k: centred(vectors) - centred(vectors) @ directions(centred(vectors))[:k]
                @ directions(centred(vectors))[:k].T,
                "If two shapes cannot be multiplied: with main (k, C), how far each vector reaches is x @ main.T, "
                "(N, k), and the part to subtract is that times main, (N, C)."),
        Mistake(without_strength,
                "U @ Vh lacks the singular values, which say how far the vectors reach. Multiply by S[:k] in between, "
                "or take x @ main.T instead of U."),
        Mistake(first_numbers_away,
                "You set the first k numbers of each vector to 0. A main direction may point anywhere between the "
                "axes: find it with svd."),
        Mistake(last_columns,
                "With k = 0, [:, -k:] takes all columns, as -0 is 0. Turn them round first, with .flip(1), and take "
                "[:, :k]."),
        Mistake(of_rows_of_eigh,
                "With eigh the directions are columns, the strongest last: take the last k columns."),
        Mistake(weakest,
                "You take away the k weakest directions. svd gives the strongest first; eigh gives it last."),
        Mistake(columns,
                "You take the columns of Vh, and its rows are the directions: Vh[:k]."),
        Mistake(kept,
                "This is what lies along the k directions, the part that was to go. Subtract it."),
        Mistake(lambda vectors, k: centred(vectors) - directions(centred(vectors))[:k].sum(dim=0),
                "You subtract the directions themselves, the same for all. From each vector x goes its own part along "
                "u: (x @ u) * u."),
        Mistake(lambda vectors, k: centred(vectors) @ directions(centred(vectors))[k:].T,
                "You return coordinates along the other directions. The vectors keep their C numbers: subtract from "
                "them, and do not turn them."),
        Mistake(of_equal_spread,
                "You divide by the spread of each number, which makes other directions the strongest. Subtract the "
                "mean, no more."),
        Mistake(lambda vectors, k: torch.nn.functional.normalize(right(vectors, k), dim=-1),
                "You give the vectors length 1 at the end. That was not asked for: how long they are left may matter "
                "to whoever uses them."),
    ),
    hints=("Do it for one direction u first: how much of a vector x lies along u is a single number, x @ u, and the "
           "part of x along u is that number times u.",
           "With x = vectors - vectors.mean(dim=0) and main = torch.linalg.svd(x, full_matrices=False).Vh[:k], "
           "x @ main.T is (N, k), how much lies along each; times main it is the part that must go, (N, C)."),
    properties=(Property("adding the same vector to all changes nothing", moved),),
)
