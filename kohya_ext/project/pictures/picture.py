"""One picture file: size, orientation, and proof that every pixel of it decodes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import DamagedError, MachineError, ToolError
from ..files import require_folder

if TYPE_CHECKING:
    from PIL import Image

TRAINER_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What sd-scripts reads, written all lower or all upper case; other files it skips silently."""

CONVERTED_SUFFIXES = (".gif", ".tif", ".tiff", ".jfif")
"""What is taken in all the same and becomes a PNG when it is staged."""

OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".jxl", ".psd", ".dng", ".cr2", ".nef", ".arw")
"""Pictures that are not read here: phones' and cameras' own; passed over, but not in silence."""

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
    mode: str = "RGB"
    is_transparent: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether the stored pixels are the right way up; sd-scripts ignores the orientation."""
        return self.orientation in (0, 1)

    @property
    def is_deep(self) -> bool:
        """Whether it is grey of more than 8 bits; sd-scripts' `convert("RGB")` makes that white."""
        return _is_deep(self.mode)


def find_pictures(folder: Path) -> Iterator[Path]:
    """List the pictures in `folder` and below, in a stable order; hidden files do not count.

    Raises MissingError or MachineError for the folder, MachineError also for one below it.
    """
    require_folder(folder)
    return _walk(folder, TRAINER_SUFFIXES + CONVERTED_SUFFIXES)


def find_other_pictures(folder: Path) -> Iterator[Path]:
    """List the pictures of kinds that are not read, as `find_pictures` lists the others."""
    return _walk(folder, OTHER_SUFFIXES)


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Follow linked folders, too, each folder once: pictures behind a link would be left out."""
    seen: set[Path] = set()
    for here, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        real = Path(here).resolve()
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(here) / name


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be listed: its pictures would be left out unseen."""
    raise MachineError(
        "LL104",
        f"The folder {error.filename} cannot be read: {error.strerror}.",
        "Check its permissions.",
    ) from error


def read_picture(path: Path) -> PictureInfo:
    """Decode a picture completely and return what it is.

    Raises DamagedError (when it is empty, cut short, too large or no picture at all) or
    MachineError (when the file cannot be read).
    """
    with _opened(path) as picture:
        _decode(picture, path)
        orientation = int(picture.getexif().get(_ORIENTATION, 1))
        size = (picture.width, picture.height)
        kind = picture.format or ""
        return PictureInfo(path, *size, kind, orientation, picture.mode, _is_transparent(picture))


def open_upright(path: Path) -> Image.Image:
    """Return the decoded picture the right way up, deep grey as 8 bits. Raises DamagedError."""
    from PIL import ImageOps

    with _opened(path) as picture:
        _decode(picture, path)
        upright = ImageOps.exif_transpose(picture)
        return _as_8_bits(upright) if _is_deep(upright.mode) else upright.copy()


def _is_transparent(picture: Image.Image) -> bool:
    if "transparency" in picture.info and "A" not in picture.getbands():
        picture = picture.convert("RGBA")
    if "A" not in picture.getbands():
        return False
    darkest, _ = cast("tuple[float, float]", picture.getchannel("A").getextrema())
    return darkest < 255


def _is_deep(mode: str) -> bool:
    return mode == "F" or mode.startswith("I")


def _as_8_bits(picture: Image.Image) -> Image.Image:
    """Scale by the range that its values are of: up to 1 (only floats), 255 or 65535."""
    values = picture.convert("F")
    _, brightest = cast("tuple[float, float]", values.getextrema())
    limits = (1, 255, 65535) if picture.mode == "F" else (65535,)
    limit = next((one for one in limits if brightest <= one), brightest)
    return values.point(lambda value: value * (255 / limit)).convert("L")


def _opened(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path)
    except Image.DecompressionBombError as error:
        raise _broken(path, "it has too many pixels") from error
    except UnidentifiedImageError as error:
        why = "the file is empty" if not path.stat().st_size else "it is not a picture"
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
    return MachineError(
        "LL104",
        f"The picture {path} cannot be read: {error.strerror}.",
        "Check its permissions, and that no other program holds it.",
    )


def _broken(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL202",
        f"The picture {path} cannot be decoded: {why}.",
        "Get the picture again from where it came, or take it out of the folder.",
    )
