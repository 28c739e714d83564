"""Sampling: the functions equal transformers' own, draws follow the probabilities, and one loop serves every use."""
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation import logits_process as peer

from helpers import pretrained, sampling
from helpers.prompts import pad
from helpers.sampling import draw, generate, min_p, repetition_penalty, stream, temperature, top_k, top_p
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer
from small_models import DEVICES, V, small_model

CONTEXT = 48
INF, NAN = math.inf, math.nan
SHAPES = [(7,), (1, 300), (3, 50), (2, 3, 11)]
SETTINGS = {                                                # one of each kind, and all together
    "greedy": dict(temperature=0),
    "plain": dict(),
    "cold": dict(temperature=0.5),
    "top_k": dict(top_k=5),
    "top_p": dict(top_p=0.8),
    "min_p": dict(min_p=0.1),
    "penalty": dict(repetition_penalty=1.3),
    "all": dict(temperature=0.8, top_k=20, top_p=0.9, min_p=0.02, repetition_penalty=1.1),
}


def random_logits(*shape, seed=0):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tied_logits(*shape):
    """Whole numbers from -2 to 2: many are equal."""
    return torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(0)).float()


@pytest.fixture(scope="module", params=DEVICES)
def model(request):
    return small_model(CONTEXT).to(request.param)


@pytest.fixture(scope="module")
def tokenizer():
    text = "So foul and fair a day I have not seen. User: 🙂🙃 déjà vu\n" * 3
    return BPETokenizer.train(text, V, special_tokens=["<|end|>"])


class Parrot:
    """Stands in for a model: says what it was told to say, whatever it reads."""

    def __init__(self, script, prompt_length=1):
        self.script, self.prompt_length = script, prompt_length
        self.config = Config(vocabulary=V, context=CONTEXT, d_model=2, layers=1, heads=1)
        self.device = torch.device("cpu")

    def hidden(self, ids, padding_mask=None):
        return torch.full((*ids.shape, 1), ids.shape[1] - self.prompt_length)       # (B, T, 1): how much was said

    def head(self, hidden):
        said = torch.tensor([self.script[int(step)] for step in hidden[:, 0]])      # (B,)
        return 50.0 * torch.nn.functional.one_hot(said, V)                          # (B, V)


# ---- functions on logits

@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("ours", "theirs"), [
    (lambda x: temperature(x, 0.7), peer.TemperatureLogitsWarper(0.7)),
    (lambda x: temperature(x, 1.9), peer.TemperatureLogitsWarper(1.9)),
    *[(lambda x, k=k: top_k(x, k), peer.TopKLogitsWarper(k)) for k in (1, 4, 1000)],
    *[(lambda x, p=p: top_p(x, p), peer.TopPLogitsWarper(p)) for p in (1e-9, 0.3, 0.9, 0.999)],
    *[(lambda x, p=p: min_p(x, p), peer.MinPLogitsWarper(p)) for p in (0.0, 0.05, 1.0)],
])
def test_each_function_equals_transformers(ours, theirs, shape):
    logits = random_logits(*shape)
    rows = logits.reshape(-1, shape[-1])
    assert_close(ours(logits), theirs(None, rows.clone()).reshape(shape), atol=0, rtol=0)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.3])
def test_repetition_penalty_equals_transformers_and_counts_a_token_once(penalty):
    logits, ids = random_logits(3, 20), torch.tensor([[1, 1, 7], [0, 19, 3], [5, 5, 5]])
    assert_close(repetition_penalty(logits, ids, penalty),
                 peer.RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone()), atol=0, rtol=0)
    assert_close(repetition_penalty(logits, ids[:, [0, 0, 1, 1, 2]], penalty), repetition_penalty(logits, ids, penalty))


@pytest.mark.parametrize("filtered", [lambda x: temperature(x, 0.5), lambda x: temperature(x, 0), lambda x: top_k(x, 3),
                                      lambda x: top_p(x, 0.6), lambda x: top_p(x, 1), lambda x: min_p(x, 0.2),
                                      lambda x: repetition_penalty(x, x.argsort(dim=-1)[..., :2], 1.5)])
