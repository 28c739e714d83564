"""The exercises of lesson 07, from typical tokens to a mask of allowed ones, a module each."""
from helpers.exercises.lesson_07 import (
    allowed, longest_lookup, paged_attention, presence_frequency, typical, unpack_q4_0)

EXERCISES = tuple(module.EXERCISE for module in (
    typical, presence_frequency, paged_attention, unpack_q4_0, longest_lookup, allowed))
