"""Exercise 5e.2, packed and yet apart: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def packed_mask(texts: Tensor) -> Tensor:
    B, T = texts.shape
    mask = torch.zeros(B, T, T, dtype=torch.bool)
    for b in range(B):
        for i in range(T):
            for j in range(i + 1):
                same = texts[b, i] == texts[b, j]
                mask[b, i, j] = bool(same and texts[b, i] >= 0) or i == j
    return mask


def sees(rule: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """A mask from a rule for all pairs at once: texts of queries (B, T, 1) and keys (B, 1, T), places i and j."""
    def answer(texts):
        B, T = texts.shape
        i, j = torch.arange(T)[:, None], torch.arange(T)
        return rule(texts[:, :, None], texts[:, None, :], i, j).expand(B, T, T).clone()
    return answer


def right(q: Tensor, k: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return (j <= i) & (q == k) & (q >= 0) | (i == j)


def first_row_for_all(texts):
    return packed_mask(texts[:1]).repeat(len(texts), 1, 1)


def in_place(texts):
    mask = packed_mask(texts)
    texts[texts < 0] = 99
    return mask


def draw_rows(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[0, 1]]),), (torch.tensor([[0, 0, 1, 1, -1]]),), (torch.tensor([[0, 0, -1, -1]]),)]
    for B, T in ((2, 3), (1, 6), (3, 5), (2, 7), (4, 6), (3, 9), (2, 11)):
        rows, text = [], 0
        for _ in range(B):
            row: list[int] = []
            filled = draw.randint(0, 2)
            while len(row) < T - filled:
                row += [text] * min(draw.randint(1, 4), T - filled - len(row))
                text += 1
            rows.append(row + [-1] * filled)
        cases.append((torch.tensor(rows),))
    return cases


def leaks(answer) -> str | None:
    """What a query gets depends on its own text alone, and every query sees something."""
    numbers = generator(random.Random(3))
    texts = torch.tensor([[0, 0, 0, 1, 1, 2, -1, -1]])
    scores = torch.randn(8, 8, generator=numbers)
    seen = answer(texts)
    if seen.dtype != torch.bool or not bool(seen.any(dim=-1).all()):
        return "some query sees nothing, and a softmax over nothing is nan."
    weights = scores.masked_fill(~seen[0], -torch.inf).softmax(dim=-1)           # (T, T)
    alone = scores[3:5, 3:5].masked_fill(~torch.ones(2, 2).tril().bool(), -torch.inf).softmax(dim=-1)
    return None if torch.allclose(weights[3:5, 3:5], alone) else "the second text is read otherwise than by itself."


EXERCISE = Exercise(
    id="5e.2", name="packed_mask", title="Packed, and yet apart", minutes=20,
    oracle=packed_mask, cases=draw_rows,
    mistakes=(
        Mistake(sees(lambda q, k, i, j: j <= i),
                "This is the causal mask alone: a text still sees those packed before it. Compare the texts' numbers "
                "of query and key as well."),
        Mistake(sees(lambda q, k, i, j: (q == k) & (q >= 0) | (i == j)),
                "You keep the texts apart and leave the future open. Both conditions must hold: same text, and not "
                "ahead."),
        Mistake(sees(lambda q, k, i, j: (j >= i) & (q == k) & (q >= 0) | (i == j)),
                "Your triangle is the wrong one: each token sees what comes after it. Rows are queries; keys up to the "
                "query are seen, j <= i, or tril()."),
        Mistake(sees(lambda q, k, i, j: (j <= i) & (q == k)),
                "A filled place sees the filled places before it, since -1 equals -1. Each shall see itself alone."),
        Mistake(sees(lambda q, k, i, j: (j <= i) & (q == k) & (q >= 0)),
                "A filled place sees nothing at all. A softmax over nothing is nan, which spoils the whole batch: let "
                "it see itself."),
        Mistake(sees(lambda q, k, i, j: (j < i) & (q == k) & (q >= 0)),
                "A token does not see itself in your mask, and the first of each text sees nothing. Keep the diagonal: "
                "j <= i."),
        Mistake(sees(lambda q, k, i, j: (j < i) & (q == k) & (q >= 0) | (i == j) & (q < 0)),
                "Filled places see themselves, and the real ones do not. Every token sees itself: keep the whole "
                "diagonal."),
        Mistake(sees(lambda q, k, i, j: (j <= i) & (q == k) & (q >= 0) | (j <= i) & (q < 0)),
                "A filled place looks at the texts before it. It shall see itself alone: nothing of it is ever used."),
        Mistake(sees(lambda q, k, i, j: ~right(q, k, i, j)),
                "It is the wrong way round: True means that a query may look, as in PyTorch's attn_mask."),
        Mistake(sees(lambda q, k, i, j: (j <= i) & (k <= q) & (q >= 0) & (k >= 0) | (i == j)),
                "You allow texts with smaller numbers. Those are other texts, packed before: ==, not <=."),
        Mistake(first_row_for_all,
                "All rows get the mask of the first. Each row of the batch is packed differently: keep the dimension "
                "B, with texts[:, :, None] and texts[:, None, :]."),
        Mistake(lambda texts: packed_mask(texts).float().log(),
                "That is a mask to add to the scores. Asked for was the other form: bool, True where a query may "
                "look."),
        Mistake(lambda texts: packed_mask(texts)[:, None],
                "You added a dimension for the heads. The shape asked for is (B, T, T)."),
        Mistake(in_place,
                "You write into the texts that you were given. Make a new table, or work on a clone()."),
    ),
    hints=("Three tables of True and False, each for query i and key j: not ahead, same text, not filled. And one more "
           "thing for the filled places.",
           "With q = texts[:, :, None] and k = texts[:, None, :], (q == k) & (q >= 0) is (B, T, T). Join it by & with "
           "a lower triangle of ones, and by | with torch.eye(T).bool()."),
    properties=(Property("a text is read as if it stood alone", leaks),),
)
