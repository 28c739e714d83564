"""Serving: every answer is the one that its request gets alone, whoever else sits in the batch, and when."""
import random
import string
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from helpers import pretrained
from helpers.kv_cache import KVCache
from helpers.sampling import generate
from helpers.serving import Stay, serve
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer
from small_models import DEVICES, V, small_model

CONTEXT = 48
GREEDY, FILTERS = dict(temperature=0), dict(temperature=0.9, top_k=50, top_p=0.9, min_p=0.01)
STOPS = list(range(0, V, 10))                               # so many that some answers end early
KINDS = ["rope", "learned", "sinusoidal", "alibi"]


@pytest.fixture(scope="module", params=DEVICES)
def model(request):
    return small_model(CONTEXT).to(request.param)


def tiny(positions):
    torch.manual_seed(0)
    model = Transformer(Config(vocabulary=V, context=20, d_model=24, layers=2, heads=4, positions=positions))
    for parameter in model.requires_grad_(False).parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.3)
    return model


def drawn(seed, count=9, longest=12, most=9):
    """Prompts, the lengths of their answers and arrivals, all unequal; some prompts are one token, some answers too."""
    source = random.Random(seed)
    prompts = [[source.randrange(V) for _ in range(source.randint(1, longest))] for _ in range(count)]
    return (prompts, [source.randint(1, most) for _ in prompts], [source.randrange(15) for _ in prompts])


def alone(model, prompts, lengths, seed=None, **settings):
    return [generate(model, prompt, length, seed=None if seed is None else seed + i, **settings)
            for i, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))]


# ---- the same answers

@pytest.mark.parametrize("slots", [1, 2, 3, 12])
@pytest.mark.parametrize("stop", [(), STOPS], ids=["long", "stops"])
@pytest.mark.parametrize("settings", [GREEDY, FILTERS], ids=["greedy", "drawn"])
def test_every_answer_is_that_of_the_request_alone(model, slots, stop, settings):
    early = 0
    for seed in range(4):
        prompts, lengths, arrivals = drawn(seed)
        expected = alone(model, prompts, lengths, seed, stop=stop, **settings)
        for continuous in (True, False):
            for there in (0, arrivals):
                service = serve(model, prompts, lengths, slots, continuous, stop=stop, seed=seed, arrivals=there,
                                **settings)
                assert service.answers == expected and service.tokens == sum(map(len, expected))
        early += sum(len(answer) < length for answer, length in zip(expected, lengths))
    assert (early > 4) == bool(stop)


def test_one_length_for_all_and_greedy_by_default(model):
    prompts, _, _ = drawn(0)
    assert serve(model, prompts, 6).answers == alone(model, prompts, [6] * 9, temperature=0)
    tensor = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert serve(model, tensor, (2, 3)).answers == alone(model, tensor.tolist(), (2, 3), temperature=0)


def test_an_answer_that_ends_at_once_takes_one_step(model):
    prompts, [first] = [[1, 2], [3], [4, 5, 6]], generate(model, [3], 1, temperature=0)
    service = serve(model, prompts, 4, slots=1, stop=first)
    assert service.answers[1] == [] and service.timeline[1].first_step == service.timeline[1].last_step
    assert service.answers == alone(model, prompts, [4] * 3, temperature=0, stop=first)


def test_an_answer_ends_where_the_context_does(model):
    prompts = [[5] * 3, [7] * (CONTEXT - 1), [9] * (CONTEXT - 4), [8]]
    expected = alone(model, prompts, [100] * 4, temperature=0)
    assert list(map(len, expected)) == [CONTEXT - 3, 1, 4, CONTEXT - 1]
    for slots in (1, 2, 4):
        assert serve(model, prompts, 100, slots).answers == expected


