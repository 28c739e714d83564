#!/usr/bin/env python3
"""Press Enter's one door: it sets everything up, then opens the course or tests it.

    python3 course.py lab               open the lessons in JupyterLab, in your own copy (my_course/)
    python3 course.py test [...]        run the tests; --quick leaves out notebooks and browser; the rest
                                        goes to pytest
    python3 course.py progress          print which exercises are done and what comes next
    python3 course.py execute [03 ...]  run lessons again and store what they show
    python3 course.py build             make the exercises from the solutions, and the README's table of
                                        lessons; --check only says what is stale
    python3 course.py bench [name]      time our code beside its peers
    python3 course.py stages            train the Storyteller anew, as it ships with the course
    python3 course.py report            print what to paste into a bug report

The first run makes .venv, installs the tested versions and fetches the models; later runs start at once.
--here uses the Python environment you are in (conda, Colab) instead of .venv.
Standard library only: this file runs before anything is installed.
"""
from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import platform
import shutil
import signal
import sys

from tools.setup import (AGAIN, OLDEST_PYTHON, ROOT, Stop, call, free_gb, probe, read_json, set_up, step,
                         venv_python, write_json)

MINE = ROOT / "my_course"                              # the learner's own copy, ignored by git
COPIED = ("notebooks", "exercises")
FIRST_LESSON = "notebooks/00_press_enter.ipynb"
LAB_SETTINGS = ROOT / "tools" / "jupyterlab"           # no question about news, no look for updates
TOOLS = ("nbdime", "jupyterlab_jupytext", "notebook", *(f"nbgrader.server_extensions.{name}" for name in (
    "formgrader", "validate_assignment", "assignment_list", "course_list")))           # in the server, for maintainers


# ---------------------------------------------------------------- commands

def lab(options, extra):
    """Open JupyterLab at the first lesson, in your own copy of the course."""
    interpreter = set_up({"lab"}, options.here, steps=4)
    with step("Your own copy of the lessons, in my_course/", 4, 4):
        for line in copy_course():
            print(f"      {line}")
    print("Opening JupyterLab. To stop it, press Ctrl-C here twice.", flush=True)
    return call(lab_command(interpreter.python, not options.no_browser, options.port, extra))


