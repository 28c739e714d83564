"""Minimal pairs: a beginning with a right and a wrong ending, for the six abilities that lesson 05d measures.

    pairs = minimal_pairs("grammar")                        # 48 to 60 pairs, two by two
    right, wrong = scores(model, tokenizer, pairs)          # (N,) each: log probability of the endings

Pairs 2i and 2i + 1 share their endings: what is right after one beginning is wrong after the other. So a model that
pays no heed to the beginning is right in exactly half of them. The words lie in `minimal_pairs.toml`.
"""
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from helpers.tables import table
from helpers.training import token_loss
from helpers.transformer import Transformer
from helpers.unread import passages
from helpers.waiting import bar

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer

ABILITIES = ("grammar", "context", "logic", "knowledge", "intent", "style")


class Pair(NamedTuple):
    """A beginning, the ending that is right after it, and one that is wrong."""
    beginning: str
    right: str
    wrong: str


def minimal_pairs(ability: str) -> list[Pair]:
    """The pairs of an ability, two by two. Raises ValueError for an unknown ability."""
    return [pair for pairs in kinds(ability).values() for pair in pairs]


def kinds(ability: str) -> dict[str, list[Pair]]:
    """The same by the kind of question, such as "sums". Raises ValueError for an unknown ability."""
    if ability not in ABILITIES:
        raise ValueError(f"ability is {ability!r}; choose one of {', '.join(ABILITIES)}.")
    found = {}
    for group in table("minimal_pairs")[ability]:
        pairs = found[group["name"]] = []
        for item in group["items"].split(";"):
            words = [word.strip() for word in item.split(",")]
            one, other = (beginning.format(*words) for beginning in group["beginnings"])
            space = "" if group.get("glued") else " "
            first, second = (space + ending.format(*words) for ending in group["endings"])
            pairs += [Pair(one, first, second), Pair(other, second, first)]
    return found


def last_tokens(pairs: Sequence[Pair], tokenizer: "BPETokenizer", tokens: int) -> list[Pair]:
    """The same pairs with nothing but the last tokens of their beginnings."""
    return [Pair(tokenizer.decode(tokenizer.encode(pair.beginning)[-tokens:]), *pair[1:]) for pair in pairs]


@torch.no_grad()
def scores(model: Transformer, tokenizer: "BPETokenizer", pairs: Sequence[tuple[str, str, str]], label: str = "Reading",
           size: int = 32, shown: bool = True) -> tuple[Tensor, Tensor]:
    """Log probability of the right and of the wrong ending after each beginning, in nats; a whole ending's tokens add.

    Texts of about equal length share a batch of at most `size`; they are filled up at the end, which no token sees.
    Lesson 05d builds it. Returns (N,) and (N,), on the CPU. Raises ValueError for no pair, or an empty part of one.
    """
    if not pairs or not all(map(all, pairs)):
        raise ValueError("pairs is empty or holds an empty text; give beginnings and endings of at least one letter.")
    rows: dict[tuple[int, ...], list[tuple[int, int, list[int]]]] = {}       # what is read -> whose ending that scores
    for number, pair in enumerate(pairs):
        beginning = tokenizer.encode(pair[0])
        for side, ending in enumerate(map(tokenizer.encode, pair[1:])):
            rows.setdefault((*beginning, *ending[:-1]), []).append((number, side, ending))
    device = model.device
    found = torch.zeros(2, len(pairs), device=device)
    order = sorted(rows, key=len)
    with bar(len(order), label, shown=shown) as step:
        for start in range(0, len(order), size):
            batch = order[start:start + size]
            T = len(batch[-1])
            ids = torch.tensor([(*row, *[0] * (T - len(row))) for row in batch], device=device)
            hidden = model.hidden(ids)                                                                   # (B, T, C)
            endings = torch.tensor([(line, len(row) - len(ending) + n, token, side, number)
                                    for line, row in enumerate(batch) for number, side, ending in rows[row]
                                    for n, token in enumerate(ending)], device=device)
            line, place, token, side, number = endings.T                                # (tokens of all endings,) each
            costs = token_loss(model.head(hidden[line, place])[None], token[None], reduction="none")[0]
            found.index_put_((side, number), -costs, accumulate=True)
            step(len(batch))
    right, wrong = found.cpu()
    return right, wrong


@contextmanager
def without_blocks(model: Transformer, seed: int, skipped: int) -> Iterator[Transformer]:
    """The model with some of its blocks left out while the block runs: of all but the first two and the last two,
    so many as `skipped` says, drawn in an order that depends on the seed; a larger number leaves out the same and more.

    Raises ValueError for a number that cannot be left out.
    """
    whole, inner = model.blocks, list(range(2, len(model.blocks) - 2))
    if not 0 <= skipped <= len(inner):
        raise ValueError(f"skipped is {skipped}; give 0 to {len(inner)}.")
    random.Random(seed).shuffle(inner)
    try:
        model.blocks = nn.ModuleList(block for place, block in enumerate(whole) if place not in inner[:skipped])
        yield model
    finally:
        model.blocks = whole


def part_taken(model: Transformer, tokenizer: "BPETokenizer", seed: int, skipped: int) -> dict[str, float]:
    """What a model without some blocks can do: loss on three of `unread.passages`, and share right of each ability.

    To save time, only every second two of pairs is asked.
    """
    with without_blocks(model, seed, skipped), torch.no_grad():
        total, count = 0.0, 0
        for passage in passages()[:3]:
            ids = torch.tensor([tokenizer.encode(passage)], device=model.device)                    # (1, T)
            total += float(token_loss(model(ids[:, :-1]), ids[:, 1:], reduction="sum"))
            count += ids.shape[1] - 1
        chosen = {ability: [pair for number, pair in enumerate(minimal_pairs(ability)) if number % 4 < 2]
                  for ability in ABILITIES}
        asked = [pair for pairs in chosen.values() for pair in pairs]
        right, wrong = scores(model, tokenizer, asked, "A model in part")
    share, start = {"loss": total / count}, 0
    for ability, pairs in chosen.items():
        share[ability] = float((right > wrong)[start:start + len(pairs)].double().mean())
        start += len(pairs)
    return share
