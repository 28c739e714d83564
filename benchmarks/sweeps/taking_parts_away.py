"""What each part of a transformer block is for: small models without it, at three depths (lesson 04b).

First a trial of starts and learning rates on one seed; then five other seeds at the setting that did best there.
"""
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch

from helpers.ablations import SLOW, STARTS, STEPS, WARM_UP, best_setting, measure

DEEPEST, DEPTHS = 24, (24, 8, 2)
RATES, TRIAL_SEED, SEEDS = (0.001, 0.004, 0.016), 10, range(5)
TRIED = {                                       # starts and learning rates at the greatest depth
    "whole": (STARTS, RATES),
    "no residual": (("xavier",), RATES),        # where a block writes little or nothing, nothing would come through
    "post-norm": (STARTS, (0.002, *RATES)),     # it is the hardest to please
    "no norm": (("silent",), RATES),
}


def points() -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)                    # such small matrices: a second thread would only wait
    best: dict[str, dict[str, Any]] = {}
    for layers, (part, (starts, rates)) in product(DEPTHS, TRIED.items()):
        if layers < DEEPEST and part != "post-norm":
            starts = (best[part]["start"],)     # the others' best start is the same at every depth
        trials = []
        for start, rate in product(starts, rates):
            trials.append(point(part, layers, start, rate, 0, TRIAL_SEED))
            yield trials[-1]
        if part == "post-norm" and layers == DEEPEST:           # is said to need it
            start = best_setting(trials)["start"]
            for rate in rates:
                trials.append(point(part, layers, start, rate, WARM_UP, TRIAL_SEED))
                yield trials[-1]
        best[part] = best_setting(trials)
        for seed in SEEDS:
            yield point(part, layers, **best[part], seed=seed, steps=SLOW if part == "no residual" else STEPS)
            if part == "whole":                 # the same but for the positions
                yield point("no positions", layers, **best[part], seed=seed)


def point(part: str, layers: int, start: str, rate: float, warm_up: int, seed: int, steps: int = STEPS
          ) -> dict[str, Any]:
    settings = {"part": part, "layers": layers, "start": start, "rate": rate, "warm_up": warm_up, "seed": seed,
                "steps": steps}
    return settings | measure(**settings)
