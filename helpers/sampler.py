"""How the next token is chosen: filters on the logits, in a fixed order, then a dart.

Sizes: B rows, T tokens so far, V tokens to choose from.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.checks import require
from helpers.logits import COLDEST, min_p, repetition_penalty, temperature, top_k, top_p


@dataclass(frozen=True)
class Sampler:
    """How a token is chosen: the filters in the order in which transformers applies them, then a dart."""
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def __post_init__(self):
        self.filter(torch.zeros(1), torch.zeros(1, dtype=torch.int64))      # a wrong setting raises here, not later

    def filter(self, logits: Tensor, ids: Tensor) -> Tensor:
        """logits (..., V) and the tokens so far (..., T) to logits (..., V)."""
        logits = temperature(self.penalise(logits, ids), self.temperature)
        if self.top_k is not None:
            logits = top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p(logits, self.top_p)
        return logits if self.min_p is None else min_p(logits, self.min_p)

    def penalise(self, logits: Tensor, ids: Tensor) -> Tensor:
        """The first filter, and the only one that can change which token is the likeliest."""
        return logits if self.repetition_penalty is None else repetition_penalty(logits, ids, self.repetition_penalty)

    def choose(self, logits: Tensor, ids: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
        """The next token of each row: logits (B, V) and the tokens so far (B, T) to B tokens."""
        if self.temperature < COLDEST:
            return self.penalise(logits, ids).argmax(dim=-1).tolist()
        logits = self.filter(logits, ids)                                           # (B, V)
        return draw(logits.softmax(dim=-1).cpu(), generators)       # one CPU draws the same everywhere, unlike GPUs


def draw(probabilities: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
    """Throw one dart a row at a line on which each token has a stretch as long as its probability.

    probabilities: (B, V) on the CPU, in any scale; generators: one a row, which gives the dart. Returns B tokens.
    Raises ValueError for a row that holds NaN, inf or less than 0, or nothing above 0; and for a row without generator.
    """
    require(len(generators) == len(probabilities),
            f"generators holds {len(generators)} for {len(probabilities)} rows of probabilities; give one for each.")
    edges = probabilities.double().cumsum(dim=-1)                                   # (B, V), where stretches end
    total = edges[:, -1:]                                                           # (B, 1); NaN and inf reach it
    require(bool((probabilities >= 0).all() & total.isfinite().all() & (total > 0).all()),
            f"probabilities has a row with NaN, inf, a number below 0, or a sum of 0 (the sums are "
            f"{total[:, 0].tolist()!r:.60}); give shares of at least 0, as softmax makes them.")
    edges = edges / total                                                           # the last is exactly 1
    darts = torch.stack([torch.rand(1, generator=one, dtype=torch.float64) for one in generators])     # (B, 1)
    return torch.searchsorted(edges, darts, right=True)[:, 0].tolist()
