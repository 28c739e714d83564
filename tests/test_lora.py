"""LoRA: at first nothing is changed, only the detours are trained, and merged they do the same."""
import copy

import pytest
import torch
from torch import nn

from helpers import lora
from helpers.training import TokenStream, TrainConfig, train
from tests.small_models import small_model

IDS = torch.arange(60).reshape(3, 20)


def tuned(rank=3, steps=3, **settings):
    """A small model with detours that have been trained for a few steps."""
    model = small_model(context=20)
    lora.add_lora(model, rank, **settings)
    train(model, TokenStream(torch.arange(200) % 50), TrainConfig(steps=steps, batch=2, optimizer="adamw"))
    return model.eval()


def test_a_detour_is_what_its_formula_says():
    torch.manual_seed(0)
    linear = nn.Linear(5, 7)
    detour = lora.LoRA(linear, rank=2, alpha=6.0)
    with torch.no_grad():
        detour.B.normal_()
    x = torch.randn(4, 3, 5)
    expected = x @ (linear.weight + 3.0 * detour.B @ detour.A).T + linear.bias
    torch.testing.assert_close(detour(x), expected)
    torch.testing.assert_close(detour.merged()(x), expected)


def test_at_first_nothing_is_changed():
    model = small_model(context=20)
    before = model(IDS)
    names = lora.add_lora(model, 4)
    assert names[:2] == ["blocks.0.attention.qkv", "blocks.0.attention.out"] and len(names) == 8
    assert torch.equal(model(IDS), before)


def test_only_the_detours_are_trained():
    before = small_model(context=20).state_dict()
    model = tuned()
    assert all(".A" in name or ".B" in name for name, p in model.named_parameters() if p.requires_grad)
    frozen = {name.replace(".linear", ""): w for name, w in model.state_dict().items() if name[-2:] not in (".A", ".B")}
    assert frozen.keys() == before.keys() and all(torch.equal(frozen[name], w) for name, w in before.items())
    assert all(numbers.abs().sum() > 0 for numbers in lora.adapter(model).values())


def test_merged_is_the_plain_model_again_and_does_the_same():
    model = tuned()
    before = model(IDS).detach()
    assert lora.merge(model) is model
    assert model.state_dict().keys() == small_model(context=20).state_dict().keys()
    assert all(p.requires_grad for p in model.parameters())
    torch.testing.assert_close(model(IDS).detach(), before, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before, small_model(context=20)(IDS))


def test_an_adapter_goes_into_another_copy_of_the_model():
    model, other = tuned(), small_model(context=20)
    kept = lora.adapter(model)
    lora.add_lora(other, 3, seed=9)
    lora.load_adapter(other, kept)
    assert torch.equal(other(IDS), model(IDS))
    kept["blocks.0.attention.qkv.B"].zero_()                # a copy: the models keep theirs
    assert torch.equal(other(IDS), model(IDS))


def test_the_first_weights_follow_the_seed():
    one, same, other = ({**lora.adapter(tuned(steps=1, seed=seed))} for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["blocks.0.mlp.up.A"], other["blocks.0.mlp.up.A"])
    assert not torch.equal(one["blocks.0.mlp.up.A"], one["blocks.1.mlp.up.A"])


def test_names_choose():
    model = small_model(context=20)
    assert lora.add_lora(model, 2, names=("qkv",)) == ["blocks.0.attention.qkv", "blocks.1.attention.qkv"]


@pytest.mark.parametrize("settings, said", [
    ({"rank": 0}, "rank is 0; a matrix of 48 x 24 takes 1 to 24"), ({"rank": 25}, "rank is 25"),
    ({"rank": 2.0}, "rank is 2.0"), ({"rank": True}, "rank is True"), ({"rank": 2, "alpha": 0.0}, "alpha is 0.0"),
    ({"rank": 13}, "rank is 13; a matrix of 12 x 24 takes 1 to 12"), ({"rank": 2, "names": ()}, "names holds nothing"),
    ({"rank": 2, "names": ("query",)}, "names holds 'query'; the model's linear layers are down, out, qkv, up")])
def test_what_cannot_be_is_refused_and_leaves_the_model_as_it_was(settings, said):
    model = small_model(context=20).requires_grad_(True)
    if settings["rank"] == 13:                              # fits all matrices but the last
        model.blocks[1].mlp.up = nn.Linear(24, 12)
    with pytest.raises(ValueError, match=said):
        lora.add_lora(model, **settings)
    assert not lora.detours(model) and all(p.requires_grad for p in model.parameters())


def test_a_second_detour_is_refused():
    model = small_model(context=20)
    lora.add_lora(model, 2)
    with pytest.raises(ValueError, match="detours already"):
        lora.add_lora(model, 2)


@pytest.mark.parametrize("rank, names, said", [
    (2, lora.EVERYWHERE, r"is \(3, 24\) in the adapter and \(2, 24\) in the model"),
    (3, ("qkv",), "is .* in the adapter and missing in the model")])
def test_an_adapter_that_does_not_fit_is_refused_and_changes_nothing(rank, names, said):
    other, kept = small_model(context=20), lora.adapter(tuned())
    lora.add_lora(other, rank, names=names)
    before = copy.deepcopy(lora.adapter(other))
    with pytest.raises(ValueError, match=said):
        lora.load_adapter(other, kept)
    assert all(torch.equal(numbers, before[name]) for name, numbers in lora.adapter(other).items())
