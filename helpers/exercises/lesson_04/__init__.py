"""The exercises of lessons 04 to 04e, The transformer, a module each."""
from helpers.exercises.lesson_04 import contributions, corrupt, count_experts, fold_norm, forward, turn_stream

EXERCISES = tuple(module.EXERCISE for module in (
    fold_norm, forward, count_experts, contributions, corrupt, turn_stream))
