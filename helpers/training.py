"""Train a Transformer, measure it, stop whenever you like and go on where you were.

    history = train(model, TokenStream(ids), TrainConfig(steps=500), held_out=TokenStream(others), folder="run")
    evaluate(model, TokenStream(others))            # mean loss a token, in nats

Lesson 05 builds the loop by hand; this is the form that is checked, saves itself, uses a GPU, and runs in several
processes when `torchrun` starts it. What it learns from is in `token_data`, what moves the weights in `optimizers`,
what is saved in `checkpoints`, what you see meanwhile in `training_view`.
"""
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import checkpoints, parallel
from helpers.counting import require, require_above_0
from helpers.interrupts import held_interrupts
from helpers.optimizers import optimizers, schedule
from helpers.token_data import IGNORE, Data, Examples, TokenStream, memory_map
from helpers.transformer import Transformer, evaluating
from helpers.waiting import bar

__all__ = ["Examples", "History", "TokenStream", "TrainConfig", "TrainingStopped", "Watcher", "evaluate", "memory_map",
           "token_loss", "train"]

LAST_GOOD_EVERY = 25            # steps between two copies of the weights that are kept in memory


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults suit the course's small models. Raises ValueError, naming the field that cannot be.
    """
    steps: int                                      # how often the weights move
    batch: int = 32                                 # examples a step, all processes together
    context: int | None = None                      # tokens of an example; None is what the model may see
    optimizer: Literal["muon", "adamw"] = "muon"    # Muon for the matrices inside, or AdamW for all
    learning_rate: float = 3e-3                     # of AdamW
    muon_learning_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.95)        # of AdamW: what it remembers of gradients and of their squares
    weight_decay: float = 0.0
    warmup: int = 0                                 # steps in which the learning rate rises
    floor: float = 0.0                              # where it falls to by the last step, as a share
    clip: float = 1.0                               # longest gradient
    accumulate: int = 1                             # parts in which a batch is worked off, to save memory
    evaluate_every: int = 0                         # steps between two looks at held-out text; 0 is at the end alone
    checkpoint_every: int = 100
    seed: int = 0                                   # of the batches
    precision: Literal["float32", "bfloat16", "auto"] = "auto"      # auto is bfloat16 on CUDA and else float32
    compile: bool = False                           # worth its minute of waiting for long trainings on a GPU

    def __post_init__(self):
        require(steps=self.steps, batch=self.batch, accumulate=self.accumulate, checkpoint_every=self.checkpoint_every,
                context=1 if self.context is None else self.context)
        require(least=0, warmup=self.warmup, evaluate_every=self.evaluate_every, seed=self.seed)
        require_above_0(learning_rate=self.learning_rate, muon_learning_rate=self.muon_learning_rate, clip=self.clip)
        require_above_0(or_0=True, weight_decay=self.weight_decay)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {self.betas!r}; give two numbers, each from 0 to below 1.")
        for name in ("optimizer", "precision"):
            choices = get_args(self.__annotations__[name])
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}.")
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate is {self.accumulate}; it must divide batch, {self.batch}.")
        schedule(0, self.steps, self.warmup, self.floor)                # raises for a warm-up or floor that cannot be


@dataclass
class History:
    """What a training has seen so far."""
    losses: list[float] = field(default_factory=list)               # of each step's batch, before the step
    rates: list[float] = field(default_factory=list)                # of the learning rate, as a share
    held_out: list[tuple[int, float]] = field(default_factory=list)         # after how many steps, loss
    tokens: int = 0                                                 # predicted
    seconds: float = 0.0                                            # of training; looks at held-out text not counted
    stopped: str = ""                                               # why it ended early
    unsaved: str = ""                                               # why the last checkpoint could not be written

    @property
    def step(self) -> int:
        """How many steps have been made."""
        return len(self.losses)


class TrainingStopped(RuntimeError):
    """A training that could not go on; the model is as it was when it was last good. history: what was seen."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


class Watcher(Protocol):
    """Whoever looks on, such as `training_view.LiveView`; it may set `stopping`."""
    stopping: threading.Event

    def step(self, model: Transformer, history: History, steps: int) -> None:
        """After each step."""

    def close(self, model: Transformer, history: History) -> None:
        """When the training has ended, however it did."""


