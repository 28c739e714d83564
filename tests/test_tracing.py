"""Tracing: what is kept is what the model computed, and looking changes nothing."""
import math
import threading

import pytest
import torch

from helpers import attention_plots, plots, pretrained, tracing
from helpers.proof import agree
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer
from small_models import DEVICES

KINDS = {
    "rope": {}, "grouped": {"kv_heads": 2}, "one key": {"kv_heads": 1}, "alibi": {"positions": "alibi"},
    "alibi, grouped": {"positions": "alibi", "kv_heads": 3}, "learned": {"positions": "learned", "bias": True},
    "sinusoidal": {"positions": "sinusoidal"}, "none": {"positions": "none"}, "qk_norm": {"qk_norm": True},
    "encoder": {"positions": "learned", "bias": True, "causal": False, "norm": "layernorm", "norm_at": "after",
                "token_types": 2, "embedding_norm": True, "output": "hidden"},
    "normed after": {"norm_at": "after"},
    "encoder, alibi": {"positions": "alibi", "causal": False},
}


def made(kind, layers=3):
    """A model of one kind, whose weights are so large that its heads do not look everywhere alike."""
    torch.manual_seed(1)
    model = Transformer(Config(vocabulary=41, context=16, d_model=48, layers=layers, heads=6, **KINDS[kind]))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    return model.requires_grad_(False).eval()


def draw_ids(*shape):
    return torch.randint(41, shape, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train("the cat sat on the mat because the cat was tired " * 5, vocab_size=280)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return Transformer(Config(vocabulary=tokenizer.vocab_size, context=64, d_model=24, layers=5, heads=3)).eval()


def test_the_residual_stream_is_kept_layer_by_layer(model, tokenizer):
    text = "the cat was on the mat"
    trace = tracing.trace(model, tokenizer, text)
    ids = torch.tensor([tokenizer.encode(text)])
    assert trace.residual.shape == (6, ids.shape[1], 24)
    assert "".join(trace.pieces) == text and trace.ids.tolist() == ids[0].tolist()
    agree(trace.residual[0], model.embed(ids)[0], "before the first layer", "the embedding")
    agree(model.norm(trace.residual[-1]), model.hidden(ids)[0], "after the last layer and norm", "what the head reads")


def test_the_last_row_of_the_lens_is_what_the_model_says(model, tokenizer):
    trace = tracing.trace(model, tokenizer, "the cat")
    lens = tracing.logit_lens(model, trace.residual)
    agree(lens[-1], model(trace.ids[None])[0].softmax(dim=-1), "lens", "model")
    agree(lens.sum(dim=-1), torch.ones(lens.shape[:-1]), "sums", "ones")


def test_a_model_normed_after_each_layer_has_a_lens_too():
    model, ids = made("normed after"), draw_ids(7)
    lens = tracing.logit_lens(model, tracing.residuals(model, ids))
    agree(lens[-1], model(ids[None])[0].softmax(dim=-1), "lens", "model")


@pytest.mark.parametrize("tied", [True, False])
def test_an_encoder_has_no_lens(tied):
    model = Transformer(Config(vocabulary=9, context=4, d_model=8, layers=1, heads=2, output="hidden", tied=tied))
    with pytest.raises(ValueError, match="model gives hidden; give one that gives logits"):
        tracing.logit_lens(model, torch.zeros(3, 8))


def test_a_text_and_its_tokens_give_the_same(model, tokenizer):
    text = "the cat was tired"
    one, other = (tracing.trace(model, tokenizer, form) for form in (text, tokenizer.encode(text)))
    agree(one.residual, other.residual, "text", "tokens")


def test_tokens_that_no_text_gives_can_be_traced(model, tokenizer):
    ids = [ord("t"), ord("h"), ord("e")]                    # the tokenizer would make one token of them
    assert tokenizer.encode("the") != ids
    assert tracing.trace(model, tokenizer, ids).ids.tolist() == ids


def test_another_thread_that_uses_the_model_changes_nothing(model, tokenizer):
    done = threading.Event()

    def use():
        while not done.is_set():
            model(torch.tensor([[1, 2, 3, 4, 5, 6, 7]]))

    other = threading.Thread(target=use)
    other.start()
    try:
        for _ in range(50):
            assert tracing.trace(model, tokenizer, "the cat").residual.shape[0] == 6
    finally:
        done.set()
        other.join()


def test_a_text_longer_than_the_context_is_refused(model, tokenizer):
    with pytest.raises(ValueError, match="tokens; this model sees at most 64"):
        tracing.trace(model, tokenizer, "a strange long text " * 20)


@pytest.mark.parametrize("look", [tracing.trace, plots.whole_path])
def test_an_empty_text_is_refused(model, tokenizer, look):
    with pytest.raises(ValueError, match="text is empty; give at least one character"):
        look(model, tokenizer, "")


def test_the_whole_path_shows_tokens_layers_and_what_comes_next(model, tokenizer):
    text = "the cat was on the mat"
    picture = plots.whole_path(model, tokenizer, text, columns=4, bars=3)
    tokens = len(tokenizer.encode(text))
    assert f"The text is {tokens} tokens" in picture.alt
    assert "A table of 3 layers by 4 tokens" in picture.alt             # layers 0, 3 and 5
    best = model(torch.tensor([tokenizer.encode(text)]))[0, -1].argmax().item()
    assert f"likeliest first: “{plots.visible(tokenizer.decode([best]))}”" in picture.alt


# Patterns ------------------------------------------------------------------------------------------------------------


def attention_outputs(model, ids, mask=None):
    """What each layer's attention read and gave, as the forward pass did it."""
    kept, hooks = [], []
    for block in model.blocks:
        hooks.append(block.attention.register_forward_hook(lambda module, read, gave: kept.append((read[0], gave))))
    model(ids, padding_mask=mask)
    for hook in hooks:
        hook.remove()
    return kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [False, True])
