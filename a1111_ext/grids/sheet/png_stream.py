"""A PNG file of any size written band by band: filtered, compressed in threads, never held whole.

A band is an RGB picture of the full width and some lines. Bands are compressed independently
(raw deflate, byte-aligned by a sync flush) and joined into one zlib stream.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 2**31 - 1
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ZLIB_HEADER = b"\x78\x01"
_FILTER_SUB, _FILTER_UP = b"\x01", b"\x02"
_SAMPLE_LINES = 4


class PngStream:
    """Write one RGB PNG; use as a context manager, give all `height` lines with `write`."""

    def __init__(
        self,
        stream: BinaryIO,
        width: int,
        height: int,
        *,
        text: Mapping[str, str] | None = None,
        threads: int = 2,
    ) -> None:
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError(f"a PNG cannot be {width} x {height}")
        self.width, self.height = width, height
        self._stream = stream
        self._line = 0
        self._adler = 1
        self._last_line: Image.Image | None = None
        self._numbers = _numpy()
        self._limit = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sheet")
        self._waiting: deque[Future[bytes]] = deque()
        stream.write(_SIGNATURE)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        for key, value in (text or {}).items():
            body = key.encode("latin-1") + b"\0\0\0\0\0" + value.encode("utf-8")
            self._chunk(b"iTXt", body)
        self._chunk(b"IDAT", _ZLIB_HEADER)

    def __enter__(self) -> PngStream:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                if self._line != self.height:
                    raise ValueError(f"{self._line} lines of {self.height} were written")
                while self._waiting:
                    self._chunk(b"IDAT", self._waiting.popleft().result())
                end = zlib.compressobj(1, zlib.DEFLATED, -15).flush(zlib.Z_FINISH)
                self._chunk(b"IDAT", end + struct.pack(">I", self._adler))
                self._chunk(b"IEND", b"")
        finally:
            self._pool.shutdown(cancel_futures=True)

    def write(self, band: Image.Image) -> None:
        """Append the lines of `band`, an RGB picture of the stream's width."""
        if band.mode != "RGB" or band.width != self.width:
            raise ValueError(f"a band must be RGB and {self.width} wide, not {band.size}")
        self._line += band.height
        if self._line > self.height:
            raise ValueError(f"more than {self.height} lines")
        data = self._filtered(band) if self._numbers is None else self._filtered_at_once(band)
        self._last_line = band.crop((0, band.height - 1, self.width, band.height))
        self._adler = zlib.adler32(data, self._adler)
        self._waiting.append(self._pool.submit(_compress, data))
        while len(self._waiting) >= self._limit:
            self._chunk(b"IDAT", self._waiting.popleft().result())

    def _filtered(self, band: Image.Image) -> bytes:
        """Return the band's lines as differences, to the left or upwards: whichever is smaller."""
        middle = band.height // 2
        end = min(band.height, middle + _SAMPLE_LINES)
        sample = band.crop((0, middle, band.width, end))
        higher = band.crop((0, max(0, middle - 1), band.width, max(1, end - 1)))
        is_sub = _cost(_difference(sample, self._left_of(sample))) < _cost(
            _difference(sample, higher.resize(sample.size))
        )
        mark = _FILTER_SUB if is_sub else _FILTER_UP
        other = self._left_of(band) if is_sub else self._above(band)
        raw = memoryview(_difference(band, other).tobytes())
        stride = 3 * self.width
        lines: list[bytes | memoryview] = []
        for start in range(0, len(raw), stride):
            lines += (mark, raw[start : start + stride])
        return b"".join(lines)

    def _filtered_at_once(self, band: Image.Image) -> memoryview:
        """Do the same as `_filtered` with numpy, in a third of the time."""
        numpy = self._numbers
        pixels = numpy.asarray(band).reshape(band.height, 3 * self.width)
        made = numpy.empty((band.height, 3 * self.width + 1), dtype=numpy.uint8)
        middle = max(1, band.height // 2) if band.height > 1 else 0
        sample = pixels[middle : middle + _SAMPLE_LINES]
        higher = pixels[max(0, middle - 1) :][: len(sample)]
        sideways = (sample[:, 3:] - sample[:, :-3]).view(numpy.int8)
        upwards = (sample - higher).view(numpy.int8)
        if (
            numpy.abs(sideways.astype(numpy.int16)).sum()
            < numpy.abs(upwards.astype(numpy.int16)).sum()
        ):
            made[:, 0] = _FILTER_SUB[0]
            made[:, 1:4] = pixels[:, :3]
            numpy.subtract(pixels[:, 3:], pixels[:, :-3], out=made[:, 4:])
        else:
            made[:, 0] = _FILTER_UP[0]
            last = self._last_line
            above = numpy.asarray(last).reshape(3 * self.width) if last is not None else 0
            numpy.subtract(pixels[0], above, out=made[0, 1:], casting="unsafe")
            numpy.subtract(pixels[1:], pixels[:-1], out=made[1:, 1:])
        return memoryview(made).cast("B", (made.size,))

    def _left_of(self, band: Image.Image) -> Image.Image:
        from PIL import Image

        moved = Image.new("RGB", band.size)
        moved.paste(band, (1, 0))
        return moved

    def _above(self, band: Image.Image) -> Image.Image:
        from PIL import Image

        moved = Image.new("RGB", band.size)
        moved.paste(band, (0, 1))
        if self._last_line is not None:
            moved.paste(self._last_line, (0, 0))
        return moved

    def _chunk(self, kind: bytes, body: bytes) -> None:
        self._stream.write(struct.pack(">I", len(body)) + kind)
        self._stream.write(body)
        self._stream.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))


def _numpy() -> Any:
    """Return numpy, which every WebUI has, or None."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    from PIL import ImageChops

    return ImageChops.subtract_modulo(one, other)


def _cost(difference: Image.Image) -> int:
    """Return the sum of the differences' sizes: the usual guess at how well they compress."""
    counts = difference.histogram()
    return sum(count * min(value % 256, 256 - value % 256) for value, count in enumerate(counts))


def _compress(data: bytes | memoryview) -> bytes:
    # Run lengths and Huffman codes only: on differences twice as quick as a search for repeats,
    # and no larger.
    engine = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    return engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH)
