"""Small pictures for screens: thumbnails are made once and kept in cache/thumbs.

They may be deleted at any time. Named by the picture's key, so that they never grow old.
"""

from __future__ import annotations

import io
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ToolError
from ..files import write_bytes_atomic
from ..json_reader import read_bounded
from ..limits import limits
from .picture import open_upright

if TYPE_CHECKING:
    from PIL import Image

THUMBNAIL_SIDE = 320
LARGE_SIDE = 1600
_KEPT_LARGE = 48


def thumbnail_path(folder: Path, key: str) -> Path:
    """Return where a picture's thumbnail lies."""
    return folder / key[:2] / f"{key}.jpg"


def read_thumbnail(folder: Path, key: str, picture: Path) -> bytes:
    """Return a thumbnail as JPEG, made when it is not there. Raises DamagedError."""
    path = thumbnail_path(folder, key)
    with suppress(OSError):
        return read_bounded(path, limits().text_bytes)
    return keep_thumbnail(folder, key, _decoded(picture, THUMBNAIL_SIDE))


def keep_thumbnail(folder: Path, key: str, upright: Image.Image) -> bytes:
    """Make a thumbnail of an upright picture, keep it where the disk allows, and return it."""
    content = _jpeg(upright, THUMBNAIL_SIDE, quality=82)
    with suppress(ToolError):  # a full disk: it is shown anyway
        write_bytes_atomic(thumbnail_path(folder, key), content)
    return content


@lru_cache(maxsize=_KEPT_LARGE)
def large_picture(picture: Path, key: str) -> bytes:
    """Return a picture as a JPEG of screen size; the newest ones are kept. Raises DamagedError."""
    return _jpeg(_decoded(picture, LARGE_SIDE), LARGE_SIDE, quality=88)


def _decoded(picture: Path, side: int) -> Image.Image:
    """Decode a JPEG no larger than needed, which takes a fraction of the time."""
    from PIL import Image, ImageOps

    try:
        with Image.open(picture) as opened:
            if opened.format == "JPEG" and opened.mode in ("RGB", "L"):
                opened.draft("RGB", (side * 2, side * 2))
                return ImageOps.exif_transpose(opened).copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass  # open_upright says what is wrong
    return open_upright(picture)


def _jpeg(upright: Image.Image, side: int, *, quality: int) -> bytes:
    from PIL import Image

    shown = upright
    if "A" in shown.getbands() or "transparency" in shown.info:
        layer = shown.convert("RGBA")
        shown = Image.new("RGBA", layer.size, "white")
        shown.alpha_composite(layer)
    shown = shown.convert("RGB")
    shown.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = io.BytesIO()
    shown.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
