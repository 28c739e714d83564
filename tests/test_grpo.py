"""GRPO: answers are compared with the others to the same request, and the reward rises without a value model."""
import math
import signal

import pytest
import torch

from helpers import grpo as grpo_module, lora, ppo as ppo_module
from helpers.grpo import GRPOConfig, group_advantages, grpo, kl_penalty
from helpers.training import TrainingStopped
from tests.small_preferences import ASKED, tokenizer, weights, writer
from tests.test_ppo import liked, scene, wider

SEEDS = range(40)
FEW = GRPOConfig(steps=2, batch=6, minibatch=4, group=3, max_new_tokens=5, learning_rate=1e-2)


def run(reward=liked, model=None, requests=ASKED, **settings):
    model = writer() if model is None else model
    return model, grpo(model, tokenizer(), requests, reward, GRPOConfig(**vars(FEW) | settings))


# The pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_advantages_are_those_of_plain_loops(seed):
    draw = torch.Generator().manual_seed(seed)
    P, G = 1 + seed % 4, 2 + seed % 5
    rewards = torch.randn(P, G, generator=draw, dtype=torch.float64)
    found = group_advantages(rewards)
    for row, group in enumerate(rewards.tolist()):
        mean = sum(group) / G
        spread = math.sqrt(sum((one - mean) ** 2 for one in group) / (G - 1))
        for place, one in enumerate(group):
            assert float(found[row, place]) == pytest.approx((one - mean) / (spread + 1e-4), abs=1e-9)
    torch.testing.assert_close(group_advantages(rewards + 5), found)
    right = (rewards > 0).long()                            # right or wrong, as whole numbers
    torch.testing.assert_close(group_advantages(right), group_advantages(right.float()))


@pytest.mark.parametrize("reward", [0.0, 0.1, -3.3, 1_000.1])
@pytest.mark.parametrize("group", [2, 3, 7, 8])
def test_from_equally_good_answers_nothing_is_learned(reward, group):
    assert not group_advantages(torch.full((2, group), reward)).any()


@pytest.mark.parametrize("rewards, said", [
    (torch.zeros(3, 1), r"rewards has shape \(3, 1\); give \(P, G\) with at least two answers a request"),
    (torch.zeros(4), r"rewards has shape \(4,\)"),
    (torch.tensor([[0.0, 1.0], [2.0, math.nan]]), r"rewards\[1, 1\] is nan")])
def test_rewards_that_cannot_be_compared_are_refused(rewards, said):
    with pytest.raises(ValueError, match=said):
        group_advantages(rewards)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_penalty_is_that_of_plain_loops_and_never_below_0(seed):
    _, _, logps, ref_logps, mask = scene(seed)
    found, places = kl_penalty(logps, ref_logps, mask), mask.nonzero().tolist()
    ratios = [math.exp(ref_logps[row, t] - logps[row, t]) for row, t in places]
    assert float(found) == pytest.approx(sum(r - math.log(r) - 1 for r in ratios) / len(places), abs=1e-9)
    assert found > 0 and kl_penalty(logps, logps, mask) == 0
    assert kl_penalty(wider(logps, 1.0), wider(ref_logps, 9.0), wider(mask, False)) == found


def test_the_penalty_is_the_divergence_of_what_a_model_writes():
    torch.manual_seed(0)
    model, reference = torch.randn(2, 5, dtype=torch.float64).log_softmax(dim=1)
    written = torch.multinomial(model.exp(), 200_000, replacement=True)[None]       # (1, T)
    divergence = float((model.exp() * (model - reference)).sum())
    found = kl_penalty(model[written], reference[written], torch.ones_like(written, dtype=torch.bool))
    assert float(found) == pytest.approx(divergence, rel=0.02)


# All of it ------------------------------------------------------------------------------------------------------------


def test_the_reward_rises():
    _, history = run(steps=20, batch=24, minibatch=12, group=8, max_new_tokens=6, learning_rate=3e-2)
    assert 2 < history.rewards[0] < 4 and history.rewards[-1] > history.rewards[0] + 1
    assert history.kls[0] == pytest.approx(0, abs=1e-4) and history.kls[-1] > 0.1 and history.stopped == ""


