"""Running somebody else's function: it may raise, never return, or change what it was given.

It runs in a thread of its own, which is stopped from outside by an exception (PyThreadState_SetAsyncExc): that works
on every system and in every front end, where a signal would not.
"""
import ctypes
import linecache
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.exercises.comparing import copies, difference, unchanged

LIMIT = 5.0                                                   # seconds for all calls of one check together
GRACE = 1.0                                                   # seconds a stopped answer gets to end
OURS = str(Path(__file__).resolve().parents[1])
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class Stopped(BaseException):
    """Raised inside an answer that took too long; no `except Exception` of the learner's catches it."""


class TooSlow(Exception):
    """An answer did not return in time. `line` is where it was, "" when that is not known."""

    def __init__(self, line: str, ended: bool):
        super().__init__()
        self.line, self.ended = line, ended


@dataclass(frozen=True)
class Outcome:
    """What one call did: returned a value or raised, and whether its arguments are as they were."""
    value: Any = None
    error: BaseException | None = None
    changed: bool = False

    def same_as(self, other: "Outcome", tolerance: float) -> bool:
        """Whether two calls did the same."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        return self.changed == other.changed and difference(self.value, other.value, tolerance) is None


def outcomes(answer: Callable, cases: Sequence[tuple]) -> list[Outcome]:
    """What an answer does on each case. Every call gets copies of the arguments."""
    return [outcome(answer, case) for case in cases]


def outcome(answer: Callable, case: tuple) -> Outcome:
    """What one call does. Whatever it raises is part of the outcome, except the order to stop."""
    given = copies(case)
    try:
        value = answer(*given)
    except Stopped:
        raise
    except BaseException as error:                            # also SystemExit: the learner's code may do anything
        return Outcome(error=error)
    return Outcome(value, changed=not unchanged(case, given))


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """The result of work(), or TooSlow when it takes longer than so many seconds. Raises what work raises."""
    box: dict[str, Any] = {}

    def run() -> None:
        try:
            box["result"] = work()
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True, name="answer")
    thread.start()
    try:
        wait(thread, seconds)
    except KeyboardInterrupt:                                 # the learner's own: take the answer along
        stop(thread)
        raise
    if thread.is_alive():
        stop(thread)
        error = box.get("error")
        raise TooSlow(own_line(error) if error is not None else "", not thread.is_alive())
    if "error" in box:
        raise box["error"]
    return box["result"]


def wait(thread: threading.Thread, seconds: float) -> None:
    """Wait for a thread's end, at most so many seconds, in slices: on Windows only these can be interrupted."""
    end = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < end:
        thread.join(min(0.05, seconds))


def stop(thread: threading.Thread) -> None:
    """Raise Stopped in a thread, again and again while it catches it, for as long as GRACE."""
    end = time.monotonic() + GRACE
    while thread.is_alive() and time.monotonic() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
        thread.join(0.05)


def own_line(error: BaseException) -> str:
    """The learner's line in which an error arose, as 'line 3: x = y[9]'; "" if none of theirs took part."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if theirs(frame.filename)]
    if not frames:
        return ""
    last = frames[-1]
    text = (last.line or linecache.getline(last.filename, last.lineno or 0)).strip()
    return f"line {last.lineno}: {text}" if text else f"line {last.lineno}"


def theirs(file: str) -> bool:
    """Whether a file is the learner's: a notebook's cell or a script, not ours and no library's."""
    return not file.startswith((OURS, *LIBRARIES, "<frozen"))