@pytest.mark.parametrize("make", [random_logits, tied_logits])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_function_leaves_probabilities_and_its_input_alone(filtered, make, shape):
    logits = make(*shape)
    before = logits.clone()
    result = filtered(logits)
    assert_close(logits, before)
    assert result.shape == logits.shape and result.dtype == logits.dtype
    assert_close(result.softmax(dim=-1).sum(dim=-1), torch.ones(shape[:-1]))
    one_row = filtered(logits.reshape(-1, shape[-1])[0])
    assert_close(result.reshape(-1, shape[-1])[0], one_row)                         # rows do not know of each other


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_keeps_exactly_k_and_of_equal_ones_the_first(k, shape):
    logits = tied_logits(*shape)
    expected = torch.full_like(logits, -INF)
    first = logits.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    expected.scatter_(-1, first, logits.gather(-1, first))
    assert_close(top_k(logits, k), expected)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("make", [random_logits, tied_logits])
def test_top_p_is_the_smallest_set_that_reaches_p(make, p):
    for row in make(20, 30):
        kept = row.softmax(dim=-1)[top_p(row, p).isfinite()].double()
        assert kept.sum() >= p - 1e-6 and kept.sum() - kept.min() < p + 1e-6        # enough, and not one too many
        assert kept.min() >= row.softmax(dim=-1)[~top_p(row, p).isfinite()].max() - 1e-9


def test_top_p_takes_no_token_more_once_p_is_reached():
    assert top_p(torch.zeros(4), 0.5).tolist() == [0, 0, -INF, -INF]                # a quarter each


def test_temperature_0_takes_the_first_of_the_largest():
    assert temperature(torch.tensor([1.0, 3.0, 3.0, 2.0]), 0).tolist() == [-INF, 3.0, -INF, -INF]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [0, 1e-300, 1e-30, 1e-6, 1e-3, 0.01, 1e6])
@pytest.mark.parametrize("row", [[-80.0, 80.0, 79.0, -INF], [-90.0, -80.0, -81.0, -INF]])
def test_no_temperature_overflows(row, value, dtype):
    result = temperature(torch.tensor(row, dtype=dtype), value)
    probabilities = result.float().softmax(dim=-1)
    assert result.dtype == dtype and probabilities.isfinite().all()
    assert probabilities.argmax() == 1 and probabilities[3] == 0


def test_a_row_that_would_overflow_keeps_its_probabilities_and_changes_no_other():
    rows = torch.tensor([[60.0, 59.5, -60.0], [1.0, 0.5, -1.0]], dtype=torch.float16)
    result = temperature(rows, 0.0005)
    assert_close(result[1], rows[1] / 0.0005, atol=0, rtol=0)
    assert_close(result[0] - result[0].max(), torch.tensor([0.0, -1000.0, -INF], dtype=torch.float16), atol=1, rtol=0)


# ---- drawing

def test_draws_follow_the_probabilities():
    """20,000 draws: every frequency within 4.5 standard errors of softmax (1 seed in 12,000 would miss by chance)."""
    n, probabilities = 20_000, random_logits(12).softmax(dim=-1).double()
    tokens = draw(probabilities.expand(n, 12), [torch.Generator().manual_seed(5)] * n)
    frequencies = torch.bincount(torch.tensor(tokens), minlength=12) / n
    error = (probabilities * (1 - probabilities) / n).sqrt()
    assert ((frequencies - probabilities).abs() <= 4.5 * error).all()


def test_a_removed_token_is_never_drawn():
    probabilities = torch.tensor([0.0, 1e-12, 0.0, 0.5, 0.5, 0.0]).expand(5_000, 6)
    assert set(draw(probabilities, [torch.Generator().manual_seed(0)] * 5_000)) == {3, 4}


@pytest.mark.parametrize("row", [[0.5, NAN], [0.0, 0.0], [0.5, INF], [1.5, -0.5]])
def test_a_row_without_shares_is_refused(row):
    with pytest.raises(ValueError, match=r"probabilities has a row with NaN, inf, .* give shares of at least 0"):
        draw(torch.tensor([[0.5, 0.5], row]), [torch.Generator()] * 2)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_row_needs_a_generator(count):
    with pytest.raises(ValueError, match=f"generators holds {count} for 2 rows of probabilities; give one for each."):
        draw(torch.ones(2, 3), [torch.Generator()] * count)


def test_one_seed_one_text(model):
    first = generate(model, [1, 2, 3], 20, seed=7)
    assert first == generate(model, [1, 2, 3], 20, seed=7)
    assert first == generate(model, [1, 2, 3], 20, seed=np.int64(7))
    assert len({tuple(generate(model, [1, 2, 3], 20, seed=seed)) for seed in (7, 8, None, None)}) == 4


