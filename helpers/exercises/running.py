"""Running somebody else's function: it may raise, never return, fill the memory, print a lot, or change its input.

It runs in a thread of its own, which is stopped from outside by an exception (PyThreadState_SetAsyncExc): that works
on every system and in every front end, where a signal would not.
"""
import builtins
import ctypes
import io
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.exercises.comparing import copied, copies, difference, unchanged
from helpers.exercises.words import cut

LIMIT = 5.0                                                   # seconds for all calls of one check together
GRACE = 1.0                                                   # seconds a stopped answer gets to end
MEMORY = 1e9                                                  # bytes that one check may take
PRINTED = 1000                                                # characters that one check may print
OURS = str(Path(__file__).parents[1])                         # as frames name it, also where a link leads here
STANDARD = sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
INSTALLED = {"site-packages", "dist-packages"}                # the folders of packages, the system's and the user's own


class Stopped(BaseException):
    """Raised inside an answer that took too long; no `except Exception` of the learner's catches it."""


class TooMuch(Exception):
    """An answer took too much time or memory. why: in words. line: where it was. ended: whether it could be stopped."""

    def __init__(self, why: str, line: str, ended: bool):
        super().__init__(why)
        self.why, self.line, self.ended = why, line, ended


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
    try:
        value = copied(value)                                 # as it is now: later calls may change what it kept
    except RecursionError:
        return Outcome(error=ValueError("the result holds itself, so it has no end"))
    return Outcome(value, changed=not unchanged(case, given))


# ---- within limits

def within(seconds: float, work: Callable[[], Any]) -> Any:
    """The result of work(). Raises what work raises, and TooMuch when it takes more than so many seconds, or MEMORY."""
    box: dict[str, Any] = {}
    over = threading.Event()                                  # thread.join() goes wrong when it is interrupted

    def run() -> None:
        with suppress(Stopped):                               # one that comes when all is over
            try:
                box["result"] = work()
            except BaseException as error:
                box["error"] = error
            finally:
                over.set()

    thread = threading.Thread(target=run, daemon=True, name="answer")
    with quiet():
        thread.start()
        try:
            why = wait(over, seconds)
        except KeyboardInterrupt:                             # the learner's own: take the answer along
            stop(thread, over)
            raise
        if why:
            frame = sys._current_frames().get(thread.ident)
            line = own_line(traceback.extract_stack(frame)) if frame else ""
            stop(thread, over)
            if "result" not in box:
                raise TooMuch(why, line, over.is_set())
    if "error" in box:
        raise box["error"]
    return box["result"]


def wait(over: threading.Event, seconds: float) -> str:
    """Wait for the end. Returns "", or what it took too much of: "5 seconds", "1 GB of memory".

    It waits in slices: on Windows only these can be interrupted.
    """
    end, before = time.monotonic() + seconds, memory()
    while not over.wait(min(0.05, seconds)):
        if memory() - before > MEMORY:
            return f"{MEMORY / 1e9:g} GB of memory"
        if time.monotonic() > end:
            return f"{seconds:g} seconds"
    return ""


def memory() -> int:
    """How many bytes this process holds; 0 where psutil is missing, which a notebook's kernel always brings."""
    try:
        import psutil
    except ImportError:
        return 0
    return psutil.Process().memory_info().rss


def stop(thread: threading.Thread, over: threading.Event) -> None:
    """Raise Stopped in a thread, again and again while it catches it, for as long as GRACE."""
    end = time.monotonic() + GRACE
    while not over.is_set() and time.monotonic() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
        over.wait(0.01)


# ---- what it prints and asks

@contextmanager
def quiet() -> Iterator[None]:
    """Let an answer print a little, and ask nothing: nobody would see the question that input() waits for."""
    left, asked = Allowance(), builtins.input
    with redirect_stdout(Tap(sys.stdout, left)), redirect_stderr(Tap(sys.stderr, left)):
        builtins.input = refuse
        try:
            yield
        finally:
            builtins.input = asked


def refuse(*_: Any) -> str:
    raise RuntimeError("input() waits for the keyboard; your function is given all it needs as arguments")


class Allowance:
    """How many characters may still be printed; below 0 once it was said that there were more."""
    left = PRINTED


class Tap(io.TextIOBase):
    """A stream that passes on what it is given until the allowance is used up, and then says so once."""

    def __init__(self, target: Any, allowance: Allowance):
        self.target, self.allowance = target, allowance

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if (left := self.allowance.left) >= 0:
            self.allowance.left -= len(text)
            self.target.write(text if len(text) <= left else
                              f"{text[:left]}\n(Your function prints more; the rest is left out.)\n")
        return len(text)


# ---- whose line it is

def own_line(frames: traceback.StackSummary, name: str = "") -> str:
    """The learner's innermost line, as "line 3: x = y[9]"; "" if none of theirs took part.

    name: the exercise's function; a line of another one is shown as "line 3, in helper: x = y[9]".
    """
    own = [frame for frame in frames if theirs(frame.filename)]
    if not own:
        return ""
    last = own[-1]
    text = (last.line or "").strip()
    inside = f", in {last.name}" if name and last.name.isidentifier() and last.name != name else ""
    return cut(f"line {last.lineno}{inside}{': ' + text if text else ''}")


def theirs(file: str) -> bool:
    """Whether a file is the learner's: a notebook's cell or a script, not ours and no library's."""
    return not (file.startswith((OURS, *STANDARD, "<frozen")) or INSTALLED & set(Path(file).parts))
