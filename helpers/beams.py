"""Beam search looks for the likeliest text, not the likeliest next token: it keeps several beginnings at every step.

    best = beam_search(model, tokenizer.encode(text), 20, beams=4)[0]
    best.ids, best.log_probability

Sizes: N beams that go on, T tokens so far, V tokens to choose from.
"""
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

import torch

from helpers.checks import require
from helpers.prompts import as_prompt, room
from helpers.replies import as_list, as_stops
from helpers.sampling import read

if TYPE_CHECKING:
    from helpers.transformer import Transformer


@dataclass(frozen=True)
class Beam:
    """A text that was found."""
    ids: list[int]              # the new tokens, without the stop token that may have ended them
    log_probability: float      # the sum over these tokens and the stop token
    score: float                # that sum, divided by the number of these tokens to the power of length_penalty


@torch.inference_mode()
def beam_search(model: "Transformer", ids: Iterable, max_new_tokens: int, beams: int = 4,
                stop: Collection[int] | int = (), length_penalty: float = 1.0) -> list[Beam]:
    """The best continuations of one text that beam search finds, best first: `beams` of them, where there are so many.

    Lesson 07 builds it.
    Each step adds every token to every beam. What ends by that, at a stop token or because no more may be written, is
    done if it is among the `beams` likeliest; the `beams` likeliest of the others go on. The search ends when `beams`
    texts are done and no other can still get a better score than the worst of them: this is what transformers calls
    early_stopping="never".
    ids, max_new_tokens: as in `sampling.generate`; when no token is asked for, nothing is found.
    stop: tokens that end a text.
    length_penalty: 0 compares sums of log probabilities, and so prefers short texts; 1 compares means.
    Raises ValueError for an argument that is out of range, and for a model that gives NaN.
    """
    prompt = as_prompt(ids, model, "beam_search")
    require(isinstance(beams, Integral) and beams >= 1, f"beams is {beams!r}; give a whole number of at least 1.")
    require(isinstance(length_penalty, Real) and abs(length_penalty) <= 10,
            f"length_penalty is {length_penalty!r}; give a number from -10 to 10, where 1 compares means.")
    stops, limit = stop_tokens(stop, model), room(model, [prompt], max_new_tokens)
    text = torch.tensor([prompt], device=model.device)                              # (N, T), from N = 1
    totals = torch.zeros(1, 1, device=text.device)                                  # (N, 1), log probabilities
    cache = model.cache(1, capacity=len(prompt) + limit)
    done: list[Beam] = []
    for length in range(1, limit + 1):
        logits = read(model, text, None, cache, progress=False)                     # (N, V)
        sums = (totals + logits.log_softmax(dim=-1)).flatten()                      # (N V,)
        best = sums.topk(min((1 + len(stops)) * beams, len(sums)))                  # so many that `beams` can go on
        going = []
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist())):
            row, token = divmod(place, logits.shape[1])
            if token not in stops and length < limit:
                going.append((total, row, token))
            elif rank < beams:
                new = [*text[row, len(prompt):].tolist(), token]
                done.append(Beam(new[:-1] if token in stops else new, total, total / length ** length_penalty))
        done = sorted(done, key=lambda beam: beam.score, reverse=True)[:beams]
        going = going[:beams]
        if not going or len(done) == beams and reach(going[0][0], length + 1, limit, length_penalty) <= done[-1].score:
            break
        kept, rows, tokens = map(list, zip(*going))
        cache.select(rows)
        text = torch.cat([text[rows], text.new_tensor(tokens)[:, None]], dim=1)     # (N, T + 1)
        totals = totals.new_tensor(kept)[:, None]
    return done


def reach(total: float, shortest: int, longest: int, length_penalty: float) -> float:
    """The best score that a beam can still come to: its sum only falls, and no length between divides it better."""
    return max(total / length ** length_penalty for length in (shortest, longest))


def stop_tokens(stop: Collection[int] | int, model: "Transformer") -> frozenset[int]:
    """The tokens that end a text."""
    stops = as_list(stop)
    for one in stops:
        require(not isinstance(one, str), f"stop holds the string {one!r}; beam_search ends at tokens: give their ids.")
    return as_stops(stops, model, None)[0]
