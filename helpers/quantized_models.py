"""Models whose matrices are kept in 8 or 4 bits a number, and worked out again as they are used.

    rounded(model, bits=4, group=32)                    # a model to measure what quantization loses
    int8(model)                                         # a model that is smaller and faster on a CPU

`pretrained.smollm2(bits=4)` runs SmolLM2 in the four bits in which it is shipped. Sizes: N rows of input (tokens), I
numbers in, O numbers out, G groups in a row of weights.
"""
import functools
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.checks import require
from helpers.modules import share, swap_linear
from helpers.quantization import Quantized, quantize
from helpers.transformer import Transformer


def rounded(model: Transformer, bits: int, group: int | None = None, symmetric: bool = False) -> Transformer:
    """A copy of a model whose matrices were quantized and are float32 again: as wrong as, and no smaller or faster.

    The token table is quantized too. Norms, biases and tables of positions are not: they are shared with the model.
    Raises ValueError as `quantize`, and for a model that is in few bits already.
    """
    check_whole(model)
    new = share(model)
    for module in new.modules():
        if isinstance(module, nn.Linear) or module is new.embed:
            weight = quantize(module.weight, bits, group, symmetric).dequantize()
            module.weight = nn.Parameter(weight, requires_grad=False)
    return new


def int8(model: Transformer) -> Transformer:
    """A copy of a model with a byte a weight: absmax, one scale a row. Norms, biases and positions are shared.

    On a CPU it computes with PyTorch's int8 kernel, where there is one, in bfloat16. Meant for writing, not training.
    Raises ValueError for a model that is in few bits already.
    """
    check_whole(model)
    new = int8_tokens(share(model))
    swap_linear(new, lambda name, module: Int8Linear(int8_codes(module), module.bias))
    return new.eval()


def check_whole(model: Transformer) -> None:
    """Raise ValueError for a model that holds codes in place of weights."""
    kinds = (QuantizedEmbedding, FewBitsLinear)
    require(not any(isinstance(module, kinds) for module in model.modules()),
            "model is in few bits already; give the one from which it was made.")


def int8_tokens(model: Transformer) -> Transformer:
    """Put the token table, and the read-out where it is the same table, into 8 bits. Returns the model."""
    codes = int8_codes(model.embed)
    model.embed = QuantizedEmbedding(codes)
    if model.config.tied and model.config.output == "logits":
        model.config = replace(model.config, tied=False)        # from here on the read-out is a module of its own
        model.unembed = Int8Linear(codes)
    return model


def int8_codes(module: nn.Module) -> Quantized:
    """The weight of a module in 8 bits, with one scale a row."""
    return quantize(module.weight, 8, symmetric=True)


class QuantizedEmbedding(nn.Module):
    """A token table in few bits, without minimums: the rows that are looked up are worked out as they are needed."""

    def __init__(self, table: Quantized):
        super().__init__()
        require(table.minimums is None, "table has minimums; give QuantizedEmbedding codes without: "
                "quantize(weight, bits, group, symmetric=True).")
        self.register_buffer("codes", table.codes)                              # (V, G, C/G)
        self.register_buffer("scales", table.scales)                            # (V, G, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (B, T) to (B, T, C)."""
        return (self.codes[ids] * self.scales[ids]).flatten(-2)                 # (B, T, G, C/G) -> (B, T, C)


