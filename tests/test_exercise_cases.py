"""Exercises that ask for the best of many: no input leaves a doubt about which they are, also the hand-made ones."""
import pytest

from helpers.exercises.lesson_02 import analogy, diverse
from helpers.exercises.lesson_07 import typical


@pytest.mark.parametrize("module", [analogy, diverse, typical])
def test_the_best_is_clearly_the_best(module):
    assert all(module.clear(case) for case in module.EXERCISE.inputs())
