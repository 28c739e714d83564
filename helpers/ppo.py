"""PPO (Schulman et al., 2017) on a language model: it writes, is rewarded, and shifts towards what was rewarded.

    history = ppo(model, tokenizer, requests, reward_of(reward), value, PPOConfig(steps=20, beta=0.1))

Four pieces, each a function: `rollout` writes, `token_rewards` takes the distance to the reference off, `gae` says how
much better than expected each token was, `clipped_loss` shifts the model. Lesson 06b builds them.
Sizes: B answers, T tokens of request and answer, V vocabulary.
"""
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from helpers import sampling, storyteller
from helpers.counting import require, require_above_0
from helpers.interrupts import held_interrupts
from helpers.preference import ADAM_BETAS, check_beta, move, pad, token_logps, trained_in
from helpers.reward import RewardModel, check_rewards, last_places
from helpers.tales import END
from helpers.token_data import draw
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer, evaluating
from helpers.waiting import bar


@dataclass(frozen=True)
class RLConfig:
    """What PPO and GRPO share. Raises ValueError, naming the field that cannot be."""
    steps: int                                      # rounds of writing and learning
    batch: int = 64                                 # answers a round
    minibatch: int = 16                             # answers of which the model moves once
    epochs: int = 1                                 # how often the answers of a round are learned from
    beta: float = 0.1                               # what distance to the reference costs
    learning_rate: float = 3e-4                     # of AdamW; it falls to 0
    clip: float = 0.2                               # how far a token's probability may go before it counts no more
    longest_gradient: float = 1.0
    max_new_tokens: int = 200
    seed: int = 0                                   # of what is written, and of the order it is learned in

    def __post_init__(self):
        require(steps=self.steps, batch=self.batch, minibatch=self.minibatch, epochs=self.epochs,
                max_new_tokens=self.max_new_tokens)
        require(least=0, seed=self.seed)
        check_beta(self.beta)
        require_above_0(learning_rate=self.learning_rate, clip=self.clip, longest_gradient=self.longest_gradient)


@dataclass(frozen=True)
class PPOConfig(RLConfig):
    """How to run PPO. beta: what a nat takes off the reward. Raises ValueError, naming the field that cannot be."""
    value_learning_rate: float = 1e-3
    gamma: float = 1.0                              # what a reward is worth a token later
    lam: float = 0.95                               # of `gae`

    def __post_init__(self):
        super().__post_init__()
        require_above_0(value_learning_rate=self.value_learning_rate)
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number from 0 to 1.")


@dataclass(frozen=True)
class Rollout:
    """What a model wrote, and how likely each token was."""
    prompts: list[str]              # B requests
    completions: list[str]          # B answers
    ids: Tensor                     # (B, T)
    completion_mask: Tensor         # (B, T), True where the answer is, its end token included
    logps: Tensor                   # (B, T), of each token when it was written; 0 outside the answers
    ref_logps: Tensor               # (B, T), the same by the reference
    entropy: float                  # how undecided the model was, in nats a token

    @property
    def kls(self) -> Tensor:
        """How much likelier each answer was to the model than to the reference, in nats, (B,).

        The mean over many answers is the Kullback-Leibler divergence from the reference; a single one may be below 0.
        """
        return (self.logps - self.ref_logps).sum(dim=1)


RewardFunction = Callable[[Rollout], Tensor | Sequence[float]]      # a number for each answer, (B,)


def reward_of(reward: RewardModel) -> RewardFunction:
    """A reward model as a reward function."""
    @torch.no_grad()
    def function(written: Rollout) -> Tensor:
        return reward(written.ids, written.completion_mask)
    return function


def scored(reward: RewardFunction, written: Rollout) -> Tensor:
    """What a reward function gives the answers, (B,), whether it gives a tensor or a list, with or without gradients.

    Raises ValueError where it gives another number of rewards, and for a reward that is no finite number.
    """
    B = len(written.ids)
    rewards = torch.as_tensor(reward(written), dtype=torch.float32, device=written.ids.device).detach()
    if rewards.shape != (B,):
        raise ValueError(f"the reward function gave {tuple(rewards.shape)}; give one number for each of the {B} "
                         f"answers, ({B},).")
    check_rewards(rewards)
    return rewards


