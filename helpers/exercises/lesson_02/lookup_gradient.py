"""Exercise 2.1, the gradient of a lookup: what its check compares with, tries, and recognises."""
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator


def lookup_gradient(ids: Tensor, grad: Tensor, rows: int) -> Tensor:
    C = grad.shape[-1]
    result = torch.zeros(rows, C)
    for id, row in zip(ids.flatten().tolist(), grad.reshape(-1, C)):
        for c in range(C):
            result[id, c] += row[c]
    return result                                                                # (V, C)


def flat(ids: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """All tokens of all texts in one row: (N,) and (N, C)."""
    return ids.flatten(), grad.flatten(0, -2)


def added(ids: Tensor, grad: Tensor, rows: int) -> Tensor:
    """lookup_gradient of ids (N,) and grad (N, C), in one line."""
    return torch.zeros(rows, grad.shape[-1]).index_add_(0, ids, grad)


def add_in_place(ids, grad, rows):
    result = torch.zeros(rows, grad.shape[-1])
    result[ids] += grad
    return result


def keep_the_first(ids, grad, rows):
    return add_in_place(*(one.flip(0) for one in flat(ids, grad)), rows)


def mean_of_repeats(ids, grad, rows):
    ids, grad = flat(ids, grad)
    return added(ids, grad, rows) / ids.bincount(minlength=rows).clamp(min=1)[:, None]


def text_by_text(ids, grad, rows):
    if ids.dim() == 1:
        return added(ids, grad, rows)
    return torch.stack([added(one, two, rows) for one, two in zip(ids, grad)])


def first_text_alone(ids, grad, rows):
    return added(ids, grad, rows) if ids.dim() == 1 else added(ids[0], grad[0], rows)


def last_text_alone(ids, grad, rows):
    result = torch.zeros(rows, grad.shape[-1])
    for one, two in zip(*((ids, grad) if ids.dim() > 1 else (ids[None], grad[None]))):
        result = added(one, two, rows)
    return result


def token_by_token(ids, grad, rows):
    """Goes through the first dimension alone, which in a batch is the texts."""
    result = torch.zeros(rows, grad.shape[-1])
    for id, one in zip(ids, grad):
        result[id] += one
    return result


def for_batches_alone(ids, grad, rows):
    B, T = ids.shape                                                             # an error for one text, (T,)
    return added(*flat(ids, grad), rows)


def rows_that_occur(ids, grad, rows):
    ids, grad = flat(ids, grad)
    return torch.stack([grad[ids == id].sum(dim=0) for id in ids.unique()])


def once_more_for_each_place(ids, grad, rows):
    result = torch.zeros(rows, grad.shape[-1])
    for id in ids.flatten():
        result[id] += grad[ids == id].sum(dim=0)
    return result


def first_channel_alone(ids, grad, rows):
    ids, grad = flat(ids, grad)
    return torch.zeros(rows, grad.shape[-1]).scatter_add_(0, ids[:, None], grad)


def without_row_0(ids, grad, rows):
    ids, grad = flat(ids, grad)
    return added(ids[ids > 0], grad[ids > 0], rows)


def draw_batches(draw: random.Random) -> list[tuple]:
    cases = [(torch.tensor([1]), torch.tensor([[5.0, 6.0]]), 3),
             (torch.tensor([2, 0, 2]), torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]), 4),
             (torch.tensor([[0], [1]]), torch.tensor([[[1.0]], [[2.0]]]), 2)]
    numbers = generator(draw)
    for shape, C, V in (((5,), 2, 3), ((2, 3), 2, 6), ((4, 1), 3, 5), ((7,), 1, 9), ((3, 6), 4, 5), ((4, 5), 3, 30),
                        ((6, 4), 5, 8), ((2, 9), 2, 7)):
        ids = torch.randint(0, max(2, V - 1), shape, generator=numbers)
        grad = (torch.randn(*shape, C, generator=numbers) * 8).round() / 4       # sums of quarters are exact
        cases.append((ids, grad, V))
    return cases


def other_than_backward(answer) -> str | None:
    """The loss is the sum of the looked-up rows' squares, whose slope is twice each row."""
    table = torch.tensor([[1.0, -2.0], [0.5, 3.0], [4.0, 0.0], [-1.0, 1.0]], requires_grad=True)
    ids = torch.tensor([[1, 1, 3], [1, 0, 3]])
    rows = table[ids]
    (rows ** 2).sum().backward()
    mine = answer(ids, 2 * rows.detach(), len(table)).detach()
    wrong = ((mine - table.grad).abs().amax(dim=1) > 1e-4).nonzero().flatten().tolist()
    return f"row {wrong[0]}: {mine[wrong[0]].tolist()}, and backward() leaves {table.grad[wrong[0]].tolist()}." \
        if wrong else None


