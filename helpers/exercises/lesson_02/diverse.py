"""Exercise 2.6, near, and not all the same: what its check compares with, tries, and recognises."""
import math
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator, unit

CLOSE = 1e-3                                                  # no two best candidates of a step are so close


def diverse(query: Tensor, vectors: Tensor, k: int, balance: float) -> list[int]:
    return [max(scores, key=scores.__getitem__) for scores in steps(query, vectors, k, balance)]


def steps(query: Tensor, vectors: Tensor, k: int, balance: float) -> list[dict[int, float]]:
    """For each step, the scores of the candidates that are left."""
    wanted, rows = query.double().tolist(), vectors.double().tolist()
    chosen: list[int] = []
    scores = []
    for _ in range(k):
        scores.append({i: balance * cosine(wanted, row) - (1 - balance) * max(
            (cosine(row, rows[j]) for j in chosen), default=0.0) for i, row in enumerate(rows) if i not in chosen})
        chosen.append(max(scores[-1], key=scores[-1].__getitem__))
    return scores


def cosine(one: list[float], other: list[float]) -> float:
    return sum(x * y for x, y in zip(one, other)) / math.hypot(*one) / math.hypot(*other)


def picks(penalty=lambda to_chosen: to_chosen.amax(dim=1), share=lambda balance: (balance, 1 - balance), sign=-1,
          query_too=True, between_too=True, again=-torch.inf, begin=None):
    """diverse with one thing other than it should be.

    penalty: of the cosines to the chosen, (N, n) -> (N,). again: the score of one that is chosen.
    query_too, between_too: whether the query, and the texts among each other, get length 1.
    """
    def answer(query, vectors, k, balance):
        rows, (to_query, to_others) = unit(vectors), share(balance)
        near = rows @ unit(query) if query_too else rows @ query                 # (N,)
        between = rows @ rows.T if between_too else vectors @ vectors.T          # (N, N)
        chosen: list[int] = []
        for _ in range(k):
            scores = to_query * near
            if chosen:
                scores = scores + sign * to_others * penalty(between[:, chosen])
            scores[chosen] = scores[chosen] if again is None else again
            first = begin is not None and not chosen
            chosen.append(begin if first else int(scores.argmax()))
        return chosen
    return answer


def subtracting_again(query, vectors, k, balance):
    """The scores of the last step go on into the next."""
    rows = unit(vectors)
    scores, chosen = balance * (rows @ unit(query)), []
    for _ in range(k):
        if chosen:
            scores = scores - (1 - balance) * (rows @ rows[chosen].T).amax(dim=1)
        scores[chosen] = -torch.inf
        chosen.append(int(scores.argmax()))
    return chosen


def among_the_nearest(query, vectors, k, balance):
    nearest = (unit(vectors) @ unit(query)).argsort(descending=True)[:2 * k]
    return nearest[picks()(query, vectors[nearest], k, balance)].tolist()


def places_among_those_left(query, vectors, k, balance):
    left, places = list(range(len(vectors))), []
    for one in picks()(query, vectors, k, balance):
        places.append(left.index(one))
        left.remove(one)
    return places


def scores_of_the_chosen(query, vectors, k, balance):
    return [max(scores.values()) for scores in steps(query, vectors, k, balance)]


def compared_with_none(query, vectors, k, balance):
    """Takes the largest of nothing in the first step."""
    return [torch.empty(len(vectors), 0).max(dim=1) for _ in range(k)]


def tuple_of_max(query, vectors, k, balance):
    """max over a dimension gives two tensors."""
    return [1.0 * torch.zeros(1, 1).max(dim=1) for _ in range(1, k)] or picks()(query, vectors, k, balance)


def against_everybody(query, vectors, k, balance):
    rows = unit(vectors)
    others = (rows @ rows.T).fill_diagonal_(-torch.inf).amax(dim=1)              # (N,)
    return (balance * (rows @ unit(query)) - (1 - balance) * others).argsort(descending=True)[:k].tolist()


def by_dot_products(query, vectors, k, balance):
    chosen: list[int] = []
    for _ in range(k):
        scores = balance * (vectors @ query)
        if chosen:
            scores = scores - (1 - balance) * (vectors @ vectors[chosen].T).amax(dim=1)
        scores[chosen] = -torch.inf
        chosen.append(int(scores.argmax()))
    return chosen


