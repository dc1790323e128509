"""What is worth knowing of a picture besides its pixels: size, sharpness, and a small grey one.

Made of one decode; the small picture is what near-duplicates are found by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SMALL_SIDE = 96
_SHARPNESS_SIDE = 512
_LAPLACIAN = (0, -1, 0, -1, 4, -1, 0, -1, 0)


@dataclass(frozen=True)
class PictureFacts:
    """Upright size in pixels; sharpness from 0 up (below about 5 is blurred); `small` is grey."""

    width: int
    height: int
    sharpness: float
    small_width: int
    small_height: int
    small: bytes

    @property
    def pixels(self) -> int:
        """How many pixels the picture has."""
        return self.width * self.height


def facts_of(picture: Image.Image, size: tuple[int, int] | None = None) -> PictureFacts:
    """Return the facts of an upright picture; `size` is the true one where it was decoded small."""
    from PIL import Image

    width, height = size or picture.size
    grey = _on_white(picture).convert("L")
    middle = _shrunk(grey, _SHARPNESS_SIDE)
    small = _shrunk(middle, SMALL_SIDE)
    if max(small.size) < SMALL_SIDE:
        scale = SMALL_SIDE / max(small.size)
        wanted = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
        small = small.resize(wanted, Image.Resampling.BILINEAR)
    return PictureFacts(width, height, _sharpness(middle), *small.size, small.tobytes())


def _on_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture
    layer = picture.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    paper.alpha_composite(layer)
    return paper


def _shrunk(picture: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    if max(picture.size) <= side:
        return picture
    scale = side / max(picture.size)
    wanted = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(wanted, Image.Resampling.BOX, reducing_gap=2.0)


def _sharpness(grey: Image.Image) -> float:
    """Return how strong the edges are at 512 pixels: the spread of a Laplacian filter."""
    from PIL import ImageFilter, ImageStat

    if min(grey.size) < 3:
        return 0.0
    edges = grey.filter(ImageFilter.Kernel((3, 3), _LAPLACIAN, scale=1, offset=128))
    edges = edges.crop((1, 1, edges.width - 1, edges.height - 1))  # Pillow filters no border
    return round(float(ImageStat.Stat(edges).stddev[0]), 2)
