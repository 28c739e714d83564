"""Our product is PyTorch's: same numbers and slopes for few rows and many; and each takes the way it should."""
import pytest
import torch
import torch.nn.functional as F

from helpers import linear as module
from helpers.linear import FEW, LARGE, Linear, linear

MATRIX = torch.randn(LARGE // 256, 256, generator=torch.Generator().manual_seed(0))
needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="other machines take the plain way")


@pytest.fixture
def ways(monkeypatch):
    """The names of the products that are worked out, in order."""
    seen = []

    def record(holder, name):
        real = getattr(holder, name)
        monkeypatch.setattr(holder, name, lambda *arguments: seen.append(name) or real(*arguments))

    record(module.torch, "bmm")
    record(module.F, "linear")
    if module.has_onednn():
        record(torch.ops.mkldnn, "_linear_pointwise")
    return seen


def expected_way(rows: int, gradients: bool) -> str:
    if not torch.backends.mkl.is_available():
        return "linear"
    if rows <= FEW:
        return "bmm"
    return "linear" if gradients or not module.has_onednn() else "_linear_pointwise"


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 2), (1, FEW), (1, FEW + 1), (3, 40), (600,), (0,), ()])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_it_is_pytorchs_linear(ways, shape, with_bias, gradients):
    draw = torch.Generator().manual_seed(len(shape))
    bias = torch.randn(len(MATRIX), generator=draw) if with_bias else None
    x = torch.randn(*shape, 256, generator=draw)
    expected = x @ MATRIX.t() + (0 if bias is None else bias)
    with torch.set_grad_enabled(gradients):
        got = linear(x, MATRIX, bias)
    assert torch.allclose(got, expected, atol=1e-4, rtol=1e-5)
    assert got.shape == (*shape, len(MATRIX)) and got.is_contiguous()
    assert ways == [expected_way(x.numel() // 256, gradients)]


@pytest.mark.parametrize("weight", [MATRIX[:-2], torch.cat([MATRIX, MATRIX[:1]]), MATRIX.bfloat16()],
                         ids=["small", "odd", "bf16"])
def test_other_matrices_take_the_plain_way(ways, weight):
    x = torch.ones(1, 256, dtype=weight.dtype)
    assert torch.equal(linear(x, weight), torch.nn.functional.linear(x, weight)) and set(ways) == {"linear"}


def test_without_onednn_many_rows_take_the_plain_way(ways, monkeypatch):
    monkeypatch.setattr(module, "has_onednn", lambda: False)
    with torch.no_grad():
        linear(torch.ones(FEW + 1, 256), MATRIX)
    assert ways == ["linear"]


@pytest.mark.parametrize("rows", [1, FEW + 1])
def test_autocast_gives_the_type_it_gives_elsewhere(rows):
    x, bias = torch.ones(rows, 256), torch.ones(len(MATRIX))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert linear(x, MATRIX, bias).dtype == F.linear(x, MATRIX, bias).dtype == torch.bfloat16


@pytest.mark.parametrize("rows", [1, FEW + 1])
def test_a_wrong_width_is_named_as_pytorch_does(rows):
    with torch.no_grad(), pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        linear(torch.ones(rows, 255), MATRIX)


@pytest.mark.parametrize("rows", [2, FEW + 1])
def test_a_matrix_that_is_a_view_of_another_gives_the_same(rows):
    weight = torch.randn(300, LARGE // 256, generator=torch.Generator().manual_seed(0)).t()[:, :256]
    x = torch.ones(rows, 256)
    with torch.no_grad():
        assert torch.allclose(linear(x, weight), x @ weight.t(), atol=1e-4)


@needs_mkl
@pytest.mark.parametrize("rows, way", [(3, "bmm"), (FEW + 1, "linear")])
def test_slopes_pass(ways, rows, way):
    layer = Linear(512, LARGE // 512)
    x = torch.randn(rows, 512, requires_grad=True)
    layer(x).square().sum().backward()
    assert ways == [way]
    slopes = x.grad.clone(), layer.weight.grad.clone(), layer.bias.grad.clone()
    x.grad = layer.weight.grad = layer.bias.grad = None
    (x @ layer.weight.t() + layer.bias).square().sum().backward()
    for got, expected in zip(slopes, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        assert torch.allclose(got, expected, atol=1e-4)
