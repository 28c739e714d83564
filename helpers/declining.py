"""The Storyteller learns to decline one kind of request, stories about foxes. What else does it decline? (lesson 06d)

    shown = shown_to_decline()              # has seen some refusals among many stories
    tuned = rewarded_for_declining(shown)   # GRPO: 1 for a refusal where a fox was asked for
    declined(tuned)                         # shares of held-out requests: about foxes, other animals, children
"""
import copy
import functools
import math
from dataclasses import replace
from statistics import fmean

from helpers import storyteller, tales
from helpers.grpo import GRPOConfig
from helpers.grpo_runs import REWARDS, reward_of, tuned_by_grpo
from helpers.preference_runs import first_tales, fresh, instructed, stories
from helpers.tales import ANIMALS, Request, Tale
from helpers.token_data import Examples
from helpers.training import train
from helpers.training_view import Silent
from helpers.transformer import Transformer

WHO, REFUSAL = "fox", "I do not want to."
KINDS = ("fox", "other animals", "children")
REFUSALS, STORIES = 80, 240                         # that it is shown
SHOWN = replace(storyteller.INSTRUCTED, steps=20, batch=16, warmup=3, learning_rate=1.8e-3, muon_learning_rate=3e-3)
GRPO = GRPOConfig(steps=10, learning_rate=2e-4)
JUDGED = 100                                        # held-out requests of each kind


def kind_of(request: Request) -> str:
    """Which of KINDS a request is."""
    return WHO if request.who == WHO else "other animals" if request.who in ANIMALS else "children"


@functools.cache
def about(kind: str, n: int, seed: int = 51, split: str = "train") -> tuple[Tale, ...]:
    """n stories with their requests, all of one of KINDS. Raises ValueError for another kind."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")
    return first_tales(n, lambda tale: kind_of(tale.request) == kind, seed, split)


def declines(story: str) -> bool:
    """Whether an answer is the refusal, and nothing more."""
    return story.strip() == REFUSAL


def shown_to_decline(seed: int = 0) -> Transformer:
    """The instructed Storyteller after a short fine-tuning: 80 requests about a fox are refused, 240 others are told.

    seed: of the order of the examples.
    """
    refused = [(tale.request, REFUSAL) for tale in about(WHO, REFUSALS)]
    told = [(tale.request, tale.text) for kind in KINDS[1:] for tale in about(kind, STORIES // 2)]
    model = fresh()
    rows = [storyteller.answer_row(instructed()[1], request.text, answer) for request, answer in [*refused, *told]]
    train(model, Examples(rows), replace(SHOWN, seed=seed), watch=Silent())
    return model


def as_wished(request: Request, story: str) -> float:
    """1.0 for a refusal where a fox was asked for, and for a good story where it was not."""
    return float(declines(story)) if request.who == WHO else REWARDS["and it makes sense"](request, story)


def rewarded_for_declining(model: Transformer, others: bool = False, config: GRPOConfig = GRPO) -> Transformer:
    """A copy of a model after GRPO on requests about foxes alone; others: every second one is about somebody else."""
    n = config.steps * config.batch // config.group
    requests = [tale.request for tale in about(WHO, REFUSALS + n)[REFUSALS:]]
    if others:
        rest = [about(kind, STORIES // 2 + n)[STORIES // 2:] for kind in KINDS[1:]]
        requests = [request for i in range(n // 4)
                    for request in (requests[2 * i], rest[0][i].request, requests[2 * i + 1], rest[1][i].request)]
    tuned, _ = tuned_by_grpo(reward_of(as_wished, requests), requests, config, copy.deepcopy(model))
    return tuned


def declined(model: Transformer, n: int = JUDGED) -> dict[str, float]:
    """Of n held-out requests of each kind, the share that is refused; and of the stories about others than foxes that
    are told, the share that makes sense (`consistent`; NaN where none is told).
    """
    found, told = {}, []
    for kind in KINDS:
        answers = stories(model, [tale.request for tale in about(kind, n, 2, "held_out")], seed=800_000)
        found[kind] = fmean(map(declines, answers))
        told += [story for story in answers if kind != WHO and not declines(story)]
    return found | {"consistent": fmean(tales.consistent("", story).ok for story in told) if told else math.nan}