EXERCISE = Exercise(
    id="2.1", name="lookup_gradient", title="The gradient of a lookup", minutes=15,
    oracle=lookup_gradient, cases=draw_batches,
    mistakes=(
        Mistake(add_in_place,
                "Where an id occurs more than once, only its last gradient is left: result[ids] += grad reads all "
                "rows first, adds, and then writes each, one over the other. Add them one after another: "
                "index_add_, or a loop."),
        Mistake(keep_the_first,
                "Where an id occurs more than once, only its first gradient is left. Each place at which a row was "
                "looked up adds its own."),
        Mistake(mean_of_repeats,
                "You take the mean of the gradients of a row that occurs several times. Each of its places pulls at "
                "the loss, so the slopes add up."),
        Mistake(lambda ids, grad, rows: added(*flat(ids, grad), int(ids.max()) + 1),
                "Your result ends at the largest id in the batch. The table has `rows` rows: those that nobody "
                "looked up get zeros, also at its end."),
        Mistake(rows_that_occur,
                "Your result has a row for each id that occurs. The table has `rows` rows, and each stays in its "
                "place: those that nobody looked up get zeros."),
        Mistake(text_by_text,
                "You make a table for each text. All texts share one table, so add up over the texts too: the result "
                "is (V, C)."),
        Mistake(first_text_alone, "You use the first text alone. Go through all of them: ids.flatten() is one row of "
                                  "all ids."),
        Mistake(last_text_alone, "You begin a new result for each text, so the last one alone is left. Make the zeros "
                                 "once, before the loop."),
        Mistake(added,
                "If index_add_ refuses: it takes a row of ids, (N,), and as many rows of gradients, (N, C). With a "
                "batch, flatten the ids, and bring grad into that form with grad.flatten(0, -2)."),
        Mistake(token_by_token,
                "In a batch, your loop goes through texts, not tokens, and result[ids of a text] += loses what is "
                "repeated in it. Flatten both first: ids.flatten() and grad.flatten(0, -2)."),
        Mistake(for_batches_alone,
                "The ids are (B, T) or (T,), and B, T = ids.shape fails for the second. ids.flatten() makes one row of "
                "either."),
        Mistake(lambda ids, grad, rows: F.one_hot(ids.flatten(), rows).T @ grad.flatten(0, -2),
                "An error on every input mostly has one of two reasons. one_hot gives whole numbers, and a matrix "
                "product takes no mixture: put .float() behind it. And grad.flatten() melts the channels too: "
                "grad.flatten(0, -2) leaves them."),
        Mistake(once_more_for_each_place,
                "At each place of an id you add the gradients of all its places, so they count several times. Add at "
                "each place its own, or go through the different ids once."),
        Mistake(first_channel_alone,
                "Your scatter_add_ moves as many numbers as its index has, one for each token. It needs the id for "
                "each channel too: ids[:, None].expand(-1, C). index_add_ moves whole rows."),
        Mistake(lambda ids, grad, rows: added(*flat(ids, grad), rows).T,
                "Your result lies on its side: it is (C, V). It has the shape of the table, (V, C)."),
        Mistake(lambda ids, grad, rows: -added(*flat(ids, grad), rows),
                "You have the minus of a step downhill. The gradient itself was asked for: the optimiser does the "
                "rest."),
        Mistake(lambda ids, grad, rows: added(ids.flatten(), torch.ones_like(flat(ids, grad)[1]), rows),
                "You count how often each row was looked up. Add up the gradients that came back to it."),
        Mistake(lambda ids, grad, rows: added(*flat(ids, grad), rows) / ids.numel(),
                "You divide by the number of tokens. Where the loss is a mean, grad holds that division already: add "
                "up, no more."),
        Mistake(without_row_0,
                "Row 0 gets nothing, and id 0 is a token like any other. Does a line of yours ask `if id` or ids > 0?"),
    ),
    hints=("Each looked-up row is a copy. If a row was copied twice, how much does the loss grow when that row grows "
           "by a little?",
           "Begin with torch.zeros(rows, C). Then result.index_add_(0, ids.flatten(), grad.flatten(0, -2)) adds each "
           "gradient to the row of its id, in place."),
    properties=(Property("backward() leaves the same in table.grad", other_than_backward),),
)
