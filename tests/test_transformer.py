"""The Transformer: every choice of Config keeps the same promises about caches, padding, order and gradients."""
import itertools
import math
import os

import pytest
import torch
from torch.testing import assert_close

from helpers.transformer import Config, Transformer, alibi_slopes, attention, rotate

DEVICES = ["cpu", "cuda"] if os.environ.get("COURSE_DEVICE") == "cuda" else ["cpu"]
B, T, V, CONTEXT, LAYERS = 3, 7, 31, 24, 2

POSITIONS = ("rope", "learned", "sinusoidal", "alibi", "none")
MLPS = ("swiglu", "gelu", "gelu_tanh", "relu2")
OTHERS = {"norm": ("rmsnorm", "layernorm"), "norm_at": ("before", "after"), "kv_heads": (None, 2, 1),
          "qk_norm": (False, True), "tied": (True, False), "bias": (False, True)}
VARIANTS = {                                                # one of each kind, for the slower properties
    "llama": dict(kv_heads=2),
    "gpt2": dict(norm="layernorm", mlp="gelu_tanh", positions="learned", bias=True),
    "original": dict(norm="layernorm", norm_at="after", mlp="gelu", positions="sinusoidal", bias=True, tied=False),
    "alibi": dict(positions="alibi", kv_heads=1, mlp="relu2"),
    "none": dict(positions="none", mlp="relu2", qk_norm=True),
    "storyteller": dict(mlp="relu2", qk_norm=True),
    "post-norm rope": dict(norm_at="after", qk_norm=True, tied=False, bias=True),
}
ENCODER = dict(norm="layernorm", norm_at="after", mlp="gelu", positions="learned", bias=True, causal=False,
               token_types=2, embedding_norm=True, output="hidden")


def small(**choices):
    """A small Config in which no two sizes are equal, so that a mistaken one shows."""
    return Config(**(dict(vocabulary=V, context=CONTEXT, d_model=40, layers=LAYERS, heads=4, d_ff=28) | choices))


def make(device="cpu", std=0.3, **choices):
    """A model whose weights, norms included, are large enough that every mistake shows in its output."""
    torch.manual_seed(0)
    model = Transformer(small(**choices))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(mean=1.0 if parameter.ndim == 1 else 0.0, std=std)
    return model.to(device).requires_grad_(False)


def random_ids(*shape, device="cpu"):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(1)).to(device)     # drawn on the CPU


def close(got, expected):
    assert_close(got, expected, atol=3e-5, rtol=3e-5)


def in_pieces(model, ids, sizes, padding_mask=None):
    """Logits of ids fed through a cache in pieces of the given sizes."""
    cache, outputs, start = model.cache(len(ids), CONTEXT), [], 0
    for size in sizes:
        new = slice(start, start + size)
        outputs.append(model(ids[:, new], cache, None if padding_mask is None else padding_mask[:, new]))
        start += size
    assert start == ids.shape[1] == cache.length
    return torch.cat(outputs, dim=1)