def train(model: Transformer, data: Data, config: TrainConfig, held_out: Data | None = None,
          folder: str | Path | None = None, watch: Watcher | None = None) -> History:
    """Move the model's weights until it predicts the data's tokens well. Lesson 05 builds it.

    data, held_out: a `TokenStream` or `Examples`; held_out is only measured, never learned.
    folder: where checkpoints go. If it holds one, training goes on from there, to the same weights, bit by bit on a
        CPU, as if it had never stopped.
    watch: is told of each step; None shows a progress bar.
    An interrupt (Ctrl-C, or Jupyter's stop button) ends it after the step it is in; what was learned stays.
    Returns the history. Raises ValueError for data that does not fit the model and for a batch that does not fit into
    memory, CheckpointError for a folder with a damaged or another model's checkpoint, and TrainingStopped when the loss
    is no number any more.
    """
    context = config.context or model.config.context
    for each in (data, held_out):                           # both now: later, a whole training would be in vain
        if each is not None:
            check(model, each, context)
    movers = optimizers(model, config.optimizer, config.learning_rate, config.muon_learning_rate, config.weight_decay,
                        config.betas)
    history = resumed(folder, model, movers, config) if folder is not None else History()
    was_training = model.training
    own_bar = watch is None and parallel.rank() == 0
    try:
        parallel.join(model.device)
        with held_interrupts() as stopping, bar(config.steps, "Training", shown=own_bar) as advance:
            advance(history.step)
            run = Run(model, data, config, movers, history, context)
            for number in range(history.step, config.steps):
                run.step(number)
                advance(1)
                wanted = stopping.is_set() or (watch is not None and watch.stopping.is_set())
                if parallel.any_of(wanted, run.device):
                    history.stopped = f"stopped after step {number + 1} of {config.steps}"
                last = number + 1 == config.steps or bool(history.stopped)
                if held_out is not None and (last or (config.evaluate_every
                                                      and (number + 1) % config.evaluate_every == 0)):
                    history.held_out.append((number + 1, evaluate(model, held_out, config.batch, context)))
                if folder is not None and (last or (number + 1) % config.checkpoint_every == 0):
                    save(folder, run)
                if watch is not None:
                    watch.step(model, history, config.steps)
                if history.stopped:
                    break
    finally:
        model.train(was_training)
        if watch is not None:
            watch.close(model, history)
    if history.stopped:
        print(f"Training {history.stopped}. The model holds what it had learned by then.")
    if history.unsaved:
        raise TrainingStopped(f"{history.unsaved} The model in memory holds all {history.step} steps: write it "
                              "elsewhere with helpers.checkpoints.save_model(model, file).", history)
    return history


def save(folder: str | Path, run: "Run") -> None:
    """Write a checkpoint. If that fails, say so and train on: what is in memory is worth more than the file."""
    if parallel.rank():
        return
    try:
        checkpoints.save(folder, run.history.step, run.model, run.movers, asdict(run.config), asdict(run.history))
        run.history.unsaved = ""
    except checkpoints.CheckpointError as error:
        if not run.history.unsaved:
            print(f"Not saved, training goes on: {error}")
        run.history.unsaved = str(error)


class Run:
    """One training while it goes on."""

    def __init__(self, model: Transformer, data: Data, config: TrainConfig, movers: list[torch.optim.Optimizer],
                 history: History, context: int):
        self.model, self.data, self.config, self.movers = model, data, config, movers
        self.history, self.context = history, context
        self.device = model.device
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.rates = [[group["lr"] for group in mover.param_groups] for mover in movers]
        wants_half = config.precision == "bfloat16" or (config.precision == "auto" and self.device.type == "cuda")
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=wants_half)
        self.forward = parallel.spread(compiled(model, data, config, self.autocast) if config.compile else model)
        self.keep(history.step)
        model.train()

    def step(self, number: int) -> None:
        """Draw a batch, find the slopes, move. A step that cannot be made leaves the model at its last good state."""
        start = time.perf_counter()
        try:
            loss, tokens = self.slopes(number)
            length = float(nn.utils.clip_grad_norm_(self.trained, self.config.clip, foreach=True))
            if not (math.isfinite(loss) and math.isfinite(length)):
                self.stop(number, loss)
            if number % LAST_GOOD_EVERY == 0:
                self.keep(number)                           # these weights have just given a loss and slopes
            share = schedule(number, self.config.steps, self.config.warmup, self.config.floor)
            for mover, rates in zip(self.movers, self.rates, strict=True):
                for group, rate in zip(mover.param_groups, rates, strict=True):
                    group["lr"] = rate * share
                mover.step()
        except KeyboardInterrupt:                           # asked for twice: this step is not waited for
            self.restore()
            raise
        finally:
            self.model.zero_grad(set_to_none=True)
        self.history.losses.append(loss)
        self.history.rates.append(share)
        self.history.tokens += tokens
        self.history.seconds += time.perf_counter() - start

    def slopes(self, number: int) -> tuple[float, int]:
        """Leave the gradient of a batch's mean loss in the parameters; that loss, and how many tokens it is of."""
        inputs, targets = self.data.batch(number, self.config.batch, self.context, self.config.seed)    # (rows, T)
        count = int((targets != IGNORE).sum())              # of all processes: each sees the whole batch's targets
        mine = slice(parallel.rank(), None, parallel.world())
        total = torch.zeros((), device=self.device)
        parts = list(zip(inputs[mine].chunk(self.config.accumulate), targets[mine].chunk(self.config.accumulate),
                         strict=True))
        try:
            for place, (x, y) in enumerate(parts):
                with parallel.sync_only(self.forward, place == len(parts) - 1), self.autocast:
                    loss = token_loss(self.forward(x.to(self.device)), y.to(self.device), reduction="sum") / count
                    (loss * parallel.world()).backward()    # the processes' slopes are averaged, and shall be summed
                total += loss.detach()
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            self.restore()
            batch, parted = self.config.batch, self.config.accumulate
            more = next((n for n in range(parted + 1, batch + 1) if batch % n == 0), None)
            way = f"accumulate={more} gives the same result in less of it" if more else "choose a smaller context"
            raise ValueError(f"batch is {batch} examples of {inputs.shape[1]} tokens in {parted} part(s), which does "
                             f"not fit into memory; {way}.") from error
        return float(parallel.summed(total)), count

    def keep(self, number: int) -> None:
        """Copy the weights, to go back to."""
        self.good_step = number
        self.good = [parameter.detach().clone() for parameter in self.trained]

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to the weights that were kept."""
        for parameter, good in zip(self.trained, self.good, strict=True):
            parameter.copy_(good)

    def stop(self, number: int, loss: float) -> None:
        """Raise TrainingStopped for a loss or a slope that is no number."""
        self.restore()
        self.history.stopped = f"stopped at step {number + 1}: the loss is {loss:g}"
        raise TrainingStopped(f"the loss or its slope is no finite number at step {number + 1} (loss {loss:g}). The "
                              f"model is as it was after step {self.good_step}; lower learning_rate "
                              f"({self.config.learning_rate:g}) and muon_learning_rate "
                              f"({self.config.muon_learning_rate:g}), or raise warmup ({self.config.warmup}).",
                              self.history)


def token_loss(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Cross entropy of the tokens that count, in nats: minus the log of the probability that each was given.

    logits: (B, T, V). targets: (B, T), IGNORE (-100) where nothing is predicted. reduction: "mean", "sum", or "none",
    which gives (B, T) with 0 where nothing is predicted. Lesson 05 builds it.
    """
    loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction=reduction)
    return loss.view(targets.shape) if reduction == "none" else loss


