"""Exercise 3.4, turn neighbours: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import SLOPE_LOST, Exercise, Mistake, Property, generator


def rotate_pairs(x: Tensor, base: float) -> Tensor:
    D = x.shape[-1]
    rows = []
    for place, row in enumerate(x.unbind(-2)):                                   # row: (D,) or (H, D)
        turned = []
        for i in range(D // 2):
            a, b, angle = row[..., 2 * i], row[..., 2 * i + 1], place / base ** (2 * i / D)
            turned += [a * math.cos(angle) - b * math.sin(angle), b * math.cos(angle) + a * math.sin(angle)]
        rows.append(torch.stack(turned, dim=-1))
    return torch.stack(rows, dim=-2)


def neighbours(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 0::2], x[..., 1::2]                                            # (..., T, D/2) each


def side_by_side(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([a, b], dim=-1).flatten(-2)


def one_half_after_the_other(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], dim=-1)


def turn(a, b, cos, sin):
    return a * cos - b * sin, b * cos + a * sin


def rotates(first: int = 0, exponent=lambda i, D: 2 * i / D, take=neighbours, put=side_by_side, turn=turn,
            base_of=lambda base: base, length=lambda x: x.shape[-2], repeats: int = 1) -> Callable:
    """rotate_pairs with one thing other than it should be."""
    def answer(x, base):
        D = x.shape[-1]
        frequencies = 1 / base_of(base) ** exponent(torch.arange(D // 2), D)     # (D/2,)
        places = torch.arange(length(x)).repeat_interleave(repeats) + first
        angles = places[:, None] * frequencies                                   # (T, D/2)
        return put(*turn(*take(x), angles.cos(), angles.sin()))
    return answer


def one_after_the_other(x, base):
    """The second number of a pair is made from the first as it is after turning."""
    return rotates(turn=lambda a, b, cos, sin: (a * cos - b * sin, b * cos + (a * cos - b * sin) * sin))(x, base)


def cosines_in_halves(x, base):
    """The partners are right, and each cosine stands where halves would want it."""
    T, D = x.shape[-2:]
    angles = torch.arange(T)[:, None] / base ** (2 * torch.arange(D // 2) / D)   # (T, D/2)
    cos, sin = (torch.cat([part, part], dim=-1) for part in (angles.cos(), angles.sin()))      # (T, D)
    a, b = neighbours(x)
    return x * cos + side_by_side(-b, a) * sin


def without_a_column(x, base):
    """Divides the places, (T,), by the powers, (D/2,)."""
    T, D = x.shape[-2:]
    angles = torch.arange(T) / base ** (2 * torch.arange(D // 2) / D)
    return side_by_side(*turn(*neighbours(x), angles.cos(), angles.sin()))


def in_place(x, base):
    x.copy_(rotate_pairs(x, base))
    return x


def draw_vectors(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), 10.0),
             (torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]), 100.0)]
    numbers = generator(draw)
    for *heads, T, D, base in ((1, 4, 100.0), (3, 2, 50.0), (3, 6, 10.0), (2, 3, 4, 1000.0), (5, 8, 10000.0),
                               (4, 5, 6, 20.0), (3, 4, 2, 7.0), (9, 4, 10000.0), (2, 6, 8, 500.0), (3, 2, 4, 6, 30.0)):
        cases.append((torch.randn(*heads, T, D, generator=numbers), base))
    return cases


def depends_on_place(answer) -> str | None:
    """One query and one key at all places: scores at one distance are one number."""
    numbers = torch.Generator().manual_seed(4)
    q, k = (answer(torch.randn(1, 8, generator=numbers).repeat(60, 1), 10000.0).detach() for _ in range(2))    # (T, D)
    scores = q @ k.T                                                             # (T, T)
    for distance in (0, 1, 7, 30):
        low, high = (float(edge) for edge in scores.diagonal(-distance).aminmax())
        if high - low > 1e-3:
            return f"with {distance} tokens between the same two vectors, scores range from {low:.3f} to {high:.3f}."
    return None


def changes_length(answer) -> str | None:
    x = torch.randn(3, 50, 6, generator=torch.Generator().manual_seed(5))
    after, before = answer(x, 100.0).detach().norm(dim=-1), x.norm(dim=-1)       # (H, T)
    worst = float((after - before).abs().max())
    return f"a vector's length changed by {worst:.3g}." if worst > 1e-3 else None


EXERCISE = Exercise(
    id="3.4", name="rotate_pairs", title="Turn neighbours", minutes=20,
    oracle=rotate_pairs, cases=draw_vectors, gradients=(0,),
    mistakes=(
        Mistake(rotates(take=lambda x: x.chunk(2, dim=-1), put=one_half_after_the_other),
                "You turn the pairs of the lesson, i and i + D/2. Here neighbours are a pair, 0 and 1, 2 and 3: "
                "x[..., 0::2] holds the first of each, x[..., 1::2] the second."),
        Mistake(rotates(put=one_half_after_the_other),
                "The pairs are turned, and come out in two halves: all firsts, then all seconds. Put each beside its "
                "partner again: torch.stack([a, b], dim=-1), then flatten(-2)."),
        Mistake(rotates(put=lambda a, b: torch.stack([a, b], dim=-1)),
                "Your pairs are a dimension of their own, (..., D/2, 2). flatten(-2) puts them in one row again: "
                "(..., D)."),
        Mistake(rotates(take=lambda x: x.chunk(2, dim=-1)),
                "You take halves apart and put them together as neighbours, so numbers change their place. Take "
                "x[..., 0::2] and x[..., 1::2]."),
        Mistake(cosines_in_halves,
                "The partners are right, but the cosines stand in the order of halves: angles 0, 1, 0, 1. Neighbours "
                "share an angle, 0, 0, 1, 1: repeat_interleave(2, dim=-1) in place of cat."),
        Mistake(rotates(first=1),
                "Your first token is turned. It stands at place 0, where every angle is 0: arange(T), from 0."),
        Mistake(rotates(turn=lambda a, b, cos, sin: (a * cos + b * sin, b * cos - a * sin)),
                "You turn the other way round. (a, b) becomes (a cos - b sin, b cos + a sin): the minus belongs to the "
                "first."),
        Mistake(rotates(turn=lambda a, b, cos, sin: (a * cos + b * sin, b * cos + a * sin)),
                "Both of your numbers have a plus, which turns nothing and changes lengths: the first is "
                "a cos - b sin."),
        Mistake(rotates(turn=lambda a, b, cos, sin: (a * cos - b * sin, a * cos + b * sin)),
                "The second number is b cos + a sin: sine and cosine change their places there."),
        Mistake(rotates(put=lambda a, b: side_by_side(b, a)),
                "The two numbers of each pair come out in the wrong order: a cos - b sin first, then b cos + a sin."),
        Mistake(rotates(turn=lambda a, b, cos, sin: turn(a, b, sin, cos)),
                "Sine and cosine are mixed up: at place 0 the angle is 0, its cosine 1 and its sine 0, so a cos - "
                "b sin is a."),
        Mistake(one_after_the_other,
                "When you work out the second number, the first has already changed. That happens with x[..., 0::2] = "
                "...: a slice shows the numbers themselves. Work out both before you write either."),
        Mistake(rotates(exponent=lambda i, D: i / D),
                "Your pairs turn too fast: the exponent of pair i is 2i/D, and yours is i/D. With D = 4, pair 1 has "
                "1/2."),
        Mistake(rotates(exponent=lambda i, D: 4 * i / D),
                "You put the number's place, 2i, where the pair's number i belongs, so the exponent is doubled. Pair 1 "
                "holds numbers 2 and 3, and its exponent is 2/D."),
        Mistake(rotates(exponent=lambda i, D: -2 * i / D),
                "You multiply by the power instead of dividing, so later pairs turn faster. The angle is place / "
                "base ** (2i/D)."),
        Mistake(rotates(exponent=lambda i, D: 1 - 2 * (i + 1) / D),
                "Your pairs are in the wrong order: the first turns slowest. Pair 0 turns fastest, by 1 a place."),
        Mistake(rotates(exponent=lambda i, D: i / D, take=lambda x: x.chunk(2, dim=-1), put=one_half_after_the_other),
                "Two things: you turn i and i + D/2 as a pair, where neighbours were asked for, and the exponent of "
                "pair i is 2i/D, not i/D."),
        Mistake(lambda x, base: rotate_pairs(x.double(), base),
                "Your angles are of dtype float64, and so is all that they meet. Leave them float32, or end on "
                ".to(x.dtype)."),
        Mistake(rotates(exponent=lambda i, D: 0.0 * i),
                "All of your pairs turn by the same angle. Only pair 0 turns by 1 a place; pair i by "
                "1 / base ** (2i/D)."),
        Mistake(rotates(base_of=lambda base: 10000.0),
                "You use the base 10,000 whatever is given: use the argument base."),
        Mistake(rotates(length=lambda x: x.shape[0]),
                "If it works for (T, D) and not for (H, T, D): the first dimension is then H. Count from the back: "
                "T = x.shape[-2], and the pairs are x[..., 0::2] and x[..., 1::2]."),
        Mistake(rotates(take=lambda x: (x[0::2], x[1::2])),
                "With x[0::2] you take every other token. The pairs lie in the last dimension: x[..., 0::2]."),
        Mistake(without_a_column,
                "Places, (T,), and pairs, (D/2,), must make a table: torch.arange(T)[:, None] is (T, 1), and gives "
                "(T, D/2) with the powers."),
        Mistake(rotates(length=lambda x: 1, first=1),
                "All tokens turn alike: the place is missing from the angle. It is place / base ** (2i/D)."),
        Mistake(rotates(length=lambda x: 1),
                "Nothing is turned: every token has the place 0. The places are torch.arange(T), one for each row."),
        Mistake(lambda x, base: x + (rotate_pairs(x, base) - x).detach(), SLOPE_LOST),
        Mistake(in_place,
                "You write into the vectors that you were given. Build new ones, or work on x.clone()."),
    ),
    hints=("Take the lesson's turn: angles, sines and cosines stay as they are, (T, D/2). Only two lines change: how "
           "the pairs are taken apart, and how they are put together.",
           "Take a, b = x[..., 0::2], x[..., 1::2], each (..., T, D/2). Turn: a cos - b sin and b cos + a sin. Then "
           "torch.stack([..., ...], dim=-1) makes (..., T, D/2, 2), and flatten(-2) puts partners side by side."),
    properties=(Property("scores depend on the distance alone", depends_on_place),
                Property("no vector changes its length", changes_length)),
)
