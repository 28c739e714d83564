"""One token after another: `generate` returns all that a model writes, `stream` yields each token as it is written.

Both run the same loop, `write`: read the text, score every token, choose one, append it, again; lesson 07 builds it.
How scores are made sharper or narrower before the choice is in `logits.py`. Sizes: B rows, T tokens so far, V tokens to
choose from.
"""
import math
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.logits import COLDEST, check_logits, min_p, repetition_penalty, require, temperature, top_k, top_p
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
             progress: bool = False) -> list[int] | list[list[int]]:
    """Continue one text or several.

    ids: the tokens of one text, a list or (T,); or of several, a list of such or (B, T), which may differ in length.
    max_new_tokens: written at most; all rows end earlier when the longest text fills the context of the model.
    temperature to repetition_penalty: see the functions of those names; temperature 0 always takes the likeliest.
    stop: tokens and strings that end a text. A string needs the tokenizer and may span tokens.
    seed: row i draws with seed + i, so that it can be repeated alone; None draws anew each time.
    cache: False reads the whole text again for each token, which gives the same and takes longer.
    progress: show a bar while a prompt of more than 512 tokens is read, and while tokens are written.
    Returns the new tokens alone: a list for one text, a list of lists for several. A stop token is left out, and so is
    a stop string, with the whole token in which it begins.
    Raises ValueError for an argument that is out of range, and for a model that gives NaN.
    """
    prompts, several = as_prompts(ids, model)
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty)
    replies = [Reply(*as_stops(stop, model, tokenizer), tokenizer) for _ in prompts]
    limit = room(model, prompts, max_new_tokens)
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
           progress: bool = False, kv_cache: "KVCache | None" = None) -> Generator[Token, None, None]:
    """Continue one text, and yield each token as it is written; arguments as in `generate`, and the same tokens.

    tokenizer: gives each token its text; without one it is "".
    kv_cache: a cache that holds the first tokens of ids already; it keeps what is read and written here.
    A token that may belong to a stop string waits until that is decided. If the string begins inside a token, that
    token comes last, with the text before it. An unfinished character at the very end is not shown.
    Raises ValueError at the call for an argument that is out of range.
    """
    prompts, several = as_prompts(ids, model)
    if several:
        raise ValueError(f"ids holds {len(prompts)} texts; stream continues one. Use generate for several.")
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty)
    reply = Reply(*as_stops(stop, model, tokenizer), tokenizer)
    limit = room(model, prompts, max_new_tokens)
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


