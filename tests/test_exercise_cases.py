"""Exercises that ask for the best of many: no input leaves a doubt about which it is, the hand-made ones included."""
import pytest

from helpers.exercises.lesson_02 import analogy, diverse


@pytest.mark.parametrize("module", [analogy, diverse])
def test_the_best_is_clearly_the_best(module):
    assert all(module.clear(case) for case in module.EXERCISE.inputs())
