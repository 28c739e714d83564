"""The check itself: each rung of the ladder, answers that hang or raise, and what is kept of a result."""
import dataclasses
import functools
import re
import sys
import threading
import time

import numpy
import pytest
import torch

import helpers.exercises
from helpers.exercises import check, hint, ladder, overview, progress, running
from helpers.exercises.comparing import difference
from helpers.exercises.exercise import Exercise, Mistake, Property
from helpers.exercises.ladder import examine
from helpers.progress import read


def double_rows(x, n):
    return torch.stack([row * n for row in x]) if len(x) else x


SAME_SUM = Property("doubling twice is doubling by four", lambda answer: None if torch.equal(
    answer(answer(torch.ones(2, 3), 2), 2), 4 * torch.ones(2, 3)) else "ones became other than fours.")
DOUBLE = Exercise(
    id="9.1", name="double", title="Double", minutes=1, oracle=double_rows, gradients=(0,),
    cases=lambda draw: [(torch.full((rows, rows + 1), draw.uniform(1, 2)), 2) for rows in range(1, 6)],
    mistakes=(Mistake(lambda x, n: x + n, "You add."), Mistake(lambda x, n: x ** n, "You raise."),
              Mistake(lambda x, n: (x * n).detach(), "You cut the gradient off.")),
    hints=("Nudge.", "Key."), properties=(SAME_SUM,))


def in_place(x, n):
    with torch.no_grad():
        return x.mul_(n).clone()


@pytest.mark.parametrize("answer, state, said", [
    (lambda x, n: x * n, "passed", "5 inputs equal to the plain loops, and doubling twice is doubling by four, and so "
                                   "is the gradient."),
    (lambda x, n: n * x.clone(), "passed", "passed"),
    (lambda x, n: None, "not yet", "It returned None."),
    (lambda x, n: (x * n).tolist(), "not yet", "the result is a list, expected a tensor"),
    (lambda x, n: (x * n)[None], "not yet", "the result is (1, 1, 2), expected (1, 2)"),
    (lambda x, n: (x * n).double(), "not yet", "is torch.float64, expected torch.float32"),
    (lambda x, n: x * n / 0, "not yet", "[0, 0] is inf"),
    (lambda x, n: x * float("nan"), "not yet", "Not every number is finite."),
    (in_place, "not yet", "It changes the input it was given."),
    (lambda x, n: x - 1, "not yet", "the values are not"),
    (lambda x, n: x + n, "not yet", "You add."),
    (lambda x, n: (x * n).detach(), "not yet", "You cut the gradient off."),
    (lambda x, n: (x * n).detach() + 0 * x, "not yet", "the gradient by argument 1"),
    (lambda x, n: x * n if x.numel() != 6 or n != 2 or x.detach()[0, 0] != 1 else x, "not yet", "ones became other"),
    (lambda x: x, "not yet", "It takes 1 argument, and is called with 2."),
    (lambda x, n, m: x, "not yet", "It takes 3 arguments, and is called with 2."),
    (lambda: 3, "not yet", "It takes no arguments, and is called with 2."),
    (lambda *both: both[0] * both[1], "passed", "passed"),
    (functools.partial(lambda m, x, n: x * n, 3), "passed", "passed"),
    (torch.mul, "passed", "passed"),
    (type("Times", (), {"__call__": lambda self, x, n: x * n})(), "passed", "passed"),
    (type("Kept", (), {"__init__": lambda self, x, n: None}), "not yet", "the result is a Kept, expected a tensor"),
    (lambda x, n: x, "not yet", "The shape is right; the values are not."),
    (lambda x, n, *, loud=False: x * n, "passed", "passed"),
])
def test_each_rung_stops_the_climb(answer, state, said):
    report = examine(DOUBLE, answer)
    assert report.state == state and said in report.text, report.text
    assert len(report.text.splitlines()) <= 8


def test_the_learners_own_line_is_shown():
    source = ("def double(x, n):\n    table = {}\n    return helper(table, n)\n"
              "def helper(table, n):\n    return table[n]\n")
    import linecache
    linecache.cache["<their cell>"] = (len(source), None, source.splitlines(keepends=True), "<their cell>")
    names = {}
    exec(compile(source, "<their cell>", "exec"), names)
    report = examine(DOUBLE, names["double"])
    assert "It stopped with an error.\n    line 5, in helper: return table[n]\n    KeyError: 2\n" in report.text
    assert "The call was double(" in report.text


