"""Exercises that answer back.

    check("1.1", count_pairs)        # passed, or what is wrong and which mistake it looks like
    hint("1.1")                      # two hints, folded
    progress()                       # which exercises are done, which are open, what comes next; progress("01")

`exercise.py` says what an exercise is; a package for each lesson declares its own; `ladder.py` is the check.
"""
import html
import importlib
import os
from functools import cache
from typing import Any

from helpers.exercises.exercise import Exercise
from helpers.progress import read, record

LESSONS = {                                                   # package -> its notebook in exercises/, in reading order
    "lesson_00b": "00b_tensors_and_slopes",
    "lesson_01": "01_tokenization",
    "lesson_02": "02_embeddings",
    "lesson_03": "03_attention",
    "lesson_04": "04_transformer",
    "lesson_05": "05_training",
    "lesson_05e": "05e_fine_tuning",
    "lesson_06": "06_preference_tuning",
    "lesson_06c": "06c_dpo",
    "lesson_07": "07_sampling",
}


@cache
def lessons() -> dict[str, tuple[Exercise, ...]]:
    """The exercises of each lesson that has some, by the name of their notebook, in reading order."""
    return {notebook: importlib.import_module(f"{__name__}.{module}").EXERCISES
            for module, notebook in LESSONS.items()}


def exercises() -> dict[str, Exercise]:
    """Every exercise of the course, by id, in reading order."""
    return {one.id: one for group in lessons().values() for one in group}


def find(id: str) -> Exercise:
    """An exercise by its id. Raises ValueError for one that there is not."""
    if id not in exercises():
        raise ValueError(f"id is {id!r}; the exercises are {', '.join(exercises())}.")
    return exercises()[id]


def check(id: str, answer: Any) -> None:
    """Check an answer to an exercise, say what was found, and keep it in your progress.

    answer: your function, not its result. It is called on many inputs; after 5 seconds, or when it takes more than a
        gigabyte of memory, it is stopped.
    Raises ValueError for an unknown id. Where nbgrader runs the notebook, an answer that does not pass raises
    AssertionError, for a cell that only prints would earn full marks there; and nothing is kept, for the progress there
    is the instructor's.
    """
    from helpers.exercises.ladder import examine

    report = examine(find(id), answer)
    grading = bool(os.environ.get("NBGRADER_EXECUTION"))
    if grading and not report.passed:
        raise AssertionError(report.text)
    print(report.text)
    if not grading and report.state != "not started":
        try:                                                  # what has passed stays passed
            record("exercises", id, {"passed": True} if report.passed else {"tried": True})
        except OSError as error:                              # a folder that cannot be written: no reason to stop
            print(error)


def hint(id: str) -> None:
    """Show an exercise's two hints, folded: a nudge, then the key line in words."""
    from IPython.display import display

    nudge, key = find(id).hints
    page = "".join(f"<details><summary>{title}</summary>{html.escape(text, quote=False)}</details>"
                   for title, text in ((f"{id}: a nudge", nudge), (f"{id}: the key line", key)))
    display({"text/plain": f"{id}, a nudge: {nudge}\n{id}, the key line: {key}", "text/html": page}, raw=True)


def progress(lesson: str | None = None) -> None:
    """Show which exercises are done and which are open, how many of your guesses held, and what comes next.

    lesson: such as "01" or "00b"; None shows all. Raises ValueError for a lesson without exercises.
    """
    from helpers.exercises.overview import show

    chosen = {notebook: group for notebook, group in lessons().items() if lesson in (None, notebook.split("_")[0])}
    if not chosen:
        numbers = ", ".join(notebook.split("_")[0] for notebook in lessons())
        raise ValueError(f"lesson is {lesson!r}; those with exercises are {numbers}.")
    show(chosen, read(), lesson)