def padded(rows, side, device):
    """Rows of unequal length as (B, T) and their mask; the padding is a token like any other."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), 5, device=device)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool, device=device)
    for i, row in enumerate(rows):
        real = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[i, real], mask[i, real] = row, True
    return ids, mask


# Every combination of choices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mlp", MLPS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_cache_changes_nothing_in_any_combination(positions, mlp, device):
    ids = random_ids(2, T, device=device)
    for values in itertools.product(*OTHERS.values()):
        choices = dict(zip(OTHERS, values))
        model = make(device, positions=positions, mlp=mlp, **choices)
        logits = model(ids)
        assert logits.shape == (2, T, V), choices
        close(in_pieces(model, ids, [3, 1, 2, 1]), logits)


variants = pytest.mark.parametrize("choices", VARIANTS.values(), ids=VARIANTS)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("side", ["left", "right"])
@variants
def test_padding_changes_no_row(choices, side, device):
    model = make(device, **choices)
    rows = [random_ids(length, device=device) for length in (4, 7, 1)]
    ids, mask = padded(rows, side, device)
    together, cached = model(ids, padding_mask=mask), in_pieces(model, ids, [3, 1, 3], mask)
    for i, row in enumerate(rows):
        alone = model(row[None])[0]
        close(together[i][mask[i]], alone)
        close(cached[i][mask[i]], alone)


@pytest.mark.parametrize("device", DEVICES)
@variants
def test_writing_on_after_padded_prompts(choices, device):
    """Prompts of unequal length in one cache, then two more tokens for each, as `generate` does."""
    model = make(device, **choices)
    prompts, more = [random_ids(length, device=device) for length in (2, 5)], random_ids(2, 2, device=device)
    ids, mask = padded(prompts, "left", device)
    cache = model.cache(2, CONTEXT)
    model(ids, cache, mask)
    written = model(more, cache)
    for i, prompt in enumerate(prompts):
        close(written[i], model(torch.cat([prompt, more[i]])[None])[0, -2:])


@pytest.mark.parametrize("device", DEVICES)
@variants
def test_a_row_does_not_see_its_neighbours(choices, device):
    model, ids = make(device, **choices), random_ids(B, T, device=device)
    together = model(ids)
    for i in range(B):
        close(together[i:i + 1], model(ids[i:i + 1]))


@pytest.mark.parametrize("device", DEVICES)
@variants
def test_the_future_changes_nothing_and_the_past_does(choices, device):
    model, ids = make(device, **choices), random_ids(B, T, device=device)
    before, t = model(ids), 3
    ids[:, t] = (ids[:, t] + 1) % V
    after = model(ids)
    assert torch.equal(after[:, :t], before[:, :t])
    assert ((after[:, t:] - before[:, t:]).abs().amax(dim=-1) > 1e-4).all()


@pytest.mark.parametrize("positions", POSITIONS)
def test_an_encoder_sees_the_future(positions):
    model, ids = make(**ENCODER | dict(positions=positions)), random_ids(B, T)
    before = model(ids)
    assert before.shape == (B, T, model.config.d_model)
    ids[:, -1] = (ids[:, -1] + 1) % V
    assert ((model(ids) - before).abs().amax(dim=-1) > 1e-5).all()


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_row_of_an_encoder(side, positions):
    model, rows = make(**ENCODER | dict(positions=positions)), [random_ids(3), random_ids(6)]
    ids, mask = padded(rows, side, "cpu")
    hidden = model(ids, padding_mask=mask)
    for i, row in enumerate(rows):
        close(hidden[i][mask[i]], model(row[None])[0])


# Positions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", POSITIONS)
def test_only_without_positions_is_a_text_a_bag_of_words(positions):
    encoder, ids = make(causal=False, positions=positions), random_ids(1, T)
    order = torch.tensor([4, 2, 6, 0, 1, 5, 3])
    same = torch.allclose(encoder(ids[:, order]), encoder(ids)[:, order], atol=3e-5)
    assert same == (positions == "none")


def test_rope_knows_distances_only():
    model = make(d_model=20, heads=2, positions="rope")                             # D=10
    q, k = torch.randn(2, 1, 1, 1, 10).unbind()

    def score(i, j):
        places = [model.places(torch.tensor([[n]])) for n in (i, j)]
        turned = [rotate(x, place.cos, place.sin) for x, place in zip((q, k), places)]
        return (turned[0] * turned[1]).sum()

    close(score(9, 4), score(23, 18))
    assert (score(9, 4) - score(9, 3)).abs() > 1e-3
    close(score(0, 0), (q * k).sum())                                               # no distance, no turn


def test_rope_turns_each_pair_by_its_own_angle():
    model, x = make(d_model=12, heads=2, rope_base=50.0), torch.randn(1, 1, 1, 6)   # D=6: pairs (0, 3), (1, 4), (2, 5)
    place = model.places(torch.tensor([[5]]))
    expected = torch.empty(6)
    for i in range(3):
        angle = 5 / 50.0 ** (2 * i / 6)
        a, b = x[0, 0, 0, i], x[0, 0, 0, i + 3]
        expected[i] = a * math.cos(angle) - b * math.sin(angle)
        expected[i + 3] = b * math.cos(angle) + a * math.sin(angle)
    close(rotate(x, place.cos, place.sin)[0, 0, 0], expected)


def test_alibi_slopes_are_the_published_ones():
    """Eight heads: 1/2, 1/4, ..., 1/256. Twelve: those, then every other slope of sixteen heads."""
    eight = [1 / 2 ** n for n in range(1, 9)]
    assert_close(alibi_slopes(8), torch.tensor(eight))
    assert_close(alibi_slopes(12), torch.tensor(eight + [2 ** -0.5, 2 ** -1.5, 2 ** -2.5, 2 ** -3.5]))
    assert_close(alibi_slopes(16), torch.tensor([2 ** (-n / 2) for n in range(1, 17)]))


def test_alibi_takes_slope_times_distance_from_each_score():
    model = make(positions="alibi", heads=4)
    bias = model.places(torch.arange(T)[None]).mask                     # (1, H, T, T)
    for head, i, j in itertools.product(range(4), range(T), range(T)):
        expected = -alibi_slopes(4)[head].item() * (i - j) if j <= i else -math.inf
        assert bias[0, head, i, j].item() == pytest.approx(expected)


# attention() ---------------------------------------------------------------------------------------------------------


def attention_by_loops(q, k, v, sees):
    """Plain loops over one head: q (T, D), k (S, D), v (S, E), sees(i, j) says whether query i may look at key j."""
    rows = []
    for i in range(len(q)):
        scores = {j: float(q[i] @ k[j]) / math.sqrt(len(q[i])) for j in range(len(k)) if sees(i, j)}
        total = sum(math.exp(score) for score in scores.values())
        rows.append(sum(math.exp(score) / total * v[j] for j, score in scores.items()))
    return torch.stack(rows)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("tokens, seen", [(5, 5), (3, 7), (1, 4), (1, 1)])
def test_attention_equals_plain_loops(tokens, seen, causal):
    q, k, v = torch.randn(tokens, 6), torch.randn(seen, 6), torch.randn(seen, 2)
    past = seen - tokens
    expected = attention_by_loops(q, k, v, lambda i, j: not causal or j <= i + past)
    close(attention(q, k, v, causal=causal), expected)


@pytest.mark.parametrize("tokens, seen", [(5, 5), (3, 7), (1, 4)])
def test_grouped_heads_share_keys_in_order(tokens, seen):
    """Six query heads, two key-value heads: queries 0, 1, 2 ask the first, 3, 4, 5 the second."""
    q, k, v = torch.randn(2, 6, tokens, 8), torch.randn(2, 2, seen, 8), torch.randn(2, 2, seen, 8)
    got = attention(q, k, v)
    for b, h in itertools.product(range(2), range(6)):
        close(got[b, h], attention_by_loops(q[b, h], k[b, h // 3], v[b, h // 3], lambda i, j: j <= i + seen - tokens))
    close(attention(q[0], k[0], v[0]), got[0])                                      # without a batch dimension


def test_a_mask_says_who_looks_where():
    q, k, v = torch.randn(4, 6), torch.randn(5, 6), torch.randn(5, 3)
    mask = torch.rand(4, 5) < 0.5
    mask[:, 2] = True
    expected = attention_by_loops(q, k, v, lambda i, j: mask[i, j])
    close(attention(q, k, v, mask=mask), expected)
    close(attention(q, k, v, mask=torch.zeros(4, 5).masked_fill(~mask, -torch.inf)), expected)


@pytest.mark.parametrize("q, k, v", [((3, 6), (5, 4), (5, 4)), ((3, 6), (5, 6), (4, 6)), ((7, 6), (5, 6), (5, 6)),
                                     ((4, 3, 6), (3, 3, 6), (3, 3, 6)), ((4, 3, 6), (4, 3, 6), (2, 3, 6))])
def test_attention_refuses_shapes_that_do_not_fit(q, k, v):
    with pytest.raises(ValueError, match=r"do not fit: q and k share D"):
        attention(torch.randn(q), torch.randn(k), torch.randn(v))


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@variants
def test_a_new_model_knows_nothing_and_every_weight_can_learn(choices, device):
    torch.manual_seed(0)
    model = Transformer(small(**choices)).to(device)
    ids = random_ids(8, CONTEXT, device=device)
    logits = model(ids)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(V), abs=0.1)
    loss.backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [name for name in still if not name.endswith("k_norm.bias")] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@variants
def test_half_precision_is_close(choices, dtype, device):
    model, ids = make(device, std=0.1, **choices), random_ids(B, T, device=device)
    expected = model(ids)
    model = model.to(dtype)
    logits = in_pieces(model, ids, [4, 1, 2])
    assert logits.dtype == dtype
    assert (logits.float() - expected).abs().max() < 0.06 * expected.abs().max()


@variants
def test_autocast_runs(choices):
    model, ids = make(std=0.1, **choices), random_ids(B, T)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(ids)
    expected = model(ids)
    assert (logits.float() - expected).abs().max() < 0.06 * expected.abs().max()


def test_known_configurations_have_the_published_sizes():
    with torch.device("meta"):
        counts = {name: sum(p.numel() for p in Transformer(config).parameters()) for name, config in
                  [("smollm2", Config.smollm2()), ("gpt2", Config.gpt2()), ("minilm", Config.minilm())]}
    assert counts == {"smollm2": 134_515_008, "gpt2": 124_439_808, "minilm": 22_565_376}


# Bad input: one sentence that names the argument, its value and what to do --------------------------------------------


BAD_CONFIGS = {
    "d_model is 42; it must be a multiple of heads, 4.": dict(d_model=42),
    "kv_heads is 3; it must divide heads, 4.": dict(kv_heads=3),
    "kv_heads is 0; it must be at least 1.": dict(kv_heads=0),
    "d_ff is 0; it must be at least 1.": dict(d_ff=0),
    "layers is 0; it must be at least 1.": dict(layers=0),
    "head size d_model / heads is 5; rope needs an even one.": dict(d_model=20),
    "d_model is 5; sinusoidal positions need an even one.": dict(d_model=5, heads=1, positions="sinusoidal"),
    "norm is 'batchnorm'; choose one of rmsnorm, layernorm.": dict(norm="batchnorm"),
    "mlp is 'relu'; choose one of swiglu, gelu, gelu_tanh, relu2.": dict(mlp="relu"),
    "positions is 'rotary'; choose one of rope, learned, sinusoidal, alibi, none.": dict(positions="rotary"),
}


@pytest.mark.parametrize("sentence", BAD_CONFIGS)
def test_choices_that_contradict_each_other(sentence):
    with pytest.raises(ValueError) as error:
        small(**BAD_CONFIGS[sentence])
    assert str(error.value) == sentence


TWO = torch.zeros(1, 2, dtype=torch.int64)
BAD_INPUT = {
    "ids is list; give whole numbers": dict(ids=[[1, 2]]),
    "ids is torch.float32; give whole numbers": dict(ids=torch.ones(1, 2)),
    "ids has shape (2,); give (B, T)": dict(ids=torch.zeros(2, dtype=torch.int64)),
    "ids has shape (1, 0); give (B, T) with at least one token": dict(ids=torch.zeros(1, 0, dtype=torch.int64)),
    f"ids has 25 tokens; this model sees at most {CONTEXT}": dict(ids=torch.zeros(1, 25, dtype=torch.int64)),
    f"ids holds {V}; this model's tokens are 0 to {V - 1}": dict(ids=TWO + V),
    "ids holds -1; this model's tokens are": dict(ids=TWO - 1),
    "padding_mask is list; give a bool tensor (1, 2).": dict(ids=TWO, padding_mask=[[True, True]]),
    "padding_mask is torch.int64 (1, 2); give bool (1, 2)": dict(ids=TWO, padding_mask=TWO),
    "padding_mask is torch.bool (1, 3); give bool (1, 2)": dict(ids=TWO, padding_mask=torch.ones(1, 3).bool()),
}


@pytest.mark.parametrize("sentence", BAD_INPUT)
def test_input_the_model_cannot_take_leaves_the_cache_as_it_was(sentence):
    model = make()
    cache = model.cache(1, CONTEXT)
    before = model(TWO, cache)
    with pytest.raises(ValueError) as error:
        model(cache=cache, **BAD_INPUT[sentence])
    assert str(error.value).startswith(sentence) and "\n" not in str(error.value)
    assert cache.length == 2
    close(torch.cat([before, model(TWO, cache)], dim=1), model(torch.cat([TWO, TWO], dim=1)))


# The cache -----------------------------------------------------------------------------------------------------------


def test_a_truncated_cache_is_as_if_the_rest_had_never_been():
    model, ids = make(), random_ids(2, T)
    cache = model.cache(2, CONTEXT)
    model(ids, cache, padding_mask=torch.arange(T).expand(2, T) != 5)                # token 5 is not real
    cache.truncate(4)
    close(model(ids[:, 4:], cache), model(ids)[:, 4:])
    assert cache.length == T


@pytest.mark.parametrize("kv_heads", [None, 2, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cache_says_what_a_token_costs(kv_heads, dtype):
    model = make(kv_heads=kv_heads).to(dtype)
    cache = model.cache(3, 11)
    assert cache.capacity == 11
    assert cache.bytes_per_token == 2 * LAYERS * (kv_heads or 4) * 10 * dtype.itemsize
    assert cache.keys.nbytes + cache.values.nbytes == 3 * 11 * cache.bytes_per_token
    assert model.cache(1).capacity == CONTEXT


def test_a_full_cache_refuses_more_and_stays_as_it_was():
    model = make()
    cache = model.cache(1, 5)
    model(random_ids(1, 4), cache)
    with pytest.raises(ValueError, match="the cache holds 4 of 5 tokens and cannot take 2 more; make a larger one"):
        model(TWO, cache)
    with pytest.raises(ValueError, match="ids has 2 rows; this cache was made for 1"):
        model(random_ids(2, 1), cache)
    assert cache.length == 4
    assert model(TWO[:, :1], cache).shape == (1, 1, V)


def test_caches_that_cannot_be():
    with pytest.raises(ValueError, match="capacity is 25; give 1 to 24"):
        make().cache(1, 25)
    with pytest.raises(ValueError, match="capacity is 0; give 1 to 24"):
        make().cache(1, 0)
    with pytest.raises(ValueError, match="batch is 0; give at least 1"):
        make().cache(0, 5)
    with pytest.raises(ValueError, match="in an encoder old tokens see new ones"):
        make(**ENCODER).cache(1, 5)


@pytest.mark.parametrize("length", [-1, 3])
def test_a_cache_cannot_be_truncated_to_what_it_never_held(length):
    model = make()
    cache = model.cache(1, 5)
    model(TWO, cache)
    with pytest.raises(ValueError, match=f"length is {length}; the cache holds 2 tokens, so give 0 to 2"):
        cache.truncate(length)
    assert cache.length == 2


def test_an_interrupted_pass_leaves_the_cache_as_it_was(monkeypatch):
    model = Transformer(Config(vocabulary=50, context=40, d_model=8, layers=3, heads=2)).eval()
    cache = model.cache(1, 20)
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    model(ids[:, :3], cache)
    monkeypatch.setattr(model.blocks[1], "forward", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        model(ids[:, 3:], cache)
    monkeypatch.undo()
    assert cache.length == 3
    torch.testing.assert_close(model(ids[:, 3:], cache), model(ids)[:, 3:])


def test_a_cache_of_another_model_is_refused():
    one, other = (Transformer(Config(vocabulary=50, context=40, d_model=8, layers=1, heads=heads)) for heads in (1, 2))
    with pytest.raises(ValueError, match="cache was made for another model"):
        one(torch.tensor([[1]]), other.cache(1))


@pytest.mark.parametrize("wrong", [{"vocabulary": "x"}, {"d_model": 8.0}, {"layers": True}, {"kv_heads": 1.0}])
def test_a_size_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(ValueError, match="give a whole number"):
        Config(**{"vocabulary": 50, "context": 40, "d_model": 8, "layers": 1, "heads": 2} | wrong)


def test_ids_on_another_device_are_refused():
    model = Transformer(Config(vocabulary=50, context=40, d_model=8, layers=1, heads=2))
    with pytest.raises(ValueError, match="ids is on meta and this model on cpu; move them"):
        model(torch.tensor([[1]], device="meta"))
