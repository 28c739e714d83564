"""Minimal pairs are fair and scored as by hand; blocks come back; what compresses and what is told is what was said."""
from collections import Counter

import pytest
import torch

from helpers import corpora, facts, minimal_pairs, pair_plots, sweeps, unread
from helpers.minimal_pairs import ABILITIES, Pair, kinds, last_tokens, scores, without_blocks
from helpers.tokenizer import BPETokenizer
from helpers.training import Examples, TrainConfig, train
from helpers.transformer import Config, Transformer


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train("the cat sat on the mat and the dog sat on the cat. " * 20, 280)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(Config(280, context=64, d_model=16, layers=6, heads=2)).eval()


@pytest.mark.parametrize("ability", ABILITIES)
def test_what_is_right_after_one_beginning_is_wrong_after_the_other(ability):
    pairs = minimal_pairs.minimal_pairs(ability)
    assert len(pairs) >= 40 and len(set(pairs)) == len(pairs)
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert one.beginning != other.beginning
        assert (one.right, one.wrong) == (other.wrong, other.right) and one.right != one.wrong
    assert Counter(pair.right for pair in pairs) == Counter(pair.wrong for pair in pairs)
    assert not any("{" in text or "  " in text or text.endswith(" ") for pair in pairs for text in pair)
    assert [pair for kind in kinds(ability).values() for pair in kind] == pairs


def test_an_unknown_ability_is_refused():
    with pytest.raises(ValueError, match="ability is 'wit'; choose one of grammar, context"):
        minimal_pairs.minimal_pairs("wit")


@torch.no_grad()
def test_an_ending_scores_what_its_tokens_score_one_by_one(model, tokenizer):
    pairs = [Pair("the cat", " sat on", " dog"), Pair("the dog sat on the", " mat", " cat and"), Pair("a", " b", "c")]
    found = torch.stack(scores(model, tokenizer, pairs, shown=False, size=2), dim=1)
    for pair, two in zip(pairs, found):
        for ending, score in zip(pair[1:], two):
            before, then = tokenizer.encode(pair.beginning), tokenizer.encode(ending)
            log_p = model(torch.tensor([before + then]))[0].log_softmax(-1)
            expected = sum(log_p[len(before) + place - 1, token] for place, token in enumerate(then))
            assert torch.isclose(score, expected, atol=1e-5)


@pytest.mark.parametrize("pairs", [[], [("the", "", " cat")]])
def test_nothing_to_score_is_refused(model, tokenizer, pairs):
    with pytest.raises(ValueError, match="pairs is empty or holds an empty text"):
        scores(model, tokenizer, pairs)


def test_only_the_last_tokens_are_kept(tokenizer):
    pair, = last_tokens([Pair("the dog sat on the", " mat", " cat")], tokenizer, 2)
    assert pair == (" on the", " mat", " cat")


def test_blocks_are_left_out_and_come_back(model):
    ids, whole = torch.arange(12)[None], list(model.blocks)
    with torch.no_grad():
        before = model(ids)
        with without_blocks(model, 0, 1):
            fewer = list(model.blocks)
            assert not torch.equal(model(ids), before)
        with pytest.raises(RuntimeError), without_blocks(model, 0, 2):
            assert set(model.blocks) < set(fewer) and {*whole[:2], *whole[-2:]} == set(model.blocks)
            raise RuntimeError
        assert list(model.blocks) == whole and torch.equal(model(ids), before)
    with pytest.raises(ValueError, match="skipped is 3; give 0 to 2"), without_blocks(model, 0, 3):
        pass


def test_the_texts_to_compress_are_there():
    assert len(unread.passages()) == 6 and all(400 < len(text) < 600 and "\n" not in text for text in unread.passages())
    plays = corpora.shakespeare()
    assert all(plays.count(line) == 1 for line in unread.famous()) and len(unread.famous()) == 16


def test_facts_are_told_as_often_as_they_say_and_balanced():
    told = facts.told_facts(3)
    assert len(told) == 256 and len({fact.name for fact in told}) == 256
    sentences = [" ".join(sentence) for sentence in facts.text_with(told, 3)]
    named = Counter(word for sentence in sentences for word in sentence.split())
    for fact in told:
        assert named[fact.name] == fact.times and fact.unused not in fact.wordings
        if fact.times >= 4:
            assert {wording.format(name=fact.name, place=fact.place) for wording in fact.wordings} <= set(sentences)
    cells = Counter((fact.times, len(fact.wordings), fact.place, fact.wordings[0]) for fact in told)
    assert set(cells.values()) == {1}                       # neither wording nor number tells the place


def test_no_sentence_is_cut():
    sentences = [["a"] * 20, ["b"] * 10, ["c"] * 5, ["d"] * 33]
    assert facts.examples(sentences) == [["a"] * 20 + ["b"] * 10, ["c"] * 5, ["d"] * 33]


def test_a_taught_model_answers_with_a_place():
    told = facts.told_facts(0)
    one, other = told[0].name, told[1].name
    learner = facts.WordModel([*facts.PLACES, "lives", "in", one, other],
                              Config(8, context=8, d_model=16, layers=1, heads=2), seed=0)
    rows = [(learner.ids([name, "lives", "in", place]), 3) for name, place in ((one, "Tisby"), (other, "Velm"))]
    train(learner.model, Examples(rows), TrainConfig(steps=40, batch=2))
    assert learner.place_after(f"{one} lives in") == "Tisby" and learner.place_after(f"{other} lives in") == "Velm"


def test_the_stored_facts_have_a_point_for_each_setting():
    stored = sweeps.stored("facts").points
    settings = {(point["seed"], point["times"], point["told"], point["asked"]) for point in stored}
    assert len(stored) == len(settings) == 5 * len(facts.TIMES) * 4


def test_pictures_say_their_numbers():
    drawn = pair_plots.bits({"one": ([" a", "\n"], [1.5, 0.25])}, "Costs")
    assert drawn.png[:4] == b"\x89PNG" and "“␣a” ≈1.5, “⏎” ≈0.25" in drawn.alt
    told = pair_plots.shares([0, 1], {"asked": ([0.25, 1.0], [0.2, 0.9], [0.3, 1.0])}, "It", "times", "share", 0.25)
    assert "asked: 0 ≈0.25, 1 ≈1" in told.alt
    with pytest.raises(ValueError, match="'one' has 1 tokens and 2 numbers"):
        pair_plots.bits({"one": (["a"], [1.0, 2.0])}, "Costs")
    with pytest.raises(ValueError, match="give 1 to 4"):
        pair_plots.bits({}, "Costs")
    with pytest.raises(ValueError, match="each with 2 shares"):
        pair_plots.shares([0, 1], {"asked": ([0.25], [0.2], [0.3])}, "It rises", "times", "share", 0.25)
