"""LoRA (Hu et al., 2021): leave a model's matrices as they are, and train a narrow detour beside each.

    add_lora(model, rank=8)             # from here on only the detours are trained
    train(model, data, config)
    file = adapter(model)               # their numbers alone: small enough to keep many
    merge(model)                        # or add them to the matrices: the model as before, with other numbers

A detour takes C numbers to `rank` and from there to the matrix's output. Lesson 05g builds it.
"""
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.counting import require_above_0
from helpers.modules import replace_module

EVERYWHERE = ("qkv", "out", "up", "down")       # the matrices of a block, by the last part of their names


class LoRA(nn.Module):
    """A matrix that stays, and a detour beside it: x W^T + alpha / rank · x A^T B^T.

    linear: what stays; its numbers are no longer trained. rank: how many numbers pass through the detour.
    alpha: how loud the detour is. A begins random, B at zero, so that at first nothing is changed.
    seed: of A, which is drawn on the CPU. Raises ValueError for a rank that the matrix cannot have, or an alpha not
    above 0. Lesson 05g builds it.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, seed: int = 0):
        super().__init__()
        check(linear, rank, alpha)
        rows, columns = linear.weight.shape
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        a = torch.randn(rank, columns, generator=torch.Generator().manual_seed(seed)) / math.sqrt(columns)
        self.A = nn.Parameter(a.to(linear.weight))                              # (rank, in)
        self.B = nn.Parameter(linear.weight.new_zeros(rows, rank))              # (out, rank)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in) to (..., out)."""
        return self.linear(x) + self.scale * F.linear(F.linear(x, self.A), self.B)          # (..., rank) in between

    def merged(self) -> nn.Linear:
        """The matrix with the detour added to it, in place, to be trained again: use it, and no longer this module."""
        with torch.no_grad():
            self.linear.weight += self.scale * self.B @ self.A                  # (out, in)
        return self.linear.requires_grad_(True)


def add_lora(model: nn.Module, rank: int, alpha: float = 16.0, names: Sequence[str] = EVERYWHERE,
             seed: int = 0) -> list[str]:
    """Put a detour beside each linear layer of these names, and freeze all else. Lesson 05g builds it.

    names: the last part of a layer's name, such as "qkv". seed: the first detour's; each has its own.
    Returns the full names of the layers, such as "blocks.0.attention.qkv". Raises ValueError, before anything is
    changed, for a model that has detours already, no name, a name that no linear layer has, and as `LoRA` does.
    """
    if detours(model):
        raise ValueError("model has detours already; merge them first, or load an adapter into them.")
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    known = sorted({name.rpartition(".")[2] for name in linear})
    if not names or (unknown := [name for name in names if name not in known]):
        raise ValueError(f"names holds {repr(unknown[0]) if names else 'nothing'}; the model's linear layers are "
                         f"{', '.join(known)}.")
    chosen = [name for name in linear if name.rpartition(".")[2] in names]
    for name in chosen:
        check(linear[name], rank, alpha)
    model.requires_grad_(False)
    for number, name in enumerate(chosen):
        replace_module(model, name, LoRA(linear[name], rank, alpha, seed * 1_000 + number))
    return chosen


def merge(model: nn.Module) -> nn.Module:
    """Add each detour to its matrix and take it out: all is trained again. Returns the model. Lesson 05g builds it."""
    for name, detour in detours(model).items():
        replace_module(model, name, detour.merged())
    return model.requires_grad_(True)


def adapter(model: nn.Module) -> dict[str, Tensor]:
    """The detours' numbers by name, copied: all that has to be kept of a tuning."""
    return {f"{name}.{part}": getattr(detour, part).detach().clone()
            for name, detour in detours(model).items() for part in "AB"}


@torch.no_grad()
def load_adapter(model: nn.Module, numbers: Mapping[str, Tensor]) -> None:
    """Put an adapter's numbers into the detours of a model, in place of those that are there.

    Raises ValueError, before anything is changed, for an adapter whose names or shapes are others.
    """
    mine = {f"{name}.{part}": getattr(detour, part) for name, detour in detours(model).items() for part in "AB"}
    for name in sorted(mine.keys() | numbers.keys()):
        shapes = [tuple(found[name].shape) if name in found else "missing" for found in (numbers, mine)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} is {shapes[0]} in the adapter and {shapes[1]} in the model; give it detours of "
                             "the adapter's rank and names with add_lora.")
    for name, tensor in mine.items():
        tensor.copy_(numbers[name])


def check(linear: nn.Linear, rank: int, alpha: float) -> None:
    """Refuse a rank that the matrix cannot have, and an alpha that is not above 0."""
    rows, columns = linear.weight.shape
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= min(rows, columns):
        raise ValueError(f"rank is {rank!r}; a matrix of {rows} x {columns} takes 1 to {min(rows, columns)}.")
    require_above_0(alpha=alpha)


def detours(model: nn.Module) -> dict[str, LoRA]:
    """The detours of a model by their full names."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRA)}
