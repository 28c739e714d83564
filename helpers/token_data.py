"""Texts as training examples: which tokens a model reads, and which it shall predict.

A batch is drawn from its number alone, so that step 700 sees the same batch in a training that was stopped and resumed,
and each of several processes can take its own rows of it. Every target is the token after its input.
"""
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.waiting import bar

IGNORE = -100                   # a target that does not count: PyTorch's cross entropy leaves it out


class Data(Protocol):
    """What `train` and `evaluate` ask of data."""

    def batch(self, number: int, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
        """The batch of this number: inputs (rows, T) and targets (rows, T), T at most context."""

    def in_order(self, rows: int, context: int) -> Iterable[tuple[Tensor, Tensor]]:
        """All of it once, in batches, for evaluation."""

    def largest(self) -> int:
        """The largest token id."""

    def check(self, context: int) -> None:
        """Raise ValueError where examples of this context cannot be had."""


def draw(seed: int, number: int) -> torch.Generator:
    """A generator that depends on the seed and the number of the batch, and on nothing that came before."""
    return torch.Generator().manual_seed(seed * 1_000_003 + number)


def in_turn(items: int, number: int, rows: int, seed: int) -> list[int]:
    """Which of so many items a batch of this number holds: in a shuffled order, all once before one comes again."""
    places = (divmod(place, items) for place in range(number * rows, (number + 1) * rows))
    return [shuffled(items, seed, epoch)[at] for epoch, at in places]


@functools.lru_cache(maxsize=8)
def shuffled(items: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of one pass over so many items; the last ones asked for are kept."""
    return tuple(torch.randperm(items, generator=draw(seed, epoch)).tolist())


class TokenStream:
    """One long text: an example is a piece of it from anywhere, or one that begins where a text in it begins.

    ids: (N,) whole numbers, a tensor, or an array such as `memory_map` gives, of which only what a batch needs is read.
    begin_after: a token that ends each text, such as an end token; pieces then begin after one, so that a model never
        reads the middle of a text whose beginning it has not seen. None lets them begin anywhere.
    Raises ValueError for other shapes and kinds.
    """

    def __init__(self, ids: Tensor | np.ndarray | Sequence[int], begin_after: int | None = None):
        self.ids = ids if isinstance(ids, Tensor | np.ndarray) else as_they_are(ids)
        if self.ids.ndim != 1 or not whole(self.ids):
            raise ValueError(f"ids is {self.ids.dtype} of shape {tuple(self.ids.shape)}; give whole numbers, (N,).")
        self.begins = None
        if begin_after is not None:
            ends = np.flatnonzero(np.asarray(self.ids) == begin_after)
            self.begins = torch.from_numpy(np.concatenate([[0], ends + 1]))         # (texts + 1,), sorted

    def batch(self, number: int, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
        """Pieces drawn by chance: inputs and targets (rows, context)."""
        self.check(context)
        last = len(self.ids) - context                                  # the last start with a whole piece, and one
        if self.begins is None:
            starts = torch.randint(last, (rows,), generator=draw(seed, number)).tolist()
        else:
            fitting = int(torch.searchsorted(self.begins, last))
            starts = self.begins[torch.randint(fitting, (rows,), generator=draw(seed, number))].tolist()
        return shifted(torch.stack([self.piece(start, context + 1) for start in starts]))

    def in_order(self, rows: int, context: int) -> Iterable[tuple[Tensor, Tensor]]:
        """All whole pieces, one after another; what is left at the end, shorter than a piece, is left out."""
        self.check(context)
        starts = range(0, len(self.ids) - context, context)
        for first in range(0, len(starts), rows):
            yield shifted(torch.stack([self.piece(start, context + 1) for start in starts[first:first + rows]]))

    def largest(self) -> int:
        """The largest token id."""
        return int(self.ids.max())

    def piece(self, start: int, length: int) -> Tensor:
        """Tokens from `start` on, (length,)."""
        part = self.ids[start:start + length]
        return part.long() if isinstance(part, Tensor) else torch.from_numpy(part.astype(np.int64))

    def check(self, context: int) -> None:
        """Raise ValueError for a text that has no example."""
        if len(self.ids) < context + 1:
            raise ValueError(f"ids has {len(self.ids)} tokens, fewer than one example of context {context} and the "
                             f"token after it; give at least {context + 1} tokens or choose a smaller context.")


class Examples:
    """Texts that each stand alone, such as an instruction with its answer; shorter ones are filled up.

    rows: for each example its ids, and how many of them are the question: these are read and not predicted.
    Raises ValueError for an example that has nothing to predict.
    """

    def __init__(self, rows: Sequence[tuple[Sequence[int], int]]):
        if not rows:
            raise ValueError("rows is empty; give at least one example.")
        self.rows = [(as_they_are(ids), question) for ids, question in rows]
        for number, (ids, question) in enumerate(self.rows):
            if not whole(ids):
                raise ValueError(f"rows[{number}] is {ids.dtype}; give whole numbers.")
            if not 0 <= question < len(ids) or len(ids) < 2:
                raise ValueError(f"rows[{number}] has {len(ids)} tokens, {question} of them the question; give at "
                                 "least two tokens, of which at least one is the answer.")

    def batch(self, number: int, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
        """Examples in a shuffled order, all once before one comes again: inputs and targets (rows, T)."""
        return self.padded([self.rows[place] for place in in_turn(len(self.rows), number, rows, seed)], context)

    def in_order(self, rows: int, context: int) -> Iterable[tuple[Tensor, Tensor]]:
        """All examples once, in the order they came in."""
        for first in range(0, len(self.rows), rows):
            yield self.padded(self.rows[first:first + rows], context)

    def largest(self) -> int:
        """The largest token id."""
        return max(int(ids.max()) for ids, _ in self.rows)

    def check(self, context: int) -> None:
        """Raise ValueError for a context that the longest example does not fit."""
        check_length(max(len(ids) for ids, _ in self.rows), context)

    @staticmethod
    def padded(rows: Sequence[tuple[Tensor, int]], context: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (rows, T), T that of the longest: filled up on the right, where nothing is predicted.

        No padding mask is needed: a causal model sees the filling from nowhere that counts.
        """
        longest = max(len(ids) for ids, _ in rows) - 1
        check_length(longest + 1, context)
        inputs = torch.zeros(len(rows), longest, dtype=torch.int64)                 # (rows, T)
        targets = torch.full((len(rows), longest), IGNORE)                          # (rows, T)
        for row, (ids, question) in enumerate(rows):
            inputs[row, :len(ids) - 1] = ids[:-1]
            first = max(question, 1)                        # the first token that is predicted, at the place before it
            targets[row, first - 1:len(ids) - 1] = ids[first:]
        return inputs, targets


class Mixed:
    """Batches of which a part comes from other data, such as what a model was first trained on.

    share: of the rows of each batch, rounded. Raises ValueError for a share outside 0 to 1.
    """

    def __init__(self, data: Data, other: Data, share: float):
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; give 0 to 1.")
        self.data, self.other, self.share = data, other, share

    def batch(self, number: int, rows: int, context: int, seed: int) -> tuple[Tensor, Tensor]:
        """Rows of both, the shorter filled up: inputs and targets (rows, T)."""
        from_other = round(rows * self.share)
        parts = [data.batch(number, count, context, seed)
                 for data, count in ((self.data, rows - from_other), (self.other, from_other)) if count]
        T = max(inputs.shape[1] for inputs, _ in parts)
        return tuple(torch.cat([F.pad(part[i], (0, T - part[i].shape[1]), value=fill)
                                for part in parts]) for i, fill in enumerate((0, IGNORE)))

    def in_order(self, rows: int, context: int) -> Iterable[tuple[Tensor, Tensor]]:
        """All of the one, then all of the other."""
        yield from self.data.in_order(rows, context)
        yield from self.other.in_order(rows, context)

    def largest(self) -> int:
        """The largest token id."""
        return max(self.data.largest(), self.other.largest())

    def check(self, context: int) -> None:
        """Raise ValueError for a context that does not fit one of the two."""
        self.data.check(context)
        self.other.check(context)


def as_they_are(ids: Iterable[int]) -> Tensor:
    """Ids as a tensor (N,), of int64 if they are whole numbers; asked for int64 at once, PyTorch cuts 1.5 to 1."""
    ids = list(ids)
    made = torch.tensor(ids)
    return made.long() if not ids or whole(made) else made


def whole(ids: Tensor | np.ndarray) -> bool:
    """Whether they are whole numbers; True and False are none."""
    if isinstance(ids, Tensor):
        return not (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool)
    return np.issubdtype(ids.dtype, np.integer)


def check_length(tokens: int, context: int) -> None:
    """Raise ValueError for an example of too many tokens."""
    if tokens > context + 1:
        raise ValueError(f"an example has {tokens} tokens; with context {context} at most {context + 1} fit: shorten "
                         "it or choose a larger context.")


def shifted(pieces: Tensor) -> tuple[Tensor, Tensor]:
    """Pieces (rows, T + 1) as inputs (rows, T) and targets (rows, T), each the token after its input."""
    return pieces[:, :-1], pieces[:, 1:]


def memory_map(texts: Iterable[str], encode: Callable[[str], list[int]], vocabulary: int, file: str | Path,
               total: int | None = None) -> np.memmap:
    """Texts as one file of token ids, never whole in memory: for corpora larger than that.

    file: ends up as raw whole numbers, 2 bytes each for a vocabulary up to 65,536 and else 4, beside a JSON file that
    says which; if both are there already, they are opened and nothing is encoded. total: the number of texts, for the
    progress bar. Returns an array (N,) for `TokenStream`. Raises ValueError for a file that its JSON does not fit.
    """
    file = Path(file)
    about = file.with_suffix(file.suffix + ".json")
    kind = np.uint16 if vocabulary <= 65_536 else np.uint32
    if not about.exists():                                  # written last: without it the file is not whole
        count = 0
        with open(file, "wb") as out, bar(total or 1, "Encoding", shown=total is not None) as step:
            for text in texts:
                ids = np.array(encode(text), dtype=kind)
                out.write(ids.tobytes())
                count += len(ids)
                step(1)
        about.write_text(json.dumps({"dtype": np.dtype(kind).name, "tokens": count, "vocabulary": vocabulary}),
                         encoding="utf-8")
    said = json.loads(about.read_text(encoding="utf-8"))
    size = said["tokens"] * np.dtype(said["dtype"]).itemsize
    if not file.exists() or file.stat().st_size != size or said["vocabulary"] != vocabulary:
        raise ValueError(f"{file.name} is not the {said['tokens']} tokens of a vocabulary of {said['vocabulary']} that "
                         f"{about.name} says, or yours has {vocabulary}; delete both and encode again.")
    return np.memmap(file, dtype=said["dtype"], mode="r", shape=(said["tokens"],))
