"""Finding texts by meaning: vectors that owe nothing to their neighbours, passages that lose nothing, and a store that
several processes share, that survives being killed, and that says in a sentence what it cannot do."""
import copy
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import duckdb
import numpy as np
import pytest
import torch

from helpers import assets, corpora, pretrained, retrieval, retrieval_plots, sentences, vector_store
from helpers.gguf_file import GGUF
from helpers.proof import agree
from helpers.retrieval import VectorStore, chunk, embed
from helpers.tokenizer import BPETokenizer
from small_models import DEVICES, small_model

C = 12                                                          # width of the small stores
TEXTS = ["The cat sat on the mat.", "A cat!", "Stocks fell sharply after the central bank raised its rates again.", "é"]


@pytest.fixture(scope="module")
def minilm():
    return pretrained.minilm()


@pytest.fixture(scope="module")
def wordpiece(minilm):
    return minilm[1]


def vectors(n, seed=0, width=C):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


def texts(n, start=0):
    return [f"text {i}" for i in range(start, start + n)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path):
    return VectorStore(path, model="m", width=C)


@pytest.fixture
def full(store):
    store.add(texts(50), vectors(50), metadata=[{"n": i} for i in range(50)])
    return store


# Vectors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_a_vector_is_the_mean_over_the_texts_own_tokens_whatever_runs_beside_it(minilm, device):
    encoder, tokenizer = minilm
    encoder = copy.deepcopy(encoder).to(device)                 # the others keep theirs where it is
    expected = []
    for text in TEXTS:
        hidden = encoder(torch.tensor([tokenizer.encode(text).ids], device=device))[0]      # (T, C), no padding
        mean = hidden.mean(dim=0)
        expected.append((mean / mean.norm()).cpu())
    found = embed(TEXTS, encoder, tokenizer)
    assert found.device.type == "cpu" and found.dtype == torch.float32
    agree(found, torch.stack(expected), "together", "alone", tol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_encoder_in_half_precision_gives_vectors_of_unit_length(minilm, dtype):
    encoder, tokenizer = minilm
    found = embed(TEXTS, copy.deepcopy(encoder).to(dtype), tokenizer)
    assert found.dtype == torch.float32
    agree(found.norm(dim=1), torch.ones(len(TEXTS)), "lengths", "1", tol=1e-6)
    assert ((found * embed(TEXTS, *minilm)).sum(dim=1) > 0.99).all()


def test_many_batches_give_what_one_gives_in_the_order_of_the_texts(minilm, monkeypatch):
    together = embed(TEXTS * 3, *minilm)
    monkeypatch.setattr(retrieval, "AT_ONCE", 20)
    agree(embed(TEXTS * 3, *minilm), together, "small batches", "large ones")


def test_batches_hold_every_row_once_and_stay_within_bounds():
    draw = random.Random(0)
    rows = [[0] * draw.randint(1, 500) for _ in range(300)]
    found = retrieval.batches(rows)
    assert sorted(i for batch in found for i in batch) == list(range(300))
    for batch in found:
        lengths = [len(rows[i]) for i in batch]
        assert len(batch) == 1 or max(lengths) * len(batch) <= retrieval.AT_ONCE


def test_the_guides_sentences(minilm):
    one, other, pizza = embed(["How to deploy React", "Deploying a React application", "Best pizza in New York"],
                              *minilm)
    assert one @ other == pytest.approx(0.863, abs=0.005) and one @ pizza == pytest.approx(0.039, abs=0.005)


def test_nothing_is_cut_off_in_silence(minilm):
    assert embed(["word " * 510], *minilm).shape == (1, 384)        # 510 and two marks: 512
    with pytest.raises(ValueError, match=r"texts\[1\] has 513 tokens, its two marks counted, and the model reads at "
                                         r"most 512; cut it with chunk\(text, tokenizer\)\."):
        embed(["short", "word " * 511], *minilm)


@pytest.mark.parametrize("wrong, sentence", [
    ([], "texts is []; give a list of at least one text."),
    ("a text", "texts is 'a text'; give a list of at least one text."),
    (["good", " \n"], "texts[1] is ' \\n'; give texts with at least one visible character."),
    ([None], "texts[0] is None; give texts with at least one visible character."),
    (None, "texts is None; give a list of at least one text."),
    (["good", "\u200b"], "texts[1] is '\\u200b'; give texts with at least one visible character."),
    (["\x00\x07"], "texts[0] is '\\x00\\x07'; give texts with at least one visible character."),
    (["good", "\ufeff", "good"], "texts[1] is '\\ufeff'; give texts with at least one visible character."),
    (["a\ud800b"], "texts[0] holds '\\ud800', half of a character; decode what it came from with errors='replace'."),
])
def test_what_has_no_vector_is_refused(minilm, wrong, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        embed(wrong, *minilm)


def test_a_model_that_gives_logits_is_no_encoder(minilm):
    with pytest.raises(ValueError, match="encoder gives logits; give a model whose config.output is 'hidden'."):
        embed(["a text"], small_model(context=8), minilm[1])


def test_a_bar_is_shown_when_it_takes_long_and_only_then(minilm, monkeypatch):
    asked = []
    monkeypatch.setattr(retrieval, "AT_ONCE", 20)
    real = retrieval.bar
    monkeypatch.setattr(retrieval, "bar", lambda *a, shown, **k: asked.append(shown) or real(*a, shown=False, **k))
    embed(TEXTS, *minilm)
    monkeypatch.setattr(retrieval, "LONG", 0.0)
    embed(TEXTS, *minilm)
    assert asked == [False, True]


# Passages ------------------------------------------------------------------------------------------------------------


def size(passage, wordpiece):
    return len(wordpiece.encode(passage, add_special_tokens=False).ids)


def awkward_texts():
    draw = random.Random(0)
    pieces = ["word", "naïve", "x" * 120, "字字。字", "end.", "Is it?", "1847", "__init__()", "-----", "🦙", "e\u0301a"]
    gaps = [" ", "  ", "\n", "\n\n", "\n \n", "\t", "\u00a0"]
    for _ in range(30):
        yield "".join(draw.choice(pieces) + draw.choice(gaps) for _ in range(draw.randint(1, 300)))
    yield corpora.shakespeare()[:6000]
    yield from list(corpora.python_docs().values())[:12]


@pytest.mark.parametrize("limit, overlap", [(8, 0), (16, 8), (40, 5), (128, 24)])
def test_every_word_is_in_some_passage_in_order_and_no_passage_is_too_long(wordpiece, limit, overlap):
    for text in awkward_texts():
        passages, end = chunk(text, wordpiece, limit, overlap), 0
        places = retrieval.passage_ends(text, wordpiece, limit, overlap)
        for (begin, after), passage in zip(places, passages, strict=True):
            assert passage == text[begin:after].strip("\n").rstrip() != ""
            assert begin <= end < after                     # no gap, and always something new
            assert not re.match(r"[a-z0-9]{2}", text[begin - 1:begin + 1]) or begin == 0        # not inside a word
            assert size(passage, wordpiece) <= limit
            assert size(text[begin:end], wordpiece) <= overlap
            end = after
        assert end == len(text)


def test_without_overlap_the_passages_are_the_text(wordpiece):
    for text in awkward_texts():
        joined = "".join(chunk(text, wordpiece, 20, 0))
        assert re.sub(r"\s", "", joined) == re.sub(r"\s", "", text)


def test_passages_end_where_paragraphs_do_or_else_sentences(wordpiece):
    sentence = "The quick brown fox jumps over the lazy dog. "              # 10 tokens
    text = (sentence * 3).strip() + "\n\n" + (sentence * 3).strip()
    assert chunk(text, wordpiece, 40, 0) == [(sentence * 3).strip()] * 2                    # not 4 and 2 sentences
    assert chunk(sentence * 7, wordpiece, 25, 0) == [(sentence * 2).strip()] * 3 + [sentence.strip()]


def test_an_overlap_begins_with_a_sentence(wordpiece):
    sentences = [f"This is sentence number {i} of the text." for i in range(12)]            # 9 tokens each
    passages = chunk(" ".join(sentences), wordpiece, 36, 12)
    assert len(passages) > 2
    for before, after in zip(passages, passages[1:]):
        assert after.startswith("This is sentence") and before.endswith(after[:len(sentences[0])])


def test_places_to_cut_are_ranked_in_whole_numbers(wordpiece):
    starts, quality = retrieval.cuts("Stop, unfathomably so. Yes\n\nand", wordpiece)
    assert all(type(place) is int for place in quality) and len(quality) == len(starts) + 1
    assert set(quality) == {retrieval.NONE, retrieval.SIGN, retrieval.WORD, retrieval.SENTENCE, retrieval.PARAGRAPH}


def test_a_short_text_is_one_passage_as_it_is(wordpiece):
    assert chunk("  indented\n\nand more", wordpiece) == ["  indented\n\nand more"]


@pytest.mark.parametrize("arguments, sentence", [
    (("",), "text is ''; give at least one visible character."),
    ((" \n ",), "text is ' \\n '; give at least one visible character."),
    ((None,), "text is None; give at least one visible character."),
    (("\u200b \ufeff\x07",), "text is '\\u200b \\ufeff\\x07'; give at least one visible character."),
    (("a\udc80",), "text holds '\\udc80', half of a character; decode what it came from with errors='replace'."),
    (("a text", 7), "limit is 7; give at least 8 tokens."),
    (("a text", 20, 11), "overlap is 11; give 0 to 10, half of limit."),
    (("a text", 20, -1), "overlap is -1; give 0 to 10, half of limit."),
    (("short " + "qzxv" * 20, 8, 0),
     f"limit is 8, and {'qzxv' * 10!r} alone has more tokens; give a larger limit."),
])
def test_what_cannot_be_cut_is_refused(wordpiece, arguments, sentence):
    text, *rest = arguments
    with pytest.raises(ValueError, match=re.escape(sentence)):
        chunk(text, wordpiece, *rest)


# A store -------------------------------------------------------------------------------------------------------------


def oracle(stored, query, k):
    """Cosines one by one, in Python's own numbers: (places, scores), best first, of equal ones the first stored."""
    def cosine(a, b):
        a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
        return float(sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5))
    scores = [cosine(row, query) for row in stored]
    best = sorted(range(len(scores)), key=lambda i: (-round(scores[i], 9), i))[:k]
    return best, [scores[i] for i in best]


@pytest.mark.parametrize("k", [1, 7, 50])
def test_both_searches_find_the_nearest_with_what_was_stored_beside_them(full, k):
    query = vectors(1, seed=9)[0]
    best, scores = oracle(vectors(50), query, k)
    for search in (full.search, full.search_sql):
        hits = search(torch.tensor(query), k)
        assert [hit.id for hit in hits] == [str(i) for i in best]
        assert [hit.text for hit in hits] == [f"text {i}" for i in best]
        assert [hit.metadata for hit in hits] == [{"n": i} for i in best]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)


