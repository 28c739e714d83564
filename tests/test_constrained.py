"""Constrained text: masks equal a slow loop, every text fits however it ends, and the odds stay the model's own."""
import json
import random
import re
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import regex
import torch

from helpers import pretrained
from helpers.automaton import START
from helpers.chat import Chat
from helpers.constrained import Constraint
from helpers.json_patterns import any_json, json_pattern
from helpers.sampling import generate, stream
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer
from small_models import DEVICES, V, small_model

CONTEXT = 64
TEXT = '{"name": "Tim", "age": 12, "likes": ["red", true, null]} Once there was a fox. Yes, no. 2024-05-31 déjà 🙂🙃 ' * 3
BEYOND_ASCII = (rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
                rb"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
                rb"|\xf4[\x80-\x8f][\x80-\xbf]{2}")
CHARACTER = rb"(?:[\x00-\x09\x0b-\x7f]|" + BEYOND_ASCII + b")"
PATTERNS = {                                            # and the same over bytes, written by hand
    r"\d{4}-\d\d-\d\d": rb"\d{4}-\d\d-\d\d",
    "yes|no|red": b"yes|no|red",
    '"[a-z ]*"': b'"[a-z ]*"',
    r'\{"name": "\w+", "age": \d+\}': rb'\{"name": "\w+", "age": \d+\}',
    "(é|🙂)+ ?": b"(?:\xc3\xa9|\xf0\x9f\x99\x82)+ ?",
    ".*x": CHARACTER + b"*x",
    "(a|b.){2,5}": b"(?:a|b" + CHARACTER + b"){2,5}",
}
SCHEMA = {"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}, "weight": {"type": "number"},
    "likes": {"type": "array", "items": {"enum": ["red", "blue"]}, "maxItems": 3}, "wild": {"type": "boolean"}}}


@pytest.fixture(scope="module", params=DEVICES)
def model(request):
    return small_model(CONTEXT).to(request.param)


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT, V, special_tokens=["<|end|>", "<|start|>"])


@pytest.fixture(scope="module")
def smollm2():
    return pretrained.smollm2()


def with_tokens(*tokens, special=()):
    """A tokenizer of these tokens alone."""
    ids = {token.encode("utf-8"): n for n, token in enumerate(tokens)}
    return BPETokenizer(ids, {}, r"[\s\S]", {text: len(tokens) + n for n, text in enumerate(special)})


