"""PPO: its four pieces are what plain loops give, and together they raise a reward without losing the model."""
import copy
import math
import signal

import pytest
import torch

from helpers import lora, ppo as ppo_module
from helpers.ppo import PPOConfig, clipped_loss, gae, ppo, reward_of, rollout, standard, token_rewards
from helpers.preference import token_logps
from helpers.reward import RewardModel
from helpers.tales import ASSISTANT, END, USER
from helpers.training import TrainingStopped
from tests.small_preferences import ASKED, tokenizer, weights, writer

SEEDS = range(40)
FEW = PPOConfig(steps=2, batch=6, minibatch=4, max_new_tokens=5, learning_rate=1e-2)


def scene(seed):
    """Random numbers as a rollout has them: rewards, values, logps, old logps (B, T) and the mask of the answers."""
    draw = torch.Generator().manual_seed(seed)
    B, T = (int(torch.randint(low, high, (), generator=draw)) for low, high in ((1, 5), (5, 9)))
    numbers = torch.randn(4, B, T, generator=draw, dtype=torch.float64)
    mask = torch.zeros(B, T, dtype=torch.bool)
    for row in range(B):
        first = int(torch.randint(1, T, (), generator=draw))
        mask[row, first:int(torch.randint(first + 1, T + 1, (), generator=draw))] = True
    return *numbers, mask


def wider(numbers, filling):
    """(B, T) with three more columns of something."""
    return torch.cat([numbers, torch.full((len(numbers), 3), filling, dtype=numbers.dtype)], dim=1)


# The pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_advantages_are_those_of_plain_loops(seed):
    rewards, values, _, _, mask = scene(seed)
    gamma, lam = 0.5 + seed / 80, seed / 40
    found = gae(rewards, values, mask, gamma, lam)
    for row in range(len(mask)):
        places = mask[row].nonzero().flatten().tolist()
        surprises = [float(rewards[row, t] - values[row, t] + (gamma * values[row, t + 1] if t + 1 in places else 0))
                     for t in places]
        for number, t in enumerate(places):
            expected = sum((gamma * lam) ** later * surprise for later, surprise in enumerate(surprises[number:]))
            assert float(found[row, t]) == pytest.approx(expected, abs=1e-9)
    assert not found[~mask].any() and found.shape == rewards.shape


@pytest.mark.parametrize("seed", SEEDS)
def test_with_lam_1_an_advantage_is_all_that_comes_less_what_was_expected(seed):
    rewards, values, _, _, mask = scene(seed)
    to_go = (rewards * mask).flip(1).cumsum(dim=1).flip(1)                          # (B, T)
    torch.testing.assert_close(gae(rewards, values, mask, gamma=1.0, lam=1.0), (to_go - values) * mask)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_stands_outside_the_answers_never_counts(seed):
    rewards, values, logps, old_logps, mask = scene(seed)
    other, more = wider(mask, False), ~wider(mask, False)
    changed = [torch.where(more, 7.0 + number, wider(numbers, 3.0))
               for number, numbers in enumerate((rewards, values, logps, old_logps))]
    advantages = gae(rewards, values, mask)
    assert torch.equal(gae(*changed[:2], other)[:, :mask.shape[1]], advantages)
    torch.testing.assert_close(clipped_loss(*changed[2:], torch.where(more, -5.0, wider(advantages, 1.0)), other),
                               clipped_loss(logps, old_logps, advantages, mask))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clipped_loss_is_that_of_plain_loops(seed):
    advantages, _, logps, old_logps, mask = scene(seed)
    clip, gains = 0.05 + seed / 50, []
    for row, t in mask.nonzero().tolist():
        ratio, advantage = math.exp(logps[row, t] - old_logps[row, t]), float(advantages[row, t])
        kept = max(1 - clip, min(1 + clip, ratio))
        gains.append(min(ratio * advantage, kept * advantage))
    found = clipped_loss(logps, old_logps, advantages, mask, clip)
    assert float(found) == pytest.approx(-sum(gains) / len(gains), abs=1e-9)


