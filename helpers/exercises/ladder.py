"""The check: a ladder that an answer climbs, rung by rung, and what is said at the first one that fails.

not started, error or too slow, None, type, shape, dtype, finite, arguments unchanged, values, properties, gradient.
Wherever it fails, the answer's behaviour is compared with that of each known mistake, and whoever made one is told so.
"""
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from helpers.exercises.comparing import KINDS, Difference, brief, copies, difference
from helpers.exercises.exercise import Exercise, Property
from helpers.exercises.running import LIMIT, Outcome, Stopped, TooSlow, outcomes, own_line, within

WIDTH = 110                                                   # characters of one line of evidence

HEADLINES = {
    "type": "It returned, but not the right type.",
    "shape": "The type is right; the shape is not.",
    "dtype": "The shape is right; the dtype is not.",
    "finite": "The shape is right, but not every number is finite.",
    "changed": "It changes the input it was given.",
    "values": "The type is right; the values are not.",
}


@dataclass(frozen=True)
class Report:
    """The result of a check. text: at most 8 lines, the last of them the advice."""
    state: str                                                # "passed", "not yet" or "not started"
    text: str
    advice: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "passed"


@dataclass(frozen=True)
class Behaviour:
    """All that a check observes of an answer: each call's outcome, and what is wrong with each property."""
    calls: list[Outcome]
    faults: list[str | None]

    def same_as(self, other: "Behaviour", tolerance: float) -> bool:
        return (all(one.same_as(two, tolerance) for one, two in zip(self.calls, other.calls, strict=True))
                and [bool(fault) for fault in self.faults] == [bool(fault) for fault in other.faults])


def examine(exercise: Exercise, answer: Any, limit: float = LIMIT) -> Report:
    """Check an answer. limit: seconds after which it is stopped.

    Raises TypeError when the answer is no function.
    """
    if not callable(answer):
        raise TypeError(f"answer is {brief(answer)}; give the function itself: "
                        f"check(\"{exercise.id}\", {exercise.name}).")
    cases = exercise.inputs()
    expected = outcomes(exercise.oracle, cases)
    if len(cases[0]) != count_of_parameters(answer, len(cases[0])):
        return refused(exercise, "The signature is not right.", [
            f"It is called as {call(exercise, cases[0])}, with {len(cases[0])} arguments."])
    try:
        seen = within(limit, lambda: behaviour(exercise, answer, cases, expected))
    except TooSlow as slow:
        return refused(exercise, f"It did not return within {limit:g} seconds and was stopped"
                       f"{', at ' + slow.line if slow.line else ''}.", [
                           "Does every pass through the loop come closer to its end?" if slow.ended else
                           "It still runs and cannot be stopped from here: restart the kernel (menu Kernel, Restart)."])
    if any(isinstance(one.error, NotImplementedError) and not isinstance(two.error, NotImplementedError)
           for one, two in zip(seen.calls, expected)):
        return Report("not started", f"{exercise.id} {exercise.name}: not started. Write your lines where it says "
                                     "raise NotImplementedError(), run that cell, then this one.")
    failure = next(climb(exercise, cases, seen, expected), None)
    if failure is None:
        more = "".join(f", and {one.says}" for one in exercise.properties)
        more += ", and so is the gradient" if exercise.gradients else ""
        return Report("passed", f"{exercise.id} {exercise.name}: passed. {len(cases)} inputs equal to the plain "
                                f"loops{more}.")
    headline, evidence = failure
    advice = diagnosis(exercise, cases, seen, expected)
    return refused(exercise, headline, [*evidence, advice or f'A nudge: run hint("{exercise.id}").'])


def refused(exercise: Exercise, headline: str, lines: Sequence[str]) -> Report:
    """A report that says what is wrong; the last line, an advice, is wrapped."""
    *evidence, advice = lines
    return Report("not yet", "\n    ".join([f"{exercise.id} {exercise.name}: not yet. {headline}", *evidence,
                                            *textwrap.wrap(advice, WIDTH)]), advice)


def count_of_parameters(answer: Callable, wanted: int) -> int:
    """How many positional arguments an answer takes; `wanted` if it takes that many too, or does not say."""
    try:
        parameters = inspect.signature(answer).parameters.values()
    except ValueError:                                        # some functions written in C have no signature
        return wanted
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return wanted
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    least = sum(one.default is one.empty for one in positional)
    return wanted if least <= wanted <= len(positional) else least


