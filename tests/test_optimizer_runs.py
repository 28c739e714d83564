"""The trainings that lesson 05b compares: each kind takes PyTorch's steps, and a seed settles all else."""
import copy
import math

import pytest
import torch

from helpers import optimizer_runs
from helpers.optimizer_runs import KINDS, PLANS, best_rate, characters, held_out_loss, make, small_model, train, trial
from helpers.training import TrainConfig
from helpers.training import train as package_train


def weights(model):
    return torch.nn.utils.parameters_to_vector(model.parameters())


def batches(count, seed=3, rows=2):
    return [characters()[0].batch(number, rows, 32, seed) for number in range(count)]


def test_what_is_held_out_is_never_trained_on():
    text, pieces, letters = characters()
    assert len(text.ids) == 900_000 and pieces.shape == (512, 33)
    assert int(pieces.max()) < len(letters) == len(set(letters))
    assert optimizer_runs.corpora.shakespeare().find("".join(letters[i] for i in pieces[0])) >= 900_000


def test_a_seed_settles_the_weights_and_leaves_the_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(weights(small_model(1)), weights(small_model(1)))
    assert not torch.equal(weights(small_model(1)), weights(small_model(2)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind, optimizer", [("AdamW", "adamw"), ("Muon", "muon")])
def test_a_trial_takes_the_steps_of_the_package(kind, optimizer):
    ours, theirs = small_model(0), small_model(0)
    losses = train(ours, make(kind, ours, 0.01), batches(4))
    rates = {"learning_rate": 0.01 if kind == "AdamW" else optimizer_runs.REST, "muon_learning_rate": 0.01}
    config = TrainConfig(steps=4, batch=2, optimizer=optimizer, weight_decay=0.1, floor=1.0, clip=1e9, seed=3, **rates)
    history = package_train(theirs, characters()[0], config)
    assert losses == pytest.approx(history.losses, abs=1e-5)
    assert torch.allclose(weights(ours), weights(theirs), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_moves_every_parameter(kind):
    model = small_model(0)
    before = [parameter.clone() for parameter in model.parameters()]
    train(model, make(kind, model, 0.01), batches(2))
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters()))


def test_clipping_shortens_a_step_of_sgd_to_the_limit():
    model = small_model(0)
    before = weights(model).clone()
    train(model, make("SGD", model, 1.0), batches(1), clip=0.01)
    assert (weights(model) - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_plan_multiplies_the_rate():
    plan = PLANS["rise and fall"](20)
    assert plan(0) == 0.5 and plan(1) == plan(2) == 1.0 and plan(19) < 0.01
    still, moved = small_model(0), small_model(0)
    train(still, make("SGD", still, 1.0), batches(1), share=lambda step: 0.0)
    train(moved, make("SGD", moved, 1.0), batches(1))
    assert torch.equal(weights(still), weights(small_model(0))) and not torch.equal(weights(still), weights(moved))


def test_a_trial_again_is_the_same_and_learns():
    one, two = (trial("AdamW", 0.004, seed=0, batch=4, steps=12) for _ in range(2))
    assert one.losses == two.losses and one.held_out == two.held_out
    assert one.losses[0] == pytest.approx(math.log(len(characters()[2])), abs=0.2)
    assert one.held_out < held_out_loss(small_model(0)) - 0.3


def test_the_best_rate_is_chosen_by_the_tuning_seeds_alone():
    points = [{"rate": 0.1, "seed": 10, "held_out": 2.0}, {"rate": 0.2, "seed": 10, "held_out": 1.9},
              {"rate": 0.2, "seed": 11, "held_out": None}, {"rate": 0.1, "seed": 11, "held_out": 2.2},
              {"rate": 0.3, "seed": 0, "held_out": 0.1}]
    assert best_rate(points) == 0.1                         # 0.2 flew away once
    with pytest.raises(ValueError, match="no learning rate at which training stayed finite"):
        best_rate(copy.deepcopy(points[2:3]))


def test_what_flies_away_is_stored_as_none(monkeypatch):
    monkeypatch.setattr(optimizer_runs, "trial", lambda *given, **more: optimizer_runs.Trial([], math.nan, 1.0))
    assert optimizer_runs.point("SGD", 9.0, 0, steps=3) == {"kind": "SGD", "rate": 9.0, "seed": 0, "steps": 3,
                                                            "held_out": None}


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="kind is 'adam'; choose one of SGD, momentum"):
        make("adam", small_model(0), 0.1)
    with pytest.raises(ValueError, match="plan is 'up'; choose one of constant, fall, rise and fall"):
        trial("SGD", 0.1, 0, plan="up")
