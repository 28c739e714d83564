"""The exercises of lessons 02 to 02c, on embeddings, a module each."""
from helpers.exercises.lesson_02 import (
    analogy, diverse, lookup_gradient, ppmi, sentence_vectors, without_common)

EXERCISES = tuple(module.EXERCISE for module in (
    lookup_gradient, ppmi, analogy, without_common, sentence_vectors, diverse))
