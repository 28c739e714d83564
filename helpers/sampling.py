"""One token after another: `generate` returns all that a model writes, `stream` yields each token as it is written.

Both run the same loop, `write`: read the text, score every token, choose one, append it, again.
How scores are made sharper or narrower is in `logits.py`, how a token is chosen in `sampler.py`, where an answer ends
in `replies.py`, how it is made to fit a pattern in `constrained.py`. Sizes: B rows, T tokens so far, V to choose from.
"""
import codecs
import math
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.constrained import Constraint, as_replies, constrain
from helpers.logits import check_logits, min_p, repetition_penalty, temperature, top_k, top_p
from helpers.prompts import as_generators, as_prompt, as_prompts, pad, room
from helpers.replies import Reply
from helpers.sampler import Sampler, draw
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.kv_cache import KVCache
    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer

__all__ = ["Token", "draw", "generate", "min_p", "repetition_penalty", "stream", "temperature", "top_k", "top_p"]

CHUNK = 512                 # tokens of a prompt that are read at a time


@dataclass(frozen=True)
class Token:
    """A token that was written."""
    id: int
    text: str               # "" while it holds only part of a character; that character comes with a later token
    probability: float      # that the model gave it: at temperature 1, before any filter or penalty
    entropy: float          # bits, of that same distribution: 0 when the model was sure, log2 V when it knew nothing


def generate(model: "Transformer", ids: Iterable, max_new_tokens: int, temperature: float = 1.0,
             top_k: int | None = None, top_p: float | None = None, min_p: float | None = None,
             repetition_penalty: float | None = None, stop: Collection[int | str] | int | str = (),
             seed: int | None = None, cache: bool = True, tokenizer: "BPETokenizer | None" = None,
             progress: bool = False, constraint: Constraint | None = None) -> list[int] | list[list[int]]:
    """Continue one text or several. Lesson 07 builds it.

    ids: the tokens of one text, a list or (T,); or of several, a list of such or (B, T), which may differ in length.
    max_new_tokens: written at most; all rows end earlier when the longest text fills the context of the model.
    temperature to repetition_penalty: see the functions of those names; temperature 0 always takes the likeliest.
    stop: tokens and strings that end a text. A string needs the tokenizer and may span tokens.
    seed: row i draws with seed + i, so that it can be repeated alone; None draws anew each time.
    cache: False reads the whole text again for each token, which gives the same and takes longer.
    progress: show a bar while a prompt of more than 512 tokens is read, and while tokens are written.
    constraint: the pattern that each new text fits as a whole, however it ends: where no more can follow, at the latest
        after max_new_tokens, or at a special token: one of those in stop, or any where stop is empty.
    Returns the new tokens alone: a list for one text, a list of lists for several. A stop token is left out, and so is
    a stop string, with the whole token in which it begins.
    Raises ValueError for an argument that is out of range, and for a model that gives NaN.
    """
    prompts, several = as_prompts(ids, model)
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty)
    limit = room(model, prompts, max_new_tokens)
    replies = as_replies(len(prompts), limit, stop, model, tokenizer, constraint)
    held = model.cache(len(prompts), capacity=max(map(len, prompts)) + limit) if cache else None
    steps = write(model, prompts, replies, limit, sampler, as_generators(seed, len(prompts)), held, progress)
    with bar(limit, "Writing", " tokens", shown=progress) as advance:
        for _ in steps:
            advance(1)
    new = [reply.ids[:reply.sure] for reply in replies]
    return new if several else new[0]


