"""Lesson 06c: SmolLM2 learns to be brief by DPO with LoRA, at the lesson's rate and at three times that rate."""
import copy
import functools
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.sweeps import rounded
from helpers import chat_runs, pretrained
from helpers.lora import add_lora
from helpers.preference import PairData, train_dpo
from helpers.transformer import Transformer

RATES, SEEDS = (1e-4, 3e-4), range(3)


def points() -> Iterator[dict]:
    """What the untuned model does (rate 0), and for each rate and seed what the tuned one does."""
    model, _ = loaded()
    yield measured(model, 0.0, 0)
    for rate in RATES:
        for seed in SEEDS:
            tuned = copy.deepcopy(model)
            add_lora(tuned, chat_runs.RANK, seed=seed)
            train_dpo(tuned, pairs(), replace(chat_runs.DPO, learning_rate=rate, seed=seed), chat_runs.BETA)
            yield measured(tuned, rate, seed)


def measured(tuned: Transformer, rate: float, seed: int) -> dict:
    """A point. seed: of the detours' first numbers and of the order of the pairs."""
    model, tokenizer = loaded()
    told = chat_runs.answers(tuned, tokenizer, chat_runs.questions("judging"))
    return {"rate": rate, "seed": seed} | rounded(chat_runs.judged(tuned, model, tokenizer, told)) | {
        "answers": [chat_runs.text_of(tokenizer, ids) for ids in told]}


loaded = functools.cache(pretrained.smollm2)


@functools.cache
def pairs() -> PairData:
    """The model's own answers, whole and cut."""
    model, tokenizer = loaded()
    asked = chat_runs.questions("tuning")
    whole = chat_runs.answers(model, tokenizer, asked, chat_runs.PAIR_TOKENS)
    return chat_runs.brief_pairs(tokenizer, asked, whole)
