"""The matrix product that a language model spends its time in, for few rows too: one token at a time, or a few texts.

Sizes: N rows (tokens), I numbers in, O numbers out.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 64                    # rows up to which reading the weights, and not multiplying, is what takes the time
LARGE = 2 ** 18             # weights that no core keeps close by, 1 MB of float32


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, as torch.nn.functional.linear: x (..., I), weight (O, I), bias (O,), to (..., O).

    One vector times a large matrix costs what reading the matrix costs. Intel's MKL, which PyTorch uses on most CPUs,
    reads it with one core, and not well when the matrix stands on the right; as two halves on the left of a batched
    product both cores read it, two to three times as fast. The sums are the same but for the last digits.
    """
    O, I = weight.shape
    N = x.numel() // I
    on_mkl = x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkl.is_available()
    if not on_mkl or N > FEW or weight.numel() < LARGE or O % 2:
        return F.linear(x, weight, bias)
    columns = x.reshape(N, I).t().expand(2, I, N)                               # the same for both halves
    product = torch.bmm(weight.unflatten(0, (2, O // 2)), columns)              # (2, O/2, I) @ (2, I, N) -> (2, O/2, N)
    product = product.view(O, N).t().contiguous().view(*x.shape[:-1], O)        # (O, N) -> (..., O)
    return product if bias is None else product + bias


class Linear(nn.Linear):
    """PyTorch's layer of that name, by the product above."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        return linear(x, self.weight, self.bias)
