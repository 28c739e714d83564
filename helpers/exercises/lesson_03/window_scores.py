"""Exercise 3.1, a window on the past: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def window_scores(scores: Tensor, window: int) -> Tensor:
    result = scores.clone()
    T = scores.shape[-1]
    for i in range(T):
        for j in range(T):
            if not i - window < j <= i:
                result[..., i, j] = -torch.inf
    return result


def keeping(keep: Callable[[Tensor, Tensor, int], Tensor], filling: float = -torch.inf) -> Callable:
    """Write `filling` where keep(i, j, window), for query i and key j, is not true."""
    def answer(scores, window):
        T = scores.shape[-1]
        i, j = torch.arange(T)[:, None], torch.arange(T)                         # (T, 1) and (T,)
        return scores.masked_fill(~keep(i, j, window), filling)
    return answer


def in_window(i: Tensor, j: Tensor, window: int) -> Tensor:
    return (j <= i) & (i - j < window)


def in_place(scores, window):
    scores.copy_(window_scores(scores, window))
    return scores


def sized_by_first_dimension(scores, window):
    T = scores.shape[0]
    i, j = torch.arange(T)[:, None], torch.arange(T)
    return scores.masked_fill(~in_window(i, j, window), -torch.inf)


def first_two_dimensions(scores, window):
    """Writes into [i, j], which in (H, T, T) are a head and a query."""
    result = scores.clone()
    for i in range(len(scores)):
        for j in range(len(scores)):
            if j > i or i - j >= window:
                result[i, j] = -torch.inf
    return result


def mask_in_first_dimensions(scores, window):
    result, T = scores.clone(), scores.shape[-1]
    result[window_scores(torch.zeros(T, T), window).isinf()] = -torch.inf
    return result


def compared_as_one(scores, window):
    i, j = torch.arange(scores.shape[-1])[:, None], torch.arange(scores.shape[-1])
    return scores.masked_fill(~(i - window < j <= i), -torch.inf)


def times_infinity(scores, window):
    return scores + window_scores(scores, window).isinf() * -torch.inf


def draw_scores(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 5.0], [2.0, 3.0]]), 1),
             (torch.tensor([[1.0, 5.0, 6.0], [2.0, 3.0, 7.0], [4.0, 0.5, 1.5]]), 2)]
    numbers = generator(draw)
    for *heads, T, window in ((3, 1), (3, 3), (4, 9), (2, 4, 2), (5, 3), (3, 5, 1), (3, 5, 4), (6, 4), (4, 6, 3),
                              (7, 2), (5, 8, 5), (9, 4)):
        cases.append((torch.randn(*heads, T, T, generator=numbers), window))
    return cases


def counts_wrong(answer) -> str | None:
    """In a longer text, each row has as many scores as the window allows, and a softmax of it adds up to 1."""
    scores = torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(1))
    weights = answer(scores, 7).detach().softmax(dim=-1)                         # (H, T, T)
    for i, row in enumerate(weights[1]):
        if int((row > 0).sum()) != min(i + 1, 7) or abs(float(row.sum()) - 1) > 1e-4:
            return f"with a window of 7, token {i} looks at {int((row > 0).sum())} tokens, expected {min(i + 1, 7)}."
    return None


AHEAD = ("Your window lies in the future: triu and tril are mixed up, or i and j. Row i is the query, and it keeps "
         "columns up to i. Look at mask.int() for T = 4.")
FIRST_TWO = ("In (H, T, T) the first two dimensions are head and query. Queries and keys are the last two: "
             "T = scores.shape[-1], and result[..., i, j].")

EXERCISE = Exercise(
    id="3.1", name="window_scores", title="A window on the past", minutes=15,
    oracle=window_scores, cases=draw_scores,
    mistakes=(
        Mistake(keeping(lambda i, j, window: (j <= i) & (i - j <= window)),
                "Your window is one token too wide: with window 1, a token must see itself alone. It counts as one of "
                "the window, so the first key is i - window + 1: i - j < window."),
        Mistake(keeping(lambda i, j, window: (j <= i) & (i - j < window - 1)),
                "Your window is one token too narrow: with window 1 nobody sees anything. The token itself and "
                "window - 1 before it: i - j < window."),
        Mistake(keeping(lambda i, j, window: j <= i),
                "This is the causal mask alone: the first token is still seen from everywhere. What lies window tokens "
                "or more behind must go too."),
        Mistake(keeping(lambda i, j, window: i - j < window),
                "You cut off what is too far behind, and leave the future. Both must go: keep a score where both "
                "conditions hold."),
        Mistake(keeping(lambda i, j, window: (i - j).abs() < window),
                "Your window reaches to both sides of a token. It may look back only: j <= i as well."),
        Mistake(keeping(lambda i, j, window: (j >= i) & (j - i < window)), AHEAD),
        Mistake(keeping(lambda i, j, window: (j >= i) & (j - i <= window)), AHEAD),
        Mistake(keeping(lambda i, j, window: i - j <= window),
                "Two things: you leave the future, and your window is one token too wide. Keep a score where j <= i "
                "and also i - j < window; as diagonals, tril() and triu(1 - window)."),
        Mistake(keeping(lambda i, j, window: j - i <= window),
                "Your window reaches into the future, and everything behind is left. tril(n) keeps n diagonals above "
                "the main one; those below have negative numbers: tril(), then triu(1 - window)."),
        Mistake(keeping(lambda i, j, window: (j <= i) & (j - i >= window)),
                "Everything is -inf: no key is in your window. In triu and tril, diagonals below the main one have "
                "negative numbers: triu(1 - window)."),
        Mistake(keeping(lambda i, j, window: (j <= i) & (j >= i[-1] + 1 - window)),
                "Your window lies at the end of the text, and is the same for all. It moves along: that of token i "
                "ends at token i."),
        Mistake(lambda scores, window: scores.clone(),
                "Nothing is -inf. If you join two masks of what must go: no key is ahead and too far behind, so join "
                "them with |, not &. If you compare i and j: i must be (T, 1), as arange(T)[:, None] is."),
        Mistake(keeping(lambda i, j, window: ~in_window(i, j, window)),
                "It is the wrong way round: you write -inf where a token may look. masked_fill fills where the mask is "
                "True; ~mask turns it round."),
        Mistake(keeping(lambda i, j, window: (j < i) & (i - j < window)),
                "A token does not see itself in your window, and the first sees nothing at all. Keep the diagonal."),
        Mistake(keeping(lambda i, j, window: (j < i) & (i - j <= window)),
                "Your window begins before the token: it holds the window tokens before it, and not itself. It must "
                "see itself and window - 1 before."),
        Mistake(keeping(lambda i, j, window: (j <= i) & (i // window == j // window)),
                "You cut the text into pieces of window tokens, and nobody looks over an edge. The window moves along: "
                "each token has its own, which ends at it."),
        Mistake(keeping(in_window, 0.0),
                "You write 0 where nobody may look. A score of 0 is a score like any other: the softmax makes exp(0) = "
                "1 of it. Only -inf becomes a weight of 0."),
        Mistake(keeping(in_window, -1e9),
                "You write a large negative number. Often that is as good, but here -inf was asked for: "
                "-torch.inf or float(\"-inf\")."),
        Mistake(lambda scores, window: window_scores(scores.softmax(dim=-1), window),
                "You take the softmax first. Its sum still holds what nobody may see. Give back the scores; the "
                "softmax comes after you."),
        Mistake(lambda scores, window: window_scores(scores, window).softmax(dim=-1),
                "These are the weights. Give back the scores; the softmax comes after you."),
        Mistake(in_place,
                "You write into the scores that you were given: an underscore at the end of a name, as in "
                "masked_fill_, or an assignment to scores[...] does that. Use masked_fill, or a clone()."),
        Mistake(sized_by_first_dimension,
                "If it works for (T, T) and not for (H, T, T): the first dimension is then H. The number of tokens is "
                "the last: T = scores.shape[-1]. A mask (T, T) fits all heads."),
        Mistake(first_two_dimensions, FIRST_TWO),
        Mistake(mask_in_first_dimensions,
                "A mask (T, T) in square brackets belongs to the first two dimensions, which in (H, T, T) are head and "
                "query. Write [..., mask], or use masked_fill, where it fits all heads."),
        Mistake(compared_as_one,
                "If a truth value is ambiguous: and, not and a < b < c ask for one answer, and a table has many. Use "
                "&, ~ and | for tables, with brackets around each comparison."),
        Mistake(times_infinity,
                "0 * inf is nan, so a mask times -inf spoils what you keep. Write -inf in the places alone: "
                "scores.masked_fill(mask, -torch.inf)."),
        Mistake(lambda scores, window: scores[window_scores(scores, window).isfinite()],
                "A mask in square brackets picks out the numbers where it is True, in one row. Keep the table: "
                "scores.masked_fill(~mask, -torch.inf), or torch.where."),
        Mistake(lambda scores, window: window_scores(scores, window).isfinite(),
                "You give back the mask. Put it to use: the scores where it is True, -inf elsewhere."),
    ),
    hints=("Write the condition for one pair first: when may query i look at key j? There is an upper and a lower "
           "limit for j.",
           "With i = torch.arange(T)[:, None], (T, 1), and j = torch.arange(T), (T,), the comparison of the two is a "
           "table (T, T). Keep where (j <= i) & (i - j < window); write -inf elsewhere with masked_fill."),
    properties=(Property("each token looks at as many as its window holds", counts_wrong),),
)
