"""GRPO (Shao et al., 2024): several answers to each request; each is compared with the others, and no value is needed.

    history = grpo(model, tokenizer, requests, reward, GRPOConfig(steps=20, group=8))

What it shares with PPO (the writing, the clipped loss, the rounds) is in `ppo`. Lesson 06d builds the rest. Loss and
penalty are means over all tokens of a minibatch; the paper takes the mean of each answer first.
Sizes: P requests, G answers to each, B = P G answers, T tokens of request and answer.
"""
import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.counting import require
from helpers.ppo import RewardFunction, RLConfig, RLHistory, clipped_loss, minibatches, rounds, scored
from helpers.preference import ADAM_BETAS, move, token_logps, trained_in
from helpers.reward import check_rewards
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer


@dataclass(frozen=True)
class GRPOConfig(RLConfig):
    """How to run GRPO. beta: what `kl_penalty` counts for in the loss. Raises ValueError, naming what cannot be."""
    group: int = 8                                  # answers to each request
    beta: float = 0.02

    def __post_init__(self):
        super().__post_init__()
        require(least=2, group=self.group)
        if self.batch % self.group:
            raise ValueError(f"group is {self.group}; it must divide batch, {self.batch}.")


def group_advantages(rewards: Tensor) -> Tensor:
    """How much better each answer is than the others to the same request, in spreads of these: (P, G) to (P, G).

    Where all are equally good, nothing can be learned from them: 0. Whole numbers will do. Lesson 06d builds it.
    Raises ValueError for a reward that is no finite number, and for fewer than two answers to a request.
    """
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards has shape {tuple(rewards.shape)}; give (P, G) with at least two answers a request.")
    check_rewards(rewards)
    rewards = rewards if rewards.is_floating_point() else rewards.float()
    rewards = rewards - rewards[:, :1]      # equal ones become 0; else their mean is rounded, and they are not
    return (rewards - rewards.mean(dim=1, keepdim=True)) / (rewards.std(dim=1, keepdim=True) + 1e-4)


def kl_penalty(logps: Tensor, ref_logps: Tensor, completion_mask: Tensor) -> Tensor:
    """The distance to the reference as a loss: the mean over tokens of r - ln r - 1, r = reference / model.

    As the mean over what the model writes it is the divergence; and unlike ln 1/r it is never below 0 (Schulman,
    "Approximating KL divergence", 2020). Its slope is that of the divergence the other way round, from the reference,
    for the answers are not written anew. logps, ref_logps, completion_mask: (B, T). Lesson 06d builds it.
    """
    log_ratio = (ref_logps - logps)[completion_mask]
    return (log_ratio.exp() - log_ratio - 1).mean()


def grpo(model: Transformer, tokenizer: BPETokenizer, requests: Sequence[str], reward: RewardFunction,
         config: GRPOConfig) -> RLHistory:
    """Move a model, in place, towards what the reward function likes. Arguments and errors as in `ppo`."""
    reference = copy.deepcopy(model).requires_grad_(False).eval()
    trained = trained_in(model)
    mover = torch.optim.AdamW(trained, betas=ADAM_BETAS, weight_decay=0.0)
    asked = [request for request in requests for _ in range(config.group)]
    history = RLHistory()
    for number, written in rounds(model, reference, tokenizer, asked, config, history, "GRPO"):
        scores = scored(reward, written)                                            # (B,)
        history.note(written, scores)
        advantages = group_advantages(scores.view(-1, config.group)).view(-1, 1)    # (B, 1), the same for each token
        mask = written.completion_mask
        for rows in minibatches(config, number):
            logps = token_logps(model, written.ids[rows], mask[rows])
            loss = clipped_loss(logps, written.logps[rows], advantages[rows].expand_as(logps), mask[rows], config.clip)
            loss = loss + config.beta * kl_penalty(logps, written.ref_logps[rows], mask[rows])
            move(trained, mover, loss, config.longest_gradient, (1 - number / config.steps) * config.learning_rate,
                 f"round {number + 1}", history)
    return history
