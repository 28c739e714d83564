"""The reward model reads an answer's last token, counts differences alone, learns a rule, and can be foreseen."""
import copy
import math

import pytest
import torch

from helpers import checkpoints
from helpers.preference import PairData, PreferenceConfig
from helpers.reward import (RewardModel, check_rewards, last_places, pair_rewards, reward_loss, train_reward,
                            train_value)
from helpers.training import TrainingStopped
from tests.small_preferences import pair_data, tiny, weights, with_filling

SEEDS = range(25)
SHORT = PreferenceConfig(steps=30, batch=9, learning_rate=1e-2)


def reward_model(seed=0):
    """One whose head is not 0."""
    reward = RewardModel(tiny(seed))
    torch.manual_seed(seed)
    torch.nn.init.normal_(reward.head.weight)
    return reward


def answers(seed=0):
    return pair_data(seed, pairs=3).tensors(range(3))


def test_at_first_all_answers_are_equally_good():
    reward = RewardModel(tiny())
    assert torch.equal(reward(*answers()), torch.zeros(6)) and torch.equal(reward.values(answers()[0]).unique(),
                                                                           torch.zeros(1))


def test_a_copy_learns_and_not_the_model_it_began_as():
    model = tiny().requires_grad_(False)
    before, reward = weights(model), RewardModel(model)
    train_reward(reward, pair_data(), SHORT)
    assert torch.equal(weights(model), before) and not torch.equal(weights(reward.model), before)
    assert all(p.grad is None for p in reward.parameters())


@pytest.mark.parametrize("seed", SEEDS)
@torch.inference_mode()
def test_what_stands_after_an_answer_never_counts(seed):
    reward, (ids, mask) = reward_model(), answers(seed)
    rewards = reward(ids, mask)
    torch.testing.assert_close(reward(*with_filling(ids, mask, seed)), rewards, atol=1e-5, rtol=1e-5)
    losses = reward_loss(*rewards.chunk(2))
    torch.testing.assert_close(reward_loss(*reward(*with_filling(ids, mask, seed + 1)).chunk(2)), losses, atol=1e-5,
                               rtol=1e-5)
    alone = [reward(row[None, :int(end) + 1], kept[None, :int(end) + 1])
             for row, kept, end in zip(ids, mask, last_places(mask), strict=True)]
    torch.testing.assert_close(torch.cat(alone), rewards, atol=1e-5, rtol=1e-5)


def test_the_last_token_of_an_answer_and_all_before_it_count():
    reward, (ids, mask) = reward_model(), answers()
    before = reward(ids, mask)
    for row, end in enumerate(last_places(mask).tolist()):
        for place in range(end + 1):
            other = ids.clone()
            other[row, place] = (other[row, place] + 1) % 30
            moved = reward(other, mask) != before
            assert moved.nonzero().flatten().tolist() == [row]


