"""Exercise 2.3, an analogy by multiplying: what its check compares with, tries, and recognises."""
import math
import random

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property, generator, unit

CLOSE = 1e-3                                                  # no two best candidates of an input are so close


def analogy(table: Tensor, a: int, b: int, c: int) -> int:
    values = scores_in_loops(table, a, b, c)
    return max(values, key=values.__getitem__)


def scores_in_loops(table: Tensor, a: int, b: int, c: int) -> dict[int, float]:
    """The score of each row that is not asked about."""
    rows = table.double().tolist()

    def near(i: int, j: int) -> float:
        dot = sum(x * y for x, y in zip(rows[i], rows[j]))
        return (dot / math.hypot(*rows[i]) / math.hypot(*rows[j]) + 1) / 2

    return {d: near(d, b) * near(d, c) / (near(d, a) + 0.001) for d in range(len(rows)) if d not in (a, b, c)}


def product(near_a: Tensor, near_b: Tensor, near_c: Tensor) -> Tensor:
    return near_b * near_c / (near_a + 0.001)


def analogies(score=product, move=lambda cosine: (cosine + 1) / 2, prepare=unit, leave_out="abc", pick=torch.argmax):
    """analogy with one thing other than it should be."""
    def answer(table, a, b, c):
        rows = prepare(table)
        near = [move(rows @ rows[given]) for given in (a, b, c)]                 # 3 * (V,)
        scores = score(*near).nan_to_num(posinf=torch.inf, neginf=-torch.inf)
        scores[[given for given, name in zip((a, b, c), "abc") if name in leave_out]] = -torch.inf
        return int(pick(scores))
    return answer


def on_raw_vectors(table, a, b, c):
    target = table[b] - table[a] + table[c]
    scores = unit(table) @ (target / target.norm())
    scores[[a, b, c]] = -torch.inf
    return int(scores.argmax())


def nearest_to_raw_sum(table, a, b, c):
    apart = (table - (table[b] - table[a] + table[c])).norm(dim=-1)
    apart[[a, b, c]] = torch.inf
    return int(apart.argmin())


def raw_sum_itself(table, a, b, c):
    return int((unit(table) @ (table[b] - table[a] + table[c])).argmax())


def one_side_unit(table, a, b, c):
    near = [(unit(table) @ table[given] + 1) / 2 for given in (a, b, c)]
    scores = product(*near)
    scores[[a, b, c]] = -torch.inf
    return int(scores.argmax())


def place_among_the_others(table, a, b, c):
    best = analogy(table, a, b, c)
    return best - sum(given < best for given in {a, b, c})


def turned(angles: list[float], lengths: list[float]) -> Tensor:
    """Vectors in the plane, by their angles in degrees."""
    return torch.tensor([[size * math.cos(math.radians(angle)), size * math.sin(math.radians(angle))]
                         for angle, size in zip(angles, lengths)])


def clear(case: tuple) -> bool:
    """Whether the best candidate is clearly the best, or the only one."""
    best = sorted(scores_in_loops(*case).values())[-1:-3:-1]
    return len(best) < 2 or best[0] - best[1] > CLOSE


def draw_tables(draw: random.Random) -> list[tuple]:
    opposite = turned([0, 15, -15, 25, 0], [2, 1, 1, 3, 1])
    opposite[0], opposite[4] = torch.tensor([2.0, 0.0]), torch.tensor([-4.0, 0.0])
    capitals = torch.tensor([[4.0, 0.0, 0.0], [4.0, 0.0, 2.0], [1.0, 4.0, 0.0], [1.0, 3.0, 0.0], [0.0, 2.0, 3.0]])
    cases = [(turned([0, 60, 30, 200], [1, 1, 1, 1]), 0, 1, 2), (capitals, 0, 1, 2),
             (opposite, 0, 1, 2), (opposite[[3, 4, 2, 0, 1]], 3, 4, 2),
             (turned([0, 20, -20, 90, 200, 160], [1, 2, 1, 1, 3, 1]), 0, 1, 2)]
    numbers = generator(draw)
    for V, C in ((5, 2), (6, 2), (6, 3), (7, 3), (8, 4), (9, 3), (12, 5), (15, 4), (20, 6), (25, 3), (30, 8)) * 3:
        case = draw_question(draw, numbers, V, C)
        while not clear(case):
            case = draw_question(draw, numbers, V, C)
        cases.append(case)
    return cases


def draw_question(draw: random.Random, numbers: torch.Generator, V: int, C: int) -> tuple:
    table = torch.randn(V, C, generator=numbers) + torch.randn(C, generator=numbers) * draw.choice((0, 1))
    table *= torch.rand(V, 1, generator=numbers) * 3 + 0.3                       # rows of many lengths
    return table, *draw.sample(range(V), 3)


def swayed_by_length(answer) -> str | None:
    numbers = torch.Generator().manual_seed(3)
    table = torch.randn(12, 4, generator=numbers)
    for row in range(12):
        longer = table.clone()
        longer[row] *= 50
        before, after = (int(answer(one, 0, 1, 2)) for one in (table, longer))
        if before != after:
            return f"row {row} became 50 times as long, and the answer went from {before} to {after}."
    return None


