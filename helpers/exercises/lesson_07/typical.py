"""Exercise 7.1, as surprising as expected: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

CLOSE = 1e-4                                                  # no two tokens are so near, no sum so close to p


def typical(logits: Tensor, p: float) -> Tensor:
    if not 0 < p < 1:
        raise ValueError(f"p is {p}; give a share above 0 and below 1.")
    probabilities, distances = measured(logits)
    kept, total = [], 0.0
    for token in sorted(range(len(logits)), key=distances.__getitem__):          # the nearest to the entropy first
        if total < p:
            kept.append(token)
            total += probabilities[token]
    return torch.tensor([logit if token in kept else -math.inf for token, logit in enumerate(logits.tolist())])


def measured(logits: Tensor) -> tuple[list[float], list[float]]:
    """Each token's probability, and how far its surprisal is from the entropy."""
    largest = logits.max().item()
    powers = [math.exp(logit - largest) for logit in logits.tolist()]
    probabilities = [power / sum(powers) for power in powers]
    surprisals = [-math.log(one) if one > 0 else math.inf for one in probabilities]
    entropy = sum(one * surprisal for one, surprisal in zip(probabilities, surprisals) if one > 0)
    return probabilities, [abs(surprisal - entropy) for surprisal in surprisals]


def clear(case: tuple) -> bool:
    """Whether no rounding decides which tokens are kept."""
    if not 0 < case[1] < 1:
        return True                                                              # refused, so nothing is kept
    probabilities, distances = measured(case[0])
    order = sorted((one for one in range(len(distances)) if distances[one] < math.inf), key=distances.__getitem__)
    gaps = [distances[two] - distances[one] for one, two in zip(order, order[1:])]
    sums = [sum(probabilities[one] for one in order[:n]) for n in range(1, len(order) + 1)]
    return min(gaps, default=1) > CLOSE and all(abs(total - case[1]) > CLOSE for total in sums)


def checked(p: float) -> None:
    if not 0 < p < 1:
        raise ValueError("p must be between 0 and 1")


def unchecked(p: float) -> None:
    pass


