"""Pictures of sampling: they say what the filters leave, and refuse what cannot be drawn."""
import copy
import re

import pytest
import torch

from helpers import sampling_plots
from helpers.sampler import Sampler
from helpers.sampling import Token, generate
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = Transformer(Config(vocabulary=260, context=64, d_model=16, layers=1, heads=2)).eval().requires_grad_(False)
    model.embed.weight.normal_(std=0.5)
    return model, BPETokenizer.train("to be or not to be", vocab_size=260)


def test_the_desk_counts_what_is_left_and_draws_with_it(small):
    model, tokenizer = small
    settings = {"temperature": 0.8, "top_k": 7, "top_p": 0.9, "min_p": 0.02, "repetition_penalty": 1.1}
    picture = sampling_plots.desk(model, tokenizer, "to be", **settings, seed=4, bars=5, new_tokens=6)
    ids = tokenizer.encode("to be")
    logits = model(torch.tensor([ids]))[:, -1]
    kept = int((Sampler(**settings).filter(logits, torch.tensor([ids])) > -torch.inf).sum())
    assert picture.alt.startswith(f"{kept} of 260 tokens are left; ") and picture.png[:4] == b"\x89PNG"
    told = tokenizer.decode(generate(model, ids, 6, **settings, seed=4))
    shown = "".join(char for char in told if char.isprintable())
    assert "".join(picture.alt.split()).endswith("Drawnafter“tobe”:“" + "".join(shown.split()) + "”.")


def test_the_desk_without_filters_leaves_all(small):
    model, tokenizer = small
    picture = sampling_plots.desk(model, tokenizer, "to", new_tokens=2)
    before, after = re.search(r"; ([\d.]+) bits of choice become ([\d.]+)\.", picture.alt).groups()
    assert picture.alt.startswith("260 of 260 tokens are left") and before == after != "0.0"


def test_the_cold_leaves_all_though_float32_cannot_say_how_likely(small):
    model, tokenizer = small
    loud = copy.deepcopy(model)
    loud.embed.weight *= 4                                  # logits far apart
    logits = loud(torch.tensor([tokenizer.encode("to")]))[0, -1]
    assert (logits / 0.05).softmax(dim=-1).count_nonzero() < 200
    picture = sampling_plots.desk(loud, tokenizer, "to", temperature=0.05, new_tokens=2)
    assert picture.alt.startswith("260 of 260 tokens are left")


def test_at_temperature_0_nothing_is_left_to_choose(small):
    assert "1 of 260 tokens are left" in sampling_plots.desk(*small, "to", temperature=0, new_tokens=2).alt
    assert "become 0.0" in sampling_plots.desk(*small, "to", temperature=0, new_tokens=2).alt


@pytest.mark.parametrize("settings, says", [({"text": ""}, "text is ''; give at least one character"),
                                            ({"text": "to", "bars": 261}, "bars is 261; give 1 to 260, the tokens"),
                                            ({"text": "to", "bars": 0}, "bars is 0"),
                                            ({"text": "to", "bars": 2.5}, "bars is 2.5"),
                                            ({"text": "to", "top_p": 0.0}, "top_p is 0.0"),
                                            ({"text": "to", "temperature": -1.0}, "temperature is -1.0")])
def test_the_desk_refuses(small, settings, says):
    with pytest.raises(ValueError, match=says):
        sampling_plots.desk(*small, **settings)


def test_an_answer_as_it_streamed():
    tokens = [Token(1, "The", 0.9, 0.5), Token(2, " sea", 0.2, 3.25), Token(3, ".", 0.5, 1.0)]
    picture = sampling_plots.streamed(tokens, bytes_per_token=500_000, prompt_length=98)
    assert "from ≈0.5 to ≈3.25 bits" in picture.alt and "␣sea" in picture.alt
    assert "grows to 50.0 MB" in picture.alt                # the third token is not in the cache when it is drawn
    with pytest.raises(ValueError, match="tokens is empty"):
        sampling_plots.streamed([], 1, 0)
