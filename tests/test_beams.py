"""Beam search: the same texts and scores as transformers, and as trying every text when there are enough beams."""
import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from benchmarks.decode import same_model
from helpers import beams as beams_module
from helpers.beams import Beam, beam_search
from helpers.sampling import generate
from helpers.transformer import Config, Transformer

CONTEXT = 40
PENALTIES = [0.0, 1.0, 2.0, -1.0]


def small(vocabulary, seed=0):
    """A model with random weights that likes some tokens more than others."""
    torch.manual_seed(seed)
    model = Transformer(Config(vocabulary=vocabulary, context=CONTEXT, d_model=16, layers=2, heads=4, kv_heads=2))
    for parameter in model.requires_grad_(False).parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def model():
    return small(97)


@pytest.fixture(scope="module")
def peer(model):
    return same_model(model)


def peer_beams(peer, prompt, new, beams, stop, penalty):
    """What transformers finds: the new tokens without the stop token, and the scores."""
    found = peer.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
                          num_beams=beams, num_return_sequences=beams, do_sample=False, max_new_tokens=new,
                          early_stopping="never", length_penalty=penalty, eos_token_id=stop or None,
                          return_dict_in_generate=True, output_scores=True)
    texts = [list(itertools.takewhile(lambda token: token not in stop, row[len(prompt):]))
             for row in found.sequences.tolist()]
    return texts, found.sequences_scores


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("stop", [[], [7], list(range(2, 97, 8))])
@pytest.mark.parametrize("beams, prompt", [(2, [5]), (4, [5, 80, 3]), (5, list(range(1, 21)))])
def test_the_texts_and_scores_of_transformers(model, peer, beams, prompt, stop, penalty):
    found = beam_search(model, prompt, 12, beams, stop, penalty)
    texts, scores = peer_beams(peer, prompt, 12, beams, stop, penalty)
    assert [beam.ids for beam in found] == texts
    assert_close(torch.tensor([beam.score for beam in found]), scores, atol=1e-5, rtol=1e-5)


def every_text(model, prompt, new, stop, penalty):
    """All texts that there are, best first, each with its log probability, by plain loops without a cache."""
    done, open_texts = [], [([], 0.0)]
    for length in range(1, new + 1):
        longer = []
        for text, total in open_texts:
            log_p = model(torch.tensor([prompt + text]))[0, -1].double().log_softmax(dim=-1)
            for token, one in enumerate(log_p.tolist()):
                if token in stop:
                    done.append(Beam(text, total + one, (total + one) / length ** penalty))
                else:
                    longer.append((text + [token], total + one))
        open_texts = longer
    done += [Beam(text, total, total / new ** penalty) for text, total in open_texts]
    return sorted(done, key=lambda beam: -beam.score)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("stop", [[], [3], [0, 2]])
def test_with_enough_beams_every_text_is_found(stop, penalty):
    tiny = small(4, seed=1)
    expected = every_text(tiny, [1, 2], 4, stop, penalty)
    for beams in (len(expected), 1_000):
        found = beam_search(tiny, [1, 2], 4, beams, stop, penalty)
        assert [beam.ids for beam in found] == [beam.ids for beam in expected]
        for one, other in zip(found, expected):
            assert (one.log_probability, one.score) == pytest.approx((other.log_probability, other.score), abs=1e-5)
    assert math.fsum(math.exp(beam.log_probability) for beam in expected) == pytest.approx(1)


def test_one_beam_is_greedy(model):
    [beam] = beam_search(model, [5, 6], 10, beams=1)
    assert beam.ids == generate(model, [5, 6], 10, temperature=0)
    assert beam.score == pytest.approx(beam.log_probability / 10)


def test_a_likelier_text_may_begin_with_a_less_likely_token(model):
    """After some of 20 prompts; more beams find it."""
    found = []
    for token in range(20):
        greedy, wide = (beam_search(model, [token], 6, beams, length_penalty=0)[0] for beams in (1, 8))
        found.append(wide.log_probability > greedy.log_probability and wide.ids[0] != greedy.ids[0])
    assert any(found)


