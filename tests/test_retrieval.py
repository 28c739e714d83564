"""Finding texts by meaning: vectors that owe nothing to their neighbours, passages that lose nothing, and a store that
several processes share, that survives being killed, and that says in a sentence what it cannot do."""
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import pytest
import torch

from helpers import assets, corpora, pretrained, retrieval, retrieval_plots, sentences, vector_store
from helpers.gguf_file import GGUF
from helpers.proof import agree
from helpers.retrieval import VectorStore, chunk, embed
from helpers.tokenizer import BPETokenizer
from small_models import DEVICES

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
    encoder = encoder.to(device)
    expected = []
    for text in TEXTS:
        hidden = encoder(torch.tensor([tokenizer.encode(text).ids], device=device))[0]      # (T, C), no padding
        mean = hidden.mean(dim=0)
        expected.append((mean / mean.norm()).cpu())
    found = embed(TEXTS, encoder, tokenizer)
    assert found.device.type == "cpu" and found.dtype == torch.float32
    agree(found, torch.stack(expected), "together", "alone", tol=1e-5)
    encoder.to("cpu")


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
])
def test_what_has_no_vector_is_refused(minilm, wrong, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        embed(wrong, *minilm)


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


def test_a_short_text_is_one_passage_as_it_is(wordpiece):
    assert chunk("  indented\n\nand more", wordpiece) == ["  indented\n\nand more"]


@pytest.mark.parametrize("arguments, sentence", [
    (("",), "text is ''; give at least one visible character."),
    ((" \n ",), "text is ' \\n '; give at least one visible character."),
    ((None,), "text is None; give at least one visible character."),
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
    ("m", 0, "width is 0; give the number of numbers in a vector, such as 384."),
    ("m", "12", "width is '12'; give the number of numbers in a vector, such as 384."),
])
def test_a_store_of_another_model_or_width_is_refused_and_kept(full, path, model, width, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence.format(path=path))):
        VectorStore(path, model=model, width=width)
    assert len(full) == 50


def test_other_peoples_files_are_refused_and_kept(path, tmp_path):
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE sales AS SELECT 42 AS sum")
    with pytest.raises(ValueError, match="is a DuckDB file with the tables sales and no vector store; give another"):
        VectorStore(path, model="m", width=C)
    with duckdb.connect(str(path)) as db:
        assert db.execute("SELECT sum FROM sales").fetchall() == [(42,)]
    with pytest.raises(FileNotFoundError, match="its folder does not exist; make it first."):
        VectorStore(tmp_path / "nowhere" / "x.duckdb", model="m", width=C)
    with pytest.raises(IsADirectoryError):
        VectorStore(tmp_path, model="m", width=C)


def age(path):
    """Make a file look as if nobody were writing it just now."""
    os.utime(path, (time.time() - 60,) * 2)


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:4], lambda data: data[:5000], lambda data: data[:12_288],
    lambda data: data[:len(data) // 2], lambda data: os.urandom(len(data)), lambda data: b"\0" * len(data),
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
    monkeypatch.setattr(VectorStore, "_signature", lambda self: now)
    full.search(vectors(1)[0], 1)
    VectorStore(path, model="m", width=C).add(["newcomer"], -vectors(1))
    assert full.search(-vectors(1)[0], 1)[0].text == "newcomer"


def test_the_memory_notices_another_store_in_the_files_place(full, path):
    full.search(vectors(1)[0], 1)
    path.unlink()
    VectorStore(path, model="m", width=C).add(["only"], vectors(1))
    assert [hit.text for hit in full.search(vectors(1)[0], 1)] == ["only"] and len(full.vectors()) == 1


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
                                               "give a longer wait. DuckDB says: .*lock"):
            full.add(["late"], vectors(1))
        assert 0.3 <= time.monotonic() - began < 5
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