def test_patterns_mix_the_values_into_what_the_forward_pass_gave(kind, padded):
    model, ids = made(kind), draw_ids(4, 11)
    mask = torch.arange(11) < torch.tensor([11, 7, 1, 9])[:, None] if padded else None
    weights = tracing.patterns(model, ids, padding_mask=mask)
    assert weights.shape == (4, 3, 6, 11, 11)
    H, K, D = 6, model.config.kv_heads, 8
    for layer, (read, gave) in enumerate(attention_outputs(model, ids, mask)):
        attention = model.blocks[layer].attention
        v = attention.qkv(read)[..., (H + K) * D:].view(4, 11, K, D).transpose(1, 2).repeat_interleave(H // K, dim=1)
        mixed = (weights[:, layer] @ v).transpose(1, 2).reshape(4, 11, H * D)
        agree(attention.out(mixed), gave, "patterns", "forward pass")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_add_up_to_one_and_nobody_sees_ahead(kind):
    model, ids = made(kind), draw_ids(9)
    weights = tracing.patterns(model, ids)
    agree(weights.sum(dim=-1), torch.ones(3, 6, 9), "sums", "ones")
    assert bool((weights.triu(1) == 0).all()) == model.config.causal


def test_one_text_a_batch_a_trace_and_single_layers_give_the_same(model, tokenizer):
    seen = tracing.trace(model, tokenizer, "the cat sat on the mat")
    weights = tracing.patterns(model, seen)
    agree(weights, tracing.patterns(model, seen.ids), "trace", "ids")
    agree(weights, tracing.patterns(model, torch.stack([seen.ids, seen.ids]))[1], "trace", "batch")
    agree(weights[[4, 1]], tracing.patterns(model, seen, layers=[4, 1]), "all layers", "two of them")
    agree(seen.residual, tracing.residuals(model, torch.stack([seen.ids, seen.ids]))[0], "trace", "batch")


@pytest.mark.parametrize("layer", [-1, 5])
def test_a_layer_that_is_not_there_is_refused(model, layer):
    with pytest.raises(ValueError, match=rf"layer is {layer}; this model's are 0 to 4\."):
        tracing.patterns(model, torch.tensor([1, 2]), layers=[layer])


def test_layers_that_are_no_list_are_refused(model):
    with pytest.raises(ValueError, match=r"layers is 1; give a list of layers, such as \[1\]"):
        tracing.patterns(model, torch.tensor([1, 2]), layers=1)


@pytest.mark.parametrize("name, sentence", [
    ("padding_mask", "padding_mask is given and seen is a Trace, one text without padding"),
    ("residual", "residual is given and seen is a Trace, which has its own")])
def test_a_trace_comes_alone(model, tokenizer, name, sentence):
    seen = tracing.trace(model, tokenizer, "the cat sat")
    given = {"padding_mask": torch.ones(1, len(seen.ids), dtype=torch.bool), "residual": seen.residual}
    with pytest.raises(ValueError, match=sentence):
        tracing.patterns(model, seen, **{name: given[name]})


@pytest.mark.parametrize("look", [tracing.patterns, tracing.residuals])
def test_one_text_has_no_padding(model, look):
    with pytest.raises(ValueError, match=r"padding_mask is given and ids is \(3,\); only a batch, \(B, T\), has"):
        look(model, torch.tensor([1, 2, 3]), padding_mask=torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.parametrize("ids, mask, sentence", [
    (torch.tensor([[1, 999]]), None, "ids holds 999; this model's tokens are 0 to "),
    (torch.tensor([[1.0, 2.0]]), None, "ids is torch.float32; give whole numbers"), ([[1, 2]], None, "ids is list; "),
    (torch.tensor([[1, 2]]), torch.ones(1, 2), "padding_mask is torch.float32")])
def test_ids_and_mask_are_looked_at_also_beside_a_residual_stream(model, ids, mask, sentence):
    residual = tracing.residuals(model, torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match=sentence):
        tracing.patterns(model, ids, padding_mask=mask, residual=residual)


@pytest.mark.parametrize("ids, sentence", [([1, 2], "ids is list; give a tensor"), (torch.tensor(1), r"ids is \(\); ")])
def test_what_are_no_ids_is_refused(model, ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        tracing.patterns(model, ids)


def test_the_residual_stream_of_another_text_is_refused(model):
    one, other = torch.tensor([1, 2, 3]), torch.tensor([1, 2])
    with pytest.raises(ValueError, match=r"residual has shape \(6, 2, 24\) and ids \(3,\)"):
        tracing.patterns(model, one, residual=tracing.residuals(model, other))


def test_patterns_of_nothing_and_of_too_much_are_refused(model):
    with pytest.raises(ValueError, match="with at least one token"):
        tracing.patterns(model, torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="has 65 tokens; this model sees at most 64"):
        tracing.patterns(model, torch.ones(65, dtype=torch.int64))


def test_a_residual_stream_that_is_there_is_not_worked_out_again(model, monkeypatch):
    ids = torch.tensor([[1, 2, 3], [3, 2, 1]])
    expected, residual = tracing.patterns(model, ids), tracing.residuals(model, ids)
    monkeypatch.setattr(model, "hidden", None)                  # calling it would fail
    agree(tracing.patterns(model, ids, residual=residual), expected, "given", "worked out")


def test_half_precision_keeps_its_dtype(model, tokenizer):
    ids = torch.tensor(tokenizer.encode("the cat sat"))
    assert tracing.patterns(made("grouped").bfloat16(), ids % 41).dtype == torch.bfloat16


PEERS = {
    "llama": ("LlamaForCausalLM", "LlamaConfig",
              dict(vocab_size=41, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
                   num_key_value_heads=2, max_position_embeddings=32)),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", dict(vocab_size=41, n_positions=32, n_embd=48, n_layer=3, n_head=4)),
    "bert": ("BertModel", "BertConfig",
             dict(vocab_size=41, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80,
                  max_position_embeddings=32)),
}


@pytest.mark.parametrize("name", PEERS)
@torch.inference_mode()
def test_patterns_are_those_of_transformers(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    model, config, settings = PEERS[name]
    torch.manual_seed(0)
    peer = getattr(transformers, model)(getattr(transformers, config)(**settings, attn_implementation="eager")).eval()
    for parameter in peer.parameters():
        parameter.normal_(mean=1.0 if parameter.ndim == 1 else 0.0, std=0.2)
    peer.save_pretrained(tmp_path)
    ids = draw_ids(3, 14)
    theirs = torch.stack(peer(ids, output_attentions=True).attentions, dim=1)       # (B, layers, H, T, T)
    assert theirs.std() > 0.05
    agree(tracing.patterns(pretrained.from_folder(tmp_path), ids), theirs, "ours", "transformers", tol=1e-4)


# Scores --------------------------------------------------------------------------------------------------------------


def pattern(rows):
    """A pattern (1, 1, T, T) of one layer and head."""
    return torch.tensor(rows)[None, None]


def loops(weights, wanted):
    """Mean weight on the wanted keys, over the queries that have any. wanted: (query, key) -> bool."""
    T = len(weights)
    every = [[k for k in range(T) if wanted(q, k)] for q in range(T)]
    sums = [sum(weights[q, k].item() for k in keys) for q, keys in enumerate(every) if keys]
    return sum(sums) / len(sums)


def test_scores_of_a_pattern_that_is_known():
    weights = pattern([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.5, 0.4, 0.1]])
    agree(tracing.previous_token(weights), torch.tensor([[0.35]]), "previous token", "0.3 and 0.4")
    agree(tracing.first_token(weights), torch.tensor([[0.4]]), "first token", "0.3 and 0.5")


SCORES = {
    "previous": (lambda weights, ids: tracing.previous_token(weights), lambda q, k, ids: k == q - 1),
    "first": (lambda weights, ids: tracing.first_token(weights), lambda q, k, ids: k == 0 < q),
    "induction": (tracing.induction, lambda q, k, ids: 0 < k < q and ids[k - 1] == ids[q]),
    "duplicate": (tracing.duplicate_token, lambda q, k, ids: k < q and ids[k] == ids[q]),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_what_loops_give(name):
    score, wanted = SCORES[name]
    model = made("grouped")
    ids = torch.tensor([[5, 7, 5, 9, 7, 7, 5, 9], [1, 2, 3, 4, 4, 4, 4, 2]])
    weights = tracing.patterns(model, ids)
    scores = score(weights, ids)
    assert scores.shape == (2, 3, 6)
    agree(scores[1], score(weights[1], ids[1]), "in a batch", "alone")
    for text in (0, 1):
        for layer, head in ((0, 0), (2, 5)):
            expected = loops(weights[text, layer, head], lambda q, k: wanted(q, k, ids[text].tolist()))
            assert math.isclose(scores[text, layer, head], expected, rel_tol=1e-5)


@pytest.mark.parametrize("score", [tracing.induction, tracing.duplicate_token])
def test_a_score_of_repeats_needs_repeats(score):
    with pytest.raises(ValueError, match="ids holds no token twice"):
        score(torch.ones(2, 3, 4, 4), torch.tensor([1, 2, 3, 4]))


@pytest.mark.parametrize("ids", [torch.ones(5, dtype=torch.int64), torch.ones(1, 4, dtype=torch.int64)])
def test_patterns_and_ids_must_belong_together(ids):
    with pytest.raises(ValueError, match=r"ids has shape .* and patterns \(2, 3, 4, 4\)"):
        tracing.induction(torch.ones(2, 3, 4, 4), ids)


@pytest.mark.parametrize("score", [tracing.previous_token, tracing.first_token])
@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 5), (3, 1, 1)])
def test_what_is_no_pattern_is_refused(score, shape):
    with pytest.raises(ValueError, match="of at least two tokens"):
        score(torch.ones(shape))


def copying_model():
    """One layer that reads (its head 1 hands on what it sees, and head 0 its opposite), after a layer of silence."""
    model = Transformer(Config(vocabulary=8, context=4, d_model=8, layers=2, heads=2, positions="none"))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.zero_()
        model.embed.weight.copy_(torch.eye(8))
        second = model.blocks[1].attention                      # values of head h: the h-th half of the vector
        second.qkv.weight[16:] = torch.eye(8)
        second.out.weight.copy_(torch.diag(torch.tensor([-1.0] * 4 + [1.0] * 4)))
    return model.eval()


def test_a_head_that_hands_on_what_it_sees_copies():
    scores = tracing.copying(copying_model(), torch.tensor([4, 5, 6, 7]), top=1)
    assert scores.shape == (2, 2) and scores[1, 1] == 1
    assert tracing.copying(copying_model(), torch.tensor([0, 1, 2, 3]), top=1)[1, 0] == 0


@pytest.mark.parametrize("kind", ["grouped", "one key"])
def test_copying_is_what_loops_give(kind):
    model, kept = made(kind).double(), []                       # several heads share a key, and no layer is silent
    H, K, D, top = 6, model.config.kv_heads, 8, 8
    model.hidden(torch.arange(41)[:, None], keep=kept)
    shares = torch.zeros(3, H)
    for layer, block in enumerate(model.blocks):
        for head in range(H):
            group = head // (H // K)
            rows = slice((H + K + group) * D, (H + K + group + 1) * D)
            for id, x in enumerate(kept[1][:, 0]):                                  # (C,), after the first block
                v = block.attention.qkv.weight[rows] @ block.attention_norm(x)      # (D,)
                written = block.attention.out.weight[:, head * D:head * D + D] @ v  # (C,)
                logits = model.embed.weight @ model.norm(written)
                shares[layer, head] += (logits > logits[id]).sum() < top
    assert len(shares.unique()) > 6
    agree(tracing.copying(model, torch.arange(41), top), shares / 41, "copying", "loops")


@pytest.mark.parametrize("kind, sentence", [
    ("encoder", "model gives hidden; give one that gives logits"),
    ("normed after", "model norms after each layer; give one that norms before")])
def test_a_model_that_shows_no_copying_is_refused(kind, sentence):
    with pytest.raises(ValueError, match=sentence):
        tracing.copying(made(kind), torch.tensor([1, 2]))


@pytest.mark.parametrize("top", [0, 42])
def test_no_more_tokens_are_the_likeliest_than_there_are(top):
    with pytest.raises(ValueError, match=f"top is {top}; give 1 to 41"):
        tracing.copying(made("rope"), torch.tensor([1, 2]), top)
    assert (tracing.copying(made("rope"), torch.tensor([1, 2]), 41) == 1).all()


# Ablation ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["grouped", "alibi", "encoder"])
def test_a_head_without_its_columns_is_a_head_taken_out(kind):
    model, ids = made(kind), draw_ids(3, 9)
    with tracing.without(model, [(0, 2), (2, 5), (0, 4)]):
        ours = model(ids)
    cut = made(kind)
    for layer, head in ((0, 2), (2, 5), (0, 4)):
        cut.blocks[layer].attention.out.weight[:, head * 8:head * 8 + 8] = 0
    agree(ours, cut(ids), "without", "weights at zero")
    assert not torch.allclose(ours, model(ids), atol=1e-3)


def test_means_are_what_the_heads_say_on_average():
    model, ids = made("grouped"), draw_ids(5, 9)
    kept = []
    model.blocks[1].attention.out.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    means = tracing.head_means(model, ids)
    assert means.shape == (3, 6, 8)
    agree(means[1], kept[0].reshape(45, 6, 8).mean(dim=0), "means", "by hand")
    one = draw_ids(1, 1)
    means = tracing.head_means(model, one)                      # of one token: the mean is what it says
    with tracing.without(model, [(0, 3), (1, 1)], means):
        changed = model(one)
    agree(changed, model(one), "its own mean", "as it was")


def test_heads_say_their_means_for_every_token_of_a_batch():
    model, ids, heads = made("grouped"), draw_ids(3, 9), [(0, 2), (2, 5), (0, 4)]
    means = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(3))
    cut = made("grouped")
    for layer in (0, 2):                    # what the silent heads add is the same everywhere, so a bias can say it
        out = cut.blocks[layer].attention.out
        out.bias = torch.nn.Parameter(torch.zeros(48), requires_grad=False)
        for head in (head for at, head in heads if at == layer):
            columns = out.weight[:, head * 8:head * 8 + 8]                          # (C, D)
            out.bias += columns @ means[layer, head]
            columns.zero_()
    with tracing.without(model, heads, means):
        ours = model(ids)
    agree(ours, cut(ids), "with means", "with a bias")
    with tracing.without(model, heads):
        assert not torch.allclose(ours, model(ids), atol=1e-3)


