"""Exercise 5.6, one detour out of several: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

Adapters = list[tuple[Tensor, Tensor, float]]


def join_adapters(adapters: Adapters, shares: list[float]) -> tuple[Tensor, Tensor]:
    rows, columns = [], []
    for (A, B, alpha), share in zip(adapters, shares):
        for i in range(len(A)):
            rows.append(A[i])
            columns.append(torch.stack([number * share * alpha / len(A) for number in B[:, i]]))
    return torch.stack(rows), torch.stack(columns).T.contiguous()


def joins(scale: Callable = lambda share, alpha, r, ranks: share * alpha / r, on_A: Callable = lambda factor: 1.0,
          on_B: Callable = lambda factor: factor) -> Callable:
    """join_adapters with another factor, or the factor in another place."""
    def answer(adapters, shares):
        ranks = [len(A) for A, _, _ in adapters]
        factors = [scale(share, alpha, len(A), ranks) for (A, _, alpha), share in zip(adapters, shares)]
        return (torch.cat([A * on_A(factor) for (A, _, _), factor in zip(adapters, factors)]),
                torch.cat([B * on_B(factor) for (_, B, _), factor in zip(adapters, factors)], dim=1))
    return answer


def adds(adapters, shares):
    """Adds the matrices, which brings A of one together with B of another."""
    return (sum(A for A, _, _ in adapters),
            sum(share * alpha / len(A) * B for (A, B, alpha), share in zip(adapters, shares)))


def adds_both_with_shares(adapters, shares):
    return (sum(share * A for (A, _, _), share in zip(adapters, shares)),
            sum(share * B for (_, B, _), share in zip(adapters, shares)))


def joined_wrongly(dim_A: int, dim_B: int) -> Callable:
    def answer(adapters, shares):
        scaled = [share * alpha / len(A) * B for (A, B, alpha), share in zip(adapters, shares)]
        return torch.cat([A for A, _, _ in adapters], dim=dim_A), torch.cat(scaled, dim=dim_B)
    return answer


def product(adapters, shares):
    A, B = join_adapters(adapters, shares)
    return B @ A


def by_svd(adapters, shares):
    U, S, V = torch.linalg.svd(product(adapters, shares), full_matrices=False)
    return V, U * S


def draw_adapters(draw: random.Random) -> list[tuple]:
    cases = [([(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]), 2.0)], [0.5]),
             ([(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]]), 2.0),
               (torch.tensor([[5.0, 6.0], [7.0, 8.0]]), torch.tensor([[9.0, 1.0]]), 8.0)], [1.0, -0.5])]
    numbers = generator(draw)
    for out, C, ranks in ((2, 3, (1, 1)), (3, 2, (2, 2)), (3, 3, (1, 2)), (2, 2, (1, 1)), (4, 5, (2, 2, 2)),
                          (5, 4, (1, 3, 2)), (6, 3, (4, 1)), (3, 7, (2, 5, 1, 3)), (8, 8, (4, 4)), (9, 6, (1, 2, 3))):
        adapters = [(torch.randn(r, C, generator=numbers), torch.randn(out, r, generator=numbers),
                     float(draw.choice((2, 4, 8, 16)))) for r in ranks]
        cases.append((adapters, [round(draw.uniform(-1, 1.5), 2) for _ in ranks]))
    return cases


def does_something_else(answer) -> str | None:
    numbers = torch.Generator().manual_seed(10)
    x, adapters = torch.randn(5, 6, generator=numbers), [
        (torch.randn(r, 6, generator=numbers), torch.randn(7, r, generator=numbers), 16.0) for r in (2, 4)]
    A, B = answer(adapters, [0.7, 0.3])
    apart = sum(share * alpha / len(a) * (x @ a.T @ b.T) for (a, b, alpha), share in zip(adapters, (0.7, 0.3)))
    change = float((x @ A.T @ B.T - apart).detach().abs().max())
    return None if change < 1e-3 else f"the joined detour and the two side by side differ by {change:.3g}."


EXERCISE = Exercise(
    id="5.6", name="join_adapters", title="One detour out of several", minutes=15,
    oracle=join_adapters, cases=draw_adapters,
    mistakes=(
        Mistake(adds,
                "You add the A's and the B's. Their product then also has A of one adapter with B of another; and "
                "where ranks differ, the shapes do. Put them behind each other: torch.cat."),
        Mistake(adds_both_with_shares,
                "You mix the A's and the B's, each by the shares. The product of two mixtures is no mixture of "
                "products. Put them behind each other: torch.cat."),
        Mistake(joined_wrongly(1, 1),
                "You join the A's side by side. Each is (r, in): the ranks add up, dim=0. The B's are (out, r), "
                "joined by dim=1."),
        Mistake(joined_wrongly(0, 0),
                "You put the B's below each other. Each is (out, r): the ranks add up, dim=1."),
        Mistake(joined_wrongly(1, 0),
                "You join the outer dimensions. A is (r, in) and B (out, r): r is what grows, dim=0 of A and dim=1 of "
                "B."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share),
                "Each adapter's own factor is missing, alpha / r. The joined one is added without a factor, so it "
                "belongs into B."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share * alpha),
                "You multiply by alpha. An adapter's factor is alpha / r, with its own rank r."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share * alpha / sum(ranks)),
                "You divide by the rank of the joined adapter. Each keeps the factor it was trained with, alpha / r, "
                "with its own rank."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share * alpha / ranks[0]),
                "You divide by the rank of the first adapter. Each has its own: A.shape[0]."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: alpha / r),
                "The shares are missing: how much of each adapter there shall be."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share * r / alpha),
                "Your factor is upside down: alpha / r."),
        Mistake(joins(scale=lambda share, alpha, r, ranks: share * alpha / r / len(ranks)),
                "You divide by the number of adapters. The shares say how much of each there is; they need not add up "
                "to 1."),
        Mistake(joins(on_A=lambda factor: factor),
                "A and B are both multiplied by the factor, so the product has it squared. B alone."),
        Mistake(joins(on_A=lambda factor: factor, on_B=lambda factor: 1.0),
                "The product is right, with the factor in A. Here it was asked for in B, so that A is as it was "
                "trained."),
        Mistake(lambda adapters, shares: join_adapters(adapters[::-1], shares[::-1]),
                "The order is turned round. The first adapter comes first."),
        Mistake(lambda adapters, shares: join_adapters(adapters, shares)[::-1],
                "A and B are swapped: return A, B."),
        Mistake(product,
                "This is the matrix itself, (out, in). Give its two factors: that is what keeps an adapter small."),
        Mistake(by_svd,
                "You take the matrix apart anew. Other factors of the same product: here the adapters' own were asked "
                "for, behind each other."),
    ),
    hints=("B @ A is a sum over the rank: column i of B with row i of A, for each i. What is the sum of two such sums?",
           "A is torch.cat of all A, dim=0: (r1 + r2 + ..., in). B is torch.cat of share * alpha / r * B, dim=1, with "
           "each adapter's own r, A.shape[0]."),
    properties=(Property("it does what the detours side by side do", does_something_else),),
)
