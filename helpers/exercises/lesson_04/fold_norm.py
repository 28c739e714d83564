"""Exercise 4.1, a norm without numbers of its own: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def fold_norm(gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    new_weight, new_bias = weight.clone(), bias.clone()
    for o in range(weight.shape[0]):
        for c in range(weight.shape[1]):
            new_weight[o, c] = weight[o, c] * gain[c]
            new_bias[o] += weight[o, c] * shift[c]
    return new_weight, new_bias


def folds(to_weight: Callable = lambda gain, weight: weight * gain,
          to_bias: Callable = lambda gain, shift, weight, bias: bias + weight @ shift) -> Callable:
    """fold_norm with one thing other than it should be."""
    def answer(gain, shift, weight, bias):
        return to_weight(gain, weight), to_bias(gain, shift, weight, bias)
    return answer


def in_place(gain, shift, weight, bias):
    bias += weight @ shift
    weight *= gain
    return weight, bias


def draw_layers(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([2.0, 10.0]), torch.tensor([1.0, 4.0]), torch.tensor([[1.0, 3.0]]), torch.tensor([5.0]))]
    numbers = generator(draw)
    for out, C in ((2, 2), (1, 3), (3, 2), (3, 3), (2, 5), (6, 3), (4, 4), (8, 5), (5, 7), (9, 6)):
        cases.append(tuple(torch.randn(*shape, generator=numbers) for shape in ((C,), (C,), (out, C), (out,))))
    return cases


def changes_function(answer) -> str | None:
    """A norm and a matrix give what the bare norm and the folded matrix give."""
    numbers = torch.Generator().manual_seed(4)
    x = torch.randn(6, 5, generator=numbers) * 20                                # (T, C)
    gain, shift, weight, bias = (torch.randn(*shape, generator=numbers) for shape in ((5,), (5,), (8, 5), (8,)))
    before = F.layer_norm(x, (5,), gain, shift) @ weight.T + bias                # (T, 8)
    new_weight, new_bias = answer(gain, shift, weight, bias)
    change = float((F.layer_norm(x, (5,)) @ new_weight.T + new_bias - before).detach().abs().max())
    return None if change < 1e-3 else f"after a bare norm, the folded matrix gives something else, by {change:.3g}."


EXERCISE = Exercise(
    id="4.1", name="fold_norm", title="A norm without numbers of its own", minutes=10,
    oracle=fold_norm, cases=draw_layers,
    mistakes=(
        Mistake(folds(to_weight=lambda gain, weight: weight * gain[:, None]),
                "You multiply the rows of the matrix. Each gain belongs to one channel that comes in, and those are "
                "the columns of (out, C): weight * gain."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias.clone()),
                "The bias stays as it was. The matrix multiplies the shift too, and what comes of it must go into the "
                "bias: weight @ shift."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias + shift),
                "You add the shift to the bias. The shift passes through the matrix first, (out, C) @ (C,) -> (out,)."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias + weight * gain @ shift),
                "You take the shift through the folded matrix, so it is multiplied by the gains too. It is added after "
                "them: use the matrix as it was."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: weight @ shift),
                "The old bias is lost: add weight @ shift to it."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias - weight @ shift),
                "The sign is wrong: the shift is added, so what becomes of it is added to the bias too."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias + weight.T @ shift),
                "If two sizes do not match: weight is (out, C), so it is weight @ shift, (out, C) @ (C,), without .T."),
        Mistake(folds(to_bias=lambda gain, shift, weight, bias: bias + (weight @ shift).sum()),
                "You add one number to all of the bias. Each row of the matrix makes its own: weight @ shift is "
                "(out,)."),
        Mistake(folds(to_weight=lambda gain, weight: weight / gain),
                "You divide by the gains. They multiply what comes in, so the numbers that meet it are multiplied."),
        Mistake(folds(to_weight=lambda gain, weight: weight @ gain),
                "By weight @ gain you add up over the channels, and one number a row is left. Multiply column by "
                "column: weight * gain, or weight @ gain.diag()."),
        Mistake(folds(to_weight=lambda gain, weight: (weight * gain).T),
                "Your matrix is turned, (C, out). Give it as it came: (out, C)."),
        Mistake(folds(to_weight=lambda gain, weight: weight.clone()),
                "The matrix stays as it was: the gains are nowhere. Multiply each column by its gain."),
        Mistake(folds(to_weight=lambda gain, weight: weight * (1 + gain)),
                "You multiply by 1 + gain. Some models store a gain so; here it is the number itself."),
        Mistake(in_place,
                "You write into the matrix and the bias that you were given: += and *= change a tensor itself. Write "
                "weight * gain, and bias + weight @ shift."),
        Mistake(lambda *given: fold_norm(*given)[0],
                "You give the matrix alone. Two things are asked for: return weight, bias."),
        Mistake(lambda *given: fold_norm(*given)[::-1],
                "Matrix and bias come in the wrong order: return weight, bias."),
    ),
    hints=("Write one number of the result as a sum: what comes in is x[c] * gain[c] + shift[c], and row o multiplies "
           "it by weight[o, c]. Which of its parts depend on x?",
           "Multiply out: (weight[o, c] * gain[c]) * x[c] + weight[o, c] * shift[c], summed over c. The first "
           "is a new matrix, weight * gain; the second, weight @ shift, goes to the bias."),
    properties=(Property("after a bare norm it is the same function", changes_function),),
)
