"""Other right answers to the exercises of lessons 05 to 05f."""
import numpy as np
import torch
import torch.nn.functional as F


def pack_into_tensors(texts, context):
    """One long table, of which the rows that are used are kept."""
    inputs = torch.zeros(len(texts), context, dtype=torch.long)
    targets, numbers = torch.full_like(inputs, -100), torch.full_like(inputs, -1)
    used = [0] * len(texts)
    for number, text in enumerate(texts):
        size = len(text) - 1
        row = next(row for row in range(len(texts)) if used[row] + size <= context)
        here = slice(used[row], used[row] + size)
        ids = torch.tensor(text)
        inputs[row, here], targets[row, here], numbers[row, here] = ids[:-1], ids[1:], number
        used[row] += size
    rows = sum(places > 0 for places in used)
    return inputs[:rows], targets[:rows], numbers[:rows]


def pack_in_two_passes(texts, context):
    """First which texts share a row, then the rows."""
    members, room = [], []
    for number, text in enumerate(texts):
        for row, free in enumerate(room):
            if free >= len(text) - 1:
                members[row].append(number)
                room[row] -= len(text) - 1
                break
        else:
            members.append([number])
            room.append(context - len(text) + 1)
    columns = []
    for part, empty in ((lambda n: texts[n][:-1], 0), (lambda n: texts[n][1:], -100),
                        (lambda n: [n] * (len(texts[n]) - 1), -1)):
        rows = [sum((list(part(n)) for n in row), []) for row in members]
        columns.append(torch.tensor([row + [empty] * (context - len(row)) for row in rows]))
    return columns


def stable_schedule_by_where(at, steps, warmup, decay):
    shares = torch.ones(len(at))
    shares = torch.where(at < warmup, (at + 1) / (warmup or 1), shares)
    return torch.where(at >= steps - decay, (steps - at) / (decay or 1), shares)


def stable_schedule_by_a_table(at, steps, warmup, decay):
    up = torch.arange(1, warmup + 1) / warmup
    down = torch.arange(decay, 0, -1) / decay
    return torch.cat([up, torch.ones(steps - warmup - decay), down])[at]


def accumulated_at_once(weight, parts):
    x, targets = (torch.cat(both) for both in zip(*parts))
    own = weight.detach().clone().requires_grad_(True)
    loss = F.cross_entropy(F.linear(x, own), targets, ignore_index=-100)
    return loss, torch.autograd.grad(loss, own)[0]


def accumulated_by_weighing_means(weight, parts):
    """Each part's mean counts as often as it has tokens that count."""
    counts = [(targets >= 0).sum().item() for _, targets in parts]
    loss, gradient = 0.0, torch.zeros_like(weight)
    for (x, targets), count in zip(parts, counts):
        if count:
            own = weight.clone().requires_grad_()
            mean = F.cross_entropy(x @ own.T, targets)
            mean.backward()
            loss += mean.item() * count / sum(counts)
            gradient += own.grad * (count / sum(counts))
    return loss, gradient


def accumulated_by_formula(weight, parts):
    n, loss, gradient = 0, 0.0, 0.0
    for x, targets in parts:
        kept = targets != -100
        x, targets = x[kept], targets[kept]
        log_p = (x @ weight.T).log_softmax(dim=-1)                               # (n, V)
        slopes = log_p.exp() - F.one_hot(targets, len(weight))
        loss -= log_p.gather(1, targets[:, None]).sum()
        gradient = gradient + slopes.T @ x
        n += len(x)
    return loss / n, gradient / n


def signal_and_noise_by_variance(gradients):
    noise = gradients.var(dim=0).sum()
    return gradients.mean(0).norm() ** 2 - noise / gradients.shape[0], noise


def signal_and_noise_by_pairs(gradients):
    """Two different examples share the signal and no noise: the mean of their dot products."""
    B = len(gradients)
    products = gradients @ gradients.T                                           # (B, B)
    own = products.trace()
    signal = (products.sum() - own) / (B * (B - 1))
    return [signal.item(), (own / B - signal).item()]


def signal_and_noise_of_two_batches(gradients):
    """As in McCandlish et al. (2018), appendix A.1: batches of one and of B."""
    B = len(gradients)
    small, large = gradients.square().sum(1).mean().item(), gradients.mean(0).square().sum().item()
    return (B * large - small) / (B - 1), (small - large) / (1 - 1 / B)


def chat_targets_answer_by_answer(ids, assistant, end):
    targets, place = [-100] * (len(ids) - 1), 0
    while assistant in ids[place:]:
        start = ids.index(assistant, place)
        stop = ids.index(end, start) if end in ids[start:] else len(ids) - 1
        targets[start:stop] = ids[start + 1:stop + 1]
        place = stop
        if stop == len(ids) - 1:
            break
    return targets


def chat_targets_by_counting(ids, assistant, end):
    """The assistant has the word where more turns were opened than closed."""
    tokens = np.array(ids)
    opened = np.cumsum(tokens == assistant) - np.cumsum(tokens == end)
    return np.where(opened[:-1] > 0, tokens[1:], -100).tolist()


def join_adapters_by_stacking(adapters, shares):
    A = torch.vstack([A for A, _, _ in adapters])
    B = torch.hstack([B for _, B, _ in adapters])
    factors = [share * alpha / A.shape[0] for (A, _, alpha), share in zip(adapters, shares) for _ in range(A.shape[0])]
    return A, B * torch.tensor(factors)


def join_adapters_into_tables(adapters, shares):
    ranks = [A.shape[0] for A, _, _ in adapters]
    joined_A = torch.empty(sum(ranks), adapters[0][0].shape[1])
    joined_B = torch.empty(adapters[0][1].shape[0], sum(ranks))
    start = 0
    for (A, B, alpha), share, r in zip(adapters, shares, ranks):
        joined_A[start:start + r] = A
        joined_B[:, start:start + r] = B * (alpha / r) * share
        start += r
    return [joined_A, joined_B]


ANSWERS = {
    "5.1": (pack_into_tensors, pack_in_two_passes),
    "5.2": (stable_schedule_by_where, stable_schedule_by_a_table),
    "5.3": (accumulated_at_once, accumulated_by_weighing_means, accumulated_by_formula),
    "5.4": (signal_and_noise_by_variance, signal_and_noise_by_pairs, signal_and_noise_of_two_batches),
    "5.5": (chat_targets_answer_by_answer, chat_targets_by_counting),
    "5.6": (join_adapters_by_stacking, join_adapters_into_tables),
}
