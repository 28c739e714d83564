"""Exercise 3.3, a place to look at nothing: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import SLOPE_LOST, Exercise, Mistake, Property, generator


def with_sink(scores: Tensor, sink: Tensor) -> Tensor:
    result = []
    for table, own in zip(scores, sink):
        rows = []
        for row in table:
            largest = torch.maximum(row.max(), own).detach()
            powers = [(score - largest).exp() for score in row]
            rows.append(torch.stack(powers) / (sum(powers) + (own - largest).exp()))
        result.append(torch.stack(rows))
    return torch.stack(result)                                                   # (H, T, T)


def per_head(sink: Tensor) -> Tensor:
    return sink[:, None, None]                                                   # (H, 1, 1)


def shares(largest=lambda scores, sink: torch.maximum(scores.amax(-1, keepdim=True), per_head(sink)),
           shift_sink: bool = True, shape=per_head, power=torch.exp) -> Callable:
    """with_sink by powers, with one thing other than it should be."""
    def answer(scores, sink):
        top = largest(scores, sink)
        powers = (scores - top).exp()                                            # (H, T, T)
        own = power(shape(sink) - top if shift_sink else shape(sink))
        return powers / (powers.sum(dim=-1, keepdim=True) + own)
    return answer


def joined(scores: Tensor, sink: Tensor, dim: int = -1) -> Tensor:
    """The scores and one more key, the last."""
    more = per_head(sink).expand(*scores.shape[:2], 1)
    return torch.cat([scores, more if dim == -1 else more.transpose(1, 2)], dim=dim)


def own_maximum(scores, sink):
    return scores.amax(-1, keepdim=True)


def drop_wrong_end(scores, sink):
    more = per_head(sink).expand(*scores.shape[:2], 1)
    return torch.cat([more, scores], dim=-1).softmax(dim=-1)[..., :-1]


def sinks_in_turns(scores, sink):
    H, T, _ = scores.shape
    return torch.cat([scores, sink.repeat(T).view(H, T, 1)], dim=-1).softmax(dim=-1)[..., :-1]


def in_place_of_the_first(scores, sink):
    first = sink[:, None, None].expand(*scores.shape[:2], 1)
    return torch.cat([first, scores[..., 1:]], dim=-1).softmax(dim=-1)


def drawn_scores(H: int, T: int, numbers: torch.Generator) -> Tensor:
    return torch.randn(H, T, T, generator=numbers).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)


def draw_scores(draw: random.Random) -> list[tuple]:
    three = torch.tensor([[[math.log(3.0)]]])
    cases = [(three, torch.tensor([0.0])), (three, torch.tensor([math.log(2.0)])),
             (torch.tensor([[[0.0, -torch.inf], [0.0, 0.0]]]), torch.tensor([math.log(2.0)]))]
    numbers = generator(draw)
    for H, T in ((2, 1), (2, 3), (3, 2), (4, 3), (3, 3), (1, 5), (5, 4), (2, 6), (6, 5)):
        cases.append((drawn_scores(H, T, numbers), torch.randn(H, generator=numbers)))
    for H, T in ((2, 3), (3, 4), (2, 5)):                                        # beyond what exp can hold
        level = torch.tensor([300.0, -300.0, 0.0])[torch.randint(0, 3, (H, T, 1), generator=numbers)]
        cases.append((drawn_scores(H, T, numbers) + level, torch.randn(H, generator=numbers) * 200))
    cases.append((drawn_scores(3, 4, numbers) + 300, torch.tensor([300.0, 301.0, 302.0])))
    cases.append((drawn_scores(2, 4, numbers) - 300, torch.tensor([-300.0, -302.0])))
    return cases


def changed_by_shift(answer) -> str | None:
    numbers = torch.Generator().manual_seed(3)
    scores, sink = drawn_scores(3, 5, numbers), torch.randn(3, generator=numbers)
    before = answer(scores, sink)
    for by in (-256.0, 64.0, 256.0):
        change = float((answer(scores + by, sink + by) - before).detach().abs().max())
        if not change < 1e-3:
            return f"scores and sinks all grew by {by:g}, and a weight changed by {change:.3g}."
    return None


def loses_slopes(answer) -> str | None:
    scores, sink = torch.tensor([[[0.0, -torch.inf], [1.0, 0.0]]], requires_grad=True), torch.tensor([200.0])
    result = answer(scores, sink)
    if result.requires_grad:
        result.sum().backward()
    if scores.grad is None or scores.grad.isfinite().all():
        return None
    return "with scores of 0 and 1, and a sink of 200, a gradient by the scores is nan."


ROWS_ADD_UP = ("Your rows add up to 1. The sink must take its share: exp(sink) belongs into the sum that you divide "
               "by. If it is there: do not divide a second time, and do not add the sink to every score, which "
               "changes nothing in a softmax.")
NOT_SHIFTED = ("You subtract the largest from the scores and not from the sink, so that the sink grows or shrinks "
               "against them. From both: exp(sink - largest).")

EXERCISE = Exercise(
    id="3.3", name="with_sink", title="A place to look at nothing", minutes=20,
    oracle=with_sink, cases=draw_scores, gradients=(0, 1), tolerance=1e-4,
    mistakes=(
        Mistake(lambda scores, sink: scores.softmax(dim=-1), ROWS_ADD_UP),
        Mistake(shares(lambda scores, sink: 0.0),
                "In a float32 exp(300) is infinite, and inf / inf is nan; far below 0 all powers are 0. Subtract the "
                "largest of a row, its sink among them, from scores and sink first. Or let softmax do it: put the sink "
                "beside the scores as one more."),
        Mistake(shares(own_maximum, shift_sink=False),
                NOT_SHIFTED),
        Mistake(shares(shift_sink=False), NOT_SHIFTED),
        Mistake(shares(own_maximum, shift_sink=False, power=lambda own: 1.0),
                "You add 1 to the sum, after the largest score was subtracted. The sink's part of the sum is "
                "exp(sink - largest): it is learned, and it shrinks with the others."),
        Mistake(shares(own_maximum),
                "You subtract the largest score, and a sink far above it still has an infinite power: the weights come "
                "out right, their slopes are nan. The largest of a row is that of its scores and its sink."),
        Mistake(lambda scores, sink: with_sink(scores, sink.detach()), SLOPE_LOST),
        Mistake(shares(lambda scores, sink: torch.maximum(scores.max(), sink.max())),
                "You subtract the largest of all rows. Where a row lies far below it, all its powers become 0. Take "
                "each row's own: amax(dim=-1, keepdim=True), and its sink."),
        Mistake(lambda scores, sink: joined(scores, sink * 0).softmax(dim=-1)[..., :-1],
                "Your sink has the score 0 in every head, as if you added 1 to the sum. Its score is learned: "
                "exp(sink), one for each head."),
        Mistake(shares(own_maximum, shift_sink=False, power=lambda own: own),
                "You add the sink itself to the sum of powers. It is a score like the others: add exp(sink)."),
        Mistake(lambda scores, sink: joined(scores, sink).softmax(dim=-1),
                "You give the sink's weight too. It has done its work in the sum: leave the last column out, "
                "[..., :-1]."),
        Mistake(drop_wrong_end,
                "The sink stands first, and you leave out the last column. Leave out the first, [..., 1:], or put the "
                "sink last."),
        Mistake(lambda scores, sink: torch.cat([scores, per_head(sink)], dim=-1).softmax(dim=-1)[..., :-1],
                "In torch.cat nothing is repeated by itself, and each row needs its sink, (H, T, 1): "
                "sink[:, None, None].expand(H, T, 1)."),
        Mistake(lambda scores, sink: torch.cat([scores, sink], dim=-1).softmax(dim=-1)[..., :-1],
                "What torch.cat joins must have equally many dimensions, and sink has one. One for each row is "
                "(H, T, 1): sink[:, None, None].expand(H, T, 1)."),
        Mistake(sinks_in_turns,
                "The sinks have got into the wrong rows: repeat writes 0, 1, 0, 1, and view breaks the line elsewhere. "
                "Add dimensions first, then spread them: sink[:, None, None].expand(H, T, 1)."),
        Mistake(lambda scores, sink: joined(scores, sink.exp()).softmax(dim=-1)[..., :-1],
                "You put exp(sink) beside the scores, and the softmax takes its power once more. The sink is a score "
                "itself."),
        Mistake(in_place_of_the_first,
                "You write the sink over the score of the first token. That one stays; the sink is one more key, which "
                "is no token."),
        Mistake(lambda scores, sink: joined(scores, sink).softmax(dim=-2)[..., :-1],
                "Your weights add up to 1 over the queries. Each query shares its unit among the keys and the sink: "
                "softmax(dim=-1)."),
        Mistake(lambda scores, sink: joined(scores, sink, dim=1).softmax(dim=1)[:, :-1],
                "Your weights are shares of a column. Each query shares its unit among the keys and the sink: the sink "
                "is one more key, and the sum runs over the last dimension."),
        Mistake(shares(lambda scores, sink: torch.maximum(scores.amax(-1, keepdim=True), sink[:, None]),
                       shape=lambda sink: sink[:, None]),
                "Your sinks have the shape (H, 1), and its H meets T: an error, or, where both are equal, head and "
                "query mixed up. They must be (H, 1, 1) to meet (H, T, 1): sink[:, None, None]."),
        Mistake(shares(own_maximum, shape=lambda sink: sink),
                "Your sinks have the shape (H,), and its H meets the last dimension, the keys. They must be (H, 1, 1): "
                "sink[:, None, None]."),
        Mistake(shares(lambda scores, sink: scores.amax(-1)),
                "If two sizes do not match: without keepdim=True the largest scores are (H, T), and its T meets the "
                "keys. Keep the dimension: (H, T, 1)."),
        Mistake(lambda scores, sink: joined(scores, -sink).softmax(dim=-1)[..., :-1],
                "The sign of the sink is wrong: the higher it is, the less must be left for the tokens."),
        Mistake(lambda scores, sink: scores.softmax(dim=-1) * torch.sigmoid(-per_head(sink)),
                "You take the same share from every row. How much the sink takes depends on the row's scores: where a "
                "key fits well, little is left for it. exp(sink) belongs into the sum."),
    ),
    hints=("Think of the sink as one more key that everybody may look at, and whose value is all zeros. What would a "
           "softmax over T + 1 scores give?",
           "Bring the sinks to (H, T, 1) with sink[:, None, None].expand(H, T, 1), put them behind the scores with "
           "torch.cat over dim=-1, take the softmax, and leave the last column out: [..., :-1]."),
    properties=(Property("the same number added to all scores and sinks changes nothing", changed_by_shift),
                Property("slopes stay finite under a high sink", loses_slopes)),
)
