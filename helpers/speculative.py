"""Speculative decoding: a draft guesses several tokens, and one pass of the model checks them all.

    told = speculate(model, tokenizer.encode(text), 60, PromptLookup(), temperature=0)
    told.ids, told.passes               # 60 tokens, in fewer than 60 passes

It changes nothing but the time (Leviathan et al., 2023; Chen et al., 2023): whatever the draft proposes, each text is
as probable as when `generate` writes. Sizes: T tokens so far, n proposals, V tokens to choose from.
"""
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.checks import require
from helpers.logits import check_logits
from helpers.modules import share
from helpers.prompts import as_generators, as_prompt, room, shared
from helpers.replies import Reply, as_stops
from helpers.sampler import Sampler, draw
from helpers.sampling import read
from helpers.transformer import Transformer
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.kv_cache import KVCache
    from helpers.tokenizer import BPETokenizer


@dataclass(frozen=True)
class Speculation:
    """What was written, and what it took."""
    ids: list[int]          # the new tokens, as `generate` returns them
    passes: int             # of the model, which had read all of the prompt but its last token
    proposed: int           # tokens, by the draft
    accepted: int           # of these, by the model; in the last pass also such as would have come after a stop

    @property
    def acceptance(self) -> float:
        """The share of the proposed tokens that were accepted; NaN when none was proposed."""
        return self.accepted / self.proposed if self.proposed else math.nan

    @property
    def tokens_a_pass(self) -> float:
        """New tokens for each pass of the model, where `generate` has 1; NaN when none was asked for."""
        return len(self.ids) / self.passes if self.passes else math.nan


class Draft(Protocol):
    """What guesses: any object with this method."""

    def propose(self, ids: list[int], count: int, sampler: Sampler,
                generator: torch.Generator) -> tuple[list[int], Tensor | None]:
        """Up to `count` tokens that may follow ids, and the probabilities (n, V) from which each was drawn.

        ids: the whole text so far, to be left as it is. What was kept of the proposals before stands at its end.
        sampler, generator: those with which the model chooses its own tokens.
        None for probabilities: the draft had no choice, as if each token had probability 1.
        """


def speculate(model: Transformer, ids: Iterable, max_new_tokens: int, draft: Draft, lookahead: int = 4,
              temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
              min_p: float | None = None, repetition_penalty: float | None = None,
              stop: Collection[int | str] | int | str = (), seed: int | None = None,
              tokenizer: "BPETokenizer | None" = None, progress: bool = False) -> Speculation:
    """Continue one text with the help of a draft: other arguments, and what is written, as in `sampling.generate`.

    At temperature 0 the tokens are those of `generate`, up to the rounding of one pass over several tokens. Above it
    they are drawn from the same distribution, by other random numbers: a seed gives another text than there.
    draft: `PromptLookup()`, `ModelDraft(model)`, or another object with their method `propose`.
    lookahead: how many tokens it may propose at a time; never more than can still be written.
    Raises ValueError for an argument that is out of range, and for a draft that does not belong to the model.
    """
    text = as_prompt(ids, model, "speculate")
    require(isinstance(lookahead, Integral) and lookahead >= 1,
            f"lookahead is {lookahead!r}; give a whole number of at least 1.")
    check_draft(draft, model)
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty)
    reply = Reply(*as_stops(stop, model, tokenizer), tokenizer)
    limit = room(model, [text], max_new_tokens)
    [generator] = as_generators(seed, 1)
    passes = proposed = accepted = 0
    with torch.inference_mode(), bar(limit, "Writing", " tokens", shown=progress) as advance:
        cache = model.cache(1, capacity=len(text) + limit)
        if len(text) > 1:
            read(model, torch.tensor([text[:-1]], device=model.device), None, cache, progress)
        while len(reply.ids) < limit and not reply.stopped:
            count = min(lookahead, limit - len(reply.ids) - 1)                      # the model always adds one itself
            tokens, q = draft.propose(text, count, sampler, generator)
            require(len(tokens) <= count, f"draft proposes {len(tokens)} tokens; it was asked for at most {count}.")
            p = distributions(model, text, tokens, cache, sampler)                  # (n + 1, V)
            if q is None:
                q = F.one_hot(torch.tensor(tokens, dtype=torch.int64), p.shape[1]).to(p)        # (n, V)
            kept, token = accept(p, q, tokens, generator)
            cache.truncate(len(text) + kept)
            passes, proposed, accepted = passes + 1, proposed + len(tokens), accepted + kept
            for new in [*tokens[:kept], token]:
                reply.add(new, last=True)                                           # nothing is shown before the end
                text.append(new)
            advance(kept + 1)
    return Speculation(reply.ids[:reply.sure], passes, proposed, accepted)


def check_draft(draft: Draft, model: Transformer) -> None:
    """Raise ValueError for what is no draft, and for one with other tokens than the model."""
    if isinstance(draft, type):
        raise ValueError(f"draft is the class {draft.__name__}; make one: PromptLookup() or ModelDraft(small_model).")
    require(hasattr(draft, "propose"),
            f"draft is a {type(draft).__name__}; give one that proposes: PromptLookup() or ModelDraft(small_model).")
    if isinstance(draft, ModelDraft) and draft.model.config.vocabulary != model.config.vocabulary:
        raise ValueError(f"draft has {draft.model.config.vocabulary} tokens to choose from and model "
                         f"{model.config.vocabulary}; give one with the same tokenizer.")


