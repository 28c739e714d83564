"""The machine under a lesson: `start()` sets it up the same way everywhere, `report()` says what is wrong with it.

    python -m helpers.environment     # the table to paste into a bug report
"""
import importlib.metadata
import os
import platform
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import __version__, assets, progress

if TYPE_CHECKING:
    import torch                                            # imported where it is used: a report must run without it

DEVICES = ("cpu", "cuda", "mps")


def start(seed: int = 0) -> "torch.device":
    """Make a lesson repeatable: choose the device, seed every generator, and say in one line what it runs on.

    The device is a CUDA GPU where there is one and the CPU elsewhere; COURSE_DEVICE=cpu, cuda or mps decides otherwise.
    In a process that torchrun started it is that process's own GPU.
    Every random draw of the course is made on the CPU and then moved, so a GPU sees the same numbers.
    Raises ValueError for an unknown COURSE_DEVICE, RuntimeError for one that is not there or has too few GPUs.
    """
    import numpy
    import torch

    from helpers import parallel

    device = parallel.own_device(choose_device(os.environ.get("COURSE_DEVICE", "")))
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("highest")           # a GPU's TF32 keeps 10 bits, and would change tokens
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    print(f"Press Enter {__version__} · Python {platform.python_version()} · torch {torch.__version__} · {name} · "
          f"{torch.get_num_threads()} CPU threads")
    return device


def choose_device(wish: str) -> "torch.device":
    """The device of a name; "" is CUDA where there is one, otherwise the CPU."""
    import torch

    if wish not in ("", *DEVICES):
        raise ValueError(f"COURSE_DEVICE is {wish!r}; choose cpu, cuda or mps, or leave it unset.")
    if wish == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("COURSE_DEVICE is cuda, but PyTorch finds no CUDA GPU here; use cpu, or a CUDA build.")
    if wish == "mps":
        if not torch.backends.mps.is_available():
            raise RuntimeError("COURSE_DEVICE is mps, but PyTorch finds no Apple GPU here; use cpu.")
        if not causal_on("mps"):
            raise RuntimeError("COURSE_DEVICE is mps, but on this Mac attention sees future tokens, a known fault of "
                               "some PyTorch versions; use cpu.")
    return torch.device(wish or ("cuda" if torch.cuda.is_available() else "cpu"))


def causal_on(device: str) -> bool:
    """Whether causal attention on a device hides the future, in float32 and in half precision."""
    import torch

    from helpers.transformer import attention

    for dtype in (torch.float32, torch.float16):
        q, k, v = torch.randn(3, 1, 2, 7, 16, generator=torch.Generator().manual_seed(0)).to(device, dtype)
        before = attention(q, k, v)[:, :, :4]                                   # (1, 2, 4, 16)
        k[:, :, 4:], v[:, :, 4:] = 9.0, 9.0                                     # another future
        if not torch.equal(before, attention(q, k, v)[:, :, :4]):
            return False
    return True


def report() -> bool:
    """Print a table of checks, OK or FAIL with what to do; returns whether all passed. Paste it into a bug report."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Press Enter", lambda: __version__), ("Python", check_python), ("packages", check_packages),
        ("PyTorch", check_torch), ("device", lambda: str(choose_device(os.environ.get("COURSE_DEVICE", "")))),
        ("causal attention", check_attention), ("files", check_files), ("progress", check_progress),
        ("disk", check_disk), ("SmolLM2", check_model)]
    passed = True
    print("| check | | what was found |\n|---|---|---|")
    for name, check in checks:
        try:
            word, found = "OK", check()
        except Exception as error:                          # a report must reach its end: every failure is a row of it
            word, found, passed = "FAIL", f"{type(error).__name__}: {error}", False
        print(f"| {name} | {word} | {' '.join(found.split())} |")
    return passed


def check_python() -> str:
    if sys.version_info < (3, 11):
        raise RuntimeError(f"Python {platform.python_version()} is too old; the course needs 3.11 or newer.")
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def check_packages() -> str:
    """Every package the course needs, in a version it was made for."""
    from packaging.requirements import Requirement

    found = []
    try:
        lines = importlib.metadata.requires("press-enter") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise RuntimeError("the course is not installed in this Python; run python3 course.py lab.") from error
    for line in lines:
        need = Requirement(line)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            try:
                version = importlib.metadata.version(need.name)
            except importlib.metadata.PackageNotFoundError as error:
                raise RuntimeError(f"{need.name} is not installed; run python3 course.py lab.") from error
            if not need.specifier.contains(version, prereleases=True):
                raise RuntimeError(f"{need.name} {version} is outside {need.specifier}; "
                                   "run python3 course.py lab again.")
            found.append(f"{need.name} {version}")
    return ", ".join(found)


def check_torch() -> str:
    import torch

    product = torch.ones(64, 64) @ torch.ones(64, 64)
    if not torch.all(product == 64):
        raise RuntimeError("a matrix product came out wrong; reinstall PyTorch.")
    return f"{torch.__version__}, {torch.get_num_threads()} threads, CUDA {torch.version.cuda or 'not built in'}"


def check_attention() -> str:
    device = choose_device(os.environ.get("COURSE_DEVICE", "")).type
    if not causal_on(device):
        raise RuntimeError(f"attention on {device} sees future tokens; set COURSE_DEVICE=cpu.")
    return f"hides the future on {device}"


def check_files() -> str:
    missing = [name for name in assets.ASSETS if not (assets.cache_folder() / name).exists()]
    if missing:
        raise RuntimeError(f"not fetched yet: {', '.join(missing)}; run python3 course.py lab.")
    damaged = [name for name, asset in assets.ASSETS.items()
               if assets.hash_of(assets.cache_folder() / name) != asset.sha256]
    if damaged:
        raise RuntimeError(f"damaged: {', '.join(damaged)}; delete {assets.cache_folder()} and "
                           "run python3 course.py lab.")
    return f"{len(assets.ASSETS)} files, all with the right hash"


def check_progress() -> str:
    existing = nearest(progress.state_file().parent)
    if not os.access(existing, os.W_OK):
        raise RuntimeError(f"{existing} cannot be written; set COURSE_STATE to a folder of yours.")
    return f"{sum(len(section) for section in progress.read().values())} entries"


def check_disk() -> str:
    free = shutil.disk_usage(nearest(assets.cache_folder())).free / 2 ** 30
    if free < 0.5:
        raise RuntimeError(f"only {free:.1f} GB are free where the models lie; free some space or set COURSE_CACHE.")
    return f"{free:.0f} GB free"


def nearest(folder: Path) -> Path:
    """The folder, or the closest above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def check_model() -> str:
    import torch

    from helpers import pretrained

    model, tokenizer = pretrained.smollm2()
    ids = torch.tensor([tokenizer.encode("The capital of France is")])          # (1, T)
    best = tokenizer.decode([int(model(ids)[0, -1].argmax())])
    if best != " Paris":
        raise RuntimeError(f"after 'The capital of France is' it says {best!r}, expected ' Paris'.")
    return "The capital of France is Paris"


if __name__ == "__main__":
    sys.exit(0 if report() else 1)