def random_model(seed, context=40):
    torch.manual_seed(seed)
    model = Transformer(Config(vocabulary=V, context=context, d_model=8, layers=1, heads=1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)
    return model.requires_grad_(False)


def walk(constraint, source, steps):
    """Some tokens at random, each allowed."""
    state, ids = START, []
    for _ in range(steps):
        allowed = constraint.mask(state, 1000).nonzero()[:, 0].tolist()
        if not allowed:
            break
        ids.append(source.choice(allowed))
        state = constraint.automaton.walk(state, constraint.tokenizer.token_bytes(ids[-1]))
    return state, ids


# ---- the mask

@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_mask_equals_a_slow_loop(tokenizer, pattern):
    """Token by token: could the text, with this token, still become a match? Asked of another engine."""
    constraint, source = Constraint(pattern, tokenizer), random.Random(pattern)
    could, special = regex.compile(PATTERNS[pattern]), tokenizer.special_tokens.values()
    ends = [*special]
    for steps in [0, 1, 1, 2, 2, 3, 4, 5, 6]:
        state, ids = walk(constraint, source, steps)
        text = tokenizer.decode_bytes(ids)
        expected = [token not in special and bool(could.fullmatch(text + tokenizer.token_bytes(token), partial=True))
                    for token in range(tokenizer.vocab_size)]
        assert constraint.mask(state, 1000).tolist() == expected, text
        complete = could.fullmatch(text) is not None
        assert constraint.mask(state, 1000, ends).tolist() == [
            complete if token in special else fits for token, fits in enumerate(expected)], text


@pytest.mark.parametrize("pattern", ["(ab)*c", "a{2,5}", "abcab|c", "(a|bc)+", "c?a*b", "abab|b"])
def test_a_mask_allows_what_can_be_finished_in_time(pattern):
    """Of all texts of up to five tokens: after each beginning, the next tokens of those that match in time."""
    tokens = ["a", "b", "c", "ab", "bca"]
    constraint = Constraint(pattern, with_tokens(*tokens))
    matches = [ids for n in range(6) for ids in product(range(5), repeat=n)
               if re.fullmatch(pattern, "".join(tokens[token] for token in ids))]
    for begun in [ids for n in range(3) for ids in product(range(5), repeat=n)]:
        state = constraint.automaton.walk(START, "".join(tokens[token] for token in begun).encode())
        for remaining in range(4):
            expected = {ids[len(begun)] for ids in matches
                        if ids[:len(begun)] == begun and 0 < len(ids) - len(begun) <= remaining}
            assert set(constraint.mask(state, remaining).nonzero()[:, 0].tolist()) == expected, (begun, remaining)
    assert constraint.distance[START] == min(map(len, matches))


def test_a_mask_is_kept_and_cannot_be_spoilt(tokenizer):
    constraint = Constraint("[a-z]+", tokenizer)
    first = constraint.mask(START, 9, [V - 1])
    expected = first.clone()
    first.fill_(True)
    assert torch.equal(constraint.mask(START, 9, [V - 1]), expected)


def test_a_mask_keeps_two_bytes_a_token_and_room_may_be_endless(tokenizer):
    constraint = Constraint("[a-z]+!", tokenizer)
    few, many = constraint.mask(START, 1_000), constraint.mask(START, 10 ** 9)
    assert torch.equal(few, many) and 0 < int(few.sum()) < len(few)
    [kept] = constraint._needed.values()
    assert kept.untyped_storage().nbytes() == 2 * tokenizer.vocab_size


def test_bytes_that_no_token_has_are_never_begun():
    constraint = Constraint("x(az|b)|é", with_tokens("x", "a", "b", "xa", "é"[:1], special=["<|end|>"]))
    assert constraint.mask(START, 9).tolist() == [True, False, False, False, True, False]
    half = BPETokenizer({b"a": 0, b"\xc3": 1}, {}, r"[\s\S]")
    assert Constraint("a|é", half).mask(START, 9).tolist() == [True, False]


def test_ids_that_no_token_has_are_never_allowed():
    tokenizer = BPETokenizer({b"a": 0, b"b": 3}, {}, r"[\s\S]", {"<|end|>": 5})
    assert Constraint("a|b", tokenizer).mask(START, 9).tolist() == [True, False, False, True, False, False]


def test_the_text_of_a_special_token_is_written_in_other_tokens(model, tokenizer):
    ids = generate(model, [1], 20, constraint=Constraint(r"<\|end\|>", tokenizer), seed=0)
    assert tokenizer.decode(ids) == "<|end|>" and tokenizer.special_tokens["<|end|>"] not in ids


def test_on_smollm2_a_mask_equals_a_slow_loop(smollm2):
    _, tokenizer = smollm2
    constraint = Constraint(json_pattern(SCHEMA), tokenizer)
    in_bytes = rb"(?:[\x20-\x21\x23-\x5b\x5d-\x7f]|" + BEYOND_ASCII + b")"
    could = regex.compile(json_pattern(SCHEMA).encode("utf-8").replace(rb'[^"\\\x00-\x1f]', in_bytes))
    special = tokenizer.special_tokens.values()
    for text in [b"", b'{"name": "T', b'{"name":"Tim", "age": -1', b'{"name":"", "age":0,"weight":1e3, "likes"']:
        state = constraint.automaton.walk(START, text)
        expected = [token not in special and bool(could.fullmatch(text + tokenizer.token_bytes(token), partial=True))
                    for token in range(tokenizer.vocab_size)]
        assert constraint.mask(state, 1000).tolist() == expected and any(expected), text


# ---- every text fits

def test_every_text_fits_however_it_ends(tokenizer):
    """200 models with weights of their own: hot and cold, with and without a cache, with room to spare or without."""
    constraints = [Constraint(pattern, tokenizer) for pattern in [*PATTERNS, json_pattern(SCHEMA), any_json(1)]]
    source, full, short = random.Random(0), 0, 0
    for seed in range(200):
        constraint = constraints[seed % len(constraints)]
        limit = int(constraint.distance[START]) + source.choice([0, 0, 1, 2, 5, 10])
        prompts = [[seed], [1, 2, 3]]
        rows = generate(random_model(seed, context=60), prompts, limit, temperature=source.choice([0, 0.5, 1.0, 5.0]),
                        top_k=source.choice([None, 3]), repetition_penalty=source.choice([None, 1.3]), seed=seed,
                        cache=source.choice([True, False]), constraint=constraint)
        for ids in rows:
            text = tokenizer.decode_bytes(ids).decode("utf-8")
            assert re.fullmatch(constraint.automaton.pattern, text, re.ASCII), text
            full, short = full + (len(ids) == limit), short + (len(ids) < limit)
    assert full > 50 and short > 50


@pytest.mark.parametrize("settings", [dict(temperature=0), dict(), dict(top_k=5, top_p=0.9, repetition_penalty=1.2)])
def test_cache_stream_and_batch_write_the_same(model, tokenizer, settings):
    settings = settings | dict(constraint=Constraint(any_json(1), tokenizer))
    prompts = [[1, 2, 3, 4, 5, 6, 7, 8], [9], [10, 11, 12]]
    alone = [generate(model, prompt, 15, seed=3 + i, **settings) for i, prompt in enumerate(prompts)]
    assert generate(model, prompts, 15, seed=3, **settings) == alone
    assert generate(model, prompts, 15, seed=3, cache=False, **settings) == alone
    tokens = list(stream(model, prompts[0], 15, seed=3, tokenizer=tokenizer, **settings))
    assert [token.id for token in tokens] == alone[0]
    assert "".join(token.text for token in tokens) == tokenizer.decode(alone[0])


def test_a_constraint_that_allows_everything_changes_nothing(model):
    tokenizer = BPETokenizer({bytes([n % 128, n // 128]): n for n in range(V)}, {}, r"[\s\S]")
    anything = Constraint(r"[\x00-\x7f]*", tokenizer)
    assert generate(model, [[1, 2], [3]], 20, seed=0, constraint=anything) == generate(model, [[1, 2], [3]], 20, seed=0)


# ---- where it ends

def biased(*likely, vocabulary=V):
    """Stands in for a model: says the first of these that it is allowed to say."""
    logits = torch.zeros(vocabulary)
    for rank, token in enumerate(likely):
        logits[token] = 50.0 - rank
    config = Config(vocabulary=vocabulary, context=CONTEXT, d_model=2, layers=1, heads=1)
    return SimpleNamespace(config=config, device=logits.device, head=lambda hidden: logits.expand(len(hidden), -1),
                           hidden=lambda ids, padding_mask=None: torch.zeros(*ids.shape, 1))


def written(model, constraint, limit=10, **settings):
    ids = generate(model, [0], limit, temperature=0, cache=False, constraint=constraint, **settings)
    assert [token.id for token in stream(model, [0], limit, temperature=0, cache=False, constraint=constraint,
                                         **settings)] == ids
    return constraint.tokenizer.decode(ids)


def test_a_text_ends_by_itself_at_a_special_token_or_with_its_room():
    tokenizer = with_tokens("a", "b", "c", special=["<|end|>", "<|start|>"])
    end, start = 3, 4
    assert written(biased(end, 0), Constraint("ab|abc|ac", tokenizer)) == "ab"      # end, where it is a match
    assert written(biased(2, end, 0), Constraint("ab|abc|ac", tokenizer)) == "ac"   # by itself
    assert written(biased(0, end), Constraint("a*", tokenizer), 7) == "aaaaaaa"     # with its room
    assert written(biased(0, end), Constraint("(aa)*", tokenizer), 7) == "aaaaaa"   # the seventh would be too many
    assert written(biased(0, end), Constraint("a*b", tokenizer), 7) == "aaaaaab"    # the last is kept for b
    for first, stop, text in [(start, (), ""), (end, (), ""), (start, end, "aaaa"), (end, end, ""),
                              (end, [start], "aaaa"), (end, [end, start], ""), (end, np.int64(end), "")]:
        assert written(biased(first, 0), Constraint("a*", tokenizer), 4, stop=stop) == text, (first, stop)


def test_without_special_tokens_a_text_goes_on_as_long_as_it_can():
    tokenizer = with_tokens("a", "b")
    assert written(biased(0), Constraint("a{,5}", tokenizer)) == "aaaaa"
    assert written(biased(1), Constraint("a*(bb)*", tokenizer), 5) == "bbbb"        # nothing fits the last place


def test_what_matches_no_more_than_the_empty_text_asks_the_model_nothing():
    model = biased(0)
    model.hidden = None
    assert written(model, Constraint("", with_tokens("a", special=["<|end|>"]))) == ""
    assert written(model, Constraint("a*", with_tokens("a")), 0) == ""


@pytest.mark.parametrize("special", [["<|end|>"], []])
def test_a_row_that_has_ended_waits_for_the_others(model, special):
    constraint = Constraint("no|(yes, ){2,9}", BPETokenizer.train(TEXT, V, special_tokens=special))
    rows = generate(model, [[n] for n in range(12)], 40, seed=0, constraint=constraint)
    assert len(set(map(len, rows))) > 2
    assert rows == [generate(model, [n], 40, seed=n, constraint=constraint) for n in range(12)]


def test_a_model_may_have_more_tokens_than_the_tokenizer():
    tokenizer = with_tokens("a", "b")
    assert written(biased(7, 1, 0, vocabulary=9), Constraint("a*b", tokenizer)) == "b"


# ---- the odds

def test_what_is_allowed_keeps_its_odds(model, tokenizer):
    """20,000 texts: how often each token comes first, and second after the one that came first most often.

    Every frequency is within 4.5 standard errors of the softmax over what is allowed, and so 0 for what is not.
    """
    constraint, end = Constraint("[a-e]+|[0-4]+", tokenizer), tokenizer.special_tokens["<|end|>"]
    texts = generate(model, [[1, 2]] * 20_000, 2, seed=0, stop=end, constraint=constraint)
    texts = torch.tensor([(*ids, end)[:2] for ids in texts])                        # (20,000, 2)
    begun = int(texts[:, 0].mode().values)
    state = constraint.automaton.walk(START, tokenizer.token_bytes(begun))
    for prompt, drawn, allowed in [([1, 2], texts[:, 0], constraint.mask(START, 2, [end])),
                                   ([1, 2, begun], texts[texts[:, 0] == begun, 1], constraint.mask(state, 1, [end]))]:
        logits = model(torch.tensor([prompt], device=model.device))[0, -1].cpu()
        probabilities = logits.masked_fill(~allowed, -torch.inf).softmax(dim=-1).double()
        frequencies = torch.bincount(drawn, minlength=V) / len(drawn)
        error = (probabilities * (1 - probabilities) / len(drawn)).sqrt()
        assert len(drawn) > 2_000 and (frequencies > 0).sum() > 6
        assert ((frequencies - probabilities).abs() <= 4.5 * error).all()
    assert 0 < frequencies[end] < 1


def test_a_token_tells_what_the_model_gave_it_without_a_constraint(model, tokenizer):
    [token] = stream(model, [1, 2], 1, constraint=Constraint("x", tokenizer))
    p = model(torch.tensor([[1, 2]], device=model.device))[0, -1].softmax(dim=-1)
    assert token.id == ord("x") and token.probability == pytest.approx(float(p[token.id]), rel=1e-4)


# ---- JSON

def fits(schema, value):
    """Whether a value that was read from JSON is of its schema."""
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "object":
        parts = schema["properties"]
        return list(value) == list(parts) and all(map(fits, parts.values(), value.values()))
    if schema["type"] == "array":
        return (schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 99)
                and all(fits(schema["items"], item) for item in value))
    if schema["type"] == "string":
        return isinstance(value, str) and len(value) <= schema.get("maxLength", 99)
    kinds = {"integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    return isinstance(value, kinds[schema["type"]]) and (schema["type"] == "boolean" or not isinstance(value, bool))


STRING, NULL = {"type": "string"}, {"type": "null"}
SCHEMAS = [
    SCHEMA, STRING, STRING | {"maxLength": 0}, STRING | {"maxLength": 3}, {"type": "integer"}, {"type": "number"},
    {"type": "boolean"}, NULL, {"enum": [1, "a b", None, [True, {"x": "é"}], '"\\']},
    STRING | {"enum": ["a.b", "c*", "[d]"]}, {"type": "object", "properties": {}},
    {"type": "object", "properties": {'say "hi"\\': {"type": "object", "properties": {"é.*": NULL}}}},
    {"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": NULL, "maxItems": 0},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {"type": "array", "items": STRING, "minItems": 1, "maxItems": 2},
    {"type": "array", "items": {"type": "array", "items": NULL, "maxItems": 1}, "minItems": 3, "maxItems": 3},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_json_reads_whatever_fits_a_schema(tokenizer, schema):
    """Texts of tokens at random, each allowed, until their room is gone."""
    constraint, source = Constraint(json_pattern(schema), tokenizer), random.Random(0)
    for _ in range(40):
        state, text, remaining = START, b"", int(constraint.distance[START]) + source.randint(0, 25)
        while (allowed := constraint.mask(state, remaining).nonzero()[:, 0].tolist()):
            token = tokenizer.token_bytes(source.choice(allowed))
            state, text, remaining = constraint.automaton.walk(state, token), text + token, remaining - 1
        assert fits(schema, json.loads(text)), text


def random_value(schema, source):
    if "enum" in schema:
        return source.choice(schema["enum"])
    if schema["type"] == "object":
        return {name: random_value(part, source) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        length = source.randint(schema.get("minItems", 0), schema.get("maxItems", 4))
        return [random_value(schema["items"], source) for _ in range(length)]
    if schema["type"] == "string":
        return "".join(source.choices('ab "\\/\n\t\x00\x1f\x7fé\u2028\ud7ff\ufffd', k=source.randint(
            0, min(6, schema.get("maxLength", 6)))))
    return {"integer": source.choice([0, -1, 7, 10**15 - 1, -(10**14)]), "boolean": source.random() < 0.5, "null": None,
            "number": source.choice([0.5, -0.0, 3, 1e21, 2.5e-7, 123456.789, -1e99])}[schema["type"]]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_whatever_json_writes_fits_its_schema(schema):
    source, pattern = random.Random(1), re.compile(json_pattern(schema))
    for _ in range(60):
        value = random_value(schema, source)
        texts = [json.dumps(value, ensure_ascii=False)]
        if "é" not in str(schema):                                                  # which names and enums never escape
            texts += [json.dumps(value), json.dumps(value, separators=(",", ":"))]
        for text in texts:
            assert pattern.fullmatch(text), text


@pytest.mark.parametrize(("schema", "texts"), [
    ({"type": "integer"}, ["01", "1.0", "+1", "1" * 16, "1e3", "-", ""]),
    ({"type": "number"}, [".5", "1.", "1e999", "NaN", "Infinity", "1e", "0x1"]),
    (STRING, ['"\n"', r'"\x"', r'"\ud800"', r'"\DFFF"', r'"\uDFFF"', r'"\u12"', '"', '"""', "'a'", "a"]),
    (STRING | {"maxLength": 2}, ['"abc"', r'"\n\n\n"']), ({"type": "boolean"}, ["True", "1"]), (NULL, ['"null"', ""]),
    ({"enum": ["a.", True]}, ['"ab"', '"a"', "1", "True"]), ({"enum": [1]}, ["1.0", "true"]),
    ({"type": "array", "items": NULL}, ["[null,]", "[ null]", "[null,  null]", "[1]", "[null null]", "[null", "null"]),
    ({"type": "array", "items": NULL, "minItems": 1}, ["[]"]),
    ({"type": "array", "items": NULL, "maxItems": 1}, ["[null,null]"]),
    ({"type": "object", "properties": {"a": NULL, "b": NULL}}, ["{}", '{"a":null}', '{"b":null,"a":null}',
                                                              '{"a":null,"b":null,"c":null}', '{"a": null "b": null}']),
])
def test_what_does_not_fit_a_schema_does_not_match(schema, texts):
    assert not [text for text in texts if re.fullmatch(json_pattern(schema), text)]


def deep(value):
    """How deep objects and arrays lie in each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(deep, inner), default=0)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_any_json_is_any_json_of_its_depth(tokenizer, depth):
    pattern = re.compile(any_json(depth))
    for text in ['"a\\n"', "-1.5e-7", "true", "null", "[]", "{}", "[1]", '[1, "b",null]', '{"a": 1}', "[[]]",
                 '{"a":1, "b": "c"}', '[{"a": []}]', '{"a": [1, 2], "b":{}}', "[[[]]]", "[[1], [[2]]]"]:
        assert bool(pattern.fullmatch(text)) == (deep(json.loads(text)) <= depth), text
    for text in ["", "[", "[1,]", "{1: 2}", '{"a"}', "[1 ,2]", "nul", " 1", "{'a': 1}", '{"a": 1,}']:
        assert not pattern.fullmatch(text), text
    constraint, source, met = Constraint(any_json(depth), tokenizer), random.Random(0), set()
    for _ in range(100):
        state, text, remaining = START, b"", source.randint(1, 25)
        while (allowed := constraint.mask(state, remaining).nonzero()[:, 0].tolist()):
            token = tokenizer.token_bytes(source.choice(allowed))
            state, text, remaining = constraint.automaton.walk(state, token), text + token, remaining - 1
        met.add(deep(json.loads(text)))
    assert met == set(range(depth + 1))


# ---- what is refused

@pytest.mark.parametrize(("schema", "sentence"), [
    (None, "schema is None; give a dict"), ("string", "schema is 'string'"), ({}, "has the type None; give one of obj"),
    ({"type": "date"}, "has the type 'date'"), ({"type": ["string", "null"]}, r"has the type \['string', 'null'\]"),
    ({"type": None, "enum": [1]}, "has the type None"),
    (STRING | {"pattern": "a"}, "has the keyword 'pattern'; its type takes type, enum, maxLength"),
    ({"type": "integer", "maxLength": 2}, "has the keyword 'maxLength'; its type takes type, enum"),
    ({"type": "object", "properties": {}, "required": []}, "has the keyword 'required'"),
    (STRING | {"maxLength": -1}, "maxLength is -1; give a whole number"), (STRING | {"maxLength": True}, "is True"),
    (STRING | {"maxLength": 2.0}, "maxLength is 2.0"), (STRING | {"maxLength": None}, "maxLength is None"),
    ({"type": "array"}, "has no items; give the schema"), ({"type": "array", "items": 5}, "schema is 5"),
    ({"type": "array", "items": NULL, "minItems": 3, "maxItems": 2}, "maxItems is 2 and minItems 3; give"),
    ({"type": "array", "items": NULL, "minItems": "1"}, "minItems is '1'"),
    ({"type": "object"}, "has the properties None; give"), ({"type": "object", "properties": [1]}, r"properties \[1\]"),
    ({"type": "object", "properties": {1: NULL}}, "has the properties {1:"),
    ({"enum": []}, r"enum is \[\]; give a list"), ({"enum": "ab"}, "enum is 'ab'"),
    ({"enum": [{1}]}, r"schema holds \{1\}, which is no value of JSON"),
    ({"enum": [float("nan")]}, "schema holds nan, which is no"), ({"enum": ["\ud800"]}, "which is no value of JSON"),
    ({"type": "integer", "enum": [1, "a"]}, 'enum holds "a", which does not fit the rest of its schema'),
    (STRING | {"maxLength": 1, "enum": ["a", "bc"]}, 'enum holds "bc"'),
])
def test_a_schema_it_does_not_know_is_refused(schema, sentence):
    with pytest.raises(ValueError, match=sentence):
        json_pattern(schema)


@pytest.mark.parametrize("depth", [-1, 3, 1.0, "1", None])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth is {depth!r}; give a whole number from 0 to 2"):
        any_json(depth)


def test_patterns_that_no_token_spells_are_refused():
    with pytest.raises(ValueError, match="pattern 'z' matches only texts with bytes that no token has"):
        Constraint("z", with_tokens("a", special=["z"]))
    with pytest.raises(ValueError, match="has an anchor"):
        Constraint("^a", with_tokens("a"))


@pytest.mark.parametrize("write", [generate, stream])
@pytest.mark.parametrize(("arguments", "sentence"), [
    (dict(constraint="a*"), r"constraint is 'a\*'; make one: Constraint\(pattern, tokenizer\)"),
    (dict(stop="<|end|>"), r"stop holds '<\|end\|>', which could end a text .* give the ids of special tokens"),
    (dict(stop=[V - 1, 97]), "stop holds 97, which could end a text before it fits the constraint"),
    (dict(max_new_tokens=5), "max_new_tokens, .* is 5; the shortest text that fits the constraint has 6 tokens"),
    (dict(max_new_tokens=0), "is 0; the shortest text that fits the constraint has 6"),
    (dict(ids=[1] * (CONTEXT - 4)), "is 4; the shortest text that fits the constraint has 6 tokens, so make room"),
])
def test_what_cannot_be_kept_is_refused_at_the_call(model, tokenizer, write, arguments, sentence):
    constraint = Constraint("[x-z]{6}", tokenizer)
    with pytest.raises(ValueError, match=sentence):
        write(model, **(dict(ids=[1], max_new_tokens=9, tokenizer=tokenizer, constraint=constraint) | arguments))


def test_a_constraint_for_another_model_and_a_model_that_forbids_all_are_refused(tokenizer):
    with pytest.raises(ValueError, match="constraint was made for a tokenizer of 3 tokens and this model has 2; make"):
        generate(biased(0, vocabulary=2), [0], 9, constraint=Constraint("a", with_tokens("a", "b", "c")))
    model = biased(0)
    model.head = lambda hidden: torch.full((1, V), -torch.inf).index_fill(1, torch.tensor([0]), 1.0)
    with pytest.raises(ValueError, match="logits are -inf for every token that fits the constraint 'xyz'; let"):
        generate(model, [0], 9, temperature=0, cache=False, constraint=Constraint("xyz", tokenizer))


# ---- the real model

def test_smollm2_answers_in_json(smollm2):
    model, tokenizer = smollm2
    constraint = Constraint(json_pattern(SCHEMA), tokenizer)
    _, ids = Chat(model, tokenizer).encode([{"role": "user", "content": "Describe a fox named Tim as JSON."}])
    for limit, temperature in [(45, 0.0), (22, 1.0)]:
        new = generate(model, ids, limit, temperature, seed=0, constraint=constraint)
        value = json.loads(tokenizer.decode(new))
        assert fits(SCHEMA, value) and len(new) <= limit
        assert value["name"] == "Tim" or temperature > 0
    colour = Constraint('"(red|green|blue)"', tokenizer)
    _, ids = Chat(model, tokenizer).encode([{"role": "user", "content": "What colour is the sky? Answer in one word."}])
    assert tokenizer.decode(generate(model, ids, 10, temperature=0, constraint=colour)) == '"blue"'
