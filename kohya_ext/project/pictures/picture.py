"""One picture file: size, orientation, and proof that every pixel of it decodes."""

from __future__ import annotations

import importlib
import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import DamagedError, ToolError
from ..files import require_folder, unreadable

if TYPE_CHECKING:
    from PIL import Image

TRAINER_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What sd-scripts reads, written all lower or all upper case; other files it skips silently."""

CAPTION_SUFFIXES = (".txt", ".caption", ".cap")
"""What caption files are called, whatever the setting says."""

CONVERTED_SUFFIXES = (
    ".gif",
    ".tif",
    ".tiff",
    ".jfif",
    ".jpe",
    ".mpo",
    ".ico",
    ".jp2",
    ".j2k",
    ".jpf",
    ".jpx",
    ".tga",
    ".pcx",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
)
"""What is taken in anyway and becomes a PNG when it is staged."""

PLUGIN_SUFFIXES = (".avif", ".heic", ".heif", ".hif", ".jxl", ".qoi")
"""Read, and made a PNG, where this Pillow or a plugin of it can: newer ones, pillow-heif ..."""

OTHER_SUFFIXES = (
    *(".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".sai", ".sai2", ".procreate", ".pdn"),
    *(".psp", ".pspimage", ".afphoto", ".af", ".ai", ".eps", ".svg", ".svgz", ".wmf", ".emf"),
    *(".dng", ".raw", ".crw", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".srw"),
    *(".orf", ".ori", ".rw2", ".rwl", ".raf", ".pef", ".iiq", ".3fr", ".fff", ".x3f", ".erf"),
    *(".mrw", ".mef", ".mos", ".dcr", ".kdc", ".gpr", ".exr", ".hdr", ".dds", ".icns", ".cur"),
    *(".jxr", ".wdp", ".hdp", ".bpg", ".j2c", ".jpc", ".jls", ".apng", ".heics", ".heifs"),
    *(".avifs", ".sgi", ".ras", ".xbm", ".xpm", ".fits"),
)
"""Pictures that are not read here: cameras' and paint programs' own; passed over, but named."""

PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""What a PNG can hold as it is."""

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
    def is_other_colour(self) -> bool:
        """Whether its colours are not red, green and blue: CMYK, Lab and such."""
        return not self.is_deep and self.mode not in PLAIN_MODES

    @property
    def is_deep(self) -> bool:
        """Whether it is grey of more than 8 bits; sd-scripts' `convert("RGB")` makes that white."""
        return _is_deep(self.mode)


def find_pictures(folder: Path) -> Iterator[Path]:
    """List the pictures in `folder` and below, in a stable order; hidden files do not count.

    Raises MissingError or MachineError for the folder, MachineError also for one below it.
    """
    require_folder(folder)
    return _walk(folder, _is_read)


_BEGINNINGS = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def looks_like_a_picture(path: Path) -> bool:
    """Tell by its first bytes whether a file can be a picture; an empty one may become one."""
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return False
    return not start or start.startswith(_BEGINNINGS) or start[4:8] in (b"ftyp", b"jP  ", b"JXL ")


def find_other_pictures(folder: Path) -> Iterator[Path]:
    """List the pictures of kinds that are not read, as `find_pictures` lists the others."""
    return _walk(folder, lambda suffix: suffix in _KNOWN and not _is_read(suffix))


_READ = frozenset(TRAINER_SUFFIXES + CONVERTED_SUFFIXES)
_KNOWN = frozenset(PLUGIN_SUFFIXES + OTHER_SUFFIXES)


def can_read(suffix: str) -> bool:
    """Tell whether pictures with this suffix (".heic") are read here, with plugins or without."""
    return _is_read(suffix.lower())


def _is_read(suffix: str) -> bool:
    return suffix in _READ or (suffix in PLUGIN_SUFFIXES and suffix in _plugin_suffixes())


@lru_cache(maxsize=1)
def _plugin_suffixes() -> frozenset[str]:
    """Load Pillow's plugins, once; return the suffixes that can be opened with them."""
    from PIL import Image, features

    for name in ("pillow_heif", "pillow_jxl"):
        with suppress(ImportError, OSError):  # not installed, or not for this machine
            plugin = importlib.import_module(name)
            if name == "pillow_heif":
                plugin.register_heif_opener()
    known = Image.registered_extensions()
    opened = frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN)
    # a Pillow built without it registers the suffix anyway
    has_avif = known.get(".avif") != "AVIF" or features.check("avif")
    return opened if has_avif else opened - {".avif"}