def test_of_equal_vectors_the_first_stored_comes_first(store):
    same = np.ones((5000, C), np.float32)
    store.add(texts(5000), same)
    store.add(["nearest"], same[:1] + 0.01 * vectors(1))
    for search in (store.search, store.search_sql):
        assert [hit.id for hit in search(same[0], 5)] == ["0", "1", "2", "3", "4"]


def test_nearly_equal_vectors_are_ordered_alike_by_both(store):
    base = vectors(1, seed=3)
    store.add(texts(300), base + 3e-4 * vectors(300, seed=4))               # cosines differ in the eighth place
    for seed in range(5):
        query = base[0] + 3e-4 * vectors(1, seed=10 + seed)[0]
        one, other = store.search(query, 12), store.search_sql(query, 12)
        assert [hit.id for hit in one] == [hit.id for hit in other]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-12)


def test_only_the_direction_counts(store):
    store.add(texts(2), np.stack([vectors(2)[0] * 1e-3, vectors(2)[1] * 1e6]))
    assert store.search(vectors(2)[1] * 5, 1)[0].score == pytest.approx(1)
    agree(np.linalg.norm(store.vectors(), axis=1), np.ones(2, np.float32), "lengths", "1", tol=1e-6)


def test_very_large_and_very_small_numbers_have_a_direction_too(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add(texts(2), vectors(2).astype(np.float64) * [[1e300], [1e-300]])
    unit = vectors(2) / np.linalg.norm(vectors(2), axis=1, keepdims=True)
    agree(store.vectors(), unit, "stored", "given", tol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_vectors_of_any_precision_are_stored_and_searched(store, dtype):
    store.add(texts(9), torch.tensor(vectors(9)).to(dtype))
    assert [hit.id for hit in store.search(torch.tensor(vectors(9)[4]).to(dtype), 1)] == ["4"]


def test_numbering_skips_the_numbers_that_are_taken(store):
    store.add(["a", "b", "c"], vectors(3), ids=["1", "3", "4"])
    assert store.add(texts(3), vectors(3)) == ["5", "6", "7"]
    store.add(["d"], vectors(1), ids=["8"])
    assert store.add(texts(2), vectors(2)) == ["9", "10"] and len(store) == 9
    store.add(texts(4), vectors(4), ids=["14", "16", "007", "-1"])
    assert store.add(texts(4), vectors(4)) == ["13", "15", "17", "18"]


def test_what_is_stored_is_there_after_closing_and_in_another_process(full, path):
    again = VectorStore(path, model="m", width=C)
    assert len(again) == 50 and again.search(vectors(50)[7], 1)[0].text == "text 7"
    assert run(path, "print(len(store), store.search(store.vectors()[7], 1)[0].text)") == "50 text 7"


def test_texts_and_metadata_come_back_as_they_were(store):
    odd = ["  naïve 🦙\n\ttext ", "'; DROP TABLE passages; --", "NULL", "\x00 in the middle", "x" * 100_000]
    extra = [{"a": None, "ü": [1, 2.5, {"b": "c"}]}, {}, {"n": 1}, {"t": True}, {"s": "'"}]
    store.add(odd, vectors(5), ids=["a", "b", "ü", "'", " "], metadata=extra)
    for i, id in enumerate(["a", "b", "ü", "'", " "]):
        for search in (store.search, store.search_sql):
            hit = search(vectors(5)[i], 1)[0]
            assert (hit.id, hit.text, hit.metadata) == (id, odd[i], extra[i])


def test_more_than_a_slice_is_stored_in_order(store):
    n = 2 * vector_store.SLICE + 3
    store.add(texts(n), vectors(n))
    unit = vectors(n) / np.linalg.norm(vectors(n), axis=1, keepdims=True)
    agree(store.vectors(), unit, "stored", "given", tol=1e-6)
    assert store.search_sql(vectors(n)[-1], 1)[0].id == str(n - 1)


# Refused, and nothing lost -------------------------------------------------------------------------------------------


def spoilt(change):
    rows = vectors(3)
    change(rows)
    return rows


@pytest.mark.parametrize("arguments, sentence", [
    (([], vectors(0)), "texts is []; give a list of at least one text."),
    (("abc", vectors(3)), "texts is 'abc'; give a list of at least one text."),
    ((["a", " ", "c"], vectors(3)), "texts[1] is ' '; give texts with at least one visible character."),
    ((["a", 2, "c"], vectors(3)), "texts[1] is 2; give texts with at least one visible character."),
    ((texts(3), vectors(3, width=11)), "vectors is float32 (3, 11); give numbers of shape (3, 12)."),
    ((texts(3), vectors(2)), "vectors is float32 (2, 12); give numbers of shape (3, 12)."),
    ((texts(3), spoilt(lambda rows: rows.__setitem__((1, 2), np.nan))), "vectors holds nan or infinity"),
    ((texts(3), spoilt(lambda rows: rows.__setitem__((2, 0), np.inf))), "vectors holds nan or infinity"),
    ((texts(3), spoilt(lambda rows: rows.__setitem__(1, 0))), "vectors holds a vector of zeros, which points nowhere"),
    ((texts(3), np.array([["a"] * C] * 3)), "give numbers of shape (3, 12)."),
    ((texts(3), vectors(3), ["a", "b"]), "ids holds 2 for 3 texts; give one for each."),
    ((texts(3), vectors(3), list("aba")), "ids holds 'a', which another text has; give each text an id of its own."),
    ((texts(3), vectors(3), list("a7b")), "ids holds '7', which another text has; give each text an id of its own."),
    ((texts(3), vectors(3), None, [{}]), "metadata holds 1 for 3 texts; give one for each."),
    ((None, vectors(3)), "texts is None; give a list of at least one text."),
    ((["a", "b\ud800", "c"], vectors(3)), "texts[1] holds '\\ud800', half of a character; decode what it came from"),
    ((texts(1), vectors(1), [None]), "ids[0] is None; give a str for each text."),
    ((texts(3), vectors(3), ["a", "b", "\udfff"]), "ids[2] holds '\\udfff', half of a character; decode what it came"),
    ((texts(3), vectors(3), "xyz"), "ids is 'xyz'; give a list with one for each text."),
    ((texts(3), vectors(3), 3), "ids is 3; give a list with one for each text."),
    ((texts(1), vectors(1), None, [None]), "metadata[0] is None; give a dict for each text."),
    ((texts(2), vectors(2), None, [{}, [1]]), "metadata[1] is [1]; give a dict for each text."),
    ((texts(1), vectors(1), None, {"n": 1}), "metadata is {'n': 1}; give a list with one for each text."),
    ((texts(2), vectors(2), None, [{}, {"a": {1}}]), "metadata[1] cannot be kept as JSON: "),
    ((texts(2), vectors(2), None, [{(1, 2): 3}, {}]), "metadata[0] cannot be kept as JSON: "),
    ((texts(2), [[1.0] * C, [1.0] * 3]), "vectors is no array ("),
    ((texts(1), None), "vectors is object (); give numbers of shape (1, 12)."),
    ((texts(1), torch.ones(1, C).to_sparse()), "vectors is no array ("),
    ((texts(1), torch.ones(1, C, dtype=torch.bool)), "vectors is bool (1, 12); give numbers of shape (1, 12)."),
])
def test_what_cannot_be_stored_is_refused_whole(full, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        full.add(*arguments)
    assert len(full) == 50 and len(full.vectors()) == 50


@pytest.mark.parametrize("query, k, sentence", [
    (vectors(1)[0], 0, "k is 0; the store holds 50 texts, give 1 to 50."),
    (vectors(1)[0], 51, "k is 51; the store holds 50 texts, give 1 to 50."),
    (vectors(1)[0], 2.0, "k is 2.0; the store holds 50 texts, give 1 to 50."),
    (vectors(1)[0], True, "k is True; the store holds 50 texts, give 1 to 50."),
    (vectors(1, width=11)[0], 1, "vector is float32 (11,); give numbers of shape (12,)."),
    (vectors(1), 1, "vector is float32 (1, 12); give numbers of shape (12,)."),
    (vectors(1)[0] * np.nan, 1, "vector holds nan or infinity"),
    (vectors(1)[0] * 0, 1, "vector holds a vector of zeros"),
])
@pytest.mark.parametrize("search", ["search", "search_sql"])
def test_what_cannot_be_searched_is_refused(full, search, query, k, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        getattr(full, search)(query, k)


@pytest.mark.parametrize("search", ["search", "search_sql"])
def test_an_empty_store_says_so(store, search):
    with pytest.raises(ValueError, match="the store holds nothing yet; add texts before you search."):
        getattr(store, search)(vectors(1)[0], 1)


@pytest.mark.parametrize("model, width, sentence", [
    ("other", C, "model is 'other', and {path} holds vectors of 'm', which cannot be compared with them; give that "
                 "model, or another path."),
    ("m", 11, "width is 11, and {path} holds vectors of 12 numbers; give that width, or another path."),
    ("", C, "model is ''; give the name of the model that makes the vectors."),
    ("\ud800", C, "model holds '\\ud800', half of a character; decode what it came from with errors='replace'."),
    ("m", 0, "width is 0; give the number of numbers in a vector, such as 384, and at most 32,768."),
    ("m", "12", "width is '12'; give the number of numbers in a vector, such as 384, and at most 32,768."),
    ("m", 100_001, "width is 100001; give the number of numbers in a vector, such as 384, and at most 32,768."),
])
def test_a_store_of_another_model_or_width_is_refused_and_kept(full, path, model, width, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence.format(path=path))):
        VectorStore(path, model=model, width=width)
    assert len(full) == 50
    with pytest.raises(ValueError):
        VectorStore(path.with_name("new.duckdb"), model=model, width=width if model != "other" and width != 11 else 0)
    assert not path.with_name("new.duckdb").exists()


PASSAGES = ("CREATE TABLE passages (position BIGINT, id VARCHAR, text VARCHAR, metadata VARCHAR, version VARCHAR, "
            f"vector FLOAT[{C}])")


@pytest.mark.parametrize("statements, named", [
    (["CREATE TABLE sales AS SELECT 42 AS sum"], "sales"),
    (["CREATE VIEW totals AS SELECT 42 AS sum"], "totals"),
    (["CREATE TABLE about (author VARCHAR)", "CREATE TABLE passages (verse VARCHAR)"], "about, passages"),
    (["CREATE TABLE about (model VARCHAR, width INTEGER)", PASSAGES], "about, passages"),                   # empty
    (["CREATE TABLE about AS SELECT 'm' AS model, 12 AS width FROM range(2)", PASSAGES], "about, passages"),
    (["CREATE TABLE about AS SELECT 'm' AS model, 11 AS width", PASSAGES], "about, passages"),      # and vectors of 12
    (["CREATE TABLE about AS SELECT 'm' AS model, 12 AS width", "CREATE TABLE passages (vector VARCHAR)"],
     "about, passages"),
])
def test_other_peoples_files_are_refused_and_kept(path, statements, named):
    with duckdb.connect(str(path)) as db:
        for statement in statements:
            db.execute(statement)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=f"is a DuckDB file that holds {named} and no vector store; give another path"):
        VectorStore(path, model="m", width=C)
    assert path.read_bytes() == kept


def test_what_can_be_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="path is ':memory:', which is lost when it is closed, after each operation; "
                                         "give a file."):
        VectorStore(":memory:", model="m", width=C)
    with pytest.raises(FileNotFoundError, match="its folder does not exist; make it first."):
        VectorStore(tmp_path / "nowhere" / "x.duckdb", model="m", width=C)
    with pytest.raises(IsADirectoryError):
        VectorStore(tmp_path, model="m", width=C)


def age(path):
    """Make a file look as if nobody were writing it just now."""
    os.utime(path, (time.time() - 60,) * 2)


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:4], lambda data: data[:5000], lambda data: data[:12_288],
    lambda data: data[:len(data) // 2], lambda data: random.Random(0).randbytes(len(data)),
    lambda data: b"\0" * len(data),
    lambda data: b"not a database, but a text " * 1000,
    lambda data: data[:20_000] + bytes(255 - byte for byte in data[20_000:]),
], ids=["empty", "4 bytes", "5,000 bytes", "headers", "half", "garbage", "zeros", "text", "bits turned"])
def test_a_damaged_file_is_refused_in_a_sentence_and_left_as_it_is(path, damage):
    VectorStore(path, model="m", width=C).add(texts(3000), vectors(3000))
    spoilt = damage(path.read_bytes())
    path.write_bytes(spoilt)
    age(path)
    with pytest.raises(ValueError, match=r"cannot be used as a vector store, and was left as it is; put back a copy of "
                                         r"it, or give another path\. DuckDB says: \S"):
        VectorStore(path, model="m", width=C).vectors()
    assert path.read_bytes() == spoilt


