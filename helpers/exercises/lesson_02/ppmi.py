"""Exercise 2.2, from counts to surprise: what its check compares with, tries, and recognises."""
import math
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def ppmi(counts: Tensor) -> Tensor:
    table = counts.tolist()
    total, result = sum(map(sum, table)), torch.zeros(counts.shape)
    for w, row in enumerate(table):
        for c, together in enumerate(row):
            if together > 0:
                p, p_w, p_c = together / total, sum(row) / total, sum(other[c] for other in table) / total
                result[w, c] = max(0.0, math.log(p / (p_w * p_c)))
    return result                                                                # (V, W)


def ratio(counts: Tensor, smoothing: float = 0.0) -> Tensor:
    """p(w, c) / (p(w) p(c)): (V, W), nan where a row or a column is empty."""
    p = counts / counts.sum()
    return (p + smoothing) / (p.sum(dim=1, keepdim=True) * p.sum(dim=0) + smoothing)


def filled(result: Tensor) -> Tensor:
    """0 where a number is none, or the logarithm of 0."""
    return result.masked_fill(result.isnan() | result.isneginf(), 0.0)


def floored(logarithms: Tensor) -> Tensor:
    return filled(logarithms).clamp(min=0)


def logarithm_of_0(counts):
    table = counts.tolist()
    total, result = sum(map(sum, table)), torch.zeros(counts.shape)
    for w, row in enumerate(table):
        for c, together in enumerate(row):
            chance = sum(row) * sum(other[c] for other in table) / total
            result[w, c] = max(0.0, math.log(together / chance))
    return result


def shares_first(counts):
    """Divides by the total before it looks whether there is anything."""
    if not counts.any():
        raise ZeroDivisionError("float division by zero")
    return ppmi(counts)


def in_place(counts):
    counts /= counts.sum()
    return floored(ratio(counts).log()).masked_fill(counts.isnan(), torch.nan)


def difference_to_chance(counts):
    p = counts / counts.sum()
    return (p - p.sum(dim=1, keepdim=True) * p.sum(dim=0)).clamp(min=0)


def by_rows_alone(counts):
    p = counts / counts.sum()
    p_w = p.sum(dim=1)                                                           # (V,)
    return floored((p / (p_w[:, None] * p_w)).log())


def by_columns_alone(counts):
    p = counts / counts.sum()
    return floored((p / (p.sum(dim=0, keepdim=True) * p.sum(dim=0))).log())


def by_dot_product(counts):
    p = counts / counts.sum()
    return floored((p / (p.sum(dim=1) @ p.sum(dim=0))).log())


def without_keepdim(counts):
    p = counts / counts.sum()
    return floored((p / (p.sum(dim=1) * p.sum(dim=0))).log())


def sides_swapped(counts):
    p = counts / counts.sum()
    return floored((p / (p.sum(dim=0)[:, None] * p.sum(dim=1))).log())


