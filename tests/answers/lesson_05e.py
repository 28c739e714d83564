"""Other right answers to the exercises of lessons 05e to 05g."""
import torch


def chat_targets_backwards(ids, assistant, end):
    """For each token, which of the two was met last before it?"""
    targets = []
    for place in range(1, len(ids)):
        marks = [token for token in ids[:place] if token in (assistant, end)]
        targets.append(ids[place] if marks and marks[-1] == assistant else -100)
    return targets


def chat_targets_by_filling(ids, assistant, end):
    targets = [-100] * (len(ids) - 1)
    for start, token in enumerate(ids):
        if token == assistant:
            stop = ids.index(end, start) if end in ids[start:] else len(ids) - 1
            targets[start:stop] = ids[start + 1:stop + 1]
    return targets


def packed_mask_by_tables(texts):
    T = texts.shape[1]
    same = (texts[:, :, None] == texts[:, None, :]) & (texts[:, None, :] >= 0)
    return same & torch.ones(T, T).tril().bool() | torch.eye(T).bool()


def packed_mask_by_numbers_of_their_own(texts):
    """Each filled place becomes a text of its own."""
    T = texts.shape[1]
    own = torch.where(texts < 0, -1 - torch.arange(T), texts)
    return torch.eq(own.unsqueeze(2), own.unsqueeze(1)).tril()


def moved_by_einsum(before, after, real):
    weights = real.to(before.dtype) / real.sum()                                 # (B, T)
    return torch.einsum("bhij,bi->h", (before - after).abs(), weights) * 0.5


def moved_by_picking(before, after, real):
    rows = (before - after).transpose(1, 2)[real]                                # (N, H, T)
    return rows.abs().sum(-1).mean(0) / 2


def merge_adapters_by_sum(weight, adapters):
    return weight + sum((alpha / B.shape[1] * B @ A for A, B, alpha in adapters), torch.zeros_like(weight))


def merge_adapters_side_by_side(weight, adapters):
    if not adapters:
        return weight.clone()
    downs = torch.cat([A for A, _, _ in adapters])
    ups = torch.cat([B * (alpha / len(A)) for A, B, alpha in adapters], dim=1)
    return torch.addmm(weight, ups, downs)


ANSWERS = {
    "5e.1": (chat_targets_backwards, chat_targets_by_filling),
    "5e.2": (packed_mask_by_tables, packed_mask_by_numbers_of_their_own),
    "5e.3": (moved_by_einsum, moved_by_picking),
    "5e.4": (merge_adapters_by_sum, merge_adapters_side_by_side),
}
