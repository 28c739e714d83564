"""What is done and what is open, lesson by lesson: as a table in a notebook, as text elsewhere."""
import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from helpers.exercises.exercise import Exercise
from helpers.waiting import in_notebook

Progress = Mapping[str, Mapping[str, Mapping[str, Any]]]      # what helpers.progress.read() gives


class Row(NamedTuple):
    """One lesson: its number, its exercises with True for those done, and its guesses."""
    lesson: str
    exercises: list[tuple[Exercise, bool]]
    guesses: int
    measured: int
    held: int

    @property
    def done(self) -> int:
        return sum(done for _, done in self.exercises)


def show(lessons: Mapping[str, Sequence[Exercise]], kept: Progress, lesson: str | None = None) -> None:
    """Display the overview. lessons: each notebook's exercises. kept: what the learner has done. lesson: it alone."""
    table = [row for row in rows(lessons, kept) if lesson is None or row.lesson == number(lesson)]
    advice = following(lessons, table)
    if not in_notebook():
        print(as_text(table, advice))
        return
    from IPython.display import display

    display({"text/plain": as_text(table, advice), "text/html": as_html(table, advice)}, raw=True)


def rows(lessons: Mapping[str, Sequence[Exercise]], kept: Progress) -> list[Row]:
    """A row for each lesson that has exercises, or in which a guess was made, in reading order."""
    of_lesson = {number(notebook.split("_")[0]): group for notebook, group in lessons.items()}
    guessed = {key: guess for key, guess in kept["guesses"].items() if guess.get("guess") is not None}
    names = {*of_lesson, *(key.split(".")[0] for key in guessed)}
    table = []
    for name in sorted(names, key=lambda name: (len(name.rstrip("b")), name)):     # 0, 0b, 1, ..., 10
        mine = [guess for key, guess in guessed.items() if key.split(".")[0] == name]
        measured = [guess for guess in mine if guess.get("outcome") is not None]
        done = [(one, kept["exercises"].get(one.id, {}).get("passed") is True) for one in of_lesson.get(name, ())]
        table.append(Row(name, done, len(mine), len(measured),
                         sum(guess["outcome"] == guess["guess"] for guess in measured)))
    return table


def number(lesson: str) -> str:
    """The number of a lesson as its ids have it: "0b" for "00b", "1" for "01", "10" for "10"."""
    return lesson[1:] if lesson.startswith("0") else lesson


def following(lessons: Mapping[str, Sequence[Exercise]], table: Sequence[Row]) -> str:
    """What to do next: the first open exercise."""
    notebooks = {one.id: notebook for notebook, group in lessons.items() for one in group}
    for one in (one for row in table for one, done in row.exercises if not done):
        return f"Next: {one.id} {one.title} ({one.minutes} minutes), in exercises/{notebooks[one.id]}.ipynb."
    return "Every exercise is done." if len(lessons) > 1 else "Every exercise of this lesson is done."


def as_text(table: Sequence[Row], advice: str) -> str:
    lines = []
    for row in table:
        line = f"Lesson {row.lesson:>3}"
        if row.exercises:
            marks = "  ".join(f"{one.id} {'done' if done else 'open'}" for one, done in row.exercises)
            line += f"   exercises: {row.done} of {len(row.exercises)} done   {marks}"
        if row.guesses:
            line += f"   {guesses(row)}"
        lines.append(line)
    return "\n".join([*lines, advice])


def as_html(table: Sequence[Row], advice: str) -> str:
    body = "".join(
        f"<tr><td>{row.lesson}</td><td>{f'{row.done} of {len(row.exercises)}' if row.exercises else ''}</td>"
        f"<td style='text-align: left'>{''.join(mark(one, done) for one, done in row.exercises)}</td>"
        f"<td>{guesses(row) if row.guesses else ''}</td></tr>" for row in table)
    return ("<table><tr><th>lesson</th><th>exercises done</th><th></th><th>guesses</th></tr>"
            f"{body}</table><p>{html.escape(advice)}</p>")


def mark(one: Exercise, done: bool) -> str:
    """One exercise as a mark; its title is the tooltip, and words say what the mark means."""
    return (f"<span title='{html.escape(one.title, quote=True)}' style='margin-right: 1em'>"
            f"{'☑' if done else '☐'} {one.id} {'done' if done else 'open'}</span>")


def guesses(row: Row) -> str:
    return f"{row.guesses} {'guess' if row.guesses == 1 else 'guesses'}, {row.held} of {row.measured} measured held"
