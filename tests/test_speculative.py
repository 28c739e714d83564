"""Speculative decoding: the same tokens when greedy, the same distribution when drawn, whatever a draft proposes."""
import functools
import math
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from helpers import pretrained, speculative
from helpers.sampler import Sampler, draw
from helpers.sampling import generate
from helpers.speculative import ModelDraft, PromptLookup, Speculation, accept, first_layers, speculate
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer
from small_models import DEVICES, V, small_model

CONTEXT = 48
RUNS = 1_000                # texts that are counted, of three tokens each
FILTERS = dict(temperature=0.7, top_k=3, top_p=0.95)
SETTINGS = {"greedy": dict(temperature=0), "plain": dict(), "filters": FILTERS,
            "penalty": dict(repetition_penalty=1.5, min_p=0.2)}
PROMPT = [1, 2, 0, 1, 2]    # so that a lookup finds something


@functools.cache
def tiny(vocabulary, seed, layers=1):
    """A model that likes some tokens more than others, and another with another seed."""
    torch.manual_seed(seed)
    model = Transformer(Config(vocabulary=vocabulary, context=16, d_model=8, layers=layers, heads=2))
    for parameter in model.requires_grad_(False).parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.4)
    return model


class Slots:
    """Stands in for a KV cache: it holds the tokens themselves."""

    def __init__(self, capacity):
        self.ids, self.capacity = [], capacity

    @property
    def length(self):
        return len(self.ids)

    def truncate(self, length):
        del self.ids[length:]


class Scores:
    """Stands in for a model: score(text) gives the logits (V,) of what follows it, and is asked once for each text."""

    def __init__(self, score, vocabulary):
        self.score, self.widths = functools.cache(score), []
        self.config = Config(vocabulary=vocabulary, context=CONTEXT, d_model=2, layers=1, heads=1)
        self.device = torch.device("cpu")

    @classmethod
    def of(cls, model):
        return cls(lambda text: model(torch.tensor([text]))[0, -1], model.config.vocabulary)

    @classmethod
    def saying(cls, script, prompt):
        return cls(lambda text: 50.0 * torch.eye(V)[script[len(text) - len(prompt)]], V)

    def cache(self, batch, capacity=None):
        return Slots(capacity or CONTEXT)

    def hidden(self, ids, cache, padding_mask=None):
        before = cache.length
        cache.ids += ids[0].tolist()
        self.widths.append(ids.shape[1])
        return torch.stack([self.score(tuple(cache.ids[:end + 1])) for end in range(before, cache.length)])[None]

    def head(self, hidden):
        return hidden


class Told:
    """A draft that proposes what it was told to, and notes what it was asked."""

    def __init__(self, *proposals, probabilities=None):
        self.proposals, self.probabilities, self.asked = list(proposals), probabilities, []

    def propose(self, ids, count, sampler, generator):
        self.asked.append((ids.copy(), count))
        return self.proposals.pop(0) if self.proposals else [], self.probabilities


@pytest.fixture(scope="module", params=DEVICES)
def model(request):
    return small_model(CONTEXT).to(request.param)


@pytest.fixture(scope="module")
def other(model):
    """A draft that is right now and then: the model, a little disturbed."""
    other, random = small_model(CONTEXT), torch.Generator().manual_seed(1)
    for parameter in other.parameters():
        parameter += 0.04 * torch.randn(parameter.shape, generator=random)
    return other.to(model.device)


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train("So foul and fair a day I have not seen. User: 🙂🙃 déjà vu\n" * 3, V - 1)


def drafts(model, other):
    """One of each kind."""
    return [PromptLookup(), PromptLookup(longest=1), ModelDraft(other), ModelDraft(first_layers(model, 1)), Told()]


# ---- one token is kept or replaced

def shares(seed, rows, size=5):
    """Random probabilities (rows, size), a few of them 0."""
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, size, generator=random, dtype=torch.float64)
    return logits.masked_fill(torch.rand(rows, size, generator=random) < 0.2, -torch.inf).softmax(dim=-1)


