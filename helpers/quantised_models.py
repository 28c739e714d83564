"""Models whose matrices are kept in 8 or 4 bits a number, and worked out again as they are used.

    rounded(model, bits=4, group=32)                    # a model to measure what quantization loses
    int8(model)                                         # a model that is smaller and faster on a CPU

`pretrained.smollm2(bits=4)` runs SmolLM2 in the four bits in which it is shipped. Sizes: N rows of input (tokens), I
numbers in, O numbers out, G groups in a row of weights.
"""
import copy
import functools
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.logits import require
from helpers.lora import replace_module
from helpers.quantization import Quantised, quantise
from helpers.transformer import Transformer


def rounded(model: nn.Module, bits: int, group: int | None = None, symmetric: bool = False) -> nn.Module:
    """A copy of a model whose matrices were quantised and are float32 again: as wrong as, and no smaller or faster.

    The token table is quantised too; norms, biases and tables of positions are not. Raises ValueError as `quantise`.
    """
    new = share(model)
    for module in new.modules():
        if isinstance(module, nn.Linear) or module is new.embed:
            weight = quantise(module.weight, bits, group, symmetric).dequantise()
            module.weight = nn.Parameter(weight, requires_grad=False)
    return new


def int8(model: Transformer) -> Transformer:
    """A copy of a model with a byte a weight: absmax, one scale a row. Norms, biases and positions stay as they are.

    On a CPU it computes with PyTorch's int8 kernel, where there is one, in bfloat16. Meant for writing, not training.
    """
    return swap_linear(int8_tokens(share(model)), lambda name, module: Int8Linear(int8_codes(module), module.bias))


def int8_tokens(model: Transformer) -> Transformer:
    """Put the token table, and the read-out where it is the same table, into 8 bits. Returns the model."""
    codes = int8_codes(model.embed)
    model.embed = QuantisedEmbedding(codes)
    if model.config.tied and model.config.output == "logits":
        model.config = replace(model.config, tied=False)        # from here on the read-out is a module of its own
        model.unembed = Int8Linear(codes)
    return model


def int8_codes(module: nn.Module) -> Quantised:
    """The weight of a module in 8 bits, with one scale a row."""
    return quantise(module.weight, 8, symmetric=True)


def swap_linear(model: Transformer, make: Callable[[str, nn.Linear], nn.Module]) -> Transformer:
    """Put another module in the place of each linear layer; make gets its full name, and itself. Returns the model."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            replace_module(model, name, make(name, module))
    return model.eval()


def share(model: nn.Module) -> nn.Module:
    """A copy of a model's modules that holds the same tensors: what is put into it leaves the model alone."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


class QuantisedEmbedding(nn.Module):
    """A token table in 8 bits: the rows that are looked up are worked out as they are needed."""

    def __init__(self, table: Quantised):
        super().__init__()
        self.register_buffer("codes", table.codes)                              # (V, G, C/G)
        self.register_buffer("scales", table.scales)                            # (V, G, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (B, T) to (B, T, C)."""
        return (self.codes[ids] * self.scales[ids]).flatten(-2)                 # (B, T, G, C/G) -> (B, T, C)


class Int8Linear(nn.Module):
    """x W^T + bias with W in 8 bits, one scale a row."""

    def __init__(self, weight: Quantised, bias: Tensor | None = None):
        super().__init__()
        require(weight.minimums is None and weight.scales.shape[1] == 1,
                "weight has groups or minimums; Int8Linear takes absmax with one scale a row.")
        self.register_buffer("codes", weight.codes[:, 0])                       # (O, I)
        self.register_buffer("scales", weight.scales[:, 0, 0])                  # (O,)
        self.bias = bias
        self.rough = self.scales.bfloat16()                                     # as the kernel takes them

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        if x.device.type == "cpu" and has_kernels():
            y = torch.ops.aten._weight_int8pack_mm(x.flatten(0, -2).bfloat16(), self.codes, self.rough)     # (N, O)
            y = y.unflatten(0, x.shape[:-1]).to(x.dtype)
        else:
            y = F.linear(x, self.codes.to(x.dtype)) * self.scales
        return y if self.bias is None else y + self.bias


class Int4Linear(nn.Module):
    """x W^T + bias with W in 4 bits: a scale and a minimum for each group, of 32, 64, 128 or 256 weights."""

    def __init__(self, weight: Quantised, bias: Tensor | None = None):
        super().__init__()
        O, G, size = weight.codes.shape
        require(weight.bits == 4 and weight.minimums is not None and size in (32, 64, 128, 256),
                f"weight has {weight.bits} bits in groups of {size}; Int4Linear takes 4, in groups of 32, 64, 128 or "
                "256, with minimums.")
        self.bias, self.group = bias, size
        self.packed = has_kernels() and weight.codes.device.type == "cpu"
        if self.packed:
            codes = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight.codes.flatten(1).int(), 1)    # (O, I/2)
            middles = weight.minimums + 8 * weight.scales                       # the kernel counts from -8 to 7
            pairs = torch.cat([weight.scales, middles], dim=2).transpose(0, 1)  # (O, G, 2) -> (G, O, 2)
            self.register_buffer("codes", codes)
            self.register_buffer("pairs", pairs.bfloat16().contiguous())
        else:
            self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        if self.packed:
            y = torch.ops.aten._weight_int4pack_mm_for_cpu(x.flatten(0, -2).bfloat16(), self.codes, self.group,
                                                           self.pairs)          # (N, O)
            y = y.unflatten(0, x.shape[:-1]).to(x.dtype)
        else:
            y = F.linear(x, self.weight.dequantise().to(x.dtype))               # slow: worked out anew each time
        return y if self.bias is None else y + self.bias


@functools.cache
def has_kernels() -> bool:
    """Whether this PyTorch has its int8 and int4 kernels for the CPU; without them plain PyTorch does the same."""
    codes = torch.zeros(32, 32, dtype=torch.int32)
    x = torch.zeros(1, 32, dtype=torch.bfloat16)
    try:
        torch.ops.aten._weight_int8pack_mm(x, codes.to(torch.int8), torch.zeros(32, dtype=torch.bfloat16))
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, 32, torch.zeros(1, 32, 2, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True
