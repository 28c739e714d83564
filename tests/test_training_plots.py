"""Pictures of a training: they say in words what they show, and refuse what cannot be read."""
import io

import pytest
from PIL import Image

from helpers import training_plots

LOSSES = [4.0, 3.0, 2.5, 2.0]


def moment(step=2, **changes):
    settings = {"losses": LOSSES, "step": step, "marks": {"ln V": 4.0}, "prompt": "Once", "pieces": [" upon", "\n"],
                "shares": [0.7, 0.2], "written": " upon a\ntime", "title": "A story begins"}
    return training_plots.moment(**settings | changes)


def test_a_shift_says_what_is_read_and_what_is_predicted():
    drawn = training_plots.shift([["T", "o", " ", "b"], ["n", "o", "t", "."]], "One letter on")
    assert drawn.alt == ("One letter on. 2 rows of 3 tokens, each with an arrow to the token that comes after it: "
                         "row 0 reads “T”, “o”, “␣” and predicts “o”, “␣”, “b”; "
                         "row 1 reads “n”, “o”, “t” and predicts “o”, “t”, “.”.")
    assert Image.open(io.BytesIO(drawn.png)).convert("RGBA").getchannel("A").getextrema() == (255, 255)


def test_a_shift_grows_with_its_rows():
    one, three = (Image.open(io.BytesIO(training_plots.shift([["a", "b", "c"]] * n, "Rows").png)) for n in (1, 3))
    assert three.height > 2 * one.height and three.width == one.width


@pytest.mark.parametrize("rows, said", [
    ([], "rows holds 0"), ([["a", "b"]] * 7, "rows holds 7"), ([["a", "b"], ["a"]], "rows have 1, 2 pieces"),
    ([["a"]], "rows have 1 pieces"), ([["a"] * 18], "rows have 18 pieces")])
def test_a_shift_that_cannot_be_read_is_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        training_plots.shift(rows, "Too much")


def test_a_moment_says_its_step_its_loss_and_what_is_written():
    assert moment().alt == ("A story begins. The loss after 2 steps is ≈3. After 2 steps, the likeliest after “Once”. "
                            "Bars, likeliest first: “␣upon”, “⏎”. It writes: “Once upon a time”.")
    assert moment().png == moment().png


def test_each_step_has_a_picture_of_its_own_from_before_the_first_to_the_last():
    pictures = [moment(step) for step in range(5)]
    assert len({drawn.alt for drawn in pictures}) == 5
    assert pictures[1].png != pictures[4].png


def test_a_long_text_makes_the_picture_grow():
    short, long = (Image.open(io.BytesIO(moment(written=" word" * n).png)) for n in (5, 200))
    assert long.height > short.height and long.width == short.width


@pytest.mark.parametrize("changes, said", [
    ({"step": 5}, "step is 5"), ({"step": -1}, "step is -1"), ({"pieces": ["a"]}, "pieces holds 1 and shares 2"),
    ({"pieces": [], "shares": []}, "pieces holds 0")])
def test_a_moment_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        moment(**changes)