@pytest.mark.parametrize("ratio, advantage, moves", [(1.3, 1.0, False), (1.1, 1.0, True), (0.7, 1.0, True),
                                                     (0.7, -1.0, False), (0.9, -1.0, True), (1.3, -1.0, True)])
def test_a_token_that_went_far_enough_moves_the_model_no_further(ratio, advantage, moves):
    logps = torch.tensor([[0.0, math.log(ratio)]], requires_grad=True)
    mask = torch.tensor([[False, True]])
    clipped_loss(logps, torch.zeros(1, 2), torch.full((1, 2), advantage), mask, clip=0.2).backward()
    assert bool(logps.grad[0, 1]) == moves and logps.grad[0, 0] == 0


def test_each_token_pays_for_its_distance_and_the_last_one_gets_the_reward():
    model, reference = writer(), writer(seed=1)
    written = rollout(model, reference, tokenizer(), ASKED, max_new_tokens=5)
    found = token_rewards(torch.tensor([1.0, 2.0, 3.0]), written, beta=0.5)
    for row in range(3):
        places = written.completion_mask[row].nonzero().flatten().tolist()
        for t in range(written.ids.shape[1]):
            expected = -0.5 * float(written.logps[row, t] - written.ref_logps[row, t]) if t in places else 0.0
            assert float(found[row, t]) == pytest.approx(expected + (row + 1) * (t == places[-1]), abs=1e-6)


def test_standard_advantages_have_mean_0_and_spread_1_inside_the_answers():
    advantages, *_, mask = scene(3)
    inside = standard(advantages, mask)[mask]
    assert float(inside.mean()) == pytest.approx(0, abs=1e-6) and float(inside.std()) == pytest.approx(1, abs=1e-6)
    assert standard(torch.full((1, 2), 5.0), torch.tensor([[False, True]]))[0, 1] == 0


# What a model writes --------------------------------------------------------------------------------------------------


def test_what_is_written_is_as_likely_as_it_was():
    model, reference = writer(), writer(seed=1)
    written = rollout(model, reference, tokenizer(), ASKED * 2, max_new_tokens=6)
    for judge, logps in ((model, written.logps), (reference, written.ref_logps)):
        expected = token_logps(judge, written.ids, written.completion_mask).detach()
        torch.testing.assert_close(logps, expected, atol=1e-5, rtol=1e-5)
        assert not logps.requires_grad
    torch.testing.assert_close(written.kls, (written.logps - written.ref_logps).sum(dim=1))
    assert written.kls.abs().min() > 1e-3
    assert written.entropy == pytest.approx(math.log(model.config.vocabulary), abs=0.3)
    assert rollout(model, model, tokenizer(), ASKED, 6).kls.abs().max() == 0


def test_a_rollout_holds_request_and_answer():
    written = rollout(writer(), writer(), tokenizer(), ASKED, max_new_tokens=6)
    special = tokenizer().special_tokens
    assert written.prompts == ASKED
    for request, answer, ids, mask in zip(ASKED, written.completions, written.ids, written.completion_mask,
                                          strict=True):
        first = int(mask.int().argmax())
        assert ids[:first].tolist() == [special[USER], *tokenizer().encode(request), special[ASSISTANT]]
        assert tokenizer().decode(ids[mask].tolist()) == answer                     # cut off: no end token
        assert int(mask.sum()) == 6


def test_an_answer_that_was_cut_off_has_no_end_token():
    model, end = writer(), tokenizer().special_tokens[END]
    with torch.no_grad():
        model.embed.weight[end] = 1.5 * torch.randn(16)                             # likely now and then
    written = rollout(model, model, tokenizer(), ASKED * 30, max_new_tokens=8)
    lengths = written.completion_mask.sum(dim=1)
    last = [int(ids[mask][-1]) for ids, mask in zip(written.ids, written.completion_mask, strict=True)]
    ends = [int((ids[mask] == end).sum()) for ids, mask in zip(written.ids, written.completion_mask, strict=True)]
    assert ends == [int(token == end) for token in last] and 0 < sum(ends) < 90
    assert all(length == 8 for length, found in zip(lengths.tolist(), ends, strict=True) if not found)
    assert {1, 8} <= {length for length, found in zip(lengths.tolist(), ends, strict=True) if found}
    assert not any(END in answer for answer in written.completions)


