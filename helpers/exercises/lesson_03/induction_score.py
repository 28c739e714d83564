"""Exercise 3.6, does this head copy?: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

Result = tuple[float, float]
NOTHING = 0.0, 0.0                                            # score and chance where no token can look back


def induction_score(weights: Tensor, ids: Tensor) -> Result:
    tokens, scores, chances = ids.tolist(), [], []
    for t, token in enumerate(tokens):
        after = [j + 1 for j in range(t - 1) if tokens[j] == token]
        if after:
            scores.append(sum(weights[t, j].item() for j in after))
            chances.append(len(after) / (t + 1))
    return (sum(scores) / len(scores), sum(chances) / len(chances)) if scores else NOTHING


def measures(keys: Callable = lambda t, same: [j + 1 for j in same if j + 1 < t],
             score: Callable = lambda row, keys: sum(row[j] for j in keys),
             chance: Callable = lambda t, keys: len(keys) / (t + 1),
             ask: Callable = lambda t: t, mean: Callable = lambda numbers, T: sum(numbers) / len(numbers),
             turned: bool = False) -> Callable:
    """induction_score with one thing other than it should be. keys: where to look, by t and the earlier occurrences."""
    def answer(weights, ids):
        tokens, rows = ids.tolist(), (weights.T if turned else weights).tolist()
        scores, chances = [], []
        for t in range(len(tokens)):
            wanted = keys(t, [j for j in range(t) if tokens[j] == tokens[t]])
            if wanted and ask(t) < len(tokens):
                scores.append(score(rows[ask(t)], wanted))
                chances.append(chance(t, wanted))
        return (mean(scores, len(tokens)), mean(chances, len(tokens))) if scores else NOTHING
    return answer


def or_else(nothing: Callable) -> Callable:
    def answer(weights, ids):
        found = induction_score(weights, ids)
        return nothing() if found == NOTHING else found
    return answer


def by_pairs(weights, ids):
    """The mean over pairs of occurrences instead of tokens."""
    T = len(ids)
    same = (ids[:, None] == ids).tril(-1)                                        # (T, T)
    after = torch.zeros_like(same)
    after[:, 1:] = same[:, :-1]
    after = after.tril(-1)
    even = 1 / torch.arange(1, T + 1)[:, None].expand(T, T)
    return (weights[after].mean().item(), even[after].mean().item()) if after.any() else NOTHING


def counting_first_occurrences(weights, ids):
    """Counts each token that occurs anywhere else, also later."""
    tokens = ids.tolist()
    found = induction_score(weights, ids)
    asked = sum(any(tokens[j] == tokens[t] for j in range(t - 1)) for t in range(len(tokens)))
    counted = sum(tokens.count(token) > 1 for token in tokens)
    return tuple(number * asked / max(counted, 1) for number in found)


def counting_direct_repeats(weights, ids):
    """Counts each token that occurred before, also where it has no place to look."""
    tokens = ids.tolist()
    found = induction_score(weights, ids)
    asked = sum(any(tokens[j] == tokens[t] for j in range(t - 1)) for t in range(len(tokens)))
    counted = sum(tokens[t] in tokens[:t] for t in range(len(tokens)))
    return tuple(number * asked / max(counted, 1) for number in found)


def by_tables(move: Callable[[Tensor], Tensor]) -> Callable:
    """induction_score by tables (T, T); `move` brings each earlier occurrence to the place behind it."""
    def answer(weights, ids):
        after = move(ids[:, None] == ids).tril(-1)
        even = after.sum(dim=-1) / torch.arange(1, len(ids) + 1)
        asked = after.any(dim=-1)
        if not asked.any():
            return NOTHING
        return (weights * after).sum(dim=-1)[asked].mean().item(), even[asked].mean().item()
    return answer


def rows_down(same: Tensor) -> Tensor:
    moved = torch.zeros_like(same)
    moved[1:] = same.tril(-1)[:-1]
    return moved


def table_of_tensors(weights, ids):
    """Tensors as the keys of a dict: each is a key of its own."""
    last = {}
    for t, token in enumerate(ids):
        if token in last:
            return induction_score(weights, ids)
        last[token] = t
    return NOTHING


def chance_of_whole_text(weights, ids):
    counted = measures(chance=lambda t, keys: float(len(keys)))(weights, ids)
    return counted[0], counted[1] / len(ids)


def two_halves(weights, ids):
    half = len(ids) // 2
    if half < 2:
        return NOTHING
    rows = range(half, 2 * half)
    return (sum(weights[t, t - half + 1].item() for t in rows) / half, sum(1 / (t + 1) for t in rows) / half)


def draw_texts(draw: random.Random) -> list[tuple]:
    numbers = generator(draw)

    def case(*ids: int) -> tuple:
        scores = torch.randn(len(ids), len(ids), generator=numbers)
        scores = scores.masked_fill(torch.ones(len(ids), len(ids)).triu(1).bool(), -torch.inf)
        return scores.softmax(dim=-1), torch.tensor(ids)

    weights = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.1, 0.7, 0.2, 0.0], [0.1, 0.2, 0.4, 0.3]])
    cases = [(weights[:3, :3].clone(), torch.tensor([5, 8, 5])), case(4), case(3, 4, 5), case(7, 7),
             (weights, torch.tensor([5, 8, 5, 8])), case(5, 5, 5), case(2, 9, 9, 2), case(1, 2, 3, 1, 2, 3)]
    for T, different in ((5, 2), (6, 3), (7, 2), (8, 4), (9, 3), (10, 5), (11, 2), (12, 6), (13, 4), (15, 3), (16, 9)):
        cases.append(case(*(draw.randrange(300, 300 + different) for _ in range(T))))
    return cases


def misses_a_perfect_head(answer) -> str | None:
    """A head that always looks behind an earlier occurrence scores 1; one that looks evenly scores what chance does."""
    ids = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3])
    tokens = ids.tolist()
    perfect = torch.eye(len(ids))
    for t, token in enumerate(tokens):
        after = [j + 1 for j in range(t - 1) if tokens[j] == token]
        if after:
            perfect[t] = torch.zeros(len(ids)).index_fill(0, torch.tensor(after), 1 / len(after))
    even = torch.ones(len(ids), len(ids)).tril() / torch.arange(1, len(ids) + 1)[:, None]
    for name, weights in (("looks only behind earlier occurrences", perfect), ("looks at all tokens evenly", even)):
        score, chance = map(float, answer(weights, ids))
        if abs(score - (1 if weights is perfect else chance)) > 1e-4:
            return f"a head that {name} scored {score:.3f}; by chance it would be {chance:.3f}."
    return None


def depends_on_names(answer) -> str | None:
    ids = torch.tensor([0, 1, 2, 0, 1, 3, 1, 0, 2])
    weights = torch.ones(9, 9).tril().cumsum(dim=-1).tril()
    weights = weights / weights.sum(dim=-1, keepdim=True)
    before, after = (tuple(map(float, answer(weights, ids))), tuple(map(float, answer(weights, 40000 - 7 * ids))))
    worst = max(abs(one - other) for one, other in zip(before, after))
    return None if worst < 1e-4 else f"other ids for the same tokens changed a result by {worst:.3g}."


EXERCISE = Exercise(
    id="3.6", name="induction_score", title="Does this head copy?", minutes=25,
    oracle=induction_score, cases=draw_texts,
    mistakes=(
        Mistake(measures(keys=lambda t, same: [j for j in same if j + 1 < t]),
                "You look at the weight on the earlier occurrence itself. An induction head looks one further: at what "
                "came after it, j + 1."),
        Mistake(measures(keys=lambda t, same: same),
                "You add the weights on all earlier occurrences. Look one further, at what came after each, j + 1, and "
                "leave out an occurrence directly before."),
        Mistake(measures(keys=lambda t, same: [j + 1 for j in same]),
                "You count an occurrence directly before the token, and what comes after that is the token itself. "
                "Looking at oneself is no induction: leave it out, j + 1 < t."),
        Mistake(measures(keys=lambda t, same: [j - 1 for j in same if 0 < j < t - 1]),
                "You look at the token before the earlier occurrence. Induction looks after it: j + 1."),
        Mistake(measures(keys=lambda t, same: [j + 1 for j in same if j + 1 < t][-1:]),
                "You look behind the last occurrence alone. Add up the weights behind all earlier ones."),
        Mistake(measures(keys=lambda t, same: [j + 1 for j in same if j + 1 < t][:1]),
                "You look behind the first occurrence alone. Add up the weights behind all earlier ones."),
        Mistake(measures(keys=lambda t, same: [same[-1] + 1] if same and same[-1] + 1 < t else []),
                "You remember the last occurrence alone, and where that stands directly before you forget the others. "
                "Add up the weights behind all earlier ones."),
        Mistake(measures(keys=lambda t, same: [j + 1 for j in same][-1:]),
                "Two things: you look behind the last occurrence alone, where all count; and one directly before must "
                "not count, as what comes after it is the token itself."),
        Mistake(measures(keys=lambda t, same: [j + 1 for j in same if j + 2 < t]),
                "You leave out one occurrence too many. Only the one directly before does not count, j = t - 1; that "
                "at t - 2 does: range(t - 1) ends there."),
        Mistake(by_tables(lambda same: same.roll(1, dims=1)),
                "What falls off at the end, roll brings back to the front: the last column becomes column 0. Let it "
                "fall off: after[:, 1:] = same[:, :-1], with zeros in column 0."),
        Mistake(by_tables(rows_down),
                "You move the rows, which are the token that looks. What it looks at are the columns: move those one "
                "to the right."),
        Mistake(measures(score=lambda row, keys: max(row[j] for j in keys)),
                "Where a token occurred several times you take the largest weight. Add them up: all of that is spent "
                "on induction."),
        Mistake(measures(score=lambda row, keys: sum(row[j] for j in keys) / len(keys),
                         chance=lambda t, keys: 1 / (t + 1)),
                "Where a token occurred several times you take the mean of the weights. Add them up: all of that is "
                "spent on induction."),
        Mistake(measures(score=lambda row, keys: sum(row[j] for j in keys) / len(keys)),
                "Where a token occurred several times you take the mean of the weights. Add them up, as you do for "
                "chance."),
        Mistake(by_pairs,
                "You take the mean over pairs of occurrences. Add up what a token spends first; then take the mean "
                "over tokens."),
        Mistake(measures(mean=lambda numbers, T: sum(numbers) / T),
                "You divide by the number of all tokens. Only those that can look behind an earlier occurrence are "
                "counted."),
        Mistake(measures(mean=lambda numbers, T: sum(numbers)),
                "You give the sums. Divide by the number of tokens that can look behind an earlier occurrence."),
        Mistake(counting_first_occurrences,
                "You divide by the number of tokens that occur more than once. The first occurrence has nothing to "
                "look back to: count only those with an earlier one."),
        Mistake(counting_direct_repeats,
                "You count a token whose only earlier occurrence stands directly before it. It has no place to look: "
                "leave it out of the mean."),
        Mistake(measures(turned=True),
                "Rows and columns are mixed up: weights[t, j] is how much token t, the query, looks at token j."),
        Mistake(measures(ask=lambda t: t + 1),
                "You read the row of the token after the repeated one. The repeated token itself looks back, to see "
                "what came after it last time: row t."),
        Mistake(measures(chance=lambda t, keys: len(keys) / t if t else 0.0),
                "Your chance shares the weight among the tokens before. A token may look at itself too: token t has "
                "t + 1 to choose from."),
        Mistake(measures(chance=lambda t, keys: 1 / (t + 1)),
                "Your chance is that of one key. By chance a token hits each of the places that count: how many, over "
                "t + 1."),
        Mistake(lambda weights, ids: induction_score(weights, ids)[::-1],
                "Score and chance come out in the wrong order: return score, chance."),
        Mistake(chance_of_whole_text,
                "Your chance shares the weight among all T tokens. Token t cannot see those after it: it has t + 1 to "
                "choose from."),
        Mistake(or_else(lambda: None),
                "Where no token can look back you give None. Give 0.0 and 0.0: by chance, too, there is nothing to "
                "find."),
        Mistake(or_else(lambda: 0.0),
                "Where no token can look back you give one number. There are always two: return 0.0, 0.0."),
        Mistake(or_else(lambda: (torch.nan, torch.nan)),
                "Where no token can look back you give nan, from 0 / 0. Return 0.0, 0.0 before you divide."),
        Mistake(or_else(lambda: 0 / 0),
                "Where no token can look back you divide by 0. Return 0.0, 0.0 before you divide."),
        Mistake(table_of_tensors,
                "Your ids are tensors, and two tensors of the same number are two keys of a dict, so nothing is ever "
                "found again. ids.tolist() gives plain numbers."),
        Mistake(two_halves,
                "You take it that the text's second half repeats its first. Here tokens come back at any distance: "
                "compare ids."),
        Mistake(lambda weights, ids: induction_score(weights, ids)[0],
                "You give the score alone. What an even head would score belongs to it: return score, chance."),
    ),
    hints=("Take one token t that occurred before, and write down the places just behind its earlier occurrences. What "
           "does row t of the weights spend there?",
           "For each t: after = [j + 1 for j in range(t - 1) if ids[j] == ids[t]]. If there are some, keep "
           "weights[t, after].sum() and len(after) / (t + 1). Give the mean of each list, or 0.0 if it is empty."),
    properties=(Property("a perfect head scores 1 and an even one as chance does", misses_a_perfect_head),
                Property("the ids are names and nothing more", depends_on_names)),
)
