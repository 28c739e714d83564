"""All that a check observes of an answer: what its calls did, whether it has its properties, and its gradient."""
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.exercises.comparing import copies, difference
from helpers.exercises.exercise import Exercise, Property
from helpers.exercises.running import Outcome, Stopped, outcomes, own_line
from helpers.exercises.words import WIDTH, call, said


@dataclass(frozen=True)
class Behaviour:
    """Each call's outcome, and what is wrong with each property; no properties where a value is wrong."""
    calls: list[Outcome]
    faults: list[str | None]

    def same_as(self, other: "Behaviour", tolerance: float) -> bool:
        return (all(one.same_as(two, tolerance) for one, two in zip(self.calls, other.calls, strict=True))
                and [bool(fault) for fault in self.faults] == [bool(fault) for fault in other.faults])


def behaviour(exercise: Exercise, answer: Callable, cases: Sequence[tuple], expected: Sequence[Outcome]) -> Behaviour:
    """Call an answer on all cases; if all values are right, test its properties too, on what need not be refused."""
    calls = outcomes(answer, cases)
    if any(wrong_value(exercise, one, two) for one, two in zip(calls, expected, strict=True)):
        return Behaviour(calls, [])
    accepted = [case for case, one in zip(cases, expected) if one.error is None]
    return Behaviour(calls, [fault_of(one, answer) for one in properties(exercise, accepted)])


def wrong_value(exercise: Exercise, seen: Outcome, expected: Outcome) -> bool:
    """Whether a call did not do what was expected; a finer error than the expected one is right."""
    if seen.error is not None and expected.error is not None:
        return not isinstance(seen.error, type(expected.error))
    return not seen.same_as(expected, exercise.tolerance)


def fault_of(one: Property, answer: Callable) -> str | None:
    """What is wrong with a property; an exception in the answer is wrong too."""
    try:
        return one.fault(answer)
    except Stopped:
        raise
    except BaseException as error:                            # the learner's code, on inputs of the property's own
        line = own_line(traceback.extract_tb(error.__traceback__))
        return said(error) + (f", in {line}" if line else "")


def properties(exercise: Exercise, cases: Sequence[tuple]) -> list[Property]:
    """The exercise's properties, the gradient last."""
    gradient = Property("its gradient is that of the plain loops",
                        lambda answer: wrong_gradient(exercise, answer, cases))
    return [*exercise.properties, *([gradient] if exercise.gradients else [])]


def wrong_gradient(exercise: Exercise, answer: Callable, cases: Sequence[tuple]) -> str | None:
    """Where the gradient of the answer differs from the oracle's; None when it does not.

    The answer's numbers are weighted with 1, 2, 3, ... and added up, so that no two of them can be mixed up.
    """
    for case in cases:
        both = [gradient(function, case, exercise.gradients) for function in (answer, exercise.oracle)]
        if both[0] is None:
            return "No gradient flows back: is there a .detach(), .item(), .data or torch.no_grad() on the way?"
        for place, one, two in zip(exercise.gradients, *both, strict=True):
            if what := difference(one, two, 10 * exercise.tolerance):
                return f"the gradient by argument {place + 1} of {call(exercise.name, case, WIDTH // 2)}: {what}."
    return None


def gradient(function: Callable, case: tuple, places: Sequence[int]) -> list[Tensor] | None:
    """The gradients by the arguments at some places; None when the result does not depend on them."""
    given = list(copies(case))
    for place in places:
        given[place] = given[place].requires_grad_()
    result = function(*given)
    if not result.requires_grad:
        return None
    weights = torch.arange(1, result.numel() + 1, dtype=result.dtype).view(result.shape)
    (result * weights).sum().backward()
    return [torch.zeros_like(given[place]) if given[place].grad is None else given[place].grad for place in places]
