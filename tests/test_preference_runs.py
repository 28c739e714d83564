"""What the preference lessons measure: which pairs are ranked, how agreement and wins are counted, what stays."""
import copy
from dataclasses import replace

import pytest
import torch

from helpers import judges, preference_runs, storyteller, tales
from helpers.labellers import READERS, ROBIN
from helpers.preference import Pair, answers_logps, train_dpo
from helpers.preference_runs import REWARD, VALUE, Group
from helpers.ppo import PPOConfig
from helpers.reward import RewardModel, pair_rewards
from helpers.tales import Request
from tests.small_preferences import weights
from tests.small_stories import COUNTS, DULL, GIVES, SAD, TALKS

ASKED = Request("Mia", "kite", "happy", None, "Write a story about Mia and a kite.")
SURE = ROBIN.with_noise(0)


@pytest.fixture(scope="module")
def groups():
    return preference_runs.written(8)


@pytest.fixture(scope="module")
def reward(groups):
    """A reward model after a few steps on a few pairs."""
    pairs = preference_runs.ranked(groups, SURE)
    return preference_runs.fitted_reward(pairs, config=replace(REWARD, steps=240, batch=8, warmup=0)), pairs


def test_answers_are_of_their_own_request_and_differ(groups):
    assert [group.request for group in groups] == preference_runs.asked(8)
    followed = [tales.follows(group.request, answer).who for group in groups for answer in group.answers]
    assert all(len(set(group.answers)) == 2 for group in groups) and sum(followed) >= 12
    assert preference_runs.written(2, seed=31)[1].request == groups[1].request
    assert preference_runs.written(2, seed=32)[0].request != groups[0].request


def test_stories_can_be_told_in_parts(monkeypatch, groups):
    model, _ = preference_runs.instructed()
    requests = [group.request for group in groups[:3]]
    whole = preference_runs.stories(model, requests, seed=9)
    monkeypatch.setattr(preference_runs, "AT_ONCE", 2)
    assert preference_runs.stories(model, requests, seed=9) == whole
    assert preference_runs.stories(model, requests[:1], seed=10) != whole[:1]


def test_the_best_is_ranked_above_the_worst_and_equal_answers_are_left_out():
    told = (DULL, TALKS, GIVES, SAD, COUNTS + TALKS)        # 0, 3, 2, 0 and 5 points
    best, second = preference_runs.ranked([Group(ASKED, told)], SURE, pairs=2)
    assert best.prompt == ASKED.text and best.chosen == COUNTS + TALKS and best.rejected in (DULL, SAD)
    assert second.chosen == TALKS and second.rejected in {DULL, SAD} - {best.rejected}
    assert preference_runs.ranked([Group(ASKED, (TALKS, TALKS))], SURE) == []
    assert preference_runs.ranked([Group(ASKED, (DULL, TALKS))], SURE) == [Pair(ASKED.text, TALKS, DULL)]


@pytest.mark.parametrize("pairs", [0, 2])
def test_more_pairs_than_half_of_the_answers_are_refused(pairs):
    with pytest.raises(ValueError, match=rf"pairs is {pairs}; groups\[0\] has 3 answers, so give 1 to 1"):
        preference_runs.ranked([Group(ASKED, (DULL, TALKS, GIVES))], SURE, pairs=pairs)


def test_a_reader_ranks_the_same_with_the_same_seed(groups):
    one, same = (preference_runs.ranked(groups, seed=3) for _ in range(2))
    assert one == same and any(preference_runs.ranked(groups, seed=seed) != one for seed in range(4, 8))


