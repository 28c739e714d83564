"""Take a model's modules apart and put others in their place, by name.

    copied = share(model)                                               # other modules around the same tensors
    swap_linear(copied, lambda name, linear: Int8Linear(...))           # which leaves `model` alone
"""
import copy
from collections.abc import Callable

from torch import nn


def share(model: nn.Module) -> nn.Module:
    """A copy of a model's modules that holds the same tensors: what is put into it leaves the model alone.

    A tensor that is changed in place is changed in both, and one whose device is changed by `.to` too.
    """
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of this full name."""
    owner, _, last = name.rpartition(".")
    setattr(model.get_submodule(owner), last, module)


def swap_linear(model: nn.Module, make: Callable[[str, nn.Linear], nn.Module]) -> None:
    """Put another module in the place of each linear layer; make gets its full name, and itself."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            replace_module(model, name, make(name, module))
