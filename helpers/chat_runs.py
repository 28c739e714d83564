"""SmolLM2 learns to be brief, by DPO on a few of its own answers, with LoRA: lesson 06c, and what its sweep stores.

    model, tokenizer = helpers.pretrained.smollm2()
    whole = answers(model, tokenizer, questions("tuning"), PAIR_TOKENS)
    data = brief_pairs(tokenizer, questions("tuning"), whole)   # its first sentence is better than all of it
    tuned = copy.deepcopy(model)
    add_lora(tuned, RANK)
    train_dpo(tuned, data, DPO, BETA)
    judged(tuned, model, tokenizer, answers(tuned, tokenizer, questions("judging")))
"""
import math
import re
from collections.abc import Sequence
from statistics import fmean

import torch

from helpers import sampling, unread
from helpers.chat import render, smollm2_template
from helpers.preference import PairData, PreferenceConfig, pad, sequence_logps
from helpers.tables import lines, table
from helpers.tokenizer import BPETokenizer
from helpers.transformer import Transformer

RANK, BETA = 8, 0.1
DPO = PreferenceConfig(steps=16, batch=2, learning_rate=1e-4, warmup=2)
PAIR_TOKENS, JUDGED_TOKENS = 80, 120                # of an answer, at most


def questions(use: str) -> list[str]:
    """Questions by what they are for: "tuning" (24) or "judging" (12). Raises ValueError for another use."""
    known = table("chat_questions")
    if use not in known:
        raise ValueError(f"use is {use!r}; choose one of {', '.join(known)}.")
    return list(lines(known[use]))


def question_ids(tokenizer: BPETokenizer, question: str) -> list[int]:
    """A question of ours as SmolLM2 is asked it, laid out by its chat template."""
    text = render(smollm2_template(), [{"role": "user", "content": question}])
    return tokenizer.encode(text, allowed_special=set(tokenizer.special_tokens))


def end_of(tokenizer: BPETokenizer) -> int:
    """The token with which an answer ends."""
    return tokenizer.special_tokens["<|im_end|>"]


def answers(model: Transformer, tokenizer: BPETokenizer, asked: Sequence[str], longest: int = JUDGED_TOKENS
            ) -> list[list[int]]:
    """What the model answers to each question by itself, always the likeliest token, as ids with the end token.

    longest: tokens at most; an answer that is cut off there has no end token.
    """
    prompts, end = [question_ids(tokenizer, question) for question in asked], end_of(tokenizer)
    told = sampling.generate(model, prompts, longest, temperature=0.0, stop=[end], progress=True)
    return [ids + [end] * (len(ids) < longest) for ids in told]


def first_sentence(text: str) -> str:
    """A text up to the first full stop, question or exclamation mark that a space or the end follows."""
    return re.split(r"(?<=[.!?])\s", text.strip())[0]


def brief_pairs(tokenizer: BPETokenizer, asked: Sequence[str], told: Sequence[list[int]]) -> PairData:
    """What a reader in a hurry takes: of each answer the first sentence rather than the whole.

    told: answers to the questions, as ids. Answers of one sentence are left out.
    """
    rows, end = [], end_of(tokenizer)
    for question, ids in zip(asked, told, strict=True):
        chosen = [*tokenizer.encode(first_sentence(text_of(tokenizer, ids))), end]
        if len(chosen) < len(ids):
            rows.append((question_ids(tokenizer, question), chosen, ids))
    return PairData(rows)


def text_of(tokenizer: BPETokenizer, ids: Sequence[int]) -> str:
    """An answer as text, without its end token."""
    end = end_of(tokenizer)
    return tokenizer.decode([token for token in ids if token != end])


def judged(tuned: Transformer, model: Transformer, tokenizer: BPETokenizer, told: Sequence[list[int]]
           ) -> dict[str, float]:
    """What has become of a tuned model: `words` of an answer; `strange`, how unlikely a token of it is to the model
    that it began as; and `perplexity`, on text that neither has read.

    told: its answers to the questions for judging. `strange` is in nats.
    """
    prompts = [question_ids(tokenizer, question) for question in questions("judging")]
    passages = [tokenizer.encode(passage) for passage in unread.passages()]
    return {"words": fmean(len(text_of(tokenizer, ids).split()) for ids in told),
            "strange": nats_a_token(model, [(prompt + ids, len(prompt))
                                            for prompt, ids in zip(prompts, told, strict=True)]),
            "perplexity": math.exp(nats_a_token(tuned, [(ids, 1) for ids in passages]))}


@torch.no_grad()
def nats_a_token(model: Transformer, rows: Sequence[tuple[list[int], int]]) -> float:
    """How unlikely the tokens of texts are to a model, on average. rows: ids, and how many of them are only read."""
    summed, tokens = 0.0, 0
    for row in rows:                                    # one at a time: a row's logits fill 20 MB for 100 tokens
        ids, mask = (each.to(model.device) for each in pad([row]))
        summed -= float(sequence_logps(model, ids, mask))
        tokens += int(mask.sum())
    return summed / tokens
