"""Charts: drawn with their words, and refused with a sentence when there is nothing to compare."""
import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import charts

STEPS = {"loss": ([1, 2, 4], [3.0, 2.0, 1.5]), "a straight line": ([1, 4], [3.0, 1.0])}


def test_lines_say_where_each_begins_and_ends():
    drawn = charts.lines(STEPS, "It falls", "step", "loss in nats", points={"seen": ([1, 2], [2.5, 2.6])}, log_x=True)
    assert drawn.alt == ("It falls. loss in nats against step. loss goes from ≈3 at ≈1 to ≈1.5 at ≈4; a straight line "
                         "goes from ≈3 at ≈1 to ≈1 at ≈4; seen: 2 points.")
    assert Image.open(io.BytesIO(drawn.png)).getpixel((2, 2))[:3] == (255, 255, 255)


def test_bars_say_every_number():
    drawn = charts.bars(["de", "ja"], {"gpt2": [1.5, 3.25], "o200k": [1, 1]}, "Some cost more", "tokens", limit=1,
                        intervals={"gpt2": [(1, 2), (3, 3.5)]})
    assert drawn.alt == "Some cost more. Bars of tokens. gpt2: de ≈1.5, ja ≈3.25; o200k: de ≈1, ja ≈1."
    assert drawn.width == 720


def test_equal_steps_multiply_on_both_axes():
    one, other = (charts.lines(STEPS, "It falls", "step", "loss", log_y=log_y) for log_y in (False, True))
    assert one.png != other.png and one.alt == other.alt


@pytest.mark.parametrize("series, said", [
    ({}, "series holds 0; give 1 to 6"),
    ({str(n): ([1], [1]) for n in range(7)}, "series holds 7; give 1 to 6"),
    ({"a": ([1, 2], [1])}, "series 'a' has 2 and 1 numbers; give equally many"),
    ({"a": ([], [])}, "series 'a' has 0 and 0 numbers; give equally many, at least one."),
])
def test_what_cannot_be_drawn_is_refused(series, said):
    with pytest.raises(ValueError, match=said):
        charts.lines(series, "t", "x", "y")


@pytest.mark.parametrize("values, options, said", [
    ([-1, 2], {}, "series 'a' holds -1; bars begin at 0"),
    ([1, 2], {"intervals": {"b": [(0, 1), (1, 2)]}}, "intervals has 'b'; the series are 'a'."),
])
def test_bars_that_would_not_be_seen_are_refused(values, options, said):
    with pytest.raises(ValueError, match=said):
        charts.bars(["one", "two"], {"a": values}, "t", "v", **options)


def test_points_that_would_take_the_place_of_a_line_are_refused():
    with pytest.raises(ValueError, match="series and points both have 'loss'"):
        charts.lines(STEPS, "t", "x", "y", points={"loss": ([1], [1])})


def test_a_limit_is_seen_beyond_the_longest_bar():
    near, far = (charts.bars(["one"], {"a": [2]}, "t", "v", limit=limit).png for limit in (10, 20))
    assert near != far                                        # outside of the axes neither would be drawn


def test_an_axis_has_a_length_where_no_bar_has(recwarn):
    charts.bars(["one"], {"a": [0]}, "t", "v")
    assert not recwarn.list


def test_a_label_without_a_value_is_refused():
    with pytest.raises(ValueError, match="series 'a' has 2 and 1 numbers"):
        charts.bars(["one", "two"], {"a": [1]}, "t", "v")


def test_a_map_names_its_places():
    drawn = charts.places({"animals": ([" cat", " dog"], torch.eye(2)), "fruit": (["fig"], [[2, 2]])},
                          "Cats are near dogs", "axis 1", "axis 2")
    assert drawn.alt == ("Cats are near dogs. A map with axis 1 from left to right and axis 2 upwards. "
                         "animals: “cat”, “dog”; fruit: “fig”.")
    for points, said in (([[0, 1]], "series 'a' has 2 and 1 numbers"),
                         (torch.zeros(2, 3), r"groups 'a' has points of shape \(2, 3\); give \(N, 2\)")):
        with pytest.raises(ValueError, match=said):
            charts.places({"a": (["one", "two"], points)}, "t", "x", "y")
    learned = torch.nn.Parameter(torch.eye(2, dtype=torch.bfloat16))
    assert charts.places({"a": (["one", "two"], learned)}, "t", "x", "y").width > 0


def test_names_of_points_that_lie_together_stand_on_different_sides():
    spots = np.array([[0.0, 0.0], [0.001, 0.0], [0.0, 0.001], [0.001, 0.001], [1.0, 1.0]])
    *together, alone = charts.sides(["cat", "dog", "cow", "pig", "fig"], spots)
    assert set(together) == {(1, 1), (1, -1), (-1, 1), (-1, -1)} and alone == (1, 1)


def test_a_point_does_not_stand_in_the_way_of_its_own_name():
    places = np.random.default_rng(0).random((300, 1, 2))
    assert all(charts.sides(["cat", "fig"], np.concatenate([place, place + 1]))[0] == (1, 1) for place in places)


def test_a_name_does_not_stand_on_another_point():
    spots = np.array([[0.0, 0.0], [0.03, 0.02], [1.0, 1.0]])
    assert charts.sides(["cat", "dog", "fig"], spots)[0] != (1, 1)


def test_a_table_of_colours_says_where_the_most_stands():
    scores = torch.tensor([[0.5, -torch.inf], [0.25, 2.0], [0.1, 0.2]])
    drawn = charts.heat(scores, ["a", " b", "c"], ["d", "e"], "It looks back", "looked at", "looks", "weight")
    assert drawn.alt == ("It looks back. A table of colours, 3 rows (looks) by 2 columns (looked at), brighter for "
                         "more weight. The most, ≈2, stands at “␣b” and “e”; the least is ≈0.1.")
    large = charts.heat(torch.eye(40), None, None, "A line", "column", "row", "value")
    assert "40 rows (row) by 40 columns (column)" in large.alt and "stands at 0 and 0" in large.alt


def test_a_table_without_any_number_is_drawn_white():
    assert charts.heat([[float("nan")]], None, None, "Nothing", "x", "y", "z").alt.endswith("brighter for more z.")


@pytest.mark.parametrize("values, rows, said", [
    ([1.0, 2.0], None, r"values has shape \(2,\); give a table"),
    (torch.zeros(0, 3), None, r"values has shape \(0, 3\)"),
    ([[1.0], [2.0]], ["a"], "rows holds 1 names for 2 rows of numbers; give one for each."),
])
def test_what_is_no_table_is_refused(values, rows, said):
    with pytest.raises(ValueError, match=said):
        charts.heat(values, rows, None, "t", "x", "y", "z")