def test_heads_may_come_one_by_one():
    model, ids, heads = made("grouped"), draw_ids(2, 7), [(1, 1), (2, 3)]
    with tracing.without(model, heads):
        expected = model(ids)
    with tracing.without(model, (head for head in heads)):
        agree(model(ids), expected, "a generator", "a list", tol=0)


def test_heads_come_back_also_after_an_error():
    model, ids = made("grouped"), draw_ids(2, 7)
    before = model(ids)
    with pytest.raises(RuntimeError, match="stop"):
        with tracing.without(model, [(1, 1)]):
            raise RuntimeError("stop")
    agree(model(ids), before, "after an error", "before", tol=0)
    with tracing.without(model, [(1, 1)]), tracing.without(model, [(1, 2)]):
        both = model(ids)
    with tracing.without(model, [(1, 1), (1, 2)]):
        agree(model(ids), both, "one block", "one in the other", tol=0)
    with tracing.without(model, []):
        agree(model(ids), before, "without nothing", "before", tol=0)


@pytest.mark.parametrize("heads, sentence", [
    ([(0, 0), (3, 0)], r"layer is 3; this model's are 0 to 2\."), ([(0, 6)], r"head is 6; this model's are 0 to 5\."),
    ([(0, -1)], r"head is -1; this model's are 0 to 5\.")])
