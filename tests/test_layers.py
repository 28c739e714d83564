"""Layers: vectors of many texts are those of each alone, sentences end as they should, pictures say their numbers."""
import io

import pytest
import torch
from PIL import Image

from helpers import layer_plots, layers, tracing
from helpers.proof import agree, bootstrap
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer

TEXTS = ["the cat sat", "a cat", "the mat was tired because the cat sat on the mat", "tired", "the cat was on the mat"]


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train("the cat sat on the mat because the cat was tired " * 5, vocab_size=280)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return Transformer(Config(vocabulary=tokenizer.vocab_size, context=64, d_model=24, layers=5, heads=3)).eval()


@pytest.mark.parametrize("size", [1, 2, 32])
def test_last_vectors_are_those_of_each_text_alone_in_the_order_given(model, tokenizer, size):
    found = layers.last_vectors(model, tokenizer, TEXTS, size=size)
    assert found.shape == (6, 5, 24)
    for place, text in enumerate(TEXTS):
        agree(found[:, place], tracing.trace(model, tokenizer, text).residual[:, -1], "together", "alone")


@pytest.mark.parametrize("texts", [[], ["the cat", ""], "the cat"])
def test_what_is_no_list_of_texts_is_refused(model, tokenizer, texts):
    with pytest.raises(ValueError, match="give a list of texts"):
        layers.last_vectors(model, tokenizer, texts)


def test_every_sentence_ends_in_its_word_and_stands_once():
    senses = layers.animal_senses()
    assert len(senses) == 16 and all(len(one) == len(other) for one, other in senses.values())
    texts = [text for two in senses.values() for sense in two for text in sense]
    assert len(set(texts)) == len(texts) == 140
    for word, two in senses.items():
        for text in two[0] + two[1]:
            assert text.endswith(f" {word}") and text.lower().split().count(word.lower()) == 1


def test_the_interval_of_each_layer_is_what_bootstrap_gives():
    cases = torch.rand(3, 40, generator=torch.Generator().manual_seed(3)).double()
    mean, low, high, drawn = layers.with_interval(cases, times=4000)
    assert drawn.shape == (4000, 3)
    for layer in range(3):
        value, ends = bootstrap(cases[layer].tolist(), lambda some: sum(some) / len(some), times=4000)
        agree(mean[layer], value, "mean", "bootstrap's", tol=1e-6)
        agree(torch.stack([low[layer], high[layer]]), list(ends), "ends", "bootstrap's", tol=0.01)


def test_layers_are_drawn_together():
    """A drawn curve takes the same groups after every layer, so two equal layers stay equal in it."""
    cases = torch.rand(1, 12, generator=torch.Generator().manual_seed(1)).expand(2, 12)
    *_, drawn = layers.with_interval(cases)
    assert torch.equal(drawn[:, 0], drawn[:, 1]) and drawn[:, 0].std() > 0


def test_no_case_has_no_interval():
    mean, low, high, _ = layers.with_interval(torch.full((2, 6), 0.7))
    agree(low, mean, "low", "mean", tol=1e-6)
    agree(high, mean, "high", "mean", tol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 6)])
def test_too_few_groups_or_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"give \(layers, groups\) with at least 5 groups"):
        layers.with_interval(torch.zeros(shape))


CURVE = ([0.5, 0.75, 1.0], [0.4, 0.7, 1.0], [0.6, 0.8, 1.0])


def test_curves_say_where_each_begins_and_ends():
    drawn = layer_plots.curves({"syntax": {"verb": CURVE}, "meaning": {"sense": CURVE}}, "It rises", "share right", 0.9)
    said = "≈0.5 after layer 0, ≈0.75 after 1, ≈1 after 2"
    assert drawn.alt == f"It rises. share right by layer, with intervals. verb: {said}; sense: {said}."
    assert Image.open(io.BytesIO(drawn.png)).getpixel((2, 2))[:3] == (255, 255, 255)


def test_damage_says_which_block_costs_most_and_least():
    drawn = layer_plots.damage({"left out": ([2.0, 0.1, 0.5], [1, 0, 0], [3, 1, 1]),
                                "swapped": ([0.3, 0.2], [0, 0], [1, 1])}, "The first matters", "rise")
    assert "left out: most, ≈2, at block 0; least, ≈0.1, at block 1" in drawn.alt
    assert "swapped: most, ≈0.3, at block 0; least, ≈0.2, at block 1" in drawn.alt


@pytest.mark.parametrize("panels, said", [
    ({}, r"panels holds \[\] series; give 1 to 4 in each"),
    ({"a": {}}, r"panels holds \[0\] series"),
    ({"a": {str(number): CURVE for number in range(5)}}, r"panels holds \[5\] series"),
    ({"a": {"verb": (CURVE[0], CURVE[1], [1.0])}}, "series 'verb' has 3, 3, 1 numbers"),
    ({"a": {"verb": ([], [], [])}}, "series 'verb' has 0, 0, 0 numbers; give as many ends as means, at least one"),
])
def test_curves_that_cannot_be_drawn_are_refused(panels, said):
    with pytest.raises(ValueError, match=said):
        layer_plots.curves(panels, "t", "y")


def test_favourites_are_named_with_their_shares():
    drawn = layer_plots.favourites([[" cat", "a"], [" dog", "b"]], torch.tensor([[0.5, 0.1], [0.9, 0.05]]), [0, 3], "t")
    assert drawn.alt.endswith("Likeliest after layer 0: “␣cat” ≈0.5; layer 3: “␣dog” ≈0.9.")
    with pytest.raises(ValueError, match="give a token for each probability and a layer for each row"):
        layer_plots.favourites([[" cat"]], torch.ones(1, 2), [0], "t")


def test_the_lens_view_shows_what_the_layer_says_and_can_be_translated(model, tokenizer):
    plain = layer_plots.lens(model, tokenizer, TEXTS[0], 5, "t")
    chances = tracing.logit_lens(model, tracing.trace(model, tokenizer, TEXTS[0]).residual[-1, -1])
    first = tokenizer.decode([int(chances.argmax())])
    assert f"likeliest first: “{first.replace(' ', '␣')}”" in plain.alt
    other = layer_plots.lens(model, tokenizer, TEXTS[0], 5, "t", translate=lambda stream: -stream)
    assert other.alt != plain.alt
    with pytest.raises(ValueError, match="layer is 6; this model's are 0, the embedding, to 5"):
        layer_plots.lens(model, tokenizer, TEXTS[0], 6, "t")
