"""A file from the web: from the learner's own folder, from the cache, or fetched; never with another content."""
import hashlib
import urllib.error

import pytest

from helpers import corpora, web_files
from helpers.assets import AssetError
from helpers.web_files import WebFile

CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"
NAME = "tinyshakespeare.txt"


@pytest.fixture
def world(monkeypatch, tmp_path):
    """An empty cache, a short text under the name, and a web that counts."""
    fetched = []
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setitem(web_files.FILES, NAME, WebFile("https://example.org/x", hashlib.sha256(CONTENT).hexdigest()))
    monkeypatch.setattr(web_files, "fetch", lambda name: fetched.append(name) or CONTENT)
    return fetched


def test_a_file_is_fetched_once(world, tmp_path):
    assert web_files.path(NAME).read_bytes() == CONTENT
    assert web_files.path(NAME) == tmp_path / "cache" / NAME and world == [NAME]


def test_the_learners_own_copy_comes_first_and_is_checked(world, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / NAME).write_bytes(CONTENT)
    assert web_files.path(NAME) == tmp_path / NAME and world == []
    (tmp_path / NAME).write_bytes(b"<html>404</html>")
    with pytest.raises(AssetError, match="is not the file of that name that the course expects"):
        web_files.path(NAME)


def test_a_folder_without_the_file_is_no_obstacle(world, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert web_files.path(NAME).read_bytes() == CONTENT and world == [NAME]


def test_another_content_is_refused(world, monkeypatch):
    monkeypatch.setattr(web_files, "fetch", lambda name: b"<html>moved</html>")
    with pytest.raises(AssetError, match="is damaged"):
        web_files.path(NAME)


@pytest.mark.parametrize("error", [urllib.error.URLError("no route to host"), TimeoutError("timed out"),
                                   ConnectionResetError("reset")])
def test_without_a_network_a_sentence_says_what_to_do(world, monkeypatch, error):
    def offline(name):
        raise error
    monkeypatch.setattr(web_files, "fetch", offline)
    with pytest.raises(ConnectionError, match=r"could not be fetched \(.*\). Check the network, or set COURSE_DATA"):
        web_files.path(NAME)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="name is 'war_and_peace.txt'; choose one of tinyshakespeare.txt"):
        web_files.path("war_and_peace.txt")


def test_tiny_shakespeare_is_its_text(world):
    corpora.tiny_shakespeare.cache_clear()
    assert corpora.tiny_shakespeare() == CONTENT.decode()
    corpora.tiny_shakespeare.cache_clear()
