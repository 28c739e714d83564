"""The picture of a batch: it says in words who sat where, and refuses what cannot be read."""
import io
import itertools

import pytest
from PIL import Image

from helpers.serving import Service, Stay
from helpers.serving_plots import slots

STATIC = Service([[1] * 5, [1], [1], [1] * 3], 8, 2, [0] * 4,
                 [Stay(0, 0, 0, 4), Stay(1, 1, 0, 0), Stay(2, 0, 5, 5), Stay(3, 1, 5, 7)])
CONTINUOUS = Service(STATIC.answers, 5, 2, [0] * 4,
                     [Stay(0, 0, 0, 4), Stay(1, 1, 0, 0), Stay(2, 1, 1, 1), Stay(3, 1, 2, 4)])


def size(drawn):
    return Image.open(io.BytesIO(drawn.png)).size


def served(slots, stays):
    return Service([[1]] * len(stays), 1 + max(stay.last_step for stay in stays), slots, [0] * len(stays), stays)


def test_two_ways_of_serving_say_what_they_took_and_who_sat_where():
    drawn = slots({"Static": STATIC, "Continuous": CONTINUOUS})
    assert drawn.alt == (
        "Static: 8 steps, 62 % of the slots in use. Requests and their steps: slot 0: 0 in 0 to 4, 2 in 5 to 5; "
        "slot 1: 1 in 0 to 0, 3 in 5 to 7. "
        "Continuous: 5 steps, 100 % of the slots in use. Requests and their steps: slot 0: 0 in 0 to 4; "
        "slot 1: 1 in 0 to 0, 2 in 1 to 1, 3 in 2 to 4.")
    assert Image.open(io.BytesIO(drawn.png)).convert("RGBA").getchannel("A").getextrema() == (255, 255)


def test_a_slot_that_nobody_took_is_said_and_has_its_row():
    few, many = (slots({"Static": served(rows, [Stay(0, 0, 0, 2)])}) for rows in (1, 3))
    assert "; slot 1: nobody; slot 2: nobody." in many.alt and size(many)[1] > size(few)[1] + 50


def test_requests_of_one_slot_are_named_by_their_steps_not_their_numbers():
    drawn = slots({"One": served(1, [Stay(0, 0, 4, 5), Stay(1, 0, 0, 3)])})
    assert "slot 0: 1 in 0 to 3, 0 in 4 to 5." in drawn.alt


def test_neighbours_can_be_told_apart_in_grey():
    drawn = slots({"One": served(1, [Stay(number, 0, 10 * number, 10 * number + 9) for number in range(4)])})
    image = Image.open(io.BytesIO(drawn.png)).convert("L")
    row = [image.getpixel((x, image.height // 3)) for x in range(image.width)]      # above the numbers
    first, second, third, fourth = (shade for shade, run in itertools.groupby(row) if len(list(run)) > 100)
    assert first == third < 100 and 200 < second == fourth < 240           # and no bar is as white as the paper


def test_numbers_and_places_are_seen():
    stays = ([Stay(0, 0, 0, 2), Stay(1, 0, 3, 3)], [Stay(0, 0, 0, 1), Stay(1, 0, 2, 3)],
             [Stay(1, 0, 0, 2), Stay(0, 0, 3, 3)])
    assert len({slots({"One": served(1, some)}).png for some in stays}) == 3


def test_a_bar_too_narrow_for_its_number_has_none():
    one, other = (slots({"One": served(1, [Stay(first, 0, 0, 0), Stay(1, 0, 1, 900)])}) for first in (0, 8))
    assert one.png == other.png and one.alt != other.alt


@pytest.mark.parametrize("timelines, said", [
    ({}, "timelines holds 0 services with 0 slots in all; give 1 to 24 slots."),
    ({"a": served(12, [Stay(0, 0, 0, 0)]), "b": served(13, [Stay(0, 0, 0, 0)])}, "holds 2 services with 25 slots")])
def test_what_cannot_be_read_is_refused(timelines, said):
    with pytest.raises(ValueError, match=said):
        slots(timelines)
