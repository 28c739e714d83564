"""Small transformers of random numbers, as the exercises give them: a table, blocks, a last norm.

    {"table": (V, C), "norm": (C,), "blocks": [{"attn_norm": (C,), "qkv": (3 C, C), "out": (C, C),
                                                "mlp_norm": (C,), "up": (F, C), "down": (C, F)}, ...]}
"""
import torch
from torch import Tensor

EPS = 1e-5


def draw_model(V: int, C: int, F: int, layers: int, numbers: torch.Generator) -> dict:
    """A model whose logits are neither all alike nor decided by one token; gains of about 1, some of them negative."""
    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=numbers)

    def gain() -> Tensor:
        return 0.3 + randn(C)

    return {"table": randn(V, C) / 2, "norm": gain(), "blocks": [
        {"attn_norm": gain(), "qkv": randn(3 * C, C) / 2, "out": randn(C, C) / 2,
         "mlp_norm": gain(), "up": randn(F, C) / 2, "down": randn(C, F) / 2} for _ in range(layers)]}


def rms_norm(x: Tensor, gain: Tensor | float) -> Tensor:
    """Lesson 04's norm: (..., C) to (..., C)."""
    return x / (x.square().mean(dim=-1, keepdim=True) + EPS).sqrt() * gain
