"""Our GGUF reader gives what the `gguf` package gives, bit by bit, and names a file that is cut short or altered."""
import struct

import numpy as np
import pytest
import torch

from helpers import assets
from helpers.gguf_file import BLOCKS, GGUF, dequantize

gguf = pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def ours():
    return GGUF(assets.path("smollm2.gguf"))


@pytest.fixture(scope="module")
def theirs():
    return gguf.GGUFReader(assets.path("smollm2.gguf"))


def test_all_settings_are_those_of_the_gguf_package(ours, theirs):
    own = {name: field for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert list(ours.fields) == list(own)
    for name, field in own.items():
        assert ours.fields[name] == field.contents(), name


def test_all_tensors_are_those_of_the_gguf_package_bit_by_bit(ours, theirs):
    assert list(ours.stored) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        got = ours.tensor(tensor.name)
        assert got.dtype == torch.float32 and got.shape == expected.shape
        assert torch.equal(got.view(torch.int32), torch.from_numpy(expected).view(torch.int32)), tensor.name


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_is_dequantized_as_the_gguf_package_does(kind):
    numbers = np.random.default_rng(0).normal(size=(7, 96)).astype(np.float32)
    packed = gguf.quantize(numbers, gguf.GGMLQuantizationType[kind])
    got = dequantize(torch.from_numpy(packed.copy()).view(torch.uint8).reshape(-1, BLOCKS[kind][1]), kind).view(7, 96)
    assert torch.equal(got, torch.from_numpy(gguf.dequantize(packed, gguf.GGMLQuantizationType[kind])))
    assert (got - torch.from_numpy(numbers)).abs().max() < {"F32": 1e-9, "F16": 2e-3, "Q8_0": 2e-2, "Q4_1": 0.25}[kind]


def test_a_q4_1_block_by_hand():
    """Scale 2, minimum -1, and the half-bytes 0, 1, 2, ..., 15, 15, 14, ..., 0."""
    low, high = range(16), range(15, -1, -1)
    block = struct.pack("<ee", 2.0, -1.0) + bytes(a | b << 4 for a, b in zip(low, high))
    weights = dequantize(torch.frombuffer(bytearray(block), dtype=torch.uint8)[None], "Q4_1")
    assert weights.tolist() == [[2.0 * n - 1.0 for n in [*low, *high]]]


# A small file of our own, to damage -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A GGUF file with settings of every type and a tensor of each kind, written by the `gguf` package."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(32)
    for kind, value in [("uint8", 200), ("int8", -3), ("uint16", 60_000), ("int16", -300), ("uint32", 4_000_000_000),
                        ("int32", -70_000), ("uint64", 2 ** 63), ("int64", -2 ** 62), ("float32", 0.5),
                        ("float64", 0.1), ("bool", True), ("string", "Être 🌍"), ("array", ["a", "", "🌍"])]:
        getattr(writer, f"add_{kind}")(f"a.{kind}", value)
    numbers = np.arange(3 * 64, dtype=np.float32).reshape(3, 64)
    for kind in BLOCKS:
        kind = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(kind.name.lower(), gguf.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_settings_of_every_type(small):
    assert GGUF(small).fields == {
        "general.architecture": "llama", "general.alignment": 32,
        "a.uint8": 200, "a.int8": -3, "a.uint16": 60_000, "a.int16": -300,
        "a.uint32": 4_000_000_000, "a.int32": -70_000, "a.uint64": 2 ** 63, "a.int64": -2 ** 62, "a.float32": 0.5,
        "a.float64": 0.1, "a.bool": True, "a.string": "Être 🌍", "a.array": ["a", "", "🌍"]}


def test_a_shape_has_its_rows_first(small):
    file = GGUF(small)
    assert {name: (entry.shape, entry.kind) for name, entry in file.stored.items()} == {
        "f32": ((3, 64), "F32"), "f16": ((3, 64), "F16"), "q4_1": ((3, 64), "Q4_1"), "q8_0": ((3, 64), "Q8_0")}
    assert torch.equal(file.tensor("f16"), torch.arange(192.0).view(3, 64))


@pytest.mark.parametrize("kept", [4, 7, 23, 24, 30, 60, 300, -200, -40])
def test_a_file_cut_short_is_named(small, tmp_path, kept):
    content = small.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r"cut.gguf (ends in the middle|has \d+ bytes and its header promises \d+).* "
                                         r"the download was cut short. Delete it and fetch it again.$"):
        GGUF(cut)


@pytest.mark.parametrize("content", [b"", b"GG", b"<html>Not found</html>", b"gguf" + bytes(60)])
def test_what_is_no_gguf_file_is_named(content, tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(content)
    with pytest.raises(ValueError, match="other.gguf is not a GGUF file: it does not begin with the letters GGUF"):
        GGUF(other)


def altered(small, folder, old, new):
    """A copy of the small file in which some bytes are others, as many."""
    content = small.read_bytes()
    assert content.count(old) == 1 and len(old) == len(new)
    (folder / "altered.gguf").write_bytes(content.replace(old, new))
    return folder / "altered.gguf"


def string(content):
    """How the file holds a string."""
    return struct.pack("<Q", len(content)) + content


def entry(name, dimensions, kind):
    """How the file describes a tensor, up to its type."""
    return name + struct.pack("<IQQI", len(dimensions), *dimensions, kind)


ALIGNMENT = b"general.alignment"


@pytest.mark.parametrize("old, new, sentence", [
    (b"GGUF\x03", b"GGUF\x01", "is GGUF version 1; this reader knows 2 and 3"),
    (entry(b"q4_1", (64, 3), 3), entry(b"q4_1", (64, 3), 12), "q4_1 is stored as type 12; this reader knows F32, F16"),
    (b"a.uint8" + struct.pack("<I", 0), b"a.uint8" + struct.pack("<I", 99), "is damaged: its header cannot be read"),
    (string("Être 🌍".encode()), string(b"\xff" * 10), "is damaged: its header cannot be read"),
    (ALIGNMENT + struct.pack("<II", 4, 32), ALIGNMENT + struct.pack("<II", 4, 0), "general.alignment is 0, not a"),
    (ALIGNMENT + struct.pack("<II", 4, 32), ALIGNMENT + struct.pack("<Ii", 5, -32), "general.alignment is -32, not a"),
    (ALIGNMENT + struct.pack("<II", 4, 32), ALIGNMENT + struct.pack("<If", 6, 32), "general.alignment is 32.0, not a"),
    (entry(b"q4_1", (64, 3), 3), entry(b"q4_1", (33, 1), 3), "damaged: q4_1 has rows of 33 weights, and Q4_1"),
    (entry(b"q8_0", (64, 3), 8), entry(b"q8_0", (48, 4), 8), "damaged: q8_0 has rows of 48 weights, and Q8_0"),
])
def test_an_altered_header_is_named(small, tmp_path, old, new, sentence):
    with pytest.raises(ValueError) as error:
        GGUF(altered(small, tmp_path, old, new))
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_arrays_in_arrays_without_end_are_named(tmp_path):
    array = struct.pack("<QI", 1, 9)                                # it has one value, which is an array
    (tmp_path / "deep.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string(b"a")
                                         + struct.pack("<II", 9, 9) + array * 5_000)
    with pytest.raises(ValueError, match="deep.gguf is damaged: its header cannot be read .* fetch it again.$"):
        GGUF(tmp_path / "deep.gguf")


def test_unknown_names(small):
    file = GGUF(small)
    with pytest.raises(ValueError, match="name is 'blk.0'; small.gguf holds no such tensor. GGUF.stored lists them."):
        file.tensor("blk.0")
    with pytest.raises(ValueError, match="kind is 'Q2_K'; choose one of F32, F16, Q4_1, Q8_0"):
        dequantize(torch.zeros(1, 84, dtype=torch.uint8), "Q2_K")
    with pytest.raises(FileNotFoundError, match="no.gguf"):
        GGUF(small.with_name("no.gguf"))


def test_only_what_is_quantized_has_codes(small):
    file = GGUF(small)
    assert file.quantized("q8_0").codes.shape == (3, 2, 32) and file.quantized("q8_0").minimums is None
    for name in ("q8_0", "q4_1"):
        assert torch.equal(file.quantized(name).dequantize(), file.tensor(name))
    with pytest.raises(ValueError, match="name is 'f16', which is stored as F16, not quantized; use tensor"):
        file.quantized("f16")
