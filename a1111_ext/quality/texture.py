"""The texture of one picture: what frying changes, and what brightness and blur leave alone.

Laplacian variance and high-frequency share are relative to the picture's own contrast, so that
neither a brighter nor a more contrasty picture counts as fried by them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_LARGEST_SIDE = 1024
_SATURATED = 0.9
_DARKEST, _LIGHTEST = 3, 252
_FINE = 0.25
"""Frequencies from here on count as high, in cycles per pixel: half of the largest."""


@dataclass(frozen=True)
class Texture:
    """Four figures of a picture, none negative.

    `laplacian` and `fine` are shares of the contrast; `saturated` and `clipped` shares of pixels.
    """

    laplacian: float
    fine: float
    saturated: float
    clipped: float

    def as_dict(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return asdict(self)


FIGURES = ("laplacian", "fine", "saturated", "clipped")


def texture_of(picture: Image.Image) -> Texture:
    """Measure an RGB picture; a side above 1024 pixels is cut to its middle, never resized."""
    import numpy

    pixels = numpy.asarray(_middle(picture), dtype=numpy.uint8)
    red, green, blue = (pixels[:, :, band] for band in range(3))  # quicker than max(axis=2)
    top = numpy.maximum(numpy.maximum(red, green), blue)
    low = numpy.minimum(numpy.minimum(red, green), blue)
    # saturation as HSV has it, (max - min) / max; black has none
    saturated = (top.astype(numpy.uint16) - low) * 10 > top.astype(numpy.uint16) * round(
        10 * _SATURATED
    )
    lost = (top >= _LIGHTEST) | (low <= _DARKEST)
    grey = pixels @ numpy.asarray((0.299, 0.587, 0.114), dtype=numpy.float32)
    variance = float(grey.var()) or 1.0
    return Texture(
        laplacian=float(_laplacian(grey).var()) / variance,
        fine=_fine_share(grey),
        saturated=float(saturated[top > 16].mean()) if (top > 16).any() else 0.0,
        clipped=float(lost.mean()),
    )


def _middle(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    wide, high = min(width, _LARGEST_SIDE), min(height, _LARGEST_SIDE)
    left, top = (width - wide) // 2, (height - high) // 2
    return picture.crop((left, top, left + wide, top + high))


def _laplacian(grey: Any) -> Any:
    """Return the four neighbours minus four times the middle, without the outermost pixels."""
    middle = grey[1:-1, 1:-1]
    return grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle


_TILE = 256


def _fine_share(grey: Any) -> float:
    """Return the share of the contrast in high frequencies, over tiles with soft edges."""
    import numpy

    window = numpy.hanning(_TILE).astype(numpy.float32)
    window = window[:, None] * window[None, :]
    down = numpy.fft.fftfreq(_TILE)[:, None]
    across = numpy.fft.rfftfreq(_TILE)[None, :]
    high = numpy.hypot(down, across) >= _FINE
    fine = total = 0.0
    for tile in _tiles(grey):
        wide = numpy.zeros((_TILE, _TILE), dtype=numpy.float32)
        wide[: tile.shape[0], : tile.shape[1]] = tile - tile.mean()
        power = numpy.abs(numpy.fft.rfft2(wide * window)) ** 2
        power[:, 1:-1] *= 2  # the half that rfft2 leaves out
        power[0, 0] = 0
        fine += float(power[high].sum())
        total += float(power.sum())
    return fine / total if total else 0.0


def _tiles(grey: Any) -> list[Any]:
    high, wide = grey.shape
    return [
        grey[top : top + _TILE, left : left + _TILE]
        for top in range(0, max(1, high - _TILE + 1), _TILE)
        for left in range(0, max(1, wide - _TILE + 1), _TILE)
    ]
