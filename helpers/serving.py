"""Continuous batching: many requests, one model, and no slot of its batch that waits for the longest answer.

    service = serve(model, prompts, 60, slots=4)
    service.answers, service.steps, service.utilisation

Static batching reads and writes `slots` requests together until the last of their answers has ended. Continuous batching
(Orca: Yu et al., 2022) lets the next request in as soon as one answer has ended: every step of the model is for whoever
sits there. Sizes: B slots that are in use, V tokens to choose from.
"""
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import torch

from helpers.logits import check_logits, require
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
    """A request in its slot: from the step that writes its first token to the one that writes its last, or a stop."""
    request: int
    slot: int
    first_step: int
    last_step: int

    @property
    def steps(self) -> int:
        """Steps in which its answer is written, one token each."""
        return self.last_step - self.first_step + 1


@dataclass(frozen=True)
class Service:
    """What was answered, and what it took."""
    answers: list[list[int]]    # the new tokens of each request, as `generate` returns them
    steps: int                  # passes of the model that write; reading a prompt is not counted
    slots: int
    arrivals: list[int]         # the step at which each request is there
    timeline: list[Stay]        # one for each request, in their order

    @property
    def utilisation(self) -> float:
        """The share of slots in use, over all steps."""
        return sum(stay.steps for stay in self.timeline) / (self.slots * self.steps)

    @property
    def waits(self) -> list[int]:
        """For each request, the steps that pass between its arrival and the step that writes its first token."""
        return [stay.first_step - arrival for stay, arrival in zip(self.timeline, self.arrivals)]

    @property
    def tokens(self) -> int:
        """All that was written, without stops."""
        return sum(map(len, self.answers))


@dataclass
class Request:
    """A prompt and its answer, on the way."""
    number: int
    prompt: list[int]
    limit: int                  # tokens that its answer may have
    arrival: int
    reply: Reply
    generator: torch.Generator
    slot: int = -1              # not yet in one
    first_step: int = -1

    @property
    def newest(self) -> int:
        """The token that the model reads next: the last one of the prompt, then each that was written."""
        return self.reply.ids[-1] if self.reply.ids else self.prompt[-1]

    @property
    def ended(self) -> bool:
        return self.reply.stopped or len(self.reply.ids) == self.limit


@torch.inference_mode()
def serve(model: "Transformer", prompts: Iterable, max_new_tokens: Sequence[int] | int, slots: int = 4,
          continuous: bool = True, temperature: float = 0.0, top_k: int | None = None, top_p: float | None = None,
          min_p: float | None = None, stop: Collection[int | str] | int | str = (), seed: int | None = None,
          arrivals: Sequence[int] | int = 0, tokenizer: "BPETokenizer | None" = None,
          progress: bool = False) -> Service:
    """Answer many requests with one model, in a batch of `slots` rows. First come, first served.

    prompts: the tokens of each. Each answer is that of `generate` for this prompt alone, with seed + i for prompt i, up
        to the rounding of a batch; temperature to tokenizer as there.
    max_new_tokens: written at most, at least 1: one number, or one for each request.
    continuous: False lets no request in before all answers in the batch have ended: static batching.
    arrivals: the step at which a request is there: one number, or one for each. Where nobody is there, time passes
        without the model.
    progress: show a bar while answers are written.
    A newcomer's prompt but its last token is read alone, and put into its row behind padding. Servers on GPUs read it
    in the same pass in which others write, and keep the cache in pages that any request can take (vLLM: Kwon et al.,
    2023), so that nothing is padded or moved. Raises ValueError for an argument that is out of range.
    """
    prompts, several = as_prompts(prompts, model)
    require(several, "prompts is one text; give a list of them, or use generate.")
    require(isinstance(slots, Integral) and slots >= 1, f"slots is {slots!r}; give a whole number of at least 1.")
    most = as_counts("max_new_tokens", max_new_tokens, 1, len(prompts))
    arrivals = as_counts("arrivals", arrivals, 0, len(prompts))
    limits = [room(model, [prompt], count) for prompt, count in zip(prompts, most)]
    stops = as_stops(stop, model, tokenizer)
    sampler = Sampler(temperature, top_k, top_p, min_p)
    requests = [Request(number, prompt, limit, arrival, Reply(*stops, tokenizer), generator)
                for number, (prompt, limit, arrival, generator)
                in enumerate(zip(prompts, limits, arrivals, as_generators(seed, len(prompts))))]
    cache = model.cache(slots, capacity=max(len(prompt) + limit for prompt, limit in zip(prompts, limits)))
    waiting = deque(sorted(requests, key=lambda request: request.arrival))
    seated: dict[int, Request] = {}                                                 # by slot
    timeline, step, steps = {}, 0, 0
    with bar(len(requests), "Serving", " answers", shown=progress) as advance:
        while waiting or seated:
            if not seated:
                step = max(step, waiting[0].arrival)
            if continuous or not seated:
                ...