@torch.no_grad()
def rollout(model: Transformer, reference: Transformer, tokenizer: BPETokenizer, requests: Sequence[str],
            max_new_tokens: int = 200, seed: int = 0) -> Rollout:
    """Let the model answer each request once, at temperature 1. Lesson 06b builds it.

    seed: answer i is drawn with seed + i. Raises ValueError for no request, and one that fills the model's context.
    """
    if not requests:
        raise ValueError("requests is empty; give at least one.")
    end = tokenizer.special_tokens[END]
    prompts = [storyteller.request_ids(tokenizer, request) for request in requests]
    limit = max(1, min(max_new_tokens, model.config.context - max(map(len, prompts))))
    with evaluating(model):
        written = sampling.generate(model, prompts, limit, stop=[end], seed=seed)
        rows = [(prompt + answer + [end] * (len(answer) < limit), len(prompt))      # what was cut off has no end token
                for prompt, answer in zip(prompts, written, strict=True)]
        ids, completion_mask = (each.to(model.device) for each in pad(rows))
        hidden = model.hidden(ids)                                                  # (B, T, C)
        logits = model.head(hidden[:, :-1][completion_mask[:, 1:]])                 # (all answers' tokens, V)
        entropy = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1).mean()
        logps = token_logps(model, ids, completion_mask, hidden)                    # (B, T)
    return Rollout(list(requests), [tokenizer.decode(answer) for answer in written], ids, completion_mask, logps,
                   token_logps(reference, ids, completion_mask), float(entropy))


def token_rewards(rewards: Tensor, written: Rollout, beta: float) -> Tensor:
    """What each token earned, (B, T): its distance to the reference, times -beta; the last one also the reward.

    rewards: (B,). Lesson 06b builds it. Raises ValueError for another shape and a reward that is no finite number.
    """
    if rewards.shape != (B := len(written.ids),):
        raise ValueError(f"rewards has shape {tuple(rewards.shape)}; give one number for each of the {B} answers, "
                         f"({B},).")
    check_rewards(rewards)
    earned = -beta * (written.logps - written.ref_logps)                            # (B, T)
    earned[torch.arange(len(earned), device=earned.device), last_places(written.completion_mask)] += rewards
    return earned


def gae(rewards: Tensor, values: Tensor, completion_mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Tensor:
    """Generalized advantage estimation (Schulman et al., 2016): how much better than expected each token was, (B, T).

    rewards: (B, T), what each token earned. values: (B, T), what was expected before each token, from it on.
    completion_mask: (B, T); outside the answers all is 0. gamma: what a reward is worth a token later. lam: 1 counts
    all that came after a token, 0 only what was expected right after it. Lesson 06b builds it.
    """
    later, next_value = torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])            # (B,)
    advantages = torch.zeros_like(rewards)
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * next_value - values[:, t]                                # (B,)
        later = torch.where(completion_mask[:, t], surprise + gamma * lam * later, 0.0)             # (B,)
        next_value = torch.where(completion_mask[:, t], values[:, t], 0.0)
        advantages[:, t] = later
    return advantages


def clipped_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, completion_mask: Tensor,
                 clip: float = 0.2) -> Tensor:
    """PPO's loss, the mean over the tokens of the answers: a number.

    logps, old_logps: (B, T), of each token now and when it was written. advantages: (B, T). clip: a token whose
    probability has changed by more than this share, towards where its advantage points, moves the model no further.
    Lesson 06b builds it.
    """
    ratio = (logps - old_logps).exp()                                               # (B, T)
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -gain[completion_mask].mean()


@dataclass
class RLHistory:
    """What each round saw of its answers, before the model moved."""
    rewards: list[float] = field(default_factory=list)      # of an answer
    kls: list[float] = field(default_factory=list)          # of an answer, in nats
    entropies: list[float] = field(default_factory=list)    # of a token, in nats
    lengths: list[float] = field(default_factory=list)      # of an answer, in tokens
    completions: list[list[str]] = field(default_factory=list)      # all answers
    stopped: str = ""                                       # why it ended early

    def note(self, written: Rollout, rewards: Tensor) -> None:
        """Add a round."""
        self.rewards.append(float(rewards.mean()))
        self.kls.append(float(written.kls.mean()))
        self.entropies.append(written.entropy)
        self.lengths.append(float(written.completion_mask.sum(dim=1).float().mean()))
        self.completions.append(written.completions)


