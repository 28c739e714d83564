"""The way of a vector through the blocks: a picture with words that say what it shows, and bad numbers refused."""
import io

import pytest
from PIL import Image

from helpers import transformer_plots

GOOD = {"lengths": [2.5, 30.0, 60.0, 700.0], "likeness": [0.0, 0.1, 0.4, 1.0], "after": 2,
        "added": {"attention": [8.0, 9.0, 75.0], "the network": [45.0, 25.0, 450.0]},
        "pieces": [" mat", " $x^2$"], "shares": [0.6, 0.3]}


def test_it_says_in_words_what_it_shows():
    drawn = transformer_plots.journey(**GOOD)
    assert drawn.alt == ("After 2 blocks the vector is ≈60 long. The stream's length goes from ≈2.5 to ≈700 in 3 "
                         "blocks; after 2 blocks its cosine with the end is ≈0.4. What it would say after 2 blocks. "
                         "Bars, likeliest first: “␣mat”, “␣$x^2$”.")
    image = Image.open(io.BytesIO(drawn.png))
    assert image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    assert image.width == round(drawn.width * 1.5)


@pytest.mark.parametrize("after, place", [(0, "after 0 blocks"), (1, "after 1 block"), (3, "after 3 blocks")])
def test_another_place_gives_another_picture(after, place):
    drawn = transformer_plots.journey(**GOOD | {"after": after})
    assert drawn.png != transformer_plots.journey(**GOOD).png
    assert f"{place} its cosine with the end is ≈{GOOD['likeness'][after]:g}" in drawn.alt


def test_a_title_of_ones_own_stands_first():
    assert transformer_plots.journey(**GOOD, title="It grows").alt.startswith("It grows. ")


@pytest.mark.parametrize("change, message", [
    ({"likeness": [0.0, 1.0]}, "likeness holds 2 numbers; with 4 lengths, give 4"),
    ({"added": {"attention": [1.0] * 4}}, r"added\['attention'\] holds 4 numbers; with 4 lengths, give 3"),
    ({"lengths": [0.0, 1.0, 2.0, 3.0]}, "lengths or added hold 0.0; a length must be above 0"),
    ({"added": {"attention": [1.0, float("nan"), 1.0]}}, "lengths or added hold nan"),
    ({"after": 4}, r"after is 4; give 0 \(the embedding\) to 3"),
    ({"after": -1}, r"after is -1; give 0 \(the embedding\) to 3"),
])
def test_numbers_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        transformer_plots.journey(**GOOD | change)
