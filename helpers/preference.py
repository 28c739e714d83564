"""Preferences: which of two answers somebody likes better, and a model that learns from it by DPO.

    pairs = [Pair("Write a happy story about a fox and a kite.", chosen="Once ...", rejected="There was ...")]
    data = PairData(storyteller.pair_rows(tokenizer, pairs))
    history = train_dpo(model, data, PreferenceConfig(steps=60), beta=0.1)

DPO needs no reward model; `reward` has one, and `ppo` and `grpo` are what a reward can move a model by. What the pairs
and the tensors are called is as in TRL, the library most used for this.
Sizes: B answers, T tokens of request and answer, C channels, V vocabulary.
"""
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.assets import write
from helpers.counting import require, require_above_0
from helpers.interrupts import held_interrupts
from helpers.optimizers import schedule
from helpers.token_data import as_they_are, in_turn, whole
from helpers.training import TrainingStopped
from helpers.transformer import Transformer, evaluating
from helpers.waiting import bar

ADAM_BETAS = (0.9, 0.95)        # of AdamW: short trainings have no time for a longer memory


@dataclass(frozen=True)
class Pair:
    """Two answers to one request, and which of them was liked better."""
    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class PreferenceConfig:
    """How to learn from preferences. Raises ValueError, naming the field that cannot be."""
    steps: int                                      # how often the weights move
    batch: int = 16                                 # pairs a step
    learning_rate: float = 3e-4                     # of AdamW; it rises in the warm-up and then falls to 0
    weight_decay: float = 0.0
    warmup: int = 0
    clip: float = 1.0                               # longest gradient
    seed: int = 0                                   # of the order of the pairs

    def __post_init__(self):
        require(steps=self.steps, batch=self.batch)
        require(least=0, warmup=self.warmup, seed=self.seed)
        require_above_0(learning_rate=self.learning_rate, clip=self.clip)
        require_above_0(or_0=True, weight_decay=self.weight_decay)
        schedule(0, self.steps, self.warmup)


@dataclass
class PreferenceHistory:
    """What each step saw of its own pairs, before it moved."""
    losses: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)      # how much better the chosen one scored, on average
    accuracies: list[float] = field(default_factory=list)   # share of pairs whose chosen one scored better
    stopped: str = ""                                       # why it ended early


# What the tokens of an answer say -------------------------------------------------------------------------------------


def pad(rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Tensor, Tensor]:
    """Requests with their answers as one tensor: ids (B, T) and completion_mask (B, T), True where the answer is.

    rows: for each its ids, and how many of them are the request. Shorter rows are filled up on the right: a causal
    model sees the filling from nowhere that counts, so no other mask is needed. Raises ValueError for no row.
    """
    if not rows:
        raise ValueError("rows is empty; give at least one request with an answer.")
    T = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), T, dtype=torch.int64)                              # (B, T)
    completion_mask = torch.zeros(len(rows), T, dtype=torch.bool)                   # (B, T)
    for row, (tokens, prompt) in enumerate(rows):
        ids[row, :len(tokens)] = torch.as_tensor(tokens)
        completion_mask[row, prompt:len(tokens)] = True
    return ids, completion_mask


def token_logps(model: Transformer, ids: Tensor, completion_mask: Tensor, hidden: Tensor | None = None) -> Tensor:
    """The log-probability of each token of the answers, given all before it: (B, T), 0 outside the answers.

    ids: (B, T). completion_mask: (B, T), True where an answer is; never at the first token, which nothing comes before.
    hidden: (B, T, C), what the model made of ids, if that is known. Lesson 06b builds it.
    Raises ValueError for a mask of another shape or kind, or one that is True at a first token.
    """
    if completion_mask.shape != ids.shape or completion_mask.dtype != torch.bool:
        raise ValueError(f"completion_mask is {completion_mask.dtype} {tuple(completion_mask.shape)}; give bool "
                         f"{tuple(ids.shape)}, True where an answer is.")
    if bool(completion_mask[:, 0].any()):
        raise ValueError("completion_mask is True at a first token, which nothing comes before; give each answer a "
                         "request of at least one token.")
    hidden = model.hidden(ids) if hidden is None else hidden                        # (B, T, C)
    predicted = completion_mask[:, 1:]                                              # (B, T - 1): by the place before
    logits = model.head(hidden[:, :-1][predicted])                                  # (all answers' tokens, V)
    logps = -F.cross_entropy(logits.float(), ids[:, 1:][predicted], reduction="none")
    found = torch.zeros(ids.shape, device=ids.device).masked_scatter(completion_mask, logps)
    return found                                                                    # (B, T)


def sequence_logps(model: Transformer, ids: Tensor, completion_mask: Tensor) -> Tensor:
    """The log-probability of each whole answer, given its request, (B,): the sum over its tokens.

    Arguments as in `token_logps`.
    """
    return token_logps(model, ids, completion_mask).sum(dim=1)


