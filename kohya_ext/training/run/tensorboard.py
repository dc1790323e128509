"""Scalars of TensorBoard event files, read without TensorBoard.

Format: records of length (8 bytes), its checksum (4), an Event message, its checksum (4); of the
Event only step (field 2) and summary values with a simple_value (tag 1, number 2) are read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FRAME_BYTES = 16
"""Length, its checksum and the checksum of what is between."""

_MOST_BYTES = 1_000_000
"""Of a record: a longer one holds pictures, and is passed over."""

_SEARCH_EVERY = 20

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_scalars(
    folder: Path, tag: str, *, since: float = 0.0, until: float | None = None
) -> tuple[tuple[int, float], ...]:
    """Return (step, value) of one tag from all event files below `folder`, in step order.

    `since` and `until` leave out files last written outside that time. A record that is being
    written, and anything after a damaged one, does not count.
    """
    found: list[tuple[int, float]] = []
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        written = path.stat().st_mtime
        if written < since or (until is not None and written > until):
            continue
        with path.open("rb") as stream:
            for _, record in _records(stream):
                found += [(step, value) for step, name, value in _scalars(record) if name == tag]
    return tuple(sorted(found))


class ScalarTail:
    """Follow one tag in the event file of a run, reading only what was added since."""

    def __init__(self, folder: Path, tag: str, since: float) -> None:
        self._folder, self._tag, self._since = folder, tag, since
        self._path: Path | None = None
        self._at = 0
        self._searches = 0

    def read(self) -> list[tuple[int, float]]:
        """Return the new (step, value) pairs; none while the file does not exist."""
        if self._path is None and not self._search():
            return []
        assert self._path is not None
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._at)
                records = list(_records(stream))
        except OSError:  # someone tidied up, or holds it for a moment: the streams say enough
            return []
        self._at = records[-1][0] if records else self._at
        rows = (row for _, record in records for row in _scalars(record))
        return [(step, value) for step, name, value in rows if name == self._tag]

    def _search(self) -> bool:
        """Look for the file now and then: a log folder may hold those of many runs."""
        self._searches += 1
        if self._searches % _SEARCH_EVERY != 1 or not self._folder.is_dir():
            return False
        found = [
            path
            for path in self._folder.rglob("events.out.tfevents.*")
            if path.stat().st_mtime >= self._since
        ]
        self._path = max(found, key=lambda path: path.stat().st_mtime, default=None)
        return self._path is not None


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield whole records from here on, each with the place behind it; long ones as empty."""
    size, at = os.fstat(stream.fileno()).st_size, stream.tell()
    while at + _FRAME_BYTES <= size:
        (length,) = struct.unpack("<Q", stream.read(8))
        if at + _FRAME_BYTES + length > size:
            return
        stream.seek(at + 12)
        record = stream.read(length) if length <= _MOST_BYTES else b""
        at += _FRAME_BYTES + length
        stream.seek(at)
        yield at, record


def _scalars(event: bytes) -> Iterator[tuple[int, str, float]]:
    step = 0
    for field, value in _fields(event):
        if field == 2 and isinstance(value, int):
            step = value
        elif field == 5 and isinstance(value, bytes):
            for inner, entry in _fields(value):
                if inner == 1 and isinstance(entry, bytes):
                    yield from _value(step, entry)


def _value(step: int, entry: bytes) -> Iterator[tuple[int, str, float]]:
    tag, number = "", None
    for field, value in _fields(entry):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and isinstance(value, float):
            number = value
    if number is not None:
        yield step, tag, number


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Walk a protobuf message: (field number, value); ends at the first malformed byte."""
    at = 0
    try:
        while at < len(message):
            key, at = _varint(message, at)
            field, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = _varint(message, at)
                yield field, value
            elif kind == _FIXED64:
                yield field, struct.unpack_from("<d", message, at)[0]
                at += 8
            elif kind == _FIXED32:
                yield field, struct.unpack_from("<f", message, at)[0]
                at += 4
            elif kind == _BYTES:
                length, at = _varint(message, at)
                yield field, message[at : at + length]
                at += length
            else:
                return
    except (IndexError, struct.error):
        return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
