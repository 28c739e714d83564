"""Exercise 2.6, near, and not all the same: what its check compares with, tries, and recognises."""
import math
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

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


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def picks(penalty=lambda to_chosen: to_chosen.amax(dim=1), share=lambda balance: (balance, 1 - balance), sign=-1,
          prepare=unit, again=False, begin=None):
    """diverse with one thing other than it should be. penalty: of the cosines to the chosen, (N, n) -> (N,)."""
    def answer(query, vectors, k, balance):
        rows, (to_query, to_others) = prepare(vectors), share(balance)
        near, between = rows @ prepare(query), rows @ rows.T                     # (N,) and (N, N)
        chosen: list[int] = []
        for _ in range(k):
            scores = to_query * near
            if chosen:
                scores = scores + sign * to_others * penalty(between[:, chosen])
            if not again:
                scores[chosen] = -torch.inf
            first = begin is not None and not chosen
            chosen.append(begin if first else int(scores.argmax()))
        return chosen
    return answer


def against_everybody(query, vectors, k, balance):
    rows = unit(vectors)
    others = (rows @ rows.T).fill_diagonal_(-torch.inf).amax(dim=1)              # (N,)
    return (balance * (rows @ unit(query)) - (1 - balance) * others).argsort(descending=True)[:k].tolist()


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
    numbers = generator(draw)
    for N, C, k in ((3, 2, 2), (4, 3, 3), (4, 2, 4), (5, 3, 3), (6, 4, 4), (7, 3, 7), (8, 5, 5), (9, 3, 6), (10, 4, 10),
                    (12, 6, 5), (14, 3, 8), (16, 8, 6)) * 2:
        for _ in range(300):
            topics = torch.randn(3, C, generator=numbers)                        # texts lie in three groups
            vectors = topics[torch.randint(0, 3, (N,), generator=numbers)] + torch.randn(N, C, generator=numbers) * 0.4
            vectors *= torch.rand(N, 1, generator=numbers) * 2 + 0.3
            case = topics[0] + torch.randn(C, generator=numbers) * 0.3, vectors, k, draw.randint(3, 9) / 10
            if clear(case):
                break
        cases.append(case)
    return cases


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
        Mistake(picks(again=True),
                "A text is chosen twice. Set the scores of those that are chosen to -inf before you take the best."),
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
        Mistake(picks(prepare=lambda vectors: vectors),
                "You use dot products of vectors as they are, so that long ones seem near. Give each the length 1 "
                "first, the query too."),
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
