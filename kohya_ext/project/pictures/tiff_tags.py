"""Tags of a TIFF structure, as in TIFF files and in EXIF: find them, and change small ones.

Little and big endian, classic and BigTIFF. Positions are checked: a damaged file raises ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

RATING = 0x4746
RATING_PERCENT = 0x4749
XMP_TAG = 700

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_SIZES = {16: 8, 17: 8, 18: 8}
_MOST_TAGS = 4096
_MOST_DIRECTORIES = 256


@dataclass(frozen=True)
class TiffTag:
    """One tag: `at` is where its 12 (BigTIFF: 20) bytes stand, `start` where its value does."""

    tag: int
    kind: int
    count: int
    at: int
    start: int
    length: int


@dataclass(frozen=True)
class Directory:
    """One directory (IFD) at `at`; `next` is the position of the one after it."""

    at: int
    entries: tuple[TiffTag, ...]
    next: int

    def find(self, tag: int) -> TiffTag | None:
        """Return the entry of a tag, or None."""
        return next((one for one in self.entries if one.tag == tag), None)


class TiffTags:
    """Reads the directories of a TIFF structure that begins at the first of `data`."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = memoryview(data)
        order = bytes(self.data[:2])
        if order not in (b"II", b"MM"):
            raise ValueError("it is not a TIFF structure")
        self.order = "<" if order == b"II" else ">"
        kind = self._number("H", 2)
        if kind not in (42, 43):
            raise ValueError("it is not a TIFF structure")
        self.is_big = kind == 43
        self.word = "Q" if self.is_big else "I"
        self.word_bytes = 8 if self.is_big else 4
        self.first_at = 8 if self.is_big else 4

    def _number(self, letter: str, at: int) -> int:
        try:
            (value,) = struct.unpack_from(self.order + letter, self.data, at)
        except struct.error as error:
            raise ValueError("it is incomplete") from error
        return int(value)

    def first(self) -> Directory:
        """Return the first directory."""
        return self.read(self._number(self.word, self.first_at))

    def all(self) -> Iterator[Directory]:
        """Yield the chain of directories."""
        seen: set[int] = set()
        place = self._number(self.word, self.first_at)
        while place and place not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(place)
            found = self.read(place)
            yield found
            place = found.next

    def read(self, at: int) -> Directory:
        """Return the directory at a position."""
        count = self._number("Q" if self.is_big else "H", at)
        if count > _MOST_TAGS:
            raise ValueError("it has too many tags")
        start, step = (at + 8, 20) if self.is_big else (at + 2, 12)
        entries = tuple(self._entry(start + step * number) for number in range(count))
        after = start + step * count
        following = self._number(self.word, after) if after + 4 <= len(self.data) else 0
        return Directory(at, entries, following)

    def _entry(self, at: int) -> TiffTag:
        tag, kind = self._number("H", at), self._number("H", at + 2)
        count = self._number(self.word, at + 4)
        length = count * (_SIZES.get(kind) or _BIG_SIZES.get(kind) or 1)
        value = at + 4 + self.word_bytes
        start = value if length <= self.word_bytes else self._number(self.word, value)
        return TiffTag(tag, kind, count, at, start, length)

    def bytes_of(self, entry: TiffTag) -> memoryview:
        """Return an entry's value; ValueError when it lies outside."""
        if entry.start + entry.length > len(self.data):
            raise ValueError("a tag is outside the file")
        return self.data[entry.start : entry.start + entry.length]

    def numbers(self, entry: TiffTag) -> tuple[int, ...]:
        """Return an entry's whole numbers; nothing for other kinds."""
        letter = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}.get(entry.kind)
        if letter is None:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{letter}", self.bytes_of(entry))

    def find_number(self, tag: int) -> int | None:
        """Return a number of the first directory, or None."""
        entry = self.first().find(tag)
        numbers = self.numbers(entry) if entry else ()
        return numbers[0] if numbers else None


def set_short(data: bytearray, tag: int, value: int) -> None:
    """Change a 16 or 32 bit number of the first directory in place; nothing when it is absent."""
    tags = TiffTags(memoryview(data))
    entry = tags.first().find(tag)
    letter = {3: "H", 4: "I", 8: "h", 9: "i"}.get(entry.kind) if entry else None
    if entry is not None and letter is not None and entry.count == 1:
        start, order = entry.start, tags.order
        del tags  # else the bytearray is held
        struct.pack_into(order + letter, data, start, max(0, value))
