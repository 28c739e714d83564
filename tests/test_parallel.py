"""Each process that torchrun starts takes a GPU of its own; here the GPUs are pretended, so no NCCL is run."""
import atexit

import pytest
import torch

from helpers import environment, parallel


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs that are not there; which of them became the current one, in order."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: f"GPU {chosen[-1] if chosen else 0}")
    for name in ("COURSE_DEVICE", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return chosen


@pytest.fixture
def torchrun(monkeypatch):
    """What torchrun sets for the second process of the second of two machines."""
    for name, value in {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost",
                        "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)


def test_a_lesson_alone_takes_the_gpu_that_pytorch_would(gpus, capsys):
    assert environment.start() == torch.device("cuda") and gpus == []


def test_a_process_takes_the_gpu_of_its_number_on_its_machine(gpus, torchrun, capsys):
    assert environment.start() == torch.device("cuda", 1)
    assert gpus == [1] and "GPU 1" in capsys.readouterr().out


def test_a_process_on_the_cpu_takes_no_gpu(gpus, torchrun, monkeypatch):
    assert parallel.own_device(torch.device("cpu")) == torch.device("cpu") and gpus == []


def test_more_processes_than_gpus_are_refused(gpus, torchrun, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RuntimeError, match=r"LOCAL_RANK is 1, and PyTorch finds 1 GPU\(s\) here; start torchrun with"):
        environment.start()


@pytest.mark.parametrize(("device", "backend", "current"), [
    (torch.device("cuda", 1), "nccl", [torch.device("cuda", 1)]), (torch.device("cpu"), "gloo", [])])
def test_processes_meet_on_the_gpu_where_their_model_lies(gpus, torchrun, monkeypatch, device, backend, current):
    met, at_the_end = [], []
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda name: met.append((name, list(gpus))))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: met.append("left"))
    monkeypatch.setattr(atexit, "register", at_the_end.append)
    parallel.join(device)
    assert met == [(backend, current)]                      # the GPU first: NCCL works on the current one
    leave, = at_the_end
    leave()
    assert met == [(backend, current)]                      # a group that the program has ended itself is left alone
    monkeypatch.setattr(parallel, "active", lambda: True)
    leave()
    assert met[-1] == "left"


def test_a_question_to_all_processes_goes_from_the_device_of_the_model(monkeypatch):
    asked = []
    monkeypatch.setattr(parallel, "world", lambda: 2)
    monkeypatch.setattr(parallel, "summed", lambda flag: asked.append(flag.item()) or flag + 1)     # the other says yes
    monkeypatch.setattr(torch, "tensor", lambda value, device, make=torch.tensor: asked.append(device) or make(value))
    assert parallel.any_of(False, torch.device("cuda", 1))
    assert parallel.any_of(False, torch.device("mps"))      # gloo: its numbers lie on the CPU
    assert asked == [torch.device("cuda", 1), 0, "cpu", 0]
