"""Exercise 5.2, a learning rate that can wait: what its check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property


def stable_schedule(at: Tensor, steps: int, warmup: int, decay: int) -> Tensor:
    shares = []
    for step in at.tolist():
        if step < warmup:
            shares.append((step + 1) / warmup)
        elif step >= steps - decay:
            shares.append((steps - step) / decay)
        else:
            shares.append(1.0)
    return torch.tensor(shares)


def plans(up: Callable = lambda step, warmup: (step + 1) / warmup,
          down: Callable = lambda left, decay: left / decay,
          begins: Callable = lambda steps, warmup, decay: steps - decay,
          top: Callable = lambda shares: shares) -> Callable:
    """stable_schedule with one thing other than it should be. left: steps to the end, this one included."""
    def answer(at, steps, warmup, decay):
        shares = [up(step, warmup) if step < warmup else
                  down(steps - step, decay) if step >= begins(steps, warmup, decay) else 1.0 for step in at.tolist()]
        return top(torch.tensor(shares, dtype=torch.float32))
    return answer


def falls_all_the_way(at, steps, warmup, decay):
    shares = stable_schedule(at, steps, warmup, decay)
    return torch.where(at < warmup, shares, (steps - at) / max(1, steps - warmup))


def divides_by_zero(at, steps, warmup, decay):
    return torch.tensor([min(1.0, (step + 1) / warmup, (steps - step) / decay) for step in at.tolist()])


def minimum_is_largest(at, steps, warmup, decay):
    return torch.maximum((at + 1) / max(warmup, 1), (steps - at) / max(decay, 1)).clamp(max=1.0)


def for_every_step(at, steps, warmup, decay):
    return stable_schedule(torch.arange(steps), steps, warmup, decay)


def draw_steps(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([0]), 1, 0, 0), (torch.arange(8), 8, 2, 4), (torch.tensor([5, 1]), 8, 2, 4),
             (torch.arange(6), 6, 3, 3), (torch.arange(5), 5, 0, 2), (torch.arange(5), 5, 2, 0),
             (torch.tensor([9, 8, 0]), 10, 1, 1), (torch.tensor([3, 2, 1, 0]), 4, 1, 3)]
    for steps in (9, 20, 50, 77, 300, 1000):
        warmup, decay = draw.randint(2, steps // 4), draw.randint(2, steps // 3)
        cases.append((torch.tensor(draw.sample(range(steps), min(steps, 16 + len(cases)))), steps, warmup, decay))
    return [*cases, (torch.tensor([10, 30, 59, 60, 99]), 100, 60, 40)]


def depends_on_length(answer) -> str | None:
    at = torch.tensor([0, 4, 10, 60, 79])
    short, long = (answer(at, steps, 10, 20).tolist() for steps in (100, 5000))
    for step, one, other in zip(at.tolist(), short, long):
        if abs(one - other) > 1e-6:
            return f"step {step} has {one:.4g} in a training of 100 steps and {other:.4g} in one of 5,000."
    return None


EXERCISE = Exercise(
    id="5.2", name="stable_schedule", title="A learning rate that can wait", minutes=10,
    oracle=stable_schedule, cases=draw_steps,
    mistakes=(
        Mistake(plans(up=lambda step, warmup: step / warmup),
                "Your first step has a share of 0 and moves nothing. It has 1 / warmup: (at + 1) / warmup."),
        Mistake(plans(up=lambda step, warmup: (step + 1) / (warmup + 1)),
                "Your way up has one step too many: the last of the warm-up has 1 already, (at + 1) / warmup."),
        Mistake(plans(up=lambda step, warmup: 1.0),
                "The way up is missing: the first `warmup` steps rise from 1 / warmup to 1."),
        Mistake(plans(down=lambda left, decay: (left - 1) / decay),
                "Your last step has a share of 0 and moves nothing. It has 1 / decay: (steps - at) / decay."),
        Mistake(plans(down=lambda left, decay: left / (decay + 1)),
                "Your way down is divided by decay + 1. The first of its steps has 1 still, the last 1 / decay."),
        Mistake(plans(down=lambda left, decay: 1.0),
                "The way down is missing: the last `decay` steps fall from 1 to 1 / decay."),
        Mistake(plans(down=lambda left, decay: 1 - left / decay),
                "Your way down is the wrong way round: it rises. Count the steps that are left, steps - at."),
        Mistake(plans(down=lambda left, decay: (1 - math.cos(math.pi * left / decay)) / 2),
                "You go down along a cosine wave, as the lesson does. Here it is a straight line."),
        Mistake(falls_all_the_way,
                "You begin to fall just after the warm-up. The rate stays at 1 until `decay` steps are left."),
        Mistake(plans(begins=lambda steps, warmup, decay: warmup + decay),
                "You take warmup + decay for the step where the way down begins. It takes up the last `decay` steps, "
                "and begins at steps - decay."),
        Mistake(divides_by_zero,
                "With a warm-up or decay of 0 you divide by 0. Nothing lies in it then: max(warmup, 1) helps."),
        Mistake(minimum_is_largest,
                "You take the larger of both lines. Whichever is lower holds: the smaller, and at most 1."),
        Mistake(lambda at, steps, warmup, decay: stable_schedule(at, steps, decay, warmup),
                "Warm-up and decay are swapped."),
        Mistake(plans(top=torch.floor),
                "Your shares are whole numbers: // cuts off what is behind the point. Use /."),
        Mistake(for_every_step,
                "You give the shares of all steps. Give those of the steps in `at`, in their order."),
        Mistake(plans(top=lambda shares: shares.tolist()), "You give a list. torch.tensor(...) makes a tensor of it."),
    ),
    hints=("Draw the line of the way up, and that of the way down, both as if they went on for ever. Which of the two, "
           "or 1, holds at a step?",
           "The smallest of (at + 1) / max(warmup, 1), (steps - at) / max(decay, 1) and 1: torch.minimum, then "
           ".clamp(max=1)."),
    properties=(Property("until it falls, it does not know how long the training will be", depends_on_length),),
)
