"""Counts from a configuration are those of the real thing: its tensors, what PyTorch counts, what autograd keeps."""
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from helpers import assets, counting, counting_plots
from helpers.counting import KNOWN, PRECISIONS
from helpers.gguf_file import GGUF
from helpers.transformer import Config, Transformer

SMALL = Config(vocabulary=211, context=64, d_model=48, layers=3, heads=6, kv_heads=2, d_ff=80)
KINDS = {
    "a small Llama": SMALL,
    "untied": replace(SMALL, tied=False),
    "a small GPT-2": replace(SMALL, kv_heads=6, norm="layernorm", mlp="gelu_tanh", positions="learned", bias=True),
    "a small BERT": replace(SMALL, kv_heads=6, norm="layernorm", norm_at="after", mlp="gelu", positions="learned",
                            bias=True, causal=False, token_types=2, embedding_norm=True, output="hidden"),
    "a small storyteller": replace(SMALL, kv_heads=6, mlp="relu2", qk_norm=True),
    "layernorm on heads": replace(SMALL, norm="layernorm", qk_norm=True),
    "heads normed, not turned": replace(SMALL, positions="none", qk_norm=True),
    "sinusoids, untied hidden": replace(SMALL, positions="sinusoidal", tied=False, output="hidden"),
}
every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def tensors(config):
    with torch.device("meta"):
        return dict(Transformer(config).named_parameters())


@every_kind
def test_parameters_are_those_of_the_model_in_each_part(config):
    found = dict.fromkeys(counting.parameters(config), 0)
    for name, tensor in tensors(config).items():
        part = ("norms" if "norm" in name else "tokens" if name.startswith("embed.") else
                "read-out" if name.startswith("unembed") else "attention" if ".attention." in name else
                "MLP" if ".mlp." in name else "places")
        found[part] += tensor.numel()
    assert counting.parameters(config) == found


@pytest.mark.parametrize("name", KNOWN)
def test_known_models_have_as_many_parameters_as_was_published(name):
    known = KNOWN[name]
    count = sum(tensor.numel() for tensor in tensors(known.config).values())
    assert sum(counting.parameters(known.config).values()) == count
    assert round((count + known.left_out) / known.rounded_to) * known.rounded_to == known.published


def test_the_weights_files_hold_what_the_table_says():
    from safetensors import safe_open

    with safe_open(assets.path("minilm.safetensors"), framework="pt") as file:
        shapes = {name: file.get_tensor(name).numel() for name in file.keys() if "position_ids" not in name}
    assert sum(shapes.values()) == KNOWN["MiniLM"].published
    assert sum(size for name, size in shapes.items() if "pooler" in name) == KNOWN["MiniLM"].left_out


def total_flops(run):
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return counter.get_total_flops()


@every_kind
@pytest.mark.parametrize("batch, tokens", [(1, 1), (2, 13), (3, 64)])
def test_flops_are_what_pytorch_counts(config, batch, tokens):
    model, ids = Transformer(config), torch.zeros(batch, tokens, dtype=torch.long)
    forward = sum(counting.flops(config, tokens, batch).values())
    assert total_flops(lambda: model(ids)) == forward
    assert total_flops(lambda: model(ids).sum().backward()) == 3 * forward == counting.training_flops(
        config, tokens, batch)


def test_flops_after_a_cache_are_what_pytorch_counts():
    model, cache = Transformer(SMALL), Transformer(SMALL).cache(2, 40)
    with torch.no_grad():
        model(torch.zeros(2, 29, dtype=torch.long), cache)
        new = total_flops(lambda: model(torch.zeros(2, 5, dtype=torch.long), cache))
    assert new == sum(counting.flops(SMALL, 5, 2, past=29).values())


def test_one_pass_costs_what_its_parts_with_a_cache_cost_and_the_masked_scores():
    """Reading 12 tokens at once counts the scores that the mask hides: 12 x 12, and not 1 + 2 + ... + 12."""
    at_once = counting.flops(SMALL, 12)
    one_by_one = [counting.flops(SMALL, 1, past=past) for past in range(12)]
    for part in at_once:
        times = 12 * 12 / 78 if part == "scores and mixing" else 1
        assert at_once[part] == round(times * sum(step[part] for step in one_by_one))


@pytest.mark.parametrize("dtype, size", [(torch.float32, 4), (torch.bfloat16, 2)])
def test_cache_bytes_are_those_of_its_tensors(dtype, size):
    cache = Transformer(SMALL).to(dtype).cache(3, 41)
    assert counting.kv_cache_bytes(SMALL, 41, 3, size) == cache.keys.nbytes + cache.values.nbytes
    assert counting.kv_cache_bytes(SMALL, 1, 1, size) == cache.bytes_per_token


