"""What is made from the notebooks: exercises/ from solutions/, and the README's table of lessons.

An exercises notebook is its solutions notebook with a stub for each solution, and without what a run leaves behind.
The same solutions give the same bytes. Standard library only: `course.py build` needs no environment.
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tools import exercise_cells, lesson_table, notebook_store

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS, EXERCISES = "solutions", "exercises"


def build(root: Path = ROOT, check: bool = False) -> int:
    """Write what is missing or stale, remove what is left over, and say so; `check` says it and changes nothing.

    Returns the exit status: 1 when a notebook cannot be built, which is said in a sentence for each of its faults and
    leaves exercises/ as it was; with `check` also when anything is not as it should be.
    """
    wanted, wrong = exercises(root)
    changes = [] if wrong else differences(root, wanted)
    for path, what in changes:
        if not check:
            what = "written" if path in wanted else "removed"
            put(wanted.get(path), path)
        print(f"{EXERCISES}/{path.name}: {what}")
    try:
        table_changes = lesson_table.rewrite(root, check)
    except ValueError as error:
        table_changes = False
        wrong.append(str(error))
    if table_changes:
        print(f"README.md: the table of lessons is {'stale' if check else 'written'}")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    stale = check and bool(changes or table_changes)
    if stale:
        print("Run: python3 course.py build", file=sys.stderr)
    return int(stale or bool(wrong))


def exercises(root: Path = ROOT) -> tuple[dict[Path, bytes], list[str]]:
    """The files that exercises/ should hold, and a sentence for each fault of a solutions notebook."""
    wanted, wrong = {}, []
    for path in sorted((root / SOLUTIONS).glob("*.ipynb")):
        try:
            wanted[target(path)] = exercises_of(path)
        except ValueError as error:
            wrong += [f"{path.name}, {line}" for line in str(error).splitlines()]
    return wanted, wrong


def differences(root: Path, wanted: dict[Path, bytes]) -> list[tuple[Path, str]]:
    """The files of exercises/ that are not as `wanted` has them, and what is the matter with each."""
    changes = []
    for path in sorted({*wanted, *(root / EXERCISES).glob("*.ipynb")}):
        if path not in wanted:
            changes.append((path, f"left over: there is no {SOLUTIONS}/{path.name}"))
        elif not path.exists():
            changes.append((path, "missing"))
        elif path.read_bytes() != wanted[path]:
            changes.append((path, "stale"))
    return changes


def exercises_of(path: Path) -> bytes:
    """The exercises notebook made from a solutions notebook; `ValueError` with a line for each of its faults."""
    try:
        notebook = notebook_store.plain(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"file: {error}") from error
    exercise_cells.mark(notebook)
    return notebook_store.text(without_solutions(notebook)).encode("utf-8")


def without_solutions(notebook: dict[str, Any]) -> dict[str, Any]:
    """A notebook without its solutions, what its cells printed, and what running it cost.

    nbgrader's metadata stays: an instructor may hand out exercises/ itself, and nbgrader finds in what comes back the
    cells that it grades by their names.
    """
    cells = []
    for cell in notebook["cells"]:
        kept = {key: value for key, value in cell["metadata"].items() if key == "nbgrader"}
        cell = {**cell, "metadata": kept}
        if cell["cell_type"] == "code":
            cell |= {"source": exercise_cells.stub(cell["source"]), "outputs": [], "execution_count": None}
        cells.append(cell)
    metadata = {key: value for key, value in notebook["metadata"].items() if key != "press_enter"}
    return {**notebook, "cells": cells, "metadata": metadata}


def target(solutions: Path) -> Path:
    """Where the exercises of a solutions notebook are written."""
    return solutions.parents[1] / EXERCISES / solutions.name


def put(content: bytes | None, path: Path) -> None:
    """Write a file of exercises/ in one step; None removes it."""
    if content is None:
        path.unlink()
    elif not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(exist_ok=True)
        notebook_store.put(content, path)
