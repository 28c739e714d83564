"""A reward model: it reads a request with an answer, and gives one number, the larger the better it would be liked.

    reward = RewardModel(model)                                         # the Storyteller, with a head of one number
    train_reward(reward, PairData(storyteller.pair_rows(tokenizer, pairs)), PreferenceConfig(steps=60))
    reward(ids, completion_mask)                                        # (B,)

Lesson 06 builds it. Sizes: B answers, T tokens of request and answer, C channels.
"""
import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.preference import PairData, PreferenceConfig, PreferenceHistory, learn, of_all
from helpers.transformer import Config, Transformer


class RewardModel(nn.Module):
    """A transformer that gives one number for an answer, read off at its last token (Stiennon et al., 2020).

    model: what it begins as; it is copied. The head begins at zero, so that at first all answers are equally good.
    Lesson 06 builds it.
    """

    def __init__(self, model: Transformer):
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(True)
        self.head = nn.utils.skip_init(nn.Linear, model.config.d_model, 1)          # draws no random numbers
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(model.device)

    @property
    def config(self) -> Config:
        """That of the transformer in it."""
        return self.model.config

    @classmethod
    def new(cls, config: Config) -> "RewardModel":
        """An untrained one, to load weights into."""
        return cls(Transformer(config))

    def forward(self, ids: Tensor, completion_mask: Tensor) -> Tensor:
        """ids, completion_mask: (B, T) to rewards (B,)."""
        hidden = self.model.hidden(ids)                                             # (B, T, C)
        rows = torch.arange(len(ids), device=ids.device)                            # (B,)
        return self.head(hidden[rows, last_places(completion_mask)])[:, 0]          # (B,)

    def values(self, ids: Tensor) -> Tensor:
        """What stands at every token in place of the last one: (B, T) to (B, T), each read before its token.

        So `values[:, t]` is what is expected when the tokens before t have been written and t has not; the first is 0.
        """
        after = self.head(self.model.hidden(ids))[..., 0]                           # (B, T)
        return F.pad(after[:, :-1], (1, 0))                                         # (B, T)


def last_places(completion_mask: Tensor) -> Tensor:
    """Where the last token of each answer stands: (B, T) to (B,)."""
    return completion_mask.int().cumsum(dim=1).argmax(dim=1)


def reward_loss(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Minus the log of the probability that the chosen answer is taken (Bradley and Terry, 1952), for each pair, (B,).

    chosen_rewards, rejected_rewards: (B,). That probability is the sigmoid of their difference. Lesson 06 builds it.
    Raises ValueError for different shapes and for a reward that is no number.
    """
    if chosen_rewards.shape != rejected_rewards.shape:
        raise ValueError(f"chosen_rewards has shape {tuple(chosen_rewards.shape)} and rejected_rewards "
                         f"{tuple(rejected_rewards.shape)}; give the same, one number a pair.")
    check_rewards(chosen_rewards, "chosen_rewards")
    check_rewards(rejected_rewards, "rejected_rewards")
    return -F.logsigmoid(chosen_rewards - rejected_rewards)


def check_rewards(rewards: Tensor, name: str = "rewards") -> None:
    """Raise ValueError for rewards, of any shape, among which one is no finite number. name: what they are called."""
    bad = (~rewards.isfinite()).nonzero()
    if len(bad):
        at = tuple(bad[0].tolist())
        raise ValueError(f"{name}[{', '.join(map(str, at))}] is {float(rewards[at].detach())}; a reward is a finite "
                         "number. What did the reward function make of that answer?")


def train_reward(reward: RewardModel, data: PairData, config: PreferenceConfig) -> PreferenceHistory:
    """Teach a reward model, in place, to give the chosen answers more than the rejected ones.

    Raises ValueError for a pair that is longer than the model's context, and both errors of `learn`.
    """
    data.check(reward.config.context)
    device = reward.head.weight.device

    def loss(numbers: list[int]) -> tuple[Tensor, Tensor]:
        chosen, rejected = reward(*(each.to(device) for each in data.tensors(numbers))).chunk(2)        # (B,) each
        return -F.logsigmoid(chosen - rejected), chosen - rejected      # `reward_loss`; NaN is for `learn` to report

    return learn(reward, data, config, loss, "Reward model")


def train_value(value: RewardModel, reward: RewardModel, data: PairData, config: PreferenceConfig
                ) -> PreferenceHistory:
    """Teach a value model, in place, to foresee at every token what the reward model will say at the last one.

    The losses of its history are mean squared errors. config.batch counts pairs, both answers of which are read.
    Raises ValueError for a pair that is longer than the model's context, and both errors of `learn`.
    """
    data.check(value.config.context)
    device = value.head.weight.device

    def loss(numbers: list[int]) -> tuple[Tensor, Tensor]:
        ids, completion_mask = (each.to(device) for each in data.tensors(numbers))
        with torch.no_grad():
            in_the_end = reward(ids, completion_mask)                               # (2 B,)
        foreseen = value.values(ids)                                                # (2 B, T)
        error = (foreseen - in_the_end[:, None])[completion_mask].square().mean()
        rows = torch.arange(len(ids), device=device)
        chosen, rejected = foreseen[rows, last_places(completion_mask)].chunk(2)                # (B,) each
        return error, chosen - rejected

    return learn(value, data, config, loss, "Value model")


def pair_rewards(reward: RewardModel, data: PairData, pairs: int = 16) -> tuple[Tensor, Tensor]:
    """The rewards of all chosen and of all rejected answers, (N,) each."""
    data.check(reward.config.context)
    chosen, rejected = of_all(reward, data, reward, pairs)
    return chosen, rejected
