"""An exercise for tests of the check: small, with a property and a gradient."""
import torch

from helpers.exercises.exercise import Exercise, Mistake, Property


def double_rows(x, n):
    return torch.stack([row * n for row in x]) if len(x) else x


SAME_SUM = Property("doubling twice is doubling by four", lambda answer: None if torch.equal(
    answer(answer(torch.ones(2, 3), 2), 2), 4 * torch.ones(2, 3)) else "ones became other than fours.")
DOUBLE = Exercise(
    id="9.1", name="double", title="Double", minutes=1, oracle=double_rows, gradients=(0,),
    cases=lambda draw: [(torch.full((rows, rows + 1), draw.uniform(1, 2)), 2) for rows in range(1, 6)],
    mistakes=(Mistake(lambda x, n: x + n, "You add."), Mistake(lambda x, n: x ** n, "You raise."),
              Mistake(lambda x, n: (x * n).detach(), "You cut the gradient off.")),
    hints=("Nudge.", "Key."), properties=(SAME_SUM,))
