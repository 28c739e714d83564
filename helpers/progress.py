"""What the learner has done so far: one small JSON file on their own machine, and nothing else.

The file lies in the folder named by COURSE_STATE, or in the user's data folder. Tests point COURSE_STATE to an empty
folder, so that a stored notebook shows what a newcomer sees. Several notebooks may write at once: a lock of the
operating system lets them in one by one, and is gone with its process, however that ends.
"""
import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from helpers.assets import write

try:
    import fcntl
except ImportError:                                         # Windows has another
    fcntl = None
    import msvcrt

SECTIONS = ("guesses", "exercises")
PATIENCE = 10.0                                             # seconds to wait for another notebook's turn to end


def state_file() -> Path:
    """Where progress is kept."""
    folder = os.environ.get("COURSE_STATE") or platformdirs.user_data_dir("press-enter", appauthor=False)
    return Path(folder).expanduser().absolute() / "progress.json"


def read() -> dict[str, dict[str, dict[str, Any]]]:
    """All that is known, as {"guesses": {"0.a": {...}}, "exercises": {...}}; empty for a newcomer.

    A file that cannot be understood is set aside, with a line that says where, and progress starts anew. An entry that
    is no table stays in the file and is left out here.
    Raises OSError, naming the folder, when it cannot be read.
    """
    content = load()
    return {section: {key: entry for key, entry in content[section].items() if isinstance(entry, dict)}
            for section in SECTIONS}


def load() -> dict[str, Any]:
    """The whole file, also what a newer course has put there."""
    with in_words(state_file().parent):
        if not state_file().exists():                       # leave no folder behind just for having looked
            return {section: {} for section in SECTIONS}
        with turn():
            return understood(state_file())


def understood(file: Path) -> dict[str, Any]:
    """What a file holds; one that cannot be understood is set aside, and holds nothing."""
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if not (isinstance(content, dict) and all(isinstance(content.get(section, {}), dict) for section in SECTIONS)):
            raise ValueError("not a table of sections")
    except ValueError as error:                             # JSON and UTF-8 errors are ValueErrors too
        aside = file.with_name(f"progress.damaged-{time.strftime('%Y%m%d-%H%M%S')}.json")
        os.replace(file, aside)
        print(f"Your progress file could not be read ({error}). It is kept as {aside}; progress starts anew.")
        content = {}
    return {section: content.get(section, {}) for section in SECTIONS} | content


def record(section: str, key: str, value: dict[str, Any]) -> None:
    """Keep facts under a key, beside those it has: record("guesses", "0.a", {"guess": "left"}).

    The file is replaced in one step. Raises ValueError for an unknown section and a value that is no table, and
    OSError, naming the folder, when it cannot be written.
    """
    if section not in SECTIONS:
        raise ValueError(f"section is {section!r}; choose one of {', '.join(SECTIONS)}.")
    if not isinstance(value, dict):
        raise ValueError(f"value is {value!r}; give a dict, such as {{'passed': True}}.")
    file = state_file()
    with in_words(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        with turn():
            content = understood(file)
            before = content[section].get(key)
            content[section][key] = (before if isinstance(before, dict) else {}) | value
            write(file, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def turn() -> Iterator[None]:
    """Wait until nobody else reads or writes the file, and keep it so while the block runs."""
    with state_file().with_name("progress.lock").open("ab") as stream:
        end = time.monotonic() + PATIENCE
        while not locked(stream.fileno()):
            if time.monotonic() > end:
                raise OSError(errno.EAGAIN, "another notebook has held it for too long")
            time.sleep(0.01)
        try:
            yield
        finally:
            if fcntl is None:                               # Windows gives it back at some time after closing
                msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)


def locked(file: int) -> bool:
    """Try to lock an open file; False when another process or thread has it."""
    try:
        if fcntl is None:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise                                           # a file system without locks, say
        return False
    return True


@contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Turn whatever the system says against a folder (not ours, read-only, a file, full) into one sentence."""
    try:
        yield
    except OSError as error:
        raise type(error)(f"Progress cannot be kept in {folder} ({error.strerror or error}). "
                          "Set COURSE_STATE to a folder of yours that has room.") from error
