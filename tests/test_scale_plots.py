"""The picture of a budget says what it buys, in numbers that fit together."""
import pytest

from helpers.scale_plots import budget, duration

KNOWN = {"GPT-3": (175e9, 300e9)}


def test_parameters_and_tokens_spend_the_budget():
    picture = budget(23.5, 20, KNOWN)
    assert "51.3 G parameters that reads 1.03 T tokens" in picture.alt          # 6 x 51.3e9 x 1.03e12 = 10^23.5
    assert "on one H100" in picture.alt and "GPT-3" in picture.alt and picture.png.startswith(b"\x89PNG")


def test_another_share_moves_along_the_same_cost():
    assert "16.2 G parameters that reads 3.25 T tokens" in budget(23.5, 200, KNOWN).alt


@pytest.mark.parametrize(("power", "share"), [(8, 20), (28, 20), (20, 0)])
def test_a_budget_off_the_picture_is_refused(power, share):
    with pytest.raises(ValueError, match=f"power is {power} and tokens_a_parameter {share}"):
        budget(power, share, KNOWN)


@pytest.mark.parametrize(("seconds", "words"), [(0.5, "0.5 seconds"), (90, "1.5 minutes"), (7200, "2 hours"),
                                                (86_400 * 3, "3 days"), (86_400 * 365 * 2_000, "2.00 K years")])
def test_times_are_told_in_their_unit(seconds, words):
    assert duration(seconds) == words
