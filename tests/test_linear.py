"""A product by halves is the product: same numbers and slopes for few rows and many, and the plain one elsewhere."""
import pytest
import torch
import torch.nn.functional as F

from helpers import linear as module
from helpers.linear import FEW, LARGE, Linear, linear


@pytest.fixture
def products(monkeypatch):
    """The shapes of the batched products that are worked out."""
    seen = []
    real = torch.bmm
    monkeypatch.setattr(module.torch, "bmm", lambda a, b: seen.append((tuple(a.shape), tuple(b.shape))) or real(a, b))
    return seen


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 3), (1, FEW), (1, FEW + 1), (3, 40), ()])
@pytest.mark.parametrize("with_bias", [False, True])
def test_it_is_pytorchs_linear(products, shape, with_bias):
    draw = torch.Generator().manual_seed(len(shape))
    weight = torch.randn(LARGE // 256, 256, generator=draw)
    bias = torch.randn(len(weight), generator=draw) if with_bias else None
    x = torch.randn(*shape, 256, generator=draw)
    got = linear(x, weight, bias)
    assert torch.allclose(got, F.linear(x, weight, bias), atol=1e-4, rtol=1e-5)
    assert got.shape == (*shape, len(weight)) and got.is_contiguous()
    rows = x.numel() // 256
    if torch.backends.mkl.is_available():
        assert products == ([((2, 512, 256), (2, 256, rows))] if rows <= FEW else [])


@pytest.mark.parametrize("weight", [torch.ones(LARGE // 256 - 2, 256), torch.ones(LARGE // 256 + 1, 256),
                                    torch.ones(LARGE // 256, 256, dtype=torch.bfloat16)], ids=["small", "odd", "bf16"])
def test_other_matrices_take_the_plain_way(products, weight):
    x = torch.ones(1, 256, dtype=weight.dtype)
    assert torch.equal(linear(x, weight), torch.full((1, len(weight)), 256, dtype=weight.dtype)) and not products


def test_a_matrix_that_is_a_view_of_another_gives_the_same():
    weight = torch.randn(300, LARGE // 256, generator=torch.Generator().manual_seed(0)).t()[:, :256]
    x = torch.ones(2, 256)
    assert torch.allclose(linear(x, weight), x @ weight.t(), atol=1e-4)


def test_slopes_pass():
    layer = Linear(512, 512)
    x = torch.randn(3, 512, requires_grad=True)
    layer(x).square().sum().backward()
    slopes = x.grad.clone(), layer.weight.grad.clone(), layer.bias.grad.clone()
    x.grad = layer.weight.grad = layer.bias.grad = None
    F.linear(x, layer.weight, layer.bias).square().sum().backward()
    for got, expected in zip(slopes, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        assert torch.allclose(got, expected, atol=1e-4)