# Pairs ----------------------------------------------------------------------------------------------------------------


class PairData:
    """Pairs as tokens, in batches.

    rows: for each pair the ids of its request, of the chosen and of the rejected answer; an answer ends with its end
    token. Raises ValueError for no pair, a request or an answer without a token, and where all answers are equal.
    """

    def __init__(self, rows: Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]]):
        if not rows:
            raise ValueError("rows holds no pair; give at least one request with a chosen and a rejected answer.")
        self.rows = [tuple(as_they_are(ids) for ids in row) for row in rows]
        for number, row in enumerate(self.rows):
            if len(row) != 3:
                raise ValueError(f"rows[{number}] has {len(row)} parts; give three: the ids of the request, of the "
                                 "chosen and of the rejected answer.")
            for name, ids in zip(("request", "chosen answer", "rejected answer"), row, strict=True):
                if not len(ids):
                    raise ValueError(f"rows[{number}] has a {name} without a token; give at least one.")
                if not whole(ids):
                    raise ValueError(f"rows[{number}] has a {name} of {ids.dtype}; give whole numbers.")
        if all(torch.equal(chosen, rejected) for _, chosen, rejected in self.rows):
            raise ValueError(f"in all {len(self.rows)} pairs the chosen answer equals the rejected one: there is "
                             "nothing to learn. Give answers that differ.")

    def check(self, context: int) -> None:
        """Raise ValueError for a pair that is longer than the context of the model."""
        for number, (prompt, *answers) in enumerate(self.rows):
            longest = len(prompt) + max(map(len, answers))
            if longest > context:
                raise ValueError(f"rows[{number}] has {longest} tokens of request and answer; this model sees at most "
                                 f"{context}: leave the pair out, or shorten it.")

    def batch(self, number: int, pairs: int, seed: int) -> list[int]:
        """The numbers of the pairs of a batch: in a shuffled order, all once before one comes again."""
        return in_turn(len(self.rows), number, pairs, seed)

    def tensors(self, numbers: Iterable[int]) -> tuple[Tensor, Tensor]:
        """ids (2 B, T) and completion_mask (2 B, T) of pairs: all chosen answers, then all rejected ones."""
        rows = [self.rows[number] for number in numbers]
        return pad([(torch.cat([row[0], row[side]]), len(row[0])) for side in (1, 2) for row in rows])


def save_pairs(pairs: Iterable[Pair], file: str | Path) -> None:
    """Write pairs, one a line, in the form that TRL reads; all of them, or what was there before stays."""
    lines = [json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in pairs]
    write(Path(file), "".join(lines).encode())


def load_pairs(file: str | Path) -> list[Pair]:
    """Read what `save_pairs` wrote. Raises ValueError for a line that holds no pair."""
    pairs = []
    for number, line in enumerate(Path(file).read_bytes().splitlines(), 1):
        try:
            pairs.append(Pair(**json.loads(line)))
            "".join(asdict(pairs[-1]).values())             # texts, all three
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number} of {Path(file).name} is no pair; it holds prompt, chosen and rejected as "
                             "JSON. Delete the line, or save the pairs again.") from error
    return pairs


# DPO ------------------------------------------------------------------------------------------------------------------


def dpo_loss(chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor, ref_rejected_logps: Tensor,
             beta: float) -> tuple[Tensor, Tensor]:
    """Direct preference optimization (Rafailov et al., 2023): a loss for each pair, and its margin, both (B,).

    chosen_logps, rejected_logps: (B,), log-probabilities of whole answers by the model that learns; ref_...: by the
    model it began as. The margin is beta times how much more the chosen answer has gained than the rejected one; the
    loss is -log sigmoid(margin): ln 2 where nothing has moved yet. Lesson 06c builds it.
    Raises ValueError for a beta that is not above 0, and for different shapes.
    """
    check_beta(beta, above=True)
    shapes = {tuple(each.shape) for each in (chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps)}
    if len(shapes) > 1:
        raise ValueError(f"the log-probabilities have shapes {', '.join(map(str, sorted(shapes)))}; give the same, "
                         "one number a pair.")
    margins = beta * ((chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps))    # (B,)
    return -F.logsigmoid(margins), margins


def check_beta(beta: float, above: bool = False) -> None:
    """Refuse a beta that is negative or no number; with above=True also 0."""
    if isinstance(beta, bool) or not (0 < beta < math.inf or beta == 0 and not above):
        why = "above 0: at 0 DPO's loss is ln 2 whatever the model does" if above else "0 or more"
        raise ValueError(f"beta is {beta!r}; give a number {why}.")


