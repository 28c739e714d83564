"""Many short fine-tunings of the Storyteller's base: what lessons 05e to 05g measure, and what their sweeps store.

    base, tokenizer = helpers.pretrained.storyteller("base")
    tuned = tune("instructions", seed=0)        # a copy of the base, trained on for 40 steps
    measures(tuned)                             # losses, how far patterns and weights have moved
    followed(tuned, n=40)                       # which parts of 40 unread requests its answers fulfil
"""
import copy
import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from helpers import corpora, lora, pretrained, storyteller, tales, tracing
from helpers.tales import Followed, Request, Tale
from helpers.token_data import Data, Examples, Mixed, TokenStream
from helpers.tokenizer import BPETokenizer
from helpers.training import History, TrainConfig, evaluate, token_loss, train
from helpers.training_view import Silent
from helpers.transformer import Transformer, evaluating

KINDS = ("instructions", "requests too", "stories", "instructions, mixed", "Shakespeare", "Shakespeare, mixed",
         "happy", "sad")
STEPS, BATCH, CONTEXT = 40, 8, 128
ADAMW_RATE, LORA_RATE = 6e-4, 6e-3              # the best of the sweep `lora`: for all weights, for adapters alone


@functools.cache
def base() -> tuple[Transformer, BPETokenizer]:
    """The base model, never changed, and its tokenizer."""
    model, tokenizer = pretrained.storyteller("base")
    return model.requires_grad_(False), tokenizer


def stories(endings: tuple[str, ...] = ("happy", "sad"), n: int = 2_000) -> Examples:
    """Stories that the base has not read, each by itself with its end token. endings: only those that end so."""
    _, tokenizer = base()
    return Examples([([*tokenizer.encode(tale.text), tokenizer.special_tokens[tales.END]], 0)
                     for tale in corpora.tales(n, seed=3) if tale.facts.ending in endings])


def stream(n: int = 1_000, split: str = "train", seed: int = 3) -> TokenStream:
    """Stories that the base has not read, one after another, for pieces of any length that begin with a story."""
    _, tokenizer = base()
    end = tokenizer.special_tokens[tales.END]
    return TokenStream([token for tale in corpora.tales(n, seed=seed, split=split)
                        for token in (*tokenizer.encode(tale.text), end)], begin_after=end)


@functools.cache
def data(kind: str) -> Data:
    """What each of KINDS trains on. Raises ValueError for another."""
    _, tokenizer = base()
    if kind in ("instructions", "requests too"):
        asked = storyteller.instruction_data(tokenizer, 1_000)
        return asked if kind == "instructions" else Examples([(ids.tolist(), 1) for ids, _ in asked.rows])
    if kind in ("happy", "sad", "stories"):
        return stories() if kind == "stories" else stories((kind,))
    if kind == "Shakespeare":
        return TokenStream(tokenizer.encode(corpora.shakespeare()[:400_000]))
    if kind in KINDS:
        return Mixed(data(kind.removesuffix(", mixed")), stream(), 0.25)
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}.")


def tune(kind: str, rate: float = 1.0, seed: int = 0, optimizer: str = "muon", rank: int = 0,
         steps: int = STEPS) -> Transformer:
    """A copy of the base, trained on for some steps.

    kind: one of KINDS. rate: times the usual learning rate. seed: of the batches, and of an adapter's first weights.
    optimizer: "muon" (with AdamW for the rest), as the instructed Storyteller is made, or "adamw" for all.
    rank: of the adapters that are trained, by AdamW, in place of the weights, and merged in the end; 0 trains the
        weights. steps: how often they move.
    """
    model, _ = base()
    tuned = copy.deepcopy(model).requires_grad_(True)
    usual = storyteller.INSTRUCTED
    config = TrainConfig(steps=steps, batch=BATCH, warmup=min(6, steps), seed=seed, optimizer=optimizer,
                         context=CONTEXT if "Shakespeare" in kind else None, weight_decay=usual.weight_decay,
                         learning_rate=rate * usual.learning_rate, muon_learning_rate=rate * usual.muon_learning_rate)
    if rank:
        lora.add_lora(tuned, rank, seed=seed)
        config = replace(config, optimizer="adamw", learning_rate=rate * LORA_RATE)
    elif optimizer == "adamw":
        config = replace(config, learning_rate=rate * ADAMW_RATE)
    train(tuned, data(kind), config, watch=Silent())
    return lora.merge(tuned).eval()


# What came of it ------------------------------------------------------------------------------------------------------


@functools.cache
def unread() -> dict[str, Data]:
    """Texts that no tuning has read, by name: what losses are measured on."""
    _, tokenizer = base()
    return {"answers": storyteller.instruction_data(tokenizer, 40, "held_out"),
            "Tales": Examples([([*tokenizer.encode(tale.text), tokenizer.special_tokens[tales.END]], 0)
                               for tale in corpora.tales(40, seed=2, split="held_out")]),
            "Shakespeare": TokenStream(tokenizer.encode(corpora.shakespeare()[-12_000:]))}


def losses(model: Transformer) -> dict[str, float]:
    """Loss a token, in nats, on answers to requests, on plain stories and on Shakespeare, all unread."""
    return {name: evaluate(model, texts, context=CONTEXT if name == "Shakespeare" else None)
            for name, texts in unread().items()}


