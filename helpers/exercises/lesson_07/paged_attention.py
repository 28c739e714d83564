"""Exercise 7.3, a cache in pages: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def paged_attention(q: Tensor, keys: Tensor, values: Tensor, table: Tensor, lengths: Tensor) -> Tensor:
    B, H, D = q.shape
    P = keys.shape[1]
    out = torch.zeros(B, H, D)
    for b in range(B):
        for h in range(H):
            scores, found = [], []
            for place in range(int(lengths[b])):
                page = int(table[b, place // P])
                scores.append(float(q[b, h] @ keys[page, place % P, h]) / math.sqrt(D))
                found.append(values[page, place % P, h])
            largest = max(scores)
            powers = [math.exp(score - largest) for score in scores]
            for power, value in zip(powers, found):
                out[b, h] += power / sum(powers) * value
    return out


def by_table(pool: Tensor, table: Tensor) -> Tensor:
    """The pages of each row behind each other: (N, P, H, D) to (B, S, H, D), S = M * P."""
    return pool[table].flatten(1, 2)


def before_its_end(table: Tensor, lengths: Tensor, P: int) -> Tensor:
    return torch.arange(table.shape[1] * P) < lengths[:, None]                   # (B, S)


def root(q: Tensor) -> float:
    return math.sqrt(q.shape[-1])


def masked(scores: Tensor, seen: Tensor) -> Tensor:
    return scores.masked_fill(~seen[:, None], -torch.inf).softmax(dim=-1)        # (B, H, S)


def attends(read: Callable = by_table, read_values: Callable | None = None, seen: Callable = before_its_end,
            scale: Callable = root, weigh: Callable = masked, heads: Callable = lambda x: x.transpose(1, 2),
            end: Callable = lambda out: out) -> Callable:
    """paged_attention with one thing other than it should be."""
    def answer(q, keys, values, table, lengths):
        k, v = heads(read(keys, table)), heads((read_values or read)(values, table))             # (B, H, S, D) each
        scores = (k @ q[..., None])[..., 0] / scale(q)                           # (B, H, S)
        weights = weigh(scores, seen(table, lengths, keys.shape[1])[:, :k.shape[2]])             # (B, H, S)
        return end((weights[:, :, None] @ v)[:, :, 0])                           # (B, H, D)
    return answer


def first_pages(pool, table):
    """The pool as it lies, for every row."""
    places = torch.arange(table.shape[1]).clamp(max=len(pool) - 1)
    return by_table(pool, places.expand(len(table), -1))


def sorted_pages(pool, table):
    return by_table(pool, table.sort(dim=1).values)


def as_tokens(pool, table):
    return pool.flatten(0, 1)[table]                                             # (B, M, H, D)


def pages_inside(pool, table):
    return pool[table].transpose(1, 2).flatten(1, 2)


def whole_pages(table, lengths, P):
    return before_its_end(table, (lengths + P - 1) // P * P, P)


def full_pages(table, lengths, P):
    """Whole pages alone, but one at least."""
    return before_its_end(table, (lengths // P * P).clamp(min=1), P)


def last_pages(table, lengths, P):
    places = torch.arange(table.shape[1] * P)
    return before_its_end(table, lengths, P) & (places >= (lengths[:, None] - 1) // P * P)


def not_page_0(table, lengths, P):
    """Takes a 0 in the table for filling."""
    return before_its_end(table, lengths, P) & (table != 0).repeat_interleave(P, dim=1)


def not_weighed(scores, seen):
    return seen[:, None] / seen.sum(dim=1)[:, None, None] * torch.ones_like(scores)


def draw_pool(draw: random.Random) -> list[tuple]:
    """The rows' pages are scattered, the first page is shared at times, and unused places hold what somebody left."""
    one = torch.tensor
    cases = [(torch.ones(1, 1, 1), torch.zeros(1, 2, 1, 1), one([5.0, 7.0]).view(1, 2, 1, 1), one([[0]]), one([1])),
             (torch.ones(2, 1, 1), torch.zeros(4, 2, 1, 1),
              one([7.0, 8.0, 50.0, 9.0, 10.0, 20.0, 30.0, 9.0]).view(4, 2, 1, 1), one([[2, 3], [1, 0]]), one([3, 1]))]
    numbers = generator(draw)
    for B, M, P, H, D, shared in ((1, 3, 2, 2, 3, False), (2, 2, 3, 1, 4, False), (3, 2, 4, 2, 5, True),
                                  (2, 4, 3, 3, 2, False), (4, 3, 2, 2, 6, True), (3, 5, 4, 2, 3, False),
                                  (5, 2, 6, 4, 3, True), (2, 3, 16, 2, 8, False)):
        N = B * M + 1
        keys, values = torch.randn(2, N, P, H, D, generator=numbers) * 1.5
        table = torch.randperm(N, generator=numbers)[:B * M].view(B, M)
        if shared:
            table[:, 0] = table[0, 0]
        lengths = one([draw.randint((M - 1) * P + 1, M * P - 1), *(draw.randint(P, M * P) for _ in range(B - 1))])
        cases.append((torch.randn(B, H, D, generator=numbers) * 2, keys, values, table, lengths))
    return cases