def by_absolute(to_chosen):
    return to_chosen.abs().amax(dim=1)


def floor_of_0(to_chosen):
    return to_chosen.amax(dim=1).clamp(min=0)


def clear(case: tuple) -> bool:
    """Whether in each step the best candidate is clearly the best."""
    best = (sorted(scores.values())[-1:-3:-1] for scores in steps(*case))
    return all(len(two) < 2 or two[0] - two[1] > CLOSE for two in best)


def draw_searches(draw: random.Random) -> list[tuple]:
    few = torch.tensor([[0.8, 0.6], [0.96, 0.28], [0.6, -0.8]])
    cases = [(torch.tensor([1.0, 0.0]), few, 1, 0.5), (torch.tensor([1.0, 0.0]), few, 2, 0.5),
             (torch.tensor([2.0, 0.0]), few, 3, 1.0), (torch.tensor([0.0, 3.0]), few * 5, 0, 0.3)]
    for angles in ([45.0, 20.0, -21.0], [5.0, 12.0, 8.0, 75.0, 15.0, 20.0, 10.0, 18.0, 25.0]):
        turn = torch.tensor(angles).deg2rad()
        fan = torch.stack([turn.cos(), turn.sin()], dim=1) * torch.arange(1.0, len(turn) + 1)[:, None]
        cases.append((torch.tensor([5.0, 0.0]), fan, 2, 0.3))                    # in the second, the furthest is best
    numbers = generator(draw)
    for N, C, k in ((3, 2, 2), (4, 3, 3), (4, 2, 4), (5, 3, 3), (6, 4, 4), (7, 3, 7), (8, 5, 5), (9, 3, 6), (10, 4, 10),
                    (12, 6, 5), (12, 3, 2), (14, 3, 8), (16, 4, 3), (16, 8, 6), (5, 2, 3), (8, 2, 4), (6, 3, 3)):
        case = draw_search(draw, numbers, N, C, k)
        while not clear(case):
            case = draw_search(draw, numbers, N, C, k)
        cases.append(case)
    return cases


def draw_search(draw: random.Random, numbers: torch.Generator, N: int, C: int, k: int) -> tuple:
    """A query near one of three topics, and texts in a group around each."""
    topics = torch.randn(3, C, generator=numbers)
    vectors = topics[torch.randint(0, 3, (N,), generator=numbers)] + torch.randn(N, C, generator=numbers) * 0.4
    vectors *= torch.rand(N, 1, generator=numbers) * 2 + 0.3
    return topics[0] + torch.randn(C, generator=numbers) * 0.3, vectors, k, draw.randint(3, 9) / 10


def other_than_search(answer) -> str | None:
    numbers = torch.Generator().manual_seed(6)
    query, vectors = torch.randn(4, generator=numbers), torch.randn(9, 4, generator=numbers)
    nearest = (unit(vectors) @ unit(query)).argsort(descending=True)[:5].tolist()
    mine = [int(i) for i in answer(query, vectors, 5, 1.0)]
    return f"it gave {mine}; the nearest are {nearest}." if mine != nearest else None


