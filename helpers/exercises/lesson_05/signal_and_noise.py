"""Exercise 5.4, how large a batch is worth it: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def signal_and_noise(gradients: Tensor) -> tuple[float, float]:
    rows = gradients.double().tolist()
    B, P = len(rows), len(rows[0])
    noise = length = 0.0
    for i in range(P):
        mean = sum(row[i] for row in rows) / B
        noise += sum((row[i] - mean) ** 2 for row in rows) / (B - 1)
        length += mean ** 2
    return length - noise / B, noise


def mean_length(gradients: Tensor) -> Tensor:
    """The squared length of the mean gradient."""
    return gradients.mean(dim=0).square().sum()


def spread(gradients: Tensor) -> Tensor:
    return gradients.var(dim=0).sum()


def within(gradients: Tensor) -> Tensor:
    """gradients.var(dim=1).sum(), without PyTorch's warning where there is one parameter."""
    apart = gradients - gradients.mean(dim=1, keepdim=True)
    return apart.square().sum() / torch.tensor(gradients.shape[1] - 1.0)


def estimates(noise: Callable[[Tensor], Tensor] = spread, length: Callable[[Tensor], Tensor] = mean_length,
              less: Callable = lambda noise, B: noise / B) -> Callable:
    """signal_and_noise with one thing other than it should be."""
    def answer(gradients):
        found = noise(gradients)
        return (length(gradients) - less(found, len(gradients))).item(), found.item()
    return answer


def quotient(gradients):
    signal, noise = signal_and_noise(gradients)
    return noise / signal


def draw_gradients(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[3.0], [1.0]]),), (torch.tensor([[4.0, 1.0], [2.0, -1.0]]),),
             (torch.tensor([[1.0], [-1.0], [2.0]]),)]
    numbers = generator(draw)
    for B, P in ((2, 3), (3, 1), (3, 4), (4, 2), (5, 5), (6, 3), (8, 10), (12, 7), (20, 30)):
        cases.append((torch.randn(P, generator=numbers) + torch.randn(B, P, generator=numbers) * draw.uniform(0.3, 2),))
    return cases


def wrong_on_average(answer) -> str | None:
    """Many batches of 4, of gradients whose mean has the squared length 2 and whose variances add up to 6."""
    numbers = torch.Generator().manual_seed(9)
    batches = torch.tensor([1.0, -1.0, 0.0]) + 2 ** 0.5 * torch.randn(1500, 4, 3, generator=numbers)
    pairs = [answer(batch) for batch in batches]
    for name, values, wanted in (("signal", [one for one, _ in pairs], 2), ("noise", [two for _, two in pairs], 6)):
        mean = sum(map(float, values)) / len(values)
        if abs(mean - wanted) > 0.5:
            return f"over 1,500 batches of 4, the {name} is {mean:.2f} on average, and in truth {wanted}."
    return None


EXERCISE = Exercise(
    id="5.4", name="signal_and_noise", title="How large a batch is worth it?", minutes=25,
    oracle=signal_and_noise, cases=draw_gradients, tolerance=1e-4,
    mistakes=(
        Mistake(estimates(less=lambda noise, B: 0 * noise),
                "The squared length of your mean gradient is too large on average, since noise makes it longer. How "
                "large is the noise of a mean of B? Take that off."),
        Mistake(estimates(less=lambda noise, B: noise),
                "You take the whole noise off. That of one example is `noise`; that of a mean of B is noise / B."),
        Mistake(estimates(less=lambda noise, B: -noise / B),
                "You add the noise of the mean. It has made the mean gradient longer: take it off."),
        Mistake(estimates(less=lambda noise, B: noise / (B - 1)),
                "You take off noise / (B - 1). The noise of a mean of B is noise / B; B - 1 belongs into the noise "
                "itself."),
        Mistake(estimates(less=lambda noise, B: noise / B ** 0.5),
                "You take off noise / sqrt(B). Spreads shrink by the root; these are squares, so it is noise / B."),
        Mistake(estimates(noise=lambda g: g.var(dim=0, correction=0).sum()),
                "You divide squared distances by B. They are measured from the mean of the same B examples, which lies "
                "too near to them: B - 1 makes up for it."),
        Mistake(estimates(noise=lambda g: g.var(dim=0, correction=0).sum(), less=lambda noise, B: noise / (B - 1)),
                "The signal is right. Your noise divides squared distances by B: it must be B - 1, since they are "
                "measured from the mean of the same examples."),
        Mistake(estimates(noise=lambda g: g.var(dim=0).mean()),
                "You take the mean over the parameters. Squared distances add up: the sum."),
        Mistake(estimates(noise=lambda g: g.std(dim=0).sum()),
                "You add up spreads. Their squares add up, the variances."),
        Mistake(estimates(noise=lambda g: g.square().sum(dim=1).mean()),
                "Your noise is the mean squared length of the gradients. What all of them share is no noise: measure "
                "from their mean."),
        Mistake(estimates(noise=within),
                "You measure the spread within each gradient. It is the spread between examples, parameter by "
                "parameter: dim=0."),
        Mistake(estimates(noise=lambda g: g.var()),
                "You measure the spread of all numbers together. Take it parameter by parameter, dim=0, and add up."),
        Mistake(estimates(length=lambda g: g.mean(dim=0).norm()),
                "You take the length of the mean gradient. Its square was asked for."),
        Mistake(estimates(length=lambda g: g.square().sum(dim=1).mean()),
                "You take the mean of the squared lengths. It is the squared length of the mean gradient."),
        Mistake(estimates(length=lambda g: g.sum(dim=0).square().sum()),
                "You add the gradients up. A batch's gradient is their mean."),
        Mistake(lambda gradients: signal_and_noise(gradients)[::-1], "The order is wrong: return signal, noise."),
        Mistake(quotient, "You give the quotient. Give the two numbers: return signal, noise."),
        Mistake(lambda gradients: (max(0.0, signal_and_noise(gradients)[0]), signal_and_noise(gradients)[1]),
                "You cut off what is below 0. An estimate may be; without those the mean of many would be too large."),
    ),
    hints=("Begin with the noise: a variance for each parameter, and their sum. Then think of gradients that are all "
           "noise, with a mean of 0 in truth: how long is the mean of B of them, squared, on average?",
           "The noise is gradients.var(dim=0).sum(), which divides by B - 1. The signal is gradients.mean(dim=0)"
           ".square().sum() - noise / B."),
    properties=(Property("over many batches both are right on average", wrong_on_average),),
)
