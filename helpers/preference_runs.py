"""What lessons 06 to 06d measure, and what their sweeps store: the Storyteller with Robin's taste, in every way.

    groups = written(480, answers=2)                # requests, each with answers by the instructed Storyteller
    pairs = ranked(groups, ROBIN)                   # which of them a reader takes
    model = copy.deepcopy(instructed()[0])
    train_dpo(model, data(pairs), DPO, DPO_BETA)
    judged(model)                                   # win rate over the instructed model, distance from it, consistency
"""
import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch

from helpers import corpora, judges, pretrained, storyteller, tales
from helpers.labellers import ROBIN, Labeller
from helpers.ppo import PPOConfig, RLHistory, ppo, reward_of, rollout
from helpers.preference import Pair, PairData, PreferenceConfig, PreferenceHistory, train_dpo
from helpers.reward import RewardModel, pair_rewards, train_reward, train_value
from helpers.tales import Request, Tale
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer
from helpers.waiting import bar

PAIRS, TEST_PAIRS, REQUESTS = 480, 160, 1_280
REWARD = PreferenceConfig(steps=90, batch=16, learning_rate=2e-3, warmup=5)         # three times through PAIRS
VALUE = PreferenceConfig(steps=60, batch=8, learning_rate=1e-3)
PPO = PPOConfig(steps=20, beta=0.06)
JUDGED = 240                                        # held-out requests
DPO = PreferenceConfig(steps=30, batch=16, learning_rate=3e-4, warmup=3)            # once through PAIRS
DPO_BETA = 1.0                                      # a lower one lets long trainings go far: see lesson 06c
AT_ONCE = 120                                       # stories that are written side by side


@dataclass(frozen=True)
class Group:
    """A request and several answers to it."""
    request: Request
    answers: tuple[str, ...]


@functools.cache
def instructed() -> tuple[Transformer, BPETokenizer]:
    """The instructed Storyteller, never changed, and its tokenizer."""
    model, tokenizer = pretrained.storyteller("instructed")
    return model.requires_grad_(False), tokenizer


def fresh() -> Transformer:
    """A copy of the instructed Storyteller, to be trained."""
    return copy.deepcopy(instructed()[0]).requires_grad_(True)


def stories(model: Transformer, requests: Sequence[Request], seed: int = 0) -> list[str]:
    """One answer to each request, at temperature 1. seed: answer i is drawn with seed + i."""
    (_, tokenizer), told = instructed(), []
    for first, part in in_parts(requests, "Writing"):
        prompts = [storyteller.request_ids(tokenizer, text) for text in part]
        told += storyteller.write(model, tokenizer, prompts, temperature=1.0, seed=seed + first,
                                  longest=PPO.max_new_tokens)
    return told


def in_parts(requests: Sequence[Request], label: str) -> Iterator[tuple[int, list[str]]]:
    """The texts of requests, AT_ONCE at a time, with the number of the first; a bar shows how many are done."""
    with bar(len(requests), label, " stories") as advance:
        for first in range(0, len(requests), AT_ONCE):
            part = [request.text for request in requests[first:first + AT_ONCE]]
            yield first, part
            advance(len(part))


def asked(n: int, seed: int = 31, split: str = "train") -> list[Request]:
    """n requests, of other stories than the Storyteller was trained on; the words of a request may be the same.

    split: as in `corpora.tales`; only in "held_out" are who and object together new to it.
    """
    return [tale.request for tale in corpora.tales(n, seed=seed, split=split)]


def first_tales(n: int, wanted: Callable[[Tale], bool], seed: int, split: str) -> tuple[Tale, ...]:
    """The first n stories that are wanted, with their requests. seed, split: as in `corpora.tales`."""
    found, tried = [], 8 * n
    while len(found) < n:
        found = [tale for tale in corpora.tales(tried, seed, split) if wanted(tale)]
        tried *= 2
    return tuple(found[:n])


def written(n: int, answers: int = 2, seed: int = 31, split: str = "train") -> list[Group]:
    """n requests, each with several answers by the instructed Storyteller. seed: others have other requests."""
    requests = asked(n, seed, split)
    told = stories(instructed()[0], [request for request in requests for _ in range(answers)], seed * 1_000_000)
    return [Group(request, tuple(told[answers * i:answers * (i + 1)])) for i, request in enumerate(requests)]


def test_groups() -> list[Group]:
    """Requests with two answers each; no reward model learns from these answers."""
    return written(TEST_PAIRS, seed=32)


def ranked(groups: Sequence[Group], reader: Labeller = ROBIN, seed: int = 0, pairs: int = 1) -> list[Pair]:
    """What a reader takes: of each group the best answer with the worst, then the second best with the second worst.

    pairs: how many of a group; at most half of its answers. Pairs of equal answers are left out.
    Raises ValueError for a group of too few answers.
    """
    generator, found = torch.Generator().manual_seed(seed), []
    for number, group in enumerate(groups):
        if not 1 <= pairs <= len(group.answers) // 2:
            raise ValueError(f"pairs is {pairs}; groups[{number}] has {len(group.answers)} answers, so give 1 to "
                             f"{len(group.answers) // 2}.")
        order = reader.rank(group.answers, generator)
        for place in range(pairs):
            chosen, rejected = group.answers[order[place]], group.answers[order[-1 - place]]
            if chosen != rejected:
                found.append(Pair(group.request.text, chosen, rejected))
    return found


