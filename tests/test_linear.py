"""Our product is PyTorch's: same numbers and slopes for few rows and many; and each is taken as it should be."""
import pytest
import torch
import torch.nn.functional as F

from helpers import linear as module
from helpers.linear import FEW, LARGE, SOME, Linear, linear

MATRIX = torch.randn(LARGE // 256, 256, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def products(monkeypatch):
    """The shapes of the batched products that are worked out."""
    seen = []
    real = torch.bmm
    monkeypatch.setattr(module.torch, "bmm", lambda a, b: seen.append((tuple(a.shape), tuple(b.shape))) or real(a, b))
    return seen


def expected(rows: int) -> list:
    """What `products` should hold after one product of MATRIX with so many rows."""
    if not torch.backends.mkl.is_available() or rows > SOME:
        return []
    return [((2, 512, 256), (2, 256, rows))] if rows <= FEW else [((2, rows, 256), (2, 256, 512))]


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 2), (1, FEW), (1, FEW + 1), (2, 3), (1, SOME), (3, 40), (0,), ()])
@pytest.mark.parametrize("with_bias", [False, True])
def test_it_is_pytorchs_linear(products, shape, with_bias):
    draw = torch.Generator().manual_seed(len(shape))
    bias = torch.randn(len(MATRIX), generator=draw) if with_bias else None
    x = torch.randn(*shape, 256, generator=draw)
    got = linear(x, MATRIX, bias)
    assert torch.allclose(got, F.linear(x, MATRIX, bias), atol=1e-4, rtol=1e-5)
    assert got.shape == (*shape, len(MATRIX)) and got.is_contiguous()
    assert products == expected(x.numel() // 256)


@pytest.mark.parametrize("weight", [MATRIX[:-2], torch.cat([MATRIX, MATRIX[:1]]), MATRIX.bfloat16()],
                         ids=["small", "odd", "bf16"])
def test_other_matrices_take_the_plain_way(products, weight):
    x = torch.ones(1, 256, dtype=weight.dtype)
    assert torch.equal(linear(x, weight), F.linear(x, weight)) and not products


@pytest.mark.parametrize("rows", [1, FEW + 1])
def test_autocast_gives_the_type_it_gives_elsewhere(products, rows):
    x, bias = torch.ones(rows, 256), torch.ones(len(MATRIX))
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, MATRIX, bias).dtype == F.linear(x, MATRIX, bias).dtype == torch.bfloat16
    assert not products


@pytest.mark.parametrize("width", [255, 512])
def test_a_wrong_width_is_named_as_pytorch_does(width):
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        linear(torch.ones(2, width), MATRIX)


@pytest.mark.parametrize("rows", [2, FEW + 1])
def test_a_matrix_that_is_a_view_of_another_gives_the_same(rows):
    weight = torch.randn(300, LARGE // 256, generator=torch.Generator().manual_seed(0)).t()[:, :256]
    x = torch.ones(rows, 256)
    assert torch.allclose(linear(x, weight), x @ weight.t(), atol=1e-4)


@pytest.mark.parametrize("rows", [3, FEW + 1])
def test_slopes_pass(products, rows):
    layer = Linear(512, LARGE // 512)
    x = torch.randn(rows, 512, requires_grad=True)
    layer(x).square().sum().backward()
    assert len(products) == torch.backends.mkl.is_available()
    slopes = x.grad.clone(), layer.weight.grad.clone(), layer.bias.grad.clone()
    x.grad = layer.weight.grad = layer.bias.grad = None
    F.linear(x, layer.weight, layer.bias).square().sum().backward()
    for got, theirs in zip(slopes, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        assert torch.allclose(got, theirs, atol=1e-4)
