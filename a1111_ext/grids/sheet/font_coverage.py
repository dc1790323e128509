"""Which characters a font file has, read from its `cmap` table; no font library needed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

Ranges = tuple[tuple[int, int], ...]
"""Sorted, inclusive ranges of code points."""

_COLLECTION = b"ttcf"
_LARGEST_TABLE_BYTES = 16 << 20


def read_coverage(path: Path) -> Ranges:
    """Return the code points that the (first) font in a ttf, otf or ttc file can draw.

    A file that is no font, or a damaged one, covers nothing.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (OSError, struct.error, ValueError):
        return ()


def _read(stream: BinaryIO) -> Ranges:
    start = 0
    if stream.read(4) == _COLLECTION:
        stream.seek(12)
        (start,) = struct.unpack(">I", stream.read(4))
    stream.seek(start + 4)
    (count,) = struct.unpack(">H", stream.read(2))
    stream.seek(start + 12)
    for _ in range(count):
        tag, _checksum, offset, length = struct.unpack(">4sIII", stream.read(16))
        if tag == b"cmap":
            if length > _LARGEST_TABLE_BYTES:
                return ()
            stream.seek(offset)
            return _parse_cmap(stream.read(length))
    return ()


def _parse_cmap(table: bytes) -> Ranges:
    (count,) = struct.unpack_from(">H", table, 2)
    found: dict[int, int] = {}
    for index in range(count):
        _platform, _encoding, offset = struct.unpack_from(">HHI", table, 4 + 8 * index)
        (kind,) = struct.unpack_from(">H", table, offset)
        found.setdefault(kind, offset)
    if 12 in found:
        return _parse_groups(table, found[12])
    if 4 in found:
        return _parse_segments(table, found[4])
    return ()


def _parse_groups(table: bytes, offset: int) -> Ranges:
    """Format 12: groups of start, end and first glyph, 32 bits each."""
    (count,) = struct.unpack_from(">I", table, offset + 12)
    groups = struct.iter_unpack(">III", table[offset + 16 : offset + 16 + 12 * count])
    return tuple((start, end) for start, end, _glyph in groups if start <= end)


def _parse_segments(table: bytes, offset: int) -> Ranges:
    """Format 4: four parallel arrays of 16 bits; glyph 0 means "not there"."""
    (twice,) = struct.unpack_from(">H", table, offset + 6)
    size = twice // 2
    ends = struct.unpack_from(f">{size}H", table, offset + 14)
    starts = struct.unpack_from(f">{size}H", table, offset + 16 + twice)
    deltas = struct.unpack_from(f">{size}H", table, offset + 16 + 2 * twice)
    shifts_at = offset + 16 + 3 * twice
    shifts = struct.unpack_from(f">{size}H", table, shifts_at)
    ranges: list[tuple[int, int]] = []
    for index, (start, end, delta, shift) in enumerate(zip(starts, ends, deltas, shifts)):  # noqa: B905 - equal by construction
        if start > end or start == 0xFFFF:
            continue
        if shift == 0:
            ranges.append((start, end))
            continue
        glyphs_at = shifts_at + 2 * index + shift
        for code in range(start, end + 1):
            (glyph,) = struct.unpack_from(">H", table, glyphs_at + 2 * (code - start))
            if glyph and (glyph + delta) & 0xFFFF:
                ranges.append((code, code))
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
