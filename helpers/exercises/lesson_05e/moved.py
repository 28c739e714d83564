"""Exercise 5e.3, how far each head has moved: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def moved(before: Tensor, after: Tensor, real: Tensor) -> Tensor:
    B, H, T, _ = before.shape
    shares = []
    for h in range(H):
        total, queries = torch.tensor(0.0), 0
        for b in range(B):
            for i in range(T):
                if real[b, i]:
                    total = total + sum((before[b, h, i, j] - after[b, h, i, j]).abs() for j in range(T)) / 2
                    queries += 1
        shares.append(total / queries)
    return torch.stack(shares)                                                   # (H,)


def distances(before: Tensor, after: Tensor) -> Tensor:
    return (before - after).abs().sum(dim=-1) / 2                                # (B, H, T)


def over_real(each: Tensor, real: Tensor) -> Tensor:
    """Mean over the real queries: (B, H, T) to (H,)."""
    return (each * real[:, None]).sum(dim=(0, 2)) / real.sum()


def measured(measure: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """moved, with another distance (B, H, T)."""
    return lambda before, after, real: over_real(measure(before, after), real)


def text_by_text(before, after, real):
    each = (distances(before, after) * real[:, None]).sum(dim=-1) / real.sum(dim=-1)[:, None]    # (B, H)
    return each.mean(dim=0)


def of_mean_patterns(before, after, real):
    mean = [(part * real[:, None, :, None]).sum(dim=(0, 2)) / real.sum() for part in (before, after)]    # (H, T)
    return (mean[0] - mean[1]).abs().sum(dim=-1) / 2


def over_keys(before, after, real):
    """The distance of columns in place of rows."""
    return over_real((before - after).abs().sum(dim=-2) / 2, real)


def draw_patterns(draw: random.Random) -> list[tuple]:
    one = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]])                             # (1, 1, 2, 2)
    other = torch.tensor([[[[1.0, 0.0], [0.9, 0.1]]]])
    cases = [(one, other, torch.tensor([[True, True]]))]
    numbers = generator(draw)
    for B, H, T in ((1, 2, 3), (2, 1, 4), (2, 3, 4), (3, 2, 5), (4, 3, 3), (2, 4, 6), (5, 2, 4), (3, 5, 5)):
        ahead = torch.ones(T, T).triu(1).bool()
        before, after = (torch.randn(B, H, T, T, generator=numbers).mul(2).masked_fill(ahead, -torch.inf).softmax(-1)
                         for _ in range(2))
        lengths = torch.tensor([draw.randint(1, T) for _ in range(B)])
        cases.append((before, after, torch.arange(T) < lengths[:, None]))
    return cases


def bounds(answer) -> str | None:
    """Nothing has moved from itself, everything has where nothing is shared, and filled places do not matter."""
    pattern = torch.eye(4).expand(2, 3, 4, 4).clone()
    real = torch.tensor([[True, True, True, False], [True, True, False, False]])
    still, apart = (answer(pattern.clone(), other.clone(), real.clone()) for other in (pattern, pattern.roll(1, -1)))
    if still.abs().max() > 1e-6 or (apart - 1).abs().max() > 1e-5:
        return (f"a pattern is {float(still.max()):.3g} from itself and {float(apart.max()):.3g} from one that looks "
                "nowhere alike, expected 0 and 1.")
    noise = pattern.clone()
    noise[0, :, 3], noise[1, :, 2:] = 7.0, 7.0
    spoilt = answer(pattern.clone(), noise, real.clone())
    return None if spoilt.abs().max() < 1e-6 else (f"rows of filled places were changed, and the distance became "
                                                   f"{float(spoilt.max()):.3g}.")


EXERCISE = Exercise(
    id="5e.3", name="moved", title="How far each head has moved", minutes=20,
    oracle=moved, cases=draw_patterns, gradients=(0, 1),
    mistakes=(
        Mistake(measured(lambda p, q: (p - q).abs().sum(dim=-1)),
                "Twice too much: what is missing at one key is found at another, and you count both. Halve the sum."),
        Mistake(lambda p, q, real: distances(p, q).mean(dim=(0, 2)),
                "You average over filled places too. Add up over the real queries alone, and divide by how many there "
                "are."),
        Mistake(lambda p, q, real: (distances(p, q) * real[:, None]).mean(dim=(0, 2)),
                "The filled places add nothing to your sum, but you still divide by B * T, as if they did. Divide by "
                "real.sum()."),
        Mistake(text_by_text,
                "You take the mean of each text, then of the texts, so that a query in a short text weighs more. All "
                "real queries weigh alike: one sum, divided by one count."),
        Mistake(measured(lambda p, q: (p - q).abs().mean(dim=-1) / 2),
                "You take the mean over the keys. Each row is one whole unit of attention, whatever T is: add up."),
        Mistake(measured(lambda p, q: (p - q).abs().amax(dim=-1)),
                "You take the largest difference in each row. What moved is spread over many keys: add up all of it, "
                "and halve."),
        Mistake(measured(lambda p, q: (p - q).square().sum(dim=-1) / 2),
                "You square the differences. Total variation takes their absolute values."),
        Mistake(measured(lambda p, q: (p - q).square().sum(dim=-1).sqrt()),
                "That is the straight distance between two rows, by squares and a root. Total variation takes "
                "absolute values, and half of their sum."),
        Mistake(measured(lambda p, q: (p - q).sum(dim=-1).abs() / 2),
                "You add up before you take absolute values. Both rows add up to 1, so that the sum is always 0: abs "
                "first."),
        Mistake(of_mean_patterns,
                "You average the patterns first, and compare the means. What moves there and back again is lost: "
                "compare row by row, average at the end."),
        Mistake(over_keys,
                "You add up over the queries, dim=-2. A row is a query, and its weights over the keys, dim=-1, add up "
                "to 1."),
        Mistake(lambda p, q, real: over_real(distances(p, q), real).mean(),
                "You average over the heads too. Each head keeps its own number: the result is (H,)."),
        Mistake(lambda p, q, real: (distances(p, q) * real[:, None]).sum(dim=-1) / real.sum(dim=-1)[:, None],
                "You give a number for each text, (B, H). One for each head is asked for, over all texts: (H,)."),
        Mistake(lambda p, q, real: over_real(distances(p, q), real) * p.shape[1] / p.shape[1] / p.shape[1],
                "You divide by the number of heads as well. Each head is measured by itself: divide by real.sum()."),
    ),
    hints=("Per query first, with no mean at all: a table (B, H, T) of distances. Then think about which of these may "
           "enter the mean, and by what you divide.",
           "(before - after).abs().sum(dim=-1) / 2 is (B, H, T). Times real[:, None], summed over texts and queries, "
           "dim=(0, 2), and divided by real.sum()."),
    properties=(Property("0 from itself, 1 from a stranger, and filled places do not matter", bounds),),
)
