"""Lesson 04e: number words translated by an encoder with a decoder, by a decoder alone, and by two variants.

First three learning rates for each, on two seeds that are not used again; then five seeds at the best. Last, the two
main kinds from the small weights that GPT-2 starts from.
"""
from collections.abc import Iterator

import torch
from torch import nn

from helpers.number_words import held_out_numbers
from helpers.translation import exact, hits, make, started, train

STEPS, RATES, SEEDS, TRIALS = 400, (0.0025, 0.005, 0.01), range(5), (100, 101)
TEST, ALIGN = held_out_numbers(1000), held_out_numbers(200, seed=1)


def points() -> Iterator[dict]:
    torch.set_num_threads(1)                                # such small tensors: a second thread would only wait
    best = {}
    for kind in ("encoder-decoder", "decoder only"):
        mean = {}
        for rate in RATES:
            trials = [measure(kind, rate, seed, "trial") for seed in TRIALS]
            yield from trials
            mean[rate] = sum(trial["exact"] for trial in trials)
        best[kind] = max(mean, key=mean.get)
    best |= {"prefix": best["decoder only"], "mean only": best["encoder-decoder"]}
    for kind, rate in best.items():
        for seed in SEEDS:
            yield measure(kind, rate, seed, "main")
    for kind in ("encoder-decoder", "decoder only"):
        for seed in SEEDS:
            yield measure(kind, best[kind], seed, "small start")


def measure(kind: str, rate: float, seed: int, run: str) -> dict:
    """Train one model, test it on numbers it never saw. run: "small start" keeps GPT-2's normal weights of 0.02."""
    torch.manual_seed(seed)
    model = make(kind) if run == "small start" else started(make(kind), seed)
    losses = train(model, STEPS, rate, seed)
    share = exact(model, TEST).float().mean().item()
    return {"kind": kind, "rate": rate, "seed": seed, "run": run, "exact": round(share, 4),
            "loss": round(sum(losses[-20:]) / 20, 4), "aligned": round(best_head(model), 4)}


def best_head(model: nn.Module) -> float:
    """Share of pieces whose right word the best head, chosen on half of the numbers, looks at most in the others."""
    half = len(ALIGN) // 2
    head = hits(model, ALIGN[:half]).float().mean(dim=1).argmax()
    return hits(model, ALIGN[half:])[head].float().mean().item()