def test_a_head_that_is_not_there_is_refused(heads, sentence):
    model = made("grouped")
    with pytest.raises(ValueError, match=sentence):
        with tracing.without(model, heads):
            pass
    assert not any(block.attention.out._forward_pre_hooks for block in model.blocks)


def test_means_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r"means has shape \(2, 6, 8\); give \(3, 6, 8\), from head_means"):
        with tracing.without(made("grouped"), [(0, 0)], torch.zeros(2, 6, 8)):
            pass


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_sees_and_takes_out_the_same(device):
    seen = []
    for place in ("cpu", device):
        model, ids = made("grouped").to(place), draw_ids(3, 9).to(place)
        means = tracing.head_means(model, ids)
        with tracing.without(model, [(0, 2), (2, 5)], means):
            changed = model(ids)
        mask = (torch.arange(9) < torch.tensor([9, 4, 7])[:, None]).to(place)
        seen.append({"patterns": tracing.patterns(model, ids), "means": means, "without": changed,
                     "padded": tracing.patterns(model, ids, padding_mask=mask),
                     "copying": tracing.copying(model.double(), torch.arange(41, device=place))})
    assert all(found.device.type == device for found in seen[1].values())
    for name, expected in seen[0].items():                      # copying in double: a near tie could fall either way
        agree(seen[1][name], expected, f"{name} on {device}", "on the CPU", tol=1e-4)


