"""Vocabularies that others have trained, read from the files they published.

Every reader returns the same two things: `ids`, the id of each token, and `ranks`, its place in the order of
merges (a lower rank merges first). tiktoken's files make the two one; GPT-2's and a GGUF's list the merges
apart from the ids.
"""
import base64
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import assets
from helpers.patterns import GGUF_PATTERNS

if TYPE_CHECKING:
    import tiktoken

    from helpers.gguf_file import GGUF

Ids = dict[bytes, int]
Ranks = dict[bytes, int]

# Where tiktoken would fetch each encoding from, and our copy of the same file (the same SHA-256).
OPENAI = "https://openaipublic.blob.core.windows.net"
TIKTOKEN_FILES = {
    "gpt2": {f"{OPENAI}/gpt-2/encodings/main/vocab.bpe": "gpt2.vocab.bpe",
             f"{OPENAI}/gpt-2/encodings/main/encoder.json": "gpt2.encoder.json"},
    "cl100k_base": {f"{OPENAI}/encodings/cl100k_base.tiktoken": "cl100k_base.tiktoken"},
    "o200k_base": {f"{OPENAI}/encodings/o200k_base.tiktoken": "o200k_base.tiktoken"},
}
SPECIAL_TOKENS = {
    "gpt2": {"<|endoftext|>": 50256},
    "cl100k_base": {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
                    "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276},
    "o200k_base": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
}
GGUF_PREFIX = "tokenizer.ggml."
GGUF_FIELDS = ("tokens", "token_type", "merges", "pre")
GGUF_SPECIAL = (3, 4)                       # llama.cpp's token types "control" and "user defined"


@functools.cache
def printable_bytes() -> dict[int, str]:
    """GPT-2's way to write any byte as a visible character: a space is Ġ, a newline Ċ, letters are
    themselves.

    Its vocabulary files, and all that follow it, are text, and bytes such as 0 or 200 are not text by
    themselves.
    """
    visible = [value for value in range(256) if chr(value).isprintable() and chr(value) != " "]
    hidden = [value for value in range(256) if value not in visible]
    return {value: chr(value) for value in visible} | {value: chr(256 + n) for n, value in enumerate(hidden)}


def to_printable(token: bytes) -> str:
    """b" the" -> "Ġthe"."""
    return "".join(map(printable_bytes().__getitem__, token))


def from_printable(text: str) -> bytes:
    """"Ġthe" -> b" the". Raises KeyError for a character that stands for no byte."""
    return bytes(map(_byte_of().__getitem__, text))


@functools.cache
def _byte_of() -> dict[str, int]:
    return {character: value for value, character in printable_bytes().items()}


def check_encoding(name: str) -> None:
    """Raise ValueError unless this is one of tiktoken's encodings that the course brings along."""
    if name not in TIKTOKEN_FILES:
        raise ValueError(f"name is {name!r}; choose one of {', '.join(map(repr, TIKTOKEN_FILES))}.")


def read_tiktoken(name: str) -> tuple[Ids, Ranks]:
    """The vocabulary of "gpt2", "cl100k_base" or "o200k_base"; needs no network once the assets are there."""
    check_encoding(name)
    if name == "gpt2":
        ids = json.loads(assets.path("gpt2.encoder.json").read_text("utf-8"))
        merges = assets.path("gpt2.vocab.bpe").read_text("utf-8").splitlines()[1:]     # without its version
        ordinary = {token: n for token, n in ids.items() if token not in SPECIAL_TOKENS[name]}
        return read_merges(ordinary, merges)
    lines = assets.path(f"{name}.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    return ranks, ranks


def read_merges(ids: Mapping[str, int], merges: Iterable[str]) -> tuple[Ids, Ranks]:
    """A vocabulary in printable characters with merges such as "Ġt he", as GPT-2 and GGUF files have it.

    Raises ValueError if two merges make the same token: then its rank alone cannot say which one is meant.
    """
    ranks: Ranks = {}
    for rank, merge in enumerate(merges):
        token = from_printable(merge.replace(" ", "", 1))
        if token in ranks:
            raise ValueError(f"merges has two ways to make {token!r} (numbers {ranks[token]} and {rank}); "
                             "this tokenizer needs exactly one.")
        ranks[token] = rank
    return {from_printable(token): n for token, n in ids.items()}, ranks


def read_gguf(file: "str | Path | GGUF") -> tuple[Ids, Ranks, dict[str, int], str]:
    """The tokenizer inside a model file: ids, ranks, special tokens, and which of PATTERNS splits its text.

    file: the path, or an open `helpers.gguf_file.GGUF`.
    Raises FileNotFoundError or ValueError, naming the file, if it is missing, damaged, lacks a field, has no
    byte-level BPE, or splits text in a way that PATTERNS lacks.
    """
    from helpers.gguf_file import GGUF                  # needs torch, which tokenizers otherwise do without

    file = file if isinstance(file, GGUF) else GGUF(file)
    kind = file.fields.get(GGUF_PREFIX + "model")
    if kind != "gpt2":
        raise ValueError(f"{file.path} holds a tokenizer of kind {kind!r}; only byte-level BPE ('gpt2') can be read.")
    missing = [name for name in GGUF_FIELDS if GGUF_PREFIX + name not in file.fields]
    if missing:
        raise ValueError(f"{file.path} has no field {GGUF_PREFIX + missing[0]!r}, which a tokenizer needs; "
                         "give a file that has it, such as one converted by a newer llama.cpp.")
    tokens, kinds, merges, splitting = (file.fields[GGUF_PREFIX + name] for name in GGUF_FIELDS)
    if splitting not in GGUF_PATTERNS:
        raise ValueError(f"{file.path} splits text the {splitting!r} way; this course knows "
                         f"{', '.join(map(repr, GGUF_PATTERNS))}.")
    special = {token: n for n, token in enumerate(tokens) if kinds[n] in GGUF_SPECIAL}
    ordinary = {token: n for n, token in enumerate(tokens) if token not in special}
    ids, ranks = read_merges(ordinary, merges)
    return ids, ranks, special, GGUF_PATTERNS[splitting]


@functools.cache
def tiktoken_encoding(name: str) -> "tiktoken.Encoding":
    """OpenAI's own tiktoken encoding, without a network.

    name: "gpt2", "cl100k_base" or "o200k_base". Raises ValueError for any other.
    `tiktoken.get_encoding` downloads its vocabulary at first use. Here it finds our copies where it keeps its
    downloads, under the SHA-1 of their address; it checks their hashes itself.
    """
    import tiktoken

    check_encoding(name)
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        for address, asset in TIKTOKEN_FILES[name].items():
            shutil.copyfile(assets.path(asset), Path(folder) / hashlib.sha1(address.encode()).hexdigest())
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        try:
            return tiktoken.get_encoding(name)
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before
