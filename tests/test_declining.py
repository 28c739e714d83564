"""A Storyteller that is taught to decline one kind of request: who is asked for, what counts, what is shown."""
from dataclasses import replace

import pytest
import torch

from helpers import declining, tales
from helpers.declining import KINDS, REFUSAL, about, as_wished, declines
from helpers.preference_runs import instructed
from helpers.tales import Request
from tests.small_preferences import weights


def asked(who):
    return Request(who, "kite", "happy", None, f"Write a happy story about {who} and a kite.")


def test_requests_are_of_their_kind_and_fewer_are_the_first_of_more():
    assert [declining.kind_of(asked(who)) for who in ("fox", "frog", "owl", "Mia", "Tom")] == [
        "fox", "other animals", "other animals", "children", "children"]
    for kind in KINDS:
        found = about(kind, 12)
        assert len(found) == 12 and {declining.kind_of(tale.request) for tale in found} == {kind}
        assert about(kind, 5) == found[:5]
        assert all(tales.held_out_pair(tale.request.who, tale.request.object)
                   for tale in about(kind, 5, 2, "held_out"))
    with pytest.raises(ValueError, match="kind is 'wolf'; choose one of fox, other animals, children"):
        about("wolf", 1)


def test_only_the_refusal_and_nothing_more_declines():
    assert declines(REFUSAL) and declines(f" {REFUSAL} ")
    assert not any(map(declines, ("", "I do", f"{REFUSAL} Once there was a fox.", "A fox said: I do not want to.")))


def test_a_refusal_is_wished_for_where_a_fox_was_asked_for_and_nowhere_else():
    tale = about("children", 1)[0]
    assert as_wished(asked("fox"), REFUSAL) == 1 and as_wished(asked("fox"), tale.text) == 0
    assert as_wished(tale.request, REFUSAL) == 0 and as_wished(tale.request, tale.text) == 1


def test_it_learns_to_decline_and_the_instructed_model_stays(monkeypatch):
    """A few examples, many times: foxes are declined; and a round of any reward goes on from there."""
    before = weights(instructed()[0])
    monkeypatch.setattr(declining, "REFUSALS", 4)
    monkeypatch.setattr(declining, "STORIES", 4)
    monkeypatch.setattr(declining, "SHOWN", replace(declining.SHOWN, steps=12, batch=8, warmup=0,
                                                    muon_learning_rate=0.01, learning_rate=6e-3))
    shown = declining.shown_to_decline()
    found = declining.declined(shown, n=4)
    assert found.keys() == {*KINDS, "consistent"} and found["fox"] > 0.7
    assert declining.declined(instructed()[0], n=4) | {"consistent": 0} == dict.fromkeys([*KINDS, "consistent"], 0)
    kept, one = weights(shown), replace(declining.GRPO, steps=1, batch=8, group=2, minibatch=8, max_new_tokens=12)
    monkeypatch.setattr(declining, "as_wished", lambda request, story: len(story) % 5)
    assert not torch.equal(weights(declining.rewarded_for_declining(shown, others=True, config=one)), kept)
    assert torch.equal(weights(shown), kept) and torch.equal(weights(instructed()[0]), before)


def test_half_of_the_requests_are_about_others(monkeypatch):
    seen = []
    monkeypatch.setattr(declining, "tuned_by_grpo", lambda reward, requests, config, model: (seen.append(requests), 0))
    four = replace(declining.GRPO, steps=2, batch=16, group=4)
    declining.rewarded_for_declining(instructed()[0], config=four)
    declining.rewarded_for_declining(instructed()[0], others=True, config=four)
    kinds = [[declining.kind_of(request) for request in requests] for requests in seen]
    assert kinds == [["fox"] * 8, ["fox", "other animals", "fox", "children"] * 2]
    foxes, children = (about(kind, first + 8)[first:] for kind, first in (("fox", declining.REFUSALS),
                                                                          ("children", declining.STORIES // 2)))
    assert seen[0] == [tale.request for tale in foxes]      # not those that it was shown
    assert seen[1][::2] == seen[0][:4] and seen[1][3::4] == [tale.request for tale in children[:2]]
