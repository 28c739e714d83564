"""Quantized weights: by hand, against plain loops, and against the `gguf` package's own blocks."""
import math

import numpy as np
import pytest
import torch

from helpers import assets
from helpers.gguf_file import GGUF
from helpers.quantization import quantize

SIZES = [(bits, group, symmetric) for bits in (2, 3, 4, 8) for group in (None, 4, 12) for symmetric in (False, True)]


def matrix(seed=0, rows=5, columns=24):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_absmax_by_hand():
    codes = quantize(torch.tensor([[0.5, -2.0, 1.0, 0.0]]), bits=3, symmetric=True)         # -3 to 3, steps of 2/3
    assert codes.codes.tolist() == [[[1, -3, 2, 0]]] and codes.codes.dtype == torch.int8
    assert codes.scales.item() == pytest.approx(2 / 3) and codes.minimums is None
    assert codes.dequantize()[0].tolist() == pytest.approx([2 / 3, -2.0, 4 / 3, 0.0])


def test_with_a_minimum_by_hand():
    codes = quantize(torch.tensor([[1.0, 1.9, 4.0, 2.2, -5.0, 5.0, 5.0, 5.0]]), bits=2, group=4)
    assert codes.codes.tolist() == [[[0, 1, 3, 1], [0, 3, 3, 3]]] and codes.codes.dtype == torch.uint8
    assert codes.scales.flatten().tolist() == pytest.approx([1.0, 10 / 3])
    assert codes.dequantize()[0].tolist() == pytest.approx([1, 2, 4, 2, -5, 5, 5, 5])


@pytest.mark.parametrize("bits, group, symmetric", SIZES)
def test_every_code_is_the_nearest_of_the_values_there_are(bits, group, symmetric):
    weight = matrix(bits)
    got = quantize(weight, bits, group, symmetric)
    size = group or weight.shape[1]
    for row in range(len(weight)):
        for start in range(0, weight.shape[1], size):
            part = weight[row, start:start + size]
            if symmetric:
                most = 2 ** (bits - 1) - 1
                values = [n * float(part.abs().max()) / most for n in range(-most, most + 1)]
            else:
                step = float(part.max() - part.min()) / (2 ** bits - 1)
                values = [float(part.min()) + n * step for n in range(2 ** bits)]
            for column, number in enumerate(part.tolist()):
                found = got.dequantize()[row, start + column].item()
                assert abs(found - number) <= min(abs(value - number) for value in values) + 1e-6


@pytest.mark.parametrize("bits, group, symmetric", SIZES)
def test_quantizing_what_was_quantized_changes_nothing(bits, group, symmetric):
    once = quantize(matrix(), bits, group, symmetric)
    again = quantize(once.dequantize(), bits, group, symmetric)
    assert torch.equal(once.codes, again.codes)
    assert torch.allclose(once.dequantize(), again.dequantize(), atol=1e-6)


def test_a_group_of_equal_weights_is_kept_exactly():
    for symmetric in (False, True):
        for value in (0.0, 0.7, -0.7):
            got = quantize(torch.full((2, 6), value), 4, 3, symmetric).dequantize()
            assert torch.allclose(got, torch.full((2, 6), value), atol=1e-7)


def test_bits_per_weight():
    assert quantize(matrix(columns=64), 4, 32).bits_per_weight == 5.0           # Q4_1: 20 bytes for 32 weights
    assert quantize(matrix(columns=64), 8, 32, symmetric=True).bits_per_weight == 8.5           # Q8_0: 34 bytes
    assert quantize(matrix(columns=64), 8, symmetric=True).bits_per_weight == 8.25


def test_our_four_bits_are_those_of_the_gguf_package():
    """Q4_1 stores its scale and minimum in half precision, and rounds by them."""
    gguf = pytest.importorskip("gguf")
    numbers = matrix(3, rows=40, columns=64)
    packed = gguf.quantize(numbers.numpy(), gguf.GGMLQuantizationType.Q4_1)
    theirs = torch.from_numpy(gguf.dequantize(packed, gguf.GGMLQuantizationType.Q4_1).astype(np.float32))
    ours = quantize(numbers, 4, 32).dequantize()
    assert (ours - theirs).abs().max() < 4e-3                       # the half-precision of scale and minimum
    steps = (numbers.unflatten(1, (2, 32)).amax(2) - numbers.unflatten(1, (2, 32)).amin(2)) / 15
    assert float((ours - theirs).abs().max()) < float(steps.min()) / 10


def test_smollm2s_own_codes_come_back():
    """Weights that lie on 16 evenly spaced values are found on them: SmolLM2 loses nothing by four bits of ours."""
    file = GGUF(assets.path("smollm2.gguf"))
    assert file.quantized("blk.7.ffn_down.weight").codes.shape == (576, 48, 32)
    matrices = [name for name, entry in file.stored.items() if entry.kind == "Q4_1"]
    assert len(matrices) == 30 * 7                                              # all of the blocks
    for name in matrices:
        stored, weights = file.quantized(name), file.tensor(name)
        assert stored.bits == 4 and torch.equal(stored.dequantize(), weights)
        ours = quantize(weights, 4, 32)
        assert torch.equal(ours.codes, stored.codes) and torch.allclose(ours.dequantize(), weights, atol=1e-6), name


@pytest.mark.parametrize("arguments, says", [
    (dict(bits=1), "bits is 1; give 2 to 8"), (dict(bits=9), "bits is 9"), (dict(bits=4.0), "bits is 4.0"),
    (dict(bits=4, group=5), "group is 5; give a whole number that divides the 24"),
    (dict(bits=4, group=0), "group is 0"), (dict(bits=4, weight=torch.ones(3)), r"weight is torch.float32 \(3,\)"),
    (dict(bits=4, weight=torch.ones(3, 2, dtype=torch.int64)), "torch.int64"),
    (dict(bits=4, weight=torch.tensor([[1.0, math.inf]])), "finite"),
    (dict(bits=4, weight=torch.tensor([[1.0, math.nan]])), "finite"),
])
def test_what_it_refuses(arguments, says):
    with pytest.raises(ValueError, match=says):
        quantize(**{"weight": matrix()} | arguments)
