"""The exercises of a solutions notebook: its markers, its cells and their marks, read in this one place.

An exercise is four cells in a row: its statement, its answer, `check("1.1", merge_once)` and `hint("1.1")`. In the
answer, what the learner is to write lies between two markers. `faults` says what is wrong with a notebook's exercises,
`stub` what the learner gets of an answer, and `mark` writes what nbgrader must know of each cell.

Standard library only: `course.py build` reads notebooks as plain data, and starts at once.
"""
import ast
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's convention
STUB = "raise NotImplementedError()"

_ALMOST = re.compile(r"(BEGIN|END) SOLUTION|^\s*#+\W*(?i:begin|end)[\W_]*(?i:solutions?)\b")
_CALL = re.compile(r'(check|hint)\("(\d+[a-z]?\.\d+)"(, \w+)?\)')
_HEADING = re.compile(r"## +(\S+)")

Faults = Iterator[tuple[str, str]]                     # places, and what is wrong there


class MarkerError(ValueError):
    """A marker is not as it should be: `line` says where, counted from 1, the message what."""

    def __init__(self, line: int, why: str):
        super().__init__(why)
        self.line = line


class Exercise(NamedTuple):
    """One exercise: its id and where two of its cells are, counted from 0."""
    id: str
    answer: int
    check: int


# One cell

def regions(source: str) -> list[tuple[int, int]]:
    """The solutions in a code cell, each as the lines of its two markers, counted from 1; raises `MarkerError`."""
    found, begun = [], 0
    lines = source.split("\n")
    for number, line in enumerate(lines, 1):
        text = line.lstrip(" ")
        if text not in (BEGIN, END):
            if _ALMOST.search(line):
                raise MarkerError(number, f"{line.strip()!r} is nearly a marker: write {BEGIN!r} or {END!r} on a "
                                          "line of its own")
        elif text == BEGIN:
            if begun:
                raise MarkerError(number, f"{BEGIN!r} inside the solution that begins in line {begun}")
            begun = number
        else:
            if not begun:
                raise MarkerError(number, f"{END!r} without {BEGIN!r} above it")
            if all(line.strip().startswith("#") or not line.strip() for line in lines[begun:number - 1]):
                raise MarkerError(begun, "the solution is empty")
            first = next(inner for inner in lines[begun:] if inner.strip())
            for what, inner in ((repr(END), line), ("the solution", first)):
                if indent(inner) != indent(lines[begun - 1]):
                    raise MarkerError(begun, f"{BEGIN!r} is indented by {indent(lines[begun - 1])}, {what} by "
                                             f"{indent(inner)}")
            found.append((begun, number))
            begun = 0
    if begun:
        raise MarkerError(begun, f"{BEGIN!r} without {END!r} below it")
    return found


def stub(source: str) -> str:
    """A code cell as the learner gets it: each solution becomes one line that raises; raises `MarkerError`."""
    lines = source.split("\n")
    for begin, end in reversed(regions(source)):
        lines[begin - 1:end] = [" " * indent(lines[begin - 1]) + STUB]
    return "\n".join(lines)


def holds_solution(source: str) -> bool:
    """Whether a code cell holds a solution, rightly marked or not."""
    return BEGIN in source


def indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


# One notebook: nodes of nbformat or plain data, with each source as one text

def faults(notebook: dict[str, Any]) -> Faults:
    """Everything wrong with a notebook's markers and, once they are right, with the order of its exercises' cells."""
    wrong = list(marker_faults(notebook))
    yield from wrong or order_faults(notebook)


def marker_faults(notebook: dict[str, Any]) -> Faults:
    """At most one for each cell."""
    for number, cell in enumerate(notebook["cells"], 1):
        source = cell["source"]
        if cell["cell_type"] == "code":
            try:
                if (short := stub(source)) != source:
                    ast.parse(short)
            except MarkerError as error:
                yield f"cell {number}, line {error.line}", str(error)
            except SyntaxError as error:
                yield f"cell {number}, line {error.lineno}", f"without its solution it is no Python ({error.msg})"
        else:
            for line, text in enumerate(source.split("\n"), 1):
                if _ALMOST.search(text):
                    yield f"cell {number}, line {line}", f"{text.strip()!r} in Markdown: a solution is code"


def order_faults(notebook: dict[str, Any]) -> Faults:
    """Statement, answer, check, hint; below a heading with the exercise's id, which no other exercise has."""
    cells = notebook["cells"]
    kinds = [kind(cell) for cell in cells] + [("end", ""), ("end", "")]
    heading, seen = "", set()
    for i, cell in enumerate(cells):
        what, id = kinds[i]
        place = f"cell {i + 1}, line 1"
        if what == "statement" and (title := _HEADING.match(cell["source"])):
            heading = title[1]
        elif what == "answer":
            id = kinds[i + 1][1]
            if kinds[i - 1][0] != "statement":
                yield place, "the cell before an answer must be Markdown, its statement"
            if kinds[i + 1][0] != "check":
                yield place, 'the cell after an answer must be its check alone, such as check("1.1", merge_once)'
            elif kinds[i + 2] != ("hint", id):
                yield f"cell {i + 2}, line 1", f'the cell after this check must be hint("{id}") alone'
            elif heading != id:
                yield place, f"the heading above it must begin with '## {id} ', not '## {heading} '"
            elif id in seen:
                yield place, f"there is an exercise {id} above it already"
            seen.add(id)
        elif what == "check" and (i == 0 or kinds[i - 1][0] != "answer"):
            yield place, "the cell before a check must be an answer, with its solution between the markers"
        elif what == "hint" and (i == 0 or kinds[i - 1][0] != "check"):
            yield place, "the cell before a hint must be a check"


def kind(cell: dict[str, Any]) -> tuple[str, str]:
    """What a cell is to an exercise, and the exercise's id if the cell names it."""
    if cell["cell_type"] != "code":
        return "statement", ""
    if regions(cell["source"]):
        return "answer", ""
    call = _CALL.fullmatch(cell["source"].strip())
    return (call[1], call[2]) if call and (call[1] == "check") == bool(call[3]) else ("other", "")


def exercises(notebook: dict[str, Any]) -> list[Exercise]:
    """The exercises of a notebook without faults, in order."""
    found = [kind(cell) for cell in notebook["cells"]]
    return [Exercise(id, i - 1, i) for i, (what, id) in enumerate(found) if what == "check"]


# What nbgrader must know

def grading(notebook: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """nbgrader's metadata for the cells that need it, by their place, counted from 0.

    The check gives the point. The answer is the learner's to change; the check is nbgrader's, which restores it.
    """
    always = {"schema_version": 3, "task": False}
    found = {}
    for id, answer, check in exercises(notebook):
        name = id.replace(".", "-")
        found[answer] = {**always, "grade_id": f"answer-{name}", "solution": True, "grade": False, "locked": False}
        found[check] = {**always, "grade_id": f"check-{name}", "solution": False, "grade": True, "locked": True,
                        "points": 1}
    return found


def mark(notebook: dict[str, Any]) -> None:
    """Write nbgrader's metadata into the cells, in place; raises `ValueError` with every fault of the exercises."""
    if wrong := [f"{place}: {why}" for place, why in faults(notebook)]:
        raise ValueError("\n".join(wrong))
    known = grading(notebook)
    for i, cell in enumerate(notebook["cells"]):
        cell["metadata"].pop("nbgrader", None)
        if i in known:
            cell["metadata"]["nbgrader"] = known[i]
