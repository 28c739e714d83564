"""Every exercise of the course is proved: its solution, its stub, its known mistakes, and answers of many kinds.

An exercise declared in helpers/exercises is found by itself; it needs a solution in solutions/, and in tests/answers
two more right answers. What is asked of it stands in exercise_proof.py, and below that each demand can fail.
"""
import dataclasses
import importlib
import time
from pathlib import Path

import exercise_proof as proof
import nbformat
import pytest
import torch

from helpers.exercises import LESSONS, exercises, lessons
from helpers.exercises.exercise import Exercise, Mistake
from helpers.exercises.ladder import Report, examine
from tools import notebook_store

ROOT = Path(__file__).resolve().parents[1]
EVERY = list(exercises().values())
NOTEBOOKS = {one.id: notebook for notebook, group in lessons().items() for one in group}
ANSWERS = {id: answers for module in LESSONS
           for id, answers in importlib.import_module(f"answers.{module}").ANSWERS.items()}

every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.id)


def answer_in(folder, exercise):
    return proof.answer_in(notebook_store.read(ROOT / folder / f"{NOTEBOOKS[exercise.id]}.ipynb"), exercise)


@every_exercise
def test_the_solution_passes(exercise):
    answer = answer_in("solutions", exercise)
    started = time.process_time()
    report = examine(exercise, answer)
    assert time.process_time() - started < proof.SECONDS
    assert report.passed, report.text
    assert report.text.startswith(f"{exercise.id} {exercise.name}: passed. ")


@every_exercise
def test_the_stub_is_not_started(exercise):
    report = examine(exercise, answer_in("exercises", exercise))
    assert report.state == "not started", report.text


@every_exercise
def test_other_right_answers_pass(exercise):
    assert len(ANSWERS.get(exercise.id, ())) >= 2, f"tests/answers holds fewer than two answers to {exercise.id}"
    for answer in ANSWERS[exercise.id]:
        report = examine(exercise, answer)
        assert report.passed, f"{answer.__name__}: {report.text}"


@every_exercise
@pytest.mark.parametrize("demand", [proof.of_its_cases, proof.of_its_mistakes, proof.of_its_words,
                                    proof.of_spoilt_answers])
def test_what_is_asked_of_every_exercise(exercise, demand):
    assert list(demand(exercise)) == []


def test_every_notebook_of_exercises_is_declared():
    stored = {path.stem for path in (ROOT / "solutions").glob("*.ipynb")}
    assert stored == set(LESSONS.values())
    assert list(ANSWERS) == list(exercises())


def test_ids_are_lesson_and_number():
    for notebook, group in lessons().items():
        lesson = notebook.split("_")[0].removeprefix("0")
        assert [one.id for one in group] == [f"{lesson}.{number}" for number in range(1, len(group) + 1)]


# ---- each demand can fail

ROWS = [(torch.arange(n * (n + 1.0)).view(n, n + 1), [n, n]) for n in range(1, 10)]
GOOD = Exercise("9.1", "scale", "Scale", 5, lambda x, n: (x * n[0], sum(n), {"rows": len(x)}),
                lambda draw: [(x + draw.random(), n) for x, n in ROWS],
                (Mistake(lambda x, n: (x + n[0], sum(n), {"rows": len(x)}), "You add."),
                 Mistake(lambda x, n: (x * n[0], n[0], {"rows": len(x)}), "You take the first."),
                 Mistake(lambda x, n: (x * n[0], sum(n), {"rows": n[0] + 1}), "You count one too many.")),
                ("A nudge.", "The key."))


def noisy(x, n):
    return x * n[0] + torch.rand(1), sum(n), {"rows": len(x)}


def clearing(x, n):
    value = GOOD.oracle(x, n)
    n.clear()
    return value


def test_a_good_exercise_meets_every_demand():
    for demand in (proof.of_its_cases, proof.of_its_mistakes, proof.of_its_words, proof.of_spoilt_answers):
        assert list(demand(GOOD)) == []
    assert list(proof.spoilt_answers(GOOD, GOOD.inputs())) == [
        "constant", "None", "wrong type", "off by a little", "nan", "one dimension more", "another dtype",
        "one item less", "wrong on the last input alone", "changes argument 1", "changes argument 2"]


