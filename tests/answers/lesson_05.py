"""Other right answers to the exercises of lessons 05 to 05d."""
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


def lion_by_lerp(weight, gradient, momentum, lr, betas, weight_decay):
    """As programs of optimisers write it: first the pull, then the step, then the memory, on copies."""
    weight, momentum = weight.clone(), momentum.clone()
    weight.mul_(1 - lr * weight_decay)
    weight.add_(momentum.lerp(gradient, 1 - betas[0]).sign_(), alpha=-lr)
    momentum.lerp_(gradient, 1 - betas[1])
    return weight, momentum


def lion_by_size(weight, gradient, momentum, lr, betas, weight_decay):
    """A number divided by its size is its sign."""
    mixed = momentum + (gradient - momentum) * (1 - betas[0])
    step = lr * torch.nan_to_num(mixed / mixed.abs(), nan=0.0)
    return [weight - step - lr * weight_decay * weight, gradient + (momentum - gradient) * betas[1]]


def lion_by_comparing(weight, gradient, momentum, lr, betas, weight_decay):
    w, g, m = (each.double().numpy() for each in (weight, gradient, momentum))
    push = betas[0] * m
    pull = (betas[0] - 1) * g
    moved = np.where(push > pull, w - lr, np.where(push < pull, w + lr, w)) - lr * weight_decay * w
    kept = np.average([m, g], axis=0, weights=[betas[1], 1 - betas[1]])
    return torch.from_numpy(moved).float(), torch.from_numpy(kept).float()


def averaged_by_a_table(weights, keep):
    """Row t holds the shares of all steps in the mean after step t."""
    ago = torch.arange(len(weights))[:, None] - torch.arange(len(weights))       # (S, S)
    shares = (keep ** ago.float()).masked_fill(ago < 0, 0)
    return shares / shares.sum(dim=1, keepdim=True) @ weights


def averaged_by_counting(weights, keep):
    """A sum that fades, divided by a count that fades alike."""
    total, count, means = 0, 0, torch.empty_like(weights)
    for step in range(len(weights)):
        total, count = keep * total + weights[step], keep * count + 1
        means[step] = total / count
    return means


def averaged_by_moving_the_mean(weights, keep):
    """The mean moves towards each new row, the first time all the way."""
    mean, means = torch.zeros(weights.shape[1]), []
    for t, row in enumerate(weights):
        mean = mean.lerp(row, (1 - keep) / (1 - keep ** (t + 1)))
        means.append(mean)
    return torch.vstack(means)


ANSWERS = {
    "5.1": (pack_into_tensors, pack_in_two_passes),
    "5.2": (stable_schedule_by_where, stable_schedule_by_a_table),
    "5.3": (accumulated_at_once, accumulated_by_weighing_means, accumulated_by_formula),
    "5.4": (signal_and_noise_by_variance, signal_and_noise_by_pairs, signal_and_noise_of_two_batches),
    "5.5": (lion_by_lerp, lion_by_size, lion_by_comparing),
    "5.6": (averaged_by_a_table, averaged_by_counting, averaged_by_moving_the_mean),
}
