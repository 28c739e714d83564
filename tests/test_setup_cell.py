"""The first cell of every notebook: does nothing where the course is, fetches it where it is not, or says why not."""
import builtins
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = nbformat.read(ROOT / "notebooks" / "00_press_enter.ipynb", as_version=4).cells[1].source


@pytest.fixture
def pip(monkeypatch):
    """Every pip command that the cell would run."""
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    return commands


@pytest.fixture
def without_course(monkeypatch):
    real = builtins.__import__

    def blocked(name, *arguments, **keywords):
        if name == "helpers":
            raise ModuleNotFoundError("No module named 'helpers'")
        return real(name, *arguments, **keywords)
    monkeypatch.setattr(builtins, "__import__", blocked)


def test_where_the_course_is_it_does_nothing(pip, capsys):
    exec(SOURCE, {})
    assert pip == [] and capsys.readouterr().out == ""


def test_without_an_address_it_says_what_to_do(without_course, pip):
    with pytest.raises(ModuleNotFoundError, match="Clone the course and run: python3 course.py lab"):
        exec(SOURCE.replace('ADDRESS = "https', 'ADDRESS = "" #'), {})
    assert pip == []


def test_with_an_address_it_installs_the_course_and_says_so(without_course, pip, capsys):
    exec(SOURCE.replace('ADDRESS = ""', 'ADDRESS = "https://example.org/course"'), {})
    command, = pip
    assert command[0] == sys.executable and command[-1] == "press-enter @ git+https://example.org/course"
    assert capsys.readouterr().out == "Installed the course's package from https://example.org/course.\n"


def test_another_package_called_helpers_is_not_taken_for_the_course(monkeypatch, pip):
    monkeypatch.setitem(sys.modules, "helpers", types.ModuleType("helpers"))
    exec(SOURCE.replace('ADDRESS = ""', 'ADDRESS = "https://example.org/course"'), {})
    assert len(pip) == 1 and "helpers" not in sys.modules
