"""What must be true of every exercise, as functions that return a sentence for each thing that is not."""
import itertools
import time

import torch
from torch import Tensor

from helpers.exercises.comparing import copied, difference
from helpers.exercises.ladder import examine
from helpers.exercises.observing import behaviour
from helpers.exercises.running import outcomes

SECONDS = 2                                             # of the processor that a check may take
OPENINGS = ("errors=", "latin-1", "encode ", "ord ")    # code with which a sentence may begin in small letters
RUNGS = {                                               # where the ladder must end for an answer spoilt so
    "None": "It returned None", "wrong type": "not the right type.", "one dimension more": "the shape is not.",
    "another dtype": "the dtype is not.", "nan": "Not every number is finite.", "detached": "No gradient flows back",
    "changes": "It changes the input it was given.", "wrong on the last input alone": "the values are not, on 1 of ",
}


def answer_in(notebook, exercise):
    """The learner's function as a notebook defines it: its imports and data, then the exercise's own cell."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    checks = [i for i, source in enumerate(code) if source.startswith("check(")]
    mine = [i for i in checks if code[i].startswith(f'check("{exercise.id}", {exercise.name})')]
    assert len(mine) == 1, f'{exercise.id}: {len(mine)} cells begin with check("{exercise.id}", {exercise.name})'
    own = mine[0] - 1
    others = {place for i in checks for place in (i - 1, i, i + 1)}     # an exercise, its check, its hints
    names = {"__name__": "notebook"}
    for i, source in enumerate(code):
        if i == own or i not in others:
            exec(compile(source, f"<cell {i + 1}>", "exec"), names)
    assert exercise.name in names, f"{exercise.id}: the cell before its check defines no {exercise.name}"
    return names[exercise.name]


def of_its_cases(exercise):
    """The inputs: the same every time, of many sizes, and the plain loops leave them alone."""
    cases = exercise.inputs()
    if len(cases) < 8:
        yield f"there are {len(cases)} inputs; give at least 8"
    if plain(cases) != plain(exercise.inputs()):
        yield "its inputs differ from one time to the next: draw them with the generator that is given"
    if len({tuple(map(size, case)) for case in cases}) < 4:
        yield "its inputs are nearly all of one size"
    if size(cases[0]) > sorted(map(size, cases))[len(cases) // 2]:
        yield "its first input is a large one; the smallest come first, since the first that fails is shown"
    if any(one.changed for one in outcomes(exercise.oracle, cases)):
        yield "its oracle changes its arguments"
    if not examine(exercise, exercise.oracle).passed:
        yield f"its oracle does not pass: {examine(exercise, exercise.oracle).text}"


def of_its_mistakes(exercise):
    """At least three, all wrong, no two alike, each told its own sentence, in a short time."""
    if len(exercise.mistakes) < 3:
        yield f"it knows {len(exercise.mistakes)} mistakes; give at least three"
    cases = exercise.inputs()
    expected = outcomes(exercise.oracle, cases)
    seen = [behaviour(exercise, mistake.answer, cases, expected) for mistake in exercise.mistakes]
    for (i, one), (j, other) in itertools.combinations(enumerate(seen, 1), 2):
        if one.same_as(other, exercise.tolerance):
            yield f"mistakes {i} and {j} behave the same on all inputs: add an input on which they differ"
    for i, mistake in enumerate(exercise.mistakes, 1):
        started = time.process_time()
        report = examine(exercise, mistake.answer)
        if time.process_time() - started > SECONDS:
            yield f"the check of mistake {i} took more than {SECONDS} seconds"
        if report.state != "not yet":
            yield f"mistake {i} is no mistake: its check says {report.text!r}"
        elif report.advice != mistake.advice:
            yield f"mistake {i} is told {report.advice!r} instead of {mistake.advice!r}"
        yield from too_long(report)


def of_its_words(exercise):
    """Title, minutes, hints and advice."""
    if not exercise.title.strip() or not 1 <= exercise.minutes <= 60:
        yield "it needs a title, and minutes between 1 and 60"
    if len({hint.strip() for hint in exercise.hints if hint.strip()}) != 2:
        yield "it needs two hints that differ: a nudge, and the key line in words"
    advice = [mistake.advice for mistake in exercise.mistakes]
    for sentence in [*exercise.hints, *advice]:
        if not (sentence[:1].isupper() or not sentence[:1].isalpha() or sentence.startswith(OPENINGS)):
            yield f"begins in small letters: {sentence!r}"
        if sentence[-1:] not in tuple(".?:)") or len(sentence) > 330:
            yield f"is no sentence of at most 330 characters: {sentence!r}"


def of_spoilt_answers(exercise):
    """Right answers with one thing spoilt must fail; which of these there are depends on what the answer returns."""
    cases = exercise.inputs()
    spoilt = spoilt_answers(exercise, cases)
    for kind in ("constant", "None", "off by a little", "wrong type", "wrong on the last input alone"):
        if kind not in spoilt:
            yield f"no answer could be spoilt as {kind!r}"
    for kind, answer in spoilt.items():
        report = examine(exercise, answer)
        if report.state != "not yet":
            yield f"an answer spoilt as {kind!r} is {report.text!r}"
        elif RUNGS.get(kind.split(" argument")[0], "") not in report.text:
            yield f"an answer spoilt as {kind!r} is told {report.text!r}"
        yield from too_long(report)


def too_long(report):
    lines = report.text.splitlines()
    if len(lines) > 8 or max(map(len, lines)) > 125:
        yield f"the report has {len(lines)} lines of up to {max(map(len, lines))} characters: {report.text!r}"


# ---- ways to spoil an answer

def spoilt_answers(exercise, cases):
    """Wrong answers by name, each made of the oracle; only those that differ from it on some input."""
    right = [one.value for one in outcomes(exercise.oracle, cases) if one.error is None]
    changes = {"constant": lambda value: copied(right[0]), "None": lambda value: None,
               "wrong type": lambda value: [value, value] if isinstance(value, str) else repr(value),
               "off by a little": lambda value: mapped(value, a_little_off),
               "nan": lambda value: mapped(value, with_nan),
               "one dimension more": lambda value: mapped(value, one_more_dimension),
               "another dtype": lambda value: mapped(value, other_dtype),
               "one item less": without_the_last, "detached": lambda value: mapped(value, detached)}
    spoilt = {name: lambda *given, change=change: change(exercise.oracle(*given)) for name, change in changes.items()
              if any(difference(change(value), value, exercise.tolerance) for value in right)}
    if exercise.gradients:
        spoilt["detached"] = lambda *given: mapped(exercise.oracle(*given), detached)
    last = [value for value in right][-1]
    if difference(mapped(last, a_little_off), last, exercise.tolerance):
        spoilt["wrong on the last input alone"] = wrong_on_the_last(exercise, cases)
    for place in range(len(cases[0])):
        if any(mutable(case[place]) for case in cases):
            spoilt[f"changes argument {place + 1}"] = changing(exercise, place)
    return spoilt


def wrong_on_the_last(exercise, cases):
    def answer(*given):
        value = exercise.oracle(*given)
        return mapped(value, a_little_off) if plain(given) == plain(cases[-1]) else value
    return answer


def changing(exercise, place):
    """The right answer, after which an argument is another."""
    def answer(*given):
        value = copied(exercise.oracle(*given))
        change = given[place]
        if isinstance(change, Tensor):
            change.copy_(~change if change.dtype == torch.bool else change + 1)
        elif isinstance(change, list):
            change.append(0)
        elif isinstance(change, dict):
            change["new"] = 0
        elif isinstance(change, set):
            change.add("new")
        return value
    return answer


def mutable(value):
    return isinstance(value, Tensor | list | dict | set)


def mapped(value, change):
    """A value with every leaf of it changed."""
    if isinstance(value, list | tuple):
        return type(value)(mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    return change(value)


def a_little_off(leaf):
    if isinstance(leaf, bool):
        return not leaf
    if isinstance(leaf, Tensor):
        return ~leaf if leaf.dtype == torch.bool else leaf + (1 if not leaf.is_floating_point() else 0.01)
    if isinstance(leaf, int):
        return leaf + 1
    if isinstance(leaf, float):
        return leaf + 0.01
    return leaf + leaf[:1] if isinstance(leaf, str | bytes) else leaf


def with_nan(leaf):
    if isinstance(leaf, Tensor) and leaf.is_floating_point():
        return torch.full_like(leaf, torch.nan)
    return float("nan") if isinstance(leaf, float) else leaf


def one_more_dimension(leaf):
    return leaf.unsqueeze(0) if isinstance(leaf, Tensor) else leaf


def other_dtype(leaf):
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.float() if leaf.dtype == torch.float64 else leaf.double()


def detached(leaf):
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def without_the_last(value):
    if isinstance(value, dict):
        return dict(list(value.items())[:-1])
    return value[:-1] if isinstance(value, list | tuple | str | bytes) else value


def plain(value):
    """A value as text, with all its numbers; of what is neither number, text nor collection, the type."""
    if isinstance(value, dict):
        return str({plain(key): plain(item) for key, item in value.items()})
    if isinstance(value, list | tuple | set):
        return str(list(map(plain, value)))
    if isinstance(value, Tensor):
        return str((value.dtype, value.tolist()))
    return repr(value) if isinstance(value, int | float | str | bytes | None) else type(value).__name__


def size(value):
    """How many numbers, characters and other leaves a value holds."""
    if isinstance(value, Tensor):
        return value.numel()
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(size(key) + size(item) for key, item in value.items())
    return sum(map(size, value)) if isinstance(value, list | tuple | set) else 1
