"""Exercise 6.5, a distance that is never negative: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import SLOPE_LOST, Exercise, Mistake, Property, generator


def kl_estimate(logps: Tensor, ref_logps: Tensor) -> Tensor:
    estimates = []
    for logp, ref_logp in zip(logps.flatten(), ref_logps.flatten().tolist()):
        apart = ref_logp - logp
        estimates.append(torch.exp(apart) - apart - 1)
    return torch.stack(estimates).view(logps.shape)


def of(estimate: Callable[[Tensor], Tensor]) -> Callable:
    """An estimate made of ref_logps - logps."""
    return lambda logps, ref_logps: estimate(ref_logps - logps)


def k3(apart: Tensor) -> Tensor:
    return apart.exp() - apart - 1


def draw_tokens(draw: random.Random) -> list[tuple]:
    half, quarter, most = math.log(0.5), math.log(0.25), math.log(0.75)
    cases = [(torch.tensor([half]), torch.tensor([quarter])),
             (torch.tensor([half, half]), torch.tensor([quarter, most])),
             (torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-1.0, -2.5, -1.0]))]
    numbers = generator(draw)
    for shape, far in (((2, 3), 1.0), ((4,), 0.3), ((3, 5), 0.5), ((5, 4), 2.0), ((2, 3, 4), 1.0), ((7, 3), 0.1),
                       ((6, 8), 1.0), ((9,), 3.0)):
        logps = -4 * torch.rand(shape, generator=numbers)
        cases.append((logps, (logps + far * torch.randn(shape, generator=numbers)).clamp(max=0.0)))
    return cases


def two_models() -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(3)
    one, other = (torch.randn(8, generator=numbers).log_softmax(dim=0) for _ in range(2))
    return one, other


def wrong_on_average(answer) -> str | None:
    """Weighted with how often each token is written, the estimates are the divergence."""
    logps, ref_logps = two_models()
    wanted = float((logps.exp() * (logps - ref_logps)).sum())
    mean = float((logps.exp() * answer(logps.clone(), ref_logps.clone())).sum())
    return None if abs(mean - wanted) < 1e-4 else f"over a vocabulary of 8 it is {mean:.4f}, and in truth {wanted:.4f}."


def negative(answer) -> str | None:
    least = float(answer(*two_models()).min())
    return None if least > -1e-6 else f"one token of 8 has {least:.4f}."


EXERCISE = Exercise(
    id="6.5", name="kl_estimate", title="A distance that is never negative", minutes=10,
    oracle=kl_estimate, cases=draw_tokens, gradients=(0,), tolerance=1e-4,
    mistakes=(
        Mistake(of(lambda apart: -apart),
                "That is the plain difference: right on average, and negative wherever the reference likes a token "
                "better. Add what has the mean 0: exp(d) - 1, with d = ref_logps - logps."),
        Mistake(of(lambda apart: apart.square() / 2),
                "Half the square is never negative, but it is not the divergence on average. It is exp(d) - d - 1, "
                "which it comes close to while d is small."),
        Mistake(of(lambda apart: k3(-apart)),
                "Your d has the wrong sign. The tokens were written by the model, so the ratio is the reference's "
                "probability over the model's: d = ref_logps - logps."),
        Mistake(of(lambda apart: apart.exp() - apart),
                "The 1 is missing. A token that both find equally likely has exp(0) - 0, and that must give 0."),
        Mistake(of(lambda apart: apart.exp() - 1),
                "The d itself is missing: exp(d) - 1 has the mean 0, whatever the models. Take d off."),
        Mistake(of(lambda apart: apart.exp() + apart - 1),
                "The sign of d is wrong: exp(d) - d - 1."),
        Mistake(of(lambda apart: apart - apart.exp() + 1),
                "It is the wrong way round, never above 0. A distance is never below it."),
        Mistake(of(lambda apart: (-apart).clamp(min=0.0)),
                "You cut off what is negative, and so the mean becomes too large. No number is cut off here: exp(d) - "
                "d - 1 is never negative by itself."),
        Mistake(of(torch.abs),
                "You take the absolute difference. Its mean is too large: what is negative must take something off."),
        Mistake(lambda logps, ref_logps: logps.exp() * (logps - ref_logps),
                "You weight with the token's probability. The tokens were drawn with that probability already, so it "
                "would count twice."),
        Mistake(lambda logps, ref_logps: k3(ref_logps.exp() - logps.exp()),
                "Your d is a difference of probabilities. It is that of the logarithms, which are given: ref_logps - "
                "logps."),
        Mistake(of(lambda apart: k3(apart).mean()),
                "You take the mean. Each token keeps its own number: the shape is that of logps."),
        Mistake(of(lambda apart: k3(apart).sum(dim=-1)),
                "You add up over the tokens. Each keeps its own number: the shape is that of logps."),
        Mistake(lambda logps, ref_logps: k3(ref_logps - logps.detach()), SLOPE_LOST),
    ),
    hints=("Name d = ref_logps - logps. The plain difference is -d. What else is there of d in the formula, and what "
           "does it give where d is 0?",
           "With d = ref_logps - logps it is d.exp() - d - 1."),
    properties=(Property("never negative", negative),
                Property("on average it is the Kullback-Leibler divergence", wrong_on_average)),
)