def minds_what_lies_elsewhere(answer) -> str | None:
    """What does not belong to a row must not reach it; and a page may lie anywhere."""
    numbers = torch.Generator().manual_seed(4)
    q, keys, values = torch.randn(2, 2, 3, generator=numbers), *torch.randn(2, 6, 4, 2, 3, generator=numbers)
    table, lengths = torch.tensor([[4, 1, 0], [4, 5, 2]]), torch.tensor([6, 9])
    used = torch.zeros(6, 4, dtype=torch.bool)
    for row, length in zip(table.tolist(), lengths.tolist()):
        for place in range(length):
            used[row[place // 4], place % 4] = True
    before = answer(q.clone(), keys.clone(), values.clone(), table.clone(), lengths.clone())
    other = [torch.where(used[..., None, None], pool, 30.0) for pool in (keys, values)]
    after = answer(q.clone(), *other, table.clone(), lengths.clone())
    if not float((after - before).detach().abs().max()) < 1e-4:
        return "other numbers in the places that no row uses changed a result."
    to = torch.tensor([3, 0, 5, 1, 2, 4])                                        # page i goes to place to[i]
    moved = [torch.empty_like(pool).index_copy_(0, to, pool) for pool in (keys, values)]
    after = answer(q.clone(), *moved, to[table], lengths.clone())
    gap = float((after - before).detach().abs().max())
    return None if gap < 1e-4 else f"the pages were moved, and a result changed by {gap:.3g}."


EXERCISE = Exercise(
    id="7.3", name="paged_attention", title="A cache in pages", minutes=30,
    oracle=paged_attention, cases=draw_pool, tolerance=1e-4,
    mistakes=(
        Mistake(attends(seen=lambda table, lengths, P: torch.ones(len(table), table.shape[1] * P).bool()),
                "Your queries see all that their pages hold, behind the end of the text as well: what somebody left "
                "there. Hide the places from lengths[b] on, before the softmax."),
        Mistake(attends(seen=whole_pages),
                "You read the last page to its end. Behind the text it holds what somebody left: hide the places from "
                "lengths[b] on, not from the next page on."),
        Mistake(attends(seen=full_pages),
                "You read full pages alone. The last one, begun and not full, belongs to the row too, as far as "
                "lengths[b] goes."),
        Mistake(attends(seen=last_pages),
                "You read the last page alone. The newest token looks at all pages of its row."),
        Mistake(attends(seen=not_page_0),
                "You take 0 in the table for filling. Page 0 is a page like the others: lengths alone says where a row "
                "ends."),
        Mistake(attends(seen=lambda table, lengths, P: before_its_end(table, lengths.max().expand(len(table)), P)),
                "All rows end where the longest does. Each has its own length: lengths[:, None], (B, 1), against the "
                "places (S,)."),
        Mistake(attends(seen=lambda table, lengths, P: before_its_end(table, lengths + 1, P)),
                "You see one place too many: with n tokens the places are 0 to n - 1. Compare with <, not <=."),
        Mistake(attends(seen=lambda table, lengths, P: before_its_end(table, (lengths - 1).clamp(min=1), P)),
                "You leave out the last token. The newest one is in the cache already, and looks at itself too: places "
                "0 to n - 1."),
        Mistake(attends(weigh=lambda scores, seen: scores.softmax(dim=-1) * seen[:, None]),
                "You hide after the softmax, so that the weights of a row no longer add up to 1. Put -inf into the "
                "scores before it."),
        Mistake(attends(weigh=lambda scores, seen: (scores * seen[:, None]).softmax(dim=-1)),
                "You hide with a score of 0, and exp(0) is 1: these places still get weight. -inf gets none."),
        Mistake(attends(weigh=lambda scores, seen: scores.masked_fill(~seen[:, None], -torch.inf).softmax(dim=1)),
                "Your softmax goes over the heads, which have nothing to do with each other. It goes over the places: "
                "dim=-1 of (B, H, S)."),
        Mistake(attends(weigh=lambda scores, seen: scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)),
                "Your mask is (B, S), and its B meets the H of the scores (B, H, S): an error, or, where both are "
                "equal, a mix-up. All heads of a row see the same: seen[:, None], (B, 1, S)."),
        Mistake(attends(heads=lambda x: x),
                "If the sizes do not match, or heads get mixed: keys[table].flatten(1, 2) is (B, S, H, D), and q is "
                "(B, H, D). Bring the heads forward: transpose(1, 2)."),
        Mistake(attends(weigh=not_weighed),
                "You take the plain mean of the values. The scores decide: softmax of q times k over the root of D."),
        Mistake(attends(scale=lambda q: 1),
                "The scale is missing: divide the scores by the root of D."),
        Mistake(attends(scale=lambda q: q.shape[-1]),
                "You divide by D. It is the root of D."),
        Mistake(attends(scale=lambda q: math.sqrt(q.shape[-1] * q.shape[1])),
                "You divide by the root of H * D. Each head has only D numbers: the root of D."),
        Mistake(attends(read=first_pages),
                "You read the pool from its beginning, the same for every row. The table says which pages are a "
                "row's: keys[table]."),
        Mistake(attends(read_values=first_pages),
                "Your values are read from the pool's beginning. They lie in the same pages as the keys: "
                "values[table]."),
        Mistake(attends(read=sorted_pages),
                "You sort a row's pages. They are read in the order of the table: only so you know which is the last "
                "one, that may not be full."),
        Mistake(attends(read=as_tokens),
                "You take the numbers of the table for places of tokens. They are numbers of pages, and each holds P "
                "tokens: keys[table] is (B, M, P, H, D)."),
        Mistake(attends(read=pages_inside),
                "Your places go through the pages first: the first of each page, then the second of each. A page comes "
                "whole, then the next: flatten M and P in that order."),
        Mistake(attends(heads=lambda x: x.reshape(x.shape[0], x.shape[2], x.shape[1], x.shape[3])),
                "You reshape (B, S, H, D) to (B, H, S, D), which leaves all numbers in a row and cuts anew: heads and "
                "places get mixed. transpose(1, 2) turns them round."),
        Mistake(attends(end=lambda out: out[:, :, None]),
                "Your result has one dimension too many: the single query, (B, H, 1, D). Take it off: [:, :, 0]."),
        Mistake(attends(end=lambda out: out.flatten(1)),
                "You put the heads behind each other. The result keeps them apart: (B, H, D)."),
    ),
    hints=("Indexing with a tensor of page numbers takes many pages at once: what is the shape of keys[table]? Two "
           "dimensions of it, put together, are a row's places.",
           "With k = keys[table].flatten(1, 2).transpose(1, 2), (B, H, M * P, D), the scores are (k @ q[..., "
           "None])[..., 0] / D ** 0.5. Seen are the places with torch.arange(M * P) < lengths[:, None], the same for "
           "all heads; the others get -inf."),
    properties=(Property("where a page lies, and what lies elsewhere, is of no account", minds_what_lies_elsewhere),),
)
