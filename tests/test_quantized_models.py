"""Models in few bits: they compute what their dequantized weights say, kernel or not, and leave the model alone."""
import types

import pytest
import torch

from helpers import pretrained, quantized_models
from helpers.corpora import python_docs
from helpers.lora import add_lora
from helpers.quantization import Quantized, quantize
from helpers.quantized_models import Int4Linear, Int8Linear, QuantizedEmbedding, has_kernels, int8, rounded
from helpers.retrieval import mean_vectors
from helpers.sampling import generate
from helpers.token_data import Examples
from helpers.tracing import trace
from helpers.training import evaluate
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
    monkeypatch.setattr(quantized_models, "has_kernels", lambda: request.param)
    return request.param


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (1, 70), (0,), (2, 0)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_layers_compute_with_the_dequantized_weights(kernels, shape, with_bias):
    draw = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(64, 128, generator=draw), torch.randn(64, generator=draw) if with_bias else None
    x = torch.randn(*shape, 128, generator=draw)
    for make, codes in ((Int8Linear, quantize(weight, 8, symmetric=True)), (Int4Linear, quantize(weight, 4, 32)),
                        (Int4Linear, quantize(weight, 4, 64))):
        expected = torch.nn.functional.linear(x, codes.dequantize(), bias)
        got = make(codes, bias)(x)
        assert got.shape == expected.shape and got.dtype == torch.float32
        assert (got - expected).norm() <= (5e-3 if kernels else 1e-5) * expected.norm()     # bfloat16 in the kernel


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("with_bias", [False, True])
def test_what_comes_out_is_in_the_precision_of_what_goes_in(kernels, with_bias, dtype):
    draw = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(32, 64, generator=draw), torch.randn(32, generator=draw) if with_bias else None
    x = torch.randn(3, 64, generator=draw)
    for make, codes in ((Int8Linear, quantize(weight, 8, symmetric=True)), (Int4Linear, quantize(weight, 4, 32))):
        expected = torch.nn.functional.linear(x, codes.dequantize(), bias)
        got = make(codes, bias)(x.to(dtype))
        assert got.dtype == dtype and (got - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.parametrize("O, I", [(10, 64), (16, 24), (7, 20), (48, 16)])
def test_sizes_that_a_kernel_cannot_take_are_right_too(kernels, O, I):
    """ATen's int8 kernel reads rows sixteen weights at a time, its int4 kernel packs sixteen rows."""
    draw = torch.Generator().manual_seed(1)
    weight, x = torch.randn(O, I, generator=draw), torch.randn(3, I, generator=draw)
    layers = [(Int8Linear, quantize(weight, 8, symmetric=True))]
    if I % 32 == 0:
        layers.append((Int4Linear, quantize(weight, 4, 32)))
    for make, codes in layers:
        expected = torch.nn.functional.linear(x, codes.dequantize())
        assert (make(codes)(x) - expected).norm() < 5e-3 * expected.norm()


def test_a_transposed_x_is_taken(kernels):
    draw = torch.Generator().manual_seed(1)
    weight, x = torch.randn(32, 64, generator=draw), torch.randn(64, 5, generator=draw).t()
    for make, codes in ((Int8Linear, quantize(weight, 8, symmetric=True)), (Int4Linear, quantize(weight, 4, 32))):
        expected = torch.nn.functional.linear(x, codes.dequantize())
        assert (make(codes)(x) - expected).norm() < 5e-3 * expected.norm()
        assert torch.equal(make(codes)(x[None].expand(2, 5, 64))[1], make(codes)(x))


def test_what_moves_with_a_layer_is_registered(kernels):
    codes, bias = quantize(torch.randn(16, 32, generator=torch.Generator().manual_seed(0)), 4, 32), torch.ones(16)
    four, eight = Int4Linear(codes, bias), Int8Linear(quantize(codes.dequantize(), 8, symmetric=True), bias)
    assert {"bias", "codes"} < {*four.state_dict()} and {*eight.state_dict()} == {"bias", "codes", "scales"}
    assert all(buffer.is_meta for layer in (four, eight) for buffer in layer.to("meta").buffers())
    assert not any(isinstance(value, torch.Tensor) for layer in (four, eight) for value in vars(layer).values())


@pytest.mark.skipif(not has_kernels(), reason="nothing is packed without kernels")
def test_codes_elsewhere_than_on_the_cpu_are_not_packed():
    codes = quantize(torch.randn(16, 32, generator=torch.Generator().manual_seed(0)), 4, 32)
    there = Quantized(codes.codes.to("meta"), codes.scales.to("meta"), codes.minimums.to("meta"), 4)
    x = torch.ones(2, 32, device="meta")
    assert Int4Linear(codes).packed and not Int4Linear(there).packed
    assert Int4Linear(there)(x).shape == (2, 16)
    assert {*Int4Linear(there).state_dict()} == {"codes", "scales", "minimums"}
    with pytest.raises(ValueError, match="x is on meta and this layer's codes are packed for the CPU; make the layer"):
        Int4Linear(codes)(x)


def test_smollm2_in_four_bits_is_packed_for_its_own_device():
    model, _ = pretrained.smollm2("meta", bits=4)
    assert not any(layer.packed for layer in model.modules() if isinstance(layer, Int4Linear))
    assert model.device.type == "meta" and all(buffer.is_meta for buffer in model.buffers())


@pytest.mark.parametrize("change, says", [
    (lambda weights: weights.pop("blocks.3.mlp_norm.weight"), "belong together: see blocks.3.mlp_norm.weight"),
    (lambda weights: weights.update(extra=weights["norm.weight"]), "belong together: see extra")])
def test_a_norm_that_the_file_does_not_fill_is_named(monkeypatch, change, says):
    """Else it would be whatever the memory held."""
    def changed(file, config, read=pretrained.gguf_vectors):
        weights = read(file, config)
        change(weights)
        return weights

    monkeypatch.setattr(pretrained, "gguf_vectors", changed)
    with pytest.raises(ValueError, match=says):
        pretrained.smollm2("meta", bits=4)


@pytest.mark.parametrize("choices", [{}, {"tied": False}, {"bias": True, "norm": "layernorm", "mlp": "gelu"},
                                     {"d_model": 24}])
def test_an_int8_model_is_the_rounded_one(kernels, choices):
    model = small(**choices)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.randint(96, (3, 7), generator=torch.Generator().manual_seed(2))
    expected, got = rounded(model, 8, symmetric=True)(ids), int8(model)(ids)
    assert (got - expected).norm() < (2e-2 if kernels else 1e-5) * expected.norm()
    assert 0 < (model(ids) - expected).norm() < 5e-2 * expected.norm()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_an_encoder_can_be_quantized(kernels):
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


def test_smollm2_in_four_bits_is_small(kernels):
    model, _ = pretrained.smollm2(bits=4)
    memory = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()            # the read-out's codes
              for tensor in [*model.parameters(), *model.buffers()]}                            # are the table's
    size = sum(memory.values()) - sum(table.untyped_storage().nbytes() for table in (model.cos, model.sin))
    assert 90e6 < size < 100e6 if kernels else 155e6 < size < 165e6
    assert not any(tensor.requires_grad for tensor in model.parameters())


