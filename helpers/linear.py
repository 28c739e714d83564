"""The matrix product that a language model spends its time in, at the speed that the machine allows.

Sizes: N rows (tokens), I numbers in, O numbers out.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = 2 ** 18             # weights that no core keeps close by, 1 MB of float32
FEW, SOME = 5, 64           # rows up to which the matrix is best on the left of the product, and in parts at all
PARTS = 2                   # of a matrix: as many as the machine had cores on which all this was measured


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, as torch.nn.functional.linear: x (..., I), weight (O, I), bias (O,), to (..., O).

    PyTorch leaves this product to Intel's MKL, which on some processors is not at its best with few rows: it reads the
    matrix with one core, though reading it is most of the work. As a batched product with parts of the matrix each core
    reads one. `benchmarks/decode.py` measures what that brings; the numbers above were found on an AMD EPYC with two
    cores and MKL 2024.2. Sums differ in their last digits only.
    """
    if not in_parts_is_faster(x, weight):
        return F.linear(x, weight, bias)
    O, I = weight.shape
    parts = weight.view(PARTS, O // PARTS, I)
    rows = x.reshape(1, -1, I).expand(PARTS, -1, I)                                 # the same N for all parts
    if rows.shape[1] <= FEW:
        product = torch.bmm(parts, rows.mT).view(O, -1).t()                         # (PARTS, O/PARTS, N) -> (N, O)
    else:
        product = torch.bmm(rows, parts.mT).transpose(0, 1)                         # (PARTS, N, O/PARTS), N first
    product = product.reshape(*x.shape[:-1], O).contiguous()
    return product if bias is None else product + bias


def in_parts_is_faster(x: Tensor, weight: Tensor) -> bool:
    """Whether this is a product by MKL, of few rows, with a large matrix that can be divided."""
    return (weight.numel() >= LARGE and x.numel() <= SOME * weight.shape[1] and weight.shape[0] % PARTS == 0
            and x.shape[-1] == weight.shape[1] and x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
            and torch.backends.mkl.is_available() and not torch.is_autocast_enabled("cpu"))


class Linear(nn.Linear):
    """PyTorch's layer of that name, by the product above."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        return linear(x, self.weight, self.bias)
