"""Exercise 3.5, two halves of a softmax: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def merge(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    D = out_a.shape[-1]
    outs, sums = [], []
    for a, one, b, other in zip(out_a.reshape(-1, D).double(), lse_a.flatten().tolist(),
                                out_b.reshape(-1, D).double(), lse_b.flatten().tolist()):
        largest = max(one, other)
        if largest == -math.inf:
            outs.append(a * 0)
            sums.append(-math.inf)
        else:
            p, q = math.exp(one - largest), math.exp(other - largest)
            outs.append((p * a + q * b) / (p + q))
            sums.append(largest + math.log(p + q))
    return torch.stack(outs).view(out_a.shape).float(), torch.tensor(sums).view(lse_a.shape)


def merges(largest=torch.maximum, mix=lambda a, p, b, q: (p * a + q * b) / (p + q),
           total=lambda p, q, top: top + (p + q).log(), guard: bool = True, wide=lambda x: x[..., None]) -> Callable:
    """merge with one thing other than it should be."""
    def answer(out_a, lse_a, out_b, lse_b):
        top = largest(lse_a, lse_b)
        if guard:
            top = top.clamp(min=-1e30)                                           # -inf - -inf would be nan
        p, q = (lse_a - top).exp(), (lse_b - top).exp()
        out = mix(out_a, wide(p), out_b, wide(q))
        return out.nan_to_num(nan=0.0) if guard else out, total(p, q, top)
    return answer


def by_lse(out_a, lse_a, out_b, lse_b):
    p, q = lse_a[..., None], lse_b[..., None]
    return (p * out_a + q * out_b) / (p + q), torch.logaddexp(lse_a, lse_b)


def nearer_one(out_a, lse_a, out_b, lse_b):
    return torch.where((lse_a >= lse_b)[..., None], out_a, out_b), torch.logaddexp(lse_a, lse_b)


def over_tokens(out_a, lse_a, out_b, lse_b):
    p, q = lse_a.softmax(dim=-1), lse_b.softmax(dim=-1)
    return p[..., None] * out_a + q[..., None] * out_b, torch.logaddexp(lse_a, lse_b)


def larger_by_python(out_a, lse_a, out_b, lse_b):
    return merges(largest=lambda one, other: max(one, other))(out_a, lse_a, out_b, lse_b)


def zeros_for_empty(out_a, lse_a, out_b, lse_b):
    """Where one side saw nothing, gives nothing."""
    out, lse = merge(out_a, lse_a, out_b, lse_b)
    return out.masked_fill((lse_a.isinf() | lse_b.isinf())[..., None], 0.0), lse


def partial(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over some of the keys: out (..., T, D), lse (..., T). seen: (T, S), True where a query may look."""
    scores = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).masked_fill(~seen, -torch.inf)
    return (scores.softmax(dim=-1) @ v).nan_to_num(nan=0.0), scores.logsumexp(dim=-1)


def draw_blocks(draw: random.Random) -> list[tuple]:
    one, log = torch.tensor, math.log
    cases = [(one([[4.0]]), one([0.0]), one([[8.0]]), one([0.0])),
             (one([[4.0, 0.0]]), one([log(1.0)]), one([[8.0, 4.0]]), one([log(3.0)])),
             (one([[4.0, 2.0]]), one([1.5]), one([[0.0, 0.0]]), one([-torch.inf])),
             (one([[0.0], [0.0]]), one([-torch.inf, -torch.inf]), one([[7.0], [0.0]]), one([0.5, -torch.inf]))]
    numbers = generator(draw)
    for *heads, T, D, size, level in ((3, 2, 2, 0), (2, 5, 3, 0), (2, 3, 4, 2, 0), (4, 3, 3, 200),
                                      (5, 2, 4, -200), (2, 5, 3, 4, 200), (4, 6, 2, 4, 0)):
        q, k, v = torch.randn(3, *heads, T, D, generator=numbers)                # (..., T, D) each
        seen = torch.ones(T, T).tril().bool()
        (out_a, lse_a), (out_b, lse_b) = (partial(q, k[..., part, :], v[..., part, :], seen[:, part])
                                          for part in (slice(0, size), slice(size, T)))
        shift = level * torch.randn(*heads, T, generator=numbers).sign()         # (..., T)
        cases.append((out_a, lse_a + shift, out_b, lse_b + shift) if level >= 0 else
                     (out_a, lse_a - shift, out_b, lse_b + shift))
    cases.append((torch.randn(3, 3, generator=numbers), one([-1.0, 0.5, 2.0]), torch.randn(3, 3, generator=numbers),
                  one([0.5, -2.0, 1.0])))
    cases.append(tuple(torch.stack([part, part.flip(0)]) for part in cases[-1]))
    return cases