def lab_command(python, browser=True, port=None, extra=()):
    """The command that opens JupyterLab at the first lesson, without its news pop-ups.

    What the packages of the tests add to JupyterLab is left out: it looks the same with them and without.
    """
    lesson = MINE / FIRST_LESSON if (MINE / FIRST_LESSON).exists() else MINE
    command = [python, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}",
               f"--LabApp.default_url=/lab/tree/{lesson.relative_to(ROOT).as_posix()}",
               f"--LabApp.app_settings_dir={LAB_SETTINGS}",
               "--ContentsManager.pre_save_hook=tools.notebook_store.keep_pictures",   # where sliders were
               *(f"--ServerApp.jpserver_extensions={name}=False" for name in TOOLS)]
    if not browser:
        command.append("--no-browser")
    if port is not None:
        command.append(f"--port={port}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:   # usual in a container; JupyterLab would refuse
        command.append("--allow-root")
    return command + list(extra)


def test(options, extra):
    """Run the tests: two workers, to which conftest.py gives one thread each."""
    interpreter = set_up({"lab", "test"}, options.here)
    return call([interpreter.python, "-m", "pytest", *pytest_arguments(extra, options.quick)])


def pytest_arguments(extra, quick):
    """Ours come first, so that the learner's own win."""
    arguments = ["-n", "2", "--dist", "loadfile"]
    if quick:
        arguments.append("--ignore=tests/test_browser.py")
        if not any((ROOT / word.split("::")[0]).exists() for word in extra if not word.startswith("-")):
            arguments.append("tests")
    return arguments + list(extra)


def execute(options, extra):
    """Run lessons from top to bottom and store them with what they show."""
    return call([set_up({"lab", "test"}, options.here).python, "tools/execute.py", *extra])


def build(options, extra):
    """Make exercises/ from solutions/, and the README's table of lessons. It needs no environment."""
    from tools import build as builder                 # here, so that an old Python can read this file

    return builder.build(ROOT, options.check)


def progress(options, extra):
    """Print which exercises are done, which are open, and what comes next; set nothing up."""
    return call([ready(options.here).python, "-m", "helpers.exercises"])


def bench(options, extra):
    """Print a table of our code beside its peers."""
    return call([set_up({"lab", "test"}, options.here).python, "-m", "benchmarks", *extra])


def stages(options, extra):
    """Train the Storyteller anew and store its stages."""
    return call([set_up({"lab", "test"}, options.here).python, "-m", "tools.stages", *extra])


def report(options, extra):
    """Print the state of the environment as it is; set nothing up."""
    return call([ready(options.here).python, "-m", "helpers.environment", *extra])


def ready(here):
    """The Interpreter of an environment that is there; nothing is set up."""
    found = probe(sys.executable if here else venv_python())
    if found is None:
        raise Stop(f"There is no working .venv: run `python3 course.py lab` first. This is Python "
                   f"{platform.python_version()} on {platform.platform()}, with {free_gb():.1f} GB free.")
    return found


COMMANDS = (lab, test, progress, execute, build, bench, stages, report)


# ---------------------------------------------------------------- the learner's copy

def copy_course():
    """Copy the lessons and exercises into my_course/, never over the learner's work. Returns lines to print.

    my_course/.course.json remembers the hash of each file as it was copied: a file that still has it was not
    touched, and follows the course. Beside one that was, a newer version is laid once, as NAME.new.ipynb.
    """
    remembered = read_json(MINE / ".course.json")
    lines, copied = [], 0
    for source in course_files():
        name = source.relative_to(ROOT).as_posix()
        target = MINE / name
        mine, newest, before = hash_of(target), hash_of(source), remembered.get(name)
        if mine is None:
            put(source, target)
            copied += 1
        elif mine == before != newest:
            put(source, target)
            lines.append(f"{name}: brought up to date (you had not changed it).")
        elif mine != newest != before:
            beside = free_name(target, remembered)
            put(source, beside)
            remembered[beside.relative_to(MINE).as_posix()] = newest
            lines.append(f"{name}: the course has a newer version, laid beside yours as {beside.name}.")
        remembered[name] = newest
    write_json(MINE / ".course.json", remembered)
    return lines + ([f"{copied} files copied."] if copied else [])


def course_files():
    """The files of the course that the learner gets a copy of."""
    files = [file for folder in COPIED for file in sorted((ROOT / folder).rglob("*")) if file.is_file()]
    return [file for file in files
            if not any(part.startswith((".", "__")) for part in file.relative_to(ROOT).parts)]


def free_name(target, remembered):
    """The first of NAME.new.ipynb, NAME.new2.ipynb, … that is free, or that the learner never touched."""
    for number in itertools.chain([""], itertools.count(2)):
        beside = target.with_name(f"{target.stem}.new{number}{target.suffix}")
        if hash_of(beside) in (None, remembered.get(beside.relative_to(MINE).as_posix())):
            return beside


def put(source, target):
    """Copy a file in one step, so that an interruption leaves no half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def hash_of(file):
    """The SHA-256 of a file; None if there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


# ---------------------------------------------------------------- the door

def require_python(version, which=shutil.which):
    """Stop on a Python that is too old, naming a newer one if there is one."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        newer = next((f"python3.{minor}" for minor in (13, 12, 11, 14) if which(f"python3.{minor}")), None)
        hint = f"run `{newer} course.py lab`." if newer else "install one from python.org."
        raise Stop(f"Press Enter needs Python 3.11 or newer, this is {version[0]}.{version[1]}: {hint}")


def parse(arguments):
    """The chosen command's options, and the words to hand on to the program it runs."""
    parser = argparse.ArgumentParser(usage="course.py COMMAND [options]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    commands = parser.add_subparsers(prog="course.py", metavar="COMMAND", required=True)
    for function in COMMANDS:
        command = commands.add_parser(function.__name__, description=function.__doc__, allow_abbrev=False)
        command.set_defaults(run=function)
        command.add_argument("--here", action="store_true", help="use this Python environment, not .venv")
        if function is lab:
            command.add_argument("--no-browser", action="store_true", help="print the address only")
            command.add_argument("--port", type=int, help="of JupyterLab; its own options follow a --")
        if function is test:
            command.add_argument("--quick", action="store_true", help="leave out notebooks and browser")
        if function is build:
            command.add_argument("--check", action="store_true", help="write nothing; say what is stale")
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options, extra = parser.parse_known_args(arguments[:split])
    if options.run is lab and extra:
        parser.error(f"lab does not know {' '.join(extra)!r}: options for JupyterLab come after a --")
    if options.run in (build, progress) and extra:
        parser.error(f"{options.run.__name__} does not know {' '.join(extra)!r}")
    return options, extra + arguments[split + 1:]


def main(arguments=None):
    """Run one command. Returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")   # old Windows consoles refuse some letters
    for name in ("COURSE_CACHE", "COURSE_DATA", "COURSE_STATE"):   # the programs that we start run in other folders
        if os.environ.get(name):
            os.environ[name] = os.path.abspath(os.path.expanduser(os.environ[name]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))      # so that call() takes its program along
    try:
        require_python(sys.version_info)
        options, extra = parse(sys.argv[1:] if arguments is None else arguments)
        return options.run(options, extra)
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{error.strerror or error}: {error.filename or ROOT}. Make sure that the folder is yours and the disk "
              f"is not full. {AGAIN}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. {AGAIN}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
