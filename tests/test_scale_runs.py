"""Runs that differ in size or text alone, and the straight line through their logarithms."""
import pytest
import torch

from helpers import scale_runs
from helpers.scale_runs import WIDTHS, config, inner, power_law, run
from helpers.transformer import Transformer


@pytest.mark.parametrize("width", WIDTHS)
def test_inner_parameters_are_those_of_the_blocks(width):
    model = Transformer(config(width))
    assert inner(width) == sum(p.numel() for name, p in model.named_parameters() if not name.startswith("embed"))


def test_a_run_can_be_repeated_and_depends_on_its_seed():
    torch.manual_seed(1)
    one = run(16, 5_000, 3, steps=6)
    torch.rand(7)
    assert one == run(16, 5_000, 3, steps=6)
    other = run(16, 5_000, 4, steps=6)
    assert one["loss"] != other["loss"] and one["parameters"] == other["parameters"] == inner(16)
    assert len(one["curve"]) == 6 and one["curve"][-1] == [6, one["held_out"]]


def test_held_out_text_is_not_read():
    data, held_out = scale_runs.text()
    assert len(data.ids) == 900_000 and len(held_out.ids) == scale_runs.HELD_OUT
    piece = held_out.ids[:200]
    windows = data.ids.unfold(0, 200, 1)
    assert not (windows == piece).all(dim=1).any()


def test_a_power_law_is_found_again():
    factor, exponent = power_law([1e4, 1e5, 1e6], [5 * size ** -0.2 for size in (1e4, 1e5, 1e6)])
    assert factor == pytest.approx(5) and exponent == pytest.approx(0.2)


@pytest.mark.parametrize(("sizes", "losses"), [([1], [2]), ([1, 2], [3]), ([0, 1], [1, 2]), ([1, 2], [1, -1])])
def test_no_line_goes_through_these(sizes, losses):
    with pytest.raises(ValueError, match="give two or more of each, above 0"):
        power_law(sizes, losses)
