"""One training in several processes, each with its own rows of every batch: what `torchrun` starts.

    torchrun --nproc-per-node 2 my_training.py

In a single process everything here does nothing. Gradients are averaged by PyTorch's DistributedDataParallel. Each
process has a GPU of its own, that of its number on its machine: `helpers.start()` chooses it, the model goes there.

What was tested: two processes on a CPU (gloo), which train to the losses of one. Several GPUs (nccl) are written as
PyTorch's documentation of torchrun and DistributedDataParallel has it, and were not run; that each process chooses its
own was tested without any.
"""
import atexit
import contextlib
import os
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if active() else int(os.environ.get("RANK", 0)) if started_by_torchrun() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if active() else 1


def active() -> bool:
    """Whether the processes know each other."""
    return dist.is_available() and dist.is_initialized()


def started_by_torchrun() -> bool:
    """Whether torchrun (or another launcher that sets the same variables) started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process where torchrun started several, now PyTorch's current one; elsewhere device, as it is.

    Raises RuntimeError when the machine has fewer GPUs than processes.
    """
    if device.type != "cuda" or not started_by_torchrun():
        return device
    number, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if number >= there:
        raise RuntimeError(f"LOCAL_RANK is {number}, and PyTorch finds {there} GPU(s) here; start torchrun with "
                           f"--nproc-per-node {there}, or set COURSE_DEVICE=cpu.")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def join(device: torch.device) -> None:
    """Let the processes that torchrun started find each other, for as long as this program runs; else do nothing.

    Once for all trainings: a second group would look for the others where the first one had them. And the group must
    outlive what `spread` makes: whichever goes last ends gloo's threads, and DistributedDataParallel waits for them
    holding the GIL, which they may need to free a tensor.
    device: where this process has its first model; it decides between gloo and nccl.
    """
    if active() or not started_by_torchrun():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)                       # a model may have been put there without `own_device`
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    atexit.register(leave)


def leave() -> None:
    """End the group of processes, unless the program has done so itself."""
    if active():
        dist.destroy_process_group()


def spread(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A model whose gradients are averaged over the processes."""
    return DistributedDataParallel(forward) if world() > 1 else forward


def sync_only(forward: Callable[[Tensor], Tensor], last: bool) -> contextlib.AbstractContextManager:
    """Average gradients only at the last part of a batch: the parts before are summed in each process."""
    if isinstance(forward, DistributedDataParallel) and not last:
        return forward.no_sync()
    return contextlib.nullcontext()


def summed(number: Tensor) -> Tensor:
    """The sum of a number over the processes."""
    if world() > 1:
        dist.all_reduce(number)
    return number


def any_of(wanted: bool, device: torch.device) -> bool:
    """Whether any process wants it: they must stop at the same step, or one would wait for ever.

    device: where this process has its model; on a GPU, the question goes from there too.
    """
    if world() == 1:
        return wanted
    flag = torch.tensor(int(wanted), device=device if device.type == "cuda" else "cpu")
    return bool(summed(flag))
