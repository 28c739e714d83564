"""Read a GGUF file, the format in which llama.cpp ships a model: settings, vocabulary and weights in one file.

After the word "GGUF" come the version and two counts, then the settings (name, type, value), then for each tensor its
name, shape, type and place, and last the weights themselves. Quantized weights are stored in blocks, of 32 weights in
the kinds read here (and of 256 in the K-quants of most files, such as Q4_K_M, which are refused); `dequantize` turns
them back into floats. Format: github.com/ggml-org/ggml, docs/gguf.md.

(The `gguf` package reads the same and much more. The tests prove both equal, bit by bit.)
"""
import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from helpers.quantization import Quantized

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

BLOCKS = {"F32": (1, 4), "F16": (1, 2), "Q4_1": (32, 20), "Q8_0": (32, 34)}     # weights in a block, and its bytes
TENSOR_TYPES = {0: "F32", 1: "F16", 3: "Q4_1", 8: "Q8_0"}
BITS = {"Q4_1": 4, "Q8_0": 8}                               # of one weight, its block's scale and minimum aside


@dataclass(frozen=True)
class Stored:
    """One tensor as it lies in the file."""
    shape: tuple[int, ...]          # as PyTorch counts: rows first
    kind: str                       # a key of BLOCKS
    offset: int                     # of its first byte, from the beginning of the file

    @property
    def nbytes(self) -> int:
        weights, size = BLOCKS[self.kind]
        return math.prod(self.shape) // weights * size


class GGUF:
    """What a GGUF file says of itself, read once; its tensors are read when they are asked for.

    fields: the settings, such as fields["llama.block_count"]; lists are Python lists.
    stored: for each tensor's name, its shape and where it lies.
    Raises FileNotFoundError, and ValueError when the file is not a whole GGUF file of version 2 or 3.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"path is {str(path)!r}, and there is no such file; give the path of a .gguf file.")
        self.fields: dict[str, Any] = {}
        self.stored: dict[str, Stored] = {}
        with open(self.path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise ValueError(f"{self.path} is not a GGUF file: it does not begin with the letters GGUF.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                try:
                    self.read_header(Reader(view, at=4))
                except (struct.error, IndexError) as error:
                    raise ValueError(f"{self.path} ends in the middle of its header ({len(view)} bytes): the download "
                                     "was cut short. Delete it and fetch it again.") from error
                except (KeyError, UnicodeDecodeError, OverflowError, MemoryError, RecursionError) as error:
                    raise self.damaged(f"its header cannot be read ({error!r})") from error
                end = max((entry.offset + entry.nbytes for entry in self.stored.values()), default=0)
                if end > len(view):
                    raise ValueError(f"{self.path} has {len(view)} bytes and its header promises {end}: the download "
                                     "was cut short. Delete it and fetch it again.")

    def damaged(self, why: str) -> ValueError:
        """The error for what no writer of GGUF writes."""
        return ValueError(f"{self.path} is damaged: {why}. Delete it and fetch it again.")

    def read_header(self, reader: "Reader") -> None:
        version, tensors, fields = reader.scalar("I"), reader.scalar("Q"), reader.scalar("Q")
        if version not in (2, 3):
            raise ValueError(f"{self.path} is GGUF version {version}; this reader knows 2 and 3.")
        for _ in range(fields):
            name = reader.string()
            self.fields[name] = reader.value(reader.scalar("I"))
        entries = []
        for _ in range(tensors):
            name = reader.string()
            shape = [reader.scalar("Q") for _ in range(reader.scalar("I"))]
            entries.append((name, tuple(reversed(shape)), reader.scalar("I"), reader.scalar("Q")))
        alignment = self.fields.get("general.alignment", 32)
        if not (isinstance(alignment, int) and alignment >= 1):
            raise self.damaged(f"general.alignment is {alignment!r}, not a whole number of at least 1")
        data = math.ceil(reader.at / alignment) * alignment
        for name, shape, kind, offset in entries:
            if kind not in TENSOR_TYPES:
                raise ValueError(f"{name} is stored as type {kind}; this reader knows {', '.join(BLOCKS)}.")
            kind, row = TENSOR_TYPES[kind], math.prod(shape[-1:])               # 1 where there are no dimensions
            if row % BLOCKS[kind][0]:
                raise self.damaged(f"{name} has rows of {row} weights, and {kind} blocks of {BLOCKS[kind][0]}")
            self.stored[name] = Stored(shape, kind, data + offset)

    def blocks(self, name: str) -> Tensor:
        """A tensor's blocks as they lie in the file, (number of blocks, bytes of one block), uint8."""
        if name not in self.stored:
            raise ValueError(f"name is {name!r}; {self.path.name} holds no such tensor. GGUF.stored lists them.")
        entry = self.stored[name]
        with open(self.path, "rb") as file:
            file.seek(entry.offset)
            content = bytearray(file.read(entry.nbytes))
        return torch.frombuffer(content, dtype=torch.uint8).view(-1, BLOCKS[entry.kind][1])

    def quantized(self, name: str) -> Quantized:
        """A matrix in the 4 or 8 bits in which it is stored. Raises ValueError for one that is not quantized."""
        blocks, entry = self.blocks(name), self.stored[name]
        if entry.kind not in BITS:
            raise ValueError(f"name is {name!r}, which is stored as {entry.kind}, not quantized; use tensor(name).")
        rows = [None if part is None else part.view(entry.shape[0], -1, part.shape[1])      # (O, G, 32 or 1)
                for part in unpack(blocks, entry.kind)]
        return Quantized(*rows, BITS[entry.kind])

    def tensor(self, name: str) -> Tensor:
        """A tensor as float32, dequantized where it was quantized."""
        blocks = self.blocks(name)
        return dequantize(blocks, self.stored[name].kind).view(self.stored[name].shape)


