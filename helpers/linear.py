"""The matrix product that a language model spends its time in, at the speed that the machine allows.

Sizes: N rows (tokens), I numbers in, O numbers out.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 5                     # rows up to which reading the weights, and not multiplying, is what takes the time
LARGE = 2 ** 18             # weights that no core keeps close by, 1 MB of float32
PARTS = 2                   # of a matrix: as many as the machine had cores on which this was measured, 8 were not tried


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, as torch.nn.functional.linear: x (..., I), weight (O, I), bias (O,), to (..., O).

    PyTorch leaves this product to Intel's MKL, which on some processors is not at its best with large matrices:
    it multiplies a few rows with one core, though reading the matrix is all the work (`in_parts` uses both), and more
    rows slower than oneDNN, which PyTorch has on board too and which gives no gradients. What that brings is measured
    in `benchmarks/decode.py`; FEW was found on an AMD EPYC with MKL 2024.2. Sums differ in their last digits only.
    """
    if is_large(x, weight):
        rows = x.numel() // x.shape[-1]
        if rows <= FEW and weight.shape[0] % PARTS == 0:
            product = in_parts(x, weight)
            return product if bias is None else product + bias
        if not torch.is_grad_enabled() and has_onednn():
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def is_large(x: Tensor, weight: Tensor) -> bool:
    """Whether this is a product of MKL's with a large matrix, that fits."""
    return (weight.numel() >= LARGE and x.shape[-1] == weight.shape[1] and x.device.type == "cpu"
            and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkl.is_available())


def in_parts(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight.T, (..., I) to (..., O), as a batched product with parts of the matrix on the left.

    Each core reads one part, and MKL reads a matrix on the left faster than one on the right.
    """
    O, I = weight.shape
    parts = weight.view(PARTS, O // PARTS, I)
    columns = x.reshape(1, -1, I).mT.expand(PARTS, I, -1)                           # the same for all parts
    product = torch.bmm(parts, columns)                                             # (PARTS, O/PARTS, N)
    return product.view(O, -1).t().contiguous().view(*x.shape[:-1], O)              # (O, N) -> (..., O)


def has_onednn() -> bool:
    """Whether oneDNN's product is there. PyTorch's compiler calls it too, but the name is private: it may move."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Linear(nn.Linear):
    """PyTorch's layer of that name, by the product above."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        return linear(x, self.weight, self.bias)