def test_drawing_leaves_the_global_generator_alone(model):
    before = torch.get_rng_state()
    generate(model, [1], 5)
    assert torch.equal(before, torch.get_rng_state())


# ---- one loop, every use

@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_cache_stream_and_batch_write_the_same(model, settings, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 3)                               # so that prompts are read in several pieces
    prompts = [[1, 2, 3, 4, 5, 6, 7, 8], [9], [10, 11, 12]]
    alone = [generate(model, prompt, 12, seed=3 + i, **settings) for i, prompt in enumerate(prompts)]
    assert [len(new) for new in alone] == [12, 12, 12]
    assert generate(model, prompts, 12, seed=3, **settings) == alone
    assert generate(model, prompts, 12, seed=3, cache=False, **settings) == alone
    for cache in (True, False):
        assert [token.id for token in stream(model, prompts[0], 12, seed=3, cache=cache, **settings)] == alone[0]


def test_padding_is_on_the_left_and_brings_no_token_of_its_own():
    ids, real = pad([[1, 2, 3], [9]], torch.device("cpu"))
    assert ids.tolist() == [[1, 2, 3], [9, 9, 9]] and real.tolist() == [[True] * 3, [False, False, True]]
    assert pad([[1], [2]], torch.device("cpu"))[1] is None


def test_settings_do_what_their_functions_do(model):
    """Two tokens by hand, with every filter in its place."""
    ids, generator = [4, 5], torch.Generator().manual_seed(11)
    for _ in range(2):
        logits = model(torch.tensor([ids], device=model.embed.weight.device))[:, -1].cpu()
        logits = temperature(repetition_penalty(logits, torch.tensor([ids]), 1.1), 0.8)
        ids += draw(min_p(top_p(top_k(logits, 20), 0.9), 0.02).softmax(dim=-1), [generator])
    assert generate(model, [4, 5], 2, seed=11, **SETTINGS["all"]) == ids[2:]


@pytest.mark.parametrize("ids", [torch.tensor([4, 5]), (4, 5), torch.tensor([4, 5], dtype=torch.int32)])
def test_one_text_gives_a_list(model, ids):
    assert generate(model, ids, 3, temperature=0) == generate(model, [4, 5], 3, temperature=0)


@pytest.mark.parametrize("ids", [torch.tensor([[4, 5], [6, 7]]), [torch.tensor([4, 5]), [6, 7]]])
def test_several_texts_give_a_list_of_lists(model, ids):
    alone = [generate(model, row, 3, temperature=0) for row in ([4, 5], [6, 7])]
    assert generate(model, ids, 3, temperature=0) == alone


def test_greedy_equals_transformers(tmp_path):
    config = LlamaConfig(vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                         initializer_range=0.3, eos_token_id=None)
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = pretrained.from_folder(tmp_path)
    for prompt in ([1], [5, 80, 3], list(range(1, 31))):      # 0 is padding to theirs
        for penalty in (1.0, 1.4):
            expected = theirs.generate(torch.tensor([prompt]), max_new_tokens=25, do_sample=False, pad_token_id=0,
                                       repetition_penalty=penalty)[0, len(prompt):].tolist()
            assert generate(ours, prompt, 25, temperature=0, repetition_penalty=penalty) == expected


def test_probability_and_entropy_are_the_models_own_before_any_filter(model):
    ids = [1, 2]
    for token in stream(model, ids.copy(), 5, temperature=0.5, top_k=2, repetition_penalty=2.0, seed=0):
        p = model(torch.tensor([ids], device=model.embed.weight.device))[0, -1].softmax(dim=-1)
        assert token.probability == pytest.approx(float(p[token.id]), rel=1e-4)
        assert token.entropy == pytest.approx(float(-(p * p.log2()).sum()), rel=1e-4)
        ids.append(token.id)
    assert len(ids) == 7


def test_only_the_last_position_is_scored(model, monkeypatch):
    shapes = []
    monkeypatch.setattr(model, "head", lambda hidden: shapes.append(hidden.shape) or Transformer.head(model, hidden))
    generate(model, [[1] * 20, [2]], 3)
    assert shapes == [(2, 24)] * 3


