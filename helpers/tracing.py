"""What happened inside: the residual stream of a forward pass, and what each layer would already say."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.transformer import Transformer

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer


@dataclass(frozen=True)
class Trace:
    """One forward pass, kept."""
    ids: Tensor             # (T,)
    pieces: list[str]       # text of each token
    residual: Tensor        # (layers + 1, T, C): after the embedding, then after each block


@torch.no_grad()
def trace(model: Transformer, tokenizer: "BPETokenizer", text: str | Sequence[int]) -> Trace:
    """Run a text, or the tokens of one, through the model and keep the residual stream after every layer.

    Raises ValueError for an empty text, or one longer than the model's context.
    """
    if len(text) == 0:
        raise ValueError("text is empty; give at least one character.")
    ids = tokenizer.encode(text) if isinstance(text, str) else list(text)
    residual: list[Tensor] = []
    batch = torch.tensor([ids], device=model.embed.weight.device)                   # (1, T)
    model.hidden(batch, keep=residual)                                              # layers + 1 times (1, T, C)
    return Trace(batch[0], [tokenizer.decode([token]) for token in ids], torch.cat(residual))   # (layers + 1, T, C)


@torch.no_grad()
def logit_lens(model: Transformer, residual: Tensor) -> Tensor:
    """Probabilities of the next token if the model stopped here (nostalgebraist, 2020): the last norm and head, early.

    residual: (..., C), of any layer. Returns (..., V).
    """
    return model.head(model.norm(residual)).softmax(dim=-1)