@pytest.mark.parametrize("demand, change, complaint", [
    (proof.of_its_cases, {"cases": lambda draw: ROWS[:3]}, "there are 3 inputs"),
    (proof.of_its_cases, {"cases": lambda draw: ROWS[4:5] * 9}, "nearly all of one size"),
    (proof.of_its_cases, {"cases": lambda draw: ROWS[::-1]}, "its first input is a large one"),
    (proof.of_its_cases, {"cases": lambda draw: [(x + torch.rand(1), n) for x, n in ROWS]}, "from one time to"),
    (proof.of_its_cases, {"oracle": clearing}, "its oracle changes its arguments"),
    (proof.of_its_cases, {"oracle": noisy}, "its oracle does not pass"),
    (proof.of_its_mistakes, {"mistakes": GOOD.mistakes[:2]}, "it knows 2 mistakes"),
    (proof.of_its_mistakes, {"mistakes": (*GOOD.mistakes, Mistake(GOOD.oracle, "Fine."))}, "mistake 4 is no mistake"),
    (proof.of_its_mistakes, {"mistakes": (*GOOD.mistakes, Mistake(GOOD.mistakes[1].answer, "Twice."))},
     "mistakes 2 and 4 behave the same"),
    (proof.of_its_words, {"hints": ("Same.", "Same.")}, "two hints that differ"),
    (proof.of_its_words, {"hints": ("", "Key.")}, "two hints that differ"),
    (proof.of_its_words, {"title": " "}, "it needs a title"),
    (proof.of_its_words, {"mistakes": (Mistake(len, "no sentence"),)}, "is no sentence"),
    (proof.of_spoilt_answers, {"oracle": lambda x, n: x, "tolerance": 9.0}, "could be spoilt as 'off by a little'"),
    (proof.of_spoilt_answers, {"oracle": lambda x, n: ()}, "no answer could be spoilt as 'constant'"),
])
def test_a_bad_exercise_is_told_what_is_wrong(demand, change, complaint):
    assert complaint in "\n".join(demand(dataclasses.replace(GOOD, **change)))


def told(state="not yet", advice="", lines=1):
    return lambda exercise, answer: Report(state, "\n".join(["Something else."] * lines), advice)


@pytest.mark.parametrize("demand, change, complaint", [
    (proof.of_its_mistakes, ("SECONDS", 0), "the check of mistake 1 took more than 0 seconds"),
    (proof.of_its_mistakes, ("examine", told(advice="No.")), "mistake 1 is told 'No.' instead of 'You add.'"),
    (proof.of_its_mistakes, ("examine", told(lines=9)), "the report has 9 lines"),
    (proof.of_spoilt_answers, ("examine", told("passed")), "an answer spoilt as 'constant' is 'Something else.'"),
    *[(proof.of_spoilt_answers, ("examine", told()), f"an answer spoilt as {kind!r} is told 'Something else.'")
      for kind in ("None", "wrong type", "nan", "one dimension more", "another dtype", "changes argument 2")],
])
def test_a_check_that_says_the_wrong_thing_is_found(demand, change, complaint, monkeypatch):
    monkeypatch.setattr(proof, *change)
    assert complaint in "\n".join(demand(GOOD))


@pytest.mark.parametrize("cells, complaint", [
    (["def scale(x, n): pass"], r'0 cells begin with check\("9.1", scale\)'),
    (["def scaled(x, n): pass", 'check("9.1", scale)'], "the cell before its check defines no scale"),
    (["def scale(x, n): pass", 'check("9.1", scale)', 'check("9.1", scale)'], "2 cells begin with"),
])
def test_a_notebook_without_the_exercise_is_told_what_is_wrong(cells, complaint):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    with pytest.raises(AssertionError, match=complaint):
        proof.answer_in(notebook, GOOD)
