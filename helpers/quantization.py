"""Weight-only quantization: each number of a matrix as one of few evenly spaced values.

    codes = quantize(weight, bits=4, group=32)          # 0 to 15, and a scale and a minimum for every 32 weights
    codes.dequantize()                                  # float32 again, a little off

Whole models are in `quantized_models.py`. Sizes: O rows (outputs), I columns (inputs), G groups in a row.
"""
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.checks import require


@dataclass(frozen=True)
class Quantized:
    """A matrix (O, I) in few bits: weight = scale x code + minimum, a scale and a minimum for each group of a row."""
    codes: Tensor                   # (O, G, I/G), int8 where there is no minimum, uint8 where there is one
    scales: Tensor                  # (O, G, 1) float32
    minimums: Tensor | None         # (O, G, 1) float32; None: codes may be negative, and 0 stays 0
    bits: int

    def dequantize(self) -> Tensor:
        """The matrix (O, I) in float32."""
        weights = self.scales * self.codes
        return (weights if self.minimums is None else weights + self.minimums).flatten(1)

    @property
    def bits_per_weight(self) -> float:
        """What a weight takes when a scale, and a minimum, take 16 bits each, as in GGUF."""
        return self.bits + 16 * (1 if self.minimums is None else 2) * self.scales.numel() / self.codes.numel()


def quantize(weight: Tensor, bits: int, group: int | None = None, symmetric: bool = False) -> Quantized:
    """The nearest of few evenly spaced values for each weight. Lesson 07c builds it.

    weight: (O, I). bits: 2 to 8. group: how many weights of a row share a scale; it divides I; None is the whole row.
    symmetric: absmax: values from -a to a, where a is the largest of the group without its sign, and one of them is 0.
    Otherwise they go from the group's least to its largest (llama.cpp's Q4_1 with 4 bits and groups of 32).
    Raises ValueError for what is no matrix of finite floats, bits outside 2 to 8, and a group that does not divide I.
    """
    require(weight.ndim == 2 and weight.is_floating_point() and bool(weight.isfinite().all()),
            f"weight is {weight.dtype} {tuple(weight.shape)}; give a matrix (O, I) of finite floats.")
    require(isinstance(bits, int) and 2 <= bits <= 8, f"bits is {bits!r}; give 2 to 8.")
    group = weight.shape[1] if group is None else group
    require(isinstance(group, int) and group >= 1 and weight.shape[1] % group == 0,
            f"group is {group!r}; give a whole number that divides the {weight.shape[1]} weights of a row.")
    groups = weight.detach().float().unflatten(1, (-1, group))                  # (O, I) -> (O, G, I/G)
    if symmetric:
        most = 2 ** (bits - 1) - 1                                              # 127 for 8 bits, 7 for 4
        scales = groups.abs().amax(dim=2, keepdim=True) / most                  # (O, G, 1)
        return Quantized(nearest(groups, scales).to(torch.int8), scales, None, bits)
    least, largest = groups.aminmax(dim=2, keepdim=True)                        # (O, G, 1) each
    scales = (largest - least) / (2 ** bits - 1)
    return Quantized(nearest(groups - least, scales).to(torch.uint8), scales, least, bits)


def nearest(values: Tensor, scales: Tensor) -> Tensor:
    """values / scales, rounded; where the scale is 0 all values of the group are alike, and 0."""
    return (values / scales.where(scales > 0, 1)).round()
