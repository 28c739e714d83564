"""The story world: what is known about a story stands in it, and a reader finds what is wrong with one."""
import pytest

from helpers import tales as world
from helpers.corpora import tales


@pytest.fixture(scope="module", params=["train", "held_out"])
def some(request):
    return tales(3_000, seed=5, split=request.param)


def test_a_larger_number_gives_the_same_first():
    assert tales(10, seed=3) == tales(20, seed=3)[:10] != tales(10, seed=4)


def test_every_story_is_consistent_and_answers_its_request(some):
    for tale in some:
        opening = world.opening(tale)
        score = world.consistent(opening, tale.text.removeprefix(opening))
        assert score.ok and score.why == (), (tale.text, score)
        assert score.sum is (True if tale.facts.sum else None), tale.text
        assert world.follows(tale.request, tale.text).ok, (tale.text, tale.request)


@pytest.mark.parametrize("ability", world.ABILITIES)
def test_what_is_right_once_is_wrong_once(ability):
    pairs = world.minimal_pairs(ability, 200, seed=1)
    assert sorted(right for _, right, _ in pairs) == sorted(wrong for _, _, wrong in pairs)
    assert all(len(right.split()) == len(wrong.split()) and right != wrong for _, right, wrong in pairs)
