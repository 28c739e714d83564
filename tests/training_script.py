"""A small training as a program, for tests that kill it or start it twice.

Arguments: folder, steps, seconds a step, parts of a batch, step after which the last process alone wants to stop.
"""
import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

from helpers.training import TokenStream, TrainConfig, train
from helpers.transformer import Config, Transformer

SMALL = Config(vocabulary=13, context=8, d_model=16, layers=2, heads=2)
IDS = torch.randint(13, (500,), generator=torch.Generator().manual_seed(5))


def small_model(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(SMALL)


def settings(**others) -> TrainConfig:
    return TrainConfig(**{"steps": 12, "batch": 6, "checkpoint_every": 3, "warmup": 2} | others)


if __name__ == "__main__":
    folder, steps, wait = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    accumulate, until = map(int, sys.argv[4:] + ["1", "0"][len(sys.argv) - 4:])
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    class Slow:
        stopping = threading.Event()

        def step(self, model, history, steps):
            print(history.step, flush=True)
            if history.step == until and rank == world - 1:
                self.stopping.set()
            time.sleep(wait)

        def close(self, model, history):
            (folder / f"losses_{rank}.json").write_text(json.dumps(history.losses))

    folder.mkdir(parents=True, exist_ok=True)
    model = small_model()
    train(model, TokenStream(IDS), settings(steps=steps, accumulate=accumulate), folder=folder, watch=Slow())
