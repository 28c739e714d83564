"""Exercise 5.3, a batch in parts: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

IGNORE = -100
Parts = list[tuple[Tensor, Tensor]]


def accumulated(weight: Tensor, parts: Parts) -> tuple[float, Tensor]:
    count = sum(int(target) != IGNORE for _, targets in parts for target in targets)
    loss, gradient = 0.0, torch.zeros_like(weight)
    for x, targets in parts:
        for vector, target in zip(x, targets):
            if target != IGNORE:
                p = (weight @ vector).softmax(dim=0)                             # (V,)
                loss -= p[target].log().item() / count
                slope = p.clone()
                slope[target] -= 1                                               # lesson 05: p, minus 1 for what came
                gradient += torch.outer(slope, vector) / count
    return loss, gradient


def summed(weight: Tensor, x: Tensor, targets: Tensor) -> tuple[float, Tensor, int]:
    """Loss and gradient of one part, added up over the tokens that count, and how many those are."""
    own = weight.detach().clone().requires_grad_()
    loss = F.cross_entropy(x @ own.T, targets, ignore_index=IGNORE, reduction="sum")
    loss.backward()
    return loss.item(), own.grad, int((targets != IGNORE).sum())


def accumulates(loss_share: Callable = lambda n, counts, sizes: 1 / sum(counts), slope_share: Callable | None = None,
                use: Callable = lambda parts: parts) -> Callable:
    """accumulated with one thing other than it should be. The shares say what the n-th part's sum is multiplied by."""
    def answer(weight, parts):
        parts = use(parts)
        each = [summed(weight, *part) for part in parts]
        counts, sizes = [count for *_, count in each], [len(targets) for _, targets in parts]
        loss = sum(part[0] * loss_share(n, counts, sizes) for n, part in enumerate(each))
        slope = sum(part[1] * (slope_share or loss_share)(n, counts, sizes) for n, part in enumerate(each))
        return loss, slope
    return answer


def mean_of_means(weight, parts):
    own, total = weight.clone().requires_grad_(), 0.0
    for x, targets in parts:
        loss = F.cross_entropy(x @ own.T, targets) / len(parts)
        loss.backward()
        total += loss.item()
    return total, own.grad


def mean_of_full_means(n, counts, sizes):
    return 1 / (counts[n] * sum(count > 0 for count in counts)) if counts[n] else 0.0


def mean_of_means_with_zeros(n, counts, sizes):
    return 1 / (counts[n] * len(counts)) if counts[n] else 0.0


def all_count(parts):
    return [(x, targets.clamp(min=0)) for x, targets in parts]


def in_place(weight, parts):
    loss, gradient = accumulated(weight, parts)
    weight -= 0.1 * gradient
    return loss, gradient


def draw_parts(draw: random.Random) -> list[tuple]:
    cases = [(torch.zeros(2, 1), [(torch.tensor([[1.0]]), torch.tensor([0])),
                                  (torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([1, IGNORE, 1]))])]
    numbers = generator(draw)
    for V, C, sizes, counted in ((2, 3, (2,), (2,)), (3, 2, (2, 2), (2, 2)), (3, 2, (3, 3), (1, 3)),
                                 (4, 3, (1, 4), (1, 2)), (5, 4, (4, 2, 5), (4, 1, 3)), (3, 5, (3, 3, 3), (2, 0, 3)),
                                 (6, 2, (2, 6, 4), (0, 6, 1)), (7, 3, (5, 1, 8, 2), (5, 1, 2, 2)),
                                 (4, 6, (9, 3), (1, 3)), (8, 5, (6, 6, 6), (6, 3, 1))):
        parts = []
        for size, count in zip(sizes, counted):
            targets = torch.full((size,), IGNORE)
            places = torch.randperm(size, generator=numbers)[:count]
            targets[places] = torch.randint(V, (count,), generator=numbers)
            parts.append((torch.randn(size, C, generator=numbers), targets))
        cases.append((torch.randn(V, C, generator=numbers), parts))
    return cases


def number(loss: float | Tensor) -> float:
    return loss.item() if isinstance(loss, Tensor) else loss