def test_stop_strings_end_an_answer_as_in_generate(model):
    tokenizer = BPETokenizer.train("So foul and fair a day I have not seen. User: 🙂🙃 déjà vu\n" * 3, V - 1)
    prompts, lengths, _ = drawn(2)
    begun = [letter + "☃" for letter in string.printable]           # never ends, but may have begun in the last token
    settings = dict(temperature=1, stop=["a", "o", *begun], tokenizer=tokenizer)
    expected = alone(model, prompts, lengths, 1, **settings)
    assert serve(model, prompts, lengths, 3, seed=1, **settings).answers == expected
    assert any(map(len, expected)) and list(map(len, expected)) != lengths


def test_one_seed_one_service_and_nothing_else_is_drawn(model):
    prompts, lengths, _ = drawn(0)
    before = torch.get_rng_state()
    first = serve(model, prompts, lengths, temperature=1, seed=7)
    assert first == serve(model, prompts, lengths, temperature=1, seed=7)
    assert first.answers != serve(model, prompts, lengths, temperature=1).answers
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("positions", KINDS)
def test_a_run_much_longer_than_the_context_has_room_and_is_right(monkeypatch, positions):
    model = tiny(positions)
    lengths_before, drop = [], KVCache.drop_padding
    monkeypatch.setattr(KVCache, "drop_padding", lambda cache: lengths_before.append(cache.length) or drop(cache))
    prompts, lengths, _ = drawn(3, count=40, longest=9)
    expected = alone(model, prompts, lengths, temperature=0)
    passes = watch(monkeypatch)
    service = serve(model, prompts, lengths, 3)
    assert service.answers == expected
    room = max(len(prompt) + length for prompt, length in zip(prompts, lengths))
    assert service.steps > 3 * 20 and lengths_before.count(room) > 3                # full, and it went on
    assert len(passes) == service.steps and max(length for length, _, _ in passes) == room


def watch(monkeypatch):
    """Of each pass that writes: the cache's length, the real tokens of its longest row, and whether it is masked."""
    passes, extend = [], KVCache.extend

    def watched(cache, config, batch, new, padding_mask):
        seen = extend(cache, config, batch, new, padding_mask)
        if batch > 1:                                       # a prompt is read alone
            passes.append((cache.length, int(cache.real[:, :cache.length].sum(dim=1).max()), seen is not None))
        return seen

    monkeypatch.setattr(KVCache, "extend", watched)
    return passes


@pytest.mark.parametrize("continuous", [True, False])
def test_never_is_most_of_the_cache_padding_that_all_rows_have(model, monkeypatch, continuous):
    passes = watch(monkeypatch)
    for seed in range(4):
        prompts, lengths, arrivals = drawn(seed, count=20)
        serve(model, prompts, [*lengths[:-1], 30], 3, continuous, arrivals=arrivals)        # which has room for 30
    assert len(passes) > 100 and all(length < 2 * longest for length, longest, _ in passes)


def test_nothing_is_left_in_the_cache_of_a_batch_that_has_ended(model, monkeypatch):
    """The second batch begins with its own prompts, of one length, and needs no mask."""
    passes = watch(monkeypatch)
    serve(model, [[1, 2, 3], [4], [5, 6], [7, 8], [9] * 20], [5, 1, 2, 2, 1], 2, continuous=False)
    assert passes == [(length, length, True) for length in range(3, 8)] + [(2, 2, False), (3, 3, False), (20, 20, True)]


# ---- who sits where

def test_a_timeline_worked_by_hand(model):
    prompts, lengths = [[1, 2, 3], [4], [5, 6], [7, 8]], [5, 1, 1, 3]
    static = serve(model, prompts, lengths, 2, continuous=False)
    assert static.timeline == [Stay(0, 0, 0, 4), Stay(1, 1, 0, 0), Stay(2, 0, 5, 5), Stay(3, 1, 5, 7)]
    assert (static.steps, static.utilisation, static.waits, static.tokens) == (8, 10 / 16, [0, 0, 5, 5], 10)
    service = serve(model, prompts, lengths, 2)
    assert service.timeline == [Stay(0, 0, 0, 4), Stay(1, 1, 0, 0), Stay(2, 1, 1, 1), Stay(3, 1, 2, 4)]
    assert (service.steps, service.utilisation, service.waits, service.tokens) == (5, 1, [0, 0, 1, 2], 10)


