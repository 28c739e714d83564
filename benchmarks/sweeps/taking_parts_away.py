"""What each part of a transformer block is for: small models without it, at three depths (lesson 04b).

First a trial of starts and learning rates on one seed; then five other seeds at the setting that did best there.
"""
from collections.abc import Iterator
from itertools import product
from typing import Any

import torch

from helpers.ablations import SLOW, STARTS, STEPS, WARM_UP, best_setting, measure

DEPTHS, RATES, TRIAL_SEED, SEEDS = (24, 8, 2), (0.001, 0.004, 0.016), 10, range(5)
TRIED = {                                       # starts, warm-ups (at the greatest depth only), learning rates
    "whole": (STARTS, (0,), RATES),
    "no residual": (("xavier",), (0,), RATES),  # where a block writes little or nothing, nothing would come through
    "post-norm": (STARTS, (0, WARM_UP), (0.002, *RATES)),           # it is the hardest to please
    "no norm": (("silent",), (0,), RATES),
}


def points() -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)                    # such small matrices: a second thread would only wait
    for layers, (part, (starts, warm_ups, rates)) in product(DEPTHS, TRIED.items()):
        trials = []
        for start, warm_up, rate in product(starts, warm_ups if layers == max(DEPTHS) else (0,), rates):
            trials.append(point(part, layers, start, rate, warm_up, TRIAL_SEED))
            yield trials[-1]
        setting = best_setting(trials)
        for seed in SEEDS:
            yield point(part, layers, **setting, seed=seed, steps=SLOW if part == "no residual" else STEPS)
            if part == "whole":                 # the same but for the positions
                yield point("no positions", layers, **setting, seed=seed)


def point(part: str, layers: int, start: str, rate: float, warm_up: int, seed: int, steps: int = STEPS
          ) -> dict[str, Any]:
    settings = {"part": part, "layers": layers, "start": start, "rate": rate, "warm_up": warm_up, "seed": seed,
                "steps": steps}
    return settings | measure(**settings)
