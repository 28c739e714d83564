"""Text to token ids and back: byte-level BPE, the tokenizer of GPT-2, GPT-4, Llama 3 and SmolLM2.

Three steps lead from text to ids. A regular expression cuts the text into pieces (words, runs of spaces, digits). The
UTF-8 bytes of each piece are merged, two neighbours at a time, in the order in which the merges were learned. Each token
that remains has an id. Going back is easier: put the bytes of the tokens in a row.

    tokenizer = BPETokenizer.train(text, vocab_size=512)
    ids = tokenizer.encode("To be, or not to be")
    assert tokenizer.decode(ids) == "To be, or not to be"

How the merges are learned is in `bpe_training.py`; how the vocabularies of others are read, in `vocabularies.py`.
"""
import codecs
import functools
import hashlib
import heapq
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import regex                                # like `re`, and knows \p{L}, "any letter of any script"

from helpers import vocabularies
from helpers.bpe_training import learn_merges
from helpers.vocabularies import tiktoken_encoding

if TYPE_CHECKING:
    from helpers.gguf_file import GGUF

__all__ = ["PATTERNS", "BPETokenizer", "StreamDecoder", "tiktoken_encoding"]

# How text is cut before any merging. \p{L} is a letter, \p{N} a digit or other number, \s white space; `(?!\S)` leaves the
# last space of a run to the word that follows. The first three are OpenAI's, from tiktoken.
PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # GPT-4: contractions in any case, at most three digits together, line breaks at the end of a piece
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                   r"|\s+\Z|\s*[\r\n]|\s+(?!\S)|\s",
    # GPT-4o: a word begins at a capital letter, accents (\p{M}) belong to it, and a contraction ends it
    "o200k_base": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'(?i:[sdmt]|ll|ve|re))?"
                  r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'(?i:[sdmt]|ll|ve|re))?"
                  r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    # each digit alone, then GPT-2's pattern on what lies between the digits
    "smollm2": r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+",
}
GGUF_PATTERNS = {"gpt-2": "gpt2", "smollm": "smollm2"}     # what a GGUF calls its way of splitting

NEVER = 2 ** 62             # the rank of two neighbours that no merge joins
LONG_PIECE = 200            # bytes; from here on a heap finds the next merge sooner than a look at all neighbours
CACHED_PIECES = 500_000     # pieces whose ids are remembered, each at most CACHED_LENGTH characters
CACHED_LENGTH = 64

FORMAT = "press-enter tokenizer 1"


