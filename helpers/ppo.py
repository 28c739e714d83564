"""PPO (Schulman et al., 2017) on a language model: it writes, is rewarded, and shifts towards what was rewarded.

    history = ppo(model, tokenizer, requests, reward_of(reward_model), PPOConfig(steps=30, beta=0.1))

Four pieces, each a function: `rollout` writes, `gae` says how much better than expected each token was, `clipped_loss`
shifts the model, and the distance to the reference is taken off each token's reward. Lesson 06b builds them.
Sizes: B answers, T tokens of request and answer, C channels.
"""
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from helpers import sampling, storyteller
from helpers.counting import require
from helpers.interrupts import held_interrupts
from helpers.preference import check_beta, move, pad, token_logps
from helpers.reward import RewardModel, check_rewards
from helpers.tales import END
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer
from helpers.waiting import bar


@dataclass(frozen=True)
class PPOConfig:
    """How to run PPO; GRPO takes the same. Raises ValueError, naming the field that cannot be."""
    steps: int                                      # rounds of writing and learning
    batch: int = 64                                 # answers a round
    beta: float = 0.1                               # what a nat of distance to the reference costs
    learning_rate: float = 3e-4                     # of AdamW; it falls to 0
    value_learning_rate: float = 1e-2
    epochs: int = 2                                 # how often the answers of a round are learned from
    minibatch: int = 16                             # answers a movement
    clip: float = 0.2                               # how far a token's probability may go before it counts no more
    gamma: float = 1.0
    lam: float = 0.95
    gradient: float = 1.0                           # longest gradient
    max_new_tokens: int = 200
    seed: int = 0

    def __post_init__(self):
        require(steps=self.steps, batch=self.batch, epochs=self.epochs, minibatch=self.minibatch,
                max_new_tokens=self.max_new_tokens)
        require(least=0, seed=self.seed)
        check_beta(self.beta)
        for name in ("learning_rate", "value_learning_rate", "clip", "gradient"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number above 0.")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a number from 0 to 1.")


@dataclass
class Rollout:
    """What a model wrote, and how likely each token was to it. prompts, completions: (B) texts."""
    prompts: list[str]
    completions: list[str]
    ids: Tensor                     # (B, T)
    completion_mask: Tensor         # (B, T), True where the answer is, its end token included
    logps: Tensor                   # (B, T), of each token when it was written; 0 outside the answers
    ref_logps: Tensor               # (B, T), by the reference
    entropy: float                  # nats a token: how undecided the model was
    hidden: Tensor                  # (B, T, C), what the model made of ids: what a value is read from

    @property
    def kl(self) -> Tensor:
        """How much more likely each answer was to the model than to the reference, in nats, (B,).

        Its mean over many answers is the Kullback-Leibler divergence of the model from the reference.
        """
        return (self.logps - self.ref_logps).sum(dim=1)


RewardFunction = Callable[[Rollout], Tensor]        # a number for each answer, (B,)


def reward_of(reward: RewardModel) -> RewardFunction:
    """A reward model as a reward function."""
    def function(written: Rollout) -> Tensor:
        with torch.no_grad():
            return reward(written.ids, written.completion_mask)
    return function


@torch.no_grad()
def rollout(model: Transformer, reference: Transformer, tokenizer: BPETokenizer, requests: Sequence[str],
            max_new_tokens: int = 200, seed: int = 0) -> Rollout:
    """Let the model answer each request once, at temperature 1. Lesson 06b builds it."""
    end, device = tokenizer.special_tokens[END], model.embed.weight.device
    prompts = [storyteller.request_ids(tokenizer, request) for request in requests]
    model.eval()
    limit = min(max_new_tokens, model.config.context - max(map(len, prompts)))
    written = sampling.generate(model, prompts, limit, stop=[end], seed=seed)
    rows = [(prompt + answer + [end] * (len(answer) < limit), len(prompt))     # what was cut off has no end token
            for prompt, answer in zip(prompts, written, strict=True)]
    ids, completion_mask = (each.to(device) for each in pad(rows))
    hidden = model.hidden(ids)
    logits = model.head(hidden[:, :-1][completion_mask[:, 1:]])
    entropy = float(torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1).mean())
    return Rollout(list(requests), [tokenizer.decode(answer) for answer in written], ids, completion_mask,
                   token_logps(model, ids, completion_mask, hidden), token_logps(reference, ids, completion_mask),
                   entropy, hidden)