def dequantize(blocks: Tensor, kind: str) -> Tensor:
    """Turn blocks, (n, bytes of one block) uint8, into their weights, (n, weights of one block) float32.

    kind: "F32" and "F16" are plain numbers, one to a block; the others are quantized, see `unpack`.
    """
    if kind == "F32":
        return blocks.contiguous().view(torch.float32)                          # (n, 4) bytes -> (n, 1)
    if kind == "F16":
        return blocks.contiguous().view(torch.float16).float()                  # (n, 2) bytes -> (n, 1)
    codes, scale, minimum = unpack(blocks, kind)
    weights = codes.float().mul_(scale)
    return weights if minimum is None else weights.add_(minimum)                # (n, 32)


def unpack(blocks: Tensor, kind: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """The whole numbers (n, 32) in quantized blocks, the scale (n, 1) of each block and its minimum (n, 1) or None.

    "Q8_0" is one scale and 32 signed bytes: weight = scale x byte. "Q4_1" is a scale, a minimum and 32 half-bytes:
    weight = scale x half-byte + minimum; the low half of byte i is weight i, its high half weight i + 16.
    """
    if kind == "Q8_0":
        return blocks[:, 2:].contiguous().view(torch.int8), halves(blocks[:, :2]), None
    if kind == "Q4_1":
        packed = blocks[:, 4:]                                                  # (n, 16)
        codes = torch.cat([packed & 15, packed >> 4], dim=1)                    # (n, 32), each 0 to 15
        return codes, halves(blocks[:, :2]), halves(blocks[:, 2:4])
    raise ValueError(f"kind is {kind!r}; choose one of {', '.join(BLOCKS)}.")


def halves(two_bytes: Tensor) -> Tensor:
    """Half-precision numbers, (n, 2) bytes to (n, 1) float32."""
    return two_bytes.contiguous().view(torch.float16).float()


class Reader:
    """Reads one value after another; `at` is the next byte."""

    def __init__(self, data: mmap.mmap, at: int):
        self.data, self.at = data, at

    def scalar(self, code: str) -> Any:
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self) -> str:
        length = self.scalar("Q")
        text = self.data[self.at:self.at + length]
        if len(text) < length:
            raise IndexError("string beyond the end of the file")
        self.at += length
        return text.decode("utf-8")

    def value(self, kind: int) -> Any:
        """A value of a given type; an array is its type, its length and its values."""
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.scalar(SCALARS[kind])
        kind, length = self.scalar("I"), self.scalar("Q")
        return [self.value(kind) for _ in range(length)]
