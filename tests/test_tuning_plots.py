"""Pictures of lessons 05e to 05g: they say in words what they show, and refuse what cannot be read."""
import io

import pytest
from PIL import Image

from helpers import tuning_plots
from helpers.tales import Followed

RIGHT, WRONG = Followed(True, True, True, True), Followed(False, True, False, True)


def size(drawn):
    return Image.open(io.BytesIO(drawn.png)).size


def test_counted_says_how_many_count_and_where_they_begin():
    drawn = tuning_plots.counted({"one": (["Hi", " you", "Yes", "."], [False, False, True, True]),
                                  "two": (["a"], [False])}, "Only the answer")
    assert drawn.alt == ("Only the answer. Tokens in frames, those that the loss counts in colour. one: 2 of 4 tokens "
                         "count, beginning with “Yes”, “.”; two: 0 of 1 tokens count, beginning with none.")
    assert Image.open(io.BytesIO(drawn.png)).convert("RGBA").getchannel("A").getextrema() == (255, 255)


def test_what_counts_is_seen():
    one, other = (tuning_plots.counted({"x": (["a", "b"], [here, True])}, "T") for here in (True, False))
    assert one.png != other.png


@pytest.mark.parametrize("examples, said", [
    ({}, "examples holds 0"), ({str(n): (["a"], [True]) for n in range(5)}, "examples holds 5"),
    ({"x": (["a", "b"], [True])}, "'x' has 2 tokens and 1 marks"), ({"x": ([], [])}, "'x' has 0 tokens")])
def test_counted_refuses(examples, said):
    with pytest.raises(ValueError, match=said):
        tuning_plots.counted(examples, "T")


def test_answers_say_what_was_asked_written_and_fulfilled():
    drawn = tuning_plots.answers("A fox, please.", {"base": ("It\nran.", WRONG), "tuned": ("A fox.", RIGHT)}, "Two")
    assert drawn.alt == ("Two. Asked: “A fox, please.” base (who no, object yes, ending no, place yes): “It ran.”; "
                         "tuned (who yes, object yes, ending yes, place yes): “A fox.”.")


def test_a_long_answer_takes_more_lines_and_an_empty_one_is_named():
    short, long = (tuning_plots.answers("r", {"m": (text, RIGHT)}, "T") for text in ("", "word " * 200))
    assert size(long)[1] > size(short)[1] + 100 and size(long)[0] == size(short)[0]


@pytest.mark.parametrize("written, said", [
    ({}, "written holds 0"), ({str(n): ("a", RIGHT) for n in range(4)}, "written holds 4"),
    ({"m": ("a" * 4_001, RIGHT)}, "more than 4,000 letters")])
def test_answers_refuse(written, said):
    with pytest.raises(ValueError, match=said):
        tuning_plots.answers("r", written, "T")


def test_a_story_says_what_was_read_and_written():
    drawn = tuning_plots.story("Once\nthere", "was a fox.", "It ends")
    assert drawn.alt == "It ends. It reads: “Once there” It writes: “was a fox.”."
    assert size(tuning_plots.story("Once", "word " * 200, "It ends"))[1] > size(drawn)[1]
    with pytest.raises(ValueError, match="4,002 letters"):
        tuning_plots.story("a" * 4_000, "bc", "T")