def test_a_reward_model_learns_what_a_reader_takes(reward):
    model, pairs = reward
    chosen, rejected = pair_rewards(model, preference_runs.data(pairs))
    assert bool((chosen > rejected).all())
    short = replace(REWARD, steps=60, batch=2)
    one, same, other = (weights(preference_runs.fitted_reward(pairs, seed, short)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_the_instructed_model_is_never_changed(reward):
    before = weights(preference_runs.instructed()[0])
    model, pairs = reward
    few = PPOConfig(steps=1, batch=2, minibatch=2, max_new_tokens=4)
    value = preference_runs.fitted_value(model, pairs[:2], replace(VALUE, steps=1, batch=2))
    kept = weights(model), weights(value)
    moved, history = preference_runs.tuned_by_ppo(model, value, few)
    assert len(history.rewards) == 1 and not torch.equal(weights(moved), before)
    assert torch.equal(weights(model), kept[0]) and torch.equal(weights(value), kept[1]) and not torch.equal(*kept)
    assert torch.equal(weights(preference_runs.instructed()[0]), before)
    assert not any(p.requires_grad for p in preference_runs.instructed()[0].parameters())
    assert all(p.requires_grad for p in preference_runs.fresh().parameters())


def test_agreement_is_what_many_readings_would_give(groups, reward):
    model, _ = reward
    found, ceiling = preference_runs.agreement(model, groups, ROBIN)
    pairs = [Pair(group.request.text, *group.answers) for group in groups]
    first, second = pair_rewards(model, preference_runs.data(pairs))
    generator, draws, agreed = torch.Generator().manual_seed(0), 400, 0
    for pair, one, other in zip(pairs, first, second, strict=True):
        for _ in range(draws):
            takes_first = ROBIN.rank([pair.chosen, pair.rejected], generator)[0] == 0
            agreed += takes_first == bool(one > other)
    assert found == pytest.approx(agreed / draws / len(pairs), abs=0.04) and 0.5 < found <= ceiling < 1
    decided = [SURE.probability(*group.answers) != 0.5 for group in groups]
    assert preference_runs.agreement(model, groups, SURE)[1] == sum(0.5 + 0.5 * sure for sure in decided) / len(groups)


def test_whoever_is_undecided_agrees_in_half_of_the_cases(groups):
    undecided = RewardModel(preference_runs.instructed()[0])                        # gives 0 to all answers
    assert preference_runs.agreement(undecided, groups, ROBIN)[0] == pytest.approx(0.5)


def test_a_point_of_the_sweep_holds_agreement_and_ceiling(groups):
    found = preference_runs.reward_point(groups[:4], groups[4:], noise=0.5, seed=1)
    reader = ROBIN.with_noise(0.5)
    model = preference_runs.fitted_reward(preference_runs.ranked(groups[:4], reader, 1), 1)
    expected = preference_runs.agreement(model, groups[4:], reader)
    assert found == {"agreement": round(expected[0], 4), "ceiling": round(expected[1], 4)}


def test_the_instructed_model_has_not_moved_from_itself():
    found = preference_runs.judged(preference_runs.instructed()[0], n=12)
    assert found.keys() == {"win", "kl", "consistent", "asked", "words"}
    assert found["kl"] == 0 and 0.1 < found["win"] < 0.9 and found["asked"] > 0.5 and 30 < found["words"] < 150


def test_a_model_is_judged_by_what_it_writes(monkeypatch):
    """The rivals' own stories, with their seed, are as good as theirs; and all talk wins."""
    model, _ = preference_runs.instructed()
    assert preference_runs.judged(model, n=4, seed=500_000)["win"] == 0.5
    monkeypatch.setattr(preference_runs, "rivals", lambda n: (DULL,) * n)
    assert preference_runs.judged(model, n=4)["win"] > 0.5
    assert preference_runs.judged(model, n=4, points=lambda story: len(story) < 20)["win"] < 0.5


def test_judging_in_parts_gives_the_same(monkeypatch):
    model, _ = preference_runs.instructed()
    whole = preference_runs.judged(model, n=4)
    monkeypatch.setattr(preference_runs, "AT_ONCE", 3)
    parts = preference_runs.judged(model, n=4)
    assert parts == pytest.approx(whole, abs=1e-4)


def test_held_out_requests_are_judged_and_none_was_learned_from():
    judged, learned = preference_runs.asked(40, 2, "held_out"), preference_runs.asked(40)
    assert all(tales.held_out_pair(one.who, one.object) for one in judged)
    assert not any(tales.held_out_pair(one.who, one.object) for one in learned)


def test_pairs_become_tokens_with_their_ends(groups):
    pairs = preference_runs.ranked(groups, SURE)
    _, tokenizer = preference_runs.instructed()
    for pair, (asked, chosen, rejected) in zip(pairs, preference_runs.data(pairs).rows, strict=True):
        assert asked.tolist() == storyteller.request_ids(tokenizer, pair.prompt)
        assert tokenizer.decode(chosen.tolist()) == pair.chosen + tales.END
        assert tokenizer.decode(rejected.tolist()) == pair.rejected + tales.END


def test_dpo_teaches_the_storyteller(groups):
    pairs = preference_runs.ranked(groups[:4], SURE)
    data, model = preference_runs.data(pairs), preference_runs.fresh()
    train_dpo(model, data, replace(REWARD, steps=3, batch=4, learning_rate=1e-3, warmup=0), beta=0.3)
    before = answers_logps(copy.deepcopy(preference_runs.instructed()[0]), data)
    gained = answers_logps(model, data) - before
    assert float((gained[0] - gained[1]).mean()) > 0.1


def test_dpo_goes_once_through_the_pairs_from_the_instructed_model(groups):
    pairs, kept = preference_runs.ranked(groups, SURE), weights(preference_runs.instructed()[0])
    config = replace(preference_runs.DPO, batch=3)
    model, history = preference_runs.tuned_by_dpo(pairs, config)
    assert len(history.losses) == len(pairs) // 3 and history.losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert len(preference_runs.tuned_by_dpo(pairs, replace(config, batch=99), beta=0.1)[1].losses) == 1
    assert torch.equal(weights(preference_runs.instructed()[0]), kept) and not torch.equal(weights(model), kept)


def test_judges_know_every_taste():
    assert judges.POINTS.keys() == READERS.keys()