@pytest.mark.parametrize(("arrivals", "slots", "stays", "steps", "waits"), [
    ([3, 0, 9], 1, [(0, 3, 4), (0, 0, 1), (0, 9, 9)], 5, [0, 0, 0]),        # from step to step there may be nobody
    ([1, 0, 1], 1, [(0, 2, 3), (0, 0, 1), (0, 4, 4)], 5, [1, 0, 3]),        # of those that came at once, in order
    ([1, 1, 0], 2, [(0, 1, 2), (1, 1, 2), (0, 0, 0)], 3, [0, 0, 0]),
    (6, 2, [(0, 6, 7), (1, 6, 7), (0, 8, 8)], 3, [0, 0, 2]),
])
def test_requests_that_arrive_later_by_hand(model, arrivals, slots, stays, steps, waits):
    service = serve(model, [[1, 2], [3], [4]], [2, 2, 1], slots, arrivals=arrivals)
    assert service.timeline == [Stay(i, *stay) for i, stay in enumerate(stays)]
    assert (service.steps, service.waits) == (steps, waits)
    assert service.utilisation == 5 / (slots * steps)


@pytest.mark.parametrize("seed", range(5))
def test_no_slot_holds_two_and_none_is_free_while_one_waits(model, seed):
    prompts, lengths, arrivals = drawn(seed, count=20)
    for continuous in (True, False):
        service = serve(model, prompts, lengths, 3, continuous, arrivals=arrivals)
        held = Counter((stay.slot, step) for stay in service.timeline for step in steps_of(stay))
        assert max(held.values()) == 1 and {slot for slot, _ in held} == {0, 1, 2}
        assert [len(steps_of(stay)) for stay in service.timeline] == lengths
        busy = Counter(step for _, step in held)
        assert len(busy) == service.steps and service.utilisation == sum(lengths) / (3 * service.steps)
        for stay, arrival in zip(service.timeline, arrivals, strict=True):
            full = [busy[step] == 3 for step in range(arrival, stay.first_step)]
            assert stay.first_step >= arrival and (all(full) or not continuous)
            if not continuous:                              # whoever is let in finds nobody from before
                assert not any(other.first_step < stay.first_step <= other.last_step for other in service.timeline)


def steps_of(stay):
    return range(stay.first_step, stay.last_step + 1)


@pytest.mark.parametrize("continuous", [True, False])
def test_each_step_is_one_pass_and_each_prompt_another(model, monkeypatch, continuous):
    prompts, lengths, _ = drawn(1)
    shapes, scored = [], []
    hook = model.blocks[0].register_forward_pre_hook(lambda block, inputs: shapes.append(tuple(inputs[0].shape[:2])))
    monkeypatch.setattr(model, "head", lambda hidden: scored.append(len(hidden)) or Transformer.head(model, hidden))
    with hook:
        service = serve(model, prompts, lengths, 4, continuous)
    read = [(1, len(prompt) - 1) for prompt in prompts if len(prompt) > 1]
    assert Counter(shapes) == Counter([(4, 1)] * service.steps + read)
    assert sum(scored) == sum(lengths) + len(read)          # nobody scores what comes of an idle slot


def test_slots_that_no_request_can_take_are_in_no_pass(model, monkeypatch):
    passes = []
    hook = model.blocks[0].register_forward_pre_hook(lambda block, inputs: passes.append(inputs[0].shape[:2]))
    with hook:
        service = serve(model, [[1], [2], [3]], [2, 1, 2], 12)
    assert passes == [(3, 1)] * 2 and service.slots == 12 and service.utilisation == 5 / 24


# ---- what it leaves behind

