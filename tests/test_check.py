"""What a learner calls: the check and what it keeps, hints, and the progress."""
import dataclasses

import pytest
from small_exercises import DOUBLE

import helpers.exercises
from helpers.exercises import check, hint, ladder, overview, progress, running
from helpers.exercises.exercise import Exercise
from helpers.progress import read, record


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """One lesson with one exercise, and a progress file of its own."""
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(helpers.exercises, "lessons", lambda: {"09_doubling": (DOUBLE,)})
    return tmp_path


def test_a_pass_is_kept_and_a_later_failure_does_not_take_it_back(registered, capsys):
    def stub(x, n):
        raise NotImplementedError()
    check("9.1", stub)
    assert read()["exercises"] == {} and "9.1 double: not started." in capsys.readouterr().out
    check("9.1", lambda x, n: x + n)
    assert read()["exercises"] == {"9.1": {"tried": True}}
    check("9.1", lambda x, n: x * n)
    check("9.1", lambda x, n: x)
    assert read()["exercises"] == {"9.1": {"tried": True, "passed": True}}


def test_a_result_is_said_even_where_it_cannot_be_kept(registered, capsys, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "a file"))
    check("9.1", lambda x, n: x * n)
    shown = capsys.readouterr().out
    assert shown.startswith("9.1 double: passed.") and "Progress cannot be kept in" in shown


def test_nbgrader_sees_a_failure_as_an_error(registered, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    check("9.1", lambda x, n: x * n)
    with pytest.raises(AssertionError, match="You add"):
        check("9.1", lambda x, n: x + n)


def test_an_unknown_exercise_is_refused(registered):
    for call in (lambda: check("9.7", len), lambda: hint("9.7")):
        with pytest.raises(ValueError, match="id is '9.7'; the exercises are 9.1."):
            call()


def test_hints_are_folded(registered, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    hint("9.1")
    assert shown[0]["text/html"].count("<details>") == 2 and "Nudge." in shown[0]["text/plain"]


def test_progress_shows_lessons_exercises_and_guesses(registered, capsys):
    progress()
    assert capsys.readouterr().out.splitlines() == [
        "09   Doubling  exercises: 0 of 1 done   9.1 open",
        "1 exercise waits for you. Begin with 9.1 Double, 1 minutes, in exercises/09_doubling.ipynb."]
    check("9.1", lambda x, n: x)
    progress()
    assert "9.1 open" in capsys.readouterr().out              # tried, and not done
    kept = {"question": "?", "choices": ["l", "r"]}
    record("guesses", "0.a", kept | {"guess": "l", "outcome": "l"})
    record("guesses", "0.b", kept | {"guess": "l", "outcome": "r"})
    record("guesses", "0.c", kept | {"guess": None, "outcome": "l"})
    record("guesses", "0b.a", kept | {"guess": "l"})
    record("guesses", "10.a", kept | {"guess": "l", "outcome": "l"})
    check("9.1", lambda x, n: x * n)
    capsys.readouterr()
    progress()
    assert capsys.readouterr().out.splitlines() == [
        "00             2 guesses: 1 held",
        "00b            1 guess: 0 held, 1 not measured yet",
        "09   Doubling  exercises: 1 of 1 done   9.1 done",
        "10             1 guess: 1 held",
        "All 1 exercises are done."]
    progress("09")
    assert capsys.readouterr().out.splitlines() == [
        "09   Doubling  exercises: 1 of 1 done   9.1 done", "All 1 exercises are done."]
    with pytest.raises(ValueError, match="lesson is '9'; those with exercises are 09."):
        progress("9")


def test_the_next_exercise_is_the_first_open_one():
    both = {"01_one": (DOUBLE,), "10_two_more": (dataclasses.replace(DOUBLE, id="10.1"),)}
    table = overview.rows(both, {"guesses": {}, "exercises": {"9.1": {"passed": True}}})
    assert [(row.lesson, row.title, row.done) for row in table] == [("01", "One", 1), ("10", "Two more", 0)]
    assert overview.title("06c_dpo") == "DPO"
    assert overview.following(both, table) == ("1 of 2 exercises is done. Next: 10.1 Double, 1 minutes, in "
                                               "exercises/10_two_more.ipynb.")


def test_the_overview_escapes_what_it_shows():
    strange = Exercise("9.1", "f", "<b> & 'c'", 1, len, lambda draw: [], (), ("", ""))
    page = overview.as_html([overview.Row("09", "<i>", [(strange, False)], 0, 0, 0)], "a < b")
    assert "&lt;b&gt;" in page and "&lt;i&gt;" in page and "a &lt; b" in page and "<b>" not in page


def test_the_limit_is_the_one_that_is_stated():
    assert running.LIMIT == ladder.LIMIT and f"{running.LIMIT:g} seconds" in check.__doc__
