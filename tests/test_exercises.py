"""Every exercise of the course is proved: its solution, its stub, its known mistakes, and answers of many kinds.

An exercise declared in helpers/exercises is found by itself; it needs a solution in solutions/, and in tests/answers
two more right answers.
"""
import importlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.exercises import LESSONS, exercises, lessons
from helpers.exercises.comparing import copied
from helpers.exercises.ladder import examine
from tools import notebook_store

ROOT = Path(__file__).resolve().parents[1]
EVERY = list(exercises().values())
NOTEBOOKS = {one.id: notebook for notebook, group in lessons().items() for one in group}
ANSWERS = {id: answers for module in LESSONS
           for id, answers in importlib.import_module(f"answers.{module}").ANSWERS.items()}

every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.id)


def answer_in(folder, exercise):
    """The learner's function as a notebook defines it: its imports and data, then the exercise's own cell."""
    notebook = notebook_store.read(ROOT / folder / f"{NOTEBOOKS[exercise.id]}.ipynb")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    own = code.index(next(source for source in code if source.startswith(f'check("{exercise.id}"'))) - 1
    checks = [i for i, source in enumerate(code) if source.startswith("check(")]
    exercise_cells = {place for i in checks for place in (i - 1, i, i + 1)}
    names = {"__name__": "notebook"}
    for i, source in enumerate(code):
        if i == own or i not in exercise_cells:
            exec(compile(source, f"<cell {i + 1}>", "exec"), names)
    return names[exercise.name]


@every_exercise
def test_the_solution_passes(exercise):
    report = examine(exercise, answer_in("solutions", exercise))
    assert report.passed, report.text
    assert report.text.startswith(f"{exercise.id} {exercise.name}: passed. ")


@every_exercise
def test_the_stub_is_not_started(exercise):
    report = examine(exercise, answer_in("exercises", exercise))
    assert report.state == "not started", report.text


@every_exercise
def test_every_mistake_gets_its_own_sentence(exercise):
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        report = examine(exercise, mistake.answer)
        assert (report.state, report.advice) == ("not yet", mistake.advice), report.text
        assert len(report.text.splitlines()) <= 8, report.text


@every_exercise
def test_other_right_answers_pass(exercise):
    assert len(ANSWERS[exercise.id]) >= 2
    for answer in ANSWERS[exercise.id]:
        report = examine(exercise, answer)
        assert report.passed, f"{answer.__name__}: {report.text}"


@every_exercise
def test_spoilt_right_answers_fail(exercise):
    """NaN, a shape that would broadcast, a constant, a changed argument: whatever of these the answer's type allows."""
    cases = exercise.inputs()
    first = exercise.oracle(*map(copied, cases[0]))
    spoilt = {"constant": lambda *given: copied(first)}
    if mapped(first, with_nan) is not None:
        spoilt["nan"] = lambda *given: mapped(exercise.oracle(*given), with_nan)
    spoilt["shape"] = lambda *given: one_more_dimension(exercise.oracle(*given))
    if any(mutable(value) for case in cases for value in case):
        spoilt["mutates"] = lambda *given: mutating(exercise, given)
    for name, answer in spoilt.items():
        report = examine(exercise, answer)
        assert report.state == "not yet", f"{name}: {report.text}"
        if name == "mutates":
            assert "changes the input" in report.text, report.text


@every_exercise
def test_what_the_learner_reads(exercise):
    assert exercise.minutes > 0 and len(set(exercise.hints)) == 2
    for sentence in [*exercise.hints, *(mistake.advice for mistake in exercise.mistakes)]:
        assert sentence[0].isupper() or not sentence[0].isalpha() or sentence[0] in "elo", sentence
        assert sentence[-1] in ".?:)" and len(sentence) <= 330, sentence
    lengths = {tuple(map(len, filter(sized, case))) for case in exercise.inputs()}
    assert len(lengths) > 3, "the inputs are all of one size"


def test_every_notebook_of_exercises_is_declared():
    stored = {path.stem for path in (ROOT / "solutions").glob("*.ipynb")}
    assert stored == set(LESSONS.values())
    assert list(ANSWERS) == list(exercises())


# Ways to spoil an answer

def sized(value):
    return hasattr(value, "__len__") and not (isinstance(value, Tensor) and value.dim() == 0)


def with_nan(number):
    return torch.full_like(number, torch.nan) if isinstance(number, Tensor) else float("nan")


def mapped(value, change):
    """A value with its floats changed; None when it holds none."""
    if isinstance(value, float) or isinstance(value, Tensor) and value.is_floating_point():
        return change(value)
    if isinstance(value, list | tuple):
        inner = [mapped(item, change) for item in value]
        if any(item is not None for item in inner):
            return type(value)(old if new is None else new for old, new in zip(value, inner))
    return None


def one_more_dimension(value):
    return value.unsqueeze(0) if isinstance(value, Tensor) else [value]


def mutable(value):
    return isinstance(value, Tensor | list | dict | set)


def mutating(exercise, given):
    """The right answer, after which one of its arguments is another."""
    answer = exercise.oracle(*given)
    for value in filter(mutable, given):
        if isinstance(value, Tensor):
            value.add_(1)
        elif isinstance(value, list):
            value.append(0)
        else:
            value.clear()
    return answer