def test_an_answer_depends_on_its_own_seed_alone():
    model = writer()
    together = rollout(model, model, tokenizer(), ASKED, 6, seed=5).completions
    alone = [rollout(model, model, tokenizer(), [request], 6, seed=5 + number).completions[0]
             for number, request in enumerate(ASKED)]
    assert together == alone and together != rollout(model, model, tokenizer(), ASKED, 6, seed=9).completions


def test_writing_leaves_the_model_in_its_mode_and_inside_its_context():
    model = writer().train()
    written = rollout(model, model, tokenizer(), ASKED, max_new_tokens=500)
    assert written.ids.shape[1] <= 64 and model.training


@pytest.mark.parametrize("requests, said", [
    ([], "requests is empty; give at least one"),
    (["word " * 70], "ids has 144 tokens and this model sees at most 64")])
def test_requests_that_cannot_be_answered_are_refused(requests, said):
    with pytest.raises(ValueError, match=said):
        rollout(writer(), writer(), tokenizer(), requests)


def test_a_reward_model_is_a_reward_function():
    reward = RewardModel(writer())
    torch.nn.init.normal_(reward.head.weight)
    written = rollout(writer(), writer(), tokenizer(), ASKED, 5)
    found = reward_of(reward)(written)
    assert torch.equal(found, reward(written.ids, written.completion_mask).detach()) and not found.requires_grad


# All of it ------------------------------------------------------------------------------------------------------------


def liked(written):
    """How many tokens of an answer have even numbers."""
    return ((written.ids % 2 == 0) & written.completion_mask).sum(dim=1).float()


def run(reward=liked, model=None, value=None, requests=ASKED, **settings):
    model = writer() if model is None else model
    value = RewardModel(writer(seed=1)) if value is None else value
    return model, value, ppo(model, tokenizer(), requests, reward, value, PPOConfig(**vars(FEW) | settings))


def test_the_reward_rises():
    _, _, history = run(steps=20, batch=24, minibatch=12, max_new_tokens=6, beta=0.01, learning_rate=3e-2)
    assert 2 < history.rewards[0] < 4 and history.rewards[-1] > history.rewards[0] + 1
    assert history.kls[0] == pytest.approx(0, abs=1e-4) and history.kls[-1] > 0.1 and history.stopped == ""
    assert [len(answers) for answers in history.completions] == [24] * 20
    assert all(1 <= length <= 6 for length in history.lengths) and len(history.entropies) == 20


def test_the_distance_to_the_reference_holds_the_model_back():
    far, near = (run(steps=8, batch=24, minibatch=12, beta=beta)[2].kls[-1] for beta in (0.0, 5.0))
    assert far > 0.1 > near


def test_a_beta_of_0_is_legal_and_a_negative_one_is_not():
    assert len(run(beta=0)[2].rewards) == 2
    with pytest.raises(ValueError, match="beta is -0.1; give a number 0 or more"):
        run(beta=-0.1)


