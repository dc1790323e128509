"""Where XMP and EXIF lie in a JPEG, PNG, WebP or TIFF file, and how another XMP is put there.

Everything else is kept byte for byte. A file of another form, or a damaged one, raises ValueError.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import tiff_tags
from .tiff_tags import TiffTags

JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_EXIF = b"Exif\0\0"
PNG_XMP = b"XML:com.adobe.xmp"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PART = 64_000_000
_LARGEST_SEGMENT = 65533


@dataclass(frozen=True)
class Metadata:
    """The packet of XMP and the TIFF structure of EXIF, as far as they are there."""

    xmp: bytes | None = None
    exif: bytes | None = None


@dataclass(frozen=True)
class Segment:
    """One part of a file: its name, and from where to where it goes, its header included."""

    name: bytes
    start: int
    end: int
    body: int


def kind_of(head: bytes | bytearray) -> str:
    """Return "jpeg", "png", "webp" or "tiff" by a file's first bytes; "" for others."""
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:8] == _PNG:
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return "tiff" if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") else ""


def read_metadata(path: Path) -> Metadata:
    """Return a file's XMP and EXIF, reading little else; nothing of a kind without them.

    ValueError for a damaged file, OSError for one that cannot be read.
    """
    with path.open("rb") as stream:
        kind = kind_of(stream.read(12))
        stream.seek(0)
        try:
            if kind == "jpeg":
                return _of_jpeg(stream)
            if kind == "png":
                return _of_png(stream)
            if kind == "webp":
                return _of_webp(stream)
            return _of_tiff(stream.read()) if kind == "tiff" else Metadata()
        except struct.error as error:
            raise ValueError("it is incomplete") from error


def with_xmp(data: bytes, xmp: bytes) -> bytearray:
    """Return a whole file with another packet of XMP. ValueError when it cannot hold one."""
    put = {"jpeg": _put_jpeg, "png": _put_png, "webp": _put_webp, "tiff": _put_tiff}
    kind = kind_of(data)
    if kind not in put:
        raise ValueError("it is of a kind that cannot store XMP")
    try:
        return put[kind](bytearray(data), xmp)
    except struct.error as error:
        raise ValueError("it is incomplete") from error


def set_exif_number(data: bytearray, tag: int, value: int) -> None:
    """Change a number in the first directory of a file's EXIF, where it stands already."""
    kind = kind_of(data)
    if kind == "tiff":
        tiff_tags.set_short(data, tag, value)
        return
    if kind == "png":
        _set_in_raw_profiles(data, tag, value)
    segments = {"jpeg": jpeg_segments, "png": png_chunks, "webp": webp_chunks}[kind]
    for one in segments(data):
        start = _exif_start(kind, one, data)
        if start:
            part = bytearray(data[start : one.end])
            tiff_tags.set_short(part, tag, value)
            data[start : one.end] = part
            if kind == "png":
                struct.pack_into(
                    ">I", data, one.end - 4, zlib.crc32(data[one.start + 4 : one.end - 4])
                )


def _exif_start(kind: str, one: Segment, data: bytearray) -> int:
    body = one.body
    if kind == "jpeg":
        is_exif = one.name == b"\xe1" and data[body : body + 6] == JPEG_EXIF
        return body + 6 if is_exif else 0
    if one.name not in (b"eXIf", b"EXIF"):
        return 0
    return body + 6 if data[body : body + 6] == JPEG_EXIF else body


# -- JPEG -----------------------------------------------------------------------------------------


def jpeg_segments(data: bytes | bytearray | memoryview) -> Iterator[Segment]:
    """Yield the segments before the picture itself; the last one is the start of scan (0xDA)."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("a segment of the JPEG is damaged")
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            raise ValueError("a segment of the JPEG is incomplete")
        yield Segment(bytes([marker]), at, at + 2 + length, at + 4)
        if marker == 0xDA:
            return
        at += 2 + length


def _of_jpeg(stream: BinaryIO) -> Metadata:
    xmp = exif = None
    stream.seek(2)
    while True:
        head = stream.read(4)
        while head[:2] == b"\xff\xff":
            head = head[1:] + stream.read(1)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xDA, 0xD9):
            return Metadata(xmp, exif)
        (length,) = struct.unpack(">H", head[2:])
        if head[1] != 0xE1 or length < 2:
            stream.seek(max(0, length - 2), 1)
            continue
        part = stream.read(length - 2)
        if part.startswith(JPEG_XMP):
            xmp = xmp or part[len(JPEG_XMP) :]
        elif part.startswith(JPEG_EXIF):
            exif = exif or part[len(JPEG_EXIF) :]


def _put_jpeg(data: bytearray, xmp: bytes) -> bytearray:
    body = JPEG_XMP + xmp
    if len(body) > _LARGEST_SEGMENT:
        raise ValueError("its XMP would be larger than a JPEG's segment")
    made = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    after = 2
    for one in jpeg_segments(data):
        if one.name == b"\xe1" and data[one.body : one.body + len(JPEG_XMP)] == JPEG_XMP:
            data[one.start : one.end] = made
            return data
        is_exif = one.name == b"\xe1" and data[one.body : one.body + 6] == JPEG_EXIF
        if one.name == b"\xe0" or is_exif:
            after = one.end
    data[after:after] = made
    return data


# -- PNG ------------------------------------------------------------------------------------------


def png_chunks(data: bytes | bytearray | memoryview) -> Iterator[Segment]:
    """Yield the chunks."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            raise ValueError("a chunk of the PNG is incomplete")
        yield Segment(bytes(data[at + 4 : at + 8]), at, at + 12 + length, at + 8)
        at += 12 + length


