"""Exercises of lesson 00b, Tensors and slopes: what each check compares with, tries, and recognises."""
import math
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property


def generator(draw: random.Random) -> torch.Generator:
    """A generator of tensors that follows the generator of a check's inputs."""
    return torch.Generator().manual_seed(draw.randrange(2 ** 31))


# ---------------------------------------------------------------- 0b.1

def distances(a: Tensor, b: Tensor) -> Tensor:
    rows = []
    for one in a:
        rows.append(torch.stack([sum((one[d] - other[d]) ** 2 for d in range(len(one))) for other in b]))
    return torch.stack(rows)                                                     # (N, M)


def differences(a: Tensor, b: Tensor) -> Tensor:
    return a[:, None, :] - b[None, :, :]                                         # (N, M, D)


def draw_tables(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 1.0]])),
             (torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 2.0]]))]
    numbers = generator(draw)
    for N, M, D in ((3, 3, 2), (4, 1, 3), (1, 5, 2), (2, 4, 1), (3, 5, 4), (5, 4, 3), (4, 2, 6), (6, 3, 5)):
        cases.append((torch.randn(N, D, generator=numbers), torch.randn(M, D, generator=numbers)))
    return cases


def moved(answer) -> str | None:
    """Distances do not change when all points move alike."""
    numbers = torch.Generator().manual_seed(0)
    a, b = torch.randn(7, 3, generator=numbers), torch.randn(5, 3, generator=numbers)
    before, after = answer(a, b), answer(a + 2.0, b + 2.0)
    worst = float((before - after).detach().abs().max())
    return f"all points moved by 2.0, and a distance changed by {worst:.3g}." if worst > 1e-3 else None


DISTANCES = Exercise(
    id="0b.1", name="distances", title="How far is everything from everything?", minutes=15,
    oracle=distances, cases=draw_tables, gradients=(0, 1),
    mistakes=(
        Mistake(lambda a, b: ((a - b) ** 2).sum(dim=-1),
                "Your a - b pairs row 1 with row 1, row 2 with row 2, and stops where there are not equally many. "
                "Every row of a must meet every row of b: give a the shape (N, 1, D) and b the shape (1, M, D) first."),
        Mistake(lambda a, b: (differences(a, b) ** 2).sum(dim=1),
                "You add up over the rows of b: what is left is (N, D). The dimension that must disappear is D, "
                "the last: dim=-1."),
        Mistake(lambda a, b: (differences(b, a) ** 2).sum(dim=-1),
                "Rows and columns are swapped: result[n, m] belongs to row n of a and row m of b. The size-1 "
                "dimension goes after N in a, and before M in b."),
        Mistake(lambda a, b: (differences(a, b) ** 2).sum(dim=-1).sqrt(),
                "These are the distances themselves. Leave out the square root: what is nearest stays nearest, and "
                "the gradient of a square root at 0 is not finite."),
        Mistake(lambda a, b: (differences(a, b) ** 2).mean(dim=-1),
                "You take the mean over the D numbers. A distance grows with each of them: add up."),
        Mistake(lambda a, b: differences(a, b).sum(dim=-1),
                "You add up without squaring, so that +3 and -3 cancel and far points seem near."),
        Mistake(lambda a, b: differences(a, b).abs().sum(dim=-1),
                "You add up absolute values. That is a distance too (along the streets of a grid), but the squared one "
                "was asked for: ** 2 instead of abs."),
        Mistake(lambda a, b: a @ b.T,
                "The product a @ b.T holds the dot product of every row with every row: large for vectors that fit. "
                "You need how far they are apart: subtract, square, add up."),
    ),
    hints=("What shape has the table of all differences before you add up? It needs three dimensions: which row of a, "
           "which row of b, which number.",
           "With None in an index, a[:, None, :] is (N, 1, D) and b[None, :, :] is (1, M, D); their difference is "
           "(N, M, D). Square it and sum over dim=-1."),
    properties=(Property("distances stay when all points move alike", moved),),
)


# ---------------------------------------------------------------- 0b.2

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


ROLL = Exercise(
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
           "Before the loop: x = start.clone().requires_grad_() and a speed of zeros. In it: x.grad = None, then "
           "f(x).backward(), then, inside torch.no_grad(), speed = momentum * speed + x.grad and "
           "x -= learning_rate * speed."),
    properties=(Property("with enough steps it comes to rest at the bottom", misses_the_bottom),),
)


# ---------------------------------------------------------------- 0b.3

def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for text, wanted in zip(logits, targets.tolist()):
        for row, target in zip(text, wanted):                                    # (V,)
            if target >= 0:
                largest = max(row.tolist())
                total = sum((logit - largest).exp() for logit in row)
                losses.append(total.log() - (row[target] - largest))
    return sum(losses) / len(losses)


def picked(log_p: Tensor, targets: Tensor) -> Tensor:
    """The log p of each target, 0 where there is none: (B, T)."""
    chosen = log_p.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return chosen * (targets >= 0)


def mean_over_real(log_p: Tensor, targets: Tensor) -> Tensor:
    return -picked(log_p, targets).sum() / (targets >= 0).sum()


def by_powers(logits: Tensor, targets: Tensor) -> Tensor:
    """Powers, their share of the sum, its logarithm."""
    powers = logits.exp()
    return mean_over_real((powers / powers.sum(dim=-1, keepdim=True)).log(), targets)


