"""The picture of walks over a loss: its words tell what was drawn, and bad input is refused in a sentence."""
import io

import pytest
import torch
from PIL import Image

from helpers import optimizer_plots


def loss(place):
    return place.square().sum(dim=-1)


WALK = torch.tensor([[-3.0, 1.0], [-2.0, -0.5], [-1.0, 0.25]])


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_a_panel_for_each_walk(count):
    drawn = optimizer_plots.paths({f"walk {n}": WALK for n in range(count)}, loss, "They arrive")
    picture = Image.open(io.BytesIO(drawn.png))
    assert picture.width > picture.height / 2 and picture.convert("L").getextrema() != (255, 255)
    assert drawn.alt.startswith("They arrive. ") and drawn.alt.count("2 steps") == count
    assert "the loss goes from ≈10 to ≈1.06, and the second parameter changes its sign 2 times" in drawn.alt


def test_a_walk_that_flies_away_is_cut_off_and_said():
    drawn = optimizer_plots.paths({"SGD": torch.tensor([[0.0, 1.0], [0.0, -1e20]])}, loss, "It flies away")
    assert "to ≈1e+40" in drawn.alt or "to ≈inf" in drawn.alt


@pytest.mark.parametrize("walks, message", [
    ({}, "walks holds 0; give 1 to 6"),
    ({str(n): WALK for n in range(7)}, "walks holds 7; give 1 to 6"),
    ({"a": WALK[0]}, r"walks 'a' has shape \(2,\); give \(steps \+ 1, 2\)"),
    ({"a": WALK[:1]}, r"walks 'a' has shape \(1, 2\)"),
    ({"a": torch.zeros(4, 3)}, r"walks 'a' has shape \(4, 3\)"),
])
def test_bad_input_is_refused(walks, message):
    with pytest.raises(ValueError, match=message):
        optimizer_plots.paths(walks, loss, "No picture")
