"""The matrix product that a language model spends its time in, for few rows too: one token at a time, or a few texts.

Sizes: N rows (tokens), I numbers in, O numbers out.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 64                    # rows up to which reading the weights, and not multiplying, is what takes the time
LARGE = 2 ** 18             # weights that no core keeps close by, 1 MB of float32
PARTS = 2                   # of a matrix: as many as the machine had cores on which this was measured


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, as torch.nn.functional.linear: x (..., I), weight (O, I), bias (O,), to (..., O).

    One vector times a large matrix costs what reading the matrix costs. Intel's MKL reads it with one core, and not
    well when the matrix stands on the right; as parts on the left of a batched product each core reads one, two to
    three times as fast. Measured on an AMD EPYC with two cores, and MKL 2024.2. The sums are the same but for the last
    digits.
    """
    O, I = weight.shape
    N = x.numel() // I
    on_mkl = x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkl.is_available()
    if not on_mkl or N > FEW or weight.numel() < LARGE or O % PARTS:
        return F.linear(x, weight, bias)
    columns = x.reshape(N, I).t().expand(PARTS, I, N)                           # the same for all parts
    parts = weight.unflatten(0, (PARTS, O // PARTS))                            # (PARTS, O/PARTS, I)
    product = torch.bmm(parts, columns)                                         # (PARTS, O/PARTS, N)
    product = product.view(O, N).t().contiguous().view(*x.shape[:-1], O)        # (O, N) -> (..., O)
    return product if bias is None else product + bias


class Linear(nn.Linear):
    """PyTorch's layer of that name, by the product above."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., I) to (..., O)."""
        return linear(x, self.weight, self.bias)