def test_a_text_ends_where_the_context_does(model):
    prompt = [1] * (CONTEXT - 4)
    assert len(generate(model, prompt, 100, seed=0)) == 4
    assert generate(model, prompt, 100, seed=0) == generate(model, prompt, 100, seed=0, cache=False)
    assert [len(new) for new in generate(model, [prompt, [1, 2]], 100, seed=0)] == [4, 4]
    assert generate(model, [1], 0) == [] and list(stream(model, [1], 0)) == []


def test_progress_shows_a_bar_and_changes_nothing(model, capsys, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 10)
    quiet = generate(model, [1] * 30, 2, seed=0)
    assert capsys.readouterr().err == ""
    generate(model, [1] * 10, 2, progress=True)
    short = capsys.readouterr().err
    assert "Writing" in short and "Reading" not in short
    assert generate(model, [1] * 30, 2, seed=0, progress=True) == quiet
    assert "Reading" in capsys.readouterr().err


# ---- a cache that is kept

def test_a_kept_cache_is_continued_and_only_what_is_new_is_read(model, monkeypatch):
    read, hidden = [], model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids, *rest: read.append(ids.shape[1]) or hidden(ids, *rest))
    cache = model.cache(1)
    new = [token.id for token in stream(model, [1, 2, 3], 4, seed=0, kv_cache=cache)]
    assert read == [3, 1, 1, 1] and cache.length == 6                               # the last token was not read
    more = [token.id for token in stream(model, [1, 2, 3, *new, 8, 9], 4, seed=1, kv_cache=cache)]
    assert read[4:] == [3, 1, 1, 1]
    monkeypatch.undo()
    assert more == generate(model, [1, 2, 3, *new, 8, 9], 4, seed=1, cache=False)


def test_a_stream_that_is_closed_early_leaves_a_usable_cache(model):
    cache = model.cache(1)
    started = stream(model, [1, 2, 3], 10, seed=0, kv_cache=cache)
    new = [next(started).id, next(started).id]
    started.close()
    assert cache.length == 4 and list(started) == []
    again = [token.id for token in stream(model, [1, 2, 3, *new], 5, seed=1, kv_cache=cache)]
    assert again == generate(model, [1, 2, 3, *new], 5, seed=1)


def test_an_interrupted_pass_leaves_no_half_filled_slots(model, monkeypatch):
    cache = model.cache(1)
    running = stream(model, [1, 2, 3], 10, seed=0, kv_cache=cache)
    next(running)

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(model.blocks[1], "forward", interrupted)            # when the first layer has filled its slot
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert cache.length == 3


# ---- where a text ends

def said(tokenizer, script, stop):
    """What a parrot saying script writes: the ids of generate, the text of stream, the ids of stream."""
    arguments = dict(temperature=0, stop=stop, tokenizer=tokenizer, cache=False)
    tokens = list(stream(Parrot(script), [0], len(script), **arguments))
    text = "".join(token.text for token in tokens)
    return generate(Parrot(script), [0], len(script), **arguments), text, [token.id for token in tokens]


def test_a_stop_token_ends_the_text_and_is_left_out(tokenizer):
    script = tokenizer.encode("fair day<|end|>I have", allowed_special="all")
    for stop in (tokenizer.special_tokens["<|end|>"], [tokenizer.special_tokens["<|end|>"]], "<|end|>"):
        ids, text, streamed = said(tokenizer, script, stop)
        assert tokenizer.decode(ids) == text == "fair day" and ids == streamed


@pytest.mark.parametrize(("text", "stop", "shown"), [
    ("So foul and fair", "fair", "So foul and "),
    ("a day\nUser: I", "\nUser:", "a day"),                 # spans tokens
    ("a day\nUs User: I", "\nUser:", "a day\nUs User: I"),  # only seemed to begin
    ("a day I", " I have", "a day I"),                      # still open at the end: shown after all
    ("foul", "foul", ""),
    ("seen. 🙂🙃 vu", "🙃", "seen. 🙂"),
    ("déjà vu", "à", "déj"),
    ("foul aaab fair", "aab", "foul a"),                    # begins again inside itself
    ("one two", ["x", "two", "ne"], "o"),                   # the first to begin, of several
])
def test_a_stop_string_ends_the_text(tokenizer, text, stop, shown):
    script = tokenizer.encode(text)
    ids, streamed, _ = said(tokenizer, script, stop)
    assert streamed == shown
    kept = tokenizer.decode(ids)
    assert shown.startswith(kept) and script[:len(ids)] == ids
    assert len(ids) == len(script) or shown in kept + tokenizer.decode(script[len(ids):len(ids) + 1])


