"""The tokenizer: ids as tiktoken's and tokenizers', training equal to the naive form, and clear refusals."""
import itertools
import json
import os
import random
import sys
import unicodedata
from collections import Counter, defaultdict

import numpy as np
import pytest
import tiktoken
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from helpers import assets, vocabularies
from helpers.bpe_training import learn_merges
from helpers.gguf_file import GGUF
from helpers.bpe_merging import LONG_PIECE, merge, merge_long
from helpers.patterns import any_of
from helpers.tokenizer import BPETokenizer, tiktoken_encoding

OPENAI = ("gpt2", "cl100k_base", "o200k_base")
ALL = (*OPENAI, "smollm2")
N_STRINGS = 20_000


# ---- what the tests share

@pytest.fixture(scope="module")
def gguf():
    return GGUF(assets.path("smollm2.gguf"))


@pytest.fixture(scope="module")
def tokenizers(gguf):
    of_openai = {name: BPETokenizer.from_tiktoken(name) for name in OPENAI}
    return of_openai | {"smollm2": BPETokenizer.from_gguf(gguf)}


@pytest.fixture(params=ALL)
def tokenizer(request, tokenizers):
    return tokenizers[request.param]


@pytest.fixture(scope="module")
def gpt2(tokenizers):
    return tokenizers["gpt2"]


@pytest.fixture(scope="module")
def smollm2_peer(gguf):
    """SmolLM2's tokenizer, built with Hugging Face's library from the same file."""
    tokens = gguf.fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in gguf.fields["tokenizer.ggml.merges"]]
    peer = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges))
    peer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    peer.add_special_tokens(tokens[:17])
    return peer


@pytest.fixture(scope="module")
def strings():
    return generate(N_STRINGS, seed=0)


def generate(n: int, seed: int) -> list[str]:
    """Strings of every kind: all Unicode categories, white space, digits, code, emoji, accents, long runs."""
    draw = random.Random(seed)
    by_category = defaultdict(list)
    for character in map(chr, range(sys.maxunicode + 1)):
        by_category[unicodedata.category(character)].append(character)
    del by_category["Cs"], by_category["Cn"]        # half characters, and those without meaning yet
    spaces = [c for c in map(chr, range(0x3001)) if c.isspace()] + ["\u180e", "\u200b", "\ufeff"]
    digits = by_category["Nd"] + by_category["Nl"] + by_category["No"]
    words = ("the cat don't DON'T It'S we'Ll they'vE i'ſ I'\u212a O'Neil naïve Straße ǅungla ﬁne ЖИЗНЬ 中文字 "
             "日本語 مرحبا नमस्ते ไทย <|endoftext|> <|im_start|> def return self.x snake_case camelCase "
             "HTTPServer == -> /* // ## \\n ... !? {}[]();").split()
    emoji = ["😀", "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇫🇷", "❤️", "1️⃣", "🧑🏿‍🚀", "\u200d", "\ufe0f"]
    accents = ["e\u0301", "n\u0303\u0323", "\u0301", "Å", "ạ̈", "क्ष", "\u0e33", "ᄒ\u1161\u11ab"]
    code = ["def f(x):\n    return x\n", "\tif (a != b) {\r\n\t\ti++;\r\n\t}", "SELECT * FROM t;  -- 123",
            '{"a": [1, 2.50, -3e10]}', "https://x.org/a?b=1&c=%20", "x = '''it's'''\n\n\n", "# 'll 'RE\n"]

    def some(pool, most):
        return "".join(draw.choice(pool) for _ in range(draw.randint(1, most)))

    def any_category(most):
        categories = draw.choices(list(by_category), k=draw.randint(1, most))
        return "".join(draw.choice(by_category[category]) for category in categories)

    def long_run():                                 # goes another way through the code
        unit = draw.choice(["a", " ", "\n", "!", "é", "ab", "7", "中", "Aa", "😀", "== "])
        return draw.choice(kinds)() + unit * draw.randint(LONG_PIECE, 2000) + draw.choice(kinds)()

    letters = by_category["Lu"] + by_category["Ll"] + by_category["Lt"]
    marks = by_category["Po"] + by_category["Sm"] + by_category["Mn"]
    kinds = [lambda: any_category(12), lambda: some(spaces, 8), lambda: some(" \n\r\t", 12),
             lambda: some("0123456789", 12), lambda: some(digits, 6), lambda: some(by_category["Cc"], 6),
             lambda: some(emoji, 4), lambda: some(accents, 5), lambda: draw.choice(code),
             lambda: some(marks, 8), lambda: " ".join(draw.choices(words, k=5)), lambda: draw.choice(words),
             lambda: some(letters, 8), lambda: some("abcdefghijklmnopqrstuvwxyz", 10),
             lambda: some("aAbB'sS 1\n", 12)]
    mixtures = ["".join(draw.choice(kinds)() for _ in range(draw.randint(1, 6))) for _ in range(n - 100)]
    return mixtures + [long_run() for _ in range(100)]


