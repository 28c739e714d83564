"""GRPO on the Storyteller with rewards that are looked up, not learned: lesson 06d, and what its sweeps store.

    requests = with_place(1_200)                    # "Write a happy story about a fox and a kite in the forest."
    model, history = tuned_by_grpo(reward_of(REWARDS["place"], requests), requests)
    shares(model)                                   # of held-out stories: place, asked, consistent
"""
import functools
from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor

from helpers import tales
from helpers.grpo import GRPOConfig, grpo
from helpers.ppo import RewardFunction, RLHistory, Rollout
from helpers.preference_runs import first_tales, fresh, instructed, measures, rolled_out
from helpers.tales import Request
from helpers.transformer import Transformer

Check = Callable[[Request, str], float]             # of a request and a story: 1.0 if it is as wished, else 0.0
GRPO = GRPOConfig(steps=24, learning_rate=2e-4)
REQUESTS, JUDGED = 600, 240

REWARDS: dict[str, Check] = {
    "place": lambda request, story: float(tales.follows(request, story).place),
    "all that was asked": lambda request, story: float(tales.follows(request, story).ok),
    "and it makes sense": lambda request, story: float(tales.follows(request, story).ok
                                                       and tales.consistent("", story).ok)}


@functools.cache
def with_place(n: int, seed: int = 41, split: str = "train") -> tuple[Request, ...]:
    """n requests that name a place. Arguments as in `corpora.tales`."""
    return tuple(tale.request for tale in first_tales(n, lambda tale: tale.request.place is not None, seed, split))


def reward_of(check: Check, requests: Sequence[Request]) -> RewardFunction:
    """A check as a reward function, for answers to these requests. Raises KeyError for an answer to another."""
    known = {request.text: request for request in requests}

    def function(written: Rollout) -> Tensor:
        return torch.tensor([check(known[prompt], story)
                             for prompt, story in zip(written.prompts, written.completions, strict=True)])
    return function


def tuned_by_grpo(reward: RewardFunction, requests: Sequence[Request], config: GRPOConfig = GRPO,
                  model: Transformer | None = None) -> tuple[Transformer, RLHistory]:
    """A model, moved by GRPO towards what is rewarded. model: is changed; None takes a copy of the instructed one."""
    model = fresh() if model is None else model
    return model, grpo(model, instructed()[1], [request.text for request in requests], reward, config)


def shares(model: Transformer, n: int = JUDGED) -> dict[str, float]:
    """Of n held-out stories for which a place was asked: the shares that are there (`place`), do all that was
    `asked`, and are `consistent`; the distance `kl` in nats a story, and the `words` of a story.
    """
    requests = with_place(n, 2, "held_out")
    told, kls = rolled_out(model, requests, seed=700_000)
    there = fmean(tales.follows(request, story).place for request, story in zip(requests, told, strict=True))
    return {"place": there} | measures(requests, told, kls)
