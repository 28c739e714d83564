"""Which known mistake an answer looks like: the one that behaves the same, or that explains half of what is wrong."""
from collections.abc import Sequence

from helpers.exercises.exercise import Exercise
from helpers.exercises.observing import Behaviour, behaviour, wrong_value
from helpers.exercises.running import Outcome

SHARE = 1 / 2                                                 # of the wrong results, that a mistake must explain


def diagnose(exercise: Exercise, cases: Sequence[tuple], seen: Behaviour, expected: Sequence[Outcome]) -> str:
    """The advice for the mistake whose behaviour this is, or for the one that explains most of it; "" for none.

    Somebody who made two mistakes behaves as neither; but where an input shows one of the two alone, the results agree.
    """
    wrong = [i for i, (one, two) in enumerate(zip(seen.calls, expected)) if i < len(cases) - 1
             and wrong_value(exercise, one, two)]
    best, most = "", 0
    for mistake in exercise.mistakes:
        known = behaviour(exercise, mistake.answer, cases, expected)
        if seen.same_as(known, exercise.tolerance):
            return mistake.advice
        alike = sum(seen.calls[i].error is None and seen.calls[i].value is not None
                    and seen.calls[i].same_as(known.calls[i], exercise.tolerance) for i in wrong)
        if alike > most:
            best, most = mistake.advice, alike
    if most < 2 or most < SHARE * len(wrong):
        return ""
    return f"Perhaps, since it explains {most} of {len(wrong)} wrong results: {best}"