def kept_bytes(model, batch, tokens):
    """Bytes of all that autograd keeps, each stretch of memory once, without parameters and tables."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    ids = torch.randint(model.config.vocabulary, (batch, tokens), generator=torch.Generator().manual_seed(0))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = model(ids)
        loss = F.cross_entropy(out.flatten(0, 1), ids.flatten()) if model.config.output == "logits" else out.sum()
    assert loss.requires_grad
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


@every_kind
@pytest.mark.parametrize("batch, tokens", [(3, 20), (8, 64)])
def test_activations_are_what_autograd_keeps(config, batch, tokens):
    formula = 4 * sum(counting.activations(config, tokens, batch).values())
    assert kept_bytes(Transformer(config), batch, tokens) == pytest.approx(formula, rel=0.04)


def test_training_bytes_are_those_of_its_tensors():
    model = Transformer(SMALL)
    optimiser = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    optimiser.step()
    parts = counting.training_bytes(SMALL, 20, 3)
    assert parts["weights"] == sum(p.nbytes for p in model.parameters())
    assert parts["gradients"] == sum(p.grad.nbytes for p in model.parameters())
    assert parts["Adam's moments"] == sum(state[name].nbytes for state in optimiser.state.values()
                                          for name in ("exp_avg", "exp_avg_sq"))
    assert parts["activations"] == 4 * sum(counting.activations(SMALL, 20, 3).values())
    half = counting.training_bytes(SMALL, 20, 3, number_bytes=2)
    assert half == parts | {"activations": parts["activations"] // 2}


def test_running_bytes_follow_the_precision():
    count = sum(counting.parameters(SMALL).values())
    found = {name: counting.running_bytes(SMALL, 30, 2, name) for name in PRECISIONS}
    assert found["float32"] == {"weights": 4 * count, "KV cache": counting.kv_cache_bytes(SMALL, 30, 2, 4)}
    assert found["bfloat16"] == {"weights": 2 * count, "KV cache": counting.kv_cache_bytes(SMALL, 30, 2, 2)}
    assert found["4 bits"] == {"weights": round(0.625 * count), "KV cache": found["bfloat16"]["KV cache"]}
    assert counting.running_bytes(KINDS["a small BERT"], 30)["KV cache"] == 0


def test_smollm2s_file_holds_what_the_table_says():
    stored = GGUF(assets.path("smollm2.gguf")).stored.values()
    assert sum(math.prod(tensor.shape) for tensor in stored) == KNOWN["SmolLM2-135M"].published
    four_bits = [tensor for tensor in stored if tensor.kind == "Q4_1"]
    assert len(four_bits) == 210
    assert {tensor.nbytes / math.prod(tensor.shape) for tensor in four_bits} == {PRECISIONS["4 bits"].weight}


@pytest.mark.parametrize("call, words", [
    (lambda: counting.flops(SMALL, 0), "tokens is 0"),
    (lambda: counting.flops(SMALL, 3, batch=1.5), "batch is 1.5"),
    (lambda: counting.flops(SMALL, 3, past=-1), "past is -1"),
    (lambda: counting.kv_cache_bytes(KINDS["a small BERT"], 3), "encoder"),
    (lambda: counting.kv_cache_bytes(SMALL, 3, number_bytes=0), "number_bytes is 0"),
    (lambda: counting.activations(SMALL, True), "tokens is True"),
    (lambda: counting.training_bytes(SMALL, 3, number_bytes=0), "number_bytes is 0"),
    (lambda: counting.running_bytes(SMALL, 3, precision="int3"), "precision is 'int3'"),
    (lambda: counting_plots.calculator("x", SMALL, 65), "tokens is 65"),
    (lambda: counting_plots.calculator("x", SMALL, 8, precision="int3"), "precision is 'int3'"),
    (lambda: counting_plots.stacks({}, "t", "x"), "rows holds 0"),
    (lambda: counting_plots.stacks({"a": {"b": -1}}, "t", "x"), "'a' holds -1"),
])
def test_bad_input_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("name", KNOWN)
def test_the_calculator_draws_every_known_model_and_says_its_numbers(name):
    config = KNOWN[name].config
    picture = counting_plots.calculator(name, config, config.context, batch=2, precision="4 bits")
    assert picture.png.startswith(b"\x89PNG")
    assert f"{sum(counting.parameters(config).values()):,} parameters" in picture.alt
    assert ("KV cache" in picture.alt) == config.causal


@pytest.mark.parametrize("number, words", [
    (999, "999"), (1_000, "1.00 K"), (134_515_008, "135 M"), (8_030_261_248, "8.03 G"), (3.14e23, "314,000 E"),
    (0, "0"), (9_996, "10.0 K"), (999_600, "1.00 M"), (2_147_483.6, "2.15 M"), (999.6, "1.00 K"), (12.345, "12"),
])
def test_large_numbers_are_short(number, words):
    assert counting_plots.short(number) == words


@pytest.mark.parametrize("value, words", [(0, "0 "), (500, "500 "), (2_500_000, "2.5 M"), (5e10, "50 G")])
def test_a_number_beside_an_axis_is_round(value, words):
    assert counting_plots.tick(value) == words


def test_parts_of_a_model_have_one_colour_in_all_panels():
    parts = counting_plots.colours(["tokens", "attention", "MLP", "norms", "read-out"])
    work = counting_plots.colours(["projections", "MLP", "scores and mixing", "logits"])
    assert (work["projections"], work["MLP"], work["logits"]) == (parts["attention"], parts["MLP"], parts["tokens"])
    assert len(set(work.values())) == 4 and len(set(parts.values())) == 5
    assert len(set(counting_plots.colours(["tables", "tokens"]).values())) == 2