def _walk(folder: Path, is_wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Follow linked folders, too, each folder once: pictures behind a link would be left out."""
    seen: set[Path] = set()
    for here, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        real = Path(here).resolve()
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(here)
        for name in sorted(files):
            end = name.rpartition(".")[2]
            if not name.startswith(".") and end != name and is_wanted(f".{end.lower()}"):
                yield place / name


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be listed: its pictures would be left out unseen."""
    raise unreadable(f"The folder {error.filename}", error) from error


def read_picture(path: Path) -> PictureInfo:
    """Decode a picture completely and return what it is.

    Raises DamagedError (when it is empty, cut short, too large or no picture at all) or
    MachineError (when the file cannot be read).
    """
    with _opened(path) as picture:
        _decode(picture, path)
        orientation = _orientation(picture)
        size = (picture.width, picture.height)
        kind = picture.format or ""
        return PictureInfo(path, *size, kind, orientation, picture.mode, _is_transparent(picture))


def open_upright(path: Path, least: int = 0) -> Image.Image:
    """Return the decoded picture the right way up, 8 bits deep, grey or red, green and blue.

    A JPEG whose longer side is above `least` pixels may be decoded smaller, down to that, which
    takes a fraction of the time. Raises DamagedError.
    """
    from PIL import ImageOps

    with _opened(path) as picture:
        if least and picture.format in ("JPEG", "MPO") and picture.mode in ("RGB", "L"):
            scale = least / max(picture.size)
            wanted = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
            picture.draft(None, wanted)
        _decode(picture, path)
        is_turned = _orientation(picture) != 1  # or else: a copy of it all
        return _plain(ImageOps.exif_transpose(picture) if is_turned else picture, path)


_STUMBLES = (
    OSError, ValueError, TypeError, AttributeError, SyntaxError, LookupError, ArithmeticError,
    RuntimeError, struct.error,
)  # fmt: skip
"""What Pillow raises over damaged EXIF."""


def _orientation(picture: Image.Image) -> int:
    """Return how a picture is turned; damaged EXIF says nothing, as to other programs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(picture.getexif().get(_ORIENTATION, 1))
    except _STUMBLES:
        return 1


def _plain(upright: Image.Image, path: Path) -> Image.Image:
    """Return a picture 8 bits deep, in colours that a PNG can hold."""
    if _is_deep(upright.mode):
        # Scale by the range that its values are of: up to 1 (only floats), 255 or 65535.
        values = upright.convert("F")
        _, brightest = cast("tuple[float, float]", values.getextrema())
        limits = (1, 255, 65535) if upright.mode == "F" else (65535,)
        limit = next((one for one in limits if brightest <= one), brightest)
        return values.point(lambda value: value * (255 / limit)).convert("L")
    if upright.mode in PLAIN_MODES:
        # a JPEG has no further frames that would need its file; the others are the smaller ones
        return upright if upright.format == "JPEG" else upright.copy()
    try:
        return _as_rgb(upright)
    except (OSError, ValueError) as error:
        raise _broken(path, f"its colours ({upright.mode}) cannot be converted") from error


def _as_rgb(picture: Image.Image) -> Image.Image:
    """Convert CMYK, Lab and others; by the colour profile in the picture where it has a good one.

    Pillow itself converts no Lab.
    """
    if picture.mode in ("PA", "La", "RGBa"):
        return picture.convert("RGBA")
    profile = picture.info.get("icc_profile")
    if picture.mode in ("CMYK", "LAB"):
        from PIL import ImageCms

        wanted = ImageCms.createProfile("sRGB")
        if picture.mode == "CMYK" and profile:
            with suppress(ImageCms.PyCMSError, OSError):
                source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
                found = ImageCms.profileToProfile(picture, source, wanted, outputMode="RGB")
                return cast("Image.Image", found)
        if picture.mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            way = ImageCms.buildTransform(lab, wanted, "LAB", "RGB")
            return cast("Image.Image", ImageCms.applyTransform(picture, way))
    return picture.convert("RGB")


def _is_transparent(picture: Image.Image) -> bool:
    if "transparency" in picture.info and "A" not in picture.getbands():
        picture = picture.convert("RGBA")
    if "A" not in picture.getbands():
        return False
    darkest, _ = cast("tuple[float, float]", picture.getchannel("A").getextrema())
    return darkest < 255


def _is_deep(mode: str) -> bool:
    return mode == "F" or mode.startswith("I")


def _opened(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of many pixels
            picture = _open_by_content(path)
    except Image.DecompressionBombError as error:
        raise _broken(path, "it has too many pixels") from error
    except UnidentifiedImageError as error:
        why = "the file is empty" if not path.stat().st_size else "it is not a picture"
        raise _broken(path, why) from error
    except Exception as error:  # a plugin raises what its own library raises
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's own have no number
            raise unreadable(f"The picture {path}", error) from error
        raise _broken(path, _first_line(error)) from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise _broken(path, f"{picture.width} x {picture.height} pixels are too many")
    return picture


def _open_by_content(path: Path) -> Image.Image:
    """Open a picture whatever its suffix says: phones name their HEIC files .jpg at times."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except UnidentifiedImageError:
        _plugin_suffixes()  # loads the plugins
        return Image.open(path)


def _decode(picture: Image.Image, path: Path) -> None:
    try:
        picture.load()
    except Exception as error:  # as above
        raise _broken(path, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0].rstrip(" .") if lines else type(error).__name__


def _broken(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL202",
        f"The picture {path} cannot be decoded: {why}.",
        "Get the picture again from its source, or remove it from the folder.",
    )
