"""What the learner has done so far: one small JSON file on their own machine, and nothing else.

The file lies in the folder named by COURSE_STATE, or in the user's data folder. Tests point COURSE_STATE to an empty
folder, so that a stored notebook shows what a newcomer sees.
"""
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from helpers.assets import write

SECTIONS = ("guesses", "exercises")


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
    file = state_file()
    with in_words(file.parent):
        return understood(file) if file.exists() else {section: {} for section in SECTIONS}


def understood(file: Path) -> dict[str, Any]:
    """What a file holds; one that cannot be understood is set aside, and holds nothing."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(content, dict) and all(isinstance(content.get(section, {}), dict) for section in SECTIONS)):
            raise ValueError("not a table of sections")
    except ValueError as error:                             # JSON and UTF-8 errors are ValueErrors too
        aside = file.with_name(f"progress.damaged-{time.strftime('%Y%m%d-%H%M%S')}.json")
        os.replace(file, aside)
        print(f"Your progress file could not be read ({error}). It is kept as {aside}; progress starts anew.")
        content = {}
    return {section: content.get(section, {}) for section in SECTIONS} | content


def record(section: str, key: str, value: dict[str, Any]) -> None:
    """Keep one fact, such as record("guesses", "0.a", {...}). The file is replaced in one step.

    Raises ValueError for an unknown section and a value that is no table, and OSError, naming the folder, when it
    cannot be written.
    """
    if section not in SECTIONS:
        raise ValueError(f"section is {section!r}; choose one of {', '.join(SECTIONS)}.")
    if not isinstance(value, dict):
        raise ValueError(f"value is {value!r}; give a dict, such as {{'passed': True}}.")
    content = load()
    content[section][key] = value
    file = state_file()
    with in_words(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Turn whatever the system says against a folder (not ours, read-only, a file, full) into one sentence."""
    try:
        yield
    except OSError as error:
        raise type(error)(f"Progress cannot be kept in {folder} ({error.strerror or error}). "
                          "Set COURSE_STATE to a folder of yours that has room.") from error
