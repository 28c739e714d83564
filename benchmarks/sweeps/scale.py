"""The loss of models of seven sizes on a long text, and of one size on texts of five lengths (lesson 05c)."""
from collections.abc import Iterator

from helpers.scale_runs import LENGTHS, MIDDLE, WIDTHS, run

SEEDS = (0, 1, 2)


def points() -> Iterator[dict]:
    """Each training's width, characters read, seed, and losses."""
    pairs = [(width, LENGTHS[-1]) for width in WIDTHS] + [(MIDDLE, length) for length in LENGTHS[:-1]]
    for width, length in pairs:
        for seed in SEEDS:
            yield run(width, length, seed)