def _of_png(stream: BinaryIO) -> Metadata:
    xmp = exif = None
    stream.seek(8)
    while True:
        head = stream.read(8)
        if len(head) < 8:
            return Metadata(xmp, exif)
        length, name = struct.unpack(">I4s", head)
        if name in (b"iTXt", b"eXIf", b"zTXt", b"tEXt") and length <= _LARGEST_PART:
            part = stream.read(length)
            if name == b"iTXt" and part.startswith(PNG_XMP + b"\0"):
                is_packed = part[len(PNG_XMP) + 1 : len(PNG_XMP) + 2] == b"\x01"
                text = part[len(PNG_XMP) + 3 :].split(b"\0", 2)[-1]
                xmp = _unpacked(text) if is_packed else text
            elif name == b"eXIf":
                exif = part.removeprefix(JPEG_EXIF)
            elif name != b"iTXt":
                raw = _raw_profile(name, part)
                if raw.kind == b"xmp":
                    xmp = xmp or raw.content
                elif raw.kind:
                    exif = exif or raw.content
        else:
            stream.seek(length, 1)
        if name == b"IEND":
            return Metadata(xmp, exif)
        stream.seek(4, 1)


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _LARGEST_PART)
    except zlib.error as error:
        raise ValueError("a text of the PNG is damaged") from error


@dataclass(frozen=True)
class _RawProfile:
    """XMP or EXIF as hex digits in a text, as ImageMagick and exiv2 write it; `kind` "" is none.

    The text is a name, a length, then lines of digits.
    """

    kind: bytes = b""
    content: bytes = b""
    text: bytes = b""

    def with_content(self, content: bytes) -> bytes:
        """Return the text with other content of the same length, its lines as they are."""
        lines = self.text.split(None, 2)[2]
        digits = iter(content.hex().encode("ascii"))
        prefix = JPEG_EXIF.hex().encode("ascii")
        start = len(prefix) if _digits(lines).lower().startswith(prefix) else 0
        made = bytearray()
        for letter in lines:
            is_digit = not bytes([letter]).isspace()
            made.append(next(digits, letter) if is_digit and start <= 0 else letter)
            start -= is_digit
        return self.text[: len(self.text) - len(lines)] + bytes(made)


_RAW_KINDS = {b"Raw profile type xmp": b"xmp", b"Raw profile type exif": b"exif"}
_RAW_KINDS[b"Raw profile type APP1"] = b"exif"


def _raw_profile(name: bytes, part: bytes) -> _RawProfile:
    """Read such a text from the body of a zTXt or tEXt chunk."""
    keyword, _, rest = part.partition(b"\0")
    kind = _RAW_KINDS.get(keyword, b"")
    if not kind:
        return _RawProfile()
    try:
        text = _unpacked(rest[1:]) if name == b"zTXt" else rest
        content = bytes.fromhex(_digits(text.split(None, 2)[2]).decode("ascii"))
    except (ValueError, IndexError):
        return _RawProfile()
    if kind == b"exif" and content.startswith(JPEG_XMP):
        return _RawProfile(b"xmp", content[len(JPEG_XMP) :], text)
    return _RawProfile(kind, content.removeprefix(JPEG_EXIF), text)


def _digits(lines: bytes) -> bytes:
    return b"".join(lines.split())


def _set_in_raw_profiles(data: bytearray, tag: int, value: int) -> None:
    for one in reversed(list(png_chunks(data))):
        if one.name not in (b"zTXt", b"tEXt"):
            continue
        part = bytes(data[one.body : one.end - 4])
        raw = _raw_profile(one.name, part)
        if raw.kind != b"exif":
            continue
        content = bytearray(raw.content)
        tiff_tags.set_short(content, tag, value)
        if content == raw.content:
            continue
        text, keyword = raw.with_content(bytes(content)), part.partition(b"\0")[0]
        packed = b"\0" + zlib.compress(text) if one.name == b"zTXt" else text
        data[one.start : one.end] = _png_chunk(one.name, keyword + b"\0" + packed)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def _put_png(data: bytearray, xmp: bytes) -> bytearray:
    body = PNG_XMP + b"\0\0\0\0\0" + xmp
    made = _png_chunk(b"iTXt", body)
    chunks = list(png_chunks(data))
    if not chunks or chunks[0].name != b"IHDR":
        raise ValueError("the PNG has no header")
    for one in chunks:
        if one.name == b"iTXt" and data[one.body :].startswith(PNG_XMP + b"\0"):
            data[one.start : one.end] = made
            return data
    data[chunks[0].end : chunks[0].end] = made
    return data