def tokens_of(steps: Iterator[tuple[list[int], Tensor]], reply: "Reply",
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
        text = reply.content[:reply.cut].decode("utf-8", errors="replace")
        rest = text[sum(len(token.text) for token in tokens[:shown]):]
        if rest:
            yield replace(tokens[shown], text=rest)


@torch.inference_mode()
def write(model: "Transformer", prompts: list[list[int]], replies: list["Reply"], limit: int, sampler: "Sampler",
          generators: list[torch.Generator], cache: "KVCache | None",
          progress: bool) -> Iterator[tuple[list[int], Tensor]]:
    """The loop: read, choose, append, again, until every reply has ended or has `limit` tokens.

    Yields, for each step, the B tokens chosen and the logits (B, V) of the model.
    """
    ids, real = pad(prompts, model.embed.weight.device)                             # (B, T); (B, T) or None
    for step in range(limit):
        logits = read(model, ids, real, cache, progress)                            # (B, V)
        chosen = sampler.choose(logits, ids, generators)
        for reply, token in zip(replies, chosen):
            reply.add(token, last=step == limit - 1)
        yield chosen, logits
        if all(reply.stopped for reply in replies):
            return
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


def pad(prompts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Rows of equal length (B, T), padded on the left, and which tokens are real (B, T), or None when all are."""
    T = max(map(len, prompts))
    # padding repeats the row's own first token, so that a repetition penalty meets no token that is not in the text
    ids = torch.tensor([row[:1] * (T - len(row)) + row for row in prompts], device=device)
    real = torch.tensor([[False] * (T - len(row)) + [True] * len(row) for row in prompts], device=device)
    return ids, None if bool(real.all()) else real


@dataclass(frozen=True)
class Sampler:
    """How a token is chosen: the filters in the order in which transformers applies them, then a dart."""
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    def __post_init__(self):
        self.filter(torch.zeros(1), torch.zeros(1, dtype=torch.int64))      # a wrong setting raises here, not later

    def filter(self, logits: Tensor, ids: Tensor) -> Tensor:
        """logits (..., V) and the tokens so far (..., T) to logits (..., V)."""
        if self.repetition_penalty is not None:
            logits = repetition_penalty(logits, ids, self.repetition_penalty)
        logits = temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p(logits, self.top_p)
        return logits if self.min_p is None else min_p(logits, self.min_p)

    def choose(self, logits: Tensor, ids: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
        """The next token of each row: logits (B, V) and the tokens so far (B, T) to B tokens."""
        if self.temperature < COLDEST:                      # no filter removes the likeliest, only a penalty demotes it
            if self.repetition_penalty is not None:
                logits = repetition_penalty(logits, ids, self.repetition_penalty)
            return logits.argmax(dim=-1).tolist()
        logits = self.filter(logits, ids)                                           # (B, V)
        return draw(logits.softmax(dim=-1).cpu(), generators)       # one CPU draws the same everywhere, unlike GPUs


def draw(probabilities: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
    """Throw one dart a row at a line on which each token has a stretch as long as its probability.

    probabilities: (B, V) on the CPU, in any scale; generators: one a row, which gives the dart. Returns B tokens.
    Raises ValueError for a row that holds NaN, inf or less than 0, or nothing above 0.
    """
    edges = probabilities.double().cumsum(dim=-1)                                   # (B, V), where stretches end
    total = edges[:, -1:]                                                           # (B, 1); NaN and inf reach it
    require(bool((probabilities >= 0).all() & total.isfinite().all() & (total > 0).all()),
            f"probabilities has a row with NaN, inf, a number below 0, or a sum of 0 (the sums are "
            f"{total[:, 0].tolist()!r:.60}); give shares of at least 0, as softmax makes them.")
    edges = edges / total                                                           # the last is exactly 1
    darts = torch.stack([torch.rand(1, generator=one, dtype=torch.float64) for one in generators])     # (B, 1)
    return torch.searchsorted(edges, darts, right=True)[:, 0].tolist()


@dataclass
class Reply:
    """The new tokens of one row, and where they end. Strings are looked for in bytes, so any token may split them."""
    stop_ids: frozenset[int]
    stop_strings: tuple[bytes, ...]
    tokenizer: "BPETokenizer | None" = None
    ids: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)       # for each token, where its bytes end in content
    content: bytes = b""
    sure: int = 0                                       # tokens that can no longer belong to a stop string
    cut: int | None = None                              # where in content a stop string begins
    stopped: bool = False

    def add(self, token: int, last: bool) -> None:
        """Take the next token, unless the row has stopped and is only kept for the sake of the others."""
        if self.stopped:
            return
        self.stopped = token in self.stop_ids
        if not self.stopped:
            self.ids.append(token)
        if self.stopped or not self.stop_strings:
            self.sure = len(self.ids)
            return
        self.content += self.tokenizer.token_bytes(token)
        self.ends.append(len(self.content))
        found = [at for string in self.stop_strings if (at := self.content.find(string)) >= 0]
        if found:
            self.stopped, self.cut = True, min(found)
        certain = self.cut if found else len(self.content) - (0 if last else self.unsure())
        self.sure = sum(end <= certain for end in self.ends)

    def unsure(self) -> int:
        """How many of the last bytes may be the beginning of a stop string."""
        return max((n for string in self.stop_strings for n in range(1, len(string))
                    if self.content.endswith(string[:n])), default=0)


# What the arguments may be --------------------------------------------------------------------------------------------


def as_prompts(ids: Iterable, model: "Transformer") -> tuple[list[list[int]], bool]:
    """The texts as lists of tokens, and whether several were given."""
    if model.config.output != "logits" or not model.config.causal:
        raise ValueError("model gives no scores for a next token; use one that writes, such as pretrained.smollm2().")
    ids = ids.tolist() if hasattr(ids, "tolist") else ids                           # a tensor or an array
    require(isinstance(ids, Iterable) and not isinstance(ids, str),
            f"ids is {ids!r:.40}; give a list of tokens, as tokenizer.encode(text) returns it.")
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in ids]
    several = bool(rows) and all(isinstance(row, (list, tuple)) for row in rows)
    prompts = [list(row) for row in rows] if several else [rows]
    for row in prompts:
        if not row:
            raise ValueError("ids is empty; give at least one token to continue from.")
        wrong = [token for token in row if not isinstance(token, Integral) or isinstance(token, bool)]
        if wrong:
            raise ValueError(f"ids holds {wrong[0]!r}; give whole numbers, as tokenizer.encode returns them.")
        check_token("ids", min(row), model)
        check_token("ids", max(row), model)
    return prompts, several


def check_token(name: str, token: int, model: "Transformer") -> None:
    """Raise ValueError for a token that the model does not have."""
    if not 0 <= token < model.config.vocabulary:
        raise ValueError(f"{name} holds {token}; this model's tokens are 0 to {model.config.vocabulary - 1}. "
                         "Was it made by another tokenizer?")


def as_stops(stop: Collection[int | str] | int | str, model: "Transformer",
             tokenizer: "BPETokenizer | None") -> tuple[frozenset[int], tuple[bytes, ...]]:
    """The stop tokens, and the stop strings as bytes."""
    stops = as_list(stop)
    for one in stops:
        if isinstance(one, bool) or not isinstance(one, (str, Integral)) or one == "":
            raise ValueError(f"stop holds {one!r}; give tokens (whole numbers) and strings that are not empty.")
        if isinstance(one, str) and tokenizer is None:
            raise ValueError(f"stop holds the string {one!r}, and tokenizer is None; pass tokenizer=... as well.")
        if isinstance(one, Integral):
            check_token("stop", one, model)
    return (frozenset(one for one in stops if isinstance(one, Integral)),
            tuple(one.encode("utf-8") for one in stops if isinstance(one, str)))


def as_list(stop: Collection[int | str] | int | str) -> list[int | str]:
    """What stop holds, one or several."""
    stop = stop.tolist() if hasattr(stop, "tolist") else stop                       # a tensor or an array
    if isinstance(stop, (str, Integral)):
        return [stop]
    require(isinstance(stop, Iterable),
            f"stop is {stop!r}; give a token, a string, or a list of them, which is empty for none.")
    return list(stop)


def room(model: "Transformer", prompts: list[list[int]], max_new_tokens: int) -> int:
    """How many tokens can be written: max_new_tokens, or what the context has left."""
    require(isinstance(max_new_tokens, Integral) and max_new_tokens >= 0,
            f"max_new_tokens is {max_new_tokens!r}; give a whole number of at least 0.")
    longest, context = max(map(len, prompts)), model.config.context
    if longest >= context:
        raise ValueError(f"ids has {longest} tokens and this model sees at most {context}, a new one among them: "
                         "shorten the text.")
    return min(max_new_tokens, context - longest)


def as_generators(seed: int | None, rows: int) -> list[torch.Generator]:
    """A source of random numbers for each row, on the CPU."""
    check_seed(seed)
    generators = [torch.Generator() for _ in range(rows)]
    for row, generator in enumerate(generators):
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(int(seed) + row)
    return generators


def check_seed(seed: int | None) -> None:
    """Raise ValueError for a seed that PyTorch's generators cannot take."""
    require(seed is None or isinstance(seed, Integral) and not isinstance(seed, bool) and -2**63 <= seed < 2**63,
            f"seed is {seed!r}; give a whole number from -2**63 to 2**63 - 1, or None to draw anew each time.")