def gae(rewards: Tensor, values: Tensor, completion_mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Tensor:
    """Generalized advantage estimation (Schulman et al., 2016): how much better each token was than expected, (B, T).

    rewards: (B, T), what each token earned. values: (B, T), what was expected from there on, before the token.
    completion_mask: (B, T). gamma: what a reward a token later is worth. lam: 1 looks to the end of the answer, 0 only
    at the value before the next token. Lesson 06b builds it.
    """
    mask = completion_mask.float()
    advantages, later = torch.zeros_like(values), torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(later)
    for t in range(values.shape[1] - 1, -1, -1):
        surprise = rewards[:, t] + gamma * next_value - values[:, t]                # (B,)
        later = mask[:, t] * (surprise + gamma * lam * later)                       # (B,), 0 outside the answer
        next_value = mask[:, t] * values[:, t]
        advantages[:, t] = later
    return advantages


def clipped_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, completion_mask: Tensor,
                 clip: float = 0.2) -> Tensor:
    """PPO's loss, the mean over the tokens of the answers, a number.

    logps, old_logps: (B, T), of each token now and when it was written. advantages: (B, T). clip: a token whose
    probability has gone further than this share, in the direction that its advantage asks for, counts no more.
    Lesson 06b builds it.
    """
    ratio = (logps - old_logps).exp()                                               # (B, T)
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -gain[completion_mask].mean()


@dataclass
class PPOHistory:
    """What each round saw, before it moved."""
    rewards: list[float] = field(default_factory=list)      # mean of the answers
    kls: list[float] = field(default_factory=list)          # nats an answer, from the reference
    entropies: list[float] = field(default_factory=list)    # nats a token
    lengths: list[float] = field(default_factory=list)      # tokens an answer
    samples: list[str] = field(default_factory=list)        # one answer a round
    stopped: str = ""


def note(history: PPOHistory, written: Rollout, rewards: Tensor) -> None:
    """Add a round to the history."""
    history.rewards.append(float(rewards.mean()))
    history.kls.append(float(written.kl.mean()))
    history.entropies.append(written.entropy)
    history.lengths.append(float(written.completion_mask.sum(dim=1).float().mean()))
    history.samples.append(written.completions[0])


def ppo(model: Transformer, tokenizer: BPETokenizer, requests: Sequence[str], reward: RewardFunction,
        config: PPOConfig) -> PPOHistory:
    """Move a model, in place, towards what the reward function likes. What it is now becomes the reference.

    requests: taken in turn, as often as needed. reward: a number for each answer, (B,).
    Raises ValueError for no request and for a reward that is no finite number.
    """
    device = model.embed.weight.device
    reference = copy.deepcopy(model).requires_grad_(False).eval()
    value = nn.Linear(model.config.d_model, 1).to(device)               # what is expected, from the model's own vectors
    nn.init.zeros_(value.weight)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    movers = (torch.optim.AdamW(trained, config.learning_rate, weight_decay=0.0),
              torch.optim.AdamW(value.parameters(), config.value_learning_rate, weight_decay=0.0))
    history = PPOHistory()
    with held_interrupts() as stopping, bar(config.steps, "PPO") as advance:
        for step in range(config.steps):
            asked = [requests[n % len(requests)] for n in range(step * config.batch, (step + 1) * config.batch)]
            written = rollout(model, reference, tokenizer, asked, config.max_new_tokens,
                              seed=config.seed * 1_000_003 + step * config.batch)
            scores = torch.as_tensor(reward(written), dtype=torch.float32, device=device)           # (B,)
            check_rewards(scores)
            note(history, written, scores)
            mask = written.completion_mask
            earned = -config.beta * (written.logps - written.ref_logps)                             # (B, T)
            last = mask.int().cumsum(dim=1).argmax(dim=1)
            earned[torch.arange(len(scores)), last] += scores
            before = torch.roll(written.hidden, 1, dims=1)                                          # (B, T, C)
            with torch.no_grad():
                values = value(before)[..., 0] * mask                                               # (B, T)
                advantages = gae(earned, values, mask, config.gamma, config.lam)                    # (B, T)
                returns = advantages + values
                advantages = (advantages - advantages[mask].mean()) / (advantages[mask].std() + 1e-8)
            for epoch in range(config.epochs):
                order = torch.randperm(len(asked), generator=torch.Generator().manual_seed(step * 97 + epoch))
                for rows in order.split(config.minibatch):
                    logps = token_logps(model, written.ids[rows], mask[rows])
                    loss = clipped_loss(logps, written.logps[rows], advantages[rows], mask[rows], config.clip)
                    move(trained, movers[0], loss, config.gradient,
                         config.learning_rate * (1 - step / config.steps), f"round {step + 1}", history)
                    error = (value(before[rows])[..., 0] - returns[rows])[mask[rows]].square().mean()
                    move(list(value.parameters()), movers[1], error, math.inf, config.value_learning_rate, "", history)
            advance(1)
            if stopping.is_set():
                history.stopped = f"stopped after round {step + 1} of {config.steps}"
                print(f"PPO {history.stopped}. The model holds what it had learned by then.")
                break
    return history