def test_last_places_are_the_last_true_ones():
    mask = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]]).bool()
    assert last_places(mask).tolist() == [2, 3, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_is_its_formula_and_only_differences_count(seed):
    torch.manual_seed(seed)
    chosen, rejected = 5 * torch.randn(2, 7, dtype=torch.float64)
    losses = reward_loss(chosen, rejected)
    for one, other, loss in zip(chosen.tolist(), rejected.tolist(), losses.tolist(), strict=True):
        assert loss == pytest.approx(-math.log(1 / (1 + math.exp(other - one))), abs=1e-9)
    torch.testing.assert_close(reward_loss(chosen + 3, rejected + 3), losses)


def test_a_rule_is_learned_and_holds_for_other_pairs():
    reward = RewardModel(tiny())
    history = train_reward(reward, pair_data(0, 60), PreferenceConfig(steps=40, batch=16, learning_rate=1e-2))
    assert history.losses[0] == pytest.approx(math.log(2), abs=1e-5) and history.losses[-1] < 0.2
    assert history.accuracies[0] == 0 and history.accuracies[-1] > 0.9 and history.margins[-1] > 1
    chosen, rejected = pair_rewards(reward, pair_data(1, 60))
    assert float((chosen > rejected).float().mean()) > 0.9


@torch.inference_mode()
def test_pairs_are_rewarded_as_one_by_one():
    reward, data = reward_model().train(), pair_data(seed=1, pairs=7)
    chosen, rejected = pair_rewards(reward, data, pairs=2)
    for number in range(7):
        one = reward(*data.tensors([number]))
        torch.testing.assert_close(torch.stack([chosen[number], rejected[number]]), one, atol=1e-5, rtol=1e-5)
    assert reward.training


@torch.inference_mode()
def test_what_is_expected_before_a_token_does_not_depend_on_it():
    value, (ids, _) = reward_model(), answers()
    before = value.values(ids)
    assert before.shape == ids.shape and not before[:, 0].any()
    for t in range(1, ids.shape[1]):
        other = ids.clone()
        other[:, t:] = (other[:, t:] + 5) % 30
        after = value.values(other)
        torch.testing.assert_close(after[:, :t + 1], before[:, :t + 1], atol=1e-5, rtol=1e-5)
        assert bool((after[:, t + 1:] != before[:, t + 1:]).all())
        whole = value(ids[:, :t], torch.ones(6, t, dtype=torch.bool))               # as a reward for the text so far
        torch.testing.assert_close(before[:, t], whole, atol=1e-5, rtol=1e-5)


def test_the_value_model_learns_to_foresee_and_leaves_the_reward_model_alone():
    reward, data = reward_model(), pair_data()
    before, value = weights(reward), RewardModel(tiny(seed=1))
    errors = train_value(value, reward, data, PreferenceConfig(steps=60, batch=9, learning_rate=1e-2)).losses
    assert len(errors) == 60 and errors[-1] < 0.3 * errors[0] and torch.equal(weights(reward), before)
    ids, mask = data.tensors(range(9))
    expected = torch.tensor(0.0)
    for row, place in mask.nonzero().tolist():              # of the untrained one, which foresees 0
        expected += reward(ids, mask)[row].detach() ** 2 / mask.sum()
    assert errors[0] == pytest.approx(float(expected), rel=1e-4)


def test_rewards_that_are_no_numbers_are_refused():
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=rf"rewards\[2\] is {bad}; a reward is a finite number"):
            check_rewards(torch.tensor([0.0, 1.0, bad, bad]))
        with pytest.raises(ValueError, match="a reward is a finite number"):
            reward_loss(torch.tensor([0.0, 1.0]), torch.tensor([bad, 1.0]))
    with pytest.raises(ValueError, match=r"chosen_rewards has shape \(2,\) and rejected_rewards \(2, 1\)"):
        reward_loss(torch.zeros(2), torch.zeros(2, 1))


def test_a_training_that_breaks_leaves_the_model_as_it_was():
    reward = reward_model()
    with torch.no_grad():
        reward.head.bias.fill_(math.nan)
    before = weights(reward)
    with pytest.raises(TrainingStopped, match="in step 1"):
        train_reward(reward, pair_data(), SHORT)
    assert torch.equal(weights(reward).nan_to_num(), before.nan_to_num())


def test_a_pair_longer_than_the_context_is_refused():
    data = PairData([([1] * 20, [2] * 5, [3])])
    for use in (lambda: train_reward(reward_model(), data, SHORT), lambda: pair_rewards(reward_model(), data),
                lambda: train_value(reward_model(), reward_model(), data, SHORT)):
        with pytest.raises(ValueError, match=r"rows\[0\] has 25 tokens"):
            use()


def test_the_same_seed_gives_the_same_weights():
    made = []
    for seed in (3, 3, 4):
        reward = RewardModel(tiny())
        train_reward(reward, pair_data(), PreferenceConfig(steps=4, batch=3, learning_rate=1e-2, seed=seed))
        made.append(weights(reward))
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_a_reward_model_is_kept_and_read_again(tmp_path):
    reward = reward_model().eval()
    checkpoints.save_model(reward, tmp_path / "reward.safetensors")
    again = checkpoints.load_model(tmp_path / "reward.safetensors", make=RewardModel.new)
    assert again.config == reward.config and torch.equal(again(*answers()), reward(*answers())) and not again.training
    train_reward(again, pair_data(), SHORT)                 # ready to be trained on
    assert not torch.equal(weights(again), weights(reward))


def test_a_file_of_another_kind_is_refused(tmp_path):
    checkpoints.save_model(tiny(), tmp_path / "model.safetensors")
    checkpoints.save_model(reward_model(), tmp_path / "reward.safetensors")
    with pytest.raises(checkpoints.CheckpointError, match="is no model that save_model wrote"):
        checkpoints.load_model(tmp_path / "model.safetensors", make=RewardModel.new)
    with pytest.raises(checkpoints.CheckpointError, match="is no model that save_model wrote"):
        checkpoints.load_model(tmp_path / "reward.safetensors")


def test_a_value_model_begun_as_the_reward_model_is_another():
    reward = reward_model()
    value = copy.deepcopy(reward)
    train_value(value, reward, pair_data(), SHORT)
    assert torch.equal(weights(reward), weights(reward_model())) and not torch.equal(weights(value), weights(reward))