def test_a_file_cut_anywhere_gives_everything_or_a_sentence(path):
    stored = VectorStore(path, model="m", width=C)
    stored.add(texts(700), vectors(700))
    whole, expected = path.read_bytes(), stored.vectors()
    for part in range(0, 21):
        path.write_bytes(whole[:len(whole) * part // 20])
        age(path)
        try:
            found = VectorStore(path, model="m", width=C).vectors()
        except ValueError as error:
            assert "cannot be used as a vector store" in str(error)
            assert part < 20
        else:
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("words", [
    'Could not write file "x": No space left on device', 'Cannot open file "x": Permission denied',
    'Cannot open file "x": No such file or directory', 'Could not write file "x.wal": File too large'])
@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.FatalException, duckdb.InternalException])
def test_what_the_system_denies_is_no_damage(full, monkeypatch, words, kind):
    def fails(db):
        raise kind(f"IO Error: {words}")
    monkeypatch.setattr(vector_store, "count", fails)
    with pytest.raises(kind, match=re.escape(words)):
        len(full)
    monkeypatch.undo()
    assert len(full) == 50


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limit")
def test_a_disk_without_room_is_not_called_a_damaged_file(full, path):
    said = run(path, """
import resource
def attempt(work):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        work()
    except Exception as error:
        print(type(error).__module__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
attempt(lambda: store.add(texts(3000), vectors(3000)))
attempt(lambda: VectorStore(str(store.path) + '2', model='m', width=12))
print(len(store))
""").splitlines()
    assert len(said) == 3 and said[2] == "50"
    assert all("duckdb" in line and "File too large" in line and "put back" not in line for line in said[:2])
    assert len(full.vectors()) == 50 and [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    store = VectorStore("mine.duckdb", model="m", width=C)
    store.add(texts(3), vectors(3))
    monkeypatch.chdir(tmp_path / "other")
    assert len(store) == 3 and len(store.vectors()) == 3 and not list((tmp_path / "other").iterdir())


def test_a_file_that_is_gone_is_not_made_again(full, path):
    full.search(vectors(1)[0], 1)
    path.unlink()
    for work in (lambda: len(full), lambda: full.add(texts(1), vectors(1)), lambda: full.search(vectors(1)[0], 1),
                 lambda: full.search_sql(vectors(1)[0], 1), full.vectors):
        with pytest.raises(FileNotFoundError, match="is gone; put it back, or make a new VectorStore."):
            work()
    assert not path.exists()


# Several processes ---------------------------------------------------------------------------------------------------


def start(path, code):
    """Another process with the store open as `store`, and `texts` and `vectors` as here."""
    program = f"""
import sys, time
import numpy as np
from helpers.vector_store import VectorStore
def vectors(n, seed=0): return np.random.default_rng(seed).standard_normal((n, {C})).astype(np.float32)
def texts(n, start=0): return [f"text {{i}}" for i in range(start, start + n)]
store = VectorStore({str(path)!r}, model="m", width={C})
{code}
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(path, code):
    process = start(path, code)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def test_three_processes_write_and_search_at_once_and_lose_nothing(path):
    code = """
for i in range(15):
    store.add([f"{name} {i} {j}" for j in range(4)], vectors(4, seed=i), ids=[f"{name}-{i}-{j}" for j in range(4)])
    mine = [f"{name}-{i}-{j}" for j in range(4)]
    best = {hit.id for hit in (store.search if i % 2 else store.search_sql)(vectors(4, seed=i)[0], 3)}
    assert f"{name}-{i}-0" in best, (i, best)
print(len(store))
"""
    processes = [start(path, f"name = {name!r}{code}") for name in "abc"]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    store = VectorStore(path, model="m", width=C)
    hits = store.search(vectors(1)[0], 180)
    assert len(store) == 180
    assert {hit.id for hit in hits} == {f"{name}-{i}-{j}" for name in "abc" for i in range(15) for j in range(4)}


def test_threads_of_one_process_lose_nothing(store):
    failed = []

    def work(name):
        try:
            for i in range(10):
                store.add([f"{name} {i}"], vectors(1, seed=i))
                store.search(vectors(1)[0], 1)
        except Exception as error:                          # a thread's exception is seen by nobody else
            failed.append(error)
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(store) == 40 and len(store.vectors()) == 40


def test_the_memory_notices_what_another_process_adds(full, path):
    assert len(full.vectors()) == 50
    run(path, "store.add(['newcomer'], -vectors(1))")
    assert full.search(-vectors(1)[0], 1)[0].text == "newcomer"
    age(path)                                               # however old the file looks
    full.search(vectors(1)[0], 1)
    run(path, "store.add(['second'], -vectors(2)[1:])")
    assert full.search(-vectors(2)[1], 1)[0].text == "second" and len(full.vectors()) == 52


def test_the_memory_notices_a_change_within_the_grain_of_the_clock(full, path, monkeypatch):
    """The file may have the size and time it had before: only one that was left alone for a while is trusted."""
    now = ((1, path.stat().st_size, time.time_ns()), None)
    monkeypatch.setattr(vector_store, "FRESH", 3600.0)
    monkeypatch.setattr(VectorStore, "_signature", lambda self: now)
    full.search(vectors(1)[0], 1)
    VectorStore(path, model="m", width=C).add(["newcomer"], -vectors(1))
    assert full.search(-vectors(1)[0], 1)[0].text == "newcomer"


def test_the_memory_notices_another_store_in_the_files_place(full, path):
    full.search(vectors(1)[0], 1)
    path.unlink()
    VectorStore(path, model="m", width=C).add(["only"], vectors(1))
    assert [hit.text for hit in full.search(vectors(1)[0], 1)] == ["only"] and len(full.vectors()) == 1


@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("copied", [shutil.copy, shutil.copy2])
def test_the_memory_notices_a_backup_in_the_files_place(store, path, searched, copied):
    backup, v = path.with_name("backup"), vectors(6)
    store.add(["one", "two"], v[:2])
    copied(path, backup)
    store.add(["lost"], v[2:3])
    assert store.search(v[2], 1)[0].text == "lost"
    copied(backup, path)
    if searched:
        assert store.search(v[2], 2)[0].text != "lost" and len(store.vectors()) == 2
    store.add(["new", "newer"], v[3:5])                     # now the file holds more than the memory, or as much
    assert [store.search(v[i], 1)[0].text for i in (3, 4)] == ["new", "newer"]
    assert {hit.text for hit in store.search(v[2], 4)} == {"one", "two", "new", "newer"}
    copied(backup, path)
    store.add(["again"], v[5:])                             # as many texts as "lost" made
    assert [hit.text for hit in store.search(v[5], 3)] == [hit.text for hit in store.search_sql(v[5], 3)]
    agree(store.vectors(), vector_store.unit(v[[0, 1, 5]], "", 3, C), "in memory", "stored", tol=1e-6)


def test_only_what_is_new_is_read(full, monkeypatch):
    first = full.search(vectors(1)[0], 1) and full._index
    full.add(["newcomer"], -vectors(1))
    full.search(vectors(1)[0], 1)
    assert all(one is other for one, other in zip(first.texts, full._index.texts)) and len(first.texts) == 50


def test_an_interrupt_while_the_memory_is_renewed_harms_nothing(full, monkeypatch):
    full.search(vectors(1)[0], 1)
    full.add(["newcomer"], -vectors(1))

    def breaks(*arrays):
        raise KeyboardInterrupt
    monkeypatch.setattr(vector_store.np, "stack", breaks)
    with pytest.raises(KeyboardInterrupt):
        full.search(vectors(1)[0], 1)
    monkeypatch.undo()
    for text, vector in (("newcomer", -vectors(1)[0]), ("text 7", vectors(50)[7])):
        assert full.search(vector, 1)[0].text == text
    assert len(full.vectors()) == len(full._index.ids) == len(full._index.texts) == len(full._index.metadata) == 51


def test_a_store_that_waits_does_not_hold_up_another(full, path):
    other = VectorStore(path.with_name("other.duckdb"), model="m", width=C)
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with full._open():
            entered.set()
            leave.wait(60)
    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(60)
    done = threading.Thread(target=other.add, args=(texts(1), vectors(1)))
    same = threading.Thread(target=full.add, args=(["later"], vectors(1)))
    done.start()
    same.start()
    done.join(30)
    assert not done.is_alive() and same.is_alive()
    leave.set()
    for thread in (holder, done, same):
        thread.join()
    assert len(other) == 1 and len(full) == 51


def test_the_memory_is_not_read_again_while_nothing_changes(full, path, monkeypatch):
    full.search(vectors(1)[0], 1)
    age(path)
    full.search(vectors(1)[0], 1)
    monkeypatch.setattr(VectorStore, "_open", lambda self: pytest.fail("the file was opened"))
    assert full.search(vectors(1)[0], 1)[0].text == "text 0"


def test_it_waits_for_another_process_and_says_so_when_that_takes_too_long(full, path):
    holder = start(path, f"""
import duckdb
db = duckdb.connect({str(path)!r})
print('held', flush=True)
time.sleep(60)
""")
    try:
        assert holder.stdout.readline() == "held\n"
        full.wait = 0.3
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="has been open in another program for 0.3 seconds; close it there, or "
                                               r"give a longer wait\. DuckDB says: \S"):
            full.add(["late"], vectors(1))
        assert time.monotonic() - began >= 0.3
        full.wait = 30.0
        threading.Timer(0.5, holder.kill).start()
        full.add(["late"], vectors(1))                      # waits until the other one is gone
    finally:
        holder.kill()
        holder.communicate()
    assert len(full) == 51


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills otherwise")
@pytest.mark.parametrize("seed", range(3))
def test_what_was_added_survives_a_kill_in_the_middle_of_more(path, seed):
    writer = start(path, """
for i in range(10_000):
    store.add(texts(40, 40 * i), vectors(40, seed=i))
    print(i, flush=True)
""")
    wanted, done = random.Random(seed).randint(3, 12), -1
    while done < wanted:
        done = int(writer.stdout.readline())
    time.sleep(random.Random(seed).uniform(0, 0.05))        # anywhere in one of the next batches
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0].split()
    done = int(rest[-1]) if rest else done
    store = VectorStore(path, model="m", width=C)
    batches = len(store) // 40
    assert len(store) == 40 * batches and batches in (done + 1, done + 2)       # whole batches, all that were reported
    for i in range(batches):
        agree(store.vectors()[40 * i], vector_store.unit(vectors(40, seed=i)[0], "", None, C), "stored", "added")
    store.add(["after"], vectors(1))
    assert len(store) == 40 * batches + 1


def test_a_batch_that_fails_in_the_middle_leaves_nothing(full, monkeypatch):
    monkeypatch.setattr(vector_store, "SLICE", 2)
    real = vector_store.np.arange
    calls = []

    def breaks(n):
        calls.append(n)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(n)

    monkeypatch.setattr(vector_store.np, "arange", breaks)
    with pytest.raises(KeyboardInterrupt):
        full.add(texts(10), vectors(10))
    monkeypatch.undo()
    assert len(calls) == 3 and len(full) == 50 and len(full.vectors()) == 50


def test_the_benchmark_leaves_slopes_on(monkeypatch):
    pytest.importorskip("sklearn")
    from benchmarks import retrieval as benchmark

    def stops():
        assert not torch.is_grad_enabled()
        raise InterruptedError
    monkeypatch.setattr(benchmark.pretrained, "minilm", stops)
    with pytest.raises(InterruptedError):
        benchmark.run()
    assert torch.is_grad_enabled()


# The lesson's sentences, and its picture -----------------------------------------------------------------------------


def test_every_sentence_ends_in_its_word_which_is_one_token():
    tokenizer = BPETokenizer.from_gguf(GGUF(assets.path("smollm2.gguf")))
    for word, two in sentences.senses().items():
        id, = tokenizer.encode(f" {word}")
        for sense in two:
            assert len(sense) == (24 if word == "Python" else 5) == len(set(sense))
            for sentence in sense:
                assert tokenizer.encode(sentence)[-1] == id and tokenizer.encode(sentence).count(id) == 1
    python, = tokenizer.encode(" Python")
    for beginning, *ends in sentences.late_senses():
        assert tokenizer.encode(beginning)[-1] == python
        assert all(tokenizer.encode(beginning + end).count(python) == 1 for end in ends)


def test_pairs_are_two_different_sentences_and_questions_name_topics_that_there_are():
    assert len(sentences.pairs("same")) == 30 and len(sentences.pairs("changed")) == 16
    assert all(one != other and one and other for kind in ("same", "changed") for one, other in sentences.pairs(kind))
    topics = corpora.python_docs()
    assert len(sentences.questions()) == 57
    assert all(right and right <= topics.keys() for right in sentences.questions().values())
    with pytest.raises(ValueError, match="kind is 'opposite'; choose one of same, changed."):
        sentences.pairs("opposite")


def test_the_picture_says_in_words_what_it_shows():
    hits = [(0.71, "break", 'The "break"\nstatement ends a loop.'), (0.5, "for", "*" * 40 + "\nThe for " + "x" * 200)]
    found = retrieval_plots.found("stop", {"by meaning": hits, "by words": hits[1:]}, right={"break"})
    assert found.png.startswith(b"\x89PNG") and found.alt == (
        'Found. The query: “stop”. by meaning: ≈0.71 break ✓, “The "break" statement ends a loop.”; ≈0.5 for, “The for '
        f'{"x" * 31}…”. by words: ≈0.5 for, “The for {"x" * 31}…”.')
    with pytest.raises(ValueError, match="lists holds 0; give 1 to 4 ways to search."):
        retrieval_plots.found("stop", {})
    with pytest.raises(ValueError, match=r"lists\['x'\] is empty; give at least one passage."):
        retrieval_plots.found("stop", {"x": []})
