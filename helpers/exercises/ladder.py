"""The check: a ladder that an answer climbs, rung by rung, and what is said at the first one that fails.

no function, wrong signature, too slow, not started, two results for one call, error, None, type, shape, dtype, finite,
arguments unchanged, values, properties, gradient. `diagnosis.py` then says which known mistake it looks like.
"""
import inspect
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from helpers.exercises.comparing import KINDS, Difference, difference
from helpers.exercises.diagnosis import diagnose
from helpers.exercises.exercise import Exercise
from helpers.exercises.observing import Behaviour, behaviour, properties
from helpers.exercises.running import LIMIT, Outcome, TooMuch, outcomes, own_line, within
from helpers.exercises.words import WIDTH, advice_on_error, brief, call, cut, of_type, said

LINES = 8                                                     # of a report, at most

HEADLINES = {
    "type": "It returned, but not the right type.",
    "shape": "The type is right; the shape is not.",
    "dtype": "The shape is right; the dtype is not.",
    "finite": "Not every number is finite.",
    "changed": "It changes the input it was given.",
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


class Failure(NamedTuple):
    """What is wrong at one rung: in a few words, with evidence, and advice where the rung itself has some."""
    headline: str
    evidence: list[str]
    advice: str = ""


@contextmanager
def fresh() -> Iterator[None]:
    """PyTorch as it is in the answer's own thread, whatever the notebook has set: recording, and on the CPU."""
    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
        yield


@fresh()
def examine(exercise: Exercise, answer: Any, limit: float = LIMIT) -> Report:
    """Check an answer. limit: seconds after which it is stopped."""
    if not callable(answer):
        return refused(exercise, Failure(f"You gave check {of_type(answer)}, not your function.", [],
                                         f'Write check("{exercise.id}", {exercise.name}), with no brackets behind the '
                                         "function's name."))
    cases = exercise.inputs()
    cases.append(cases[0])                                    # the first call once more: it must give the same again
    expected = outcomes(exercise.oracle, cases)
    for one in expected:
        if one.error is not None and not isinstance(one.error, exercise.refuses or ()):
            raise one.error                                   # our own mistake, not the learner's
    wanted, taken = len(cases[0]), count_of_parameters(answer, len(cases[0]))
    if wanted != taken:
        return refused(exercise, Failure(
            f"It takes {arguments(taken)}, and is called with {wanted}.",
            [f"The call is {call(exercise.name, cases[0])}."],
            "Keep the first line of the function as it was given."))
    try:
        seen = within(limit, lambda: behaviour(exercise, answer, cases, expected))
    except TooMuch as much:
        return refused(exercise, stopped(much))
    if untouched(answer) and all(isinstance(one.error, NotImplementedError) for one in seen.calls):
        return Report("not started", f"{exercise.id} {exercise.name}: not started. Write your lines where it says "
                                     "raise NotImplementedError(), run that cell, then this one.")
    failure = next(climb(exercise, cases, seen, expected), None)
    if failure is None:
        equal = f"{len(cases) - 1} inputs{' and the gradient' * bool(exercise.gradients)} equal to the reference"
        more = "".join(f"; {one.says}" for one in exercise.properties)
        return Report("passed", f"{exercise.id} {exercise.name}: passed. {equal}{more}.")
    known = diagnose(exercise, cases, seen, expected)
    return refused(exercise, failure._replace(
        advice=known or failure.advice or f'A nudge: run hint("{exercise.id}").'))


def refused(exercise: Exercise, failure: Failure) -> Report:
    """A report that says what is wrong, within LINES; the advice comes last and is wrapped."""
    advice = textwrap.wrap(failure.advice, WIDTH)
    evidence = failure.evidence[:LINES - 1 - len(advice)]
    return Report("not yet", "\n    ".join([f"{exercise.id} {exercise.name}: not yet. {failure.headline}", *evidence,
                                            *advice]), failure.advice)


def stopped(much: TooMuch) -> Failure:
    """What is said of an answer that took too much time or memory."""
    headline = ("It did not return within " if much.why.endswith("seconds") else "It took more than ") + much.why
    if not much.ended:
        return Failure(f"{headline}, and cannot be stopped.", [much.line] * bool(much.line),
                       "It still runs: restart the kernel (menu Kernel, Restart Kernel).")
    return Failure(f"{headline} and was stopped.", [f"It was at {much.line}"] * bool(much.line),
                   "Does every pass through a loop come closer to its end?")


def count_of_parameters(answer: Callable, wanted: int) -> int:
    """How many positional arguments an answer takes; `wanted` if it takes that many too, or does not say."""
    try:
        parameters = inspect.signature(answer).parameters.values()
    except (ValueError, TypeError):                           # some functions written in C have no signature
        return wanted
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    least = sum(one.default is one.empty for one in positional)
    most = wanted if any(one.kind is one.VAR_POSITIONAL for one in parameters) else len(positional)
    return wanted if least <= wanted <= most else max(least, min(most, wanted))


def stub() -> None:
    raise NotImplementedError()


def untouched(answer: Callable) -> bool:
    """Whether a function is a stub as it was given: it does nothing but raise NotImplementedError."""
    code = getattr(answer, "__code__", None)
    return code is not None and (code.co_code, code.co_names) == (stub.__code__.co_code, stub.__code__.co_names)


# ---- the rungs

def climb(exercise: Exercise, cases: Sequence[tuple], seen: Behaviour, expected: Sequence[Outcome]
          ) -> Iterator[Failure]:
    """What is wrong, the coarsest first."""
    if two_results(exercise, seen.calls, expected):
        first, again = seen.calls[0], seen.calls[-1]
        yield Failure("The same call gave two different results.", [
            call(exercise.name, cases[0]), f"first     {ended(first)}", f"later     {ended(again)}"],
            "Does something outlast a call: a list made outside of the function, or a default value such as out=[]? "
            "Make it anew inside. Or does chance play a part?")
    tried = list(zip(cases[:-1], seen.calls, expected))
    failed = [(case, one.error, two.error) for case, one, two in tried if one.error is not None and not (
        two.error is not None and isinstance(one.error, type(two.error)))]
    if failed:
        yield stopped_with_error(exercise, *failed[0], often(failed, tried))
    for case, one, two in tried:
        if one.error is None and two.error is not None:
            yield Failure("It accepts what it must refuse.", [
                cut(f"{call(exercise.name, case)} gave {brief(one.value)}, expected {type(two.error).__name__}.")])
    returned = [(case, one, two) for case, one, two in tried if one.error is None and two.error is None]
    nothing = [(case, two) for case, one, two in returned if one.value is None and two.value is not None]
    for case, two in nothing:
        yield Failure(f"It returned None{often(nothing, tried)}.", [
            cut(f"{call(exercise.name, case)} should give {brief(two.value)}.")],
            "Does every way through your function end in a return?")
    compared = [(case, one.value, two.value, difference(one.value, two.value, exercise.tolerance))
                for case, one, two in returned]
    wrong = [comparison for comparison in compared if comparison[-1] is not None]
    for kind in KINDS[:-1]:
        yield from (differs(exercise, *comparison) for comparison in wrong if comparison[-1].kind == kind)
    for case, one, _ in returned:
        if one.changed:
            yield Failure(HEADLINES["changed"], [f"The call was {call(exercise.name, case)}."],
                          "Whoever called it still needs what they gave. Work on a copy, or build something new.")
    for case, got, right, what in wrong:
        form = "shape" if isinstance(right, Tensor) else "type"
        yield differs(exercise, case, got, right, what,
                      f"The {form} is right; the values are not{often(wrong, tried)}.")
    for one, fault in zip(properties(exercise, cases), seen.faults):
        if fault:
            yield Failure(f"The values are right, but this is not true: {one.says}.", [cut(fault)])


def two_results(exercise: Exercise, calls: Sequence[Outcome], expected: Sequence[Outcome]) -> bool:
    """Whether the first call gave another result when it was made again; a result of the wrong type is no result."""
    first, again = calls[0], calls[-1]
    if first.error is not None or again.error is not None:
        return (first.error is None) != (again.error is None)
    what = difference(first.value, expected[0].value, exercise.tolerance)
    return (what is None or what.kind != "type") and not first.same_as(again, exercise.tolerance)


def stopped_with_error(exercise: Exercise, case: tuple, error: BaseException, wanted: BaseException | None,
                       how_often: str) -> Failure:
    """The learner's own line, what was raised there, and the call that led to it."""
    line = own_line(traceback.extract_tb(error.__traceback__), exercise.name)
    where = [line] if line else []
    called = f"The call was {call(exercise.name, case)}."
    if isinstance(error, NotImplementedError):
        return Failure(f"It still raises NotImplementedError{how_often}.", [*where, called],
                       "Take that line out when yours are complete, and end on a return.")
    if wanted is not None:
        return Failure("It raises the wrong error.", [
            *where, cut(f"{said(error)}, expected {type(wanted).__name__}"), called])
    return Failure(f"It stopped with an error{how_often}.", [*where, said(error), called], advice_on_error(error))


def differs(exercise: Exercise, case: tuple, got: Any, expected: Any, what: Difference, headline: str = "") -> Failure:
    """A headline and the evidence: both results where they are short, otherwise the first place that differs."""
    both = [f"{word:9} {brief(value)}" for word, value in (("gave", got), ("expected", expected))]
    whole = what.kind == "values" and brief(got) != brief(expected) and not any(
        mark in line for line in both for mark in ("...", "a tensor of"))
    short = whole and max(map(len, both)) <= WIDTH
    return Failure(headline or HEADLINES[what.kind],
                   [call(exercise.name, case), *(both if short else [cut(f"{what}.")])], what.advice)


# ---- words

def ended(one: Outcome) -> str:
    """How a call ended: what it returned or raised."""
    return cut(said(one.error) if one.error is not None else brief(one.value), WIDTH - 10)


def often(some: Sequence, of: Sequence) -> str:
    """On how many of the inputs; "" when on all."""
    return f", on {len(some)} of {len(of)} inputs" if len(some) < len(of) else ""


def arguments(count: int) -> str:
    return f"{count or 'no'} argument{'s' if count != 1 else ''}"