def tiktoken_itself(name: str) -> tiktoken.Encoding:
    tiktoken_encoding(name)                         # from now on it is in tiktoken's own registry
    return tiktoken.get_encoding(name)


# ---- equal to the peers

@pytest.mark.parametrize("name", OPENAI)
def test_ids_equal_tiktoken(name, tokenizers, strings):
    peer, ours = tiktoken_itself(name), tokenizers[name]
    different = [text for text in strings
                 if ours.encode(text, disallowed_special=()) != peer.encode_ordinary(text)]
    assert not different, f"{len(different)} differ, such as {different[0]!r}"


def test_ids_equal_tokenizers_on_smollm2(tokenizers, smollm2_peer, strings):
    theirs = [encoding.ids for encoding in smollm2_peer.encode_batch_fast(strings)]
    different = [text for text, ids in zip(strings, theirs)
                 if tokenizers["smollm2"].encode(text, allowed_special="all") != ids]
    assert not different, f"{len(different)} differ, such as {different[0]!r}"


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize("unit, times, end", [
    ("a", 100_000, ""), (" ", 50_000, ""), (" ", 50_000, "x"), ("ab", 30_000, ""), ("\n", 20_000, "")])
def test_very_long_runs_equal_tiktoken(name, unit, times, end, tokenizers):
    text = unit * times + end
    assert tokenizers[name].encode(text) == tiktoken_itself(name).encode(text)


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize("allowed, refused", [
    (set(), "all"), ("all", "all"), ("all", set()), (set(), set()), ({"<|endoftext|>"}, "all"),
    ({"<|endoftext|>"}, set()), (set(), {"<|endofprompt|>"}), ({"<|endofprompt|>"}, {"<|endoftext|>"}),
    ("all", {"b"}), ({"<|no_such_token|>"}, set())])
@pytest.mark.parametrize("text", [
    "plain", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "  <|endofprompt|>\n", "<|end<|endoftext|>|>"])
def test_special_tokens_as_tiktoken(name, text, allowed, refused, tokenizers):
    arguments = {"allowed_special": allowed, "disallowed_special": refused}
    try:
        expected = tiktoken_itself(name).encode(text, **arguments)
    except ValueError:
        with pytest.raises(ValueError, match=r"text contains the special token '.+'\. If you mean the token"):
            tokenizers[name].encode(text, **arguments)
    else:
        assert tokenizers[name].encode(text, **arguments) == expected


@pytest.mark.parametrize("name", OPENAI)
def test_decoding_equals_tiktoken_also_where_it_is_not_utf8(name, tokenizers):
    draw, peer = random.Random(1), tiktoken_itself(name)
    for _ in range(300):
        ids = draw.choices(range(50_257), k=draw.randint(0, 20)) + draw.choices(range(256), k=4)
        draw.shuffle(ids)
        assert tokenizers[name].decode(ids) == peer.decode(ids)
        assert tokenizers[name].decode_bytes(ids) == peer.decode_bytes(ids)


