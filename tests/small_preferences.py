"""Pairs of nonsense, and a model so small that it learns them in a blink: for the tests of preference tuning."""
import functools
import random

import torch

from helpers.preference import PairData
from helpers.pretrained import STAGES
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Config, Transformer

V = 30
ASKED = ["Tell me a story.", "A fox, please.", "One more story."]


def tiny(seed=0, vocabulary=V, context=24, std=0.3, **settings):
    """An untrained model whose weights are so large that no two texts look alike to it."""
    torch.manual_seed(seed)
    model = Transformer(Config(**{"vocabulary": vocabulary, "context": context, "d_model": 16, "layers": 1, "heads": 2}
                               | settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=std)
    return model


def random_rows(seed=0, pairs=9, longest=6):
    """Requests with two answers, of lengths that all differ: in a chosen answer are tokens 1 to 9, else 10 to 19."""
    lot = random.Random(seed)

    def some(low, high):
        return [lot.randint(low, high) for _ in range(lot.randint(1, longest))]

    return [(some(20, 29), some(1, 9), some(10, 19)) for _ in range(pairs)]


def pair_data(seed=0, pairs=9):
    return PairData(random_rows(seed, pairs))


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).clone()


@functools.cache
def tokenizer():
    """The one that ships with the course."""
    return BPETokenizer.load(STAGES / "tokenizer.json")


def writer(seed=0, **settings):
    """A model without any sense that writes with the tokenizer which ships; all tokens are nearly as likely to it."""
    return tiny(seed, tokenizer().vocab_size, 64, std=0.05, **settings)


def with_filling(ids, completion_mask, seed):
    """The same answers with other tokens after their ends, and more columns of them."""
    draw = torch.Generator().manual_seed(seed)
    B, T = ids.shape
    more = int(torch.randint(1, 4, (), generator=draw))
    filled = torch.randint(0, V, (B, T + more), generator=draw)                     # (B, T + more)
    mask = torch.zeros(B, T + more, dtype=torch.bool)
    mask[:, :T] = completion_mask
    ends = T - completion_mask.flip(1).int().argmax(dim=1)                          # (B,): just after each answer
    for row, end in enumerate(ends):
        filled[row, :end] = ids[row, :end]
    return filled, mask
