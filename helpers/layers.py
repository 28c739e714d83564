"""What lesson 04d reads off the layers of a model: vectors of many short texts, and sentences with a known sense.

    vectors = last_vectors(model, tokenizer, ["They love the walk", "They walk"])           # (layers + 1, 2, C)
    animal_senses()["bat"]          # (5 sentences about the animal, 5 about the thing), each ending in " bat"
    curve, low, high, drawn = with_interval(right)      # of (layers + 1, groups): means, and how sure they are
"""
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers import sentences
from helpers.tables import lines, table
from helpers.tracing import residuals
from helpers.transformer import Transformer
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer

ALSO_ANIMALS = ("Python", "mouse", "bug", "bat", "crane", "seal")      # the first sense of these, of lesson 02c's words


@torch.no_grad()
def last_vectors(model: Transformer, tokenizer: "BPETokenizer", texts: Sequence[str], label: str = "Reading",
                 size: int = 32) -> Tensor:
    """The residual stream at the last token of each text, after the embedding and after each block.

    Texts of about equal length share a batch of at most `size`; they are filled up at the end, which no real token
    sees. Shows a progress bar with this label.
    Returns (layers + 1, N, C), on the CPU. Raises ValueError for no text, an empty one, or one that is too long.
    """
    if isinstance(texts, str) or not texts or not all(texts):
        raise ValueError(f"texts is {texts!r}; give a list of texts, each with at least one character.")
    rows = [tokenizer.encode(text) for text in texts]
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    found = torch.empty(model.config.layers + 1, len(rows), model.config.d_model)
    with bar(len(rows), label) as step:
        for start in range(0, len(order), size):
            batch = order[start:start + size]
            T = len(rows[batch[-1]])
            ids = torch.tensor([rows[row] + [0] * (T - len(rows[row])) for row in batch])              # (B, T)
            streams = residuals(model, ids.to(model.device)).cpu()                  # (B, layers + 1, T, C)
            ends = [len(rows[row]) - 1 for row in batch]
            found[:, batch] = streams[torch.arange(len(batch)), :, ends].transpose(0, 1)
            step(len(batch))
    return found


def animal_senses() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Words for an animal and for something else: for each, sentences that end in it, the animal's first."""
    known = {word: tuple(sense[:5] for sense in sentences.senses()[word]) for word in ALSO_ANIMALS}
    return known | {word: (lines(two["one"]), lines(two["two"]))
                    for word, two in table("layer_sentences")["animal"].items()}


def with_interval(cases: Tensor, times: int = 1000, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mean over groups for each layer, and its 95 % interval: `proof.bootstrap` for all layers at once.

    The same groups are drawn for every layer, so that a drawn curve is one that could have been measured.
    cases: (L, G), a number for each layer and each of G groups, such as the words that were asked about.
    Returns the mean (L,), the low and the high end (L,) and the drawn curves (times, L).
    Raises ValueError for another shape and for fewer than five groups.
    """
    if cases.ndim != 2 or cases.shape[1] < 5:
        raise ValueError(f"cases has shape {tuple(cases.shape)}; give (layers, groups) with at least 5 groups.")
    cases = cases.detach().double().cpu()
    G = cases.shape[1]
    draws = torch.randint(G, (times, G), generator=torch.Generator().manual_seed(seed))
    counts = torch.zeros(times, G, dtype=torch.float64).scatter_add_(1, draws, torch.ones(times, G).double())
    drawn = counts @ cases.T / G                                                    # (times, L)
    mean = cases.mean(dim=1)                                                        # (L,)
    low, high = (drawn.quantile(end, dim=0) for end in (0.025, 0.975))
    return mean, torch.minimum(low, mean), torch.maximum(high, mean), drawn