def test_tiktoken_encoding_is_the_real_one_and_leaves_the_environment_alone(monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "the learner's own")
    before = dict(os.environ)
    tiktoken_encoding.cache_clear()
    encodings = {name: tiktoken_encoding(name) for name in OPENAI}
    assert os.environ == before
    assert all(encoding is tiktoken.get_encoding(name) for name, encoding in encodings.items())
    assert {name: e.encode("Hello world") for name, e in encodings.items()} == {
        "gpt2": [15496, 995], "cl100k_base": [9906, 1917], "o200k_base": [13225, 2375]}


# ---- one rank for a token is enough

def merge_by_pairs(content: bytes, merges: dict[tuple[bytes, bytes], int]) -> list[bytes]:
    """BPE as GPT-2's authors wrote it: the earliest pair of the list, everywhere, until none is left."""
    tokens = [bytes([value]) for value in content]
    while pairs := [pair for pair in itertools.pairwise(tokens) if pair in merges]:
        earliest, merged = min(pairs, key=merges.__getitem__), []
        while tokens:
            take = 2 if tuple(tokens[:2]) == earliest else 1
            merged.append(b"".join(tokens[:take]))
            tokens = tokens[take:]
        tokens = merged
    return tokens


def as_bytes(merge: str) -> tuple[bytes, bytes]:
    left, right = merge.split(" ")
    return vocabularies.from_printable(left), vocabularies.from_printable(right)


def test_merges_found_from_ranks_are_those_of_the_gguf(tokenizers, gguf):
    listed = gguf.fields["tokenizer.ggml.merges"]
    assert tokenizers["smollm2"].merges == list(map(as_bytes, listed))


def test_merges_found_from_ranks_are_those_of_gpt2(gpt2):
    lines = assets.path("gpt2.vocab.bpe").read_text("utf-8").splitlines()[1:]
    assert gpt2.merges == list(map(as_bytes, lines))


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_every_token_of_tiktoken_is_a_merge_of_two_earlier_ones(name, tokenizers):
    assert len(tokenizers[name].merges) == len(tokenizers[name]._ids) - 256


def test_ranks_of_smollm2_are_not_its_ids(tokenizers):
    first = b"".join(tokenizers["smollm2"].merges[0])
    assert tokenizers["smollm2"]._ranks[first] == 0 and tokenizers["smollm2"]._ids[first] == 252


@pytest.mark.parametrize("name", ["gpt2", "smollm2"])
def test_merging_by_rank_equals_merging_by_pairs(name, tokenizers, strings):
    tokenizer = tokenizers[name]
    order = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
    for piece in {piece for text in strings[:1500] for piece in tokenizer.pieces(text)[:20]}:
        content = piece[:60].encode().translate(None, delete=tokenizer._missing)
        assert merge(content, tokenizer._ranks) == merge_by_pairs(content, order), piece


def test_the_heap_and_the_plain_loop_merge_alike(tokenizer):
    draw = random.Random(2)
    for alphabet in (b"a", b"ab", b"aeinort ", bytes(range(256))):
        for size in range(2, LONG_PIECE):
            content = bytes(draw.choices(alphabet, k=size))
            assert merge_long(content, tokenizer._ranks) == merge(content, tokenizer._ranks)


def test_a_long_piece_takes_a_number_of_look_ups_in_proportion(gpt2):
    class Counted(dict):
        looked_up = 0

        def __contains__(self, key):
            self.looked_up += 1
            return super().__contains__(key)

    ranks = Counted(gpt2._ranks)
    merge_long(b"a" * 20_000, ranks)
    assert ranks.looked_up < 4 * 20_000


# ---- training

