"""What happened inside: the residual stream, what each layer would say, where each head looks, what a head is for.

    seen = trace(model, tokenizer, "The cat sat")         # one pass, kept
    weights = patterns(model, seen)                       # (layers, H, T, T): worked out only now
    previous_token(weights)                               # (layers, H): how much each head looks one token back
    with without(model, [(3, 5)], head_means(model, ids)):
        model(ids)                                        # as if head 5 of layer 3 had nothing to say

Layers and heads are counted from 0. Where a text gives (layers, ...), a batch of texts gives (B, layers, ...).
"""
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.transformer import Attention, Places, Transformer

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
    one = torch.tensor(ids, device=model.device)                                    # (T,)
    return Trace(one, [tokenizer.decode([token]) for token in ids], residuals(model, one))


@torch.no_grad()
def residuals(model: Transformer, ids: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """The residual stream after the embedding and after each block.

    ids: (T,), or a batch (B, T) with, if need be, a padding_mask (B, T), True where a token is real.
    Returns (layers + 1, T, C) or (B, layers + 1, T, C). Raises ValueError for ids that the model refuses.
    """
    kept: list[Tensor] = []
    model.hidden(as_batch(ids, padding_mask), padding_mask=padding_mask, keep=kept)
    streams = torch.stack(kept, dim=1)                                              # (B, layers + 1, T, C)
    return streams[0] if ids.ndim == 1 else streams


def as_batch(ids: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Ids (T,) or (B, T) as (B, T). Raises ValueError for other shapes, and for a padding_mask beside one text."""
    if not isinstance(ids, Tensor) or ids.ndim not in (1, 2):
        kind = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise ValueError(f"ids is {kind}; give a tensor of token ids, (T,) or (B, T).")
    if ids.ndim == 1 and padding_mask is not None:
        raise ValueError(f"padding_mask is given and ids is {tuple(ids.shape)}; only a batch, (B, T), has padding.")
    return ids[None] if ids.ndim == 1 else ids


@torch.no_grad()
def logit_lens(model: Transformer, residual: Tensor) -> Tensor:
    """Probabilities of the next token if the model stopped here (nostalgebraist, 2020): the last norm and head, early.

    residual: (..., C), of any layer. Returns (..., V). Raises ValueError for a model without logits.
    """
    check_logits(model)
    return model.head(model.norm(residual)).softmax(dim=-1)


@torch.no_grad()
def patterns(model: Transformer, seen: Trace | Tensor, layers: Sequence[int] | None = None,
             padding_mask: Tensor | None = None, residual: Tensor | None = None) -> Tensor:
    """Attention weights: how much each query (row) takes from each key (column), for every layer and head.

    The model itself never holds them, because its fast attention does not make them; they are worked out here from the
    residual stream. Lesson 03d builds it.

    seen: a Trace, or ids (T,) or (B, T). layers: only these, in this order; None is all.
    padding_mask: (B, T), True where a token is real; only with ids (B, T).
    residual: what `residuals` gave for these ids, if you have it: then the model is not run again. Not with a Trace,
        which has its own.
    Returns (layers, H, T, T) or (B, layers, H, T, T). Raises ValueError for ids or a mask that the model refuses, for
    arguments that do not go together, and for layers that it has not.
    """
    if isinstance(seen, Trace) and padding_mask is not None:
        raise ValueError("padding_mask is given and seen is a Trace, one text without padding; give ids, (B, T).")
    if isinstance(seen, Trace) and residual is not None:
        raise ValueError("residual is given and seen is a Trace, which has its own; give the Trace alone, or ids.")
    if layers is not None and not isinstance(layers, Iterable):
        raise ValueError(f"layers is {layers!r}; give a list of layers, such as [1].")
    ids, streams = (seen.ids, seen.residual) if isinstance(seen, Trace) else (seen, residual)
    layers = range(model.config.layers) if layers is None else list(layers)
    check_heads(model, [(layer, 0) for layer in layers])
    if streams is None:
        streams = residuals(model, ids, padding_mask)
    else:
        model.check(as_batch(ids, padding_mask), padding_mask)
    rows, T = (1 if ids.ndim == 1 else len(ids)), ids.shape[-1]
    if streams.shape != (*ids.shape[:-1], model.config.layers + 1, T, model.config.d_model):
        raise ValueError(f"residual has shape {tuple(streams.shape)} and ids {tuple(ids.shape)}; give what residuals "
                         "gave for these ids and this model.")
    streams = streams.view(rows, model.config.layers + 1, T, -1)                    # (B, layers + 1, T, C)
    places = model.places(model.positions(0, T, padding_mask, ids.device), seen=padding_mask)
    if places.mask is None and model.config.causal:
        places.mask = torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()
    found = streams.new_empty(rows, len(layers), model.config.heads, T, T)
    for i, layer in enumerate(layers):
        block, x = model.blocks[layer], streams[:, layer]                           # (B, T, C)
        x = block.attention_norm(x) if model.config.norm_at == "before" else x
        found[:, i] = weights_of(block.attention, x, places)
    return found[0] if ids.ndim == 1 else found


def weights_of(attention: Attention, x: Tensor, places: Places) -> Tensor:
    """Attention weights (B, H, T, T) of a layer that reads x, (B, T, C): its forward pass as far as the softmax."""
    H, K, D = attention.config.heads, attention.config.kv_heads, attention.config.head_size
    B, T, _ = x.shape
    qkv, rows = attention.qkv, (H + K) * D                                          # the values are not needed
    qk = torch.nn.functional.linear(x, qkv.weight[:rows], None if qkv.bias is None else qkv.bias[:rows])
    q, k = attention.queries_and_keys(qk.view(B, T, H + K, D), places)              # (B, H | K, T, D)
    q = q.reshape(B, K, H // K * T, D) / math.sqrt(D)           # the heads that share a key, one below another
    scores = (q @ k.transpose(-2, -1)).view(B, H, T, T)
    if places.mask is None:
        return scores.softmax(dim=-1)
    if places.mask.dtype == torch.bool:
        return scores.masked_fill(~places.mask, -torch.inf).softmax(dim=-1)
    return (scores + places.mask).softmax(dim=-1)               # ALiBi: a penalty that grows with distance


# What a head does, as a number: patterns (..., H, T, T) to (..., H), such as (layers, H) for one text -----------------


def previous_token(patterns: Tensor) -> Tensor:
    """Mean weight on the token one back, over all tokens but the first (Elhage et al., 2021). Lesson 03e builds it."""
    check_patterns(patterns)
    return patterns.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=-1)              # (..., H)


def first_token(patterns: Tensor) -> Tensor:
    """Mean weight on the first token, over all later tokens: the attention sink (Xiao et al., 2023)."""
    check_patterns(patterns)
    return patterns[..., 1:, 0].mean(dim=-1)                                        # (..., H)


def induction(patterns: Tensor, ids: Tensor) -> Tensor:
    """Mean weight on what followed an earlier occurrence of the same token (Olsson et al., 2022: prefix matching).

    Over the tokens that have such an earlier occurrence; give random tokens that are repeated, so that nothing else
    leads there. patterns: (layers, H, T, T) and ids (T,), or (B, layers, H, T, T) and ids (B, T).
    Raises ValueError when nothing is repeated.
    """
    same = same_tokens(patterns, ids)                                               # (..., T, T)
    after = torch.zeros_like(same)
    after[..., 1:] = same[..., :-1]                         # the key after each earlier occurrence, still in the past
    return mean_weight(patterns, after.tril(-1))


def duplicate_token(patterns: Tensor, ids: Tensor) -> Tensor:
    """Mean weight on earlier occurrences of the same token (Wang et al., 2022). Arguments as in `induction`."""
    return mean_weight(patterns, same_tokens(patterns, ids))


def same_tokens(patterns: Tensor, ids: Tensor) -> Tensor:
    """Where query and key are the same token and the key came before: bool (..., T, T)."""
    check_patterns(patterns)
    if ids.shape != (*patterns.shape[:-4], patterns.shape[-1]):
        raise ValueError(f"ids has shape {tuple(ids.shape)} and patterns {tuple(patterns.shape)}; give (T,) with "
                         "(layers, H, T, T), or (B, T) with (B, layers, H, T, T).")
    return (ids[..., :, None] == ids[..., None, :]).tril(-1)


def mean_weight(patterns: Tensor, wanted: Tensor) -> Tensor:
    """Mean over queries of the weight on the wanted keys (..., T, T), over the queries that have any: (..., H)."""
    asked = wanted.any(dim=-1)                                                      # (..., T)
    if not asked.any(dim=-1).all():
        raise ValueError("ids holds no token twice where the score needs it; give a text with repeated tokens.")
    wanted, asked = wanted[..., None, None, :, :], asked[..., None, None, :]        # beside layers and heads
    return ((patterns * wanted).sum(dim=-1) * asked).sum(dim=-1) / asked.sum(dim=-1)


@torch.no_grad()
def copying(model: Transformer, ids: Tensor, top: int = 5) -> Tensor:
    """How often a head that looks at a token writes that token (Wang et al., 2022: the copy score of name movers).

    Each token's vector after the first block goes through the values and the output of each head alone, and from there
    to the model's head. The score is the share of tokens that are then among the `top` likeliest. No pattern enters:
    it says what a head would hand on, not where it looks.
    ids: (N,), tokens to try. Returns (layers, H). Raises ValueError for a model without logits, or normed after, and
    for a top that is not 1 to V.
    """
    check_logits(model)
    config = model.config
    if config.norm_at != "before":
        raise ValueError(f"model norms {config.norm_at} each layer; give one that norms before.")
    if not 1 <= top <= config.vocabulary:
        raise ValueError(f"top is {top}; give 1 to {config.vocabulary}, the tokens that this model has.")
    H, K, D, N = config.heads, config.kv_heads, config.head_size, len(ids)
    x = residuals(model, ids[:, None])[:, 1, 0]                                     # (N, C), each token alone
    scores = x.new_empty(config.layers, H)
    for layer, block in enumerate(model.blocks):
        attention = block.attention
        v = attention.qkv(block.attention_norm(x))[:, (H + K) * D:].view(N, K, D)   # (N, K, D)
        v = v.repeat_interleave(H // K, dim=1)                                      # (N, H, D)
        out = attention.out.weight.view(-1, H, D)                                   # (C, H, D)
        written = torch.einsum("nhd,chd->nhc", v, out)                              # (N, H, C)
        best = model.head(model.norm(written)).topk(top).indices                    # (N, H, top)
        scores[layer] = (best == ids[:, None, None]).any(dim=-1).float().mean(dim=0)            # (H,)
    return scores


# What happens without a head ------------------------------------------------------------------------------------------


@torch.no_grad()
def head_means(model: Transformer, ids: Tensor) -> Tensor:
    """What each head puts into its layer's output on average, over all tokens of some texts.

    ids: (B, T). Returns (layers, H, D), for `without`. Raises ValueError for ids that the model refuses.
    """
    means: list[Tensor] = []
    with ExitStack() as stack:
        for block in model.blocks:
            hook = block.attention.out.register_forward_pre_hook(
                lambda module, inputs: means.append(inputs[0].mean(dim=(0, 1))))    # (H D,)
            stack.callback(hook.remove)
        model.hidden(ids)
    return torch.stack(means).view(model.config.layers, model.config.heads, -1)     # (layers, H, D)


@contextmanager
def without(model: Transformer, heads: Iterable[tuple[int, int]], means: Tensor | None = None) -> Iterator[None]:
    """Take heads out of a model while the block runs; afterwards, and after an error, they are back.

    heads: (layer, head) of each. means: what they say instead, from `head_means` on some ordinary text (mean ablation;
    Wang et al., 2022). Without means they say zero, and the rest of the model meets inputs that it never saw: part of
    the damage is then not the lack of what the head knew but the lack of what it always says. Prefer means.
    Raises ValueError for a layer or a head that the model has not, and for means of another shape.
    """
    H, D, heads = model.config.heads, model.config.head_size, list(heads)
    check_heads(model, heads)
    if means is not None and means.shape != (model.config.layers, H, D):
        raise ValueError(f"means has shape {tuple(means.shape)}; give {(model.config.layers, H, D)}, from head_means.")

    def silence(layer: int):
        mine = sorted({head for at, head in heads if at == layer})
        said = 0.0 if means is None else means[layer, mine]                         # (heads, D)

        def hook(module: torch.nn.Module, inputs: tuple[Tensor]) -> Tensor:
            outputs = inputs[0].unflatten(-1, (H, D)).clone()                       # (B, T, H, D)
            outputs[..., mine, :] = said
            return outputs.flatten(-2)                                              # (B, T, H D)

        return hook

    with ExitStack() as stack:
        for layer in {layer for layer, _ in heads}:
            hook = model.blocks[layer].attention.out.register_forward_pre_hook(silence(layer))
            stack.callback(hook.remove)
        yield


def check_heads(model: Transformer, heads: Sequence[tuple[int, int]]) -> None:
    """Raise ValueError for a layer or head that the model has not."""
    for layer, head in heads:
        for name, number, count in (("layer", layer, model.config.layers), ("head", head, model.config.heads)):
            if not 0 <= number < count:
                raise ValueError(f"{name} is {number}; this model's are 0 to {count - 1}.")


def check_logits(model: Transformer) -> None:
    """Raise ValueError for a model that has no scores of tokens."""
    if model.config.output != "logits":
        raise ValueError(f"model gives {model.config.output}; give one that gives logits.")


def check_patterns(patterns: Tensor) -> None:
    """Raise ValueError for what is no pattern of at least two tokens."""
    if patterns.ndim < 3 or patterns.shape[-1] != patterns.shape[-2] or patterns.shape[-1] < 2:
        raise ValueError(f"patterns has shape {tuple(patterns.shape)}; give (..., H, T, T) of at least two tokens.")