def stream(model: "Transformer", ids: Iterable, max_new_tokens: int, temperature: float = 1.0,
           top_k: int | None = None, top_p: float | None = None, min_p: float | None = None,
           repetition_penalty: float | None = None, stop: Collection[int | str] | int | str = (),
           seed: int | None = None, cache: bool = True, tokenizer: "BPETokenizer | None" = None,
           progress: bool = False, kv_cache: "KVCache | None" = None,
           constraint: Constraint | None = None) -> Generator[Token, None, None]:
    """Continue one text, and yield each token as it is written; arguments as in `generate`, and the same tokens.

    tokenizer: gives each token its text; without one it is "".
    kv_cache: a cache that holds the first tokens of ids already; it keeps what is read and written here.
    A token that may belong to a stop string waits until that is decided. If the string begins inside a token, that
    token comes last, with the text before it. An unfinished character at the very end is not shown.
    Raises ValueError at the call for an argument that is out of range.
    """
    prompts = [as_prompt(ids, model, "stream")]
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty)
    limit = room(model, prompts, max_new_tokens)
    [reply] = as_replies(1, limit, stop, model, tokenizer, constraint)
    if kv_cache is None:
        kv_cache = model.cache(1, capacity=len(prompts[0]) + limit) if cache else None
    elif kv_cache.length >= len(prompts[0]):
        raise ValueError(f"kv_cache holds {kv_cache.length} tokens and ids only {len(prompts[0])}; ids is the whole "
                         "text and at least its last token must be new. Use kv_cache.truncate(length).")
    elif limit and kv_cache.capacity < len(prompts[0]) + limit:
        raise ValueError(f"kv_cache has room for {kv_cache.capacity} tokens; ids and the new ones need "
                         f"{len(prompts[0]) + limit}. Make a larger one: model.cache(1, capacity).")
    steps = write(model, prompts, [reply], limit, sampler, as_generators(seed, 1), kv_cache, progress)
    return tokens_of(steps, reply, tokenizer)


def tokens_of(steps: Iterator[tuple[list[int], Tensor]], reply: Reply,
              tokenizer: "BPETokenizer | None") -> Generator[Token, None, None]:
    """The steps of one row as Tokens, each as soon as it cannot belong to a stop string."""
    decoder = tokenizer.stream_decoder() if tokenizer is not None else None
    tokens: list[Token] = []
    shown = 0                                                                       # how many of them were yielded
    for (chosen,), logits in steps:
        if len(reply.ids) > len(tokens):                                            # not for a stop token
            log_p = logits[0].log_softmax(dim=-1)                                   # (V,)
            entropy = torch.special.entr(log_p.exp()).sum() / math.log(2)           # nats to bits
            text = decoder.feed(chosen) if decoder is not None else ""
            tokens.append(Token(chosen, text, float(log_p[chosen].exp()), float(entropy)))
        for token in tokens[shown:reply.sure]:
            shown += 1
            yield token
    if reply.cut is not None:
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(reply.content[:reply.cut])   # no half character
        rest = text[sum(len(token.text) for token in tokens[:shown]):]
        if rest:
            yield replace(tokens[shown], text=rest)


@torch.inference_mode()
def write(model: "Transformer", prompts: list[list[int]], replies: list[Reply], limit: int, sampler: Sampler,
          generators: list[torch.Generator], cache: "KVCache | None",
          progress: bool) -> Iterator[tuple[list[int], Tensor]]:
    """The loop: read, choose, append, again, until every reply has ended or has `limit` tokens.

    Yields, for each step, the B tokens chosen and the logits (B, V) of the model.
    """
    ids, real = pad(prompts, model.device)                                          # (B, T); (B, T) or None
    for step in range(limit):
        if all(reply.stopped for reply in replies):                                 # with a constraint, even at once
            return
        logits = read(model, ids, real, cache, progress)                            # (B, V)
        chosen = sampler.choose(constrain(logits, replies), ids, generators)
        for reply, token in zip(replies, chosen):
            reply.add(token, last=step == limit - 1)
        yield chosen, logits
        ids = torch.cat([ids, torch.tensor(chosen, device=ids.device)[:, None]], dim=1)             # (B, T + 1)
        real = real if real is None else torch.cat([real, real.new_ones(len(chosen), 1)], dim=1)    # (B, T + 1)


def read(model: "Transformer", ids: Tensor, real: Tensor | None, cache: "KVCache | None", progress: bool) -> Tensor:
    """Logits (B, V) of what follows ids (B, T), of which the model reads what its cache does not hold."""
    if cache is None:
        return check_logits(model.head(model.hidden(ids, padding_mask=real)[:, -1]).float())
    begin, end = cache.length, ids.shape[1]
    starts = range(begin, end, CHUNK)
    try:
        with bar(end - begin, "Reading", " tokens", shown=progress and len(starts) > 1) as advance:
            for start in starts:
                part = slice(start, start + CHUNK)
                hidden = model.hidden(ids[:, part], cache, None if real is None else real[:, part])     # (B, CHUNK, C)
                advance(hidden.shape[1])
    except BaseException:
        cache.truncate(begin)               # a prompt that was only partly read is not kept
        raise
    return check_logits(model.head(hidden[:, -1]).float())                          # (B, C) -> (B, V)
