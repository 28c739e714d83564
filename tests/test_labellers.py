"""Simulated readers choose as likely as they say, and count what they say they like."""
import math

import pytest
import torch

from helpers import labellers
from helpers.labellers import BRIEF, CHEERFUL, GLOOMY, ROBIN, WORDY, Labeller
from tests.small_stories import COUNTS, DULL, GIVES, RETURNS, SAD, TALKS

STORIES = (TALKS, GIVES, RETURNS, COUNTS, SAD, DULL)


@pytest.mark.parametrize("feature, expected", [
    ("talk", (2, 0, 0, 0, 0, 0)), ("gift", (0, 1, 0, 0, 0, 0)), ("counting", (0, 0, 0, 1, 0, 0)),
    ("cheer", (1, 1, 0, 0, -4, 0)), ("length", (1.5, 1.2, 1.2, 2.0, 1.2, 0.5))])
def test_features_count_what_they_say(feature, expected):
    assert [labellers.FEATURES[feature](story) for story in STORIES] == pytest.approx(expected)


def test_features_read_any_text():
    for story in ("", '"', "\n\n", '"' * 100, "gave the to", "Two Three TEN"):
        assert all(math.isfinite(feature(story)) for feature in labellers.FEATURES.values())
    assert labellers.talk('"' * 100) == 3
    assert labellers.counting("Two, Three. TEN") == 1 and labellers.counting("one, two and ten") == 0


def test_enjoyment_adds_up_points():
    assert [ROBIN.enjoyment(story) for story in STORIES] == [3.0, 2.0, 0.0, 2.0, 0.0, 0.0]
    assert [CHEERFUL.enjoyment(story) for story in STORIES] == [-GLOOMY.enjoyment(story) for story in STORIES]
    assert [WORDY.enjoyment(story) for story in STORIES] == [-BRIEF.enjoyment(story) for story in STORIES]
    assert ROBIN.enjoyment(" ".join(STORIES)) == 3.0 + 2.0 + 2.0


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("one, other", [(TALKS, GIVES), (GIVES, COUNTS), (DULL, TALKS)], ids=">=<")
def test_a_reader_chooses_as_likely_as_it_says(noise, one, other):
    reader, draws = ROBIN.with_noise(noise), 3_000
    generator, expected = torch.Generator().manual_seed(0), reader.probability(one, other)
    found = sum(reader.rank([one, other], generator) == [0, 1] for _ in range(draws)) / draws
    assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def test_any_two_of_many_stories_are_ranked_as_likely_as_alone():
    generator, draws = torch.Generator().manual_seed(1), 3_000
    orders = [ROBIN.rank([DULL, TALKS, GIVES], generator) for _ in range(draws)]
    for one, other, expected in ((1, 0, ROBIN.probability(TALKS, DULL)), (2, 1, ROBIN.probability(GIVES, TALKS))):
        found = sum(order.index(one) < order.index(other) for order in orders) / draws
        assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)
    best = [math.exp(ROBIN.enjoyment(story)) for story in (DULL, TALKS, GIVES)]     # Luce: by the share of exp(points)
    for number, weight in enumerate(best):
        expected = weight / sum(best)
        found = sum(order[0] == number for order in orders) / draws
        assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def test_probabilities_are_the_sigmoid_of_the_difference():
    assert ROBIN.probability(TALKS, GIVES) == pytest.approx(1 / (1 + math.exp(-1)))     # 3 points and 2
    assert ROBIN.with_noise(2.0).probability(GIVES, TALKS) == pytest.approx(1 / (1 + math.exp(0.5)))
    assert ROBIN.probability(GIVES, COUNTS) == 0.5
    for one in STORIES:
        for other in STORIES:
            assert ROBIN.probability(one, other) + ROBIN.probability(other, one) == pytest.approx(1)
    assert Labeller("x", {"talk": 1e9}).probability(DULL, TALKS) == pytest.approx(0)    # and no overflow


def test_without_noise_nobody_errs_and_equals_are_drawn_by_lot():
    reader, generator = ROBIN.with_noise(0), torch.Generator().manual_seed(0)
    assert (reader.probability(TALKS, GIVES), reader.probability(GIVES, TALKS)) == (1.0, 0.0)
    assert all(reader.rank([DULL, GIVES, TALKS], generator) == [2, 1, 0] for _ in range(200))
    assert reader.probability(GIVES, COUNTS) == 0.5
    lot = [reader.rank([GIVES, COUNTS], generator)[0] for _ in range(400)]
    assert 150 < sum(lot) < 250


def test_the_same_generator_gives_the_same_order():
    one, same, other = (ROBIN.rank(STORIES, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one == same != other and sorted(one) == list(range(6))


def test_a_reader_with_other_noise_is_a_new_one():
    assert ROBIN.with_noise(3.0).noise == 3.0 and ROBIN.noise == 1.0 and ROBIN.with_noise(3.0).likes == ROBIN.likes


@pytest.mark.parametrize("likes, noise, said", [
    ({}, 1.0, "likes holds nothing; choose from talk, gift"), ({"talk": 1.0, "rhyme": 2.0}, 1.0, "likes holds 'rhyme'"),
    ({"talk": 1.0}, -1.0, "noise is -1.0; give 0 for a reader who never errs, or more"),
    ({"talk": 1.0}, math.nan, "noise is nan"), ({"talk": 1.0}, math.inf, "noise is inf")])
def test_readers_that_cannot_be_are_refused(likes, noise, said):
    with pytest.raises(ValueError, match=said):
        Labeller("Nobody", likes, noise)
