"""Exercise 3.2, heads that share: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import SLOPE_LOST, Exercise, Mistake, Property, generator


def grouped_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    H, T, D = q.shape
    group = H // len(k)
    heads = []
    for h in range(H):
        rows = []
        for i in range(T):
            scores = torch.stack([(q[h, i] * k[h // group, j]).sum() / math.sqrt(D) for j in range(i + 1)])
            powers = (scores - scores.detach().max()).exp()
            rows.append(sum(power * v[h // group, j] for j, power in enumerate(powers)) / powers.sum())
        heads.append(torch.stack(rows))
    return torch.stack(heads)                                                    # (H, T, D)


def in_groups(part: Tensor, H: int) -> Tensor:
    return part.repeat_interleave(H // len(part), dim=0)                         # (K, T, D) -> (H, T, D)


def in_turns(part: Tensor, H: int) -> Tensor:
    return part.repeat(H // len(part), 1, 1)


def attends(share_k: Callable = in_groups, share_v: Callable = in_groups, divisor=lambda H, D: math.sqrt(D),
            seen=lambda T: torch.ones(T, T).tril().bool(), late: bool = False, dim: int = -1,
            turn=lambda k: k.transpose(-2, -1)) -> Callable:
    """grouped_attention with one thing other than it should be."""
    def answer(q, k, v):
        H, T, D = q.shape
        scores = q @ turn(share_k(k, H)) / divisor(H, D)                         # (H, T, T)
        if late:
            return scores.softmax(dim=dim).masked_fill(~seen(T), 0) @ share_v(v, H)
        return scores.masked_fill(~seen(T), -torch.inf).softmax(dim=dim) @ share_v(v, H)
    return answer


def by_number_of_groups(part, H):
    return part[[h // len(part) for h in range(H)]]


def mean_of_queries(q, k, v):
    return attends()(q.view(len(k), -1, *q.shape[1:]).mean(dim=1), k, v)


def heads_as_tokens(q, k, v):
    """Puts the queries of a group behind each other, and masks as if they were later tokens."""
    H, T, D = q.shape
    K = len(k)
    scores = q.reshape(K, -1, D) @ k.transpose(-2, -1) / math.sqrt(D)            # (K, H/K * T, T)
    seen = torch.ones(scores.shape[1:]).tril().bool()
    return (scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v).view(H, T, D)


def zeros_ahead(q, k, v):
    k, v = in_groups(k, len(q)), in_groups(v, len(q))
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])                    # (H, T, T)
    return scores.tril().softmax(dim=-1) @ v


def mask_of_heads(q, k, v):
    return attends(seen=lambda T: torch.ones(len(q), T).tril().bool())(q, k, v)


def side_by_side(q, k, v):
    return attends()(q, k, v).transpose(0, 1).flatten(1)                         # (T, H * D)


def weights_alone(q, k, v):
    T = q.shape[1]
    return attends()(q, k, torch.eye(T).expand(len(k), T, T))                    # (H, T, T)


def root_of_T(q, k, v):
    return attends()(q * math.sqrt(q.shape[2] / q.shape[1]), k, v)


def draw_heads(draw: random.Random) -> list[tuple]:
    one = torch.tensor([[[1.0], [1.0]]])                                         # (1, T, D)
    cases = [(one, one * 0, torch.tensor([[[8.0], [2.0]]])),
             (torch.ones(4, 2, 1), torch.zeros(2, 2, 1), torch.tensor([[[8.0], [2.0]], [[5.0], [7.0]]]))]
    numbers = generator(draw)
    for H, K, T, D in ((2, 1, 3, 2), (3, 3, 2, 4), (4, 2, 1, 3), (4, 2, 3, 5), (6, 2, 4, 3), (6, 3, 3, 2), (4, 1, 5, 4),
                       (8, 2, 3, 4), (9, 3, 4, 2), (5, 5, 4, 3)):
        cases.append(tuple(torch.randn(n, T, D, generator=numbers) for n in (H, K, K)))
    return cases


def sees_ahead(answer) -> str | None:
    numbers = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(n, 6, 3, generator=numbers) for n in (6, 2, 2))
    before = answer(q, k, v).detach()
    for part in (q, k, v):
        part[:, 4:] += 5.0
    change = (answer(q, k, v).detach() - before)[:, :4].abs().amax(dim=(0, 2))   # (4,)
    return None if change.max() < 1e-4 else (f"tokens 4 and 5 were changed, and the output of token "
                                             f"{int(change.argmax())} changed by {float(change.max()):.3g}.")


EXERCISE = Exercise(
    id="3.2", name="grouped_attention", title="Heads that share", minutes=20,
    oracle=grouped_attention, cases=draw_heads, gradients=(0, 1, 2),
    mistakes=(
        Mistake(attends(in_turns, in_turns),
                "Your query heads take the key-value heads in turns: 0, 1, 0, 1, as repeat does. Neighbours share: 0, "
                "0, 1, 1. repeat_interleave(H // K, dim=0) repeats each before it goes on."),
        Mistake(attends(share_v=in_turns),
                "Keys and values are repeated in different orders, so a head finds with one and takes from another. "
                "repeat_interleave for both."),
        Mistake(attends(share_k=in_turns),
                "The values are in the right order and the keys are not: repeat_interleave for both."),
        Mistake(attends(by_number_of_groups, by_number_of_groups),
                "You divide the head's number by K, the number of key-value heads. Divide it by how many share one: "
                "h // (H // K)."),
        Mistake(attends(share_k=lambda part, H: part, share_v=lambda part, H: part),
                "If two sizes do not match: q has H heads and k has K. Repeat keys and values first, until there is "
                "one of each for every query head."),
        Mistake(attends(share_k=lambda part, H: part.repeat_interleave(H // len(part)),
                        share_v=lambda part, H: part.repeat_interleave(H // len(part))),
                "If a dimension is out of range: repeat_interleave without dim puts all numbers in one row. The heads "
                "are the first dimension: dim=0."),
        Mistake(attends(share_k=lambda part, H: part.repeat_interleave(H // len(part), dim=1),
                        share_v=lambda part, H: part.repeat_interleave(H // len(part), dim=1)),
                "You repeat tokens: in (K, T, D) the heads are dimension 0, so dim=0."),
        Mistake(attends(share_k=lambda part, H: part.repeat_interleave(len(part), dim=0),
                        share_v=lambda part, H: part.repeat_interleave(len(part), dim=0)),
                "You repeat each key-value head K times. As many query heads share one as fit: H // K."),
        Mistake(attends(share_k=lambda part, H: part.repeat_interleave(H / len(part), dim=0)),
                "If a float is refused: / gives a float even for whole numbers. How often to repeat is a whole number: "
                "H // K."),
        Mistake(attends(turn=lambda k: k.permute(2, 1, 0)),
                ".T turns all three dimensions round, (T, D) inside each head and the heads too. Swap the last two "
                "alone: transpose(-2, -1), or .mT."),
        Mistake(mean_of_queries,
                "You give an output for each key-value head. Every query head keeps its own question and its own "
                "output: (H, T, D). Only what it looks at is shared."),
        Mistake(heads_as_tokens,
                "You put the heads of a group behind each other and mask as if they were later tokens: then the second "
                "head sees everything. The mask is (T, T), and the same for every head."),
        Mistake(attends(divisor=lambda H, D: 1), "The scores are not divided by the square root of D."),
        Mistake(attends(divisor=lambda H, D: D),
                "You divide the scores by D. The square root of D was asked for: D ** 0.5."),
        Mistake(attends(divisor=lambda H, D: math.sqrt(H * D)),
                "You divide by the root of H * D, the size of all heads together. Each score is a dot product of D "
                "numbers: D ** 0.5."),
        Mistake(root_of_T,
                "You divide by the root of T. Each score is a dot product of D numbers: q.shape[-1] ** 0.5."),
        Mistake(attends(seen=lambda T: torch.ones(T, T).bool(), divisor=lambda H, D: 1),
                "Two things are missing: the causal mask, and the square root of D that the scores are divided by."),
        Mistake(attends(in_turns, in_turns, seen=lambda T: torch.ones(T, T).bool()),
                "Two things: the causal mask is missing, and your query heads take the key-value heads in turns. "
                "Neighbours share, as repeat_interleave(H // K, dim=0) makes them."),
        Mistake(zeros_ahead,
                "You write 0 into the scores of the future. exp(0) is 1, so it is looked at: write -inf."),
        Mistake(attends(seen=lambda T: torch.ones(T, T).bool()),
                "Tokens see the future: the causal mask is missing."),
        Mistake(mask_of_heads,
                "Your mask has the size H, the number of heads. It says which of T queries may see which of T keys: "
                "torch.ones(T, T), with T = q.shape[1]."),
        Mistake(attends(seen=lambda T: torch.ones(T, T).triu().bool()),
                "Tokens see the future and not the past: keep the lower triangle, tril, or fill the upper, "
                "triu(diagonal=1)."),
        Mistake(attends(seen=lambda T: torch.ones(T, T).tril(-1).bool()),
                "A token does not see itself, and the first sees nothing: its softmax is 0 / 0. Mask above the "
                "diagonal only, triu(diagonal=1)."),
        Mistake(attends(late=True),
                "You mask after the softmax: its sum still holds the future, and the weights of a row no longer add up "
                "to 1. Write -inf into the scores before it."),
        Mistake(attends(dim=-2),
                "Your weights add up to 1 over the queries. Each query shares one unit among the keys, the last "
                "dimension: dim=-1."),
        Mistake(attends(dim=0),
                "Your weights add up to 1 over the heads. Each query shares one unit among the keys, the last "
                "dimension: dim=-1."),
        Mistake(side_by_side,
                "You put the heads side by side, as before the lesson's last matrix. Leave them as they are: "
                "(H, T, D)."),
        Mistake(lambda q, k, v: attends()(q.detach(), k, v), SLOPE_LOST),
        Mistake(weights_alone, "These are the weights. Mix the values with them: weights @ v."),
    ),
    hints=("It is the lesson's attention for several heads at once, once each query head has a key and a value head. "
           "Write down for H = 4, K = 2 which of them each head uses.",
           "For H = 4, K = 2, k.repeat_interleave(H // K, dim=0) gives heads 0, 0, 1, 1, (H, T, D); the same for v. "
           "Then scores = q @ k.transpose(-2, -1) / D ** 0.5, -inf above the diagonal, softmax over dim=-1, @ v."),
    properties=(Property("changing later tokens changes nothing before them", sees_ahead),),
)