class FewBitsLinear(nn.Module):
    """x W^T + bias, by a kernel that takes rows of bfloat16 where there is one, and else by plain PyTorch."""

    def __init__(self, bias: Tensor | None):
        super().__init__()
        self.register_buffer("bias", None if bias is None else bias.detach())   # (O,)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O), in the precision of x."""
        if self.by_kernel(x):
            rows = x.reshape(-1, x.shape[-1]).bfloat16().contiguous()           # (N, I)
            y = self.kernel(rows)                                               # (N, O)
            y = y.view(*x.shape[:-1], y.shape[1])
        else:
            y = self.plain(x)
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def by_kernel(self, x: Tensor) -> bool:
        """Whether x goes through `kernel`, (N, I) to (N, O) in bfloat16, or else `plain`, (..., I) to (..., O)."""
        raise NotImplementedError

    def kernel(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    def plain(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Int8Linear(FewBitsLinear):
    """x W^T + bias with W in 8 bits, one scale a row."""

    def __init__(self, weight: Quantized, bias: Tensor | None = None):
        super().__init__(bias)
        require(weight.minimums is None and weight.scales.shape[1] == 1,
                "weight has groups or minimums; Int8Linear takes absmax with one scale a row.")
        self.register_buffer("codes", weight.codes[:, 0])                       # (O, I)
        self.register_buffer("scales", weight.scales[:, 0, 0])                  # (O,)
        self.register_buffer("rough", self.scales.bfloat16(), persistent=False)             # as the kernel takes them

    def by_kernel(self, x: Tensor) -> bool:
        """On a CPU, for rows of whole sixteens: the kernel reads 16 weights at a time, and on beyond the row's end."""
        return x.device.type == "cpu" and self.codes.shape[1] % 16 == 0 and has_kernels()

    def kernel(self, rows: Tensor) -> Tensor:
        return torch.ops.aten._weight_int8pack_mm(rows, self.codes, self.rough)

    def plain(self, x: Tensor) -> Tensor:
        return F.linear(x, self.codes.to(x.dtype)) * self.scales


class Int4Linear(FewBitsLinear):
    """x W^T + bias with W in 4 bits: a scale and a minimum for each group, of 32, 64, 128 or 256 weights.

    Codes on a CPU are packed for its kernel, two in a byte, where there is one and the rows are whole sixteens; scales
    and minimums are rounded to bfloat16. How they lie depends on the CPU: keep and send the Quantized, not this layer.
    Otherwise a weight takes a byte, and the matrix is worked out anew at each use: more memory, and slower.
    """

    def __init__(self, weight: Quantized, bias: Tensor | None = None):
        super().__init__(bias)
        O, G, size = weight.codes.shape
        require(weight.bits == 4 and weight.minimums is not None and size in (32, 64, 128, 256),
                f"weight has {weight.bits} bits in groups of {size}; Int4Linear takes 4, in groups of 32, 64, 128 or "
                "256, with minimums.")
        self.group = size
        self.packed = weight.codes.device.type == "cpu" and O % 16 == 0 and has_kernels()
        if self.packed:
            codes = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight.codes.flatten(1).int(), 1)    # (O, I/2)
            middles = weight.minimums + 8 * weight.scales                       # the kernel counts from -8 to 7
            pairs = torch.cat([weight.scales, middles], dim=2).transpose(0, 1)  # (O, G, 2) -> (G, O, 2)
            self.register_buffer("codes", codes)
            self.register_buffer("pairs", pairs.bfloat16().contiguous())
        else:
            self.register_buffer("codes", weight.codes)                         # (O, G, I/G)
            self.register_buffer("scales", weight.scales)                       # (O, G, 1)
            self.register_buffer("minimums", weight.minimums)                   # (O, G, 1)

    def by_kernel(self, x: Tensor) -> bool:
        """Where the codes are packed. Raises ValueError for x elsewhere than on the CPU then."""
        require(not self.packed or x.device.type == "cpu",
                f"x is on {x.device} and this layer's codes are packed for the CPU; make the layer from codes that are "
                "there, as pretrained.smollm2(device, bits=4) does.")
        return self.packed

    def kernel(self, rows: Tensor) -> Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.codes, self.group, self.pairs)

    def plain(self, x: Tensor) -> Tensor:
        return F.linear(x, Quantized(self.codes, self.scales, self.minimums, bits=4).dequantize().to(x.dtype))


@functools.cache
def has_kernels() -> bool:
    """Whether this PyTorch runs its int8 and int4 kernels on this CPU, tried out once on a small matrix.

    Without them plain PyTorch does the same.
    """
    codes = torch.zeros(32, 32, dtype=torch.int32)
    x = torch.zeros(1, 32, dtype=torch.bfloat16)
    try:
        torch.ops.aten._weight_int8pack_mm(x, codes.to(torch.int8), torch.zeros(32, dtype=torch.bfloat16))
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, 32, torch.zeros(1, 32, 2, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):                  # there is none of that name, or none for this CPU
        return False
    return True
