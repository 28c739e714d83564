"""Text to token ids and back: byte-level BPE, the tokenizer of GPT-2, GPT-4, Llama 3 and SmolLM2.

Three steps lead from text to ids. A regular expression cuts the text into pieces: words, runs of spaces,
digits. The UTF-8 bytes of each piece are merged, two neighbours at a time, in the order in which the merges
were learned. Each token that remains has an id. Going back is easier: put the bytes of the tokens in a row.

    tokenizer = BPETokenizer.train(text, vocab_size=512)
    ids = tokenizer.encode("To be, or not to be")
    assert tokenizer.decode(ids) == "To be, or not to be"

The steps have a module each: `patterns.py`, `bpe_merging.py`, and `bpe_training.py` for learning the merges.
`vocabularies.py` reads the files of others.
"""
import codecs
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from helpers import vocabularies
from helpers.bpe_merging import merge
from helpers.bpe_training import learn_merges
from helpers.patterns import PATTERNS, any_of, compile_pattern
from helpers.vocabularies import tiktoken_encoding

if TYPE_CHECKING:
    from helpers.gguf_file import GGUF

__all__ = ["PATTERNS", "BPETokenizer", "StreamDecoder", "tiktoken_encoding"]

CACHED_PIECES = 500_000     # pieces whose ids are remembered, each at most CACHED_LENGTH characters
CACHED_LENGTH = 64
FORMAT = "press-enter tokenizer 1"


