"""The exercises of lessons 03 to 03e, Attention, a module each."""
from helpers.exercises.lesson_03 import (grouped_attention, induction_score, merge, rotate_pairs, window_scores,
                                         with_sink)

EXERCISES = tuple(module.EXERCISE for module in (
    window_scores, grouped_attention, with_sink, rotate_pairs, merge, induction_score))