class BPETokenizer:
    """A byte-level BPE tokenizer; lesson 01 builds it.

    ids: the id of each token, all single bytes among them (one that is missing is dropped from text, see `from_gguf`).
    ranks: the place of each merged token in the order of merges: of all neighbours, the two whose bytes together have the
        lowest rank are merged first, the leftmost if there are several. The bytes alone say which merge is meant, because
        a trained vocabulary makes each token in one way only (`merges` finds it again; the tests prove it).
    pattern: the regular expression (of package `regex`) that cuts text into pieces, such as PATTERNS["gpt2"].
    special_tokens: text -> id, such as {"<|endoftext|>": 50256}; they are never the result of merging.

    `vocab_size` is the highest id + 1: what an embedding table needs. cl100k_base leaves some ids below it unused.
    Raises ValueError if two tokens share an id, an id is negative, or the pattern is not a regular expression.
    """

    def __init__(self, ids: dict[bytes, int], ranks: dict[bytes, int], pattern: str,
                 special_tokens: dict[str, int] | None = None):
        self.pattern = pattern
        self.special_tokens = dict(special_tokens or {})
        self._ids = ids
        self._ranks = ranks
        self._bytes = {n: token for token, n in ids.items()} | {n: s.encode() for s, n in self.special_tokens.items()}
        self._missing = bytes(value for value in range(256) if bytes([value]) not in ids)
        self._split = _compile(pattern).findall
        self._cache = _Cache(self._encode_piece)
        if "" in self.special_tokens:
            raise ValueError("special_tokens has an empty text; remove it.")
        if len(self._bytes) < len(ids) + len(self.special_tokens) or min(self._bytes, default=-1) < 0:
            raise ValueError("ids and special_tokens must give every token an id of its own, 0 or more; "
                             "two tokens share one, or one is negative.")
        self.vocab_size = max(self._bytes) + 1

    def __repr__(self) -> str:
        return f"<BPETokenizer: {len(self._ids):,} tokens and {len(self.special_tokens)} special ones>"

    # ---- where a tokenizer comes from

    @classmethod
    def train(cls, text: str, vocab_size: int, pattern: str = PATTERNS["gpt2"],
              special_tokens: Sequence[str] = ()) -> "BPETokenizer":
        """Learn a vocabulary from text.

        vocab_size: how many tokens in all: 256 bytes (ids 0 to 255), merges, then the special tokens. The vocabulary is
            smaller if the text runs out of pairs first.
        special_tokens: they are cut out of the text before learning.
        Ties are broken as `learn_merges` says, so the same text gives the same tokenizer everywhere.
        Raises TypeError or ValueError for text that is not a str or is empty, and for a vocab_size that is too small.
        """
        _check_text(text)
        if isinstance(special_tokens, str) or len(set(special_tokens)) < len(special_tokens):
            raise ValueError(f"special_tokens is {special_tokens!r}; give a list of different strings.")
        least = 256 + len(special_tokens)
        if not isinstance(vocab_size, int) or vocab_size < least:
            raise ValueError(f"vocab_size is {vocab_size!r}; it must be a whole number of at least {least}: "
                             f"256 bytes and {len(special_tokens)} special tokens.")
        if not text:
            raise ValueError("text is empty; there is nothing to learn from.")
        parts = _special_pattern(frozenset(special_tokens)).split(text)[::2]       # what lies between special tokens
        counts = Counter(chain.from_iterable(map(_compile(pattern).findall, parts)))
        if sum(len(piece) * count for piece, count in counts.items()) < sum(map(len, parts)):
            raise ValueError(f"pattern {pattern!r} leaves out parts of the text; end it with an alternative such as |.")
        tokens = [bytes([value]) for value in range(256)]
        tokens += [left + right for left, right in learn_merges(counts, vocab_size - least)]
        ids = {token: n for n, token in enumerate(tokens)}
        return cls(ids, ids, pattern, {token: len(ids) + n for n, token in enumerate(special_tokens)})

    @classmethod
    def from_tiktoken(cls, name: str) -> "BPETokenizer":
        """OpenAI's "gpt2", "cl100k_base" (GPT-4) or "o200k_base" (GPT-4o), with the same ids as tiktoken's.

        Needs no network once `helpers.assets` has fetched the vocabularies. Raises ValueError for another name.
        """
        ids, ranks = vocabularies.read_tiktoken(name)
        return cls(ids, ranks, PATTERNS[name], vocabularies.SPECIAL_TOKENS[name])

    @classmethod
    def from_gguf(cls, path: "str | Path | GGUF") -> "BPETokenizer":
        """The tokenizer inside a GGUF model file, such as SmolLM2's, with the same ids as transformers'.

        path: the file, or an open `helpers.gguf_file.GGUF`.
        SmolLM2 has no token for 21 of the 256 bytes: six control characters and the first bytes of characters that its
        makers never saw. Like transformers, we drop them from the text.
        Raises FileNotFoundError or ValueError: no such file, a damaged one, another kind of tokenizer or of splitting.
        """
        ids, ranks, special_tokens, splitting = vocabularies.read_gguf(path)
        if splitting not in GGUF_PATTERNS:
            raise ValueError(f"the GGUF file splits text the {splitting!r} way; this course knows "
                             f"{', '.join(map(repr, GGUF_PATTERNS))}.")
        return cls(ids, ranks, PATTERNS[GGUF_PATTERNS[splitting]], special_tokens)

    @classmethod
    def load(cls, path: str | Path) -> "BPETokenizer":
        """A tokenizer that `save` wrote. Raises ValueError if the file is not one, or was changed after saving."""
        try:
            saved = json.loads(Path(path).read_text("utf-8"))
        except ValueError as error:         # not UTF-8, or not JSON
            raise ValueError(f"{path} is not a saved tokenizer: {error}. Save it again from a tokenizer.") from error
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise ValueError(f"{path} is not a saved tokenizer: its format is not {FORMAT!r}. Save it again.")
        if saved.pop("sha256", None) != _checksum(saved):
            raise ValueError(f"{path} was changed or cut short after it was saved: its checksum does not fit. Save it again.")
        tokens = [(vocabularies.from_printable(token), n) for token, n in saved["tokens"]]
        ranks = {token: rank for rank, (token, _) in enumerate(tokens)}
        return cls(dict(tokens), ranks, saved["pattern"], saved["special_tokens"])

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON: its tokens in the order of merges, written as GPT-2 writes them ("Ġthe")."""
        tokens = sorted(self._ids, key=lambda token: (len(token) > 1, self._ranks.get(token, self._ids[token])))
        saved = {"format": FORMAT, "pattern": self.pattern, "special_tokens": self.special_tokens,
                 "tokens": [[vocabularies.to_printable(token), self._ids[token]] for token in tokens]}
        saved["sha256"] = _checksum(saved)
        Path(path).write_text(json.dumps(saved, ensure_ascii=False, indent=0), "utf-8")

    # ---- text to ids

    def encode(self, text: str, allowed_special: Literal["all"] | Collection[str] = frozenset(),
               disallowed_special: Literal["all"] | Collection[str] = "all") -> list[int]:
        """The ids of a text.

        A special token steers a model (it ends a text, begins a message), so text that contains one is refused unless you
        say what is meant, in the same words as tiktoken:
        allowed_special: "all" or a set of special tokens that become their own id where they occur.
        disallowed_special: "all" (all that are not allowed) or a set of texts that raise ValueError where they occur;
            with () special tokens that are not allowed are read as ordinary text.
        Raises TypeError if text is not a str, ValueError for a refused special token or half a character (a lone surrogate).
        """
        _check_text(text)
        special = self.special_tokens.keys()
        allowed = frozenset(special if allowed_special == "all" else _names("allowed_special", allowed_special))
        refused = frozenset(special - allowed if disallowed_special == "all"
                            else _names("disallowed_special", disallowed_special))
        if refused and (found := _special_pattern(refused).search(text)):
            raise ValueError(
                f"text contains the special token {found[0]!r}. Pass allowed_special={{{found[0]!r}}} if you mean the token, "
                "or disallowed_special=() if you mean the characters.")
        ids = []
        for n, part in enumerate(_special_pattern(allowed.intersection(special)).split(text)):
            if n % 2:
                ids.append(self.special_tokens[part])
            else:
                ids.extend(chain.from_iterable(map(self._cache.__getitem__, self._split(part))))
        return ids

    def pieces(self, text: str) -> list[str]:
        """The pieces that the pattern cuts a text into; no token crosses from one to the next."""
        _check_text(text)
        return self._split(text)

    def _encode_piece(self, piece: str) -> list[int]:
        content = piece.encode("utf-8").translate(None, delete=self._missing)
        if content in self._ids:
            return [self._ids[content]]
        return [self._ids[token] for token in self._merge(content)]

    def _merge(self, content: bytes, before: int = NEVER) -> list[bytes]:
        """Merge neighbours, the lowest rank first, until no merge (of a rank lower than `before`) applies."""
        if len(content) >= LONG_PIECE and before == NEVER:
            return _merge_long(content, self._ranks)
        rank_of = self._ranks.get
        tokens = [content[i:i + 1] for i in range(len(content))]
        ranks = [rank_of(content[i:i + 2], NEVER) for i in range(len(content) - 1)]     # ranks[i]: of tokens i and i + 1
        while ranks and (lowest := min(ranks)) < before:
            i = ranks.index(lowest)
            tokens[i] += tokens.pop(i + 1)
            del ranks[i]
            if i > 0:
                ranks[i - 1] = rank_of(tokens[i - 1] + tokens[i], NEVER)
            if i < len(ranks):
                ranks[i] = rank_of(tokens[i] + tokens[i + 1], NEVER)
        return tokens

    # ---- ids to text

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Bytes that are not valid UTF-8 (half a character) become U+FFFD, the � sign.

        Raises TypeError if ids is not a flat row of numbers, ValueError for an id that no token has.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids, as they are. Raises as `decode` does."""
        ids = ids.tolist() if hasattr(ids, "tolist") else ids       # a tensor or an array
        if isinstance(ids, (int, str)) or not isinstance(ids, Iterable):
            raise TypeError(f"ids is {ids!r}; give a list of whole numbers, as encode returns it.")
        return b"".join(map(self.token_bytes, ids))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id that no token has."""
        try:
            return self._bytes[token_id]
        except (KeyError, TypeError):
            raise ValueError(f"token id {token_id!r} is not in the vocabulary; ids are whole numbers from 0 to "
                             f"{self.vocab_size - 1}.") from None

    def stream_decoder(self) -> "StreamDecoder":
        """Decode ids one by one, as a model writes them, without ever showing half a character."""
        return StreamDecoder(self)

    # ---- looking inside

    @functools.cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """All merges in order: merges[0] was learned first.

        They are found from the ranks: the two tokens into which the earlier merges bring a token's bytes are the two it
        was made of. Takes a few seconds for a vocabulary of 200,000.
        Raises ValueError if the earlier merges leave more than two, which no trained vocabulary does.
        """
        merges = []
        for token in sorted((token for token in self._ranks if len(token) > 1), key=self._ranks.__getitem__):
            parts = self._merge(token, before=self._ranks[token])
            if len(parts) != 2:
                raise ValueError(f"the token {token!r} (rank {self._ranks[token]}) is not a merge of two earlier tokens.")
            merges.append((parts[0], parts[1]))
        return merges


class StreamDecoder:
    """Turns ids into text as they come. A token may hold half a character: its bytes wait for the rest."""

    def __init__(self, tokenizer: BPETokenizer):
        self._token_bytes = tokenizer.token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """The text that is complete with this token; "" while a character is still open."""
        return self._utf8.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """What is left at the end: "", or � for a character that was never finished."""
        return self._utf8.decode(b"", final=True)


class _Cache(dict):
    """piece -> its ids, worked out when a piece is first looked up. Most words of a text have been seen before."""

    def __init__(self, encode_piece: Callable[[str], list[int]]):
        self.encode_piece = encode_piece

    def __missing__(self, piece: str) -> list[int]:
        ids = self.encode_piece(piece)
        if len(self) < CACHED_PIECES and len(piece) <= CACHED_LENGTH:
            self[piece] = ids
        return ids


def _merge_long(content: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The same as `BPETokenizer._merge`, for pieces so long that looking at all neighbours before each merge is too slow.

    The neighbours wait in a heap, lowest rank first, then leftmost. A merge makes entries of its neighbours stale; they are
    recognised when they come up, because the tokens at their place no longer have the same bytes.
    """
    size = len(content)
    token_at: list[bytes | None] = [content[i:i + 1] for i in range(size)]     # None: merged into a token on its left
    previous = list(range(-1, size - 1))
    following = list(range(1, size + 1))
    heap: list[tuple[int, int, bytes]] = []                                    # (rank, place of the left token, bytes)

    def offer(left: int) -> None:
        """Put a token and the one after it on the heap, if there is a merge for them."""
        if left >= 0 and following[left] < size:
            joined = token_at[left] + token_at[following[left]]
            if joined in ranks:
                heapq.heappush(heap, (ranks[joined], left, joined))

    for left in range(size - 1):
        offer(left)
    while heap:
        _, left, joined = heapq.heappop(heap)
        right = following[left]
        if token_at[left] is None or right == size or token_at[left] + token_at[right] != joined:
            continue
        token_at[left], token_at[right] = joined, None
        following[left] = following[right]
        if following[left] < size:
            previous[following[left]] = left
        offer(previous[left])
        offer(left)
    return [token for token in token_at if token is not None]


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}; it must be a str.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"text has half a character (the lone surrogate {text[error.start]!r}) at position {error.start}; "
                         "remove it, or read the source with errors='replace'.") from None


def _names(argument: str, value: Collection[str]) -> Collection[str]:
    if isinstance(value, str):
        raise ValueError(f'{argument} is {value!r}; it must be "all" or a set of strings, such as {{{value!r}}}.')
    return value


@functools.lru_cache(maxsize=64)
def _special_pattern(tokens: frozenset[str]) -> re.Pattern[str]:
    """Finds any of some texts, the longest first where several begin at the same place; () finds nothing."""
    return re.compile("(" + "|".join(sorted(map(re.escape, tokens), key=lambda s: (-len(s), s))) + ")" if tokens else "((?!))")


@functools.lru_cache(maxsize=64)
def _compile(pattern: str) -> regex.Pattern:
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}.") from error
    if compiled.groups:
        raise ValueError(f"pattern {pattern!r} has a capturing group; write (?:...) instead of (...).")
    return compiled


def _checksum(saved: dict) -> str:
    """Of everything in a saved tokenizer but the checksum itself."""
    return hashlib.sha256(json.dumps(saved, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()