def test_the_distance_to_the_reference_holds_the_model_back():
    far, near = (run(steps=8, batch=24, minibatch=12, group=8, learning_rate=3e-2, beta=beta)[1].kls[-1]
                 for beta in (0.0, 20.0))
    assert far > 2 * near


def test_each_request_gets_a_group_of_answers(monkeypatch):
    asked, usual = [], ppo_module.rollout

    def watched(model, reference, tokenizer, requests, *others, **settings):
        asked.append(requests)
        return usual(model, reference, tokenizer, requests, *others, **settings)

    monkeypatch.setattr(ppo_module, "rollout", watched)
    run()
    one, two, three = ASKED
    assert asked == [[one] * 3 + [two] * 3, [three] * 3 + [one] * 3]


def test_answers_are_compared_inside_their_group(monkeypatch):
    """The second request is answered so much better that among all answers its worst would still be a good one."""
    seen, usual = {}, grpo_module.clipped_loss

    def watched(logps, old_logps, advantages, mask, clip):
        seen.update(zip(old_logps.sum(dim=1).tolist(), advantages[:, 0].tolist(), strict=True))
        return usual(logps, old_logps, advantages, mask, clip)

    given = []

    def reward(written):
        given.append(written)
        return torch.tensor([0.0, 1.0, 2.0, 100.0, 101.0, 102.0])

    monkeypatch.setattr(grpo_module, "clipped_loss", watched)
    run(reward, steps=1)
    found = [seen[logps] for logps in given[0].logps.sum(dim=1).tolist()]
    assert found == pytest.approx([-1, 0, 1] * 2, abs=1e-3)


def test_equally_good_answers_move_nothing():
    model, _ = run(lambda written: torch.full((6,), 0.7), beta=0.0)
    assert torch.equal(weights(model), weights(writer()))


def test_what_is_frozen_stays():
    model = writer()
    lora.add_lora(model, 2)
    before = {name: numbers.detach().clone() for name, numbers in model.named_parameters()}
    run(model=model, steps=3)
    for name, numbers in model.named_parameters():
        assert torch.equal(numbers, before[name]) != (".A" in name or ".B" in name), name


@pytest.mark.parametrize("reward, said", [
    (lambda written: torch.tensor([0.0, 1, 2, math.nan, 4, 5]), r"rewards\[3\] is nan; a reward is a finite number"),
    (lambda written: torch.zeros(3), r"the reward function gave \(3,\); give one number for each of the 6 answers")])
def test_bad_rewards_are_refused_and_change_nothing(reward, said):
    model, before = writer(), signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match=said):
        run(reward, model)
    assert torch.equal(weights(model), weights(writer())) and signal.getsignal(signal.SIGINT) is before


def test_a_loss_that_is_no_number_stops_before_the_model_moves(monkeypatch):
    model = writer()
    monkeypatch.setattr(grpo_module, "clipped_loss", lambda logps, *_: logps.sum() * math.nan)
    with pytest.raises(TrainingStopped, match="in round 1"):
        run(model=model)
    assert torch.equal(weights(model), weights(writer()))


def test_no_requests_and_frozen_models_are_refused():
    with pytest.raises(ValueError, match="requests is empty; give at least one"):
        run(requests=[])
    with pytest.raises(ValueError, match="nothing in the model learns"):
        run(model=writer().requires_grad_(False))


def test_the_same_seed_gives_the_same_weights():
    made = [run(seed=seed) for seed in (3, 3, 4)]
    assert torch.equal(weights(made[0][0]), weights(made[1][0])) and made[0][1] == made[1][1]
    assert not torch.equal(weights(made[0][0]), weights(made[2][0]))


@pytest.mark.parametrize("settings, said", [
    ({"group": 1}, "group is 1; give a whole number, at least 2"),
    ({"group": 4}, "group is 4; it must divide batch, 6"),
    ({"beta": -0.1}, "beta is -0.1"), ({"steps": 0}, "steps is 0"), ({"learning_rate": 0}, "learning_rate is 0")])
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        GRPOConfig(**{"steps": 2, "batch": 6, "group": 3} | settings)
