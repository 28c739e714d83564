"""Pictures of lessons 06 to 06d: they say in words what they show, and refuse what cannot be read."""
import io

import pytest
from PIL import Image

from helpers.preference_plots import side_by_side


def size(drawn):
    return Image.open(io.BytesIO(drawn.png)).size


def test_answers_side_by_side_say_what_was_asked_written_and_noted():
    texts = {"one": ("It\nran.", "3 points"), "other": ("A $fox$.", "1 point")}
    drawn = side_by_side("A fox, please.", texts, "Which?")
    said = "Asked: “A fox, please.” one (3 points): “It ran.”; other (1 point): “A $fox$.”."
    assert drawn.alt == f"Which? {said}" and side_by_side("A fox, please.", texts, "Two").alt == f"Two. {said}"
    assert Image.open(io.BytesIO(drawn.png)).convert("RGBA").getchannel("A").getextrema() == (255, 255)


def test_what_is_written_and_noted_is_seen():
    pictures = {side_by_side("r", {"one": (text, note), "other": ("b", "")}, "T").png
                for text, note in (("a", "x"), ("c", "x"), ("a", "y"))}
    assert len(pictures) == 3


def test_a_long_answer_takes_more_lines_and_three_fit_in_the_same_width():
    short, long, three = (side_by_side("r", {str(n): (text, "") for n in range(count)}, "T")
                          for text, count in (("", 2), ("word " * 200, 2), ("word " * 200, 3)))
    assert size(long)[1] > size(short)[1] + 100 and size(three)[1] > size(long)[1]
    assert size(long)[0] == size(short)[0] == size(three)[0]


@pytest.mark.parametrize("texts, said", [
    ({"m": ("a", "")}, "texts holds 1; give two or three"), ({str(n): ("a", "") for n in range(4)}, "texts holds 4"),
    ({"m": ("a", ""), "n": ("a" * 4_001, "")}, "the text of 'n' has more than 4,000 letters")])
def test_what_cannot_be_read_is_refused(texts, said):
    with pytest.raises(ValueError, match=said):
        side_by_side("r", texts, "T")
