"""Exercise 5.5, steps of one length: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator

Betas = tuple[float, float]


def lion(weight: Tensor, gradient: Tensor, momentum: Tensor, lr: float, betas: Betas, weight_decay: float
         ) -> tuple[Tensor, Tensor]:
    moved, kept = [], []
    for w, g, m in zip(*(each.flatten().tolist() for each in (weight, gradient, momentum))):
        mixed = betas[0] * m + (1 - betas[0]) * g
        sign = 1 if mixed > 0 else -1 if mixed < 0 else 0
        moved.append(w - lr * sign - lr * weight_decay * w)
        kept.append(betas[1] * m + (1 - betas[1]) * g)
    return torch.tensor(moved).view(weight.shape), torch.tensor(kept).view(weight.shape)


def mix(share: float, old: Tensor, new: Tensor) -> Tensor:
    return share * old + (1 - share) * new


def to_memory(m: Tensor, g: Tensor, betas: Betas) -> Tensor:
    return mix(betas[1], m, g)


def pulled(w: Tensor, turn: Tensor, lr: float, decay: float) -> Tensor:
    return w - lr * (turn + decay * w)


def steps(mixed: Callable = lambda m, g, betas: mix(betas[0], m, g), kept: Callable = to_memory,
          turn: Callable[[Tensor], Tensor] = torch.sign, move: Callable = pulled) -> Callable:
    """lion with one thing other than it should be."""
    def answer(weight, gradient, momentum, lr, betas, weight_decay):
        return (move(weight, turn(mixed(momentum, gradient, betas)), lr, weight_decay),
                kept(momentum, gradient, betas))
    return answer


def with_decay_in_the_slope(weight, gradient, momentum, lr, betas, weight_decay):
    return steps(move=lambda w, turn, lr, decay: w - lr * turn)(
        weight, gradient + weight_decay * weight, momentum, lr, betas, weight_decay)


def moved_then_pulled(w, turn, lr, decay):
    moved = w - lr * turn
    return moved - lr * decay * moved


def draw_steps(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, -4.0, 0.0]), torch.tensor([-0.1, 0.2, 0.0]),
              0.1, (0.9, 0.99), 0.5),
             (torch.tensor([2.0]), torch.tensor([-3.0]), torch.tensor([0.0]), 0.5, (0.9, 0.99), 0.0)]
    numbers = generator(draw)
    for shape, lr, betas, decay, speed in (
            ((2, 2), 0.1, (0.9, 0.99), 0.5, 1), ((4,), 0.02, (0.9, 0.99), 1.0, 0), ((2, 3), 0.3, (0.95, 0.98), 0.3, 1),
            ((5, 2), 0.05, (0.8, 0.9), 0.0, 2), ((3, 4), 0.1, (0.5, 0.6), 2.0, 1), ((1, 6), 1.0, (0.9, 0.99), 0.1, 1),
            ((4, 5), 0.2, (0.95, 0.98), 0.8, 0), ((7, 3), 0.03, (0.9, 0.99), 3.0, 2),
            ((2, 3, 4), 0.1, (0.6, 0.8), 0.4, 1), ((8, 6), 0.4, (0.7, 0.9), 0.2, 1)):
        weight, gradient, momentum = (torch.randn(shape, generator=numbers) for _ in range(3))
        momentum *= speed * (1 - betas[0]) / betas[0]                            # often as strong as the slope
        still = torch.rand(shape, generator=numbers) < 0.15                      # these weights had no slope so far
        gradient, momentum = gradient.masked_fill(still, 0.0), momentum.masked_fill(still, 0.0)
        undecided = mix(betas[0], momentum, gradient)                            # no sign may hang on a rounding
        gradient = gradient + (undecided.abs() < 0.02) * undecided.sign()
        cases.append((weight, gradient, momentum, lr, betas, decay))
    return cases


def minds_units(answer) -> str | None:
    """The same slopes in other units must move the weights alike."""
    numbers = torch.Generator().manual_seed(11)
    weight, gradient, momentum = (torch.randn(4, 5, generator=numbers) for _ in range(3))
    given = 0.1, (0.9, 0.99), 0.5
    wanted, _ = lion(weight, gradient, momentum, *given)
    for power in (-40, 40):
        moved, _ = answer(weight.clone(), gradient * 2.0 ** power, momentum * 2.0 ** power, *given)
        gap = float((moved - wanted).detach().abs().max())
        if not gap < 1e-5:
            return f"with slopes and momentum {2.0 ** power:.2g} times as large, a weight ends {gap:.3g} elsewhere."
    return None


EXERCISE = Exercise(
    id="5.5", name="lion", title="Steps of one length", minutes=15,
    oracle=lion, cases=draw_steps,
    mistakes=(
        Mistake(steps(lambda m, g, betas: g),
                "You take the sign of the slope alone. The direction is a mixture: betas[0] of the momentum, the rest "
                "of the slope."),
        Mistake(steps(to_memory),
                "You step along the new momentum. The direction is a mixture of its own, by betas[0]; betas[1] is for "
                "what is kept."),
        Mistake(steps(lambda m, g, betas: mix(betas[0], to_memory(m, g, betas), g)),
                "You renew the momentum first and mix the new one, as Muon does. Lion mixes the slope with the "
                "momentum that came in."),
        Mistake(steps(lambda m, g, betas: mix(betas[0], m, g), lambda m, g, betas: mix(betas[0], m, g)),
                "What you keep is the mixture of the direction. The momentum has a mixture of its own, by betas[1], "
                "that forgets more slowly."),
        Mistake(steps(to_memory, lambda m, g, betas: mix(betas[0], m, g)),
                "The two betas are swapped: betas[0] is for the direction, betas[1] for what is kept."),
        Mistake(steps(lambda m, g, betas: mix(betas[0], g, m), lambda m, g, betas: mix(betas[1], g, m)),
                "The shares are swapped: beta is the share of the old momentum, and the slope gets 1 - beta."),
        Mistake(steps(kept=lambda m, g, betas: m),
                "You give back the momentum that came in. The next step needs it mixed with this slope, by betas[1]."),
        Mistake(steps(kept=lambda m, g, betas: betas[1] * m + g),
                "You keep betas[1] of the momentum and add the whole slope, as the lesson's first momentum does. Here "
                "the slope gets the share 1 - betas[1]."),
        Mistake(steps(turn=lambda mixed: mixed),
                "The sign is missing: you step by the mixture itself, so that steep slopes still take long steps."),
        Mistake(steps(turn=lambda mixed: torch.where(mixed >= 0, 1.0, -1.0)),
                "Where the mixture is 0 you step as if it were positive. The sign of 0 is 0: nothing has pushed "
                "there."),
        Mistake(steps(turn=lambda mixed: mixed / (mixed.abs() + 1e-8)),
                "You divide by the size plus a little. Slopes as small as that little then take shorter steps. "
                "torch.sign needs no such help."),
        Mistake(steps(move=lambda w, turn, lr, decay: w + lr * turn - lr * decay * w),
                "You climb: the step goes against the sign of the mixture, weight - lr * sign."),
        Mistake(steps(move=lambda w, turn, lr, decay: w - lr * turn),
                "The weight decay is missing: lr * weight_decay * weight comes off as well."),
        Mistake(steps(move=lambda w, turn, lr, decay: w - lr * turn - decay * w),
                "You take off weight_decay * weight. As in AdamW, the pull is multiplied by lr too."),
        Mistake(steps(move=moved_then_pulled),
                "You step first, and then pull at the weight that has moved. The pull is at the weight as it was, "
                "lr * weight_decay * weight."),
        Mistake(with_decay_in_the_slope,
                "You add the decay to the slope, the old way (L2), and the sign swallows it. As in AdamW, it comes off "
                "the weight, beside the step."),
        Mistake(lambda *given: lion(*given)[::-1], "The order is wrong: return the weight, then the momentum."),
        Mistake(lambda *given: lion(*given)[0],
                "You give the weight alone. The next step needs the momentum too: return both."),
    ),
    hints=("There are two mixtures of the same two tensors, and both are made from the momentum that came in. Which "
           "one decides where to go now, and which one is remembered?",
           "The sign is (betas[0] * momentum + (1 - betas[0]) * gradient).sign(). The weight becomes weight - lr * "
           "(sign + weight_decay * weight), and the momentum betas[1] * momentum + (1 - betas[1]) * gradient."),
    properties=(Property("a loss in other units moves the weights alike", minds_units),),
)