def pattern_distance(one: Tensor, other: Tensor) -> Tensor:
    """Total variation between attention patterns: the share of its attention that a query has moved elsewhere.

    Half of the sum of the absolute differences, over the keys; then the mean over the queries but the first, which has
    no choice. one, other: (..., T, T), each row adding up to 1. Returns (...), from 0 to 1. Lesson 05f builds it.
    Raises ValueError for different shapes, and for fewer than two tokens.
    """
    if one.shape != other.shape or one.shape[-1] < 2:
        raise ValueError(f"one has shape {tuple(one.shape)} and other {tuple(other.shape)}; give the same shape, with "
                         "at least two tokens.")
    return (one - other).abs().sum(dim=-1)[..., 1:].mean(dim=-1) / 2                    # (..., T, T) -> (...)


@functools.cache
def read_by_both(form: str, n: int = 16, length: int = 100) -> Tensor:
    """The beginnings of n unread texts, (n, length): form "Tales" as plain stories, "answers" after their requests."""
    return torch.stack([ids[:length] for ids, _ in unread()[form].rows if len(ids) >= length][:n])


@torch.no_grad()
def moved(one: Transformer, other: Transformer, form: str) -> Tensor:
    """How far the patterns of two models lie apart on the same texts, (layers, H). form: as in `read_by_both`."""
    ids = read_by_both(form).to(one.device)
    return pattern_distance(tracing.patterns(one, ids), tracing.patterns(other, ids)).mean(dim=0)


def change(one: Transformer, other: Transformer) -> dict[str, float]:
    """The length of the change of each matrix, as a share of the matrix's own length in `one`."""
    before, after = one.state_dict(), other.state_dict()
    return {name: float((after[name] - weight).norm() / weight.norm()) for name, weight in before.items()
            if weight.ndim == 2}


@functools.cache
def requests(n: int, split: str = "held_out") -> list[Tale]:
    """n unread stories with their requests, half of which name a place (in Tales as told, few do).

    split: "held_out" for heroes and objects that training never brings together, or "train" for those it does.
    """
    told = corpora.tales(20 * n, seed=2, split=split)
    with_place = [tale for tale in told if tale.request.place is not None][:n // 2]
    return with_place + [tale for tale in told if tale.request.place is None][:n - len(with_place)]


def answers(model: Transformer, asked: Sequence[Request]) -> list[str]:
    """What a model writes to each request in the chat's form."""
    _, tokenizer = base()
    return storyteller.write(model, tokenizer, [storyteller.request_ids(tokenizer, one.text) for one in asked])


def followed(model: Transformer, n: int = 40) -> list[Followed]:
    """Which parts of n unread requests the model's answers fulfil."""
    asked = [tale.request for tale in requests(n)]
    return list(map(tales.follows, asked, answers(model, asked)))


def measures(tuned: Transformer | None = None) -> dict[str, float]:
    """Numbers for a stored point: losses, movement of patterns on both forms, change of weights. None: of the base."""
    model, _ = base()
    tuned = tuned or model
    return ({f"loss on {name}": round(loss, 4) for name, loss in losses(tuned).items()}
            | {f"moved on {form}": round(float(moved(model, tuned, form).mean()), 4) for form in ("Tales", "answers")}
            | {"weights": round(fmean(change(model, tuned).values()), 4)})


# Whether the ending that was asked for is heard -----------------------------------------------------------------------

OTHER = {"happy": "sad", "sad": "happy", "well": "badly", "badly": "well"}


def asks_otherwise(request: Request) -> str:
    """The words of a request, with the other ending asked for."""
    return re.sub(r"\b(happy|sad)(?= story)|(?<= end )(well|badly)\b", lambda found: OTHER[found[0]], request.text)


@functools.cache
def asked_both_ways(n: int) -> tuple[Examples, Examples]:
    """The first 12 tokens of the turns of n unread stories, to predict: each after its own request and the story so
    far, and each after a request for the other ending and the same story so far.
    """
    _, tokenizer = base()
    told = corpora.tales(n, seed=5, split="held_out")
    own, other = ([storyteller.to_the_turn(tokenizer, tale, words(tale.request), 12) for tale in told]
                  for words in (lambda request: request.text, asks_otherwise))
    return Examples(own), Examples(other)


@torch.no_grad()
def heard(model: Transformer, n: int = 120) -> float:
    """How much more probable a story's turn is when its own ending was asked for than when the other was.

    In nats, the mean of n unread stories, each told up to its turn: 0 for a model that does not listen. The model is
    left in the mode it was in.
    """
    device, losses = model.device, []
    with evaluating(model):
        for way in asked_both_ways(n):
            inputs, targets = next(iter(way.in_order(n, model.config.context)))             # (n, T)
            loss = token_loss(model(inputs.to(device)), targets.to(device), reduction="none")
            losses.append(loss.sum(dim=1))                                                  # (n,)
    return float((losses[1] - losses[0]).mean())


def listening(model: Transformer, data: Data, config: TrainConfig, every: int = 50) -> list[tuple[int, float]]:
    """Train a model, and look how far it has `heard` each time so many steps are made: steps and nats of each look."""
    found = []

    class Listener(Silent):
        def step(self, model: Transformer, history: History, steps: int) -> None:
            if history.step % every == 0:
                found.append((history.step, heard(model)))

    train(model, data, config, watch=Listener())
    return found