def behaviour(exercise: Exercise, answer: Callable, cases: Sequence[tuple], expected: Sequence[Outcome]) -> Behaviour:
    """Call an answer on all cases; if all values are right, test its properties too."""
    calls = outcomes(answer, cases)
    if any(wrong_value(exercise, one, two) for one, two in zip(calls, expected, strict=True)):
        return Behaviour(calls, [])
    return Behaviour(calls, [fault_of(one, answer) for one in properties(exercise, cases)])


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
    except Exception as error:                                # the learner's code, on inputs of the property's own
        return f"{type(error).__name__}: {error}{', in ' + own_line(error) if own_line(error) else ''}"


def properties(exercise: Exercise, cases: Sequence[tuple]) -> list[Property]:
    """The exercise's properties, the gradient last."""
    gradient = Property("its gradient is right", lambda answer: wrong_gradient(exercise, answer, cases))
    return [*exercise.properties, *([gradient] if exercise.gradients else [])]


# ---- the rungs

def climb(exercise: Exercise, cases: Sequence[tuple], seen: Behaviour, expected: Sequence[Outcome]
          ) -> Iterator[tuple[str, list[str]]]:
    """What is wrong, as (headline, lines of evidence), the coarsest first."""
    tried = list(zip(cases, seen.calls, expected, strict=True))
    for case, one, two in tried:
        if one.error is not None and not isinstance(one.error, type(two.error) if two.error else ()):
            yield from stopped_with_error(exercise, case, one.error, two.error)
    for case, one, two in tried:
        if one.error is None and two.error is not None:
            yield "It accepts what it must refuse.", [
                f"{call(exercise, case)} gave {brief(one.value)}, expected {type(two.error).__name__}."]
    returned = [(case, one, two) for case, one, two in tried if one.error is None and two.error is None]
    for case, one, two in returned:
        if one.value is None and two.value is not None:
            yield "It returned None.", [f"{call(exercise, case)} should give {brief(two.value)}.",
                                        "Does every way through your function end in a return?"]
    compared = [(case, one.value, two.value, difference(one.value, two.value, exercise.tolerance))
                for case, one, two in returned]
    wrong = [comparison for comparison in compared if comparison[-1] is not None]
    for kind in KINDS[:-1]:
        yield from (differs(exercise, *comparison) for comparison in wrong if comparison[-1].kind == kind)
    for case, one, _ in returned:
        if one.changed:
            yield HEADLINES["changed"], [f"After {call(exercise, case)} the arguments were other ones. Work on a copy."]
    yield from (differs(exercise, *comparison) for comparison in wrong)
    for one, fault in zip(properties(exercise, cases), seen.faults):
        if fault:
            yield f"The values are right; but it is not true that {one.says}.", [fault]


def stopped_with_error(exercise: Exercise, case: tuple, error: BaseException, wanted: BaseException | None):
    """The learner's own line, what was raised there, and the call that led to it."""
    headline = "It stopped with an error." if wanted is None else "It raises the wrong error."
    line = own_line(error)
    more = f", expected {type(wanted).__name__}" if wanted is not None else ""
    yield headline, [*([line] if line else []), cut(f"{type(error).__name__}: {error}{more}"),
                     f"The call was {call(exercise, case)}."]


def differs(exercise: Exercise, case: tuple, got: Any, expected: Any, what: Difference) -> tuple[str, list[str]]:
    """A headline and the evidence: both results where they are short, otherwise the first place that differs."""
    both = [f"{word:9} {brief(value)}" for word, value in (("gave", got), ("expected", expected))]
    whole = not any(mark in line for line in both for mark in ("...", "a tensor of"))
    short = whole and what.kind == "values" and max(map(len, both)) <= WIDTH
    return HEADLINES[what.kind], [call(exercise, case), *(both if short else [cut(f"{what}.")])]


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
                return cut(f"the gradient by argument {place + 1} of {call(exercise, case)}: {what}.")
    return None


def gradient(function: Callable, case: tuple, places: Sequence[int]) -> list[torch.Tensor] | None:
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


# ---- known mistakes

def diagnosis(exercise: Exercise, cases: Sequence[tuple], seen: Behaviour, expected: Sequence[Outcome]) -> str | None:
    """The advice for the mistake whose behaviour this is; None when it is none of those known."""
    for mistake in exercise.mistakes:
        if seen.same_as(behaviour(exercise, mistake.answer, cases, expected), exercise.tolerance):
            return mistake.advice
    return None


# ---- words

def call(exercise: Exercise, case: tuple) -> str:
    """A call as the learner would write it, cut where it is long."""
    return cut(f"{exercise.name}({', '.join(map(brief, case))})", WIDTH * 2 // 3)


def cut(text: str, width: int = WIDTH) -> str:
    """One line, at most so long."""
    text = " ".join(itertools.chain.from_iterable(line.split() for line in text.splitlines()))
    return text if len(text) <= width else text[:width - 1] + "…"