EXERCISE = Exercise(
    id="2.3", name="analogy", title="An analogy by multiplying", minutes=20,
    oracle=analogy, cases=draw_tables,
    mistakes=(
        Mistake(analogies(leave_out=""),
                "You do not leave out the three words of the question, and one of them is usually the best: b is "
                "nearest to b. Set their scores to -inf before you take the best."),
        *(Mistake(answer,
                  "You do not leave out the three words of the question, and something else is wrong besides. Set "
                  "their scores to -inf first, then check again.")
          for answer in (analogies(move=lambda cosine: cosine, leave_out=""), raw_sum_itself,
                         analogies(lambda near_a, near_b, near_c: near_b + near_c - near_a, leave_out=""),
                         analogies(lambda near_a, near_b, near_c: product(near_b, near_a, near_c), leave_out=""),
                         analogies(prepare=lambda table: table, leave_out=""))),
        Mistake(analogies(leave_out="bc"),
                "The answer may not be a either. Leave out all three words of the question."),
        Mistake(analogies(leave_out="c"),
                "The answer may not be a or b either. Leave out all three words of the question."),
        Mistake(analogies(lambda near_a, near_b, near_c: product(near_b, near_a, near_c)),
                "You swapped a and b. The answer should be near b and c and far from a: divide by the nearness to a."),
        Mistake(analogies(lambda near_a, near_b, near_c: product(near_c, near_b, near_a)),
                "You swapped a and c. The answer should be near b and c and far from a: divide by the nearness to a."),
        *(Mistake(answer,
                  "This is the lesson's way, which adds and subtracts. Here the nearness to b is multiplied by that to "
                  "c, and divided by that to a.")
          for answer in (analogies(lambda near_a, near_b, near_c: near_b + near_c - near_a), on_raw_vectors,
                         nearest_to_raw_sum)),
        Mistake(analogies(prepare=lambda table: table),
                "You use dot products of rows as they are, so that long rows seem near. Give each row the length 1 "
                "first: then the dot product is the cosine."),
        Mistake(one_side_unit,
                "You give one of the two rows the length 1, and both need it: use unit[a], not table[a]."),
        Mistake(analogies(prepare=lambda table: table / table.norm()),
                "A norm() without dim is one length for the whole table. Each row has its own: "
                "norm(dim=-1, keepdim=True)."),
        Mistake(analogies(prepare=lambda table: table / table.norm(dim=0)),
                "You divide by the lengths of the columns. Each row gets length 1: norm(dim=-1, keepdim=True)."),
        Mistake(analogies(prepare=lambda table: table / table.norm(dim=-1)),
                "If two sizes do not match: the lengths are (V,), and broadcasting lays them along the columns. Keep "
                "the dimension, (V, 1): norm(dim=-1, keepdim=True)."),
        Mistake(analogies(move=lambda cosine: cosine + 1 / 2),
                "Python divides before it adds, so you move the cosines to -0.5 ... 1.5. Put brackets: "
                "(cosine + 1) / 2."),
        Mistake(analogies(move=lambda cosine: cosine),
                "Your cosines go from -1 to 1, and two negative ones give a positive product: what is far from both "
                "seems near. Move them first: (cosine + 1) / 2."),
        Mistake(analogies(move=lambda cosine: cosine.clamp(min=0)),
                "You cut off negative cosines, so that all that is beyond a right angle counts the same. Move them "
                "instead: (cosine + 1) / 2."),
        Mistake(analogies(move=torch.abs),
                "The absolute value makes the opposite as near as the same. Move the cosines: (cosine + 1) / 2."),
        Mistake(analogies(lambda near_a, near_b, near_c: near_b * near_c / near_a),
                "A row that points away from a has a nearness of 0 to it, and dividing by 0 makes it win. Add the "
                "0.001 to it, in brackets, before you divide."),
        Mistake(analogies(lambda near_a, near_b, near_c: near_b * near_c),
                "You do not use a: what you find is near b and c. Divide by the nearness to a, plus 0.001."),
        Mistake(analogies(lambda near_a, near_b, near_c: near_b * near_c * near_a),
                "You multiply by the nearness to a, and the answer should be far from it: divide."),
        Mistake(analogies(lambda near_a, near_b, near_c: near_b / (near_a + 0.001)),
                "You do not use c: every question about a and b gets the same answer. Multiply by the nearness to c."),
        Mistake(analogies(lambda near_a, near_b, near_c: (near_b + near_c) / (near_a + 0.001)),
                "You add the nearness to b and that to c, so a row that is near to one of them may win. Multiply: then "
                "it must be near both."),
        Mistake(analogies(lambda near_a, near_b, near_c: near_b * near_c * (1 - near_a)),
                "You multiply by 1 minus the nearness to a. That too keeps away from a, but by another amount. Divide "
                "by the nearness plus 0.001."),
        Mistake(lambda table, a, b, c: max(scores_in_loops(table, a, b, c).values()),
                "You return the best score. Its place, the row, was asked for: scores.argmax().item()."),
        Mistake(place_among_the_others,
                "You count the place among the rows that are left, and it is the place in the whole table that was "
                "asked for. Keep all rows, and set the scores of the three to -inf."),
        Mistake(analogies(pick=lambda scores: scores.nan_to_num(posinf=-1, neginf=torch.inf).argmin()),
                "You take the row with the lowest score; the highest is wanted."),
    ),
    hints=("First make one vector for each of a, b and c: how near every row of the table is to it. What remains are "
           "three such vectors of length V, and one line.",
           "With unit = table / table.norm(dim=-1, keepdim=True), near_b = (unit @ unit[b] + 1) / 2 is (V,). "
           "The scores are near_b * near_c / (near_a + 0.001); set scores[[a, b, c]] = -torch.inf and take the "
           "argmax."),
    properties=(Property("the length of a row changes nothing", swayed_by_length),),
)