def train_dpo(model: Transformer, data: PairData, config: PreferenceConfig, beta: float = 0.1,
              reference: Transformer | None = None) -> PreferenceHistory:
    """Teach a model which answers are preferred; it is changed in place.

    reference: what it may not leave too far; None takes the model as it is now. What is frozen (LoRA) stays so.
    Raises ValueError for a pair that is longer than the model's context, for a beta that is not above 0 and for a model
    that is frozen as a whole, and TrainingStopped as `learn` does.
    """
    check_beta(beta, above=True)
    trained_in(model)
    data.check(model.config.context)
    ref_logps = answers_logps(reference or model, data, config.batch)               # (2, N)

    def loss(numbers: list[int]) -> tuple[Tensor, Tensor]:
        ids, completion_mask = (each.to(model.device) for each in data.tensors(numbers))
        chosen, rejected = sequence_logps(model, ids, completion_mask).chunk(2)     # (B,) each
        return dpo_loss(chosen, rejected, *ref_logps[:, numbers], beta)

    return learn(model, data, config, loss, "DPO")


def answers_logps(model: Transformer, data: PairData, pairs: int = 16) -> Tensor:
    """The log-probabilities of all chosen and all rejected answers, (2, N), without gradients."""
    return of_all(model, data, lambda ids, completion_mask: sequence_logps(model, ids, completion_mask), pairs)


@torch.no_grad()
def of_all(model: nn.Module, data: PairData, measure: Callable[[Tensor, Tensor], Tensor], pairs: int) -> Tensor:
    """What `measure` gives for all chosen and all rejected answers, (2, N), without gradients.

    measure: of ids and completion_mask (B, T), a number for each answer, (B,). pairs: how many are read at a time.
    """
    device = next(model.parameters()).device
    found, order = torch.zeros(2, len(data.rows), device=device), by_length(data)
    with evaluating(model), bar(len(order), "Reading the pairs", " pairs") as advance:
        for numbers in order.split(pairs):
            ids, completion_mask = (each.to(device) for each in data.tensors(numbers.tolist()))
            found[:, numbers] = measure(ids, completion_mask).view(2, -1)
            advance(len(numbers))
    return found


def by_length(data: PairData) -> Tensor:
    """The numbers of all pairs, the shortest first: batches of like lengths need little filling."""
    return torch.tensor([max(map(len, row[1:])) + len(row[0]) for row in data.rows]).argsort(stable=True)


def learn(model: nn.Module, data: PairData, config: PreferenceConfig,
          loss: Callable[[list[int]], tuple[Tensor, Tensor]], label: str) -> PreferenceHistory:
    """The loop that reward model and DPO share: draw pairs, take their loss, move.

    loss: numbers of pairs to a loss and a margin for each. An interrupt ends it after the step it is in.
    Raises ValueError for a model that is frozen as a whole, and TrainingStopped when a loss is no number any more; the
    model is then as it was before that step.
    """
    trained = trained_in(model)
    mover = torch.optim.AdamW(trained, config.learning_rate, betas=ADAM_BETAS, weight_decay=config.weight_decay)
    history, was_training = PreferenceHistory(), model.training
    model.train()
    try:
        with held_interrupts() as stopping, bar(config.steps, label) as advance:
            for step in range(config.steps):
                losses, margins = loss(data.batch(step, config.batch, config.seed))             # (B,) each
                move(trained, mover, losses.mean(), config.clip,
                     config.learning_rate * schedule(step, config.steps, config.warmup), f"step {step + 1}", history)
                history.losses.append(float(losses.detach().mean()))
                history.margins.append(float(margins.detach().mean()))
                history.accuracies.append(float((margins > 0).float().mean()))
                advance(1)
                if stopping.is_set():
                    history.stopped = f"stopped after step {step + 1} of {config.steps}"
                    print(f"Training {history.stopped}. The model holds what it had learned by then.")
                    break
    finally:
        model.train(was_training)
    return history


def trained_in(model: nn.Module) -> list[nn.Parameter]:
    """What learns in a model. Raises ValueError where all is frozen."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("nothing in the model learns: all of it is frozen. Call model.requires_grad_(True), or add "
                         "LoRA.")
    return trained


def move(trained: Sequence[Tensor], mover: torch.optim.Optimizer, loss: Tensor, clip: float, rate: float, when: str,
         history: object) -> None:
    """Move parameters down the slope of a loss. clip: longest gradient. when: for the message, such as "step 3".

    Raises TrainingStopped, before anything is moved, for a loss or a slope that is no finite number.
    """
    mover.zero_grad(set_to_none=True)
    loss.backward()
    length = float(nn.utils.clip_grad_norm_(trained, clip))
    if not (math.isfinite(float(loss.detach())) and math.isfinite(length)):
        mover.zero_grad(set_to_none=True)
        raise TrainingStopped(f"the loss or its slope is no finite number in {when} (loss {float(loss.detach()):g}). "
                              "The model is as it was before this move; lower the learning rate.", history)
    for group in mover.param_groups:
        group["lr"] = rate
    mover.step()
    mover.zero_grad(set_to_none=True)
