"""Safetensors headers: read, written, rewritten, and hostile ones refused."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest

from kohya_ext.project import ToolError
from kohya_ext.project.lora_file import (
    Tensor,
    read_header,
    rewrite_metadata,
    tensor_sha256,
    write_lora,
)

TENSORS = {
    "a": Tensor("F32", (2, 1), bytes(range(8))),
    "b": Tensor("F16", (), b"xy"),
    "none": Tensor("BF16", (0, 4), b""),
}


def raw_file(path: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def entry(begin: object, end: object, dtype: object = "U8", shape: object = None) -> dict:
    size = [end - begin] if isinstance(begin, int) and isinstance(end, int) else [1]
    return {
        "dtype": dtype,
        "shape": size if shape is None else shape,
        "data_offsets": [begin, end],
    }


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    write_lora(tmp_path / "x.safetensors", TENSORS, {"ss_epoch": "2", "ss_output_name": "狐"})
    return tmp_path / "x.safetensors"


def test_what_is_written_is_read(lora: Path):
    header = read_header(lora)
    assert header.metadata == {"ss_epoch": "2", "ss_output_name": "狐"}
    assert [(one.name, one.dtype, one.shape) for one in header.tensors] == [
        ("a", "F32", (2, 1)),
        ("b", "F16", ()),
        ("none", "BF16", (0, 4)),
    ]
    assert header.data_begin % 8 == 0
    assert header.data_begin + 10 == lora.stat().st_size


def test_the_tensor_hash_ignores_the_header(lora: Path, tmp_path: Path):
    expected = hashlib.sha256(bytes(range(8)) + b"xy").hexdigest()
    rewrite_metadata(lora, tmp_path / "y.safetensors", {"ss_epoch": None, "new": "x" * 500})
    assert tensor_sha256(lora) == tensor_sha256(tmp_path / "y.safetensors") == expected


def test_rewriting_changes_only_what_is_named(lora: Path, tmp_path: Path):
    target = tmp_path / "y.safetensors"
    rewrite_metadata(lora, target, {"ss_output_name": "Quillfox"})
    assert read_header(target).metadata == {"ss_epoch": "2", "ss_output_name": "Quillfox"}
    assert read_header(target).tensors == read_header(lora).tensors


def test_rewriting_never_overwrites(lora: Path):
    before = lora.read_bytes()
    with pytest.raises(ToolError, match="LL112"):
        rewrite_metadata(lora, lora, {})
    assert lora.read_bytes() == before


def test_an_all_zero_dimension_is_legal(tmp_path: Path):
    write_lora(tmp_path / "e.safetensors", {}, {})
    assert read_header(tmp_path / "e.safetensors").tensors == ()


def test_bytes_that_do_not_fit_the_shape(tmp_path: Path):
    with pytest.raises(ValueError, match="tensor 'a': 3 bytes"):
        write_lora(tmp_path / "e.safetensors", {"a": Tensor("F32", (1,), b"123")}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, b"not a safetensors file"])
def test_other_files_are_no_safetensors(tmp_path: Path, content: bytes):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ToolError, match="LL130"):
        read_header(tmp_path / "x")


@pytest.mark.parametrize(
    "header",
    [b"[]", b'{"a"', b"{\xff}", b'{"a":1,"a":2}', b""],
    ids=["list", "cut", "latin", "twice", "empty"],
)
def test_headers_that_are_no_json(tmp_path: Path, header: bytes):
    with pytest.raises(ToolError, match="LL130"):
        read_header(raw_file(tmp_path / "x", header))


@pytest.mark.parametrize("missing", [1, 5, 9, 30])
def test_a_file_cut_short_is_named(lora: Path, missing: int):
    lora.write_bytes(lora.read_bytes()[:-missing])
    with pytest.raises(ToolError, match=r"is incomplete.*LL131"):
        read_header(lora)


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 4), "b": entry(3, 8)},
        {"a": entry(0, 4), "b": entry(5, 8)},
        {"a": entry(1, 8)},
        {"a": entry(0, 7)},
        {"a": entry(4, 0, shape=[0])},
        {"a": entry(-1, 8, shape=[8])},
        {"a": entry(0, True, shape=[8])},
        {"a": entry(0, 8, dtype="F32", shape=[8])},
        {"a": entry(0, 8, shape=[-8])},
        {"a": entry(0, 8, shape="8")},
        {"a": entry(0, 8, shape=[1.5])},
        {"a": entry(0, 8, dtype=3)},
        {"a": {"dtype": "U8"}},
        {"a": []},
        {"__metadata__": {"x": 1}, "a": entry(0, 8)},
        {"__metadata__": [], "a": entry(0, 8)},
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, header: dict):
    with pytest.raises(ToolError, match="LL132"):
        read_header(raw_file(tmp_path / "x", header, bytes(8)))


def test_endless_nesting_is_refused(tmp_path: Path):
    with pytest.raises(ToolError, match=r"LL13[02]"):
        read_header(raw_file(tmp_path / "x", b'{"a":' + b"[" * 200_000))


def test_a_huge_claimed_header_is_not_read(tmp_path: Path):
    with pytest.raises(ToolError, match=r"claims .*LL130"):
        read_header(raw_file(tmp_path / "x", b"{}", length=1 << 62))


def test_a_dtype_of_the_future_is_read(tmp_path: Path):
    path = raw_file(tmp_path / "x", {"a": entry(0, 8, dtype="F4", shape=[16])}, bytes(8))
    assert read_header(path).tensors[0].dtype == "F4"


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ToolError, match="LL104"):
        read_header(tmp_path / "nowhere.safetensors")


def test_a_large_file_costs_only_its_header(tmp_path: Path):
    """Eight sparse gigabytes, read in no time and no memory."""
    path = tmp_path / "x"
    size = 8 << 30
    raw_file(path, {"a": entry(0, size)})
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + size)
    assert read_header(path).tensors[0].end == size


@pytest.mark.parametrize("metadata", [{}, {"a": "1", "b": "ü"}], ids=["none", "some"])
def test_a_rewrite_that_changes_nothing_is_the_file(tmp_path: Path, metadata: dict[str, str]):
    header: dict[str, object] = {"x": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}
    if metadata:
        header["__metadata__"] = metadata  # neither our order nor our spaces
    source = raw_file(tmp_path / "a.safetensors", json.dumps(header, indent=1).encode(), b"xy")
    rewrite_metadata(source, tmp_path / "b.safetensors", {**metadata, "absent": None})
    assert (tmp_path / "b.safetensors").read_bytes() == source.read_bytes()


def test_a_rewrite_that_empties_the_metadata_leaves_none(tmp_path: Path):
    source = tmp_path / "a.safetensors"
    write_lora(source, {"x": Tensor("U8", (1,), b"x")}, {"a": "1"})
    rewrite_metadata(source, tmp_path / "b.safetensors", {"a": None})
    write_lora(tmp_path / "c.safetensors", {"x": Tensor("U8", (1,), b"x")}, {})
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()