def test_an_int8_model_is_evaluated_traced_and_embeds():
    model = small()
    data = Examples([([1, 2, 3, 4, 5], 1), ([6, 7, 8], 1)])
    assert abs(evaluate(int8(model), data) - evaluate(model, data)) < 0.05
    tokenizer = types.SimpleNamespace(decode=str)
    found, expected = trace(int8(model), tokenizer, [1, 2, 3]), trace(model, tokenizer, [1, 2, 3])
    assert (found.residual - expected.residual).norm() < 0.05 * expected.residual.norm()
    encoder = small(causal=False, output="hidden")
    rows = [[1, 2, 3], [4, 5]]
    assert ((mean_vectors(rows, int8(encoder)) * mean_vectors(rows, encoder)).sum(dim=1) > 0.99).all()


@pytest.mark.parametrize("again", [int8, lambda model: rounded(model, 8)], ids=["int8", "rounded"])
def test_a_model_in_few_bits_is_not_taken_again(again):
    with pytest.raises(ValueError, match="model is in few bits already; give the one from which it was made."):
        again(int8(small()))


def test_what_is_not_quantized_is_shared():
    model = small(bias=True, norm="layernorm", mlp="gelu", positions="learned")
    for few in (int8(model), rounded(model, 4, 32)):
        for one, other in ((few.norm.weight, model.norm.weight), (few.position.weight, model.position.weight),
                           (few.blocks[1].mlp.up.bias, model.blocks[1].mlp.up.bias)):
            assert one.data_ptr() == other.data_ptr()
        assert few.embed is not model.embed


@pytest.mark.parametrize("make, codes, says", [
    (Int8Linear, quantize(torch.ones(4, 64), 8), "Int8Linear takes absmax with one scale a row"),
    (Int8Linear, quantize(torch.ones(4, 64), 8, 32, symmetric=True), "Int8Linear takes absmax"),
    (Int4Linear, quantize(torch.ones(4, 64), 4, 16), "4 bits in groups of 16"),
    (Int4Linear, quantize(torch.ones(4, 64), 3, 32), "3 bits in groups of 32"),
    (Int4Linear, quantize(torch.ones(4, 64), 4, 32, symmetric=True), "with minimums"),
    (QuantizedEmbedding, quantize(torch.ones(4, 64), 8), "table has minimums; give QuantizedEmbedding codes without"),
])
def test_layers_refuse_codes_that_are_not_theirs(make, codes, says):
    with pytest.raises(ValueError, match=says):
        make(codes)


def test_other_bits_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="bits is 3; give 32, or 4 as it is shipped"):
        pretrained.smollm2(bits=3)


def test_a_quantized_model_takes_no_lora():
    with pytest.raises(ValueError, match="names holds 'qkv'"):
        add_lora(int8(small()), rank=2)
