"""Models in few bits: they compute what their dequantised weights say, kernel or not, and leave the model alone."""
import pytest
import torch

from helpers import pretrained, quantised_models
from helpers.corpora import python_docs
from helpers.lora import add_lora
from helpers.quantised_models import Int4Linear, Int8Linear, has_kernels, int8, rounded
from helpers.quantization import quantise
from helpers.sampling import generate
from helpers.transformer import Config, Transformer

KERNELS = [True, False] if has_kernels() else [False]


def small(**choices):
    torch.manual_seed(0)
    usual = {"vocabulary": 96, "context": 32, "d_model": 64, "layers": 2, "heads": 4, "kv_heads": 2}
    model = Transformer(Config(**usual | choices)).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.normal_(std=0.2)
    return model


@pytest.fixture(params=KERNELS, ids=lambda fast: "kernel" if fast else "plain")
def kernels(request, monkeypatch):
    monkeypatch.setattr(quantised_models, "has_kernels", lambda: request.param)
    return request.param


@pytest.mark.parametrize("shape", [(1,), (3, 5), (1, 70)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_layers_compute_with_the_dequantised_weights(kernels, shape, with_bias):
    draw = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(64, 128, generator=draw), torch.randn(64, generator=draw) if with_bias else None
    x = torch.randn(*shape, 128, generator=draw)
    for make, codes in ((Int8Linear, quantise(weight, 8, symmetric=True)), (Int4Linear, quantise(weight, 4, 32)),
                        (Int4Linear, quantise(weight, 4, 64))):
        expected = torch.nn.functional.linear(x, codes.dequantise(), bias)
        got = make(codes, bias)(x)
        assert got.shape == expected.shape and got.dtype == torch.float32
        assert (got - expected).norm() < (5e-3 if kernels else 1e-5) * expected.norm()      # bfloat16 in the kernel


@pytest.mark.parametrize("choices", [{}, {"tied": False}, {"bias": True, "norm": "layernorm", "mlp": "gelu"}])
def test_an_int8_model_is_the_rounded_one(kernels, choices):
    model = small(**choices)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.randint(96, (3, 7), generator=torch.Generator().manual_seed(2))
    expected, got = rounded(model, 8, symmetric=True)(ids), int8(model)(ids)
    assert (got - expected).norm() < (2e-2 if kernels else 1e-5) * expected.norm()
    assert 0 < (model(ids) - expected).norm() < 5e-2 * expected.norm()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_an_encoder_can_be_quantised(kernels):
    encoder = small(causal=False, output="hidden", norm="layernorm", mlp="gelu", bias=True)
    ids = torch.arange(6)[None]
    assert (int8(encoder)(ids) - rounded(encoder, 8, symmetric=True)(ids)).abs().max() < 0.1


def test_rounded_loses_more_with_fewer_bits_and_leaves_norms_alone():
    model = small()
    ids = torch.randint(96, (4, 12), generator=torch.Generator().manual_seed(3))
    errors = [float((rounded(model, bits, 32)(ids) - model(ids)).norm()) for bits in (8, 4, 3, 2)]
    assert errors == sorted(errors) and errors[0] < errors[-1] / 10
    few = rounded(model, 2, 32)
    assert torch.equal(few.norm.weight, model.norm.weight)
    assert len(few.embed.weight[0].unique()) <= 8                               # two groups of four values
    assert few.blocks[1].mlp.down.weight is not model.blocks[1].mlp.down.weight


def test_smollm2_in_its_own_bits_knows_what_it_knew(kernels):
    model, tokenizer = pretrained.smollm2()
    small_one, _ = pretrained.smollm2(bits=4)
    ids = torch.tensor([tokenizer.encode(python_docs()["assert"])[:300]])
    with torch.inference_mode():
        losses = [torch.nn.functional.cross_entropy(one(ids)[0, :-1], ids[0, 1:]).item() for one in (model, small_one)]
    assert abs(losses[1] - losses[0]) < 0.02                                    # 2 % of perplexity
    prompt = tokenizer.encode("The capital of France is")
    assert tokenizer.decode(generate(small_one, prompt, 1, temperature=0)) == " Paris"


def test_smollm2_in_four_bits_is_small():
    model, _ = pretrained.smollm2(bits=4)
    tensors = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}.values()
    tables = sum(tensor.numel() * 4 for tensor in (model.cos, model.sin))
    assert sum(tensor.numel() * tensor.element_size() for tensor in tensors) - tables < 130e6
    assert not any(tensor.requires_grad for tensor in model.parameters())


@pytest.mark.parametrize("make, codes, says", [
    (Int8Linear, quantise(torch.ones(4, 64), 8), "Int8Linear takes absmax with one scale a row"),
    (Int8Linear, quantise(torch.ones(4, 64), 8, 32, symmetric=True), "Int8Linear takes absmax"),
    (Int4Linear, quantise(torch.ones(4, 64), 4, 16), "4 bits in groups of 16"),
    (Int4Linear, quantise(torch.ones(4, 64), 3, 32), "3 bits in groups of 32"),
    (Int4Linear, quantise(torch.ones(4, 64), 4, 32, symmetric=True), "with minimums"),
])
def test_layers_refuse_codes_that_are_not_theirs(make, codes, says):
    with pytest.raises(ValueError, match=says):
        make(codes)


def test_other_bits_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="bits is 3; give 32, or 4 as it is shipped"):
        pretrained.smollm2(bits=3)


def test_a_quantised_model_takes_no_lora():
    with pytest.raises(ValueError, match="names holds 'qkv'"):
        add_lora(int8(small()), rank=2)