class BPETokenizer:
    """A byte-level BPE tokenizer; lesson 01 builds it.

    ids: the id of each token. A single byte that is not among them is dropped from text, see `from_gguf`.
    ranks: the place of each merged token in the order of merges, see `bpe_merging`.
    pattern: the regular expression (of package `regex`) that cuts text into pieces, such as PATTERNS["gpt2"].
    special_tokens: text -> id, such as {"<|endoftext|>": 50256}; they are never the result of merging.

    `vocab_size` is the highest id + 1: the rows an embedding table needs (cl100k_base leaves a few unused).
    Raises ValueError if two tokens share an id, an id is negative, or the pattern is no regular expression.
    """

    def __init__(self, ids: dict[bytes, int], ranks: dict[bytes, int], pattern: str,
                 special_tokens: dict[str, int] | None = None):
        self.pattern = pattern
        self.special_tokens = dict(special_tokens or {})
        self._ids = ids
        self._ranks = ranks
        self._bytes = {n: token for token, n in ids.items()}
        self._bytes |= {n: token.encode("utf-8") for token, n in self.special_tokens.items()}
        self._missing = bytes(value for value in range(256) if bytes([value]) not in ids)
        self._split = compile_pattern(pattern).findall
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

        vocab_size: how many tokens in all: 256 bytes (ids 0 to 255), merges (from 256 on, in the order
            learned), then the special tokens. The vocabulary is smaller if the text runs out of pairs first.
        special_tokens: they are cut out of the text before learning.
        Ties are broken as `learn_merges` says, so the same text gives the same tokenizer everywhere.
        Raises TypeError if text is not a str; ValueError if it is empty, or vocab_size is too small for the
        bytes and special tokens, or the pattern is wrong or leaves out parts of the text.
        """
        _check_text(text)
        if (isinstance(special_tokens, str) or len(set(special_tokens)) < len(special_tokens)
                or not all(isinstance(token, str) and token for token in special_tokens)):
            raise ValueError(f"special_tokens is {special_tokens!r}; "
                             "give a list of different strings, none empty.")
        least = 256 + len(special_tokens)
        if not isinstance(vocab_size, int) or vocab_size < least:
            raise ValueError(f"vocab_size is {vocab_size!r}; it must be a whole number of at least {least}: "
                             f"256 bytes and {len(special_tokens)} special tokens.")
        if not text:
            raise ValueError("text is empty; there is nothing to learn from.")
        between = _split_at(frozenset(special_tokens), text)[::2]
        counts = Counter(chain.from_iterable(map(compile_pattern(pattern).findall, between)))
        if sum(len(piece) * count for piece, count in counts.items()) < sum(map(len, between)):
            raise ValueError(f"pattern is {pattern!r} and leaves out parts of the text; let it match them.")
        tokens = [bytes([value]) for value in range(256)]
        tokens += [left + right for left, right in learn_merges(counts, vocab_size - least)]
        ids = {token: n for n, token in enumerate(tokens)}      # in the order of merges, so also their ranks
        return cls(ids, ids, pattern, {token: len(ids) + n for n, token in enumerate(special_tokens)})

    @classmethod
    def from_tiktoken(cls, name: str) -> "BPETokenizer":
        """OpenAI's "gpt2", "cl100k_base" (GPT-4) or "o200k_base" (GPT-4o), with the same ids as tiktoken's.

        Needs no network once `helpers.assets` has fetched the files. Raises ValueError for another name.
        """
        ids, ranks = vocabularies.read_tiktoken(name)
        return cls(ids, ranks, PATTERNS[name], vocabularies.SPECIAL_TOKENS[name])

    @classmethod
    def from_gguf(cls, path: "str | Path | GGUF") -> "BPETokenizer":
        """The tokenizer inside a GGUF model file, with the same ids as in Hugging Face's `tokenizers`.

        path: the file, or an open `helpers.gguf_file.GGUF`.
        SmolLM2 has no token for 21 of the 256 bytes: six control characters, and first bytes of characters
        that hardly occur or cannot. Like `tokenizers`, we drop them from the text.
        Raises FileNotFoundError, or ValueError, naming the file, for a damaged one, a missing field, and another
        kind of tokenizer or of splitting.
        """
        ids, ranks, special_tokens, splitting = vocabularies.read_gguf(path)
        return cls(ids, ranks, PATTERNS[splitting], special_tokens)

    @classmethod
    def load(cls, path: str | Path) -> "BPETokenizer":
        """A tokenizer that `save` wrote. Raises ValueError if the file is another or was changed since."""
        try:
            saved = json.loads(Path(path).read_text("utf-8"))
        except ValueError as error:                             # not UTF-8, or not JSON
            raise ValueError(f"{path} is not a saved tokenizer: {error}. Save it again.") from error
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            raise ValueError(f"{path} is not a saved tokenizer: its format is not {FORMAT!r}. Save it again.")
        if saved.pop("sha256", None) != _checksum(saved):
            raise ValueError(f"{path} was changed after it was saved: its checksum is wrong. Save it again.")
        tokens = [(vocabularies.from_printable(token), n) for token, n in saved["tokens"]]
        ranks = {token: rank for rank, (token, _) in enumerate(tokens)}
        return cls(dict(tokens), ranks, saved["pattern"], saved["special_tokens"])

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON: its bytes, then its merged tokens in order, spelt like "Ġthe"."""
        order = {token: (len(token) > 1, self._ranks.get(token, n), n) for token, n in self._ids.items()}
        tokens = sorted(self._ids, key=order.__getitem__)
        saved = {"format": FORMAT, "pattern": self.pattern, "special_tokens": self.special_tokens,
                 "tokens": [[vocabularies.to_printable(token), self._ids[token]] for token in tokens]}
        saved["sha256"] = _checksum(saved)
        Path(path).write_text(json.dumps(saved, ensure_ascii=False, indent=0), "utf-8")

    # ---- text to ids

    def encode(self, text: str, allowed_special: Literal["all"] | Collection[str] = frozenset(),
               disallowed_special: Literal["all"] | Collection[str] = "all") -> list[int]:
        """The ids of a text.

        A special token steers a model: it ends a text, or begins a message. So text that contains one is
        refused unless you say what is meant, in the same words as tiktoken:
        allowed_special: "all" or a set of special tokens that become their own id where they occur.
        disallowed_special: "all" (all that are not allowed) or a set of strings that raise ValueError where
            they occur; with () special tokens that are not allowed are read as ordinary text.
        Raises TypeError if text is not a str, ValueError for a refused special token or for half a character
        (a lone surrogate, which tiktoken would turn into U+FFFD).
        """
        _check_text(text)
        special = self.special_tokens.keys()
        allowed = special if allowed_special == "all" else _strings("allowed_special", allowed_special)
        refused = (special - allowed if disallowed_special == "all"
                   else _strings("disallowed_special", disallowed_special))
        if refused and (found := any_of(frozenset(refused)).search(text)):
            raise ValueError(f"text contains the special token {found[0]!r}. If you mean the token, pass "
                             f"allowed_special={{{found[0]!r}}}; if its characters, disallowed_special=().")
        ids = []
        for n, part in enumerate(_split_at(frozenset(special & allowed), text)):
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
        return [self._ids[token] for token in merge(content, self._ranks)]

    # ---- ids to text

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Bytes that are not valid UTF-8 (half a character) become U+FFFD, the � sign.

        ids: a list, or a tensor or array of one dimension.
        Raises TypeError if ids is not a row of numbers, ValueError for an id that no token has.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids, as they are. Raises as `decode` does."""
        ids = ids.tolist() if hasattr(ids, "tolist") else ids   # a tensor or an array
        if isinstance(ids, str) or not isinstance(ids, Iterable):
            raise TypeError(f"ids is {ids!r}; give a list of whole numbers, as encode returns it.")
        return b"".join(map(self.token_bytes, ids))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id that no token has."""
        try:
            return self._bytes[token_id if type(token_id) is int else _whole(token_id)]
        except (KeyError, TypeError):
            raise ValueError(f"token id {token_id!r} is not in the vocabulary; ids are whole numbers "
                             f"from 0 to {self.vocab_size - 1}.") from None

    def stream_decoder(self) -> "StreamDecoder":
        """Decode ids one by one, as a model writes them, without ever showing half a character."""
        return StreamDecoder(self)

    # ---- looking inside

    @functools.cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """All merges in order: merges[0] was learned first.

        They are found from the ranks: bring a token's bytes together with the merges before its own, and the
        two tokens that remain are the two it was made of. Takes two seconds for 200,000 tokens, once.
        Raises ValueError if more than two remain, which happens to no trained vocabulary.
        """
        merges = []
        for token in sorted((token for token in self._ranks if len(token) > 1), key=self._ranks.__getitem__):
            parts = merge(token, self._ranks, before=self._ranks[token])
            if len(parts) != 2:
                raise ValueError(f"ranks has {token!r}, which no two earlier tokens make; "
                                 "give the ranks of a trained vocabulary.")
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
    """piece -> its ids, worked out at the first look: most words of a text have been seen before."""

    def __init__(self, encode_piece: Callable[[str], list[int]]):
        self.encode_piece = encode_piece

    def __missing__(self, piece: str) -> list[int]:
        ids = self.encode_piece(piece)
        if len(self) < CACHED_PIECES and len(piece) <= CACHED_LENGTH:
            self[piece] = ids
        return ids


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}; it must be a str.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"text has half a character (the lone surrogate {text[error.start]!r}) at position "
                         f"{error.start}; remove it, or read the source with errors='replace'.") from None


def _whole(token_id: object) -> int:
    """The same number, if it is a whole one; a dict would find 97.0 as 97, and True as 1."""
    if isinstance(token_id, bool) or not isinstance(token_id, Integral):
        raise TypeError
    return int(token_id)


def _strings(argument: str, value: Collection[str]) -> set[str]:
    if isinstance(value, str):
        raise ValueError(f'{argument} is {value!r}; give "all" or a set of strings, such as {{{value!r}}}.')
    return set(value)


def _split_at(tokens: frozenset[str], text: str) -> list[str]:
    """Ordinary text, special token, ordinary text, ..., ordinary text (which may be empty)."""
    return any_of(tokens).split(text) if tokens else [text]


def _checksum(saved: dict) -> str:
    """Of everything in a saved tokenizer but the checksum itself."""
    return hashlib.sha256(json.dumps(saved, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()
