"""What an exercise is: a right answer as plain loops, inputs to try, and the mistakes people make.

    Exercise(
        id="1.1", name="count_pairs", title="Count the neighbours", minutes=10,
        oracle=count_pairs,                      # plain loops, obviously right
        cases=lambda draw: [([1, 2, 3],), ...],  # argument tuples, the smallest first
        mistakes=(Mistake(forgets_the_last, "Your loop ends one pair too early: ..."), ...),
        hints=("A nudge.", "The key line in words."),
    )

Each is declared in a module of its own, as `EXERCISE`, and the package of its lesson puts them in order, as
`EXERCISES`. What the learner sees (the statement, the stub and the answer) lies in solutions/, and other right answers
in tests/answers. `tests/test_exercises.py` proves every exercise that is declared.
"""
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Answer = Callable[..., Any]

SLOPE_LOST = ("The numbers are right, and a slope is lost on its way back: item(), tolist(), detach() and "
              "torch.tensor(...) cut it off. Work with the tensors themselves.")


@dataclass(frozen=True)
class Mistake:
    """A wrong answer, recognised by what it does on the inputs, and the sentence that helps whoever wrote it."""
    answer: Answer
    advice: str


@dataclass(frozen=True)
class Property:
    """What is true of every right answer beyond its values, such as "decoding gives the text back"."""
    says: str
    fault: Callable[[Answer], str | None]        # what is wrong with an answer, with numbers; None when it holds


@dataclass(frozen=True)
class Exercise:
    """One exercise and all that its check knows.

    id: lesson and number, "3.2" or "0b.1". name: what the function is called. minutes: how long it takes.
    oracle: the right answer, as plain as can be. An exception that it raises is expected of the answer too.
    cases: the inputs, as tuples of arguments, drawn with the generator it is given; the smallest first.
    mistakes: at least three, each with another behaviour on the cases.
    hints: a nudge, and the key line in words. properties: tested once all values are right.
    refuses: the exception with which some inputs must be refused; the oracle may raise no other.
    gradients: places of the arguments (tensors) by which the answer must be differentiable.
    tolerance: largest difference between two numbers of an answer and the oracle, absolute and relative.
    """
    id: str
    name: str
    title: str
    minutes: int
    oracle: Answer
    cases: Callable[[random.Random], Sequence[tuple]]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, str]
    properties: tuple[Property, ...] = ()
    refuses: type[Exception] | None = None
    gradients: tuple[int, ...] = ()
    tolerance: float = 1e-5

    def inputs(self) -> list[tuple]:
        """The cases, drawn anew, and the same every time: what was wrong a minute ago is tried again."""
        return list(self.cases(random.Random(self.id)))


def generator(draw: random.Random) -> torch.Generator:
    """A generator of tensors that follows the one with which the inputs are drawn."""
    return torch.Generator().manual_seed(draw.randrange(2 ** 31))


def unit(vectors: Tensor) -> Tensor:
    """Vectors (..., C) of the same directions and of length 1; zeros stay zeros."""
    return F.normalize(vectors, dim=-1)
