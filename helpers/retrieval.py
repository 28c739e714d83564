"""Finding texts by what they mean: vectors of texts, texts in passages, and a store to search.

    encoder, tokenizer = pretrained.minilm()
    passages = chunk(page, tokenizer)
    vectors = embed(passages, encoder, tokenizer)           # (N, C), unit length: a dot product is a cosine
"""
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.transformer import Transformer
from helpers.vector_store import Hit, VectorStore
from helpers.vector_store_input import IN_A_LIST, check_text, list_of_texts, shows_nothing
from helpers.waiting import bar

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["embed", "chunk", "VectorStore", "Hit"]

AT_ONCE = 4096                  # tokens in one batch, padding counted
ALONE = "give at least one visible character."
LONG = 2.0                      # seconds of work from which on a bar is shown

PARAGRAPH, SENTENCE, WORD, SIGN, NONE = 4, 3, 2, 1, 0       # how good a place is for a passage to end
ENDS = ((PARAGRAPH, re.compile(r"\n[^\S\n]*\n\s*")),
        (SENTENCE, re.compile(r"[.!?…。！？][\"'”’)\]]*(?:\s+|(?<=[。！？]))")), (WORD, re.compile(r"\s+")))


@torch.no_grad()
def embed(texts: Sequence[str], encoder: Transformer, tokenizer: "Tokenizer") -> Tensor:
    """Vectors of texts (Reimers and Gurevych, 2019): the mean of the hidden states of their tokens, at unit length.

    Returns (N, C), float32, on the CPU. Texts of about the same length are padded to one length and run together; a
    progress bar is shown when it takes more than two seconds. Lesson 02c builds it.
    Raises ValueError for an empty or invisible text, for one longer than the encoder's context (nothing is ever cut
    off), and for a model that gives logits.
    """
    if encoder.config.output != "hidden":
        raise ValueError(f"encoder gives {encoder.config.output}; give a model whose config.output is 'hidden'.")
    texts = list_of_texts(texts)
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    for i, row in enumerate(rows):
        if len(row) <= tokenizer.num_special_tokens_to_add(is_pair=False):                  # nothing beside the marks
            raise shows_nothing(texts[i], f"texts[{i}]", IN_A_LIST)
    longest = max(range(len(rows)), key=lambda i: len(rows[i]))
    if len(rows[longest]) > encoder.config.context:
        raise ValueError(f"texts[{longest}] has {len(rows[longest])} tokens, its two marks counted, and the model reads"
                         f" at most {encoder.config.context}; cut it with chunk(text, tokenizer).")
    vectors = torch.empty(len(rows), encoder.config.d_model)                                # (N, C)
    left, start = sum(map(len, rows)), time.perf_counter()
    with ExitStack() as stack:
        step = None
        for batch in batches(rows):
            vectors[batch] = mean_vectors([rows[i] for i in batch], encoder)
            done = sum(len(rows[i]) for i in batch)
            left -= done
            if step is None:                                # the first batch, of the longest, tells how long it takes
                slow = left * (time.perf_counter() - start) / done > LONG
                step = stack.enter_context(bar(left or 1, "Embedding", "tokens", shown=slow))
            else:
                step(done)
    return vectors


