"""Exercise 7.2, said once, said often: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def presence_frequency(logits: Tensor, ids: Tensor, presence: float, frequency: float) -> Tensor:
    lowered = logits.tolist()
    for row, written in zip(lowered, ids.tolist()):
        for token in range(len(row)):
            count = sum(one == token for one in written)
            if count > 0:
                row[token] -= presence
            row[token] -= frequency * count
    return torch.tensor(lowered)                                                 # (B, V)


def how_often(ids: Tensor, V: int) -> Tensor:
    """How often each token occurs in each row: (B, T) to (B, V)."""
    return F.one_hot(ids, V).sum(dim=1)


def lowers(penalty: Callable = lambda count, presence, frequency: presence * (count > 0) + frequency * count,
           counts: Callable = how_often, apply: Callable = lambda logits, penalty: logits - penalty) -> Callable:
    """presence_frequency with one thing other than it should be."""
    def answer(logits, ids, presence, frequency):
        return apply(logits, penalty(counts(ids, logits.shape[1]), presence, frequency))
    return answer


def in_all_rows(ids, V):
    return how_often(ids, V).sum(dim=0)


def without_the_last(ids, V):
    return how_often(ids[:, :-1], V)


def the_last_alone(ids, V):
    return how_often(ids[:, -1:], V)


def different_in_a_row(ids, V):
    """Counts a token anew where another stood before it."""
    fresh = torch.cat([torch.ones_like(ids[:, :1]), (ids[:, 1:] != ids[:, :-1]).long()], dim=1)          # (B, T)
    return (F.one_hot(ids, V) * fresh[..., None]).sum(dim=1)


def as_ctrl_does(logits, penalty):
    lowered = torch.where(logits > 0, logits / (1 + penalty), logits * (1 + penalty))
    return torch.where(penalty == 0, logits, lowered)


def of_probabilities(logits, penalty):
    return (logits.softmax(dim=-1) - penalty).clamp(min=1e-9).log()


def in_place(logits, ids, presence, frequency):
    count = how_often(ids, logits.shape[1])
    logits -= presence * (count > 0) + frequency * count
    return logits


def draw_rows(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[2.0, 1.0, 0.5]]), torch.tensor([[1]]), 0.5, 0.25),
             (torch.tensor([[2.0, 1.0, 0.5, -1.0]]), torch.tensor([[0, 3, 0, 0]]), 0.5, 0.25),
             (torch.tensor([[2.0, 1.0], [-1.0, 3.0]]), torch.tensor([[0, 0, 0], [1, 0, 1]]), 1.0, 0.0),
             (torch.tensor([[0.5, -1.0, 2.0]]), torch.zeros(1, 0, dtype=torch.long), 0.7, 0.3)]
    numbers = generator(draw)
    for B, T, V, presence, frequency in ((1, 4, 5, 0.6, 0.0), (2, 3, 4, 0.0, 0.5), (3, 5, 4, 0.4, 0.7),
                                         (2, 7, 6, -0.5, 0.2), (4, 6, 7, 0.3, -0.6), (3, 9, 8, 1.5, 0.1),
                                         (5, 8, 3, 0.2, 2.0), (2, 12, 10, -1.0, -0.3)):
        cases.append((torch.randn(B, V, generator=numbers) * 2, torch.randint(V, (B, T), generator=numbers),
                      presence, frequency))
    return cases


def minds_order(answer) -> str | None:
    numbers = torch.Generator().manual_seed(3)
    logits, ids = torch.randn(2, 6, generator=numbers), torch.randint(6, (2, 9), generator=numbers)
    gap = float((answer(logits.clone(), ids.clone(), 0.4, 0.3) - answer(logits.clone(), ids.flip(1), 0.4, 0.3))
                .detach().abs().max())
    return None if gap < 1e-5 else f"the tokens were turned round, and a logit changed by {gap:.3g}."


EXERCISE = Exercise(
    id="7.2", name="presence_frequency", title="Said once, said often", minutes=10,
    oracle=presence_frequency, cases=draw_rows,
    mistakes=(
        Mistake(lowers(lambda count, presence, frequency: (presence + frequency) * (count > 0)),
                "You count each token once, and frequency is for every time. With logits[row, ids] -= frequency, a "
                "place that stands in ids three times is still lowered once. F.one_hot(...).sum(dim=1) counts."),
        Mistake(lowers(lambda count, presence, frequency: (presence + frequency) * count),
                "You subtract presence for every time. It is for having occurred at all: once, however often."),
        Mistake(lowers(lambda count, presence, frequency: frequency * (count > 0) + presence * count),
                "The two are swapped: presence is subtracted once, frequency for every time."),
        Mistake(lowers(lambda count, presence, frequency: frequency * count),
                "Presence is missing: it is subtracted once from every token that occurred."),
        Mistake(lowers(lambda count, presence, frequency: presence * (count > 0)),
                "Frequency is missing: it is subtracted for every time that a token occurred."),
        Mistake(lowers(lambda count, presence, frequency: presence + frequency * count),
                "You subtract presence from all tokens, which changes nothing: softmax sees differences alone. Only "
                "those that occurred pay it: count > 0."),
        Mistake(lowers(lambda count, presence, frequency: presence * (count > 1) + frequency * count),
                "You let the first time pass. Presence is subtracted as soon as a token has occurred once: count > 0."),
        Mistake(lowers(lambda count, presence, frequency: presence * (count > 0)
                       + frequency * (count - 1).clamp(min=0)),
                "Your frequency begins with the second time. It is for every time, the first as well: frequency * "
                "count."),
        Mistake(lowers(lambda count, presence, frequency: presence * (count > 0) + frequency * count
                       / count.sum(dim=1, keepdim=True).clamp(min=1)),
                "You take the share of the tokens. It is the number of times, whatever the length of the text."),
        Mistake(lowers(lambda count, presence, frequency: max(presence, 0) * (count > 0) + max(frequency, 0) * count),
                "You cut off what is below 0. A number below 0 makes repetition likelier, and may be asked for."),
        Mistake(lowers(lambda count, presence, frequency: abs(presence) * (count > 0) + abs(frequency) * count),
                "You take the absolute value. A number below 0 makes repetition likelier, and may be asked for."),
        Mistake(lowers(counts=in_all_rows),
                "You count in all rows together. Each row is a text of its own: (B, V) counts."),
        Mistake(lowers(counts=without_the_last),
                "The last token is missing from your counts. ids holds what has been written, all of it."),
        Mistake(lowers(counts=the_last_alone),
                "You count the last token alone. All that was written counts, however long ago."),
        Mistake(lowers(counts=different_in_a_row),
                "A token that follows itself is counted once. Every time counts, whatever stood before it."),
        Mistake(lowers(apply=lambda logits, penalty: logits + penalty),
                "You add. A penalty makes a token less likely: subtract it."),
        Mistake(lowers(apply=as_ctrl_does),
                "You divide a positive logit and multiply a negative one, as the repetition penalty of CTRL does. "
                "These two are subtracted, whatever the sign."),
        Mistake(lowers(apply=lambda logits, penalty: logits * (1 - penalty)),
                "You multiply. What is subtracted is the same for a large and a small logit: logits - penalty."),
        Mistake(lowers(apply=of_probabilities),
                "You subtract from probabilities. The penalties belong to the logits, before any softmax."),
        Mistake(lowers(apply=lambda logits, penalty: penalty),
                "You give the penalties. Subtract them from the logits."),
        Mistake(lowers(apply=lambda logits, penalty: (logits - penalty).masked_fill(penalty > 0, -torch.inf)),
                "You forbid what has occurred. A penalty makes it less likely, and no more."),
        Mistake(in_place,
                "You write into the logits that you were given: -=, or an index on the left. Make a new tensor."),
    ),
    hints=("Count first: how often does each of the V tokens occur in each row? If you had that table, (B, V), what "
           "would you do with it? And which entries of it are above 0?",
           "Let count = F.one_hot(ids, V).sum(dim=1), which is (B, V). The result is logits - presence * (count > 0) - "
           "frequency * count."),
    properties=(Property("the order of what was written is of no account", minds_order),),
)