def test_the_value_model_learns_to_expect_what_came(monkeypatch):
    """Its error is that of a loop over what was earned from each token on; and it falls where the model stays."""
    errors, written, usual = [], [], ppo_module.move

    def watched(trained, mover, loss, *others):
        if mover.param_groups[0]["weight_decay"] == 0 and any(one is value.head.weight for one in trained):
            errors.append(loss.item())
        return usual(trained, mover, loss, *others)

    def kept(*given, **settings):
        written.append(rollout(*given, **settings))
        return written[-1]

    value = RewardModel(writer(seed=1))
    with torch.no_grad():
        value.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    began = copy.deepcopy(value)
    monkeypatch.setattr(ppo_module, "move", watched)
    monkeypatch.setattr(ppo_module, "rollout", kept)
    run(counts_letters, value=value, steps=15, batch=6, minibatch=6, learning_rate=1e-9, value_learning_rate=3e-3)
    first, squares = written[0], []
    earned = token_rewards(counts_letters(first), first, FEW.beta)
    with torch.no_grad():
        expected = began.values(first.ids)
    for row, t in first.completion_mask.nonzero().tolist():
        squares.append(float(expected[row, t] - earned[row, t:].sum()) ** 2)
    assert len(errors) == 15 and errors[0] == pytest.approx(sum(squares) / len(squares), rel=1e-3)
    assert sum(errors[-3:]) < 0.5 * sum(errors[:3])


def counts_letters(written):
    return torch.tensor([len(answer) / 10 for answer in written.completions])


def test_what_the_model_began_as_is_left_alone_and_so_is_what_is_frozen():
    began, frozen = [], writer()
    lora.add_lora(frozen, 2)
    before = {name: numbers.detach().clone() for name, numbers in frozen.named_parameters()}
    usual = ppo_module.rollout

    def watched(model, reference, *others, **settings):
        began.append((reference, weights(reference)))
        return usual(model, reference, *others, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo_module, "rollout", watched)
        run(model=frozen, steps=3)
    assert len(began) == 3 and all(torch.equal(seen, began[0][1]) for _, seen in began)
    assert not any(p.requires_grad or p.grad is not None for p in began[0][0].parameters())
    for name, numbers in frozen.named_parameters():
        assert torch.equal(numbers, before[name]) != (".A" in name or ".B" in name), name


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused_and_changes_nothing(bad):
    model, value, signals = writer(), RewardModel(writer(seed=1)), signal.getsignal(signal.SIGINT)
    before = weights(model), weights(value)
    rewards = torch.zeros(6)
    rewards[4] = bad
    with pytest.raises(ValueError, match=rf"rewards\[4\] is {bad}; a reward is a finite number"):
        run(lambda written: rewards, model, value)
    assert torch.equal(weights(model), before[0]) and torch.equal(weights(value), before[1])
    assert signal.getsignal(signal.SIGINT) is signals


@pytest.mark.parametrize("rewards", [torch.zeros(1), torch.tensor(1.0), torch.zeros(6, 1), [1.0] * 5])
def test_rewards_of_another_shape_are_refused(rewards):
    with pytest.raises(ValueError, match=r"the reward function gave .*; give one number for each of the 6 answers"):
        run(lambda written: rewards)


def test_rewards_may_be_whole_numbers_a_list_or_have_gradients():
    histories = [run(lambda written, kind=kind: kind(liked(written)))[2]
                 for kind in (torch.clone, torch.Tensor.long, torch.Tensor.tolist, torch.Tensor.requires_grad_)]
    assert all(history == histories[0] for history in histories)


def test_no_requests_are_refused():
    with pytest.raises(ValueError, match="requests is empty; give at least one"):
        run(requests=[])


def test_a_model_without_anything_to_learn_is_refused():
    with pytest.raises(ValueError, match="nothing in the model learns"):
        run(model=writer().requires_grad_(False))


def test_a_loss_that_is_no_number_stops_before_the_model_moves(monkeypatch):
    model, signals = writer(), signal.getsignal(signal.SIGINT)
    before = weights(model)
    monkeypatch.setattr(ppo_module, "clipped_loss", lambda logps, *_: logps.sum() * math.nan)
    with pytest.raises(TrainingStopped, match="in round 1") as caught:
        run(model=model)
    assert torch.equal(weights(model), before) and len(caught.value.history.rewards) == 1
    assert signal.getsignal(signal.SIGINT) is signals