def ppo(model: Transformer, tokenizer: BPETokenizer, requests: Sequence[str], reward: RewardFunction,
        value: RewardModel, config: PPOConfig) -> RLHistory:
    """Move a model, in place, towards what the reward function likes. What it is now is the reference.

    requests: taken in turn, and again from the first when all were used. reward: gives a number for each answer, (B,).
    value: says what to expect; it goes on learning, in place. An interrupt ends it after the round it is in.
    Raises ValueError for no request, for a model that is frozen as a whole, and as `scored` does; and TrainingStopped
    for a loss that is no finite number: what had been learned from earlier answers is then kept.
    """
    reference = copy.deepcopy(model).requires_grad_(False).eval()
    trained, valued = trained_in(model), trained_in(value)
    movers = [torch.optim.AdamW(parameters, betas=ADAM_BETAS, weight_decay=0.0) for parameters in (trained, valued)]
    history = RLHistory()
    for number, written in rounds(model, reference, tokenizer, requests, config, history, "PPO"):
        scores = scored(reward, written)                                            # (B,)
        earned = token_rewards(scores, written, config.beta)                        # (B, T)
        history.note(written, scores)
        mask = written.completion_mask
        with torch.no_grad():
            values = value.values(written.ids) * mask                               # (B, T)
        advantages = gae(earned, values, mask, config.gamma, config.lam)            # (B, T)
        returns = gae(earned, values, mask, config.gamma, lam=1.0) + values         # (B, T), what did come in the end
        advantages = standard(advantages, mask)
        rate = 1 - number / config.steps
        for rows in minibatches(config, number):
            error = (value.values(written.ids[rows]) - returns[rows])[mask[rows]].square().mean()
            move(valued, movers[1], error, config.longest_gradient, config.value_learning_rate,
                 f"round {number + 1}", history)
            logps = token_logps(model, written.ids[rows], mask[rows])
            loss = clipped_loss(logps, written.logps[rows], advantages[rows], mask[rows], config.clip)
            move(trained, movers[0], loss, config.longest_gradient, rate * config.learning_rate, f"round {number + 1}",
                 history)
    return history


def rounds(model: Transformer, reference: Transformer, tokenizer: BPETokenizer, requests: Sequence[str],
           config: RLConfig, history: RLHistory, label: str) -> Iterator[tuple[int, Rollout]]:
    """The rounds of PPO and of GRPO: their number, and what the model wrote. requests: config.batch a round.

    Raises ValueError for no request.
    """
    if not requests:
        raise ValueError("requests is empty; give at least one.")
    with held_interrupts() as stopping, bar(config.steps, label) as advance:
        for number in range(config.steps):
            first = number * config.batch
            asked = [requests[place % len(requests)] for place in range(first, first + config.batch)]
            yield number, rollout(model, reference, tokenizer, asked, config.max_new_tokens,
                                  seed=config.seed * 1_000_003 + first)
            advance(1)
            if stopping.is_set():
                history.stopped = f"stopped after round {number + 1} of {config.steps}"
                print(f"{label} {history.stopped}. The model holds what it had learned by then.")
                return


def minibatches(config: RLConfig, number: int) -> Iterator[Tensor]:
    """The rows of a round in shuffled minibatches, all of them once an epoch."""
    generator = draw(config.seed, number)
    for _ in range(config.epochs):
        yield from torch.randperm(config.batch, generator=generator).split(config.minibatch)


def standard(advantages: Tensor, completion_mask: Tensor) -> Tensor:
    """Advantages shifted and scaled to a mean of 0 and a spread of 1 over the answers' tokens, (B, T)."""
    inside = advantages[completion_mask]
    return (advantages - inside.mean()) / (inside.std(correction=min(1, len(inside) - 1)) + 1e-8)     # one: spread 0