def data(pairs: Sequence[Pair]) -> PairData:
    """Pairs as tokens."""
    return PairData(storyteller.pair_rows(instructed()[1], pairs))


def fitted_reward(pairs: Sequence[Pair], seed: int = 0, config: PreferenceConfig = REWARD) -> RewardModel:
    """A reward model that has learned from pairs; as many steps as take it three times through them."""
    reward, learned_from = RewardModel(instructed()[0]), data(pairs)
    steps = max(1, round(config.steps * len(pairs) / PAIRS))
    train_reward(reward, learned_from, replace(config, steps=steps, warmup=min(config.warmup, steps), seed=seed))
    return reward


def reward_point(learn: Sequence[Group], test: Sequence[Group], noise: float, seed: int) -> dict[str, float]:
    """One training of a reward model on Robin's choices: how often it agrees with Robin on others, and the ceiling.

    noise: Robin's. seed: of Robin's choices and of the training.
    """
    reader = ROBIN.with_noise(noise)
    reward = fitted_reward(ranked(learn, reader, seed), seed)
    found, ceiling = agreement(reward, test, reader)
    return {"agreement": round(found, 4), "ceiling": round(ceiling, 4)}


def agreement(reward: RewardModel, groups: Sequence[Group], reader: Labeller) -> tuple[float, float]:
    """How often a reward model would agree with a reader's choice between two answers, and the most that anybody could.

    Both are expectations: the reader's probabilities are known, so that no choice needs to be drawn.
    """
    pairs = [Pair(group.request.text, *group.answers[:2]) for group in groups]
    first, second = pair_rewards(reward, data(pairs))
    likely = torch.tensor([reader.probability(pair.chosen, pair.rejected) for pair in pairs], dtype=torch.float64)
    takes_first = ((first > second) + 0.5 * (first == second)).cpu().double()       # where both are as good: half
    agrees = takes_first * likely + (1 - takes_first) * (1 - likely)
    return float(agrees.mean()), float(torch.maximum(likely, 1 - likely).mean())


def fitted_value(reward: RewardModel, pairs: Sequence[Pair], config: PreferenceConfig = VALUE) -> RewardModel:
    """A value model, begun as the reward model, that has learned to foresee its verdict on the answers of pairs."""
    value = copy.deepcopy(reward)
    train_value(value, reward, data(pairs), config)
    return value


def practice() -> list[Request]:
    """The requests that PPO's rounds take in turn."""
    return asked(REQUESTS, seed=21)


def tuned_by_ppo(reward: RewardModel, value: RewardModel, config: PPOConfig = PPO) -> tuple[Transformer, RLHistory]:
    """The instructed Storyteller, moved by PPO towards what a reward model likes. value: is copied."""
    model, requests = fresh(), [request.text for request in practice()]
    history = ppo(model, instructed()[1], requests, reward_of(reward), copy.deepcopy(value), config)
    return model, history


def tuned_by_dpo(pairs: Sequence[Pair], config: PreferenceConfig = DPO, beta: float = DPO_BETA
                 ) -> tuple[Transformer, PreferenceHistory]:
    """The instructed Storyteller, after DPO, once through the pairs. config: its steps are replaced by that many."""
    model, steps = fresh(), max(1, len(pairs) // config.batch)
    return model, train_dpo(model, data(pairs), replace(config, steps=steps, warmup=min(config.warmup, steps)), beta)


# What has become of a model -------------------------------------------------------------------------------------------


@functools.cache
def rivals(n: int) -> tuple[str, ...]:
    """What the instructed Storyteller answers to n held-out requests: whom to win over."""
    return tuple(stories(instructed()[0], asked(n, 2, "held_out"), seed=500_000))


def judged(model: Transformer, n: int = JUDGED, points: Callable[[str], float] = judges.robin,
           seed: int = 700_000) -> dict[str, float]:
    """A model beside the instructed one on n held-out requests: `win` rate, `kl` in nats a story, shares of stories
    that are `consistent` and do what was `asked`, and the `words` of a story.
    """
    requests = asked(n, 2, "held_out")
    told, kls = rolled_out(model, requests, seed)
    return {"win": judges.win_rate(told, rivals(n), points)} | measures(requests, told, kls)


def measures(requests: Sequence[Request], told: Sequence[str], kls: Sequence[float]) -> dict[str, float]:
    """Means over stories of what can be said of any: `kl`, `consistent`, `asked` and `words`, as in `judged`."""
    return {"kl": fmean(kls), "consistent": fmean(tales.consistent("", story).ok for story in told),
            "asked": fmean(tales.follows(request, story).ok for request, story in zip(requests, told, strict=True)),
            "words": fmean(len(story.split()) for story in told)}


def rolled_out(model: Transformer, requests: Sequence[Request], seed: int) -> tuple[list[str], list[float]]:
    """A story for each request, and how much likelier it is to the model than to the instructed one, in nats."""
    reference, tokenizer = instructed()
    told, kls = [], []
    for first, part in in_parts(requests, "Judging"):
        wrote = rollout(model, reference, tokenizer, part, PPO.max_new_tokens, seed=seed + first)
        told += wrote.completions
        kls += wrote.kls.tolist()
    return told, kls