def by_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """The logit minus the logarithm of the sum of the powers."""
    return mean_over_real(logits - logits.exp().sum(dim=-1, keepdim=True).log(), targets)


def cross_entropy_with_filling(logits, targets):
    V = logits.shape[-1]
    return -logits.log_softmax(dim=-1).gather(-1, (targets % V)[..., None]).mean()


def cross_entropy_by_text(logits, targets):
    each = picked(logits.log_softmax(dim=-1), targets).sum(dim=1) / (targets >= 0).sum(dim=1)         # (B,)
    return -each.mean()


def draw_batches(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[0]])),
             (torch.tensor([[[1.0, 0.0], [99.0, 100.0], [5.0, 5.0]]]), torch.tensor([[0, 1, -1]])),
             (torch.tensor([[[120.0, 119.0], [-2.0, 0.0], [0.0, 115.0]]]), torch.tensor([[0, 1, 0]]))]
    numbers = generator(draw)
    for B, T, V, level in ((2, 3, 4, 0), (3, 2, 5, 0), (3, 4, 2, 0), (4, 5, 3, 100), (2, 5, 6, 0), (5, 3, 7, -110)):
        logits = (torch.randn(B, T, V, generator=numbers) * 16).round() / 8 + level            # (B, T, V)
        targets = torch.randint(0, V, (B, T), generator=numbers)                               # (B, T)
        for b in range(B):
            targets[b, max(1, T - b):] = -1                                                    # ever shorter texts
        cases.append((logits, targets))
    return cases


def changed_by_shift(answer) -> str | None:
    numbers = torch.Generator().manual_seed(1)
    logits = (torch.randn(3, 4, 5, generator=numbers) * 16).round() / 8
    targets = torch.tensor([[0, 1, 2, 3], [4, 0, 1, -1], [2, -1, -1, -1]])
    shift = torch.tensor([-96.0, 0.0, 32.0, 96.0])[:, None]                                    # (T, 1)
    before, after = float(answer(logits, targets)), float(answer(logits + shift, targets))
    return None if abs(before - after) < 1e-4 else f"all logits of a place grew alike; {before:.4f} became {after:.4f}."


TOO_LARGE = ("The power of a large logit is infinite in a float32, and inf / inf is nan; very negative logits give log "
             "0. Subtract the largest logit of each place first: the probabilities stay the same.")
NOT_ITS_OWN = ("You subtract the largest logit of the whole batch. Where all logits of a place are far below it, all "
               "powers become 0. Subtract each place's own largest: max(dim=-1, keepdim=True).")

CROSS_ENTROPY = Exercise(
    id="0b.3", name="cross_entropy", title="A cross-entropy that survives", minutes=25,
    oracle=cross_entropy, cases=draw_batches, gradients=(0,),
    mistakes=(
        Mistake(by_powers, TOO_LARGE),
        Mistake(by_sum, TOO_LARGE),
        Mistake(lambda logits, targets: by_powers(logits - logits.max(), targets), NOT_ITS_OWN),
        Mistake(lambda logits, targets: by_sum(logits - logits.max(), targets), NOT_ITS_OWN),
        Mistake(lambda logits, targets: mean_over_real(logits.softmax(dim=-1).log(), targets),
                "A very small probability becomes 0 in a float32, and log 0 is infinite. Do not take the logarithm of "
                "the quotient: log p is the shifted logit minus the logarithm of the sum."),
        Mistake(lambda logits, targets: -picked(logits.log_softmax(dim=-1), targets).mean(),
                "You divide by B * T. Where the target is -1 nothing is predicted: divide by the number of places "
                "that have a target."),
        Mistake(cross_entropy_with_filling,
                "A target of -1 picks the last letter, as -1 does in every index. It means that there is nothing to "
                "predict: leave such places out."),
        Mistake(cross_entropy_by_text,
                "You take the mean of each text, then the mean of those: a letter in a short text counts more than "
                "one in a long text. Take one mean over all places with a target."),
        Mistake(lambda logits, targets: -picked(logits.log_softmax(dim=-1), targets).sum(),
                "This is the sum of the losses. Divide by the number of places that have a target, so that it does "
                "not depend on how much text there is."),
        Mistake(lambda logits, targets: mean_over_real(logits.log_softmax(dim=1), targets),
                "Your probabilities add up to 1 over the places of a text, not over the letters. The letters are the "
                "last dimension: dim=-1."),
        Mistake(lambda logits, targets: mean_over_real(logits.log_softmax(dim=-1), targets) / math.log(2),
                "These are bits: the loss in nats divided by log 2. Use the natural logarithm, torch.log."),
        Mistake(lambda logits, targets: -mean_over_real(logits.log_softmax(dim=-1), targets),
                "A loss is -log p, never below 0. The minus is missing."),
    ),
    hints=("Take one place: which number can you subtract from all its logits so that no power exceeds 1, and at least "
           "one is 1?",
           "Let shifted = logits - logits.max(dim=-1, keepdim=True).values; log p = shifted - the log of the sum of "
           "shifted.exp() over dim=-1. With real = targets >= 0, log_p[real] is (N, V): pick with "
           "gather(-1, targets[real][:, None])."),
    properties=(Property("the same number added to all logits of a place changes nothing", changed_by_shift),),
)

EXERCISES = (DISTANCES, ROLL, CROSS_ENTROPY)