def test_an_error_inside_a_library_is_shown_at_the_learners_line():
    def double(x, n):
        return torch.cat([x, n])
    assert "line " in (text := examine(DOUBLE, double).text) and "return torch.cat([x, n])" in text


def test_an_answer_that_never_returns_is_stopped():
    def double(x, n):
        while n:
            try:
                n += 1
            except Exception:                                 # does not hold it up
                n = 1
    report = examine(DOUBLE, double, limit=0.3)
    assert "It did not return within 0.3 seconds and was stopped.\n    It was at line " in report.text, report.text
    assert "come closer to its end?" in report.text
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]


def test_an_answer_that_cannot_be_stopped_is_left_behind(monkeypatch):
    monkeypatch.setattr(running, "GRACE", 0.1)
    report = examine(DOUBLE, lambda x, n: time.sleep(1), limit=0.1)
    assert "cannot be stopped.\n    line " in report.text
    assert "It still runs: restart the kernel" in report.text
    for thread in threading.enumerate():                      # here it does end, after its second
        if thread.name == "answer":
            thread.join()


def test_an_interrupt_by_the_learner_takes_the_answer_along(monkeypatch):
    monkeypatch.setattr(running, "wait", lambda over, seconds: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        running.within(60, lambda: [n for n in iter(int, 1)])
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]


def test_a_stop_that_is_caught_is_given_again():
    def double(x, n):
        while True:
            try:
                n += 1
            except BaseException:
                pass
    assert "and was stopped." in examine(DOUBLE, double, limit=0.2).text


def test_an_answer_that_fills_the_memory_is_stopped(monkeypatch):
    monkeypatch.setattr(running, "MEMORY", 1e8)

    def double(x, n):
        kept = []
        while True:
            kept.append(bytearray(10 ** 6))
    assert "It took more than 0.1 GB of memory and was stopped." in examine(DOUBLE, double).text


def stub(x, n):
    """What it does."""
    # 1. a step
    raise NotImplementedError()


def half_done(x, n):
    both = x * n
    if n > 100:
        return both
    raise NotImplementedError()


def half_done_here_and_there(x, n):
    if len(x) > 2:
        raise NotImplementedError()
    return x * n


def test_only_an_untouched_stub_is_not_started():
    assert examine(DOUBLE, stub).text == (
        "9.1 double: not started. Write your lines where it says raise NotImplementedError(), run that cell, then this "
        "one.")
    text = examine(DOUBLE, half_done).text
    assert text.startswith("9.1 double: not yet. It still raises NotImplementedError.\n    line ")
    assert "raise NotImplementedError()\n" in text and "Take that line out when yours are complete" in text
    text = examine(DOUBLE, half_done_here_and_there).text
    assert text.startswith("9.1 double: not yet. It still raises NotImplementedError, on 3 of 5 inputs.")


def keeps(x, n, kept=[]):
    kept.append(x)
    return x * len(kept)


@pytest.mark.parametrize("answer", [keeps, lambda x, n: x + torch.rand(1)])
def test_what_outlasts_a_call_is_said(answer):
    text = examine(DOUBLE, answer).text
    assert "The same call gave two different results.\n    double([[" in text, text
    assert "a default value such as out=[]" in text and len(text.splitlines()) <= 8


@pytest.mark.parametrize("raised, said", [
    (lambda x, n: undefined, "has that cell been run since the kernel started?"),
    (lambda x, n: forever(x, n), "It calls itself without an end."),
    (lambda x, n: raise_exit(), "A function ends with return."),
    (lambda x, n: input("Which? "), "RuntimeError: input() waits for the keyboard"),
    (lambda x, n: (_ for _ in ()).throw(Unsaid()), "    Unsaid\n"),
    (lambda x, n: (_ for _ in ()).throw(ValueError("many\nlines " * 90)), "ValueError: many lines many lines"),
    (lambda x, n: (_ for _ in ()).throw(KeyboardInterrupt), "    KeyboardInterrupt\n"),
    (lambda x, n: endless_list(), "the result holds itself"),
])
def test_errors_are_said_in_short(raised, said):
    text = examine(DOUBLE, raised).text
    assert said in text and "It stopped with an error." in text, text
    assert len(text.splitlines()) <= 8 and max(map(len, text.splitlines())) < 125


