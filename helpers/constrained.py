r"""Text that always fits a pattern: at each step only those tokens are allowed after which it can still be finished.

The pattern is a regular expression, run as an automaton (Willard and Louf, 2023); `json_patterns.py` writes JSON's:

    date = Constraint(r"\d{4}-\d\d-\d\d", tokenizer)
    ids = generate(model, tokenizer.encode("The Berlin Wall fell on "), 12, constraint=date)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", tokenizer.decode(ids))

Among the tokens that are allowed, the odds are the model's own. Sizes: B rows, V tokens to choose from.
"""
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.checks import require
from helpers.replies import Reply, as_stops
from helpers.states import START, distances

if TYPE_CHECKING:
    from helpers.tokenizer import BPETokenizer
    from helpers.transformer import Transformer

NEVER = 2 ** 15 - 1         # tokens to a match where there is none; other states take fewer than there are states


class Constraint:
    """The texts that match a pattern as a whole, as a mask on the tokens of a tokenizer. Lesson 07e builds it.

    automaton: where each byte leads; `Automaton` says which patterns it takes.
    distance: (states,), how many more tokens a match takes at least; inf where no tokens spell one, as SmolLM2 has none
        for 21 rare bytes.
    It keeps two bytes a token for each state that a text has met: 98 kB with SmolLM2's tokens.
    Raises ValueError for a pattern that `Automaton` refuses, and for one of whose matches the tokens spell none.
    """

    def __init__(self, pattern: str, tokenizer: "BPETokenizer"):
        from helpers.automaton import Automaton             # only here: most of what is written fits no pattern

        self.automaton, self.tokenizer = Automaton(pattern), tokenizer
        texts = ordinary(tokenizer)
        lengths = torch.tensor([len(text) for text in texts])                       # (V,)
        longest = int(lengths.max())
        padded = bytearray().join(text.ljust(longest, b"\0") for text in texts)
        table = torch.frombuffer(padded, dtype=torch.uint8).view(-1, longest)       # (V, longest)
        # the longest come first, so that the tokens that have a second byte, a third, ... are always the first few
        self._tokens = lengths.argsort(descending=True)[:int(lengths.count_nonzero())]                  # (N,)
        self._lengths = lengths[self._tokens]                                       # (N,), falling
        self._first, *self._later = table[self._tokens].T.contiguous()              # (N,) each: byte by byte
        self._first = self._first.long()                                            # ready to be an index
        self._needed: dict[int, Tensor] = {}                                        # after each token, (V,) int16
        states = range(len(self.automaton.next))
        targets = [self.reach(state)[1].bincount().nonzero()[:, 0].tolist() for state in states]
        self.distance = distances(targets, self.automaton.accepting.tolist())       # (states,)
        require(bool(self.distance[START].isfinite()),
                f"pattern {pattern!r:.60} matches only texts with bytes that no token has; make it match others too.")

    def reach(self, state: int) -> tuple[Tensor, Tensor]:
        """The tokens whose first byte leads on from a state, (n,), and the states to which all of it leads, (n,)."""
        step = self.automaton.next                                                  # (states, 256)
        reached = step[state][self._first]                                          # (N,)
        alive = reached.nonzero()[:, 0]                                             # (n,), places in _tokens
        reached, lengths = reached[alive], self._lengths[alive]                     # (n,), (n,)
        longer = torch.searchsorted(-lengths, -torch.arange(1, len(self._later) + 1)).tolist()     # than 1 byte, 2, ...
        for column, k in zip(self._later, longer):
            if k == 0:
                break
            reached[:k] = step[reached[:k], column[alive[:k]].int()]                # (k,)
        return self._tokens[alive], reached

    def mask(self, state: int, remaining: int, ends: Collection[int] = ()) -> Tensor:
        """The tokens that can come next, (V,) bool: those after which at most remaining - 1 more make a match.

        remaining: how many tokens can still be written, the next one included.
        ends: tokens that end the text, allowed exactly where it is a match. No other special token ever is.
        """
        if state not in self._needed:                                               # met for the first time
            tokens, reached = self.reach(state)
            self._needed[state] = torch.full((self.tokenizer.vocab_size,), NEVER, dtype=torch.int16)
            self._needed[state][tokens] = self.distance[reached].clamp(max=NEVER).short()
        allowed = self._needed[state] < min(remaining, NEVER)                       # (V,)
        allowed[list(ends)] = self.automaton.accepting[state]
        return allowed