def differs_from_whole(answer) -> str | None:
    """Blocks of unequal size, merged one after another, are one softmax."""
    numbers = torch.Generator().manual_seed(6)
    q, k, v = torch.randn(3, 2, 9, 4, generator=numbers)                         # (H, T, D) each
    seen = torch.ones(9, 9).tril().bool()
    whole, all_lse = partial(3 * q, k, v, seen)
    for edges in ((0, 4, 5, 9), (0, 1, 7, 8, 9)):
        parts = [partial(3 * q, k[:, a:b], v[:, a:b], seen[:, a:b]) for a, b in zip(edges, edges[1:])]
        out, lse = parts[-1]                                 # the last block first: the first tokens see nothing in it
        for part in parts[:-1]:
            out, lse = answer(out, lse, *part)
        worst = max(float((out - whole).detach().abs().max()), float((lse - all_lse).detach().abs().max()))
        if not worst < 1e-3:
            return f"{len(parts)} blocks, merged one after another, differ from one softmax by {worst:.3g}."
    return None


def order_matters(answer) -> str | None:
    numbers = torch.Generator().manual_seed(7)
    a, b = ((torch.randn(5, 3, generator=numbers), torch.randn(5, generator=numbers)) for _ in range(2))
    worst = float((answer(*a, *b)[0] - answer(*b, *a)[0]).detach().abs().max())
    return None if worst < 1e-4 else f"merging b with a instead of a with b changed a number by {worst:.3g}."


