"""Progress: one small file, replaced in one step, never fatal."""
import errno
import json
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from helpers import progress

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_newcomer_has_done_nothing():
    assert progress.read() == {"guesses": {}, "exercises": {}}


def test_what_is_recorded_is_read_again():
    progress.record("guesses", "0.a", {"guess": "left"})
    progress.record("exercises", "1.1", {"passed": True})
    assert progress.read() == {"guesses": {"0.a": {"guess": "left"}}, "exercises": {"1.1": {"passed": True}}}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'{"guesses": 3}', b""])
def test_a_damaged_file_is_set_aside_and_kept(state, content, capsys):
    state.mkdir()
    (state / "progress.json").write_bytes(content)
    assert progress.read() == {"guesses": {}, "exercises": {}}
    assert "could not be read" in capsys.readouterr().out
    aside, = state.glob("progress.damaged-*.json")
    assert aside.read_bytes() == content
    progress.record("guesses", "0.a", {"guess": "left"})
    assert progress.read()["guesses"] == {"0.a": {"guess": "left"}}


def test_sections_of_a_newer_course_are_kept(state):
    state.mkdir()
    (state / "progress.json").write_text('{"badges": {"x": 1}}', encoding="utf-8")
    progress.record("guesses", "0.a", {})
    assert json.loads((state / "progress.json").read_text(encoding="utf-8"))["badges"] == {"x": 1}


def test_an_interrupted_write_leaves_the_old_file(state, monkeypatch):
    progress.record("guesses", "0.a", {"guess": "left"})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        progress.record("guesses", "0.a", {"guess": "right"})
    assert progress.read()["guesses"]["0.a"] == {"guess": "left"}
    assert sorted(file.name for file in state.iterdir()) == ["progress.json", "progress.lock"]


def test_facts_join_those_that_are_known():
    progress.record("guesses", "0.a", {"guess": "left"})
    progress.record("guesses", "0.a", {"outcome": "right"})
    progress.record("guesses", "0.a", {"guess": "right"})
    assert progress.read()["guesses"] == {"0.a": {"guess": "right", "outcome": "right"}}


# ---- several notebooks at once

WRITER = """
import sys
from helpers import progress
for i in range(30):
    progress.record("exercises", f"{sys.argv[1]}.{i}", {"passed": True})
    progress.record("guesses", "0.a", {sys.argv[1]: i})
"""


def test_notebooks_that_write_at_once_lose_nothing(state):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(n)], cwd=ROOT) for n in range(4)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        now = len(progress.read()["exercises"])             # a reader sees whole files, and more and more
        assert now >= seen
        seen = now
    assert [writer.returncode for writer in writers] == [0] * 4
    assert set(progress.read()["exercises"]) == {f"{n}.{i}" for n in range(4) for i in range(30)}
    assert progress.read()["guesses"]["0.a"] == {str(n): 29 for n in range(4)}
    assert sorted(file.name for file in state.iterdir()) == ["progress.json", "progress.lock"]


HOLDER = """
import time
from helpers import progress
progress.record("guesses", "0.a", {})
with progress.turn():
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_process_that_is_killed_gives_its_turn_back(monkeypatch):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"mine"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="another notebook has held it for too long"):
        patch.setattr(progress, "PATIENCE", 0.1)
        progress.record("guesses", "0.b", {})
    holder.kill()
    holder.communicate()
    progress.record("guesses", "0.b", {})


@pytest.mark.skipif(os.name == "nt", reason="the real one is used here")
def test_on_windows_its_own_lock_is_used(state, monkeypatch):
    """Simulated: two refusals, then the lock, which is given back."""
    answers, calls = [errno.EACCES, errno.EDEADLK, None], []

    def locking(file, mode, size):
        calls.append((mode, size))
        if mode == 2 and (code := answers.pop(0)) is not None:
            raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(progress, "msvcrt", types.SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=locking), raising=False)
        patch.setattr(progress, "fcntl", None)
        progress.record("guesses", "0.a", {"guess": "left"})
    assert calls == [(2, 1)] * 3 + [(0, 1)] and progress.read()["guesses"]["0.a"] == {"guess": "left"}


def test_a_newcomer_who_looks_leaves_no_folder_behind(state):
    progress.read()
    assert not state.exists()


# ---- what cannot be kept

def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="section is 'notes'; choose one of guesses, exercises"):
        progress.record("notes", "a", 1)


def test_a_value_that_is_no_table_is_refused():
    with pytest.raises(ValueError, match="value is 3; give a dict"):
        progress.record("guesses", "0.a", 3)


def test_entries_that_are_no_tables_are_left_out_and_kept(state):
    state.mkdir()
    (state / "progress.json").write_text('{"guesses": {"0.a": 3, "0.b": {"guess": "l"}, "0.c": 0}}', encoding="utf-8")
    assert progress.read() == {"guesses": {"0.b": {"guess": "l"}}, "exercises": {}}
    assert progress.read() == {"guesses": {"0.b": {"guess": "l"}}, "exercises": {}}
    progress.record("guesses", "0.d", {})
    kept = json.loads((state / "progress.json").read_text(encoding="utf-8"))["guesses"]
    assert kept == {"0.a": 3, "0.b": {"guess": "l"}, "0.c": 0, "0.d": {}}


def test_the_folder_may_lie_in_ones_home(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("COURSE_STATE", os.path.join("~", "course"))
    assert progress.state_file() == tmp_path / "course" / "progress.json"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ENOTDIR])
@pytest.mark.parametrize("module, step", [(Path, "mkdir"), (tempfile, "mkstemp"), (os, "replace")])
def test_a_folder_that_cannot_be_written_is_named(state, monkeypatch, module, step, code):
    """Simulated: the tests may run as root, who may write everywhere."""
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch, pytest.raises(OSError) as error:
        patch.setattr(module, step, refuse)
        progress.record("guesses", "0.a", {})
    assert str(error.value) == (f"Progress cannot be kept in {state} ({os.strerror(code)}). "
                                "Set COURSE_STATE to a folder of yours that has room.")


def test_a_folder_that_is_a_file_is_named(state):
    state.write_text("not a folder")
    with pytest.raises(OSError, match=r"^Progress cannot be kept in .*state \(.*\). Set COURSE_STATE to a folder"):
        progress.record("guesses", "0.a", {})


def test_a_file_that_cannot_be_read_is_named(state):
    (state / "progress.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"^Progress cannot be kept in .*state \(.*\). Set COURSE_STATE to a folder"):
        progress.read()