def draw_counts(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[4.0, 0.0], [1.0, 5.0]]),), (torch.tensor([[1.0, 3.0, 0.0]]),), (torch.zeros(2, 3),),
             (torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 3.0]]),),
             (torch.tensor([[1.0, 0.0], [0.0, 999_999.0]]),),
             (torch.tensor([[6.0, 1.0, 0.0], [2.0, 8.0, 1.0], [5.0, 0.0, 4.0]]),)]
    numbers = generator(draw)
    for V, W, most, empty in ((2, 5, 4, False), (4, 3, 9, True), (5, 5, 6, False), (3, 7, 50, True), (6, 4, 900, False),
                              (8, 8, 3, True), (7, 9, 5, False)):
        counts = (torch.rand(V, W, generator=numbers) ** 3 * (most + 1)).floor()             # many are 0
        counts[0, 0] += 1
        if empty:
            counts[V // 2] = 0
            counts[:, -1] = 0
        cases.append((counts,))
    return cases


def changed_by_more_text(answer) -> str | None:
    counts = torch.tensor([[6.0, 1.0, 0.0, 2.0], [2.0, 8.0, 1.0, 0.0]])
    before, after = answer(counts), answer(counts * 10)
    worst = float((before - after).detach().abs().max())
    return f"all counts grew tenfold, and a number changed by {worst:.3g}." if worst > 1e-4 else None


def surprised_by_chance(answer) -> str | None:
    counts = torch.tensor([[1.0], [4.0], [5.0]]) * torch.tensor([2.0, 3.0, 7.0, 8.0])
    worst = float(answer(counts).detach().abs().max())
    return f"each row of the counts is a multiple of the first, and a number is {worst:.3g}, expected 0." \
        if worst > 1e-4 else None


EPSILON = ("You add a small number above or below the line, which is not small beside a rare pair: two words that "
           "occur once in a million have p(w) p(c) = 1e-12. Divide without it, and put 0 where the count is 0.")

EXERCISE = Exercise(
    id="2.2", name="ppmi", title="Words by counting", minutes=20,
    oracle=ppmi, cases=draw_counts,
    mistakes=(
        Mistake(lambda counts: ratio(counts).log().clamp(min=0),
                "0 / 0 is nan, and no clamp removes it: a word that never occurs has p(w) = 0. Where the count is 0, "
                "write 0 (torch.where, masked_fill, or an if)."),
        Mistake(lambda counts: ratio(counts).log(),
                "The log of 0 is minus infinity. Where the count is 0 the result is 0, and so is all that is below 0."),
        Mistake(lambda counts: ratio(counts).log().nan_to_num(0.0),
                "For minus infinity, nan_to_num writes the lowest float there is. What is below 0 becomes 0: "
                "clamp(min=0)."),
        Mistake(logarithm_of_0,
                "For math.log, 0 lies outside of its domain, and nothing can be divided by a chance of 0. Where the "
                "count is 0, leave the 0 of a new table and go on."),
        Mistake(lambda counts: math.log(ratio(counts)),
                "If math.log stops: it takes one number. For all of a tensor there is its own method, (...).log()."),
        Mistake(shares_first,
                "All of a table may be 0, and nothing can be divided by a total of 0. Return zeros then, or divide "
                "only where there is a count."),
        Mistake(in_place,
                "Your counts /= ... changes the table of whoever called you, and makes nan of an empty one. Make a new "
                "one: p = counts / counts.sum()."),
        Mistake(lambda counts: filled(ratio(counts).log()),
                "What is below 0 must become 0: clamp(min=0). A pair that is rarer than chance says little in a small "
                "text."),
        Mistake(lambda counts: filled(ratio(counts).log()).abs(),
                "You take the absolute value: a pair that is rarer than chance would count as much as one that is "
                "more frequent. What is below 0 becomes 0: clamp(min=0)."),
        Mistake(lambda counts: floored(-ratio(counts).log().masked_fill(counts == 0, 0.0)),
                "Your quotient stands on its head: what is rarer than chance is above 0. p(w, c) belongs on top."),
        Mistake(lambda counts: floored(ratio(counts).log() * counts / counts.sum()),
                "You multiply each logarithm by p(w, c). That is a step towards a mean over all pairs; here each pair "
                "keeps its own logarithm."),
        Mistake(difference_to_chance,
                "You subtract what chance would give, so that rare pairs hardly count. Divide by it, and take the "
                "logarithm."),
        Mistake(lambda counts: filled(ratio(counts)), "This is the quotient. Take its logarithm, then the floor at 0."),
        Mistake(lambda counts: floored(ratio(counts).log2()),
                "These are bits: the logarithm to base 2. Use the natural one, torch.log."),
        Mistake(lambda counts: floored((ratio(counts) + 1).log()),
                "With log(x + 1), chance no longer gives 0. Take the logarithm of the quotient itself."),
        Mistake(lambda counts: floored(ratio(counts + 1).log()),
                "You add 1 to every count, which makes pairs of words that never met. Take the counts as they are, and "
                "write 0 where one is 0."),
        *(Mistake(lambda counts, small=small: floored(ratio(counts, small).log()), EPSILON)
          for small in (1e-6, 1e-8, 1e-9, 1e-10, 1e-12)),
        Mistake(lambda counts: torch.zeros_like(counts),
                "All of it is 0. A probability is at most 1, and so is p(w, c) / p(w): their logarithms are never "
                "above 0. Divide by p(w) and by p(c). And if you work with counts, multiply by their total once."),
        Mistake(by_rows_alone,
                "You use the rows' sums for both. p(w) comes from the sum of a row, p(c) from the sum of a column: a "
                "table need not be the same on both sides of its diagonal, nor square."),
        Mistake(by_columns_alone,
                "You use the columns' sums for both. p(w) comes from the sum of a row, where dim=1 disappears: "
                "p.sum(dim=1, keepdim=True)."),
        Mistake(by_dot_product,
                "With @, two vectors give one number, their dot product, or fail. Each row's sum times each column's "
                "is a table: (V, 1) * (W,) -> (V, W)."),
        Mistake(without_keepdim,
                "Your p(w) has the shape (V,), so broadcasting lays it along the columns, or fails. It belongs to the "
                "rows: sum with keepdim=True, (V, 1)."),
        Mistake(sides_swapped,
                "The two sums are swapped: dim=1 disappears when you add up a row, which gives p(w); dim=0 when you "
                "add up a column, which gives p(c)."),
    ),
    hints=("How often would the two stand together if neither cared about the other? Compare that with how often they "
           "do.",
           "With p = counts / counts.sum(), expected = p.sum(dim=1, keepdim=True) * p.sum(dim=0), which is (V, 1) * "
           "(W,) -> (V, W). Take log(p / expected), write 0 where the count is 0, then clamp(min=0)."),
    properties=(Property("ten times as much of the same text changes nothing", changed_by_more_text),
                Property("pairs that are as frequent as chance get 0", surprised_by_chance)),
)