def forever(x, n):
    return forever(x, n)


class Unsaid(Exception):
    def __str__(self):
        raise ValueError


def endless_list():
    endless = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("answer, said", [
    (lambda x, n: (row * n for row in x), "yield (or a comprehension in round brackets)"),
    (lambda x, n: [row * n for row in x], "torch.stack(...)"), (lambda x, n: (x * n).numpy(), "torch.from_numpy"),
    (lambda x, n: (x * n).tolist(), "torch.tensor(...)"), (lambda x, n: x.mul, "are the brackets missing"),
])
def test_a_wrong_type_comes_with_the_way_to_the_right_one(answer, said):
    assert said in examine(DOUBLE, answer).text


def test_an_answer_may_print_a_little(capsys):
    def double(x, n):
        print("looking at", tuple(x.shape))
        return x * n
    assert examine(DOUBLE, double).passed
    assert capsys.readouterr().out.startswith("looking at (1, 2)\nlooking at (2, 3)\n")

    def prints_a_lot(x, n):
        for i in range(10_000):
            print(i, file=sys.stderr if i % 2 else None)
        return x * n
    assert examine(DOUBLE, prints_a_lot).passed
    printed = "".join(capsys.readouterr())
    assert len(printed) < running.PRINTED + 100 and printed.count("the rest is left out") == 1


def test_who_made_two_mistakes_hears_of_the_one_that_explains_most():
    exercise = Exercise(
        "9.4", "clip", "Clip", 1, lambda n: min(max(n, 0), 9), lambda draw: [(n,) for n in range(-4, 12)],
        (Mistake(lambda n: max(n, 0), "You forget the upper end."),
         Mistake(lambda n: min(n, 9), "You forget the lower."),
         Mistake(lambda n: n - 1, "You take one away.")), ("a", "b"))
    report = examine(exercise, lambda n: n)
    assert "values are not, on 6 of 16 inputs.\n    clip(-4)\n    gave      -4\n    expected  0\n" in report.text
    assert report.advice == "Perhaps, since it explains 4 of 6 wrong results: You forget the lower."
    assert examine(exercise, lambda n: -7).advice == 'A nudge: run hint("9.4").'


def test_an_expected_error_must_be_raised():
    def refuses(n):
        if n < 0:
            raise ValueError(f"n is {n}")
        return n
    exercise = Exercise("9.2", "root", "Root", 1, refuses, lambda draw: [(n,) for n in (1, 4, -1)],
                        (Mistake(abs, "You take -1 for 1."),), ("a", "b"))

    class Finer(ValueError):
        pass

    def finer(n):
        if n < 0:
            raise Finer
        return n
    assert examine(exercise, refuses).passed and examine(exercise, finer).passed
    assert "It accepts what it must refuse.\n    root(-1) gave 1, expected ValueError." in examine(exercise, abs).text
    assert "It raises the wrong error." in examine(exercise, lambda n: n if n > 0 else {}[n]).text
    assert "SystemExit" in examine(exercise, lambda n: raise_exit()).text


def raise_exit():
    raise SystemExit(3)


@pytest.mark.parametrize("answer", [None, 3, [1, 2]])
def test_a_result_instead_of_a_function_is_refused(answer):
    report = examine(DOUBLE, answer)
    assert report.state == "not yet" and ", not your function." in report.text
    assert 'Write check("9.1", double), with no brackets behind the function\'s name.' in report.text


