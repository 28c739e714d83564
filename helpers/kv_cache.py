"""The key-value cache: what makes writing the next token cost one step and not the whole text again.

Sizes as in `helpers.transformer`: B rows, T new tokens, S tokens so far, K key-value heads of size D.
"""
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from helpers.config import Config


class KVCache:
    """Keys and values of every token seen so far, made by `Transformer.cache(batch, capacity)`. Lesson 07b builds it.

    The tokens of a row stand in slots 0 to `length` - 1. A slot that holds padding is remembered as not real.
    Raises ValueError for an encoder, and for what is no whole number: of rows from 1, of tokens from 1 to the model's
    context.
    """

    def __init__(self, config: "Config", batch: int, capacity: int, device: torch.device, dtype: torch.dtype):
        if not config.causal:
            raise ValueError("config.causal is False: in an encoder old tokens see new ones, so nothing can be kept.")
        if not isinstance(capacity, Integral) or not 1 <= capacity <= config.context:
            raise ValueError(f"capacity is {capacity!r}; give 1 to {config.context}, a whole number of the tokens that "
                             "this model can see.")
        if not isinstance(batch, Integral) or batch < 1:
            raise ValueError(f"batch is {batch!r}; give at least 1, a whole number of rows.")
        self.config = config
        shape = (config.layers, batch, config.kv_heads, capacity, config.head_size)
        self.keys = torch.empty(shape, device=device, dtype=dtype)                  # (layers, B, K, capacity, D)
        self.values = torch.empty(shape, device=device, dtype=dtype)
        self.real = torch.ones(batch, capacity, dtype=torch.bool, device=device)    # False where padding stands
        self.padded = False
        self.length = 0                                                             # S, tokens in each row

    @property
    def capacity(self) -> int:
        """Tokens each row has room for."""
        return self.keys.shape[3]

    @property
    def bytes_per_token(self) -> int:
        """Memory that one more token in one row takes."""
        layers, _, kv_heads, _, head_size = self.keys.shape
        return 2 * layers * kv_heads * head_size * self.keys.element_size()

    def extend(self, config: "Config", batch: int, new: int, padding_mask: Tensor | None) -> Tensor | None:
        """Make room for `new` tokens a row; returns which slots are real, (B, S), or None when all are."""
        if config != self.config:
            raise ValueError("cache was made for another model; make one for this: model.cache(batch, capacity).")
        if batch != self.keys.shape[1]:
            raise ValueError(f"ids has {batch} rows; this cache was made for {self.keys.shape[1]}.")
        if self.length + new > self.capacity:
            raise ValueError(f"the cache holds {self.length} of {self.capacity} tokens and cannot take {new} more; "
                             "make a larger one: model.cache(batch, capacity).")
        if padding_mask is not None:
            self.real[:, self.length:self.length + new] = padding_mask
            self.padded = self.padded or not bool(padding_mask.all())
        self.length += new
        return self.real[:, :self.length] if self.padded else None

    def layer(self, index: int) -> "LayerCache":
        """The part of one layer."""
        return LayerCache(self.keys[index], self.values[index], self.length)

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens of each row."""
        if not 0 <= length <= self.length:
            raise ValueError(f"length is {length}; the cache holds {self.length} tokens, so give 0 to {self.length}.")
        self.real[:, length:] = True
        self.length = length

    def select(self, rows: Sequence[int]) -> None:
        """Hold these of the rows, in this order; one may come several times, or not at all. For beam search."""
        batch = self.keys.shape[1]
        if not rows or not all(0 <= row < batch for row in rows):
            raise ValueError(f"rows is {rows!r}; the cache has {batch} rows, so give some of 0 to {batch - 1}.")
        rows = list(rows)
        self.keys, self.values, self.real = self.keys[:, rows], self.values[:, rows], self.real[rows]

    def forget(self, row: int) -> None:
        """Make all that one row holds padding."""
        batch = self.keys.shape[1]
        if not 0 <= row < batch:
            raise ValueError(f"row is {row}; the cache has {batch} rows, so give 0 to {batch - 1}.")
        self.real[row, :self.length] = False
        self.padded = True

    def put(self, row: int, other: "KVCache") -> None:
        """Let one row hold what a cache of one row holds, in its last slots, in place of all that it held.

        For continuous batching. Keys stay right in any slot, because positions count real tokens only. Where `other` is
        longer than this cache, all rows get padding in front.
        Raises ValueError for a row that is not there, and for a cache that does not fit.
        """
        if other.config != self.config or other.keys.shape[1] != 1 or other.length > self.capacity:
            raise ValueError(f"other is a cache of {other.keys.shape[1]} rows and {other.length} tokens; give one of "
                             f"the same model, with 1 row and at most {self.capacity} tokens.")
        self.forget(row)
        if other.length > self.length:
            self.shift(other.length - self.length)
        last = slice(self.length - other.length, self.length)
        self.keys[:, row, :, last] = other.keys[:, 0, :, :other.length]             # (layers, K, T, D)
        self.values[:, row, :, last] = other.values[:, 0, :, :other.length]
        self.real[row, last] = other.real[0, :other.length]
        self.padded = self.holds_padding()

    def drop_padding(self) -> None:
        """Give back the slots in front that hold padding in every row."""
        self.shift(-self.padding_in_front())
        self.padded = self.holds_padding()

    def padding_in_front(self) -> int:
        """How many slots in front hold padding in every row."""
        used = self.real[:, :self.length].any(dim=0)                                # (S,)
        return int((used.cumsum(dim=0) == 0).sum())

    def holds_padding(self) -> bool:
        """Whether any slot that counts does: without it, attention takes the fast way."""
        return not bool(self.real[:, :self.length].all())

    def shift(self, slots: int) -> None:
        """Move all rows to the right, behind padding, or, for slots below 0, to the left, where the first are lost."""
        old = slice(max(0, -slots), self.length)
        new = slice(max(0, slots), self.length + slots)
        self.keys[:, :, :, new] = self.keys[:, :, :, old].clone()                   # (layers, B, K, S, D)
        self.values[:, :, :, new] = self.values[:, :, :, old].clone()
        self.real[:, new] = self.real[:, old].clone()
        self.keys[:, :, :, :max(0, slots)] = 0                  # what never was written may be NaN, even times 0
        self.values[:, :, :, :max(0, slots)] = 0
        self.real[:, :max(0, slots)] = False
        self.length += slots
        self.real[:, self.length:] = True


class LayerCache:
    """One layer's keys and values, (B, K, capacity, D), of which the first `length` slots count."""

    def __init__(self, keys: Tensor, values: Tensor, length: int):
        self.keys, self.values, self.length = keys, values, length

    def add(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the newest k and v, (B, K, T, D); returns all so far, (B, K, S, D)."""
        first = self.length - k.shape[2]
        self.keys[:, :, first:self.length] = k
        self.values[:, :, first:self.length] = v
        return self.keys[:, :, :self.length], self.values[:, :, :self.length]