def test_a_string_inside_a_token_cuts_that_token_in_a_stream_and_drops_it_in_generate(tokenizer):
    script = tokenizer.encode("So foul and")
    assert tokenizer.decode(script[1:2]) == " foul"
    ids, text, streamed = said(tokenizer, script, "ul")
    assert (text, streamed, ids) == ("So fo", script[:2], script[:1])


def test_a_stop_string_is_never_shown_even_in_part(tokenizer):
    script = tokenizer.encode("So foul\nUser: I have not")
    seen = ""
    for token in stream(Parrot(script), [0], 20, temperature=0, stop="\nUser:", tokenizer=tokenizer, cache=False):
        seen += token.text
        assert "\n" not in seen
    assert seen == "So foul"


def test_no_token_shows_half_a_character(tokenizer):
    script = list("é🙂!".encode())                          # one byte a token: ids 0 to 255 are the bytes
    assert tokenizer.decode(script) == "é🙂!"
    tokens = list(stream(Parrot(script), [0], 7, temperature=0, tokenizer=tokenizer, cache=False))
    assert [token.text for token in tokens] == ["", "é", "", "", "", "🙂", "!"]
    tokens = list(stream(Parrot(script), [0], 4, temperature=0, tokenizer=tokenizer, cache=False))
    assert [token.text for token in tokens] == ["", "é", "", ""]


def test_half_a_character_before_a_stop_string_is_not_shown(tokenizer):
    script = [0xF0, 0x9F, ord("x")]                         # two bytes of four, and then the stop itself
    assert said(tokenizer, script, "x") == (script[:2], "", script[:2])
    script = [0xF0, 0x9F, *tokenizer.encode(" foul")]       # the stop begins inside the last token, which ends the half
    assert len(script) == 3 and said(tokenizer, script, "ul") == (script[:2], "� fo", script)
    assert said(tokenizer, script, " f") == (script[:2], "", script[:2])


def test_rows_end_at_their_own_stop(model):
    free = generate(model, [[1, 2], [3]], 12, seed=0)
    stop = [free[0][4], free[1][8]]
    ends = [min(row.index(token) for token in stop if token in row) for row in free]
    assert ends[0] != ends[1]
    assert generate(model, [[1, 2], [3]], 12, seed=0, stop=stop) == [row[:end] for row, end in zip(free, ends)]


# ---- bad input

@pytest.mark.parametrize(("call", "sentence"), [
    (lambda x: temperature(x, -1), "temperature is -1"), (lambda x: temperature(x, NAN), "temperature is nan"),
    (lambda x: temperature(x, INF), "temperature is inf"), (lambda x: temperature(x, "hot"), "temperature is 'hot'"),
    (lambda x: top_k(x, 0), "top_k is 0"), (lambda x: top_k(x, 2.5), "top_k is 2.5"),
    (lambda x: top_p(x, 0), "top_p is 0"), (lambda x: top_p(x, 1.1), "top_p is 1.1"),
    (lambda x: top_p(x, NAN), "top_p is nan"), (lambda x: min_p(x, -0.1), "min_p is -0.1"),
    (lambda x: min_p(x, 2), "min_p is 2"), (lambda x: min_p(x, NAN), "min_p is nan"),
    (lambda x: repetition_penalty(x, torch.tensor([1]), 0), "repetition_penalty is 0"),
    (lambda x: repetition_penalty(x, torch.tensor([4]), 1.2), "ids holds tokens"),
])
def test_values_out_of_range_are_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(torch.zeros(4))


@pytest.mark.parametrize("function", [lambda x: temperature(x, 1), lambda x: top_k(x, 1), lambda x: top_p(x, 0.5),
                                      lambda x: min_p(x, 0.5), lambda x: repetition_penalty(x, torch.tensor([0]), 2.0)])
@pytest.mark.parametrize(("logits", "sentence"), [
    ([-INF, -INF, -INF], "all -inf"), ([0.0, NAN, 1.0], "NaN"), ([0.0, INF, 1.0], "inf"), ([1, 2, 3], "give floats"),
    ([], "give floats"),
])
def test_logits_that_leave_nothing_to_choose_are_refused(function, logits, sentence):
    with pytest.raises(ValueError, match=sentence):
        function(torch.tensor(logits))