def depends_on_cut(answer) -> str | None:
    numbers = torch.Generator().manual_seed(8)
    weight, x = torch.randn(5, 4, generator=numbers), torch.randn(12, 4, generator=numbers)
    targets = torch.tensor([1, IGNORE, IGNORE, IGNORE, 4, 0, 3, 3, 2, 1, IGNORE, 0])
    whole = answer(weight, [(x, targets)])
    for sizes in ((4, 8), (1, 3, 8), (6, 6), (3, 3, 3, 3)):
        loss, gradient = answer(weight, list(zip(x.split(sizes), targets.split(sizes))))
        change = float((gradient - whole[1]).detach().abs().max())
        if max(change, abs(number(loss) - number(whole[0]))) > 1e-4:
            return f"cut into parts of {sizes}, the same batch has another loss or gradient, by {change:.3g}."
    return None


EXERCISE = Exercise(
    id="5.3", name="accumulated", title="A batch in parts", minutes=15,
    oracle=accumulated, cases=draw_parts, tolerance=1e-4,
    mistakes=(
        Mistake(mean_of_means,
                "You take the mean of the parts' means. A token of a part with few that count then weighs more, and a "
                "part with none gives 0 / 0. Add up sums, and divide by how many count in all parts."),
        Mistake(accumulates(mean_of_full_means),
                "You take the mean of the parts' means, but for those where nothing counts. A token of a part with few "
                "that count weighs more than another. Add up sums, and divide once."),
        Mistake(accumulates(mean_of_means_with_zeros),
                "You take the mean of the parts' means, and 0 where nothing counts. Add up the parts' sums instead, "
                "and divide by how many count in all parts."),
        Mistake(accumulates(slope_share=mean_of_means_with_zeros),
                "The loss is right; the gradient is the mean of the parts' means. It is divided by the same number as "
                "the loss: how many count in all parts."),
        Mistake(accumulates(mean_of_means_with_zeros, lambda n, counts, sizes: 1 / sum(counts)),
                "The gradient is right; the loss is the mean of the parts' means. Both are divided by how many count "
                "in all parts."),
        Mistake(accumulates(lambda n, counts, sizes: 1 / sum(sizes)),
                "You divide by the number of all places. Those whose target is -100 do not count."),
        Mistake(accumulates(lambda n, counts, sizes: sizes[n] / sum(sizes) / max(counts[n], 1)),
                "You weigh each part's mean by its places. Weigh it by how many of them count."),
        Mistake(accumulates(lambda n, counts, sizes: 1.0),
                "You give sums. Divide by how many tokens count in all parts."),
        Mistake(accumulates(slope_share=lambda n, counts, sizes: 1.0),
                "The loss is a mean; the gradient is still a sum. Divide it by the same number."),
        Mistake(accumulates(lambda n, counts, sizes: 1 / max(counts[n], 1)),
                "You add up the parts' means. Divide sums, by how many count in all parts."),
        Mistake(accumulates(lambda n, counts, sizes: 1 / len(sizes)),
                "You divide the sums by the number of parts. Divide by how many tokens count."),
        Mistake(accumulates(slope_share=lambda n, counts, sizes: (n == len(counts) - 1) / sum(counts)),
                "Your gradient is that of the last part: it was set to zero, or replaced, before each. Clear it once, "
                "and add."),
        Mistake(accumulates(use=lambda parts: parts[:1]), "You look at the first part alone."),
        Mistake(accumulates(use=all_count),
                "You count places whose target is -100, as if token 0 came there. cross_entropy leaves them out with "
                "ignore_index=-100, which is what it does anyway."),
        Mistake(lambda weight, parts: (accumulated(weight, parts)[0], -accumulated(weight, parts)[1]),
                "The gradient has the wrong sign: it is p minus 1 for what came. The step goes against it, later."),
        Mistake(lambda weight, parts: (accumulated(weight, parts)[0], accumulated(weight, parts)[1].T),
                "Your gradient is turned, (C, V). It has the shape of the weight."),
        Mistake(lambda weight, parts: accumulated(weight, parts)[1],
                "You give the gradient alone: return loss, gradient."),
        Mistake(in_place,
                "You change the weight. No step was asked for: loss and gradient alone."),
    ),
    hints=("A mean over all tokens is a sum over all tokens, divided once. What must be known before the first part is "
           "worked off?",
           "Count first: n = sum((targets != -100).sum() for _, targets in parts). Each part gives its cross_entropy "
           "with reduction=\"sum\", divided by n; backward() adds its slopes to those of the parts before."),
    properties=(Property("however the batch is cut, it is the same", depends_on_cut),),
)
