"""Models without a part: built as they say, trained as lesson 04b trains them, drawn with their words."""
import pytest
import torch

from helpers import ablation_plots, ablations
from helpers.ablations import PARTS, STARTS, best_setting, letters, measure, small_model, train
from helpers.transformer import Block


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_taken_away_from_the_same_model(part):
    model, whole = small_model(part, 2, "small", seed=3), small_model("whole", 2, "small", seed=3)
    assert torch.equal(model.embed.weight, whole.embed.weight)
    texts = letters()[1][:4, :-1]
    assert torch.equal(model(texts), whole(texts)) == (part == "whole")


def test_a_block_that_replaces_passes_on_nothing_of_what_it_read():
    model = small_model("no residual", 1, "xavier", seed=0)
    torch.nn.init.zeros_(model.blocks[0].mlp.down.weight)
    stream = []
    model.hidden(letters()[1][:2, :-1], keep=stream)
    assert stream[0].abs().min() > 0 and stream[1].abs().max() == 0


def test_a_block_without_norms_is_one_whose_norms_do_nothing():
    model = small_model("no norm", 1, "xavier", seed=0)
    twin = Block(model.config)
    twin.load_state_dict(model.blocks[0].state_dict())
    twin.attention_norm = twin.mlp_norm = torch.nn.Identity()
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    places = model.places(torch.arange(5)[None])
    assert torch.equal(model.blocks[0](x, places), twin(x, places))


def test_starts():
    spreads = {start: small_model("whole", 2, start, seed=0).requires_grad_(False).blocks[0] for start in STARTS}
    assert spreads["small"].attention.qkv.weight.std() == pytest.approx(0.02, rel=0.05)
    assert spreads["xavier"].attention.qkv.weight.std() == pytest.approx((2 / (32 + 96)) ** 0.5, rel=0.05)
    assert spreads["xavier"].mlp.down.weight.abs().min() > 0 == spreads["silent"].mlp.down.weight.abs().max()


@pytest.mark.parametrize("arguments, said", [
    (("no head", 2, "small", 0), "part is 'no head'; choose one of whole"),
    (("whole", 2, "loud", 0), "start is 'loud'; choose one of small"),
])
def test_an_unknown_part_or_start_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        small_model(*arguments)


def test_making_and_training_a_model_leaves_the_callers_seed_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(small_model("whole", 1, "small", seed=0), 0.01, steps=2)
    assert torch.rand(1) == expected


def test_a_warm_up_reaches_the_full_rate_in_equal_parts(monkeypatch):
    rates = []

    class Noting(torch.optim.Adam):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            return super().step()

    monkeypatch.setattr(ablations.torch.optim, "Adam", Noting)
    train(small_model("whole", 1, "small", seed=0), 0.04, warm_up=4, steps=6)
    assert rates == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.04, 0.04])


def test_a_short_training_is_measured_and_repeats():
    settings = {"part": "post-norm", "layers": 1, "start": "xavier", "rate": 0.01, "warm_up": 5, "seed": 1, "steps": 25}
    point = measure(**settings)
    assert point == measure(**settings)
    assert len(point["curve"]) == 2 and point["curve"][0] > point["curve"][1] > point["loss"] - 0.5
    assert point["loss"] < 3.9


def test_a_training_whose_loss_is_no_number_breaks_off():
    point = measure("no norm", 24, "xavier", 0.01, 0, seed=0, steps=30)
    assert point == {"loss": None, "curve": []}


def test_of_trials_as_good_as_each_other_the_lowest_rate_is_best():
    def trial(rate, loss):
        return {"start": "small", "rate": rate, "warm_up": 0, "seed": 1, "loss": loss}

    setting = {"start": "small", "warm_up": 0}
    assert best_setting([trial(0.1, None), trial(0.02, 2.5), trial(0.01, 2.51)]) == setting | {"rate": 0.01}
    assert best_setting([trial(0.02, 2.5), trial(0.01, 2.53)]) == setting | {"rate": 0.02}
    with pytest.raises(ValueError, match="trials holds 1, none of which has a loss"):
        best_setting([trial(0.1, None)])


CURVES = {"2 blocks": {"adds": [[3.0, 2.0], [3.2, 2.4]], "replaces": [[3.5, 3.3, 3.25]]}}


def test_curves_say_where_they_begin_and_end():
    drawn = ablation_plots.curves(CURVES, "It falls", {"how often": 3.3})
    assert drawn.alt == ("It falls. Training loss in nats a letter against the step. 2 blocks, adds: from ≈3.1 to "
                         "≈2.2, in the last steps ≈2 to ≈2.4 over 2 seeds; 2 blocks, replaces: from ≈3.5 to ≈3.25, "
                         "in the last steps ≈3.25 to ≈3.25 over 1 seeds.")
    assert drawn.png != ablation_plots.curves(CURVES, "It falls").png


@pytest.mark.parametrize("panels, said", [
    ({}, "panels holds 0 panels and 0 series"),
    ({"a": {"b": [[1.0], [1.0, 2.0]]}}, "holds curves of \\[1, 2\\] points"),
    ({"a": {"b": [[]]}}, "holds curves of \\[0\\] points"),
    ({"a": {"b": []}}, "holds curves of \\[\\] points"),
])
def test_curves_that_cannot_be_drawn_are_refused(panels, said):
    with pytest.raises(ValueError, match=said):
        ablation_plots.curves(panels, "t")