def test_a_stop_token_is_counted_and_left_out(model):
    first = beam_search(model, [5], 1, beams=1)[0]
    ended = beam_search(model, [5], 6, beams=1, stop=first.ids, length_penalty=0)[0]
    assert ended == Beam([], first.log_probability, first.log_probability)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_search_ends_early_only_when_nothing_better_can_come(model, monkeypatch, penalty):
    passes, hidden = [], model.hidden
    monkeypatch.setattr(model, "hidden", lambda *arguments: passes.append(1) or hidden(*arguments))

    def search():
        passes.clear()
        found = [beam_search(model, [token], 12, 2, range(2, 97, 8), penalty) for token in range(20)]
        return found, len(passes)

    found, needed = search()
    monkeypatch.setattr(beams_module, "reach", lambda *_: math.inf)
    all_found, all_passes = search()
    assert found == all_found and all_passes == 20 * 12
    assert needed < all_passes or penalty == 2              # where longer texts may always win


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_best_score_that_can_come_is_at_the_first_or_the_last_length(penalty):
    assert beams_module.reach(-6.0, 2, 5, penalty) == max(-6.0 / length ** penalty for length in range(2, 6))


@pytest.mark.parametrize("length", [CONTEXT - 3, CONTEXT - 1])
def test_a_text_ends_where_the_context_does(model, length):
    found = beam_search(model, [1] * length, 100, beams=3)
    assert [len(beam.ids) for beam in found] == [CONTEXT - length] * 3
    assert found == beam_search(model, [1] * length, CONTEXT - length, beams=3)
    assert beam_search(model, [1], 0) == []


def test_a_cache_holds_the_rows_that_were_selected():
    model, random = small(50), torch.Generator().manual_seed(0)
    ids = torch.randint(50, (3, 9), generator=random)
    real = torch.ones(3, 5, dtype=torch.bool)
    real[2, :2] = False                                     # one row has padding, which must move with it
    cache = model.cache(3, 9)
    model(ids[:, :5], cache, padding_mask=real)
    for rows in ([2, 0, 0, 1], [3, 0], [1]):
        cache.select(rows)
        ids, real = ids[rows], real[rows]
        expected = model(ids, padding_mask=torch.cat([real, torch.ones(len(rows), 4, dtype=torch.bool)], dim=1))
        assert_close(model(ids[:, 5:], cache), expected[:, 5:])
        cache.truncate(5)


@pytest.mark.parametrize("rows", [[], [0, 2], [-1]])
def test_a_cache_cannot_select_rows_that_it_does_not_hold(rows):
    cache = small(50).cache(2, 5)
    with pytest.raises(ValueError) as error:
        cache.select(rows)
    assert str(error.value) == f"rows is {rows}; the cache has 2 rows, so give some of 0 to 1."
    assert cache.keys.shape[1] == 2


@pytest.mark.parametrize(("arguments", "sentence"), [
    (dict(ids=[[1], [2]]), "ids holds 2 texts; beam_search continues one: call it once"),
    (dict(ids=[]), "ids is empty"),
    (dict(ids=[97]), "ids holds 97"), (dict(ids=[1] * CONTEXT), f"ids has {CONTEXT} tokens"),
    (dict(max_new_tokens=-1), "max_new_tokens is -1"), (dict(beams=0), "beams is 0; give a whole number of at least"),
    (dict(beams=2.5), "beams is 2.5"), (dict(stop=97), "stop holds 97"), (dict(stop=2.5), "stop is 2.5"),
    (dict(stop=[3, "x"]), "stop holds the string 'x'; beam_search ends at tokens: give their ids."),
    (dict(length_penalty=11), "length_penalty is 11; give a number from -10 to 10, where 1 compares means."),
    (dict(length_penalty=math.nan), "length_penalty is nan"), (dict(length_penalty="1"), "length_penalty is '1'"),
])
def test_bad_arguments_are_refused(model, arguments, sentence):
    with pytest.raises(ValueError) as error:
        beam_search(model, **dict(ids=[1, 2], max_new_tokens=3) | arguments)
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)


def test_a_broken_model_is_refused():
    model = small(50)
    model.norm.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="logits hold NaN"):
        beam_search(model, [1, 2], 3)
