"""A picture as a tagger's input: on white, square, shrunk or enlarged, blue first.

`exact_pixels` gives bit for bit what sd-scripts' finetune/tag_images_by_wd14_tagger.py gives;
`quick_pixels` decodes JPEGs small and pads afterwards, at a third of the processor time or less.
"""

from __future__ import annotations

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
        area = _shrink(numpy.asarray(picture), most, side)
        return numpy.ascontiguousarray(area[:, :, ::-1], dtype=numpy.float32)
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
        return picture.convert("RGB")
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


def _shrink(pixels: NDArray[uint8], most: int, side: int) -> Any:
    """Pad to a square of `most` and average areas, as cv2.resize(..., INTER_AREA) does."""
    try:
        import cv2
    except ImportError:
        return shrink_areas(pixels, most, side)
    rows, columns = most - pixels.shape[0], most - pixels.shape[1]
    top, left = rows // 2, columns // 2
    square = cv2.copyMakeBorder(
        pixels, top, rows - top, left, columns - left, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)


def shrink_areas(pixels: NDArray[uint8], most: int, side: int) -> NDArray[uint8]:
    """Average areas with numpy alone, each sum in OpenCV's order and in 32 bits.

    OpenCV, modules/imgproc/src/resize.cpp: whole factors are summed as integers, others weighted
    in float32, first along a row, then down the columns; halves are rounded to even.
    """
    import numpy

    if most == side:
        return _rows_of(pixels, most, 0, most)
    if most % side == 0:
        return _shrink_whole(pixels, most, most // side)
    taps = _taps(most, side)
    starts = [start for start, _ in taps]
    weights = numpy.zeros((max(len(row) for _, row in taps), side), numpy.float32)
    for place, (_, row) in enumerate(taps):
        weights[: len(row), place] = row
    columns = numpy.array(starts)
    result = numpy.empty((side, side, 3), numpy.uint8)
    for place, (start, row) in enumerate(taps):
        band = _rows_of(pixels, most, start, start + len(row))
        across = numpy.zeros((len(row), side, 3), numpy.float32)
        for tap in range(len(weights)):
            at = numpy.minimum(columns + tap, most - 1)
            across += band[:, at, :].astype(numpy.float32) * weights[tap][None, :, None]
        total = row[0] * across[0]
        for number in range(1, len(row)):
            total = total + row[number] * across[number]
        result[place] = numpy.clip(numpy.rint(total), 0, 255)
    return result


def _rows_of(pixels: NDArray[uint8], most: int, first: int, end: int) -> NDArray[uint8]:
    """Return some rows of the padded square, without making the whole of it."""
    import numpy

    height, width = pixels.shape[:2]
    top, left = (most - height) // 2, (most - width) // 2
    band = numpy.full((end - first, most, 3), 255, numpy.uint8)
    low, high = max(first, top), min(end, top + height)
    if low < high:
        band[low - first : high - first, left : left + width] = pixels[low - top : high - top]
    return band


def _shrink_whole(pixels: NDArray[uint8], most: int, factor: int) -> NDArray[uint8]:
    import numpy

    side = most // factor
    result = numpy.empty((side, side, 3), numpy.uint8)
    for place in range(side):
        band = _rows_of(pixels, most, place * factor, (place + 1) * factor).astype(numpy.int64)
        total = band.reshape(factor, side, factor, 3).sum(axis=(0, 2))
        if factor == 2:
            result[place] = (total + 2) >> 2
        else:
            scale = numpy.float32(1.0 / (factor * factor))
            result[place] = numpy.clip(numpy.rint(total.astype(numpy.float32) * scale), 0, 255)
    return result


def _taps(most: int, side: int) -> list[tuple[int, list[float32]]]:
    """Return for each new place the first old one and the weights, as computeResizeAreaTab does."""
    import numpy

    scale = most / side
    found = []
    for place in range(side):
        begin, end = place * scale, (place + 1) * scale
        width = min(scale, most - begin)
        first, last = min(-int(-begin // 1), most - 1), min(int(end), most - 1)
        first = min(first, last)
        weights: list[tuple[int, float]] = []
        if first - begin > 1e-3:
            weights.append((first - 1, (first - begin) / width))
        weights += [(old, 1.0 / width) for old in range(first, last)]
        if end - last > 1e-3:
            weights.append((last, min(min(end - last, 1.0), width) / width))
        found.append((weights[0][0], [numpy.float32(weight) for _, weight in weights]))
    return found
