"""Trains twenty models in one program and writes their losses into a folder; argument: the folder."""
import os
import sys
from pathlib import Path

from helpers.training import TokenStream, train
from tests.training_script import IDS, settings, small_model

if __name__ == "__main__":
    losses = [train(small_model(seed), TokenStream(IDS), settings(steps=2)).losses for seed in range(20)]
    (Path(sys.argv[1]) / f"losses_{os.environ['RANK']}.txt").write_text(repr(losses))