def within(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError("p must be from 0 to 1")


def asserted(p: float) -> None:
    assert 0 < p < 1, "p must be between 0 and 1"


def log_probabilities(logits: Tensor) -> Tensor:
    return logits.log_softmax(dim=-1)                                            # (V,)


def mean_surprisal(logps: Tensor) -> Tensor:
    return torch.special.entr(logps.exp()).sum()                                 # (V,) -> (); entr(0) is 0


def apart(logps: Tensor, entropy: Tensor) -> Tensor:
    return (-logps - entropy).abs()                                              # (V,)


def needed(ordered: Tensor, p: float) -> Tensor:
    return ordered.cumsum(dim=0) - ordered < p                                   # (V,)


def elsewhere(logits: Tensor, kept: Tensor, order: Tensor) -> Tensor:
    return logits.masked_fill(~kept, -torch.inf)                                 # (V,)


def keeps(logs: Callable = log_probabilities, entropy: Callable = mean_surprisal, distance: Callable = apart,
          enough: Callable = needed, end: Callable = elsewhere, check: Callable = checked) -> Callable:
    """typical with one thing other than it should be."""
    def answer(logits, p):
        check(p)
        logps = logs(logits)                                                     # (V,)
        order = distance(logps, entropy(logps)).argsort(stable=True)             # (V,)
        kept = torch.zeros_like(logits, dtype=torch.bool)
        kept[order] = enough(logps.exp()[order], p)
        return end(logits, kept, order)
    return answer


def too_many(ordered, p):
    return torch.cat([torch.ones(1).bool(), needed(ordered, p)[:-1]])


def at_least_one(ordered, p):
    return (ordered.cumsum(dim=0) <= p) | (torch.arange(len(ordered)) == 0)


def by_distance(logits, p):
    checked(p)
    logps = log_probabilities(logits)
    return logits.masked_fill(apart(logps, mean_surprisal(logps)) > p, -torch.inf)


def by_rank(ordered, p):
    return torch.arange(len(ordered)) < p * len(ordered)


def raw_surprisals(logits, p):
    """Takes -logits for the surprisals, and the right entropy."""
    return keeps(distance=lambda logps, entropy: (-logits - entropy).abs())(logits, p)


def in_place(logits, p):
    kept = keeps()(logits, p)
    logits[kept.isinf()] = -torch.inf
    return logits


def draw_logits(draw: random.Random) -> list[tuple]:
    four = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    cases = [(torch.tensor([2.0, 0.0, 1.0]), 0.3), (four, 0.45), (four, 0.25), (four.flip(0) + 3, 0.85), (four, 1.0),
             (torch.tensor([0.0, -torch.inf, 1.0, -torch.inf, -1.5]), 0.5), (four, 0.0), (four, 1.5), (four, -0.1),
             (torch.tensor([0.5, -200.0, 3.0, 2.0, 1.0, -150.0]), 0.8), (torch.tensor([9.0, 0.0, 1.0, 2.0]), 0.7)]
    numbers = generator(draw)
    for V, spread, p in ((6, 1, 0.5), (7, 2, 0.2), (9, 0.5, 0.8), (12, 3, 0.95), (15, 1, 0.1), (21, 2, 0.7),
                         (30, 4, 0.9), (33, 1, 0.35)):
        case = torch.randn(V, generator=numbers) * spread, p
        while not clear(case):
            case = torch.randn(V, generator=numbers) * spread, p
        cases.append(case)
    return cases


def minds_level(answer) -> str | None:
    """Logits that are all raised by the same mean the same."""
    logits = torch.randn(11, generator=torch.Generator().manual_seed(7)) * 2
    one, other = answer(logits.clone(), 0.6), answer(logits + 5, 0.6)
    if torch.equal(one.isinf(), other.isinf()):
        return None
    return (f"all logits were raised by 5, and tokens {(~other.isinf()).nonzero()[:, 0].tolist()} were kept instead "
            f"of {(~one.isinf()).nonzero()[:, 0].tolist()}.")


NAN = ("Where a probability is 0, your entropy is nan, for 0 * -inf is. Such a token adds nothing to the entropy: "
       "nansum leaves nan out of a sum.")

EXERCISE = Exercise(
    id="7.1", name="typical", title="As surprising as expected", minutes=20,
    oracle=typical, cases=draw_logits, refuses=ValueError,
    mistakes=(
        Mistake(keeps(distance=lambda logps, entropy: -logps),
                "You keep the likeliest, as top-p does. Do you sort by surprisal, is abs() missing, or has your "
                "entropy the wrong sign? Sort by (surprisal - entropy).abs()."),
        Mistake(keeps(distance=lambda logps, entropy: logps),
                "You keep the least likely. Sort by the distance between surprisal and entropy, with abs(), the "
                "smallest first."),
        Mistake(keeps(distance=lambda logps, entropy: -apart(logps, entropy)),
                "You begin with the token whose surprisal is farthest from the entropy. Sort the distances so that the "
                "smallest come first: without descending=True."),
        Mistake(keeps(entropy=lambda logps: (logps.exp() * -logps).sum()), NAN),
        Mistake(keeps(logs=lambda logits: logits.softmax(dim=-1).log(), entropy=lambda logps:
                      (logps.exp() * -logps).sum()), NAN),
        Mistake(keeps(entropy=lambda logps: -logps.mean()),
                "Your entropy is the plain mean of the surprisals. A likely token counts for more: weight each with "
                "its probability, and add up."),
        Mistake(keeps(entropy=lambda logps: mean_surprisal(logps) / math.log(2)),
                "Your entropy is in bits, and your surprisals are in nats. Take the same logarithm for both."),
        Mistake(raw_surprisals,
                "You take -logits for the surprisals. Logits may all be raised by the same and mean the same: -log q "
                "comes from log_softmax."),
        Mistake(keeps(distance=lambda logps, entropy: (logps.exp() - entropy).abs()),
                "You compare probabilities with the entropy. It is a mean of surprisals: compare -log q with it."),
        Mistake(keeps(distance=lambda logps, entropy: (logps.exp() - (-entropy).exp()).abs()),
                "You compare probabilities. The distance is between two surprisals, a token's and the mean of all: "
                "stay with the logarithms."),
        Mistake(keeps(enough=lambda ordered, p: ordered.cumsum(dim=0) < p),
                "Your set stops short of p: the token with which the sum reaches p is kept too. A token stays if the "
                "sum before it is below p."),
        Mistake(keeps(enough=at_least_one),
                "Your set stops short of p: the token with which the sum reaches p is kept too, not only where it is "
                "the first. A token stays if the sum before it is below p."),
        Mistake(keeps(enough=too_many),
                "You keep one token too many. A token stays if the sum before it is below p; yours looks at one place "
                "before that."),
        Mistake(keeps(enough=by_rank),
                "You keep a share p of the tokens. It is their probabilities that must reach p together."),
        Mistake(by_distance,
                "You keep all tokens whose distance is at most p. The sum of probabilities decides: from the nearest "
                "on, until they reach p together."),
        Mistake(keeps(end=lambda logits, kept, order: torch.where(kept, logits, 0.0)),
                "You give 0 to what is taken out. A logit of 0 is like any other; softmax makes 0 of -inf alone."),
        Mistake(keeps(end=lambda logits, kept, order: elsewhere(logits, kept, order).softmax(dim=-1)),
                "You give probabilities. Logits were asked for, so that the next filter can go on: those kept stay as "
                "they were."),
        Mistake(keeps(end=lambda logits, kept, order: elsewhere(log_probabilities(logits), kept, order)),
                "The right tokens stay, but with their log-probabilities. Give back the logits that you were given."),
        Mistake(keeps(end=lambda logits, kept, order: elsewhere(logits, kept, order)[order]),
                "Your result is in the order of the distances. Put each token back in its own place: kept[order] = "
                "... does that."),
        Mistake(keeps(end=lambda logits, kept, order: logits.masked_fill(~kept[order], -torch.inf)),
                "Your mask is in the order of the distances, and the logits are in their own. Bring it into theirs: "
                "kept[order] = ... does that."),
        Mistake(keeps(end=lambda logits, kept, order: kept),
                "You give a mask. Give the logits, with -inf where the mask is False."),
        Mistake(keeps(end=lambda logits, kept, order: logits[kept]),
                "You give the kept logits alone, so nobody knows whose they are. The result is (V,), with -inf "
                "elsewhere."),
        Mistake(keeps(check=unchecked),
                "At a p of 0 nothing would be kept, and beyond 1 nothing is a share. Refuse it: unless 0 < p < 1, "
                "raise ValueError with a sentence that says what p is."),
        Mistake(keeps(check=within),
                "You let 0 or 1 pass. At 0 nothing is kept, and 1 is reached by rounding or not at all: refuse both."),
        Mistake(keeps(check=asserted),
                "An assert raises AssertionError, and Python leaves it out when it is run with -O. For a wrong "
                "argument raise ValueError."),
        Mistake(in_place,
                "You write into the logits that you were given. logits.masked_fill(...) makes a new tensor."),
    ),
    hints=("Three numbers of each token: its probability q, its surprisal -log q, and how far that is from the "
           "entropy. Sort by the third, add up the first. When may you stop?",
           "Let order = (-logps - entropy).abs().argsort() and ordered = logps.exp()[order]. Kept are those with "
           "ordered.cumsum(dim=0) - ordered < p, and kept[order] = ... puts them back in their places."),
    properties=(Property("raising all logits alike changes nothing", minds_level),),
)
