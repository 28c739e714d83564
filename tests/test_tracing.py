"""Tracing: what is kept is what the model computed, and looking changes nothing."""
import threading

import pytest
import torch

from helpers import plots, tracing
from helpers.proof import agree
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer


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
