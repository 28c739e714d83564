"""What happened inside: the residual stream of a forward pass, and what each layer would already say."""
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
def trace(model: Transformer, tokenizer: "BPETokenizer", text: str) -> Trace:
    """Run a text through the model and keep the residual stream after every layer.

    Raises ValueError for an empty text, or one longer than the model's context.
    """
    if not text:
        raise ValueError("text is empty; give at least one character.")
    ids = torch.tensor([tokenizer.encode(text)], device=model.embed.weight.device)     # (1, T)
    kept = []
    hooks = [model.blocks[0].register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0][0]))]
    hooks += [block.register_forward_hook(lambda module, inputs, output: kept.append(output[0]))
              for block in model.blocks]
    try:
        model.hidden(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return Trace(ids[0], [tokenizer.decode([token]) for token in ids[0].tolist()], torch.stack(kept))


@torch.no_grad()
def logit_lens(model: Transformer, residual: Tensor) -> Tensor:
    """Probabilities of the next token if the model stopped here (nostalgebraist, 2020): the last norm and head, early.

    residual: (..., C), of any layer. Returns (..., V).
    """
    return model.head(model.norm(residual)).softmax(dim=-1)
