"""Continuous batching: many requests, one model, and no slot of its batch that waits for the longest answer.

    service = serve(model, prompts, 60, slots=4)
    service.answers, service.steps, service.utilisation

Static batching takes `slots` requests at a time, and the next ones when all of their answers have ended. Continuous
batching (Orca: Yu et al., 2022) lets a request in as soon as one answer has ended, while the others go on.
Sizes: B slots in use, C channels, V tokens to choose from.
"""
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import torch

from helpers.checks import require
from helpers.logits import check_logits
from helpers.prompts import as_generators, as_prompts, room
from helpers.replies import Reply, as_stops
from helpers.sampler import Sampler
from helpers.sampling import read
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.kv_cache import KVCache
    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer


@dataclass(frozen=True)
class Stay:
    """Who sat in which slot, from the step that wrote the first token to the one that wrote the last, or the stop."""
    request: int
    slot: int
    first_step: int
    last_step: int


@dataclass(frozen=True)
class Service:
    """What was answered, and what it took."""
    answers: list[list[int]]    # the new tokens of each request, as `generate` returns them
    steps: int                  # in which the model wrote, one pass each; reading prompts is not counted
    slots: int
    arrivals: list[int]         # the step at which each request was there
    timeline: list[Stay]        # one for each request, in their order

    @property
    def utilisation(self) -> float:
        """The share of slot-steps in which an answer was written."""
        return sum(stay.last_step - stay.first_step + 1 for stay in self.timeline) / (self.slots * self.steps)

    @property
    def waits(self) -> list[int]:
        """For each request, the steps from its arrival to that of its first token; 0 when it was let in at once."""
        return [stay.first_step - arrival for stay, arrival in zip(self.timeline, self.arrivals, strict=True)]

    @property
    def tokens(self) -> int:
        """All that were written, without stop tokens."""
        return sum(map(len, self.answers))


@torch.inference_mode()
def serve(model: "Transformer", prompts: Iterable, max_new_tokens: int | Sequence[int], slots: int = 4,
          continuous: bool = True, temperature: float = 0.0, top_k: int | None = None, top_p: float | None = None,
          min_p: float | None = None, stop: Collection[int | str] | int | str = (), seed: int | None = None,
          arrivals: int | Sequence[int] = 0, tokenizer: "BPETokenizer | None" = None,
          progress: bool = False) -> Service:
    """Answer many requests with one model, in a batch of at most `slots` rows; first come, first served.

    prompts: the tokens of each request. Its answer is that of `generate`, up to the rounding of a batch; request i
        draws with seed + i. Other arguments as there, but temperature is 0 by default, and there is no penalty.
    max_new_tokens: at least 1; one number, or one for each request.
    continuous: False for static batching, with those that are there when the batch before has ended.
    arrivals: the step at which a request is there; one number, or one for each. While there is none, steps pass
        without the model.
    A newcomer's prompt, but its last token, is read alone and copied to the end of its row, behind padding. Real
    servers read it in the passes in which the others write, and cut the cache into pages that any request may hold
    (vLLM: Kwon et al., 2023), so that nothing is padded or moved.
    Raises ValueError for an argument that is out of range, for prompts that hold one text, none, or a token that the
    model has not, for a prompt that fills its context, and for a model that gives NaN.
    """
    texts, several = as_prompts(prompts, model, "prompts")
    require(several, "prompts holds one text; give a list of texts, or use generate.")
    require(isinstance(slots, Integral) and slots >= 1, f"slots is {slots!r}; give a whole number of at least 1.")
    arrivals = for_each("arrivals", arrivals, 0, len(texts))
    most = for_each("max_new_tokens", max_new_tokens, 1, len(texts))
    limits = [room(model, [text], count, f"prompts[{i}]") for i, (text, count) in enumerate(zip(texts, most))]
    sampler = Sampler(temperature, top_k, top_p, min_p)
    stops, generators = as_stops(stop, model, tokenizer), as_generators(seed, len(texts))
    replies = [Reply(*stops, tokenizer) for _ in texts]
    rows = min(slots, len(texts))                                                   # no pass for slots never taken
    cache = model.cache(rows, capacity=max(len(text) + limit for text, limit in zip(texts, limits)))
    waiting = deque(sorted(range(len(texts)), key=arrivals.__getitem__))            # requests, by their number
    seated: dict[int, int] = {}                                                     # slot -> request
    firsts, stays = {}, {}                                                          # request -> step, Stay
    step = steps = 0
    with bar(len(texts), "Serving", " answers", shown=progress) as advance:
        while waiting or seated:
            if not seated:
                step = max(step, arrivals[waiting[0]])                              # until the next one is there
            if continuous or not seated:
                for slot in sorted(set(range(rows)) - seated.keys()):
                    if waiting and arrivals[waiting[0]] <= step:
                        seated[slot] = request = waiting.popleft()
                        firsts[request] = step
                        cache.put(slot, read_alone(model, texts[request][:-1]))
            newest = {slot: texts[request][-1] for slot, request in seated.items()}
            chosen = write_one(model, newest, rows, cache, sampler, [generators[i] for i in seated.values()])
            for (slot, request), token in zip(list(seated.items()), chosen):
                texts[request].append(token)
                replies[request].add(token, last=True)                              # nothing is shown before the end
                if replies[request].stopped or len(replies[request].ids) == limits[request]:
                    stays[request] = Stay(request, slot, firsts[request], step)
                    del seated[slot]
                    cache.forget(slot)
                    if 2 * cache.padding_in_front() > cache.length:                 # more is dropped than copied
                        cache.drop_padding()
                    advance(1)
            step, steps = step + 1, steps + 1
    answers = [reply.ids[:reply.sure] for reply in replies]
    return Service(answers, steps, slots, arrivals, [stays[request] for request in sorted(stays)])


def for_each(name: str, values: int | Sequence[int], least: int, count: int) -> list[int]:
    """A number for each of `count` requests, where one or one for each was given."""
    numbers = list(values) if isinstance(values, Iterable) else [values] * count
    require(len(numbers) == count and all(isinstance(one, Integral) and one >= least for one in numbers),
            f"{name} is {values!r:.60}; give a whole number of at least {least}, or one for each of {count} requests.")
    return numbers


def read_alone(model: "Transformer", ids: list[int]) -> "KVCache":
    """A cache of one row that holds these tokens, or is empty when there are none."""
    cache = model.cache(1, capacity=max(1, len(ids)))
    if ids:
        read(model, torch.tensor([ids], device=model.device), None, cache, progress=False)
    return cache


def write_one(model: "Transformer", newest: Mapping[int, int], rows: int, cache: "KVCache", sampler: Sampler,
              generators: Sequence[torch.Generator]) -> list[int]:
    """One pass over all rows of the cache: the next token of each that is in use, in the order of `newest`.

    newest: slot -> the token to read there. Any other row reads padding, and nobody looks at what comes of it.
    """
    if cache.length == cache.capacity:
        cache.drop_padding()
    ids = torch.tensor([[newest.get(slot, 0)] for slot in range(rows)], device=model.device)        # (rows, 1)
    real = torch.tensor([[slot in newest] for slot in range(rows)], device=model.device)            # (rows, 1)
    hidden = model.hidden(ids, cache, real)[list(newest), -1]                       # (rows, 1, C) -> (B, C)
    logits = check_logits(model.head(hidden).float())                               # (B, V)
    return sampler.choose(logits, ids[list(newest)], generators)                    # a penalty would need all tokens
