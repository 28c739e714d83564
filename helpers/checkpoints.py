"""Checkpoints: a training as it stood after some step, in files that cannot run code and are never half there.

    folder/step_00000300/    model.safetensors    optimizer.safetensors    state.json

They are written to a folder of another name, flushed to the disk and renamed in one go: a kill at any moment leaves the
checkpoint before. `state.json` holds the settings, the losses so far and the hashes of the other two.
"""
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers.transformer import Config, Transformer

FILES = ("model.safetensors", "optimizer.safetensors")
M = TypeVar("M", bound=nn.Module)
KEPT = 2                        # the newest, and the one before in case the disk damages it


class CheckpointError(ValueError):
    """A checkpoint is damaged, does not fit, or could not be written."""


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds of one step; its files are whole."""
    folder: Path
    state: dict[str, Any]       # step, model (its Config), training, history, sha256

    @property
    def step(self) -> int:
        """How many steps had been made."""
        return self.state["step"]


def save(folder: str | Path, step: int, model: Transformer, optimizers: Sequence[torch.optim.Optimizer],
         training: dict[str, Any], history: dict[str, Any]) -> Path:
    """Write the checkpoint of a step and delete all but the newest two. Returns its folder.

    One training at a time writes to a folder: what others left there unfinished is deleted.
    training, history: settings and losses, as JSON can hold them.
    Raises CheckpointError, with the checkpoint before untouched, when there is no room for it or no right to write.
    """
    folder = Path(folder)
    place, unfinished = folder / f"step_{step:08d}", folder / f"unfinished_{os.getpid()}"
    try:
        for left in folder.glob("unfinished_*"):            # by processes that were killed
            shutil.rmtree(left, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, tensors in zip(FILES, (model_tensors(model), optimizer_tensors(optimizers)), strict=True):
            save_file(tensors, unfinished / name)
        hashes = {name: sha256(unfinished / name) for name in FILES}
        state = {"step": step, "model": asdict(model.config), "training": training, "history": history,
                 "sha256": hashes}
        (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for name in (*FILES, "state.json", "."):
            flush(unfinished / name)
        shutil.rmtree(place, ignore_errors=True)            # this very step, saved before: by a training started anew
        os.replace(unfinished, place)
        flush(folder)
    except Exception as error:                              # safetensors has an error of its own for a full disk
        shutil.rmtree(unfinished, ignore_errors=True)
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        why = "the disk is full: free some space" if full else f"{error}: choose another folder"
        raise CheckpointError(f"the checkpoint of step {step} could not be written to {folder}, {why}. The one before "
                              "is whole.") from error
    for old in steps(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)              # what cannot be deleted costs room, and is tried next time
    return place


def newest(folder: str | Path) -> Checkpoint | None:
    """The newest checkpoint in a folder, or None where there is none.

    Raises CheckpointError, naming the damaged file, when it is not as it was written; nothing is deleted.
    """
    places = steps(Path(folder))
    if not places:
        return None
    place = places[-1]
    back = f"delete {place.name} to go on from {places[-2].name}" if len(places) > 1 else f"delete {place.name}"
    try:
        state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        hashes = state["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{place / 'state.json'} is damaged ({error}); {back}.") from error
    for name in FILES:
        if not (place / name).exists() or sha256(place / name) != hashes[name]:
            raise CheckpointError(f"{place / name} is damaged: it is not the file that was written; {back}.")
    return Checkpoint(place, state)


def restore(checkpoint: Checkpoint, model: Transformer, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Put a checkpoint's numbers into a model and its optimizers.

    Raises CheckpointError, naming the first choice that differs, for a model that is another one; it stays as it was.
    """
    before, now = checkpoint.state["model"], asdict(model.config)
    for name, value in now.items():
        if before.get(name) != value:
            raise CheckpointError(f"{name} is {before.get(name)!r} in {checkpoint.folder} and {value!r} in your model; "
                                  "build the model as it was, or train into another folder.")
    kept = load_file(checkpoint.folder / FILES[1])
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in kept.items():
            owner, parameter, part = name.split(".")
            if int(owner) == number:
                state.setdefault(int(parameter), {})[part] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    model.load_state_dict(load_file(checkpoint.folder / FILES[0]))


def save_model(model: nn.Module, file: str | Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a trained model alone, weights and Config in one safetensors file, whole or not at all.

    model: a Transformer, or another with a `config`. dtype: torch.float16 takes half the room, and rounds each weight
    to three or four digits.
    Raises CheckpointError when the file cannot be written; one that was there before stays.
    """
    file = Path(file)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    tensors = {name: tensor.to(dtype) for name, tensor in model_tensors(model).items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, unfinished, metadata={"config": json.dumps(asdict(model.config))})
        flush(unfinished)
        os.replace(unfinished, file)
    except Exception as error:                              # safetensors has an error of its own for a full disk
        unfinished.unlink(missing_ok=True)
        raise CheckpointError(f"{file} could not be written: {error}. Choose another place.") from error


def load_model(file: str | Path, device: str | torch.device = "cpu", make: Callable[[Config], M] = Transformer) -> M:
    """A model that `save_model` wrote, in float32, ready to be used or trained on.

    make: a model of the kind that was written, from its Config, such as `RewardModel.new`.
    Raises CheckpointError for a file that is missing, damaged, or of another kind.
    """
    try:
        with safe_open(file, framework="pt") as content:
            config = Config(**json.loads(content.metadata()["config"]))
            weights = {name: content.get_tensor(name).float() for name in content.keys()}
        model = make(config)
        model.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{file} is no model that save_model wrote, or it is damaged ({error}); write it again."
                              ) from error
    return model.to(device).eval()


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """A model's weights by name, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """What optimizers remember, each number under optimizer.parameter.name, such as "0.3.exp_avg"."""
    return {f"{number}.{parameter}.{part}": torch.as_tensor(tensor).detach().cpu().contiguous()
            for number, optimizer in enumerate(optimizers)
            for parameter, parts in optimizer.state_dict()["state"].items() for part, tensor in parts.items()}


def steps(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step_" + "[0-9]" * 8))


def sha256(file: Path) -> str:
    """The hash of a file's bytes."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until the disk has it, so that a rename never shows a file whose bytes are still on their way."""
    if path.is_dir() and os.name == "nt":
        return                                              # Windows cannot open a folder, and needs not
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
