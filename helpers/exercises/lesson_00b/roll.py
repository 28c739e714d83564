"""Exercise 0b.2, a ball with momentum: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


class Valley:
    """A function of a tensor, with a name for the check's messages."""

    def __init__(self, name: str, height: Callable[[Tensor], Tensor]):
        self.name, self.height = name, height

    def __call__(self, x: Tensor) -> Tensor:
        return self.height(x)

    def __repr__(self) -> str:
        return self.name


BOWL = Valley("x²", lambda x: (x ** 2).sum())
FAR_BOWL = Valley("(x-3)²", lambda x: ((x - 3) ** 2).sum())
CONE = Valley("√(1+x²)", lambda x: (1 + x ** 2).sqrt().sum())
WAVES = Valley("x²/2+sin", lambda x: (x ** 2 / 2 + x.sin()).sum())
LINKED = Valley("(sum)²+x²", lambda x: x.sum() ** 2 / 8 + (x ** 2).sum())


def slope_at(f: Callable, x: Tensor) -> Tensor:
    x = x.detach().clone().requires_grad_()
    f(x).backward()
    return x.grad


def roll(f: Callable, start: Tensor, learning_rate: float, momentum: float, steps: int) -> Tensor:
    x = start.clone()
    speed = [0.0] * x.numel()
    for _ in range(steps):
        slopes = slope_at(f, x).flatten().tolist()
        places = x.flatten().tolist()
        for i, slope in enumerate(slopes):
            speed[i] = momentum * speed[i] + slope
            places[i] -= learning_rate * speed[i]
        x = torch.tensor(places).view(start.shape)
    return x


def rolling(speed_after=lambda old, slope, momentum: momentum * old + slope, direction: float = -1.0):
    """roll, with another speed or direction."""
    def answer(f, start, learning_rate, momentum, steps):
        x, speed = start.clone(), torch.zeros_like(start)
        for _ in range(steps):
            speed = speed_after(speed, slope_at(f, x), momentum)
            x = x + direction * learning_rate * speed
        return x
    return answer


def roll_late(f, start, learning_rate, momentum, steps):
    x, speed = start.clone(), torch.zeros_like(start)
    for _ in range(steps):
        slope = slope_at(f, x)
        x = x - learning_rate * speed
        speed = momentum * speed + slope
    return x


def recording(advance, forget=True):
    """roll by backward() on a tensor that is marked once; `advance` gives the next x."""
    def answer(f, start, learning_rate, momentum, steps):
        x, speed = start.clone().requires_grad_(), torch.zeros_like(start)
        for _ in range(steps):
            if forget:
                x.grad = None
            f(x).backward()
            speed = momentum * speed + (x.grad if x.is_leaf else None)           # PyTorch keeps none for a result
            x = advance(x, learning_rate * speed)
        return x
    return answer


def unrecorded(x: Tensor, by: Tensor) -> Tensor:
    with torch.no_grad():
        x -= by
    return x


def roll_with_first_slope(f, start, learning_rate, momentum, steps):
    first = slope_at(f, start)
    return rolling(lambda old, slope, momentum: momentum * old + first)(f, start, learning_rate, momentum, steps)


def roll_in_place(f, start, learning_rate, momentum, steps):
    x, speed = start, torch.zeros_like(start)
    for _ in range(steps):
        speed = momentum * speed + slope_at(f, x)
        x -= learning_rate * speed
    return x


def draw_rolls(draw: random.Random) -> list[tuple]:
    cases = [(BOWL, torch.tensor([1.0]), 0.1, 0.5, 1), (BOWL, torch.tensor([1.0]), 0.1, 0.5, 2),
             (FAR_BOWL, torch.tensor([0.0, 5.0]), 0.1, 0.0, 3), (WAVES, torch.tensor([2.0, -1.0, 0.5]), 0.2, 0.9, 0),
             (FAR_BOWL, torch.tensor(1.0), 0.05, 0.8, 4)]
    numbers = generator(draw)
    for shape in ((4,), (2, 3), (5,), (3, 1), (6, 2), (2, 3, 4)):
        valley = draw.choice((FAR_BOWL, CONE, WAVES, LINKED))
        cases.append((valley, torch.randn(shape, generator=numbers), draw.uniform(0.02, 0.1), draw.uniform(0.3, 0.9),
                      draw.randint(3, 9)))
    return cases


def misses_the_bottom(answer) -> str | None:
    end = answer(FAR_BOWL, torch.tensor([-4.0, 9.0]), 0.05, 0.8, 300)
    worst = float((end.detach() - 3).abs().max())
    return None if worst < 1e-3 else f"after 300 steps down (x-3)² it is still {worst:.3g} away from 3."


EXERCISE = Exercise(
    id="0b.2", name="roll", title="A ball with momentum", minutes=20,
    oracle=roll, cases=draw_rolls,
    mistakes=(
        Mistake(rolling(direction=1.0),
                "The ball rolls uphill. The gradient points to where f grows: move against it, with a minus."),
        Mistake(recording(unrecorded, forget=False),
                "The gradients of all steps so far are added up, because backward() adds to x.grad. Set x.grad = None "
                "before each backward()."),
        Mistake(rolling(lambda old, slope, momentum: slope),
                "The momentum has no effect: each speed is the gradient alone. Keep the old speed between steps and "
                "multiply it by momentum before you add the gradient."),
        Mistake(rolling(lambda old, slope, momentum: momentum * old + (1 - momentum) * slope),
                "You weight the gradient with 1 - momentum, which gives an average of gradients. Other optimisers do "
                "that; here the gradient is added whole: momentum * speed + gradient."),
        Mistake(roll_late,
                "You move first and renew the speed afterwards, so that every step uses the speed of the step before, "
                "and the first does not move at all. First the speed, then x."),
        Mistake(roll_with_first_slope,
                "The gradient is found once, at the start, and used in every step. It must be found anew wherever the "
                "ball is: put f(x).backward() inside the loop."),
        Mistake(roll_in_place,
                "Your x is the caller's own tensor, and -= changes it in place. Begin with start.clone()."),
        Mistake(recording(lambda x, by: x - by),
                "After x = x - ..., x is the result of an operation, and PyTorch keeps .grad only for tensors that "
                "are none: in the second step x.grad is None. Change x in place (x -= ...) inside torch.no_grad()."),
        Mistake(recording(lambda x, by: (x - by).detach()),
                "Inside torch.no_grad(), x = x - ... makes a new tensor without requires_grad, and the second "
                "backward() finds no record. Change the same tensor in place: x -= ...."),
        Mistake(recording(Tensor.sub_),
                "A RuntimeError in the first step has one of two reasons. Either x was never marked with "
                "requires_grad_(), so that there is no record to walk back; or it is changed in place while PyTorch "
                "records: move it inside torch.no_grad()."),
    ),
    hints=("It is descend of the lesson with one more tensor, the speed, which lives as long as the loop. What belongs "
           "inside torch.no_grad()?",
           "Before the loop: x = start.clone().requires_grad_(), which marks a tensor that is there already as "
           "requires_grad=True marks a new one, and a speed of zeros. In it: x.grad = None, then f(x).backward(), "
           "then, inside torch.no_grad(), speed = momentum * speed + x.grad and x -= learning_rate * speed."),
    properties=(Property("with enough steps it comes to rest at the bottom", misses_the_bottom),),
)