@pytest.mark.parametrize("call", [0, 1, 5, 20])
def test_an_interrupted_run_leaves_nothing_behind(model, monkeypatch, call):
    prompts, lengths, _ = drawn(0)
    asked = [prompt.copy() for prompt in prompts]
    expected = serve(model, prompts, lengths, 2, temperature=1, seed=3)
    forward, calls = model.blocks[1].forward, iter(range(1000))

    def interrupted(*args):
        if next(calls) == call:
            raise KeyboardInterrupt
        return forward(*args)

    monkeypatch.setattr(model.blocks[1], "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve(model, prompts, lengths, 2, temperature=1, seed=3)
    monkeypatch.undo()
    assert prompts == asked and serve(model, prompts, lengths, 2, temperature=1, seed=3) == expected


def test_progress_shows_a_bar_and_changes_nothing(model, capsys):
    quiet = serve(model, [[1, 2], [3]], 5)
    assert capsys.readouterr().err == ""
    assert serve(model, [[1, 2], [3]], 5, progress=True) == quiet
    assert "Serving" in capsys.readouterr().err


# ---- the cache

@pytest.mark.parametrize("positions", KINDS)
def test_a_cache_takes_a_newcomer_and_gives_back_its_padding(positions):
    """Two rows, one of which is left and taken by a longer text, then a shorter one; each goes on as if alone."""
    model, texts = tiny(positions), [[1, 2, 3], [4, 5]]
    cache = model.cache(2, 9)
    cache.keys.fill_(torch.nan), cache.values.fill_(torch.nan)                      # as memory may hold
    for row, text in enumerate(texts):
        cache.put(row, read(model, text))
    goes_on(model, cache, texts, length=3)
    texts[1] = [6] * 7
    cache.put(1, read(model, texts[1]))
    goes_on(model, cache, texts, length=7)
    assert cache.length == 8
    texts[1] = [7]
    cache.put(1, read(model, texts[1]))
    cache.drop_padding()
    goes_on(model, cache, texts, length=5)                  # the first row's three tokens and what was added twice
    cache.forget(0)
    cache.drop_padding()
    assert cache.length == 2 and cache.real[1].all() and not cache.real[0, :2].any()
    cache.forget(1)
    cache.drop_padding()
    assert cache.length == 0 and cache.real.all()


def read(model, text):
    cache = model.cache(1)
    model(torch.tensor([text]), cache)
    return cache


def goes_on(model, cache, texts, length):
    """Both rows read token 9, and score what follows as without a cache."""
    assert cache.length == length
    got = model(torch.tensor([[9], [9]]), cache, torch.ones(2, 1, dtype=torch.bool))[:, -1]
    for row, text in enumerate(texts):
        text.append(9)
        assert_close(got[row], model(torch.tensor([text]))[0, -1], atol=3e-5, rtol=3e-5)


def test_a_cache_without_padding_says_so():
    """So that attention needs no mask again."""
    model = tiny("rope")
    cache = model.cache(2, 9)
    for row, text in enumerate([[1, 2, 3], [4, 5]]):
        cache.put(row, read(model, text))
    assert cache.padded
    cache.put(1, read(model, [4, 5, 6]))
    assert not cache.padded
    cache.forget(0), cache.forget(1)
    assert cache.padded
    cache.drop_padding()
    assert cache.length == 0 and not cache.padded


@pytest.mark.parametrize(("sizes", "sentence"), [
    ((1, 2.5), r"capacity is 2.5; give 1 to 20, a whole number"), ((1, "3"), "capacity is '3'; give 1 to 20"),
    ((1.5, 3), "batch is 1.5; give at least 1, a whole number of rows."), (("2", 3), "batch is '2'")])
def test_a_cache_has_whole_numbers_of_rows_and_tokens(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny("rope").cache(*sizes)


def test_what_a_cache_cannot_put_is_refused_and_changes_nothing():
    model, other = small_model(CONTEXT), small_model(CONTEXT + 1)
    cache = model.cache(2, 4)
    cache.put(0, read(model, [1, 2]))
    before = cache.keys.clone(), cache.real.clone()
    for wrong, said in ((read(other, [1]), "1 rows and 1 tokens"), (model.cache(3), "3 rows and 0 tokens"),
                        (read(model, [1] * 5), "1 rows and 5 tokens")):
        with pytest.raises(ValueError, match=f"other is a cache of {said}; give one of the same model, with 1 row and "
                                             "at most 4 tokens."):
            cache.put(0, wrong)
    for row in (-1, 2):
        with pytest.raises(ValueError, match=f"row is {row}; the cache has 2 rows, so give 0 to 1."):
            cache.put(row, read(model, [1]))
    assert cache.length == 2 and torch.equal(cache.real, before[1])
    assert torch.equal(cache.keys[:, :, :, :2], before[0][:, :, :, :2])


# ---- bad input

@pytest.mark.parametrize(("arguments", "sentence"), [
    (dict(prompts=[1, 2]), "prompts holds one text; give a list of texts, or use generate."),
    (dict(prompts=[]), "prompts is empty"), (dict(prompts=[[1], [V]]), f"prompts holds {V}; this model's tokens are"),
    (dict(prompts=[[1], []]), "prompts holds an empty text"), (dict(prompts=5), "prompts is 5"),
    (dict(prompts=[[1], ["a"]]), "prompts holds 'a'"),
    (dict(prompts=[[1], [1] * CONTEXT]), f"prompts[1] has {CONTEXT} tokens"),
    (dict(slots=0), "slots is 0; give a whole number of at least 1."), (dict(slots=1.5), "slots is 1.5; give a whole"),
    (dict(max_new_tokens=0), "max_new_tokens is 0; give a whole number of at least 1, or one for each of 2 requests."),
    (dict(max_new_tokens=[3, 0]), "max_new_tokens is [3, 0]"), (dict(max_new_tokens=[3]), "max_new_tokens is [3];"),
    (dict(max_new_tokens=2.5), "max_new_tokens is 2.5"), (dict(max_new_tokens="ab"), "max_new_tokens is 'ab'"),
    (dict(arrivals=[0, -1]), "arrivals is [0, -1]; give a whole number of at least 0, or one for each of 2 requests."),
    (dict(arrivals=[0] * 3), "arrivals is [0, 0, 0]"), (dict(arrivals=None), "arrivals is None"),
    (dict(temperature=-1), "temperature is -1"), (dict(top_k=0), "top_k is 0"), (dict(top_p=2), "top_p is 2"),
    (dict(min_p=2), "min_p is 2"), (dict(seed="x"), "seed is 'x'"), (dict(stop=V), f"stop holds {V}"),
    (dict(stop="x"), "stop holds the string 'x', and tokenizer is None; pass tokenizer=... as well."),
])
def test_bad_arguments_are_refused(model, arguments, sentence):
    with pytest.raises(ValueError) as error:
        serve(model, **dict(prompts=[[1, 2], [3]], max_new_tokens=9) | arguments)
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_a_model_that_gives_nan_is_refused():
    model = small_model(CONTEXT)
    model.embed.weight[3] = torch.nan
    with pytest.raises(ValueError, match="logits hold NaN"):
        serve(model, [[1], [3]], 2)


# ---- the real model

def test_smollm2_answers_six_requests_in_three_slots_as_alone():
    model, tokenizer = pretrained.smollm2()
    texts = ["The capital of France is", "Once upon a time there was a fox who", "1, 2, 3,", "Water",
             "My favourite colour has always been", "The gulls follow the boats past the lighthouse, and"]
    prompts, lengths = [tokenizer.encode(text) for text in texts], [12, 3, 8, 5, 1, 10]
    expected = alone(model, prompts, lengths, temperature=0)
    static, service = (serve(model, prompts, lengths, 3, continuous) for continuous in (False, True))
    assert static.answers == service.answers == expected
    assert (static.steps, service.steps) == (22, 18)           # 12 + 10, and 8 + 10
