"""Writing where the text decides what a token costs: one that repeats itself, and one that is long.

The peer is ourselves: writing without guesses, and the same model near the beginning of a text.
"""
import torch
from torch import Tensor

from benchmarks.decode import prefill
from benchmarks.harness import Row, compare
from helpers import pretrained, unread
from helpers.kv_cache import KVCache
from helpers.sampling import generate
from helpers.speculative import PromptLookup, speculate
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer

NEW_TOKENS, LOOKAHEAD, AGAIN = 40, 8, 10        # tokens that are written, guessed at a time, and repeated
EARLY, LATE, STEPS = 100, 2_000, 16             # positions, and how many tokens from each on


def run() -> list[Row]:
    model, tokenizer = pretrained.smollm2()
    prompts = repeating(tokenizer)
    check_same_work(model, prompts)
    ids = torch.randint(model.config.vocabulary, (1, LATE + STEPS), generator=torch.Generator().manual_seed(0))
    early, late = filled(model, ids, EARLY), filled(model, ids, LATE)
    return [
        compare(f"SmolLM2 float32, write {NEW_TOKENS} tokens of text that repeats, guessing {LOOKAHEAD} at a time",
                "ours, without guesses", ours=lambda: guessed(model, prompts), theirs=lambda: plain(model, prompts),
                work=NEW_TOKENS * len(prompts), unit="tokens/s", target=1.5, repetitions=5),
        compare(f"SmolLM2 float32, a token at position {LATE:,}, with the cache", f"ours, at position {EARLY}",
                ours=lambda: go_on(model, ids, late, LATE), theirs=lambda: go_on(model, ids, early, EARLY),
                work=STEPS, unit="tokens/s", target=1 / 1.5, repetitions=7),       # at most 1.5 times as long
    ]


def repeating(tokenizer: BPETokenizer) -> list[list[int]]:
    """Six passages, each with its first ten tokens again at the end: what comes next can be looked up."""
    rows = [tokenizer.encode(passage) for passage in unread.passages()]
    return [ids + ids[:AGAIN] for ids in rows]


def check_same_work(model: Transformer, prompts: list[list[int]]) -> None:
    """Raise AssertionError unless both ways write the same tokens."""
    if guessed(model, prompts) != plain(model, prompts):
        raise AssertionError("tokens with and without guesses differ: their speeds cannot be compared.")


def guessed(model: Transformer, prompts: list[list[int]]) -> list[list[int]]:
    """The likeliest next tokens of each text, with guesses from the text itself."""
    return [speculate(model, ids, NEW_TOKENS, PromptLookup(), LOOKAHEAD, temperature=0).ids for ids in prompts]


def plain(model: Transformer, prompts: list[list[int]]) -> list[list[int]]:
    """The same, a token a pass; text by text, as with guesses."""
    return [generate(model, ids, NEW_TOKENS, temperature=0) for ids in prompts]


def filled(model: Transformer, ids: Tensor, position: int) -> KVCache:
    """A cache that holds the first tokens of ids (1, T), with room for the steps after them."""
    cache = model.cache(1, position + STEPS)
    prefill(model, ids[:, :position], cache)
    return cache


def go_on(model: Transformer, ids: Tensor, cache: KVCache, position: int) -> Tensor:
    """Read the tokens of ids (1, T) from a position on, one at a time, as `generate` does; the last logits, (1, V)."""
    cache.truncate(position)
    for n in range(position, position + STEPS):
        logits = prefill(model, ids[:, n:n + 1], cache)                             # (1, V)
    return logits