def batches(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which rows run together: the longest first, as many as make AT_ONCE tokens when padded to the longest."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    found: list[list[int]] = []
    for i in order:
        if not found or len(rows[found[-1][0]]) * (len(found[-1]) + 1) > AT_ONCE:
            found.append([])
        found[-1].append(i)
    return found


def mean_vectors(rows: Sequence[Sequence[int]], encoder: Transformer) -> Tensor:
    """Mean of the hidden states over the real tokens of each row, at unit length: (B, C) on the CPU."""
    B, T = len(rows), max(map(len, rows))
    device = encoder.device
    ids = torch.zeros(B, T, dtype=torch.int64)                                              # (B, T)
    real = torch.zeros(B, T, dtype=torch.bool)                                              # (B, T)
    for i, row in enumerate(rows):
        ids[i, :len(row)], real[i, :len(row)] = torch.tensor(row), True
    mask = real.to(device)
    hidden = encoder(ids.to(device), padding_mask=None if real.all() else mask).float()     # (B, T, C)
    mean = (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)           # (B, C)
    return torch.nn.functional.normalize(mean, dim=-1).cpu()


def chunk(text: str, tokenizer: "Tokenizer", limit: int = 128, overlap: int = 24) -> list[str]:
    """Cut a text into passages of at most `limit` tokens, in order; nothing is lost, and none ends inside a word.

    A passage ends where a paragraph does, or else a sentence, or else a word, so long as that leaves it at least half
    full. The next one begins up to `overlap` tokens earlier, where a sentence begins, or at a word of a sentence that
    was cut: what belongs together shall not be parted everywhere. The encoder's two marks are not counted.
    Raises ValueError for an empty or invisible text, a limit below 8, an overlap of more than half the limit, and a
    word of more tokens than the limit.
    """
    check_text(text, "text", ALONE)
    if limit < 8:
        raise ValueError(f"limit is {limit}; give at least 8 tokens.")
    if not 0 <= overlap <= limit // 2:
        raise ValueError(f"overlap is {overlap}; give 0 to {limit // 2}, half of limit.")
    return [text[begin:end].strip("\n").rstrip() for begin, end in passage_ends(text, tokenizer, limit, overlap)]


def passage_ends(text: str, tokenizer: "Tokenizer", limit: int, overlap: int) -> list[tuple[int, int]]:
    """Where each passage of `chunk` begins and ends in the text, white space at its end included."""
    starts, quality = cuts(text, tokenizer)
    T, places, found, begin, done = len(starts), [0, *starts[1:], len(text)], [], 0, 0
    while done < T:
        end = best_end(quality, begin, min(begin + limit, T), done)
        if end > done:
            found.append((places[begin], places[end]))
            begin, done = best_begin(quality, max(begin + 1, end - overlap), end), end
        elif begin < done:                                  # the next word is too long to have anything before it
            begin = done
        else:
            word = text[places[begin]:].split(maxsplit=1)[0]
            raise ValueError(f"limit is {limit}, and {word[:40]!r} alone has more tokens; give a larger limit.")
    return found


def cuts(text: str, tokenizer: "Tokenizer") -> tuple[list[int], list[int]]:
    """Where each token begins, and how good a place it is to cut before it: T characters' places, T + 1 qualities."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    starts, words = [start for start, _ in encoding.offsets], encoding.word_ids
    if not starts:
        raise shows_nothing(text, "text", ALONE)
    best = dict.fromkeys(starts, NONE)
    for i in range(1, len(starts)):
        if words[i] != words[i - 1]:
            best[starts[i]] = SIGN                          # between a word and a sign: better than inside a word
    for kind, pattern in reversed(ENDS):
        for found in pattern.finditer(text):
            if found.end() in best:
                best[found.end()] = kind
    return starts, [best[start] for start in starts] + [PARAGRAPH]


def best_end(quality: Sequence[int], begin: int, most: int, done: int) -> int:
    """Where a passage that begins at `begin` should end: after `done`, at `most` at the latest; `done` if nowhere."""
    if most == len(quality) - 1:
        return most                                         # the rest fits
    half = max(begin + (most - begin + 1) // 2, done + 1)
    place = max(range(half, most + 1), key=lambda i: (quality[i], i), default=done)
    if place > done and quality[place] > NONE:
        return place
    return next((i for i in range(min(half, most), done, -1) if quality[i] > NONE), done)


def best_begin(quality: Sequence[int], least: int, end: int) -> int:
    """Where the next passage begins: at the first sentence in reach; or else, after a cut sentence, at a word."""
    for wanted in (SENTENCE,) if quality[end] >= SENTENCE else (SENTENCE, WORD):
        for i in range(least, end):
            if quality[i] >= wanted:
                return i
    return end
