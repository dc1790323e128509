"""Safetensors files of LoRAs: read, write and rewrite their headers; tensors are never decoded.

Format: https://github.com/huggingface/safetensors (8-byte little-endian header length, JSON
header of at most 100 MB, `__metadata__` text to text, tensor bytes without holes or overlaps).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .errors import DamagedError, ToolError
from .files import copy_whole, read_blocks, replacing, require_absent, unreadable

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit for the JSON header."""

_LENGTH_BYTES = 8
_BLOCK_BYTES = 1 << 20
DTYPE_BITS: Mapping[str, int] = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}
"""Bits of one number by the format's dtype names."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as the header describes it; offsets in bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Tensor:
    """One tensor to be written: raw little-endian bytes, row-major."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class LoraHeader:
    """What the header of a safetensors file says; sizes in bytes."""

    metadata: Mapping[str, str]
    tensors: tuple[TensorInfo, ...]
    header_bytes: int

    @property
    def data_begin(self) -> int:
        """Offset of the first tensor byte in the file."""
        return _LENGTH_BYTES + self.header_bytes


def read_header(path: Path) -> LoraHeader:
    """Read the header of a safetensors file, whatever the file's size.

    Raises DamagedError (no safetensors file; cut short; hostile or damaged header) or MachineError
    (unreadable).
    """
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            raw = _read_raw_header(stream, size, path)
    except OSError as error:
        raise unreadable(path, error) from error
    metadata, tensors = _parse_header(raw, path)
    _check_layout(tensors, size - _LENGTH_BYTES - len(raw), path)
    return LoraHeader(metadata, tensors, len(raw))


def _read_raw_header(stream: BinaryIO, size: int, path: Path) -> bytes:
    start = stream.read(_LENGTH_BYTES)
    if len(start) < _LENGTH_BYTES:
        raise _no_safetensors(path, f"it has only {size} bytes")
    (length,) = struct.unpack("<Q", start)
    if length > MAX_HEADER_BYTES:
        raise _no_safetensors(path, f"its header claims {length:,} bytes")
    if length > size - _LENGTH_BYTES:
        raise _cut_short(path, f"the header alone should have {length:,} bytes")
    return stream.read(length)


def _no_safetensors(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL130", f"{path} is not a safetensors file: {why}.", "Copy or train the file again."
    )


def _cut_short(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL131",
        f"{path} is incomplete: {why}.",
        "Delete the file and use another epoch, or train again.",
    )


def _hostile(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL132",
        f"{path} has a damaged or hostile header: {why}.",
        "Do not use the file; download it again from its source.",
    )


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _parse_header(raw: bytes, path: Path) -> tuple[dict[str, str], tuple[TensorInfo, ...]]:
    if not raw.startswith(b"{"):
        raise _no_safetensors(path, "its header does not begin with {")
    try:
        data = json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    except RecursionError as error:
        raise _hostile(path, "it is nested without bound") from error
    except ValueError as error:
        raise _no_safetensors(path, f"its header is not valid JSON ({error})") from error
    metadata = data.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise _hostile(path, "__metadata__ must map text to text")
    return metadata, tuple(_tensor_info(name, info, path) for name, info in data.items())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _tensor_info(name: str, info: Any, path: Path) -> TensorInfo:
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        raise _hostile(path, f"tensor {name!r} must have dtype, shape and data_offsets")
    shape, offsets = info["shape"], info["data_offsets"]
    if not isinstance(shape, list) or not all(map(_is_count, shape)):
        raise _hostile(path, f"tensor {name!r} has the shape {shape!r}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise _hostile(path, f"tensor {name!r} has the offsets {offsets!r}")
    if not isinstance(info["dtype"], str):
        raise _hostile(path, f"tensor {name!r} has the dtype {info['dtype']!r}")
    return TensorInfo(name, info["dtype"], tuple(shape), offsets[0], offsets[1])


def _check_layout(tensors: Iterable[TensorInfo], data_bytes: int, path: Path) -> None:
    """Check that the tensors fill the data part without hole or overlap, each with its size."""
    position = 0
    for one in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.end)):
        if one.begin != position or one.end < one.begin:
            raise _hostile(path, f"tensor {one.name!r} leaves a hole or overlaps another")
        expected = _size_bytes(one.dtype, one.shape)
        if expected is not None and one.end - one.begin != expected:
            raise _hostile(path, f"tensor {one.name!r} has another size than its shape says")
        position = one.end
    if position > data_bytes:
        raise _cut_short(path, f"{position:,} tensor bytes are expected, {data_bytes:,} exist")
    if position < data_bytes:
        raise _hostile(path, f"{data_bytes - position:,} bytes follow the last tensor")


def _size_bytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Return the size of a tensor in bytes, or None for a dtype newer than this table."""
    bits = DTYPE_BITS.get(dtype)
    if bits is None:
        return None
    for length in shape:
        bits *= length
    return bits // 8


def tensor_sha256(path: Path) -> str:
    """Return the SHA-256 of all bytes after the header, in lower-case hex.

    This is `sshs_model_hash`; its first 12 digits are A1111's LoRA hash and Civitai's AutoV3.
    Header edits do not change it.
    """
    header = read_header(path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(header.data_begin)
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_lora(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file atomically; ValueError when a tensor's bytes do not fit its shape.

    Raises MachineError (disk full).
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, tensor in tensors.items():
        if _size_bytes(tensor.dtype, tensor.shape) != len(tensor.data):
            raise ValueError(f"tensor {name!r}: {len(tensor.data)} bytes for {tensor.shape}")
        end = position + len(tensor.data)
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        _write_header(stream, header)
        for tensor in tensors.values():
            stream.write(tensor.data)


def _write_header(stream: BinaryIO, header: Mapping[str, Any]) -> None:
    raw = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    raw += b" " * (-len(raw) % 8)  # tensors start at a multiple of 8, as the format asks
    stream.write(struct.pack("<Q", len(raw)) + raw)


def rewrite_metadata(source: Path, target: Path, changes: Mapping[str, str | None]) -> None:
    """Copy `source` to `target` with other metadata; None removes a key, tensors stay as bytes.

    What changes nothing is a copy byte for byte.

    Never overwrites (ConflictError); raises DamagedError (source) or MachineError (full disk).
    """
    require_absent(target)
    old = read_header(source)
    merged = {**old.metadata, **changes}
    metadata = {key: value for key, value in merged.items() if value is not None}
    target.parent.mkdir(parents=True, exist_ok=True)
    if metadata == old.metadata:
        copy_whole(source, target)
        return
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    for one in old.tensors:
        header[one.name] = {
            "dtype": one.dtype,
            "shape": list(one.shape),
            "data_offsets": [one.begin, one.end],
        }
    with replacing(target) as writer:
        _write_header(writer, header)
        writer.writelines(read_blocks(source, old.data_begin))
