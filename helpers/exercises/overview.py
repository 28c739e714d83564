"""What is done and what is open, lesson by lesson: as a table in a notebook, as text elsewhere."""
import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from helpers.exercises.exercise import Exercise
from helpers.waiting import in_notebook

ABBREVIATIONS = {"dpo"}
Progress = Mapping[str, Mapping[str, Mapping[str, Any]]]      # what helpers.progress.read() gives


class Row(NamedTuple):
    """One lesson: its number and title, its exercises with True for those done, and its guesses."""
    lesson: str
    title: str
    exercises: list[tuple[Exercise, bool]]
    guesses: int
    measured: int
    held: int

    @property
    def done(self) -> int:
        return sum(done for _, done in self.exercises)


def show(lessons: Mapping[str, Sequence[Exercise]], kept: Progress, lesson: str | None = None) -> None:
    """Display the overview. lessons: each notebook's exercises. kept: what the learner has done. lesson: it alone."""
    table = [row for row in rows(lessons, kept) if lesson in (None, row.lesson)]
    advice = following(lessons, table)
    if not in_notebook():
        print(as_text(table, advice))
        return
    from IPython.display import display

    display({"text/plain": as_text(table, advice), "text/html": as_html(table, advice)}, raw=True)


def rows(lessons: Mapping[str, Sequence[Exercise]], kept: Progress) -> list[Row]:
    """A row for each lesson that has exercises, or in which a guess was made, in reading order."""
    named = {notebook.split("_")[0]: notebook for notebook in lessons}
    guessed = {key: guess for key, guess in kept["guesses"].items() if guess.get("guess") is not None}
    table = []
    for lesson in sorted({*named, *map(lesson_of, guessed)}):           # 00, 00b, 01, ..., 10
        mine = [guess for key, guess in guessed.items() if lesson_of(key) == lesson]
        measured = [guess for guess in mine if guess.get("outcome") is not None]
        notebook = named.get(lesson, "")
        done = [(one, kept["exercises"].get(one.id, {}).get("passed") is True) for one in lessons.get(notebook, ())]
        table.append(Row(lesson, title(notebook), done, len(mine), len(measured),
                         sum(guess["outcome"] == guess["guess"] for guess in measured)))
    return table


def title(notebook: str) -> str:
    """The title of a notebook, as its file name has it: "Fine tuning" for "05e_fine_tuning", "DPO" for "06c_dpo"."""
    words = " ".join(notebook.split("_")[1:])
    return words.upper() if words in ABBREVIATIONS else words.capitalize()


def lesson_of(id: str) -> str:
    """The lesson of a guess or exercise, as file names have it: "00b" for "0b.1", "10" for "10.a"."""
    lesson = id.split(".")[0]
    digits = lesson.rstrip("abcdefghijklmnopqrstuvwxyz")
    return digits.zfill(2) + lesson[len(digits):]


def following(lessons: Mapping[str, Sequence[Exercise]], table: Sequence[Row]) -> str:
    """How much is done, and what to do next: the first open exercise."""
    notebooks = {one.id: notebook for notebook, group in lessons.items() for one in group}
    every = [pair for row in table for pair in row.exercises]
    done = sum(passed for _, passed in every)
    following = next((one for one, passed in every if not passed), None)
    if following is None:
        return f"All {len(every)} exercises are done."
    where = (f"{following.id} {following.title}, {following.minutes} minutes, "
             f"in exercises/{notebooks[following.id]}.ipynb")
    if not done:
        return f"{len(every)} {'exercise waits' if len(every) == 1 else 'exercises wait'} for you. Begin with {where}."
    return f"{done} of {len(every)} exercises {'is' if done == 1 else 'are'} done. Next: {where}."


def as_text(table: Sequence[Row], advice: str) -> str:
    width = max((len(row.title) for row in table), default=0)
    lines = []
    for row in table:
        cells = [f"{row.lesson:3}  {row.title:{width}}"]
        if row.exercises:
            cells.append(f"exercises: {row.done} of {len(row.exercises)} done ")
            cells.extend(f"{one.id} {'done' if done else 'open'}" for one, done in row.exercises)
        lines.append("  ".join([*cells, guesses(row)]).rstrip())
    return "\n".join([*lines, advice])


def as_html(table: Sequence[Row], advice: str) -> str:
    left = "style='text-align: left'"
    body = "".join(
        f"<tr><td {left}>{row.lesson} {html.escape(row.title)}</td>"
        f"<td>{f'{row.done} of {len(row.exercises)}' if row.exercises else ''}</td>"
        f"<td {left}>{''.join(mark(one, done) for one, done in row.exercises)}</td>"
        f"<td {left}>{guesses(row)}</td></tr>" for row in table)
    titles = "".join(f"<th {left}>{title}</th>" for title in ("Lesson", "Done", "Exercises", "Guesses"))
    return f"<table><tr>{titles}</tr>{body}</table><p>{html.escape(advice)}</p>"


def mark(one: Exercise, done: bool) -> str:
    """One exercise as a mark; its title is the tooltip, and words say what the mark means."""
    return (f"<span title='{html.escape(one.title, quote=True)}' style='margin-right: 1em; white-space: nowrap'>"
            f"{'☑' if done else '☐'} {one.id} {'done' if done else 'open'}</span> ")


def guesses(row: Row) -> str:
    """How a lesson's guesses came out; "" where none was made."""
    if not row.guesses:
        return ""
    made = f"{row.guesses} {'guess' if row.guesses == 1 else 'guesses'}"
    waiting = row.guesses - row.measured
    return f"{made}: {row.held} held" + (f", {waiting} not measured yet" if waiting else "")
