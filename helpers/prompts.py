"""What `generate` is given, made ready: texts as lists of tokens, room for an answer, a source of random numbers a row.

Each raises ValueError, in one sentence, for what it cannot take. Sizes: B rows, T tokens.
"""
from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.checks import require

if TYPE_CHECKING:
    from helpers.transformer import Transformer


def as_prompts(ids: Iterable, model: "Transformer", name: str = "ids") -> tuple[list[list[int]], bool]:
    """The texts as lists of tokens, and whether several were given. name: of the argument that they were given as."""
    if model.config.output != "logits" or not model.config.causal:
        raise ValueError("model gives no scores for a next token; use one that writes, such as pretrained.smollm2().")
    ids = ids.tolist() if hasattr(ids, "tolist") else ids                           # a tensor or an array
    require(isinstance(ids, Iterable) and not isinstance(ids, str),
            f"{name} is {ids!r:.40}; give a list of tokens, as tokenizer.encode(text) returns it.")
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in ids]
    several = bool(rows) and all(isinstance(row, (list, tuple)) for row in rows)
    prompts = [list(row) for row in rows] if several else [rows]
    for row in prompts:
        if not row:
            raise ValueError(f"{name} {'holds an empty text' if several else 'is empty'}; give at least one token to "
                             "continue from.")
        wrong = [token for token in row if not isinstance(token, Integral) or isinstance(token, bool)]
        if wrong:
            raise ValueError(f"{name} holds {wrong[0]!r}; give whole numbers, as tokenizer.encode returns them.")
        check_token(name, min(row), model)
        check_token(name, max(row), model)
    return prompts, several


def as_prompt(ids: Iterable, model: "Transformer", caller: str) -> list[int]:
    """The tokens of one text. caller: the function that continues no more than one, by its name."""
    prompts, several = as_prompts(ids, model)
    require(not several, f"ids holds {len(prompts)} texts; {caller} continues one: call it once for each.")
    return prompts[0]


def check_token(name: str, token: int, model: "Transformer") -> None:
    """Raise ValueError for a token that the model does not have."""
    if not 0 <= token < model.config.vocabulary:
        raise ValueError(f"{name} holds {token}; this model's tokens are 0 to {model.config.vocabulary - 1}. "
                         "Was it made by another tokenizer?")


def pad(prompts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Rows of equal length (B, T), padded on the left, and which tokens are real (B, T), or None when all are."""
    T = max(map(len, prompts))
    # padding repeats the row's own first token, so that a repetition penalty meets no token that is not in the text
    ids = torch.tensor([row[:1] * (T - len(row)) + row for row in prompts], device=device)
    real = torch.tensor([[False] * (T - len(row)) + [True] * len(row) for row in prompts], device=device)
    return ids, None if bool(real.all()) else real


def room(model: "Transformer", prompts: list[list[int]], max_new_tokens: int, name: str = "ids") -> int:
    """How many tokens can be written: max_new_tokens, or what the context has left. name: of a text, in an error."""
    require(isinstance(max_new_tokens, Integral) and max_new_tokens >= 0,
            f"max_new_tokens is {max_new_tokens!r}; give a whole number of at least 0.")
    longest, context = max(map(len, prompts)), model.config.context
    if longest >= context:
        raise ValueError(f"{name} has {longest} tokens and this model sees at most {context}, a new one among them: "
                         "shorten the text.")
    return min(max_new_tokens, context - longest)


def as_generators(seed: int | None, rows: int) -> list[torch.Generator]:
    """A source of random numbers for each row, on the CPU."""
    check_seed(seed)
    generators = [torch.Generator() for _ in range(rows)]
    for row, generator in enumerate(generators):
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(int(seed) + row)
    return generators


def check_seed(seed: int | None) -> None:
    """Raise ValueError for a seed that PyTorch's generators cannot take."""
    require(seed is None or isinstance(seed, Integral) and not isinstance(seed, bool) and -2**63 <= seed < 2**63,
            f"seed is {seed!r}; give a whole number from -2**63 to 2**63 - 1, or None to draw anew each time.")


def shared(left: list[int], right: list[int]) -> int:
    """How many tokens two lists have in common at the beginning."""
    return next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
