"""Other right answers to the exercises of lesson 00b."""
import torch
import torch.nn.functional as F


def distances_by_squares(a, b):
    """|a|² + |b|² - 2ab, with a matrix product."""
    return (a * a).sum(1, keepdim=True) + (b * b).sum(1) - 2 * torch.einsum("nd,md->nm", a, b)


def distances_row_by_row(a, b):
    result = torch.zeros(a.shape[0], b.shape[0])
    for n in range(a.shape[0]):
        result[n] = (a[n] - b).pow(2).sum(-1)                # in place, on a tensor of its own
    return result


def distances_with_views(a, b):
    difference = b.unsqueeze(0).expand(len(a), -1, -1) - a.unsqueeze(1)
    return torch.einsum("nmd,nmd->nm", difference, difference)


def roll_with_optimiser(f, start, learning_rate, momentum, steps):
    x = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.SGD([x], lr=learning_rate, momentum=momentum)
    for _ in range(steps):
        optimiser.zero_grad()
        f(x).backward()
        optimiser.step()
    return x


def roll_with_new_tensors(f, start, learning_rate, momentum, steps):
    x, speed = start, 0
    for _ in range(steps):
        x = x.detach().clone().requires_grad_(True)
        slope, = torch.autograd.grad(f(x), x)
        speed = momentum * speed + slope
        x = x - learning_rate * speed
    return x.detach()


def roll_in_steps(f, start, learning_rate, momentum, steps):
    """The learning rate goes into the speed; both change in place."""
    x = start.detach().clone().requires_grad_()
    moved = torch.zeros_like(x)
    for _ in range(steps):
        f(x).backward()
        moved.mul_(momentum).add_(x.grad, alpha=learning_rate)
        x.data.sub_(moved)
        x.grad.zero_()
    return x


def cross_entropy_by_pytorch(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def cross_entropy_by_logsumexp(logits, targets):
    real = targets != -1
    rows, wanted = logits[real], targets[real]
    return (rows.logsumexp(-1) - rows[torch.arange(len(rows)), wanted]).mean()


def cross_entropy_with_one_hot(logits, targets):
    V = logits.shape[-1]
    shifted = logits - logits.detach().amax(-1, keepdim=True)
    log_p = shifted - torch.einsum("btv->bt", shifted.exp()).log().unsqueeze(-1)
    marks = (targets.unsqueeze(-1) == torch.arange(V)).float()                   # (B, T, V)  all 0 where it is -1
    return -torch.einsum("btv,btv->", log_p, marks) / marks.sum()


def cross_entropy_in_loops(logits, targets):
    total, places = torch.zeros(()), 0
    for b, t in (targets >= 0).nonzero().tolist():
        row = logits[b, t] - logits[b, t].max()
        total = total + torch.log(torch.exp(row).sum()) - row[targets[b, t]]
        places += 1
    return total / places


ANSWERS = {
    "0b.1": (distances_by_squares, distances_row_by_row, distances_with_views),
    "0b.2": (roll_with_optimiser, roll_with_new_tensors, roll_in_steps),
    "0b.3": (cross_entropy_by_pytorch, cross_entropy_by_logsumexp, cross_entropy_with_one_hot,
             cross_entropy_in_loops),
}
