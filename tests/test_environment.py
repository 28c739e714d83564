"""The start of a lesson: the same everywhere, and a report in which each failure is a row that says what to do."""
import os
import re
import subprocess
import sys

import pytest
import torch

from helpers import assets, environment


def test_start_makes_random_numbers_repeatable_and_says_what_it_runs_on(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert environment.start(seed=3) == torch.device("cpu")
    first = torch.rand(3)
    environment.start(seed=3)
    assert torch.equal(first, torch.rand(3))
    line, _ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Press Enter \d+\.\d+\.\d+ · Python [\d.]+ · torch \S+ · cpu · \d+ CPU threads", line)


def test_the_device_is_a_gpu_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.choose_device("") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert environment.choose_device("") == torch.device("cuda")
    assert environment.choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("wish, error, sentence", [
    ("gpu", ValueError, "COURSE_DEVICE is 'gpu'; choose cpu, cuda or mps"),
    ("cuda", RuntimeError, "finds no CUDA GPU here; use cpu"),
    ("mps", RuntimeError, "finds no Apple GPU here; use cpu"),
])
def test_a_device_that_is_not_there_is_refused(wish, error, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(error, match=re.escape(sentence)):
        environment.choose_device(wish)


def test_an_apple_gpu_that_leaks_the_future_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(environment, "causal_on", lambda device: False)
    with pytest.raises(RuntimeError, match="sees future tokens"):
        environment.choose_device("mps")


def test_a_leak_of_the_future_is_noticed(monkeypatch):
    assert environment.causal_on("cpu")
    monkeypatch.setattr("helpers.transformer.attention", lambda q, k, v: torch.softmax(q @ k.mT, -1) @ v)
    assert not environment.causal_on("cpu")


def test_the_report_passes_here(capsys):
    assert environment.report()
    table = capsys.readouterr().out
    assert "FAIL" not in table and "| SmolLM2 | OK | The capital of France is Paris |" in table


def test_a_failure_is_a_row_that_says_what_to_do_and_the_report_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(assets, "fetch", lambda package: (_ for _ in ()).throw(assets.AssetError("No network.")))
    monkeypatch.setenv("COURSE_DEVICE", "gpu")
    assert not environment.report()
    rows = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert "FAIL" in rows["files"] and "run python3 course.py lab" in rows["files"]
    assert "FAIL" in rows["device"] and "choose cpu, cuda or mps" in rows["device"]
    assert "No network." in rows["SmolLM2"] and "OK" in rows["Python"]


def test_a_package_out_of_range_is_named(monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["torch>=99", 'pytest>=1; extra == "test"'])
    with pytest.raises(RuntimeError, match=r"torch 2\.\S+ is outside >=99; run python3 course.py lab again"):
        environment.check_packages()


def test_the_command_prints_the_table_and_its_exit_code_tells():
    bad = subprocess.run([sys.executable, "-m", "helpers.environment"], capture_output=True, text=True,
                         env=os.environ | {"COURSE_DEVICE": "gpu"})
    assert bad.returncode == 1 and "FAIL" in bad.stdout and bad.stderr == ""