def by_hand(p, q, tokens):
    """The probability of each (kept, next token), by plain loops."""
    law, still = {}, 1.0
    for i, token in enumerate(tokens):
        keep = min(1.0, p[i][token] / q[i][token])
        rest = [max(a - b, 0.0) for a, b in zip(p[i], q[i])]
        for new, weight in enumerate(rest):
            law[i, new] = still * (1 - keep) * weight / sum(rest)
        still *= keep
    return law | {(len(tokens), new): still * weight for new, weight in enumerate(p[-1])}


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_follows_the_rule(seed):
    """5,000 times: every frequency within 4.5 standard errors (1 seed in 3,000 would miss one by chance)."""
    p, q = shares(seed, 3), shares(seed + 100, 2)
    tokens = draw(q, [torch.Generator().manual_seed(seed)] * 2)
    generator = torch.Generator().manual_seed(seed)
    found = Counter(accept(p, q, tokens, generator) for _ in range(5_000))
    law = by_hand(p.tolist(), q.tolist(), tokens)
    assert set(found) <= set(law) and sum(law.values()) == pytest.approx(1)
    for outcome, weight in law.items():
        assert abs(found[outcome] / 5_000 - weight) <= 4.5 * math.sqrt(weight * (1 - weight) / 5_000)


@pytest.mark.parametrize("seed", range(4))
def test_who_draws_from_q_and_asks_has_drawn_from_p(monkeypatch, seed):
    """The first token of all that can happen, each with its exact probability."""
    p, q = shares(seed, 3), shares(seed + 100, 2)

    def first(generator=None):
        tokens = speculative.draw(q, [generator] * 2)
        kept, new = accept(p, q, tokens, generator)
        return (*tokens[:kept], new)[0]

    found = law_of(first, monkeypatch)
    assert_close(torch.tensor([found[token] for token in range(5)], dtype=torch.float64), p[0])


