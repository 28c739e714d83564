"""Exercise 5.1, rows without waste: what its check compares with, tries, and recognises."""
import random
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.exercise import Exercise, Mistake, Property

IGNORE = -100
Packed = tuple[Tensor, Tensor, Tensor]


def pack(texts: list[list[int]], context: int) -> Packed:
    rows: list[list[tuple[int, int, int]]] = []
    for number, ids in enumerate(texts):
        for row in rows:
            if len(row) + len(ids) - 1 <= context:
                break
        else:
            row = []
            rows.append(row)
        for place in range(len(ids) - 1):
            row.append((ids[place], ids[place + 1], number))
    for row in rows:
        while len(row) < context:
            row.append((0, IGNORE, -1))
    inputs, targets, numbers = (torch.tensor([[place[part] for place in row] for row in rows]) for part in range(3))
    return inputs, targets, numbers


def packs(fits: Callable = lambda used, size, context: used + size <= context,
          choose: Callable = lambda fitting: fitting[0],
          order: Callable = lambda texts: range(len(texts)), name: Callable = lambda number, place: number,
          pieces: Callable = lambda ids: (ids[:-1], ids[1:]), empty: tuple = (0, IGNORE, -1),
          seen: Callable = lambda rows: rows) -> Callable:
    """pack with one thing other than it should be. choose: a row, of (free places, row number) that fit."""
    def answer(texts, context):
        rows, counts = [], []
        for number in order(texts):
            read, predicted = pieces(texts[number])
            fitting = [(context - len(row), place) for place, row in enumerate(rows)
                       if row in seen(rows) and fits(len(row), len(read), context)]
            if fitting:
                at = choose(fitting)[1]
            else:
                at = len(rows)
                rows.append([])
                counts.append(0)
            rows[at] += [(x, y, name(number, counts[at])) for x, y in zip(read, predicted, strict=True)]
            counts[at] += 1
        rows = [(row + [empty] * context)[:context] for row in rows]
        return tuple(torch.tensor([[place[part] for place in row] for row in rows]) for part in range(3))
    return answer


def predicts_across(texts, context):
    """Targets are the row moved by one, so that the end of a text asks for the beginning of the next."""
    inputs, _, numbers = pack(texts, context)
    targets = torch.cat([inputs[:, 1:], torch.zeros(len(inputs), 1).long()], dim=1)
    targets[numbers < 0] = IGNORE
    return inputs, targets, numbers


def draw_texts(draw: random.Random) -> list[tuple]:
    cases = [([[5, 6]], 1), ([[1, 2, 3], [4, 5, 6, 7], [8, 9]], 4), ([[1, 2], [3, 4, 5]], 2),
             ([[1, 2, 3, 4], [5, 6, 7], [8, 9, 1, 2], [3, 4, 5, 6], [7, 8]], 5)]
    for context, texts in ((3, 3), (4, 5), (6, 6), (5, 8), (7, 8), (9, 11), (8, 14), (12, 12), (16, 20)):
        cases.append(([[draw.randint(1, 60) for _ in range(draw.randint(2, context + 1))] for _ in range(texts)],
                      context))
    return cases


def loses_a_pair(answer) -> str | None:
    draw = random.Random(5)
    texts = [[draw.randint(1, 99) for _ in range(draw.randint(2, 17))] for _ in range(30)]
    inputs, targets, numbers = (part.flatten().tolist() for part in answer(texts, 16))
    got = sorted((n, x, y) for x, y, n in zip(inputs, targets, numbers) if y != IGNORE)
    wanted = sorted((n, x, y) for n, ids in enumerate(texts) for x, y in zip(ids, ids[1:]))
    return None if got == wanted else f"30 texts ask {len(wanted)} questions, and your rows ask {len(got)}, or others."


EXERCISE = Exercise(
    id="5.1", name="pack", title="Rows without waste", minutes=20,
    oracle=pack, cases=draw_texts,
    mistakes=(
        Mistake(packs(choose=lambda fitting: fitting[-1]),
                "You take the last row that has room. First fit: go through the rows from the top and take the first."),
        Mistake(packs(choose=min),
                "You take the row that the text fills best. That wastes less, but here the first with room was asked "
                "for."),
        Mistake(packs(seen=lambda rows: rows[-1:]),
                "You look at the newest row alone, so that earlier ones keep their room. Go through all of them."),
        Mistake(packs(seen=lambda rows: []),
                "Every text has a row of its own. Look for one with room first."),
        Mistake(packs(order=lambda texts: sorted(range(len(texts)), key=lambda n: -len(texts[n]))),
                "You begin with the longest text. That wastes less, but here they are placed in the order given."),
        Mistake(packs(fits=lambda used, size, context: used + size < context),
                "Your rows stay emptier than they must. A text of n tokens takes n - 1 places, and one that fills a "
                "row to the last fits too: len(row) + len(ids) - 1 <= context."),
        Mistake(packs(pieces=lambda ids: (ids, ids[1:] + [IGNORE])),
                "You read a text's last token too. Nothing comes after it to predict: a text of n tokens takes n - 1 "
                "places."),
        Mistake(predicts_across,
                "The last place of a text asks for the beginning of the next, since you move the whole row by one. "
                "Move each text by itself: ids[:-1] and ids[1:]."),
        Mistake(packs(pieces=lambda ids: (ids[:-1], ids[:-1])),
                "The targets are what is read. They are what comes next: ids[1:]."),
        Mistake(packs(pieces=lambda ids: (ids[1:], ids[:-1])),
                "Inputs and targets are swapped: read ids[:-1], predict ids[1:]."),
        Mistake(packs(empty=(0, 0, -1)),
                "Where nothing stands, your target is 0, and token 0 would be learned. It must be -100."),
        Mistake(packs(empty=(IGNORE, IGNORE, -1)),
                "Where nothing stands, you read -100, which is no token. The input there is 0; only the target is "
                "-100."),
        Mistake(packs(empty=(0, IGNORE, 0)),
                "Where nothing stands, your number is 0, as if it belonged to text 0. It must be -1."),
        Mistake(packs(name=lambda number, place: place),
                "You number the texts of each row anew. The number is that in the list of texts."),
        Mistake(packs(name=lambda number, place: number + 1, empty=(0, IGNORE, 0)),
                "Your numbers begin at 1. The first text is 0, and the filling -1."),
        Mistake(lambda texts, context: pack(texts, context)[:2],
                "The numbers are missing: return inputs, targets, numbers."),
        Mistake(lambda texts, context: tuple(part.tolist() for part in pack(texts, context)),
                "You give lists. torch.tensor(...) makes a tensor of a list of rows, if all are equally long."),
    ),
    hints=("Keep rows as lists while you place texts, and fill them up at the end. A text of n tokens asks n - 1 "
           "questions: which are read, and which predicted?",
           "For each text: row = next((row for row in rows if len(row) + len(ids) - 1 <= context), None); a new row if "
           "there is none. It gets (ids[i], ids[i + 1], number) for each i; in the end (0, -100, -1) until it is "
           "full."),
    properties=(Property("every question of every text is asked once", loses_a_pair),),
)
