"""Other right answers to the exercises of lessons 06c and 06d."""
import re

import torch
import torch.nn.functional as F


def ipo_loss_as_written_in_the_paper(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    if not beta > 0:
        raise ValueError(f"beta is {beta!r}; give a number above 0.")
    h = chosen_logps - rejected_logps - (ref_chosen_logps - ref_rejected_logps)
    return h ** 2 - h / beta + 0.25 / beta ** 2


def ipo_loss_by_mse(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    gained = torch.stack([chosen_logps, rejected_logps]) - torch.stack([ref_chosen_logps, ref_rejected_logps])
    h = gained[0] - gained[1]
    return F.mse_loss(h, torch.full_like(h, 0.5 / beta), reduction="none")


def implied_probability_by_softmax(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    rewards = torch.stack([chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps])
    return torch.softmax(beta * rewards, dim=0)[0]


def implied_probability_from_the_loss(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    margins = beta * ((chosen_logps - rejected_logps) - (ref_chosen_logps - ref_rejected_logps))
    return F.logsigmoid(margins).exp()


def implied_probability_by_one_power(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    lost = (rejected_logps - ref_rejected_logps) - (chosen_logps - ref_chosen_logps)
    return 1 / (1 + (beta * lost).exp())


def leave_one_out_by_a_factor(rewards):
    G = rewards.shape[1]
    return (rewards - rewards.mean(dim=1, keepdim=True)) * G / (G - 1)


def leave_one_out_by_a_matrix(rewards):
    G = rewards.shape[1]
    return rewards @ (torch.eye(G) - (1 - torch.eye(G)) / (G - 1))


def leave_one_out_by_cutting(rewards):
    columns = [torch.cat([rewards[:, :g], rewards[:, g + 1:]], dim=1).mean(dim=1) for g in range(rewards.shape[1])]
    return rewards - torch.stack(columns, dim=1)


NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()


def sum_reward_by_states(story):
    """Word by word, with what has been seen so far."""
    first = more = None
    words = re.findall("[a-z]+", story.lower())
    for word, following in zip(words, [*words[1:], ""]):
        if word not in NUMBERS:
            continue
        value = NUMBERS.index(word) + 2
        if more is not None:
            return 1.0 if first + more == value else 0.0
        if first is None:
            first = value
        elif following == "more":
            more = value
    return 0.0


def sum_reward_by_pattern(story):
    number = rf"\b({'|'.join(NUMBERS)})\b"
    text = " ".join(re.findall("[a-z]+", story.lower()))
    found = re.search(rf"{number}.*?{number} more\b.*?{number}", text)
    if found is None:
        return 0
    a, b, c = (NUMBERS.index(word) + 2 for word in found.groups())
    return int(a + b == c)


ANSWERS = {
    "6c.1": (ipo_loss_as_written_in_the_paper, ipo_loss_by_mse),
    "6c.2": (implied_probability_by_softmax, implied_probability_from_the_loss, implied_probability_by_one_power),
    "6c.3": (leave_one_out_by_a_factor, leave_one_out_by_a_matrix, leave_one_out_by_cutting),
    "6c.4": (sum_reward_by_states, sum_reward_by_pattern),
}