def learn_naively(counts: dict[str, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """BPE training as in a textbook: count all pairs, merge the most frequent everywhere, start again."""
    tokens = [bytes([value]) for value in range(256)]
    words = [(list(piece.encode()), count) for piece, count in counts.items()]
    merges = []
    while len(merges) < n_merges:
        pairs = Counter()
        for word, count in words:
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
        for word, _ in words:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == (left, right):
                    word[at:at + 2] = [len(tokens) - 1]
                at += 1
    return merges


@pytest.mark.parametrize("alphabet", ["ab", "abc ", "aé中", "the cat sat on the mat. "])
@pytest.mark.parametrize("seed", range(10))
def test_training_equals_the_naive_form(alphabet, seed):
    draw = random.Random(seed)
    counts = {"".join(draw.choices(alphabet, k=draw.randint(1, 25))): draw.randint(1, 9) for _ in range(30)}
    assert learn_merges(counts, 60) == learn_naively(counts, 60)


def test_training_equals_tokenizers():
    """Both break ties by the lower ids, but only visible ASCII is numbered alike: the text is of that."""
    draw = random.Random(3)
    letters = "etaoinshrdlu" * 3 + "cmfwypvbgkjqxz"
    vocabulary = ["".join(draw.choices(letters, k=draw.randint(1, 9))) for _ in range(3000)]
    text = "~".join(vocabulary[min(int(draw.expovariate(0.004)), 2999)] for _ in range(30_000))
    pattern = "~?[^~]+"
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    peer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    theirs = [(left.encode(), right.encode()) for left, right in json.loads(peer.to_str())["model"]["merges"]]
    assert BPETokenizer.train(text, 1500, pattern).merges == theirs


def test_ties_go_to_the_older_tokens():
    assert learn_merges({"ba": 1, "ab": 1, "ac": 1}, 3) == [(b"a", b"b"), (b"a", b"c"), (b"b", b"a")]


def test_trained_ids_are_bytes_then_merges_then_special_tokens():
    tokenizer = BPETokenizer.train("low lower lowest<|end|>low", 260, special_tokens=["<|end|>"])
    assert tokenizer.merges == [(b"l", b"o"), (b"lo", b"w"), (b" ", b"low")]
    assert tokenizer.special_tokens == {"<|end|>": 259} and tokenizer.vocab_size == 260
    assert tokenizer.encode("low<|end|>\n", allowed_special="all") == [257, 259, 10]
    assert not any(b"<" in left + right for left, right in tokenizer.merges)


def test_training_stops_when_no_pair_is_left():
    assert BPETokenizer.train("hello", 10_000).vocab_size == 256 + 4


# ---- there and back

@pytest.mark.parametrize("name", OPENAI)
def test_decode_undoes_encode(name, tokenizers, strings):
    for text in strings[:5000]:
        assert tokenizers[name].decode(tokenizers[name].encode(text, disallowed_special=())) == text


def test_smollm2_drops_the_bytes_it_has_no_token_for(tokenizers):
    assert len(tokenizers["smollm2"]._missing) == 21
    assert tokenizers["smollm2"].decode(tokenizers["smollm2"].encode("a\x04b, c\x16")) == "ab, c"


def test_pieces_in_a_row_are_the_text(tokenizer, strings):
    for text in strings[:2000]:
        assert "".join(tokenizer.pieces(text)) == text


def test_smollm2_splits_digits_singly(tokenizers):
    assert tokenizers["smollm2"].pieces("in  204½ it's") == ["in", "  ", "2", "0", "4", "½", " it", "'s"]


def test_streaming_gives_the_same_text_and_never_half_a_character(tokenizer, strings):
    for text in strings[:1500]:
        ids = tokenizer.encode(text, disallowed_special=())
        decoder = tokenizer.stream_decoder()
        shown = [decoder.feed(n) for n in ids] + [decoder.flush()]
        assert "".join(shown) == tokenizer.decode(ids)
        assert "\ufffd" in tokenizer.decode(ids) or not any("\ufffd" in part for part in shown)


def test_streaming_ids_at_random_equals_decoding_them(gpt2):
    draw = random.Random(4)
    for _ in range(300):
        ids = [draw.randrange(256) for _ in range(12)]
        decoder = gpt2.stream_decoder()
        assert "".join(map(decoder.feed, ids)) + decoder.flush() == gpt2.decode(ids)


def test_an_emoji_appears_with_its_last_byte():
    bytes_only = BPETokenizer.train("x", 256)
    decoder = bytes_only.stream_decoder()
    assert [decoder.feed(n) for n in bytes_only.encode("é😀")] == ["", "é", "", "", "", "😀"]


def test_decode_takes_a_tensor(gpt2):
    assert gpt2.decode(torch.tensor([15496, 995])) == "Hello world"
    assert gpt2.decode([np.int64(15496), np.uint16(995)]) == "Hello world"


def test_the_longest_special_token_wins():
    tokenizer = BPETokenizer.train("x", 258, special_tokens=["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b><a>", allowed_special="all") == [257, 256]


@pytest.mark.parametrize("texts, parts", [
    ({"a", "ab"}, ["x", "ab", "", "a", "."]), ({"b", "."}, ["xa", "b", "a", ".", ""]), (set(), ["xaba."])])
def test_splitting_at_any_of_some_texts_keeps_them(texts, parts):
    assert any_of(frozenset(texts)).split("xaba.") == parts


# ---- files

@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "tokenizer.json"
    BPETokenizer.train("to be or not to be, Ünïcode", 300, special_tokens=["<|end|>"]).save(path)
    return path


@pytest.mark.parametrize("name", ["gpt2", "smollm2"])
def test_save_and_load(name, tokenizers, tmp_path, strings):
    ours = tokenizers[name]
    ours.save(tmp_path / "tokenizer.json")
    loaded = BPETokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.pattern == ours.pattern and loaded.special_tokens == ours.special_tokens
    assert loaded.vocab_size == ours.vocab_size and loaded.merges == ours.merges
    for text in strings[:500]:
        assert loaded.encode(text, allowed_special="all") == ours.encode(text, allowed_special="all")


@pytest.mark.parametrize("change, complaint", [
    (lambda text: text[:-20], "is not a saved tokenizer: .*Save it again"),
    (lambda text: "", "is not a saved tokenizer"),
    (lambda text: "[1, 2]", "its format is not 'press-enter tokenizer 1'"),
    (lambda text: text.replace("tokenizer 1", "tokenizer 9"), "its format is not"),
    (lambda text: text.replace('"<|end|>": ', '"<|END|>": '), "was changed after it was saved"),
    (lambda text: text.replace('"to"', '"ta"'), "was changed after it was saved"),
    (lambda text: json.dumps(json.loads(text) | {"tokens": []}), "was changed after it was saved"),
])
def test_an_altered_file_is_refused(saved, change, complaint):
    assert change(saved.read_text("utf-8")) != saved.read_text("utf-8")
    saved.write_text(change(saved.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=complaint):
        BPETokenizer.load(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        BPETokenizer.load(tmp_path / "nowhere.json")


@pytest.mark.parametrize("field, value, complaint", [
    ("tokenizer.ggml.model", "llama", "smollm2.gguf holds a tokenizer of kind 'llama'; only byte-level BPE"),
    ("tokenizer.ggml.pre", "qwen2", "smollm2.gguf splits text the 'qwen2' way"),
    ("tokenizer.ggml.merges", ["a bc", "ab c"], "two ways to make b'abc'"),
])
def test_a_gguf_of_another_kind_is_refused(field, value, complaint, gguf, monkeypatch):
    monkeypatch.setitem(gguf.fields, field, value)
    with pytest.raises(ValueError, match=complaint):
        BPETokenizer.from_gguf(gguf)


@pytest.mark.parametrize("field", ["model", "tokens", "token_type", "merges", "pre"])
def test_a_gguf_that_lacks_a_field_is_refused(field, gguf, monkeypatch):
    monkeypatch.delitem(gguf.fields, f"tokenizer.ggml.{field}")
    complaint = "holds a tokenizer of kind None" if field == "model" else f"has no field 'tokenizer.ggml.{field}'"
    with pytest.raises(ValueError, match=f"smollm2.gguf {complaint}"):
        BPETokenizer.from_gguf(gguf)


# ---- bad input

@pytest.mark.parametrize("call, error, complaint", [
    (lambda t: t.encode(b"bytes"), TypeError, "text is a bytes; it must be a str"),
    (lambda t: t.encode(None), TypeError, "text is a NoneType"),
    (lambda t: t.encode("ab\ud83d"), ValueError, r"lone surrogate '\\ud83d'\) at position 2"),
    (lambda t: t.pieces("\udc00"), ValueError, "lone surrogate"),
    (lambda t: t.encode("x", allowed_special="<a>"), ValueError, "allowed_special is '<a>'; give"),
    (lambda t: t.encode("x", disallowed_special="x"), ValueError, "disallowed_special is 'x'; give"),
    (lambda t: t.decode([0, 50_257]), ValueError, "token id 50257 is not in .* from 0 to 50256"),
    (lambda t: t.decode([-1]), ValueError, "token id -1 is not"),
    (lambda t: t.decode([1.5]), ValueError, "token id 1.5 is not"),
    (lambda t: t.decode([97.0, 98.0]), ValueError, "token id 97.0 is not .*; ids are whole numbers"),
    (lambda t: t.decode(torch.tensor([97.0, 98.0])), ValueError, "token id 97.0 is not"),
    (lambda t: t.decode([True]), ValueError, "token id True is not"),
    (lambda t: t.stream_decoder().feed(97.0), ValueError, "token id 97.0 is not"),
    (lambda t: t.decode([[1, 2]]), ValueError, r"token id \[1, 2\] is not"),
    (lambda t: t.decode(5), TypeError, "ids is 5; give a list of whole numbers"),
    (lambda t: t.decode("hello"), TypeError, "ids is 'hello'; give a list"),
    (lambda t: t.token_bytes("a"), ValueError, "token id 'a' is not"),
    (lambda t: t.stream_decoder().feed(99_999), ValueError, "token id 99999 is not"),
    (lambda t: t.from_tiktoken("gpt5"), ValueError, "name is 'gpt5'; choose one of 'gpt2', 'cl"),
    (lambda t: tiktoken_encoding("p50k_base"), ValueError, "name is 'p50k_base'; choose one of"),
    (lambda t: t.from_gguf("nowhere.gguf"), FileNotFoundError, "nowhere.gguf"),
    (lambda t: t.train("text", 255), ValueError, "vocab_size is 255; .* at least 256"),
    (lambda t: t.train("text", 257, special_tokens=["<a>", "<b>"]), ValueError, "at least 258: 256 bytes"),
    (lambda t: t.train("text", 300.0), ValueError, "vocab_size is 300.0"),
    (lambda t: t.train("", 300), ValueError, "text is empty"),
    (lambda t: t.train(["text"], 300), TypeError, "text is a list"),
    (lambda t: t.train("text", 300, special_tokens="<a>"), ValueError, "special_tokens is '<a>'; give"),
    (lambda t: t.train("text", 300, special_tokens=["<a>", "<a>"]), ValueError, "give a list of different"),
    (lambda t: t.train("text", 300, special_tokens=[""]), ValueError, r"special_tokens is \[''\]; "),
    (lambda t: BPETokenizer({b"a": 0}, {}, ".", {"": 1}), ValueError, "special_tokens has an empty text"),
    (lambda t: t.train("text", 300, pattern="(a"), ValueError, r"pattern '\(a' is not a regular expression"),
    (lambda t: t.train("text", 300, pattern="(t)|."), ValueError, "has a capturing group"),
    (lambda t: t.train("two words", 300, pattern=r"\w+"), ValueError, "leaves out parts of the text"),
    (lambda t: BPETokenizer({b"a": 0, b"b": 0}, {}, "."), ValueError, "an id of its own"),
    (lambda t: BPETokenizer({b"a": 0}, {}, ".", {"<a>": 0}), ValueError, "an id of its own"),
    (lambda t: BPETokenizer({b"a": -1}, {}, "."), ValueError, "an id of its own"),
    (lambda t: BPETokenizer({b"a": 0, b"b": 1, b"c": 2, b"abc": 3}, {b"abc": 0}, ".").merges, ValueError,
     "ranks has b'abc', which no two"),
])
def test_bad_input_is_refused_in_a_sentence(gpt2, call, error, complaint):
    with pytest.raises(error, match=complaint):
        call(gpt2)


def test_nothing_encodes_to_nothing(tokenizer):
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == "" and tokenizer.pieces("") == []