EXERCISE = Exercise(
    id="3.5", name="merge", title="Two halves of a softmax", minutes=30,
    oracle=merge, cases=draw_blocks, tolerance=1e-4,
    mistakes=(
        Mistake(lambda out_a, lse_a, out_b, lse_b: ((out_a + out_b) / 2, torch.logaddexp(lse_a, lse_b)),
                "You take the mean of the two outputs. A block whose keys fit better counts for more: its weight is "
                "exp(lse), its share of the sum of all powers."),
        Mistake(lambda out_a, lse_a, out_b, lse_b: (out_a + out_b, torch.logaddexp(lse_a, lse_b)),
                "You add the outputs. Each is already a mixture whose weights add up to 1; scale each down to its "
                "share of the whole sum first."),
        Mistake(by_lse,
                "You weight with lse itself, which is a logarithm and may be negative. The weights are the sums of "
                "powers: exp(lse)."),
        Mistake(merges(largest=lambda one, other: one * 0, guard=False),
                "In a float32 exp(200) is infinite, and inf / inf is nan; exp(-200) is 0, and so is the sum. Subtract "
                "the larger of the two lse first, for each token."),
        Mistake(merges(largest=lambda one, other: torch.maximum(one.max(), other.max())),
                "You subtract the largest lse of all tokens. Where a token lies far below it, both powers become 0. "
                "Each token has its own: torch.maximum(lse_a, lse_b)."),
        Mistake(merges(guard=False),
                "Where both blocks saw nothing, -inf - -inf is nan. Keep what you subtract finite, as with "
                "clamp(min=-1e30), and do not divide by a sum of 0: the output is zeros there, and lse -inf."),
        Mistake(lambda *given: (merges(guard=False)(*given)[0].nan_to_num(nan=0.0), merges(guard=False)(*given)[1]),
                "The outputs are right. Where both blocks saw nothing, your lse is nan: -inf - -inf. It must be -inf: "
                "the logarithm of a sum of nothing."),
        Mistake(lambda *given: (merge(*given)[0], merge(*given)[1].clamp(min=-1e30)),
                "Where both blocks saw nothing, your lse is a large negative number. It must be -inf: keep finite only "
                "what you subtract, and let log 0 be -inf."),
        Mistake(lambda *given: (merge(*given)[0], merge(*given)[1].nan_to_num()),
                "Where both blocks saw nothing, your lse is the smallest float32: nan_to_num writes that for -inf. It "
                "must stay -inf."),
        Mistake(lambda *given: (merges(guard=False)(*given)[0], torch.logaddexp(given[1], given[3])),
                "The lse are right. Where both blocks saw nothing, your output is nan: it comes from 0 / 0, or from "
                "-inf - -inf. It must be all zeros."),
        Mistake(lambda *given: tuple(part.nan_to_num(nan=0.0) for part in merges(guard=False)(*given)),
                "Where both blocks saw nothing, your lse is 0, which says that the powers add up to 1. The sum is 0, "
                "and its logarithm -inf."),
        Mistake(zeros_for_empty,
                "Where one block saw nothing you give zeros. Then all comes from the other: its output and its lse, as "
                "they are."),
        Mistake(nearer_one,
                "You take the block with the larger lse alone. The other has its share too, unless it is far smaller."),
        Mistake(merges(mix=lambda a, p, b, q: (q * a + p * b) / (p + q)),
                "The two weights are swapped: exp(lse_a) belongs to out_a."),
        Mistake(merges(mix=lambda a, p, b, q: p * a + q * b),
                "You weight the outputs and do not divide by the sum of the two weights: p * out_a + q * out_b over "
                "p + q."),
        Mistake(merges(total=lambda p, q, top: top),
                "Your lse is the larger of the two. The sums of powers add up, so it grows by log(p + q)."),
        Mistake(merges(total=lambda p, q, top: (p + q).log()),
                "You forget to add to lse what you subtracted: largest + log(p + q)."),
        Mistake(merges(total=lambda p, q, top: p + q),
                "The second result is the sum of the shrunken powers. Its logarithm was asked for, with what you "
                "subtracted added again: largest + log(p + q)."),
        Mistake(lambda *given: (merge(*given)[0], given[1] + given[3]),
                "You add the two lse. A sum of logarithms belongs to a product; the powers are what adds up: "
                "torch.logaddexp(lse_a, lse_b)."),
        Mistake(lambda *given: (merge(*given)[0], (given[1] + given[3]) / 2),
                "Your lse is the mean of the two. The sums of powers add up: torch.logaddexp(lse_a, lse_b)."),
        Mistake(lambda *given: (merge(*given)[0], torch.logaddexp(given[1], given[3]).exp()),
                "Your second result is the sum of powers, infinite for a large lse. Give back its logarithm."),
        Mistake(merges(wide=lambda x: x),
                "Your weights have the shape (T,), and that T meets the D of an output: an error, or, where both are "
                "equal, a mix-up. One weight a row is (T, 1): weight[..., None]."),
        Mistake(merges(wide=lambda x: x[:, None]),
                "If it works for (T, D) and not for (H, T, D): x[:, None] puts the new dimension after the first. It "
                "belongs at the end: weight[..., None]."),
        Mistake(larger_by_python,
                "If a truth value is ambiguous: max of Python, and if, want one answer, and each query has its own. "
                "torch.maximum takes the larger, query by query."),
        Mistake(over_tokens,
                "Your weights are shares among the tokens. Each query stands alone: it shares between block a and "
                "block b."),
        Mistake(lambda *given: (merge(*given)[0], merge(*given)[1][..., None]),
                "Your lse has one dimension too many: (..., T, 1) was good to mix the outputs with; give it back as it "
                "came, (..., T)."),
        Mistake(lambda *given: merge(*given)[::-1],
                "Output and lse come out in the wrong order: return out, lse."),
        Mistake(lambda *given: (torch.cat([given[0], given[2]], dim=-2), torch.cat([given[1], given[3]], dim=-1)),
                "You put the two behind each other. They are about the same queries and different keys: each query "
                "gets one output, mixed of both."),
        Mistake(lambda *given: merge(*given)[0],
                "You give the output alone. Its lse is needed too, for the next merge: return out, lse."),
    ),
    hints=("Each out is a sum of powers times values, over a sum of powers. exp(lse) is that lower sum. So what is the "
           "upper one? Add both up for a and b, and divide.",
           "With largest = torch.maximum(lse_a, lse_b).clamp(min=-1e30), which is finite, p and q are exp(lse - "
           "largest). out is (p * out_a + q * out_b) / (p + q).clamp(min=1e-30), p and q as (..., 1); lse is largest + "
           "log(p + q)."),
    properties=(Property("blocks merged one after another are one softmax", differs_from_whole),
                Property("a with b is b with a", order_matters)),
)
