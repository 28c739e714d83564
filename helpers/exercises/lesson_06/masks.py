"""Where answers are: masks for the inputs of exercises 6.3, 6.4 and 6.6, and what is read off them."""
import random

import torch
from torch import Tensor


def draw_mask(draw: random.Random, B: int, T: int) -> Tensor:
    """A completion_mask (B, T): in each row a request of at least one token, an answer of at least one, and filling."""
    mask = torch.zeros(B, T, dtype=torch.bool)
    for row in mask:
        first = draw.randint(1, T - 1)
        row[first:draw.randint(first, T - 1) + 1] = True
    return mask


def first_places(mask: Tensor) -> Tensor:
    """The place of each answer's first token: (B, T) to (B,)."""
    return mask.int().argmax(dim=1)


def last_places(mask: Tensor) -> Tensor:
    """The place of each answer's last token: (B, T) to (B,)."""
    return first_places(mask) + mask.sum(dim=1) - 1
