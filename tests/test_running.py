"""Somebody else's function: it may never return, fill the memory, print a lot, ask, or fail anywhere."""
import dataclasses
import linecache
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from small_exercises import DOUBLE

from helpers.exercises import running
from helpers.exercises.exercise import Property
from helpers.exercises.ladder import examine

ROOT = Path(__file__).resolve().parents[1]
FOUR_TIMES = dataclasses.replace(DOUBLE, properties=(
    Property("ones become fours", lambda answer: None if answer(torch.ones(2, 3), 4).sum() == 24 else "they do not."),))


def test_the_learners_own_line_is_shown():
    source = ("def double(x, n):\n    table = {}\n    return helper(table, n)\n"
              "def helper(table, n):\n    return table[n]\n")
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


@pytest.mark.parametrize("file, own", [
    ("/tmp/ipykernel_7/12.py", True), ("/home/me/my_course/notes.py", True), (running.__file__, False),
    (linecache.__file__, False), (torch.__file__, False), ("<frozen importlib._bootstrap>", False),
    ("/home/me/.local/lib/python3.11/site-packages/torch/functional.py", False),
    ("/usr/lib/python3/dist-packages/numpy/core.py", False),
])
def test_whose_line_it_is(file, own):
    assert running.theirs(file) is own


@pytest.mark.skipif(os.name == "nt", reason="there a link needs special rights")
def test_our_own_lines_are_known_where_a_link_leads_to_the_course(tmp_path):
    (tmp_path / "link").symlink_to(ROOT, target_is_directory=True)
    program = "from helpers.exercises import running; print(running.__file__, running.theirs(running.__file__))"
    said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, text=True, capture_output=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "link")}).stdout.split()
    assert said == [str(tmp_path / "link/helpers/exercises/running.py"), "False"]


def test_a_function_that_has_no_name_is_not_named():
    text = examine(DOUBLE, lambda x, n: x[n, "?"]).text
    assert "\n    line " in text and ", in <" not in text


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


def test_an_answer_that_never_returns_to_a_property_is_stopped():
    def double(x, n):
        while n == 4:                                         # only a property asks for four
            pass
        return x * n
    assert "It did not return within 0.3 seconds and was stopped." in examine(FOUR_TIMES, double, limit=0.3).text


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


def test_it_is_said_that_more_was_printed_also_when_what_is_shown_ends_with_a_line(capsys):
    def double(x, n):
        for _ in range(running.PRINTED // 10):                # in each of several calls
            print("123456789")
        return x * n
    assert examine(DOUBLE, double).passed
    printed = capsys.readouterr().out
    assert printed.startswith("123456789\n" * 100 + "\n(Your function") and printed.count("the rest is left out") == 1
