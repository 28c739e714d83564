"""What it costs to look inside SmolLM2: the residual stream and every attention pattern, beside a plain forward pass.

The peer is the same model in the same process, giving the same logits and keeping nothing. Looking adds a copy of each
layer's vectors, and once more the queries, keys and softmax of all 270 heads.
"""
import torch
from torch import Tensor

from benchmarks.harness import Row, compare
from helpers import pretrained, tracing
from helpers.transformer import Transformer

TOKENS = 64


def run() -> list[Row]:
    model, _ = pretrained.smollm2()
    ids = torch.randint(model.config.vocabulary, (1, TOKENS), generator=torch.Generator().manual_seed(0))
    check_same_work(model, ids)
    return [compare(f"SmolLM2 float32, {TOKENS} tokens: logits, residuals and all patterns", "a plain forward pass",
                    ours=lambda: look(model, ids), theirs=lambda: plain(model, ids), work=TOKENS, unit="tokens/s",
                    target=0.4, repetitions=21)]               # at most 2.5 times as long


def check_same_work(model: Transformer, ids: Tensor) -> None:
    """Raise AssertionError unless both give the same logits, and each row of each pattern adds up to 1."""
    logits, residual, weights = look(model, ids)
    torch.testing.assert_close(logits, plain(model, ids), atol=1e-4, rtol=0)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    if residual.shape[1] != model.config.layers + 1 or weights.shape[1] != model.config.layers:
        raise AssertionError("some layers were not traced.")


@torch.inference_mode()
def plain(model: Transformer, ids: Tensor) -> Tensor:
    """Logits (1, T, V)."""
    return model(ids)


@torch.inference_mode()
def look(model: Transformer, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (1, T, V), residual streams (1, layers + 1, T, C) and patterns (1, layers, H, T, T) of all layers."""
    residual = tracing.residuals(model, ids)
    weights = tracing.patterns(model, ids, residual=residual)
    return model.head(model.norm(residual[:, -1])), residual, weights