@torch.no_grad()
def evaluate(model: Transformer, data: Data, batch: int = 32, context: int | None = None,
             batches: int | None = None) -> float:
    """Mean loss a token over data, in nats; the model is left in the mode it was in. batches: how many; None is all.

    Raises ValueError for data that does not fit the model, and for no example or no batch.
    """
    require(batch=batch, batches=1 if batches is None else batches)
    context = context or model.config.context
    check(model, data, context)
    device, total, count = model.device, 0.0, 0
    with evaluating(model):
        for number, (inputs, targets) in enumerate(data.in_order(batch, context)):
            if number == batches:
                break
            total += float(token_loss(model(inputs.to(device)), targets.to(device), reduction="sum"))
            count += int((targets != IGNORE).sum())
    return total / count


def check(model: Transformer, data: Data, context: int) -> None:
    """Raise ValueError for data that this model cannot learn from."""
    if model.config.output != "logits" or not model.config.causal:
        raise ValueError("model gives no scores of next tokens; give one whose config is causal, with output 'logits'.")
    if context > model.config.context:
        raise ValueError(f"context is {context}; this model sees at most {model.config.context} tokens.")
    data.check(context)
    if data.largest() >= model.config.vocabulary:
        raise ValueError(f"data holds token {data.largest()} and the model's vocabulary is {model.config.vocabulary}; "
                         "encode the text with the model's own tokenizer.")


def resumed(folder: str | Path, model: Transformer, movers: list[torch.optim.Optimizer], config: TrainConfig
            ) -> History:
    """What was trained before into this folder, put into model and optimizers; an empty History for a new folder."""
    checkpoint = checkpoints.newest(folder)
    if checkpoint is None:
        return History()
    before: dict[str, Any] = checkpoint.state["training"]
    free = {"checkpoint_every", "evaluate_every", "compile", "accumulate"}     # they do not change what is learned
    for name in (each.name for each in fields(TrainConfig) if each.name not in free):
        if name not in before:                              # an older version of the course did not have it
            raise checkpoints.CheckpointError(f"{checkpoint.folder} does not say {name}; train into another folder.")
        was, now = before[name], getattr(config, name)
        if was != (list(now) if isinstance(now, tuple) else now):
            raise checkpoints.CheckpointError(f"{name} is {was!r} in {checkpoint.folder} and {now!r} in your config; "
                                              "train on as it was, or into another folder.")
    checkpoints.restore(checkpoint, model, movers)
    kept = checkpoint.state["history"]
    return History(**kept | {"stopped": "", "held_out": [tuple(point) for point in kept["held_out"]]})


def compiled(model: Transformer, data: Data, config: TrainConfig, autocast: torch.autocast
             ) -> Callable[[Tensor], Tensor]:
    """torch.compile's form of the model, tried out; or the model as it is, and a sentence, where no compiler is."""
    inputs, _ = data.batch(0, max(1, config.batch // config.accumulate), config.context or model.config.context, 0)
    made = torch.compile(model)
    try:
        with autocast:
            made(inputs.to(model.device)).sum().backward()
    except (torch._dynamo.exc.BackendCompilerFailed, torch._inductor.exc.InductorError) as error:
        reason = str(error).strip().splitlines()[0]
        print(f"compile=True has no effect here, training goes on without: {reason}")
        return model
    finally:
        model.zero_grad(set_to_none=True)
    return made
