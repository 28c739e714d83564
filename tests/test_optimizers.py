"""Muon moves as its formula says; the learning rate rises and falls; each parameter has one owner."""
import math

import pytest
import torch

from helpers import optimizers
from helpers.optimizers import Muon, orthogonalize, schedule
from helpers.transformer import Config, Transformer

SMALL = Config(vocabulary=11, context=8, d_model=12, layers=2, heads=3, d_ff=20, norm="layernorm", bias=True)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (3, 5, 7)])
def test_orthogonalize_keeps_the_directions_and_evens_out_the_sizes(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalize(matrix)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    sizes = u.mT @ made @ vt.mT                                     # diagonal in the same bases
    off = sizes - torch.diag_embed(sizes.diagonal(dim1=-2, dim2=-1))
    assert made.shape == matrix.shape and off.abs().max() < 1e-3
    within = sizes.diagonal(dim1=-2, dim2=-1)[s > 0.1 * s.amax(-1, keepdim=True)]
    assert within.min() > 0.6 and within.max() < 1.3


def test_orthogonalize_refuses_a_vector():
    with pytest.raises(ValueError, match=r"matrix has shape \(3,\); give"):
        orthogonalize(torch.zeros(3))


def test_orthogonalize_leaves_nothing_as_nothing():
    assert torch.equal(orthogonalize(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_muon_is_its_formula_step_by_step_and_shapes_do_not_mix():
    draw = torch.Generator().manual_seed(1)
    shapes = [(5, 3), (5, 3), (3, 5)]
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in shapes]
    expected = [parameter.detach().clone() for parameter in parameters]
    kept = [torch.zeros(shape) for shape in shapes]
    muon = Muon(parameters, lr=0.1, momentum=0.9, weight_decay=0.2)
    for _ in range(4):
        for i, parameter in enumerate(parameters):
            parameter.grad = torch.randn(shapes[i], generator=draw)
            kept[i] = 0.9 * kept[i] + 0.1 * parameter.grad
            direction = orthogonalize(0.1 * parameter.grad + 0.9 * kept[i])
            scale = math.sqrt(max(1, shapes[i][0] / shapes[i][1]))
            expected[i] = expected[i] * (1 - 0.1 * 0.2) - 0.1 * scale * direction
        muon.step()
    for parameter, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, atol=1e-5, rtol=0)


def test_muon_leaves_a_parameter_without_gradient():
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    Muon([parameter], weight_decay=1.0).step()
    assert torch.equal(parameter.detach(), torch.ones(2, 3))


@pytest.mark.parametrize(("settings", "words"), [({"lr": -1.0}, "lr is -1.0"), ({"momentum": -0.1}, "momentum is -0.1"),
                                                 ({"weight_decay": float("nan")}, "weight_decay is nan")])
def test_muon_refuses_negative_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        Muon([torch.nn.Parameter(torch.ones(2, 2))], **settings)


def test_muon_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match=r"shape \(4,\); Muon takes matrices"):
        Muon([torch.nn.Parameter(torch.ones(4))])


def test_the_learning_rate_rises_in_a_line_and_falls_to_the_floor():
    rates = [schedule(step, 100, warmup=10, floor=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10] == 1.0 and all(a > b for a, b in zip(rates[10:], rates[11:]))
    assert rates[55] == pytest.approx(0.55) and 0.1 < rates[-1] < 0.101
    assert schedule(0, 1) == 1.0 and schedule(4, 5, warmup=5) == 1.0


@pytest.mark.parametrize(("arguments", "words"), [((5, 5), "step is 5"), ((0, 5, 6), "warmup is 6"),
                                                  ((0, 5, 0, 2.0), "floor is 2.0")])
def test_a_schedule_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        schedule(*arguments)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_each_parameter_has_one_owner_and_only_matrices_decay(kind):
    model = Transformer(SMALL)
    model.position = torch.nn.Embedding(3, 12)
    made = optimizers.optimizers(model, kind, 1e-3, 0.02, 0.1, (0.9, 0.95))
    owned = [(id(p), group["weight_decay"], type(one)) for one in made for group in one.param_groups
             for p in group["params"]]
    assert sorted(id for id, *_ in owned) == sorted(id(p) for p in model.parameters())
    by_id = {id: (decay, owner) for id, decay, owner in owned}
    for name, parameter in model.named_parameters():
        decay, owner = by_id[id(parameter)]
        assert decay == (0.1 if parameter.ndim == 2 else 0.0), name
        assert (owner is Muon) == (kind == "muon" and name.startswith("blocks.") and parameter.ndim == 2), name


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer is 'sgd'; choose adamw or muon"):
        optimizers.optimizers(Transformer(SMALL), "sgd", 1e-3, 0.02, 0.1, (0.9, 0.95))
