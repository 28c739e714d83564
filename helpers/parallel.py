"""One training in several processes, each with its own rows of every batch: what `torchrun` starts.

    torchrun --nproc-per-node 2 my_training.py

In a single process everything here does nothing. Gradients are averaged by PyTorch's DistributedDataParallel.
"""
import contextlib
import os
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Let the processes that torchrun started find each other while the block runs; otherwise do nothing."""
    if active() or not started_by_torchrun():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
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


def any_of(wanted: bool) -> bool:
    """Whether any process wants it: they must stop at the same step, or one would wait for ever."""
    if world() == 1:
        return wanted
    flag = torch.tensor(int(wanted), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    return bool(summed(flag))
