"""What lesson 06d rewards and measures: requests that name a place, checks as rewards, shares of stories."""
from dataclasses import replace

import pytest
import torch

from helpers import corpora, grpo_runs, tales
from helpers.grpo_runs import REWARDS, reward_of, with_place
from helpers.ppo import rollout
from helpers.preference_runs import fresh, instructed
from helpers.tales import Request
from tests.small_preferences import weights

ASKED = Request("Mia", "kite", "happy", "forest", "Write a happy story about Mia and a kite in the forest.")
GOOD = "A girl named Mia lived near the forest. She had a kite. Mia was happy."


def test_requests_name_a_place_and_fewer_are_the_first_of_more():
    requests = with_place(60)
    assert len(requests) == 60 and all(request.place in request.text for request in requests)
    assert with_place(20) == requests[:20] and with_place(20, seed=42) != requests[:20]
    held_out = with_place(20, 2, "held_out")
    assert all(tales.held_out_pair(one.who, one.object) for one in held_out)
    assert not any(tales.held_out_pair(one.who, one.object) for one in requests)


def test_each_reward_asks_for_more_than_the_one_before():
    place, asked, sense = REWARDS.values()
    elsewhere, sad = GOOD.replace("forest", "lake"), GOOD.replace("was happy", "cried")
    assert [place(ASKED, story) for story in (GOOD, elsewhere, sad)] == [1, 0, 1]
    assert [asked(ASKED, story) for story in (GOOD, elsewhere, sad)] == [1, 0, 0]
    assert sense(ASKED, GOOD) == 0                          # no cause for the happy end is told
    told = [tale for tale in corpora.tales(40, seed=3) if tale.request.place is not None]
    assert all(each(tale.request, tale.text) == 1 for each in REWARDS.values() for tale in told) and told
    for story in ("", "forest", GOOD * 30):
        assert all(each(ASKED, story) in (0, 1) for each in REWARDS.values())


def test_a_check_becomes_a_reward_for_what_was_written():
    model, tokenizer = instructed()
    requests = with_place(3)
    written = rollout(model, model, tokenizer, [request.text for request in requests], max_new_tokens=3)
    rewards = reward_of(lambda request, story: float(request == requests[1]), requests)(written)
    assert rewards.tolist() == [0, 1, 0]
    with pytest.raises(KeyError):
        reward_of(REWARDS["place"], requests[:1])(written)


def test_grpo_moves_a_copy_or_the_model_that_it_is_given():
    before, few = weights(instructed()[0]), replace(grpo_runs.GRPO, steps=1, batch=4, minibatch=4, group=4)
    few = replace(few, max_new_tokens=6)
    requests = with_place(1)
    # letters differ from answer to answer, so that there is something to learn
    reward = reward_of(lambda request, story: len(story) % 5, requests)
    moved, history = grpo_runs.tuned_by_grpo(reward, requests, few)
    assert len(history.rewards) == 1 and torch.equal(weights(instructed()[0]), before)
    assert not torch.equal(weights(moved), before)
    mine = fresh()
    same, _ = grpo_runs.tuned_by_grpo(reward, requests, few, mine)
    assert same is mine and torch.equal(weights(mine), weights(moved))


def test_shares_are_of_the_stories_that_were_asked_for():
    found = grpo_runs.shares(instructed()[0], n=10)
    assert found.keys() == {"place", "asked", "consistent", "kl", "words"} and found["kl"] == 0
    assert 0 <= found["asked"] <= found["place"] <= 1 and 30 < found["words"] < 150
