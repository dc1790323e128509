"""A picture as a tagger's input: on white, square, shrunk or enlarged, blue first.

`exact_pixels` gives bit for bit what sd-scripts' finetune/tag_images_by_wd14_tagger.py gives;
`quick_pixels` decodes JPEGs small and pads afterwards, at a third of the processor time or less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pictures import open_upright

if TYPE_CHECKING:
    from numpy import float32, uint8
    from numpy.typing import NDArray
    from PIL import Image

_DRAFT_TIMES = 1


def exact_pixels(path: Path, side: int) -> NDArray[float32]:
    """Return side x side x 3 numbers from 0 to 255 as sd-scripts has them. Raises DamagedError."""
    import numpy
    from PIL import Image

    picture = _on_white(open_upright(path))
    most = max(picture.size)
    if most >= side:
        return numpy.ascontiguousarray(shrink_areas(picture, side)[:, :, ::-1])
    square = _padded(picture, most).resize((side, side), Image.Resampling.LANCZOS)
    return numpy.ascontiguousarray(numpy.asarray(square)[:, :, ::-1], dtype=numpy.float32)


def quick_pixels(path: Path, side: int) -> NDArray[float32]:
    """Return nearly the same numbers, much sooner. Raises DamagedError."""
    import numpy
    from PIL import Image

    picture = _on_white(open_upright(path, side * _DRAFT_TIMES))
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if size != picture.size:
        way = Image.Resampling.BOX if scale < 1 else Image.Resampling.LANCZOS
        picture = picture.resize(size, way, reducing_gap=2.0 if scale < 1 else None)
    square = numpy.asarray(_padded(picture, side))
    return numpy.ascontiguousarray(square[:, :, ::-1], dtype=numpy.float32)


def _on_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    layer = picture.convert("RGBA")
    paper = Image.new("RGB", layer.size, (255, 255, 255))
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper


def _padded(picture: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    if picture.size == (side, side):
        return picture
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


_STRIP = 32
"""So many rows of the result are made at once: a strip of the picture stays in the cache."""


def shrink_areas(picture: Image.Image, side: int) -> NDArray[float32]:
    """Pad to a square on white and average areas, as cv2.resize(..., INTER_AREA) does.

    OpenCV weights and adds in 32 bits, along each row first. Here the rows of an area are added
    first, which is quicker, and what lies too near a half to be sure of is done in OpenCV's order.
    """
    import numpy

    square = _Square(picture, max(picture.size), side)
    areas = _areas_of(square.most, side)
    width = picture.width
    # a pixel of three numbers is one value here: numpy copies those four times sooner
    columns = numpy.empty((width, side), "V12")
    rows = numpy.empty((_STRIP, width * 3), numpy.float32)
    for first, begin, lines in square.strips(areas):
        part = areas[first : first + _STRIP]
        strip = rows[: len(part.starts)]
        _average(lines.reshape(len(lines), width * 3), begin, part, strip, 255)
        columns[:, first : first + _STRIP] = strip.view("V12").T
    found = numpy.empty((side, side * 3), numpy.float32)
    white = 255 * float(areas.weights[0].sum())
    _average(columns.view(numpy.float32), square.left, areas, found, white)
    if square.most % side == 0:
        found = _mean_of_whole(found, square.most // side)
        mean: NDArray[float32] = found.reshape(side, side, 3).transpose(1, 0, 2)
        return mean
    whole = numpy.rint(found)
    found -= whole
    doubt = _ERROR * (areas.weights.shape[1] + 5)
    unsure = numpy.abs(found, out=found) > 0.5 - doubt
    result: NDArray[float32] = whole.reshape(side, side, 3).transpose(1, 0, 2)
    places = numpy.nonzero(unsure.reshape(side, side, 3).transpose(1, 0, 2))
    if len(places[0]):
        result[places] = _average_in_order(square, areas, *places)
    return result


_ERROR = 4e-5
"""Four times what one step of the sum can be off in 32 bits, at 255."""


@dataclass(frozen=True)
class _Square:
    """A picture in the middle of a white square of `most` pixels."""

    picture: Image.Image
    most: int
    side: int

    @property
    def left(self) -> int:
        return (self.most - self.picture.width) // 2

    @property
    def top(self) -> int:
        return (self.most - self.picture.height) // 2

    def strips(self, areas: _Areas) -> Iterator[tuple[int, int, NDArray[uint8]]]:
        """Yield the first row of each strip of the result, and the picture's rows below it with
        their place in the square.
        """
        import numpy

        width, height = self.picture.size
        for first in range(0, self.side, _STRIP):
            part = areas[first : first + _STRIP]
            begin = min(max(part.starts[0] - self.top, 0), height)
            end = max(begin, min(part.starts[-1] + part.counts[-1] - self.top, height))
            lines = numpy.empty((0, width, 3), numpy.uint8)
            if begin < end:
                lines = numpy.asarray(self.picture.crop((0, begin, width, end)))
            yield first, begin + self.top, lines


@dataclass(frozen=True)
class _Areas:
    """For each place of the result: the first old place, how many there are, and their weights.

    Of one area all weights but the first and the last are the same.
    """

    starts: list[int]
    counts: list[int]
    weights: NDArray[float32]

    def __getitem__(self, some: slice) -> _Areas:
        return _Areas(self.starts[some], self.counts[some], self.weights[some])


def _areas_of(most: int, side: int) -> _Areas:
    """Return the areas as OpenCV's computeResizeAreaTab has them; sums for whole factors."""
    import numpy

    scale = most / side
    begin = numpy.arange(side) * scale
    if most % side == 0:
        ones = numpy.ones((side, most // side), numpy.float32)
        return _Areas(begin.astype(int).tolist(), [most // side] * side, ones)
    end = begin + scale
    width = numpy.minimum(scale, most - begin)
    last = numpy.minimum(numpy.floor(end), most - 1)
    first = numpy.minimum(numpy.ceil(begin), last)
    has_head, has_tail = first - begin > 1e-3, end - last > 1e-3
    starts = first - has_head
    counts = (last - starts + has_tail).astype(int)
    old = starts[:, None] + numpy.arange(counts.max())
    weights = numpy.where(old < last[:, None], (1.0 / width)[:, None], 0.0)
    head, tail = (first - begin) / width, numpy.minimum(numpy.minimum(end - last, 1), width) / width
    weights = numpy.where(old < first[:, None], head[:, None], weights)
    is_tail = (old == last[:, None]) & has_tail[:, None]
    weights = numpy.where(is_tail, tail[:, None], weights).astype(numpy.float32)
    return _Areas(starts.astype(int).tolist(), counts.tolist(), weights)


def _average(
    lines: NDArray[Any], begin: int, areas: _Areas, result: NDArray[float32], white: float
) -> None:
    """Add lines by their weights; before `begin` and after the last one all is `white`."""
    import numpy

    end = begin + len(lines)
    for place, (start, count) in enumerate(zip(areas.starts, areas.counts, strict=True)):
        low, high = max(start, begin), min(start + count, end)
        weights, row = areas.weights[place], result[place]
        if low >= high:
            row[:] = white * weights.sum()
            continue
        numpy.multiply(lines[low - begin], weights[low - start], out=row)
        if high - low > 1:
            row += lines[high - 1 - begin] * weights[high - 1 - start]
        if high - low > 2:
            inner = lines[low + 1 - begin : high - 1 - begin]
            is_short = lines.dtype == numpy.uint8 and len(inner) <= _MOST_IN_16_BITS
            kind = numpy.uint16 if is_short else numpy.float32
            row += numpy.add.reduce(inner, axis=0, dtype=kind) * weights[low + 1 - start]
        if high - low < count:
            row += white * (weights.sum() - weights[low - start : high - start].sum())


_MOST_IN_16_BITS = 65535 // 255


def _mean_of_whole(total: NDArray[float32], factor: int) -> NDArray[float32]:
    """Round means of whole factors as OpenCV does: two by two up at a half, others to even."""
    import numpy

    mean: NDArray[float32] = total * numpy.float32(1.0 / (factor * factor))
    return numpy.floor(mean + numpy.float32(0.5)) if factor == 2 else numpy.rint(mean)


def _average_in_order(
    square: _Square,
    areas: _Areas,
    rows: NDArray[Any],
    columns: NDArray[Any],
    bands: NDArray[Any],
) -> NDArray[float32]:
    """Return means at some places, ordered by row, each sum in 32 bits and in OpenCV's order."""
    import numpy

    most = areas.weights.shape[1]
    starts = numpy.array(areas.starts)
    old_rows = starts[rows][:, None] + numpy.arange(most)
    old_columns = starts[columns][:, None] + numpy.arange(most) - square.left
    in_width = (old_columns >= 0) & (old_columns < square.picture.width)
    areas_found = numpy.full((len(rows), most, most), 255, numpy.uint8)
    for first, begin, lines in square.strips(areas):
        here = slice(*numpy.searchsorted(rows, (first, first + _STRIP)))
        if here.start == here.stop or not len(lines):
            continue
        y = old_rows[here] - begin
        pixels = lines[
            numpy.clip(y, 0, len(lines) - 1)[:, :, None],
            numpy.clip(old_columns[here], 0, square.picture.width - 1)[:, None, :],
            bands[here][:, None, None],
        ]
        is_inside = ((y >= 0) & (y < len(lines)))[:, :, None] & in_width[here][:, None, :]
        areas_found[here] = numpy.where(is_inside, pixels, 255)
    across = numpy.zeros((len(rows), most), numpy.float32)
    for tap in range(most):
        across += areas_found[:, :, tap] * areas.weights[columns, tap][:, None]
    total = areas.weights[rows, 0] * across[:, 0]
    for tap in range(1, most):
        total += areas.weights[rows, tap] * across[:, tap]
    rounded: NDArray[float32] = numpy.clip(numpy.rint(total), 0, 255)
    return rounded
