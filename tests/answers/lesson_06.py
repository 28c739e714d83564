"""Other right answers to the exercises of lessons 06 and 06b."""
import torch
import torch.nn.functional as F


def highest_agreement_by_distance(probabilities):
    return 0.5 + float((probabilities - 0.5).abs().mean())


def highest_agreement_by_stacking(probabilities):
    return torch.stack([probabilities, 1 - probabilities]).amax(dim=0).mean()


def ranking_loss_by_places(rewards):
    B, K = rewards.shape
    return sum(F.cross_entropy(rewards[:, k:], torch.zeros(B, dtype=torch.long), reduction="none") for k in range(K))


def ranking_loss_by_a_mask(rewards):
    K = rewards.shape[1]
    taken = torch.ones(K, K).tril(-1).bool()                                     # (place, answer)
    left = rewards[:, None].masked_fill(taken, -torch.inf)                       # (B, K, K)
    return -left.log_softmax(dim=-1).diagonal(dim1=1, dim2=2).sum(dim=1)


def ranking_loss_from_behind(rewards):
    total, loss = rewards[:, -1], torch.zeros(len(rewards))
    for reward in rewards.flip(1).unbind(dim=1)[1:]:
        total = torch.logaddexp(total, reward)
        loss = loss + total - reward
    return loss


def last_reward_by_edges(scores, completion_mask):
    """True where an answer's token is followed by none."""
    following = F.pad(completion_mask[:, 1:], (0, 1))
    return scores[completion_mask & ~following]


def last_reward_by_multiplying(scores, completion_mask):
    T = scores.shape[1]
    last = (completion_mask * torch.arange(T)).max(dim=1).values
    return (F.one_hot(last, T) * scores).sum(dim=1)


def last_reward_by_counting(scores, completion_mask):
    return scores.gather(1, completion_mask.cumsum(dim=1).argmax(dim=1, keepdim=True)).squeeze(1)


def token_rewards_by_where(scores, logps, ref_logps, completion_mask, beta):
    counts = completion_mask.cumsum(dim=1)
    is_last = completion_mask & (counts == counts[:, -1:])
    return torch.where(completion_mask, beta * (ref_logps - logps), 0.0) + is_last * scores[:, None]


def token_rewards_row_by_row(scores, logps, ref_logps, completion_mask, beta):
    rewards = torch.zeros_like(logps)
    for row, score in enumerate(scores):
        places = completion_mask[row].nonzero()[:, 0]
        rewards[row, places] = -beta * (logps[row, places] - ref_logps[row, places])
        rewards[row, places[-1]] += score
    return rewards


def kl_estimate_by_expm1(logps, ref_logps):
    return torch.expm1(ref_logps - logps) + logps - ref_logps


def kl_estimate_by_ratio(logps, ref_logps):
    ratio = (ref_logps - logps).exp()
    return ratio - 1 - ratio.log()


def clipped_loss_by_where(logps, old_logps, advantages, completion_mask, clip):
    ratio = (logps - old_logps).exp()
    bound = torch.where(advantages > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    return -(bound * advantages * completion_mask).sum() / completion_mask.sum()


def clipped_loss_of_what_counts(logps, old_logps, advantages, completion_mask, clip):
    """As it is often written: the larger of two losses."""
    mine, before, wanted = (part[completion_mask] for part in (logps, old_logps, advantages))
    ratio = torch.exp(mine - before)
    return torch.max(-wanted * ratio, -wanted * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()


ANSWERS = {
    "6.1": (highest_agreement_by_distance, highest_agreement_by_stacking),
    "6.2": (ranking_loss_by_places, ranking_loss_by_a_mask, ranking_loss_from_behind),
    "6.3": (last_reward_by_edges, last_reward_by_multiplying, last_reward_by_counting),
    "6.4": (token_rewards_by_where, token_rewards_row_by_row),
    "6.5": (kl_estimate_by_expm1, kl_estimate_by_ratio),
    "6.6": (clipped_loss_by_where, clipped_loss_of_what_counts),
}