def accept(p: Tensor, q: Tensor, tokens: Sequence[int], generator: torch.Generator) -> tuple[int, int]:
    """How many of a draft's n tokens are kept, and the token that the model puts after them. Lesson 07d builds it.

    p: (n + 1, V), the model's probabilities of each token and of the one after the last; q: (n, V), the draft's; both
    on the CPU.
    Token x is kept with probability min(1, p(x) / q(x)); the first that is not is replaced by a draw from what the
    draft gave too little, max(p - q, 0), and all after it are dropped. Kept or replaced, it then is x with probability
    min(p, q)(x) + max(p - q, 0)(x) = p(x): so whoever draws from q and asks here has drawn from p.
    Raises ValueError for shapes that do not fit, rows that are no probabilities, and a token that q cannot draw.
    """
    n, V = len(tokens), p.shape[-1]
    require(p.shape == (n + 1, V) and q.shape == (n, V),
            f"p is {tuple(p.shape)} and q {tuple(q.shape)} for {n} tokens; give p (n + 1, V) and q (n, V).")
    rows = torch.cat([p, q])                                                        # (2n + 1, V)
    require(bool((rows >= 0).all() & ((rows.sum(dim=-1) - 1).abs() < 1e-3).all()),
            "p or q has a row with NaN, a number below 0, or a sum that is not 1; give what softmax makes.")
    for i, token in enumerate(tokens):
        require(0 <= token < V and bool(q[i, token] > 0),
                f"tokens[{i}] is {token}, which has no probability in q; propose only what q can draw.")
        dart = torch.rand(1, generator=generator, dtype=torch.float64)
        if dart * q[i, token] >= p[i, token]:
            rest = (p[i] - q[i]).clamp(min=0)                                       # (V,)
            return i, draw((rest if rest.any() else p[i])[None], [generator])[0]    # rounding may leave no rest
    return n, draw(p[n:], [generator])[0]


def distributions(model: Transformer, ids: list[int], tokens: list[int], cache: "KVCache", sampler: Sampler) -> Tensor:
    """What may follow ids, and ids with each further one of n tokens: probabilities (n + 1, V), on the CPU.

    One pass, over the tokens that the cache does not hold: the last of ids, and the n.
    """
    text = torch.tensor(ids + tokens, device=model.device)                          # (T + n,)
    logits = check_logits(model.head(model.hidden(text[None, cache.length:], cache)[0]).float())    # (n + 1, V)
    seen = range(len(ids), len(text) + 1)
    return torch.stack([sampler.filter(row, text[:T]) for row, T in zip(logits, seen)]).softmax(dim=-1).cpu()


@dataclass(frozen=True)
class PromptLookup:
    """Looks for the last tokens earlier in the text, and proposes what came after them there (Saxena, 2023).

    longest: how many tokens it looks for; where they come only at the end, for fewer. Of several places it takes the
    latest, where Saxena's code takes the first: in a text that only repeats itself the latest is one round back, and no
    more than that round is proposed.
    Good where an answer repeats what it was asked about. Lesson 07d builds it.
    Raises ValueError for longest below 1.
    """
    longest: int = 3

    def __post_init__(self):
        require(isinstance(self.longest, Integral) and self.longest >= 1,
                f"longest is {self.longest!r}; give a whole number of at least 1.")

    def propose(self, ids: list[int], count: int, sampler: Sampler,
                generator: torch.Generator) -> tuple[list[int], None]:
        """The tokens after the latest place with the same last tokens; none when even the last is new."""
        for size in range(min(self.longest, len(ids) - 1), 0, -1):
            for end in range(len(ids) - 1, size - 1, -1):
                if ids[end - size:end] == ids[-size:]:
                    return ids[end:end + count], None
        return [], None


class ModelDraft:
    """A smaller model with the same vocabulary, which draws as the large one does, and has a cache of its own.

    The cache is taken at the first proposal, with room for a text of twice the length; a longer one gets a larger cache
    and is read anew. Where the model's context ends earlier, it proposes nothing more.
    """

    def __init__(self, model: Transformer):
        self.model = model
        self.cache: "KVCache | None" = None
        self.ids: list[int] = []            # what the cache holds is always a beginning of these

    @torch.inference_mode()
    def propose(self, ids: list[int], count: int, sampler: Sampler,
                generator: torch.Generator) -> tuple[list[int], Tensor | None]:
        """What the model writes after ids, with the probabilities (n, V) after the filters."""
        context = self.model.config.context
        needed, q = min(len(ids) + count, context), []
        if needed <= len(ids):
            return [], None
        if self.cache is None or self.cache.capacity < needed:
            self.cache = self.model.cache(1, capacity=min(2 * needed, context))
        self.cache.truncate(shared(self.ids[:self.cache.length], ids[:-1]))
        self.ids = ids.copy()
        while len(self.ids) < needed:
            text = torch.tensor([self.ids], device=self.model.device)               # (1, T)
            logits = read(self.model, text, None, self.cache, progress=False)       # (1, V)
            q.append(sampler.filter(logits, text).softmax(dim=-1).cpu())
            self.ids += draw(q[-1], [generator])
        return self.ids[len(ids):], torch.cat(q)                                    # n, (n, V)


def first_layers(model: Transformer, count: int) -> Transformer:
    """The first `count` layers of a model with its last norm and its head: a draft whose weights are the model's own.

    They take no further memory; the cache that `ModelDraft` gives it does.
    Raises ValueError for a count outside 1 to the model's layers.
    """
    require(isinstance(count, Integral) and 1 <= count <= model.config.layers,
            f"count is {count!r}; give 1 to {model.config.layers}, the layers of this model.")
    first = share(model)
    first.blocks, first.config = first.blocks[:count], replace(first.config, layers=count)
    return first