# Pictures ------------------------------------------------------------------------------------------------------------


PIECES = ["The", " cat", "\n", " sat"]
WEIGHTS = torch.tensor([[1.0, 0, 0, 0], [0.9, 0.1, 0, 0], [0.2, 0.7, 0.1, 0], [0.6, 0.1, 0.2, 0.1]])


@pytest.mark.parametrize("draw", [attention_plots.attention, attention_plots.looks])
def test_a_picture_of_attention_says_where_the_last_tokens_look(draw):
    shown = draw(PIECES, WEIGHTS, "A head rests")
    assert shown.alt.startswith("A head rests. A map of 4 queries by 4 keys.") and "“␣sat” at “The” (≈0.6)" in shown.alt
    hidden = draw(PIECES, WEIGHTS, "Beyond the first", first=False)
    assert "4 queries by 3 keys" in hidden.alt and "“␣sat” at “⏎” (≈0.2)" in hidden.alt
    assert hidden.png != shown.png
    draw(PIECES, WEIGHTS.T, "An encoder looks ahead")
    draw(PIECES, torch.eye(4), "Nothing beyond itself", first=False)


@pytest.mark.parametrize("pieces, weights, sentence", [
    (["a"], torch.ones(1, 1), "pieces holds 1 tokens; give 2 to 48"),
    (["a"] * 49, torch.ones(49, 49), "pieces holds 49 tokens; give 2 to 48"),
    (PIECES, torch.ones(4, 5), r"weights has shape \(4, 5\); give \(4, 4\), queries by keys")])
def test_attention_that_cannot_be_drawn_is_refused(pieces, weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        attention_plots.attention(pieces, weights, "title")


def test_all_heads_at_a_glance():
    score = torch.zeros(5, 3)
    score[4, 1] = 0.5
    picture = attention_plots.heads({"one": score, "two": score + 0.25}, "Few heads")
    assert "2 tables of 5 layers by 3 heads" in picture.alt and "one: most, ≈0.5, in head 1 of layer 4" in picture.alt
    for scores in ({}, {"one": score, "two": score.T}, {"one": score[0]}):
        with pytest.raises(ValueError, match="scores holds"):
            attention_plots.heads(scores, "title")
