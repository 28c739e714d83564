"""Tracing: what is kept is what the model computed, and looking changes nothing."""
import threading

import pytest
import torch

from helpers import attention_plots, plots, tracing
from helpers.proof import agree
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer

KINDS = {
    "rope": {}, "grouped": {"kv_heads": 2}, "one key": {"kv_heads": 1}, "alibi": {"positions": "alibi"},
    "alibi, grouped": {"positions": "alibi", "kv_heads": 3}, "learned": {"positions": "learned", "bias": True},
    "sinusoidal": {"positions": "sinusoidal"}, "none": {"positions": "none"}, "qk_norm": {"qk_norm": True},
    "encoder": {"positions": "learned", "bias": True, "causal": False, "norm": "layernorm", "norm_at": "after",
                "token_types": 2, "embedding_norm": True, "output": "hidden"},
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


def test_patterns_of_nothing_and_of_too_much_are_refused(model):
    with pytest.raises(ValueError, match="with at least one token"):
        tracing.patterns(model, torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="has 65 tokens; this model sees at most 64"):
        tracing.patterns(model, torch.ones(65, dtype=torch.int64))