@pytest.mark.parametrize(("arguments", "sentence"), [
    (dict(ids=[]), "ids is empty"), (dict(ids=torch.tensor([])), "ids is empty"),
    (dict(ids=[[1], []]), "ids holds an empty text"),
    (dict(ids=[1] * CONTEXT), f"ids has {CONTEXT} tokens"), (dict(ids=[V]), f"ids holds {V}"),
    (dict(ids=[-1]), "ids holds -1"), (dict(ids=[1.0]), "ids holds 1.0"), (dict(ids="text"), "ids is 'text'"),
    (dict(ids=torch.ones(2)), "ids holds 1.0"), (dict(ids=["a"]), "ids holds 'a'"), (dict(ids=5), "ids is 5"),
    (dict(ids=torch.tensor(5)), "ids is 5; give a list of tokens"), (dict(ids=np.array(5)), "ids is 5"),
    (dict(ids=[[1], 2]), r"ids holds \[1\]"), (dict(ids=[True]), "ids holds True"),
    (dict(temperature=-0.1), "temperature is -0.1"), (dict(temperature=NAN), "temperature is nan"),
    (dict(top_k=0), "top_k is 0"), (dict(top_p=0), "top_p is 0"), (dict(top_p=1.5), "top_p is 1.5"),
    (dict(min_p=1.5), "min_p is 1.5"), (dict(repetition_penalty=-1), "repetition_penalty is -1"),
    (dict(max_new_tokens=-1), "max_new_tokens is -1"), (dict(max_new_tokens=2.5), "max_new_tokens is 2.5"),
    (dict(stop=[2.5]), "stop holds 2.5"), (dict(stop=[""]), "stop holds ''"), (dict(stop=V), f"stop holds {V}"),
    (dict(stop=None), "stop is None; give a token, a string, or a list"), (dict(stop=2.5), "stop is 2.5"),
    (dict(stop="\n"), "tokenizer is None"), (dict(seed="x"), "seed is 'x'"), (dict(seed=True), "seed is True"),
    (dict(seed=2**70), "seed is 1180591620717411303424; give a whole number from"), (dict(seed=-2**64), "seed is -184"),
])
@pytest.mark.parametrize("write", [generate, stream])
def test_bad_arguments_are_refused_at_the_call(model, write, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        write(model, **(dict(ids=[1, 2], max_new_tokens=3) | arguments))


def test_stream_writes_one_text(model):
    with pytest.raises(ValueError, match="ids holds 2 texts"):
        stream(model, [[1], [2]], 3)


@pytest.mark.parametrize(("capacity", "held", "sentence"), [(20, 2, "at least its last"), (4, 0, "room for 4 tokens")])
def test_a_kept_cache_that_does_not_fit_is_refused(model, capacity, held, sentence):
    cache = model.cache(1, capacity)
    if held:
        model(torch.ones(1, held, dtype=torch.int64, device=model.embed.weight.device), cache)
    with pytest.raises(ValueError, match=sentence):
        stream(model, [1, 1], 10, kv_cache=cache)


def test_a_broken_model_and_an_encoder_are_refused():
    model = Transformer(Config(vocabulary=V, context=CONTEXT, d_model=8, layers=1, heads=1)).requires_grad_(False)
    model.norm.weight.fill_(NAN)
    with pytest.raises(ValueError, match="logits hold NaN"):
        generate(model, [1, 2], 3)
    encoder = Transformer(Config(vocabulary=V, context=CONTEXT, d_model=8, layers=1, heads=1, causal=False))
    with pytest.raises(ValueError, match="model gives no scores"):
        generate(encoder, [1, 2], 3)


# ---- the real model

def test_smollm2_says_paris_less_often_the_hotter_it_is():
    model, tokenizer = pretrained.smollm2()
    ids = tokenizer.encode("The capital of France is")
    first = next(stream(model, ids, 1, temperature=0, tokenizer=tokenizer))
    assert first.text == " Paris" and first.probability == pytest.approx(0.773, abs=0.001)
    assert tokenizer.decode(generate(model, ids, 20, temperature=0, stop=".", tokenizer=tokenizer)) == " Paris"
    with torch.inference_mode():
        logits = model.head(model.hidden(torch.tensor([ids]))[:, -1])               # (1, V)
    paris = [float(temperature(logits, value).softmax(dim=-1)[0, first.id]) for value in (0.1, 1.0, 2.0)]
    assert paris[0] > 0.999 and paris[1] == pytest.approx(0.773, abs=0.001) and paris[2] < 0.1
