"""Exercise 6c.1, far enough is enough: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def ipo_loss(chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor, ref_rejected_logps: Tensor,
             beta: float) -> Tensor:
    if beta <= 0:
        raise ValueError(f"beta is {beta}; give a number above 0.")
    losses = []
    for b in range(len(chosen_logps)):
        chosen_gained = chosen_logps[b] - ref_chosen_logps[b]
        rejected_gained = rejected_logps[b] - ref_rejected_logps[b]
        losses.append((chosen_gained - rejected_gained - 1 / (2 * beta)) ** 2)
    return torch.stack(losses)                                                   # (B,)


def ahead(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """How much more the chosen answer has gained than the rejected one: (B,)."""
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def checked(beta: float) -> None:
    if beta <= 0:
        raise ValueError("beta must be above 0")


def loses(loss: Callable[[Tensor, float], Tensor] = lambda h, beta: (h - 1 / (2 * beta)).square(),
          h: Callable = ahead, check: Callable[[float], None] = checked) -> Callable:
    """ipo_loss with one thing other than it should be."""
    def answer(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
        check(beta)
        return loss(h(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps), beta)
    return answer


def unchecked(beta):
    pass


def below_0_alone(beta):
    if beta < 0:
        raise ValueError("beta is below 0")


def asserted(beta):
    assert beta > 0, "beta must be above 0"


def returned(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta):
    if beta <= 0:
        return torch.zeros_like(chosen_logps)
    return loses()(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, beta)


def draw_pairs(draw: random.Random) -> list[tuple]:
    cases = [tuple(map(torch.tensor, ([-4.0], [-7.0], [-5.0], [-6.5]))) + (0.1,)]
    numbers = generator(draw)
    for B, beta, far in ((2, 0.1, 3.0), (3, 0.5, 2.0), (1, 1.0, 1.0), (4, 0.2, 4.0), (2, 0.0, 1.0), (5, 0.05, 9.0),
                         (3, -0.1, 1.0), (6, 2.0, 1.0), (7, 0.3, 3.0), (9, 0.1, 6.0)):
        refs = [-20 - 10 * torch.rand(B, generator=numbers) for _ in range(2)]
        moved = [ref + far * torch.randn(B, generator=numbers) for ref in refs]
        cases.append((*moved, *refs, beta))
    return cases


def prefers_a_side(answer) -> str | None:
    """As far beyond the goal as before it costs the same, and at the goal nothing does."""
    zeros = torch.zeros(3)
    chosen = torch.tensor([2.0, 2.5, 3.0])                                       # the goal is 2.5 at beta 0.2
    losses = answer(chosen, zeros.clone(), zeros.clone(), zeros.clone(), 0.2).tolist()
    if abs(losses[1]) < 1e-5 and abs(losses[0] - losses[2]) < 1e-5:
        return None
    return f"the goal lies at 2.5, and 2, 2.5 and 3 cost {', '.join(f'{loss:.4f}' for loss in losses)}."


EXERCISE = Exercise(
    id="6c.1", name="ipo_loss", title="Far enough is enough", minutes=15,
    oracle=ipo_loss, cases=draw_pairs, gradients=(0, 1), refuses=ValueError, tolerance=1e-4,
    mistakes=(
        Mistake(loses(lambda h, beta: (h - 1 / 2 * beta).square()),
                "1 / 2 * beta is half of beta: Python goes from left to right. The goal is 1 / (2 * beta)."),
        Mistake(loses(lambda h, beta: (h - 1 / beta).square()),
                "Your goal is 1 / beta, twice too far: it is 1 / (2 * beta)."),
        Mistake(loses(lambda h, beta: (h - 2 * beta).square()),
                "Your goal is upside down. A larger beta holds the model closer to the reference: 1 / (2 * beta)."),
        Mistake(loses(lambda h, beta: (beta * h - 0.5).square()),
                "You multiplied all of it by beta before squaring. The goal stays the same, and the loss is beta "
                "squared times too large or too small: (h - 1 / (2 * beta)) ** 2."),
        Mistake(loses(lambda h, beta: -F.logsigmoid(beta * h)),
                "That is DPO's loss. It falls for ever as h grows; this one has a goal, and its square grows on both "
                "sides of it."),
        Mistake(loses(lambda h, beta: (1 / (2 * beta) - h).clamp(min=0).square()),
                "Beyond the goal you let everything pass. A square grows on both sides: who went too far is to come "
                "back."),
        Mistake(loses(lambda h, beta: (h - 1 / (2 * beta)).abs()),
                "You take the distance to the goal. Its square was asked for."),
        Mistake(loses(lambda h, beta: h - 1 / (2 * beta)),
                "The square is missing: below the goal your loss is negative."),
        Mistake(loses(lambda h, beta: h.square()),
                "Your goal is 0, so that the chosen answer must gain no more than the rejected one. It is 1 / (2 * "
                "beta)."),
        Mistake(loses(lambda h, beta: (h + 1 / (2 * beta)).square()),
                "Your goal is -1 / (2 * beta), so that the rejected answer gains. Do you add it, or are chosen and "
                "rejected swapped?"),
        Mistake(loses(h=lambda chosen, rejected, ref_chosen, ref_rejected: chosen - rejected),
                "The reference is missing. What counts is how much an answer has gained since: its logp less that of "
                "the reference."),
        Mistake(loses(h=lambda chosen, rejected, ref_chosen, ref_rejected: (
                    chosen - rejected + ref_chosen - ref_rejected)),
                "You add the reference's difference. It is where the model began: take it off."),
        Mistake(loses(h=lambda chosen, rejected, ref_chosen, ref_rejected: chosen - ref_chosen),
                "You look at the chosen answer alone. How much has the rejected one gained meanwhile? That is taken "
                "off."),
        Mistake(loses(lambda h, beta: (h - 1 / (2 * beta)).square().mean()),
                "You take the mean over the batch. One loss for each pair was asked for: (B,)."),
        Mistake(loses(check=unchecked),
                "A beta of 0 or below has no goal to aim at. Refuse it: if beta <= 0, raise ValueError with a sentence "
                "that says what beta is."),
        Mistake(loses(check=below_0_alone),
                "A beta of 0 ends in 1 / 0. Refuse it as well: beta <= 0."),
        Mistake(loses(check=asserted),
                "An assert raises AssertionError, and Python leaves it out when it is run with -O. For a wrong "
                "argument raise ValueError."),
        Mistake(returned,
                "For a beta that cannot be, you return numbers, and nobody would notice. Raise ValueError."),
    ),
    hints=("Begin with h, which DPO multiplies by beta. What is different is what is made of it: a distance to a goal. "
           "On which side of the goal may the loss be 0?",
           "If beta <= 0, raise ValueError(...). Then h = (chosen_logps - ref_chosen_logps) - (rejected_logps - "
           "ref_rejected_logps), and the loss is (h - 1 / (2 * beta)) ** 2."),
    properties=(Property("too far costs as much as not far enough", prefers_a_side),),
)
