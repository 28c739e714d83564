"""How the Storyteller is made: its tokens, what it reads, how it is trained, how its stories are scored.

    tokenizer = train_tokenizer()
    model = new_model(tokenizer)
    train(model, base_data(tokenizer), BASE)                          # a base model: it goes on with stories
    train(model, instruction_data(tokenizer), INSTRUCTED)             # it answers requests

The lessons train it with these settings, and so does `course.py stages`, which makes the files that ship with us. There
the answers are learned in two trainings: first only the words that decide how a story ends, then these and the answers.
"""
from collections.abc import Sequence
from dataclasses import replace

import torch

from helpers import sampling, tales
from helpers.corpora import tales as tell
from helpers.preference import Pair
from helpers.tales import ASSISTANT, END, USER, Tale
from helpers.token_data import Examples, Mixed, TokenStream
from helpers.tokenizer import BPETokenizer
from helpers.training import TrainConfig
from helpers.transformer import Config, Transformer

VOCABULARY = 1_024
STORIES, REQUESTS, HELD_OUT = 12_000, 4_000, 400
LONGEST = 240                   # tokens of a story, at most; a request may stand before it
EMBEDDING_SIZE, LAST_GAIN = 0.7, 0.03
BASE = TrainConfig(steps=900, batch=8, context=160, warmup=10, learning_rate=0.015, muon_learning_rate=0.02,
                   weight_decay=0.1)
INSTRUCTED = TrainConfig(steps=250, batch=8, warmup=10, learning_rate=6e-3, muon_learning_rate=0.01, weight_decay=0.1)
SHIPPED = 6                     # what ships was trained for so many times these steps, on three times the texts
DECIDING = replace(INSTRUCTED, steps=50, batch=32)          # before it: the deciding words alone
BOTH = replace(INSTRUCTED, batch=32)                        # in its place: three quarters of each batch are DECIDING's


def train_tokenizer(stories: int = 2_000) -> BPETokenizer:
    """A tokenizer that learned from stories: 1,024 tokens, nearly all of them whole words; three are special."""
    text = "".join(tale.text for tale in tell(stories))
    return BPETokenizer.train(text, VOCABULARY, special_tokens=(END, USER, ASSISTANT))


def new_model(tokenizer: BPETokenizer, seed: int = 0) -> Transformer:
    """An untrained Storyteller. seed: of its first weights, which are drawn on the CPU.

    Names are used alike, so training moves their vectors alike. If these begin small, what they come to share soon
    drowns what tells them apart, and the model takes several times as long to learn to repeat a name it has read.
    Here they begin large, and the last norm begins small, so that at first all tokens are still equally likely.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(Config.storyteller(tokenizer.vocab_size))
        torch.nn.init.normal_(model.embed.weight, std=EMBEDDING_SIZE)
    torch.nn.init.constant_(model.norm.weight, LAST_GAIN)
    return model


def base_data(tokenizer: BPETokenizer, stories: int = STORIES, split: str = "train") -> TokenStream:
    """Stories one after another, each with an end token; an example begins where a story begins."""
    end = tokenizer.special_tokens[END]
    ids = [token for tale in tell(stories, split=split) for token in (*tokenizer.encode(tale.text), end)]
    return TokenStream(ids, begin_after=end)


def story_data(tokenizer: BPETokenizer, stories: Sequence[Tale]) -> Examples:
    """Each story by itself, with its end token: to measure a loss on. Its first token is not predicted."""
    end = tokenizer.special_tokens[END]
    return Examples([([*tokenizer.encode(tale.text), end], 1) for tale in stories])


def instruction_data(tokenizer: BPETokenizer, stories: int = REQUESTS, split: str = "train") -> Examples:
    """Requests with their stories; the request is read and not predicted. None of the stories is in `base_data`."""
    return Examples([answer_row(tokenizer, tale.request.text, tale.text)
                     for tale in tell(stories, seed=1, split=split)])


def answer_row(tokenizer: BPETokenizer, request: str, answer: str) -> tuple[list[int], int]:
    """A request, its answer and the end token, and how many tokens are the request: a row of `Examples`."""
    question = request_ids(tokenizer, request)
    return [*question, *tokenizer.encode(answer), tokenizer.special_tokens[END]], len(question)


def deciding_data(tokenizer: BPETokenizer, stories: int = REQUESTS, split: str = "train") -> Examples:
    """The same requests and stories, up to the first three tokens of the turn; these alone are predicted.

    How a story ends was asked for, and is decided there: by one token in 150. Among all others, its slope drowns.
    """
    return Examples([to_the_turn(tokenizer, tale, tale.request.text, 3)
                     for tale in tell(stories, seed=1, split=split)])


def to_the_turn(tokenizer: BPETokenizer, tale: Tale, request: str, tokens: int) -> tuple[list[int], int]:
    """A request, a story and so many tokens of its turn, and how many tokens come before these: a row of `Examples`."""
    read = request_ids(tokenizer, request) + tokenizer.encode(tale.text[:tale.turn_at])
    return read + tokenizer.encode(tale.text[tale.turn_at:])[:tokens], len(read)


def both(answers: Examples, deciding: Examples) -> Mixed:
    """Answers, and in three quarters of each batch the deciding words alone, which would else be forgotten."""
    return Mixed(answers, deciding, share=0.75)


def request_ids(tokenizer: BPETokenizer, request: str) -> list[int]:
    """A request as an instructed Storyteller expects it: user token, request, assistant token."""
    return [tokenizer.special_tokens[USER], *tokenizer.encode(request), tokenizer.special_tokens[ASSISTANT]]


def pair_rows(tokenizer: BPETokenizer, pairs: Sequence[Pair]) -> list[tuple[list[int], list[int], list[int]]]:
    """Pairs of stories as tokens: request, chosen story, rejected story, as `PairData` takes them.

    Special tokens in a story are taken as such: now and then a model writes one where it should not.
    """
    def story(text: str) -> list[int]:
        return [*tokenizer.encode(text, allowed_special=set(tokenizer.special_tokens)), tokenizer.special_tokens[END]]

    return [(request_ids(tokenizer, pair.prompt), story(pair.chosen), story(pair.rejected)) for pair in pairs]


def write(model: Transformer, tokenizer: BPETokenizer, prompts: Sequence[list[int]], temperature: float = 0.0,
          seed: int | None = 0, longest: int = LONGEST) -> list[str]:
    """What the model writes after each prompt, up to its end token. prompts: token ids. longest: tokens at most."""
    model.eval()
    end = tokenizer.special_tokens[END]
    written = sampling.generate(model, list(prompts), longest, temperature=temperature, stop=[end], seed=seed)
    return [tokenizer.decode(ids) for ids in written]


def fluency(model: Transformer, tokenizer: BPETokenizer, stories: Sequence[Tale], temperature: float = 0.0,
            seed: int | None = 0) -> list[tales.Score]:
    """Scores of the stories that the model tells after the openings of these, which it has not seen."""
    openings = [tales.opening(tale) for tale in stories]
    written = write(model, tokenizer, [tokenizer.encode(opening.rstrip()) for opening in openings], temperature, seed)
    return [tales.consistent(opening, text) for opening, text in zip(openings, written, strict=True)]
