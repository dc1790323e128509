"""What makes a picture the same picture: its stored pixels, whatever its metadata say.

A viewer that writes a rating into a file changes the file, but not the picture's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from .metadata import (
    JPEG_XMP,
    PNG_XMP,
    Segment,
    jpeg_segments,
    kind_of,
    png_chunks,
    webp_chunks,
)
from .tiff_tags import TiffTags

_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"fcTL", b"fdAT", b"acTL")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP")
_TIFF_FORM = (256, 257, 258, 259, 262, 266, 277, 278, 284, 317, 320, 338, 339, 347, 34675)
_TIFF_DATA = ((273, 279), (324, 325))


def key_of(content: bytes) -> str:
    """Return 64 hex digits of a picture file's content that stay when only metadata change.

    A file of a kind whose parts are not known, or a damaged one, counts as a whole.
    """
    kind = kind_of(content)
    data = memoryview(content)
    parts = {"jpeg": _jpeg, "png": _png, "webp": _webp, "tiff": _tiff}.get(kind)
    if parts is not None:
        try:
            digest = hashlib.sha256(kind.encode("ascii"))
            for part in parts(data):
                digest.update(part)
            return digest.hexdigest()
        except (ValueError, OverflowError):
            pass
    return hashlib.sha256(content).hexdigest()


def digest_without_xmp(content: bytes) -> str:
    """Return a file's SHA-256 as if it held no XMP: a rating that was written changes nothing.

    For a WebP, whose header changes with it, it is that of pixels and EXIF.
    """
    kind, data = kind_of(content), memoryview(content)
    digest = hashlib.sha256()
    try:
        if kind == "webp":
            for one in webp_chunks(data):
                if one.name not in (b"XMP ", b"VP8X"):
                    digest.update(data[one.start : one.end])
            return digest.hexdigest()
        done = 0
        for one in _xmp_parts(kind, data):
            digest.update(data[done : one.start])
            done = one.end
        digest.update(data[done:])
    except (ValueError, OverflowError):
        return hashlib.sha256(content).hexdigest()
    return digest.hexdigest()


def _xmp_parts(kind: str, data: memoryview) -> Iterator[Segment]:
    if kind == "png":
        for one in png_chunks(data):
            if one.name == b"iTXt" and bytes(data[one.body :][: len(PNG_XMP)]) == PNG_XMP:
                yield one
    elif kind == "jpeg":
        for one in jpeg_segments(data):
            if one.name == b"\xe1" and bytes(data[one.body :][: len(JPEG_XMP)]) == JPEG_XMP:
                yield one


def _jpeg(data: memoryview) -> Iterator[bytes | memoryview]:
    """Yield all but the application segments and comments; colour profile and Adobe's stay."""
    end = 0
    for one in jpeg_segments(data):
        marker, end = one.name[0], one.end
        is_profile = marker == 0xE2 and bytes(data[one.body : one.body + 11]) == b"ICC_PROFILE"
        if marker == 0xEE or is_profile or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            yield data[one.start : one.end]
    if not end:
        raise ValueError("it has no segments")
    yield data[end:]


def _png(data: memoryview) -> Iterator[bytes | memoryview]:
    for one in png_chunks(data):
        if one.name in _PNG_PIXELS:
            if one.name != b"IDAT":  # its chunks may be cut differently
                yield one.name
            yield data[one.body : one.end - 4]


def _webp(data: memoryview) -> Iterator[bytes | memoryview]:
    for one in webp_chunks(data):
        if one.name in _WEBP_PIXELS:
            yield data[one.start : one.end]


def _tiff(data: memoryview) -> Iterator[bytes | memoryview]:
    tags = TiffTags(data)
    found = False
    for directory in tags.all():
        for entry in directory.entries:
            if entry.tag in _TIFF_FORM:
                yield entry.tag.to_bytes(2, "big")
                yield bytes(tags.bytes_of(entry))
        for starts, lengths in _TIFF_DATA:
            start, length = directory.find(starts), directory.find(lengths)
            if start is None or length is None:
                continue
            for at, size in zip(tags.numbers(start), tags.numbers(length), strict=True):
                if at + size > len(data):
                    raise ValueError("a strip is outside the file")
                found = True
                yield data[at : at + size]
    if not found:
        raise ValueError("it has no strips")