# -- WebP -----------------------------------------------------------------------------------------


def webp_chunks(data: bytes | bytearray | memoryview) -> Iterator[Segment]:
    """Yield the chunks of the file's RIFF; `end` is without the padding byte."""
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + length > len(data):
            raise ValueError("a chunk of the WebP is incomplete")
        yield Segment(bytes(data[at : at + 4]), at, at + 8 + length, at + 8)
        at += 8 + length + length % 2


def _of_webp(stream: BinaryIO) -> Metadata:
    xmp = exif = None
    stream.seek(12)
    while True:
        head = stream.read(8)
        if len(head) < 8:
            return Metadata(xmp, exif)
        name, length = struct.unpack("<4sI", head)
        if name in (b"XMP ", b"EXIF") and length <= _LARGEST_PART:
            part = stream.read(length)
            if name == b"XMP ":
                xmp = part
            else:
                exif = part.removeprefix(JPEG_EXIF)
            stream.seek(length % 2, 1)
        else:
            stream.seek(length + length % 2, 1)


_VP8X_XMP = 0x04
_VP8X_ALPHA = 0x10


def _put_webp(data: bytearray, xmp: bytes) -> bytearray:
    made = b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\0" * (len(xmp) % 2)
    chunks = list(webp_chunks(data))
    if not chunks:
        raise ValueError("the WebP is empty")
    old = next((one for one in chunks if one.name == b"XMP "), None)
    if old is not None:
        data[old.start : old.end + (old.end - old.body) % 2] = made
    else:
        (riff,) = struct.unpack_from("<I", data, 4)
        data[riff + 8 + riff % 2 : riff + 8 + riff % 2] = made
    first = chunks[0]
    if first.name == b"VP8X":
        data[first.body] |= _VP8X_XMP
    else:
        data[12:12] = _vp8x(data, first)
    struct.pack_into("<I", data, 4, len(data) - 8)
    return data


def _vp8x(data: bytearray, first: Segment) -> bytes:
    """Return the header that a WebP needs as soon as it holds more than the picture."""
    flags = _VP8X_XMP
    if first.name == b"VP8L" and data[first.body] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, first.body + 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags |= _VP8X_ALPHA if bits >> 28 & 1 else 0
    elif first.name == b"VP8 " and data[first.body + 3 : first.body + 6] == b"\x9d\x01\x2a":
        wide, high = struct.unpack_from("<HH", data, first.body + 6)
        width, height = wide & 0x3FFF, high & 0x3FFF
    else:
        raise ValueError("the form of the WebP is unknown")
    size: bytes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + size


# -- TIFF -----------------------------------------------------------------------------------------


def _of_tiff(data: bytes) -> Metadata:
    tags = TiffTags(data)
    entry = tags.first().find(tiff_tags.XMP_TAG)
    xmp = bytes(tags.bytes_of(entry)) if entry else None
    return Metadata(xmp, data)


def _put_tiff(data: bytearray, xmp: bytes) -> bytearray:
    """Write the packet where the old one was or at the end; a directory without one moves there."""
    tags = TiffTags(bytes(data))
    directory = tags.first()
    old = directory.find(tiff_tags.XMP_TAG)
    if old is not None and len(xmp) <= old.length and old.length > tags.word_bytes:
        data[old.start : old.start + old.length] = xmp + b" " * (old.length - len(xmp))
        return data
    data += b"\0" * (len(data) % 2)
    place = len(data)
    data += xmp + b"\0" * (len(xmp) % 2)
    words = struct.pack(f"{tags.order}HH{tags.word}{tags.word}", 700, 1, len(xmp), place)
    if old is not None:
        data[old.at : old.at + len(words)] = words
        return data
    entries = {one.tag: bytes(data[one.at : one.at + len(words)]) for one in directory.entries}
    entries[tiff_tags.XMP_TAG] = words
    moved = len(data)
    data += struct.pack(tags.order + ("Q" if tags.is_big else "H"), len(entries))
    data += b"".join(entries[tag] for tag in sorted(entries))
    data += struct.pack(tags.order + tags.word, directory.next)
    struct.pack_into(tags.order + tags.word, data, tags.first_at, moved)
    return data