def test_what_was_learned_before_a_loss_that_is_no_number_is_kept(monkeypatch):
    """The second move of the first round fails: the first one stays, and the message speaks of the move alone."""
    model, calls, usual = writer(), [], ppo_module.clipped_loss

    def breaks(logps, *others):
        calls.append(weights(model))
        return usual(logps, *others) if len(calls) == 1 else logps.sum() * math.nan

    monkeypatch.setattr(ppo_module, "clipped_loss", breaks)
    with pytest.raises(TrainingStopped, match="in round 1 .* as it was before this move"):
        run(model=model)
    assert torch.equal(weights(model), calls[1]) and not torch.equal(calls[0], calls[1])


def test_a_model_keeps_its_mode_whatever_happens(monkeypatch):
    for mode in (True, False):
        model = writer().train(mode)
        rollout(model, model, tokenizer(), ASKED, max_new_tokens=2)
        assert model.training == mode
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ppo_module.sampling, "generate", interrupted)
            rollout(model, model, tokenizer(), ASKED, max_new_tokens=2)
        assert model.training == mode


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_a_single_token_can_be_learned_from():
    _, _, history = run(batch=1, minibatch=1, max_new_tokens=1)
    assert history.lengths == [1.0, 1.0]


def test_requests_are_taken_in_turn_and_every_answer_is_learned_from_once_an_epoch(monkeypatch):
    asked, learned = [], []
    usual, loss = ppo_module.rollout, ppo_module.clipped_loss

    def watched(model, reference, tokenizer, requests, *others, **settings):
        asked.append(requests)
        return usual(model, reference, tokenizer, requests, *others, **settings)

    monkeypatch.setattr(ppo_module, "rollout", watched)
    monkeypatch.setattr(ppo_module, "clipped_loss", lambda *args: learned.append(args[1]) or loss(*args))
    run(batch=4, minibatch=3, epochs=2)
    assert asked == [[*ASKED, ASKED[0]], [*ASKED[1:], *ASKED[:2]]]
    assert [len(rows) for rows in learned] == [3, 1] * 4
    first, second = (sorted(torch.cat(learned[at:at + 2]).sum(dim=1).tolist()) for at in (0, 2))
    assert first == second and len(set(first)) == 4


def test_an_interrupt_waits_for_the_end_of_the_round(capsys):
    calls, before = [], signal.getsignal(signal.SIGINT)

    def reward(written):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return liked(written)

    model, _, history = run(reward, steps=4)
    assert history.stopped == "stopped after round 2 of 4" and len(history.rewards) == 2
    assert signal.getsignal(signal.SIGINT) is before and "PPO stopped after round 2 of 4" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_weights():
    made = [run(seed=seed) for seed in (3, 3, 4)]
    for one in (0, 1):                                      # of the model, and of the value model
        assert torch.equal(weights(made[0][one]), weights(made[1][one]))
        assert not torch.equal(weights(made[0][one]), weights(made[2][one]))
    assert made[0][2] == made[1][2] and made[0][2].completions[0] != made[2][2].completions[0]


def test_each_round_draws_anew():
    _, _, history = run(batch=3, minibatch=3, learning_rate=1e-12)
    assert history.completions[0] != history.completions[1]


@pytest.mark.parametrize("settings, said", [
    ({"steps": 0}, "steps is 0"), ({"batch": 0}, "batch is 0"), ({"minibatch": 0}, "minibatch is 0"),
    ({"epochs": 0}, "epochs is 0"), ({"max_new_tokens": 0}, "max_new_tokens is 0"), ({"seed": -1}, "seed is -1"),
    ({"learning_rate": 0}, "learning_rate is 0"), ({"value_learning_rate": math.nan}, "value_learning_rate is nan"),
    ({"clip": 0.0}, "clip is 0.0"), ({"longest_gradient": 0}, "longest_gradient is 0"),
    ({"gamma": 1.1}, "gamma is 1.1; give a number from 0 to 1"), ({"lam": -0.1}, "lam is -0.1"),
    ({"beta": math.nan}, "beta is nan; give a number 0 or more")])
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        PPOConfig(**{"steps": 5} | settings)