def test_where_p_and_q_are_equal_but_for_rounding_the_token_comes_from_p(monkeypatch):
    p, q = torch.tensor([[0.5, 0.4999], [1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([0.9999], dtype=torch.float64))
    assert accept(p, q, [1], torch.Generator()) == (0, 1)


@pytest.mark.parametrize(("p", "q", "tokens", "sentence"), [
    ([[0.5, 0.5]] * 3, [[0.5, 0.5]], [1], r"p is (3, 2) and q (1, 2) for 1 tokens; give p (n + 1, V) and q (n, V)."),
    ([[0.5, 0.5]] * 2, [[0.5, 0.2, 0.3]], [1], "p is (2, 2) and q (1, 3) for 1 tokens; give"),
    ([[0.5, 0.5]] * 2, [[0.5, 0.5]], [1, 1], "p is (2, 2) and q (1, 2) for 2 tokens; give"),
    ([[0.5, 0.4]] * 2, [[0.5, 0.5]], [1], "p or q has a row with NaN, a number below 0, or a sum that is not 1; give"),
    ([[0.5, 0.5]] * 2, [[1.5, -0.5]], [0], "p or q has a row with NaN"),
    ([[0.5, 0.5]] * 2, [[math.nan, 0.5]], [1], "p or q has a row with NaN"),
    ([[0.5, 0.5]] * 2, [[1.0, 0.0]], [1], "tokens[0] is 1, which has no probability in q; propose only what q can"),
    ([[0.5, 0.5]] * 2, [[0.5, 0.5]], [2], "tokens[0] is 2, which has no probability in q"),
])
def test_numbers_that_are_no_proposals_are_refused(p, q, tokens, sentence):
    with pytest.raises(ValueError) as error:
        accept(torch.tensor(p), torch.tensor(q), tokens, torch.Generator())
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


# ---- the distribution, worked out

class Dart:
    """Stands in for a random number of which only one thing is asked: whether scale times it reaches p."""

    def __init__(self, choose, scale=1.0):
        self.choose, self.scale = choose, scale

    def __mul__(self, scale):
        return Dart(self.choose, float(scale))

    def __ge__(self, p):
        falls_short = min(1.0, float(p) / self.scale)
        return self.choose([falls_short, 1 - falls_short]) == 1


def law_of(write, monkeypatch):
    """How probable each thing is that write() may return: it is called once for each way in which chance can go."""
    found, ways = Counter(), [[]]
    while ways:
        way, weights = ways.pop(), []                       # way: which side was taken, at each fork

        def choose(probabilities):
            if len(weights) == len(way):
                first, *others = [side for side, weight in enumerate(probabilities) if weight > 0]
                ways.extend([*way, side] for side in others)
                way.append(first)
            weights.append(probabilities[way[len(weights)]])
            return way[len(weights) - 1]

        with monkeypatch.context() as patch:
            patch.setattr(torch, "rand", lambda *_, **__: Dart(choose))
            patch.setattr(speculative, "draw", lambda rows, _: [choose((row / row.sum()).tolist()) for row in rows])
            result = write()
        found[result] += math.prod(weights)
    return found


def exact_law(model, new, **settings):
    """How probable each text of `new` tokens after PROMPT is, by the model alone, without a cache."""
    sampler, texts, weights = Sampler(**settings), torch.tensor([PROMPT]), torch.ones(1, 1, dtype=torch.float64)
    size = model.config.vocabulary
    for _ in range(new):
        p = sampler.filter(model(texts)[:, -1], texts).double().softmax(dim=-1)                 # (N, V)
        texts = torch.cat([texts.repeat_interleave(size, dim=0), torch.arange(size).repeat(len(texts))[:, None]], dim=1)
        weights = (weights * p).view(-1, 1)                                                     # (N V, 1)
    return dict(zip(map(tuple, texts[:, len(PROMPT):].tolist()), weights[:, 0].tolist()))


def keeps_all(p, q, tokens, generator):
    """A wrong rule: whatever the draft proposes is kept."""
    return len(tokens), speculative.draw(p[-1:], [generator])[0]


def draws_from_p(p, q, tokens, generator):
    """A wrong rule: what is not kept is replaced by a draw from p, not from max(p - q, 0)."""
    for i, token in enumerate(tokens):
        if torch.rand(1, generator=generator, dtype=torch.float64) * q[i, token] >= p[i, token]:
            return i, speculative.draw(p[i:i + 1], [generator])[0]
    return len(tokens), speculative.draw(p[-1:], [generator])[0]


KINDS = {"layers": lambda: ModelDraft(first_layers(tiny(4, 0, layers=2), 1)), "lookup": PromptLookup}


def distance(kind, monkeypatch, **settings):
    """The largest difference of what speculate writes from what the model alone would, over all texts of 3 tokens."""
    model, draft = tiny(4, 0, layers=2), KINDS[kind]()
    found = law_of(lambda: tuple(speculate(model, PROMPT, 3, draft, lookahead=2, **settings).ids), monkeypatch)
    exact = exact_law(model, 3, **settings)
    return max(abs(found[text] - exact[text]) for text in exact | found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["plain", "filters", "penalty"])
def test_every_text_is_as_probable_as_by_the_model_alone(monkeypatch, kind, name):
    assert distance(kind, monkeypatch, **SETTINGS[name]) < 1e-6


@pytest.mark.parametrize("wrong", [keeps_all, draws_from_p])
def test_a_wrong_rule_gives_other_probabilities(monkeypatch, wrong):
    monkeypatch.setattr(speculative, "accept", wrong)
    assert distance("lookup", monkeypatch) > 0.01


# ---- the distribution, counted

def chance(counts, law):
    """How often chance alone takes counts so far from a law: Pearson's chi-square, with all rare texts as one."""
    assert not set(counts) - {text for text, weight in law.items() if weight > 0}
    runs = sum(counts.values())
    cells = [(counts[text], runs * weight) for text, weight in law.items() if weight > 0]
    often = [cell for cell in cells if cell[1] >= 5]
    rare = tuple(map(sum, zip(*[cell for cell in cells if cell[1] < 5])))
    cells = often + [rare] * bool(rare)
    statistic = sum((found - expected) ** 2 / expected for found, expected in cells)
    halves = torch.tensor([len(cells) - 1, statistic], dtype=torch.float64) / 2
    return float(torch.special.gammaincc(*halves))


def counted(draft, runs=RUNS, **settings):
    """How often chance alone is so far from the model's own distribution as what speculate writes."""
    model, scores = tiny(7, 0), Scores.of(tiny(7, 0))
    counts = Counter(tuple(speculate(scores, PROMPT, 3, draft, lookahead=2, seed=seed, **settings).ids)
                     for seed in range(runs))
    return chance(counts, exact_law(model, 3, **settings))


COUNTED = {"plain": (lambda: ModelDraft(Scores.of(tiny(7, 1))), {}), "lookup": (PromptLookup, {}),
           "filters": (lambda: ModelDraft(Scores.of(tiny(7, 1))), FILTERS)}


@pytest.mark.parametrize("draft, settings", COUNTED.values(), ids=COUNTED)
def test_texts_come_as_often_as_by_the_model_alone(draft, settings):
    """By a right rule, 1 set of seeds in 1,000 would miss this by chance."""
    assert counted(draft(), **settings) > 1e-3


@pytest.mark.parametrize("wrong", [keeps_all, draws_from_p])
def test_a_wrong_rule_is_found_out_by_counting(monkeypatch, wrong):
    monkeypatch.setattr(speculative, "accept", wrong)
    assert counted(ModelDraft(Scores.of(tiny(7, 1)))) < 1e-12


# ---- greedy

@pytest.mark.parametrize("lookahead", [1, 4])
@pytest.mark.parametrize("penalty", [None, 1.3])
def test_greedy_writes_what_generate_writes(model, other, lookahead, penalty):
    settings = dict(temperature=0, repetition_penalty=penalty)
    told = []
    for start in range(6):
        prompt = [*range(40, 40 + start), start]
        expected = generate(model, prompt, 20, **settings)
        for draft in drafts(model, other):
            told.append(speculate(model, prompt, 20, draft, lookahead, **settings))
            assert told[-1].ids == expected
    assert any(0 < one.accepted < one.proposed for one in told) and all(one.tokens_a_pass >= 1 for one in told)


def test_a_model_that_drafts_for_itself_is_always_right(model):
    told = speculate(model, [5, 6, 7], 20, ModelDraft(first_layers(model, 2)), lookahead=3, temperature=0)
    assert (told.passes, told.proposed, told.accepted, told.acceptance, told.tokens_a_pass) == (5, 15, 15, 1, 4)
    told = speculate(model, [5, 6, 7], 20, ModelDraft(model), lookahead=3, seed=0)
    assert told.acceptance == 1


@pytest.mark.parametrize("length", range(CONTEXT - 6, CONTEXT))
def test_a_text_ends_where_the_context_does(model, other, length):
    prompt = list(range(length))
    expected = generate(model, prompt, 100, temperature=0)
    for draft in drafts(model, other):
        assert speculate(model, prompt, 100, draft, temperature=0).ids == expected
    assert len(expected) == CONTEXT - length
    assert len(speculate(model, prompt, 100, Told(), seed=0).ids) == CONTEXT - length


def test_a_draft_with_a_shorter_context_falls_silent(model):
    small = ModelDraft(Transformer(Config(vocabulary=V, context=10, d_model=8, layers=1, heads=1)).to(model.device))
    for length in (7, 10, 30):
        told = speculate(model, [3] * length, 6, small, lookahead=2, temperature=0)
        assert told.ids == generate(model, [3] * length, 6, temperature=0)
        assert (told.proposed > 0) == (length < 10)


# ---- what it takes

def test_a_case_worked_by_hand():
    model, draft = Scores.saying([1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 0]), Told([1, 2, 9], [], [5, 6])
    told = speculate(model, [0, 0, 0], 8, draft, lookahead=3, temperature=0)
    assert told == Speculation(ids=[1, 2, 3, 4, 5, 6, 7, 8], passes=4, proposed=5, accepted=4)
    assert (told.acceptance, told.tokens_a_pass) == (0.8, 2)
    # 1 2 kept and 3 added; 4 added; 5 6 kept and 7 added; for 8 there is no room to propose
    assert draft.asked == [([0, 0, 0, *range(1, end)], count) for end, count in ((1, 3), (4, 3), (5, 3), (8, 0))]
    assert model.widths == [2, 4, 1, 3, 1]                  # the prompt but its last token, then that and the proposals


def test_what_is_kept_after_a_stop_is_not_written():
    told = speculate(Scores.saying([1, 2, 3, 4], [0]), [0], 4, Told([1, 2, 3]), temperature=0, stop=2)
    assert told == Speculation(ids=[1], passes=1, proposed=3, accepted=3)


def test_no_token_takes_no_pass(model):
    told = speculate(model, [1, 2], 0, PromptLookup())
    assert told == Speculation([], 0, 0, 0) and math.isnan(told.acceptance) and math.isnan(told.tokens_a_pass)


def test_only_what_is_checked_is_scored(model, monkeypatch):
    shapes = []
    monkeypatch.setattr(model, "head", lambda hidden: shapes.append(hidden.shape) or Transformer.head(model, hidden))
    speculate(model, [1] * 20, 3, Told([1, 2]), temperature=0)
    assert shapes[:2] == [(1, 24), (3, 24)]                 # the prompt as in `generate`, then a row for each token


def test_one_seed_one_text(model, other):
    for draft in drafts(model, other):
        first = speculate(model, [1, 2, 3], 20, draft, seed=7)
        assert first == speculate(model, [1, 2, 3], 20, draft, seed=7)
        before = torch.get_rng_state()
        assert len({tuple(speculate(model, [1, 2, 3], 20, draft, seed=seed).ids) for seed in (7, 8, None, None)}) == 4
        assert torch.equal(before, torch.get_rng_state())


def test_progress_shows_a_bar_and_changes_nothing(model, capsys):
    quiet = speculate(model, [1, 2, 3], 9, PromptLookup(), seed=0)
    assert capsys.readouterr().err == ""
    assert speculate(model, [1, 2, 3], 9, PromptLookup(), seed=0, progress=True) == quiet
    assert "Writing" in capsys.readouterr().err


@pytest.mark.parametrize("call", [0, 1, 4])
@pytest.mark.parametrize("broken", ["model", "draft"])
def test_an_interrupted_run_leaves_nothing_behind(model, other, monkeypatch, broken, call):
    draft = ModelDraft(other)
    expected = speculate(model, [1, 2, 3], 20, ModelDraft(other), seed=3)
    block = (model if broken == "model" else other).blocks[1]
    forward, calls = block.forward, iter(range(100))

    def interrupted(*args):
        if next(calls) == call:                             # when the first layer has filled its slots
            raise KeyboardInterrupt
        return forward(*args)

    monkeypatch.setattr(block, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        speculate(model, [1, 2, 3], 20, draft, seed=3)
    monkeypatch.undo()
    assert speculate(model, [1, 2, 3], 20, draft, seed=3) == expected


# ---- where a text ends

@pytest.mark.parametrize("stop", [
    294, [46, 256], [46, "day"], "fair", "ul", "nd f", ["seen", "day I"], "I have seen", "fairy", "S", "never",
])
@pytest.mark.parametrize("length", [9, 16])
def test_a_text_ends_at_its_stop_as_in_generate(tokenizer, length, stop):
    script = tokenizer.encode("So foul and fair a day I have not seen. So foul and fair")
    parrot = Scores.saying(script, [0])
    settings = dict(max_new_tokens=length, temperature=0, stop=stop, tokenizer=tokenizer)
    expected = generate(parrot, [0], **settings)
    for draft in (ModelDraft(parrot), PromptLookup(), Told(script[:3], script[4:8]), Told()):
        assert speculate(parrot, [0], draft=draft, **settings).ids == expected


# ---- drafts

@pytest.mark.parametrize(("ids", "longest", "count", "proposed"), [
    ([1, 2, 3, 9, 1, 2, 3], 3, 2, [9, 1]),
    ([1, 2, 5, 1, 2, 6, 1, 2], 2, 2, [6, 1]),               # the latest place
    ([1, 2, 3, 7, 3, 8, 1, 2, 3], 3, 1, [7]),               # the longest match
    ([1, 2, 3, 7, 3, 8, 1, 2, 3], 1, 1, [8]),
    ([5, 3, 7, 1, 2, 3], 3, 4, [7, 1, 2, 3]),               # where three and two are new, one will do
    ([4, 4, 4], 3, 5, [4]),                                 # no more than came after
    ([1, 2, 3], 3, 5, []), ([4], 3, 5, []), ([4, 4], 3, 0, []),
])
def test_a_lookup_proposes_what_came_after_the_same_tokens(ids, longest, count, proposed):
    before = ids.copy()
    assert PromptLookup(longest).propose(ids, count, Sampler(), torch.Generator()) == (proposed, None)
    assert ids == before


@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_draft_says_from_what_it_drew_whatever_was_kept(other, name):
    """Its probabilities are those of a model without a cache that reads the whole text anew."""
    draft, sampler, chance_of = ModelDraft(other), Sampler(**SETTINGS[name]), torch.Generator().manual_seed(0)
    ids = [1, 2, 3]
    for kept in (3, 0, 2, 1, 3, 0):
        tokens, q = draft.propose(ids, 3, sampler, chance_of)
        for i in range(3):
            text = torch.tensor([ids + tokens[:i]], device=other.device)
            assert_close(q[i], sampler.filter(other(text)[:, -1], text).softmax(dim=-1)[0].cpu())
            assert q[i, tokens[i]] > 0
        ids = [*ids, *tokens[:kept], 9]
    tokens, _ = draft.propose([7, 7], 3, Sampler(0), chance_of)                     # another text
    assert tokens == generate(other, [7, 7], 3, temperature=0)


def test_a_model_drafts_cache_is_taken_when_it_is_needed_and_grows(other, monkeypatch):
    draft, taken, cache = ModelDraft(other), [], other.cache
    texts = [list(range(length)) for length in (3, 9, 11, 30, CONTEXT - 1, CONTEXT)]
    expected = [generate(other, text, 2, temperature=0) for text in texts[:-1]] + [[]]
    monkeypatch.setattr(other, "cache", lambda batch, capacity: taken.append(capacity) or cache(batch, capacity))
    assert [draft.propose(text, 2, Sampler(0), torch.Generator())[0] for text in texts] == expected
    assert taken == [10, 22, CONTEXT]                       # room for 5, then 11 and 13, then 32 and all that there is


def test_first_layers_take_no_memory_of_their_own():
    model = tiny(20, 3, layers=3)
    for count in (1, 2, 3):
        first = first_layers(model, count)
        held = {id(tensor) for tensor in [*model.parameters(), *model.buffers()]}
        assert {id(tensor) for tensor in [*first.parameters(), *first.buffers()]} <= held
        ids, kept = torch.tensor([[1, 2, 3, 4]]), []
        model.hidden(ids, keep=kept)
        assert_close(first(ids), model.head(model.norm(kept[count])))
        assert first.config.layers == len(first.blocks) == count and len(model.blocks) == model.config.layers == 3


# ---- bad input

@pytest.mark.parametrize(("arguments", "sentence"), [
    (dict(ids=[[1], [2]]), "ids holds 2 texts; speculate continues one: call it once"),
    (dict(ids=[]), "ids is empty"),
    (dict(ids=[1] * CONTEXT), f"ids has {CONTEXT} tokens"), (dict(max_new_tokens=-1), "max_new_tokens is -1"),
    (dict(lookahead=0), "lookahead is 0; give a whole number of at least"), (dict(lookahead=1.5), "lookahead is 1.5"),
    (dict(draft=tiny(V, 0)), "draft is a Transformer; give one that proposes: PromptLookup() or ModelDraft(small"),
    (dict(draft=PromptLookup), "draft is the class PromptLookup; make one: PromptLookup() or ModelDraft(small_"),
    (dict(draft=ModelDraft(tiny(20, 0))), f"draft has 20 tokens to choose from and model {V}; give one with the same"),
    (dict(draft=Told([1] * 5)), "draft proposes 5 tokens; it was asked for at most 4."),
    (dict(draft=Told([V])), f"ids holds {V}; this model's tokens are 0 to"),
    (dict(draft=Told([1], probabilities=torch.ones(1, 2) / 2)), f"p is (2, {V}) and q (1, 2) for 1 tokens"),
    (dict(temperature=-1), "temperature is -1"), (dict(top_k=0), "top_k is 0"), (dict(top_p=2), "top_p is 2"),
    (dict(min_p=2), "min_p is 2"), (dict(repetition_penalty=0), "repetition_penalty is 0"),
    (dict(stop="x"), "stop holds the string 'x', and tokenizer is None"), (dict(stop=V), f"stop holds {V}"),
    (dict(seed="x"), "seed is 'x'"),
])
def test_bad_arguments_are_refused(model, arguments, sentence):
    with pytest.raises(ValueError) as error:
        speculate(model, **dict(ids=[1, 2], max_new_tokens=9, draft=PromptLookup()) | arguments)
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


@pytest.mark.parametrize("longest", [0, 1.5])
def test_a_lookup_of_nothing_is_refused(longest):
    with pytest.raises(ValueError, match=f"longest is {longest}; give a whole number of at least 1"):
        PromptLookup(longest)


@pytest.mark.parametrize("count", [0, 3, 1.5])
def test_layers_that_a_model_has_not_are_refused(model, count):
    with pytest.raises(ValueError, match=f"count is {count}; give 1 to 2, the layers of this model"):
        first_layers(model, count)


# ---- the real model

def test_smollm2_repeats_itself_in_fewer_passes():
    model, tokenizer = pretrained.smollm2()
    ids = tokenizer.encode("The gulls follow the boats past the lighthouse. Once more: The gulls follow the")
    expected = generate(model, ids, 60, temperature=0)
    lookup = speculate(model, ids, 60, PromptLookup(), temperature=0)
    layers = speculate(model, ids, 60, ModelDraft(first_layers(model, 25)), lookahead=2, temperature=0)
    assert lookup.ids == layers.ids == expected
    assert lookup.tokens_a_pass > 2 and layers.tokens_a_pass > 1