EXERCISE = Exercise(
    id="2.6", name="diverse", title="Near, and not all the same", minutes=25,
    oracle=diverse, cases=draw_searches,
    mistakes=(
        Mistake(picks(share=lambda balance: (1.0, 0.0)),
                "These are the nearest to the query, however much they resemble each other. From the second pick on, "
                "subtract what a candidate has in common with those that are chosen."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen.mean(dim=1)),
                "You subtract the mean of the cosines to those chosen. One that says the same is enough to make a text "
                "useless: take the largest."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen.sum(dim=1)),
                "You subtract the sum of the cosines to those chosen, which grows with every pick. Take the largest."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen.amin(dim=1)),
                "You subtract the smallest of the cosines to those chosen. The largest counts: the chosen text that is "
                "most like it."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen[:, -1]),
                "You compare with the text chosen last alone. An earlier one may say the same: take the largest cosine "
                "to any of them."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen[:, 0]),
                "You compare with the first chosen text alone. The scores change with every pick: find them anew, with "
                "the largest cosine to any of those chosen."),
        Mistake(against_everybody,
                "You compare each candidate with all others. Only those that are already chosen count."),
        Mistake(picks(again=None),
                "A text is chosen twice. Set the scores of those that are chosen to -inf before you take the best."),
        Mistake(picks(again=0.0),
                "A score of 0 does not shut out those that are chosen: all others may be below it. Use -inf."),
        Mistake(subtracting_again,
                "You go on with the scores of the step before, so that what is subtracted piles up. Begin each step "
                "with balance times the nearness to the query."),
        Mistake(among_the_nearest,
                "You choose among the nearest few. With a low balance, a text further away can be the best: all that "
                "are left are candidates."),
        Mistake(picks(share=lambda balance: (1 - balance, balance)),
                "The two weights are swapped: balance belongs to the query, 1 - balance to those that are chosen."),
        Mistake(picks(share=lambda balance: (1, 1 - balance)),
                "The nearness to the query has its weight too: balance."),
        Mistake(picks(share=lambda balance: (balance, balance)),
                "Both parts have the weight balance. What is in common with those chosen has 1 - balance."),
        Mistake(picks(share=lambda balance: (balance, 1)),
                "What is in common with those chosen has its weight too: 1 - balance."),
        Mistake(picks(sign=1),
                "You add what a candidate has in common with those chosen, so that you collect more of the same. "
                "Subtract it."),
        Mistake(by_dot_products,
                "You use dot products of vectors as they are, so that long ones seem near. Give each the length 1 "
                "first, the query too."),
        Mistake(lambda query, vectors, k, balance: picks()(query, vectors / vectors.norm(dim=-1), k, balance),
                "If two sizes do not match: the lengths are (N,), and broadcasting lays them along the channels. Keep "
                "the dimension, (N, 1): norm(dim=-1, keepdim=True)."),
        Mistake(picks(query_too=False),
                "The query has its own length, which makes it count for more or less than balance says. Give it the "
                "length 1 too."),
        Mistake(picks(between_too=False),
                "You compare the texts among each other by dot products of vectors as they are. Use the vectors of "
                "length 1 there too."),
        Mistake(compared_with_none,
                "Before the first pick nothing is chosen, and the largest of nothing is an error. Subtract only if "
                "something is chosen."),
        Mistake(tuple_of_max,
                "If a sequence cannot be multiplied: over a dimension, max gives two tensors, the largest numbers and "
                "their places. Take .values."),
        Mistake(picks(penalty=lambda to_chosen: to_chosen.amax(dim=0)),
                "If two sizes do not match: between[:, chosen] is (N, n), a column for each chosen text. The columns "
                "must disappear, dim=1, so that each candidate keeps one number."),
        Mistake(lambda query, vectors, k, balance: picks()(query, vectors, max(k, 1), balance),
                "With k = 0 nothing is to be picked. Make the first pick inside the loop."),
        Mistake(picks(begin=0),
                "You begin with text 0. The first pick is the one nearest to the query."),
        Mistake(picks(penalty=by_absolute),
                "You take absolute values. A text that points away from a chosen one is different: its cosine stays "
                "negative, and helps it."),
        Mistake(picks(penalty=floor_of_0),
                "You never subtract less than 0. Begin the largest cosine at the first chosen text, not at 0: where "
                "all are negative, the largest is negative too."),
        Mistake(lambda query, vectors, k, balance: sorted(picks()(query, vectors, k, balance)),
                "You give the places in the table's order. They belong in the order in which they were picked, the "
                "best first."),
        Mistake(places_among_those_left,
                "You give places among the texts that are left. Keep all of them in the table, and set the scores of "
                "those that are chosen to -inf."),
        Mistake(scores_of_the_chosen,
                "You return scores. The places of the chosen texts were asked for: scores.argmax().item()."),
        Mistake(lambda query, vectors, k, balance: vectors[picks()(query, vectors, k, balance)],
                "You return the vectors. Their places in the table were asked for, as a list of whole numbers."),
        Mistake(lambda query, vectors, k, balance: picks()(query, vectors, len(vectors), balance),
                "You go on until all are chosen. Stop after k."),
    ),
    hints=("Write the loop of k picks first, choosing the nearest that is left. Then add what is subtracted: how like "
           "each candidate is to the most similar of those already chosen.",
           "With near = unit(vectors) @ unit(query), (N,), and between = unit(vectors) @ unit(vectors).T, (N, N): "
           "score = balance * near - (1 - balance) * between[:, chosen].max(dim=1).values, and -inf for those "
           "that are chosen."),
    properties=(Property("with balance 1 it is an ordinary search", other_than_search),),
)
