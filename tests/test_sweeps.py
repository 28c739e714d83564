"""Stored experiments: written and read back whole, looked up by their settings, and held to what a rerun gives."""
from pathlib import Path

import pytest

import benchmarks.sweeps.__main__ as command
from helpers import sweeps
from helpers.sweeps import Sweep

SWEEP = Sweep("rates", "python -m benchmarks.sweeps rates", "2026-01-02", "a machine", 90.0,
              [{"rate": 0.1, "seed": 0, "loss": 2.5}, {"rate": 0.2, "seed": 0, "loss": 2.0}])


def test_a_sweep_comes_back_as_it_was_stored(tmp_path):
    file = sweeps.store(SWEEP, tmp_path)
    assert sweeps.stored("rates", tmp_path) == SWEEP
    assert sum(line.startswith('  {"rate"') for line in file.read_text().splitlines()) == 2     # a point a line


def test_an_unknown_sweep_is_refused_with_the_names_of_those_there_are(tmp_path):
    sweeps.store(SWEEP, tmp_path)
    with pytest.raises(ValueError, match="name is 'speeds'; there are results of rates"):
        sweeps.stored("speeds", tmp_path)


def test_points_are_found_by_their_settings():
    assert SWEEP.where(rate=0.2) == [SWEEP.points[1]]
    assert len(SWEEP.where(seed=0)) == 2
    with pytest.raises(ValueError, match="no such point"):
        SWEEP.where(rate=0.3)


def test_a_rerun_is_held_to_the_stored_point(capsys):
    sweeps.rerun(SWEEP, lambda rate, seed: 2.51, "loss", 0.02, rate=0.1, seed=0)
    assert "stored 2.500, now ≈2.510" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="more than 0.02 apart: run python -m benchmarks.sweeps rates again"):
        sweeps.rerun(SWEEP, lambda rate, seed: 2.6, "loss", 0.02, rate=0.1, seed=0)
    with pytest.raises(AssertionError):
        sweeps.rerun(SWEEP, lambda rate, seed: float("nan"), "loss", 0.02, rate=0.1, seed=0)


def test_every_stored_result_can_be_made_again_by_its_command():
    for file in Path(sweeps.RESULTS).glob("*.json"):
        sweep = sweeps.stored(file.stem)
        assert sweep.name == file.stem and sweep.points
        assert sweep.command == f"python -m benchmarks.sweeps {sweep.name}" and sweep.name in command.NAMES
