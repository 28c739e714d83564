"""Functions on logits that make a distribution sharper, flatter or narrower.

Each takes logits (..., V) and gives logits (..., V), so that they compose; what they remove gets -inf:

    logits = top_p(temperature(logits, 0.7), 0.9)
"""
import math
from numbers import Integral, Real

import torch
from torch import Tensor

from helpers.checks import require

COLDEST = 1e-6              # dividing logits by less could overflow; it is greedy to all purposes


def temperature(logits: Tensor, value: float) -> Tensor:
    """Divide the logits: below 1 makes likely tokens likelier, above 1 evens all out, 0 leaves the likeliest only.

    logits: (..., V). At 0 (and below one millionth) the first of the largest keeps its logit, the others get -inf.
    Where a quotient is too large for its dtype (float16 ends at 65504), all of its row are lowered alike, which leaves
    the probabilities as they are. Lesson 07 builds it.
    Raises ValueError for a value below 0, infinite or NaN, and for logits that are all -inf or hold NaN.
    """
    require(isinstance(value, Real) and 0 <= value < math.inf,
            f"temperature is {value!r}; give 0 (greedy) or more, where 1 leaves the model's own probabilities.")
    check_logits(logits)
    if value >= COLDEST:
        scaled = logits / value
        fits = scaled.amax(dim=-1, keepdim=True).isfinite()                         # (..., 1)
        if not bool(fits.all()):
            scaled = torch.where(fits, scaled, (logits - logits.amax(dim=-1, keepdim=True)) / value)
        return scaled
    best = logits.argmax(dim=-1, keepdim=True)                                      # (..., 1)
    return torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest logits (Fan et al., 2018).

    logits: (..., V). Exactly k are kept: of equal ones at the edge, those that come first. k above V keeps all.
    Lesson 07 builds it.
    Raises ValueError for k below 1 or not whole, and for logits that are all -inf or hold NaN.
    """
    require(isinstance(k, Integral) and k >= 1,
            f"top_k is {k!r}; give a whole number of at least 1, or leave it out to keep all.")
    check_logits(logits)
    k = min(k, logits.shape[-1])
    return logits.masked_fill(~largest(logits, k, logits.topk(k).values[..., -1:]), -torch.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of likeliest tokens whose probabilities reach p: the nucleus (Holtzman et al., 2020).

    logits: (..., V). At least one token is kept; of equal ones at the edge, those that come first. 1 keeps all.
    Lesson 07 builds it.
    Raises ValueError for p outside (0, 1], and for logits that are all -inf or hold NaN.
    """
    require(isinstance(p, Real) and 0 < p <= 1, f"top_p is {p!r}; give a share above 0 and at most 1.")
    check_logits(logits)
    if p == 1:
        return logits.clone()
    probabilities = logits.softmax(dim=-1)                                          # (..., V)
    # all tokens below (1 - p) / V together weigh less than 1 - p: none is needed, and sorting the few others is fast
    likely = int((probabilities >= (1 - p) / logits.shape[-1]).sum(dim=-1).max())
    ordered = probabilities.topk(likely).values                                     # (..., likely), falling
    before = ordered.cumsum(dim=-1) - ordered                                       # what likelier ones hold: 0, ...
    k = (before < p).sum(dim=-1, keepdim=True)                                      # (..., 1), at least 1
    return logits.masked_fill(~largest(probabilities, k, ordered.gather(-1, k - 1)), -torch.inf)


def largest(scores: Tensor, k: Tensor | int, edge: Tensor) -> Tensor:
    """True for the k largest of each row: those above edge, which is the k-th largest, and the first equal to it.

    scores: (..., V); edge: (..., 1); k: (..., 1), or one number for all rows. Returns bool (..., V).
    """
    above, equal = scores > edge, scores == edge                                    # (..., V) each
    wanted = k - above.sum(dim=-1, keepdim=True)                                    # (..., 1) of the equal ones
    return above | equal & (equal.cumsum(dim=-1) <= wanted)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keep the tokens that are at least p times as likely as the likeliest (Nguyen et al., 2024).

    logits: (..., V). Lesson 07 builds it.
    Raises ValueError for p outside [0, 1], and for logits that are all -inf or hold NaN.
    """
    require(isinstance(p, Real) and 0 <= p <= 1, f"min_p is {p!r}; give a share from 0, which keeps all, to 1.")
    check_logits(logits)
    probabilities = logits.softmax(dim=-1)                                          # (..., V)
    return logits.masked_fill(probabilities < p * probabilities.amax(dim=-1, keepdim=True), -torch.inf)


def repetition_penalty(logits: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Make tokens that were there already less likely: divide their logit if positive, multiply it if negative.

    logits: (..., V); ids: (..., T), the tokens so far. However often a token occurred, it is penalised once.
    penalty: 1 changes nothing, 1.2 is usual (CTRL, Keskar et al., 2019), below 1 invites repetition.
    Lesson 07 builds it.
    Raises ValueError for a penalty that is not above 0, and for logits that are all -inf or hold NaN.
    """
    require(isinstance(penalty, Real) and 0 < penalty < math.inf,
            f"repetition_penalty is {penalty!r}; give a number above 0, where 1 changes nothing.")
    check_logits(logits)
    require(bool(((ids >= 0) & (ids < logits.shape[-1])).all()),
            f"ids holds tokens that logits (..., {logits.shape[-1]}) do not have; were they made by another tokenizer?")
    scores = logits.gather(-1, ids)                                                 # (..., T)
    return logits.scatter(-1, ids, torch.where(scores < 0, scores * penalty, scores / penalty))


def check_logits(logits: Tensor) -> Tensor:
    """The same logits; raises ValueError where a row leaves no token to choose, or holds NaN."""
    if not logits.is_floating_point() or logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits is {logits.dtype} {tuple(logits.shape)}; give floats (..., V).")
    best = logits.amax(dim=-1)                                                      # (...,); NaN where there is one
    if not bool(best.isfinite().all()):
        bad = best[~best.isfinite()][0].item()
        what = "hold NaN" if math.isnan(bad) else "hold inf" if bad > 0 else "are all -inf, which leaves no token"
        raise ValueError(f"logits {what}; look at the model's weights and at what was done to its logits.")
    return logits
