"""Where a token stands, as attention is told it: rotary angles that turn queries and keys, or ALiBi's slopes.

Sizes as in `helpers.transformer`: B rows, T new tokens, H heads of size D.
"""
import math

import torch
from torch import Tensor


def rope_angles(context: int, head_size: int, base: float) -> Tensor:
    """Angle of every position and pair: position / base^(2i/D), as (context, D/2). Lesson 03b builds it.

    In float32 and in this order of operations, as the models were trained: in float64 the angles would be more exact,
    and SmolLM2's logits after a thousand tokens 5e-4 away from everybody else's.
    """
    frequencies = 1 / base ** (torch.arange(0, head_size, 2).float() / head_size)       # (D/2,)
    return torch.outer(torch.arange(context).float(), frequencies)                      # (context, D/2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al., 2021): turn each pair (x[i], x[i + D/2]) by an angle that grows with position.

    x: (B, T, H, D); cos, sin: (1 or B, T, 1, D), with sin negative in its first half. Returns (B, T, H, D).
    Lesson 03b builds it.
    """
    partners = x.roll(x.shape[-1] // 2, dims=-1)            # (B, T, H, D), each number where its partner stood
    return torch.addcmul(x * cos, partners, sin)            # x cos + partners sin, in two steps and not three


def alibi_slopes(heads: int) -> Tensor:
    """Slope of each head, (H,): a score loses slope x distance (Press et al., 2021). Lesson 03b builds it.

    For a power of two they are 2^(-8/H), 2^(-16/H), ...; otherwise the missing ones come from every other slope of 2H.
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    slopes += [2 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return torch.tensor(slopes)