@dataclass(kw_only=True)
class ConstrainedReply(Reply):
    """The new tokens of one row that fit a constraint. It also ends by itself, where no more text can follow."""
    constraint: Constraint
    remaining: int                                      # tokens that can still be written
    state: int = START                                  # to which the text so far leads

    def __post_init__(self):
        self.stopped = self.complete()

    def add(self, token: int, last: bool) -> None:
        """Take the next token, unless the row has stopped and is only kept for the sake of the others."""
        written = len(self.ids)
        super().add(token, last)
        if len(self.ids) > written:
            self.state = self.constraint.automaton.walk(self.state, self.constraint.tokenizer.token_bytes(token))
            self.remaining -= 1
            self.stopped = self.complete()

    def complete(self) -> bool:
        """Whether no text can follow, which the mask lets happen only to a match."""
        return not bool(self.constraint.mask(self.state, self.remaining).any())

    def fit(self, logits: Tensor) -> Tensor:
        """logits (V,), with -inf for each token that cannot come next; all as it was where the row has stopped."""
        if self.stopped:
            return logits
        mask = self.constraint.mask(self.state, self.remaining, self.stop_ids)
        allowed = F.pad(mask, (0, len(logits) - len(mask))).to(logits.device)       # a model may have more tokens
        fitting = logits.masked_fill(~allowed, -torch.inf)                          # (V,)
        require(bool((fitting > -torch.inf).any()), "logits are -inf for every token that fits the constraint "
                f"{self.constraint.automaton.pattern!r:.60}; let its pattern match what the model can write.")
        return fitting


def constrain(logits: Tensor, replies: Sequence[Reply]) -> Tensor:
    """Give -inf to each token that does not fit the constraint of its row, if there is one: logits (B, V), both ways.

    Raises ValueError where that leaves nothing, as the model itself gives -inf to all that fit.
    """
    rows = logits.unbind()
    fitting = [reply.fit(row) for reply, row in zip(replies, rows, strict=True)]
    return logits if all(one is row for one, row in zip(fitting, rows)) else torch.stack(fitting)           # (B, V)


def as_replies(rows: int, limit: int, stop: Collection[int | str] | int | str, model: "Transformer",
               tokenizer: "BPETokenizer | None", constraint: Constraint | None) -> list[Reply]:
    """An empty reply for each row, of at most `limit` tokens.

    With a constraint, stop tokens end it where it is a match; if none are given, every special token is one.
    Raises ValueError for what is no stop or no constraint; and, with a constraint, for stops that could end a text too
    early, a constraint made for another model, and a limit in which no match has room.
    """
    tokens, strings = as_stops(stop, model, tokenizer)
    if constraint is None:
        return [Reply(tokens, strings, tokenizer) for _ in range(rows)]
    require(isinstance(constraint, Constraint),
            f"constraint is {constraint!r:.60}; make one: Constraint(pattern, tokenizer).")
    special = frozenset(constraint.tokenizer.special_tokens.values())
    early = [*map(bytes.decode, strings), *sorted(tokens - special)]
    if early:
        raise ValueError(f"stop holds {early[0]!r}, which could end a text before it fits the constraint; give the ids "
                         "of special tokens, or leave stop out.")
    size, least = constraint.tokenizer.vocab_size, constraint.distance[START]
    require(size <= model.config.vocabulary, f"constraint was made for a tokenizer of {size} tokens and this model has "
            f"{model.config.vocabulary}; make it with the tokenizer of this model.")
    require(bool(least <= limit), f"max_new_tokens, or what the context has left, is {limit}; the shortest text that "
            f"fits the constraint has {least:.0f} tokens, so make room for them.")
    return [ConstrainedReply(tokens or special, (), constraint=constraint, remaining=limit) for _ in range(rows)]


def ordinary(tokenizer: "BPETokenizer") -> list[bytes]:
    """The bytes of each token, V of them; none for a special token, and for an id that no token has."""
    texts = [b""] * tokenizer.vocab_size
    for token in set(range(tokenizer.vocab_size)) - set(tokenizer.special_tokens.values()):
        try:
            texts[token] = tokenizer.token_bytes(token)
        except ValueError:
            pass
    return texts