@pytest.mark.parametrize("got, expected, said", [
    ([1, 2], [1, 2], None), ((1, 2), [1, 2], None), ({1: 2}, {1: 2.0}, None), (torch.tensor(2.0), 2.0, None),
    (True, 1, "a bool"), (1.0, 1, "a float"), ("a", b"a", "a str"), ([1], [1, 2], "the length is 1, expected 2"),
    ({"a": [1, 3]}, {"a": [1, 2]}, "['a'][1] is 3, expected 2"), ({}, {1: 2}, "[1] is missing"),
    ({1: 2, 3: 4}, {1: 2}, "[3] is 4, expected missing"), (float("nan"), 1.0, "nan"), (1.0000001, 1.0, None),
    (torch.tensor([1.0, -torch.inf]), torch.tensor([1.0, -torch.inf]), None),
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, -torch.inf]), "result[1] is 2.0, expected -inf"),
    (torch.tensor([[1.0, 2.0]]), torch.tensor([1.0, 2.0]), "(1, 2), expected (2,)"), ({1, 2}, {1}, "{1, 2}"),
    (2.0, float("inf"), "the result is 2.0, expected inf"), (float("nan"), float("nan"), None),
    (10 ** 400, 1.0, "bits"), (10 ** 400, float("inf"), "bits"),
    (1 << 20000, 3, "a whole number of 20001 bits, expected 3"),
    (0.1 + 2e-5, 0.1, "is 0.10002, expected 0.1"), ([[1], 2], [[1, 2], 2], "the length of result[0] is 1, expected 2"),
    (torch.tensor([2 ** 60 + 1]), torch.tensor([2 ** 60]), "[0] is 1152921504606846977, expected 1152921504606846976"),
    (torch.tensor([1, 2]), torch.tensor([1.0, 2.0]), "is torch.int64, expected torch.float32"),
    (torch.eye(2).to_sparse(), torch.eye(2), "layout torch.sparse_coo"),
    (torch.eye(2, device="meta"), torch.eye(2), "on meta, expected a plain tensor"),
    (torch.tensor([True]), torch.tensor([False]), "result[0] is True, expected False"),
    (numpy.array([1]), [1], "a NumPy array, expected a list"), (numpy.float32(2), 2.0, None),
    (numpy.int64(2), 2, None), (numpy.bool_(True), True, None), (1, True, "an int, expected a bool"),
    ("a" * 60 + "b", "a" * 60 + "c", "result[50:80] is 'aaaaaaaaaab', expected 'aaaaaaaaaac'"),
    ("a  b", "a b", "'a  b'"), (iter([1]), [1], "a list_iterator"), (1j, 1.0, "a complex"),
    ([1, "a"], [1, 2], "result[1] is a str"),
], ids=lambda value: type(value).__name__)
def test_differences_are_said_in_words(got, expected, said):
    found = difference(got, expected, 1e-5)
    assert (found is None) if said is None else said in str(found)


def test_a_long_answer_that_differs_is_cut():
    exercise = Exercise("9.3", "f", "F", 1, lambda n: list(range(n)), lambda draw: [(n,) for n in (90, 100)], (),
                        ("", ""))
    text = examine(exercise, lambda n: [*range(n - 1), 0]).text
    assert "[89] is 0, expected 89" in text and max(map(len, text.splitlines())) < 130


# ---- what is kept

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
    assert read()["exercises"] == {"9.1": {"passed": False}}
    check("9.1", lambda x, n: x * n)
    check("9.1", lambda x, n: x)
    assert read()["exercises"] == {"9.1": {"passed": True}}


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
    from helpers.progress import record
    progress()
    assert capsys.readouterr().out.splitlines() == [
        "09   Doubling  exercises: 0 of 1 done   9.1 open",
        "1 exercises wait for you. Begin with 9.1 Double, 1 minutes, in exercises/09_doubling.ipynb."]
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
    assert overview.following(both, table) == ("1 of 2 exercises is done. Next: 10.1 Double, 1 minutes, in "
                                               "exercises/10_two_more.ipynb.")


def test_the_overview_escapes_what_it_shows():
    strange = Exercise("9.1", "f", "<b> & 'c'", 1, len, lambda draw: [], (), ("", ""))
    page = overview.as_html([overview.Row("09", "<i>", [(strange, False)], 0, 0, 0)], "a < b")
    assert "&lt;b&gt;" in page and "&lt;i&gt;" in page and "a &lt; b" in page and "<b>" not in page


def test_the_limit_is_the_one_that_is_stated():
    assert running.LIMIT == ladder.LIMIT and f"{running.LIMIT:g} seconds" in check.__doc__
