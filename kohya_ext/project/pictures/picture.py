"""One picture file: size, orientation, and proof that every pixel of it decodes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ToolError
from ..files import require_folder

if TYPE_CHECKING:
    from PIL import Image

TRAINER_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What sd-scripts reads, written all lower or all upper case; other files it skips silently."""

CONVERTED_SUFFIXES = (".gif", ".tif", ".tiff")
"""What is taken in all the same and becomes a PNG when it is staged."""

_ORIENTATION = 0x0112
MAX_PIXELS = 300_000_000
"""Larger pictures are refused: decoding one would need gigabytes."""


@dataclass(frozen=True)
class PictureInfo:
    """What one file holds; width and height in pixels as stored, before EXIF orientation."""

    path: Path
    width: int
    height: int
    format: str
    orientation: int

    @property
    def is_upright(self) -> bool:
        """Whether the stored pixels are the right way up; sd-scripts ignores the orientation."""
        return self.orientation in (0, 1)


def find_pictures(folder: Path) -> Iterator[Path]:
    """List the pictures in `folder` and below, in a stable order; hidden files do not count.

    Raises ToolError LL103 or LL104 for the folder, LL104 also for one below it.
    """
    require_folder(folder)
    for here, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in TRAINER_SUFFIXES + CONVERTED_SUFFIXES:
                yield Path(here) / name


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be listed: its pictures would be left out unseen."""
    raise ToolError(
        "LL104",
        f"The folder {error.filename} cannot be read: {error.strerror}.",
        "Check its permissions.",
    ) from error


def read_picture(path: Path) -> PictureInfo:
    """Decode a picture completely and return what it is.

    Raises ToolError LL202 when it is empty, cut short, too large or no picture at all, LL104 when
    the file cannot be read.
    """
    with _opened(path) as picture:
        _decode(picture, path)
        orientation = int(picture.getexif().get(_ORIENTATION, 1))
        return PictureInfo(path, picture.width, picture.height, picture.format or "", orientation)


def open_upright(path: Path) -> Image.Image:
    """Return the decoded picture the right way up. Raises ToolError LL202."""
    from PIL import ImageOps

    with _opened(path) as picture:
        _decode(picture, path)
        return ImageOps.exif_transpose(picture).copy()


def _opened(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except Image.DecompressionBombError as error:
        raise _broken(path, "it has too many pixels") from error
    except UnidentifiedImageError as error:
        why = "the file is empty" if not path.stat().st_size else "it is no picture"
        raise _broken(path, why) from error
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's own have no number
            raise _unreadable(path, error) from error
        raise _broken(path, str(error)) from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise _broken(path, f"{picture.width} x {picture.height} pixels are too many")
    return picture


def _decode(picture: Image.Image, path: Path) -> None:
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        raise _broken(path, str(error)) from error


def _unreadable(path: Path, error: OSError) -> ToolError:
    return ToolError(
        "LL104",
        f"The picture {path} cannot be read: {error.strerror}.",
        "Check its permissions, and that no other program holds it.",
    )


def _broken(path: Path, why: str) -> ToolError:
    return ToolError(
        "LL202",
        f"The picture {path} cannot be decoded: {why}.",
        "Get the picture again from where it came, or take it out of the folder.",
    )
