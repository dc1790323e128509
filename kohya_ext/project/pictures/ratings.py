"""The rating that a person gave a picture in a viewer: in the file, or in a sidecar beside it.

Read from XMP (xmp:Rating, acdsee:rating, MicrosoftPhoto:Rating), EXIF (Rating, RatingPercent),
NAME.xmp, NAME.EXT.xmp and Geeqie's NAME.EXT.gq.xmp; written to XMP, and to the others where they
are there already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from ..errors import DamagedError
from ..files import replacing, unreadable, write_bytes_atomic
from ..home import home_folder
from ..json_reader import read_bounded, read_picture_bytes
from ..limits import limits
from .metadata import kind_of, read_metadata, set_exif_number, with_xmp
from .tiff_tags import RATING, RATING_PERCENT, TiffTags
from .xmp import find_rating, new_packet, percent_of_rating, rating_of_percent, with_rating

RATINGS = range(-1, 6)
"""-1 is "rejected", 0 is "not rated", 1 to 5 are stars."""


@dataclass(frozen=True)
class FileRating:
    """A rating, the file that says it, and when that file was changed last."""

    rating: int
    path: Path
    changed_at: datetime


def sidecars_of(picture: Path) -> tuple[Path, Path]:
    """Return where a picture's sidecars would lie: NAME.EXT.xmp, then NAME.xmp."""
    return picture.with_name(picture.name + ".xmp"), picture.with_suffix(".xmp")


def _kept_by_viewers(picture: Path) -> tuple[Path, ...]:
    """Return where Geeqie keeps what it does not write into a picture, beside it or elsewhere."""
    folders = _geeqies_folders(picture.parent, os.environ.get("XDG_DATA_HOME", ""))
    return tuple(folder / f"{picture.name}.gq.xmp" for folder in folders)


@lru_cache(maxsize=1024)
def _geeqies_folders(folder: Path, data: str) -> tuple[Path, Path]:
    home = Path(data) if data else home_folder() / ".local" / "share"
    whole = folder.absolute()
    return folder / ".metadata", home / "geeqie" / "metadata" / whole.relative_to(whole.anchor)


def read_rating(picture: Path) -> FileRating | None:
    """Return the newest rating in a picture or beside it; None where there is none.

    A file that is damaged or cannot be read says nothing.
    """
    beside = map(_read_sidecar, (*sidecars_of(picture), *_kept_by_viewers(picture)))
    found = [one for one in (*beside, _read_own(picture)) if one]
    return max(found, key=lambda one: one.changed_at, default=None)


def read_ratings(pictures: Mapping[str, Path]) -> dict[str, FileRating | None]:
    """Return the rating of each picture by its key."""
    return {key: read_rating(path) for key, path in pictures.items()}


def _read_sidecar(path: Path) -> FileRating | None:
    try:
        if not path.is_file():
            return None
        return _found(find_rating(read_bounded(path, limits().text_bytes)), path)
    except OSError:
        return None


def _read_own(picture: Path) -> FileRating | None:
    try:
        found = read_metadata(picture)
        rating = find_rating(found.xmp) if found.xmp else None
        if rating is None and found.exif:
            rating = _exif_rating(found.exif)
        return _found(rating, picture)
    except (OSError, ValueError):
        return None


def _exif_rating(exif: bytes) -> int | None:
    tags = TiffTags(exif)
    rating = tags.find_number(RATING)
    if rating is not None and rating in RATINGS:
        return rating
    percent = tags.find_number(RATING_PERCENT)
    return None if percent is None or percent > 100 else rating_of_percent(percent)


def _found(rating: int | None, path: Path) -> FileRating | None:
    if rating is None:
        return None
    status = path.stat()
    # a viewer may set the time of the file back, but not that of its entry on the disk
    seconds = max(status.st_mtime, status.st_ctime)
    return FileRating(rating, path, datetime.fromtimestamp(seconds, timezone.utc))


def write_rating(picture: Path, rating: int) -> tuple[Path, ...]:
    """Write a rating where viewers look for it; return the files that changed.

    Into the picture itself, else into a sidecar; a sidecar that is there already is changed, too.
    Pixels and all other metadata stay. Raises DamagedError (cannot be changed safely) or
    MachineError.
    """
    if rating not in RATINGS:
        raise ValueError(f"{rating} is not a rating from -1 to 5")
    changed = []
    places = (*sidecars_of(picture), *_kept_by_viewers(picture))
    present = [path for path in places if path.is_file()]
    try:
        content = read_picture_bytes(picture)
        if kind_of(content):
            own = _read_own(picture)
            if own is None or own.rating != rating:
                _write(picture, _rated(picture, content, rating))
                changed.append(picture)
        elif not present:
            write_bytes_atomic(sidecars_of(picture)[0], new_packet(rating))
            changed.append(sidecars_of(picture)[0])
        for sidecar in present:
            packet = read_bounded(sidecar, limits().text_bytes)
            if find_rating(packet) != rating:
                _write(sidecar, with_rating(packet, rating))
                changed.append(sidecar)
    except ValueError as error:
        raise DamagedError(
            "LL209",
            f"A rating cannot be written into {picture}: {error}.",
            "Rate it in your picture viewer; loraloom keeps the decision in reviews.db.",
        ) from error
    except OSError as error:
        raise unreadable(picture, error) from error
    return tuple(changed)


def _rated(picture: Path, content: bytes, rating: int) -> bytes | bytearray:
    found = read_metadata(picture)
    packet = with_rating(found.xmp, rating) if found.xmp else new_packet(rating)
    made = with_xmp(content, packet)
    if found.exif:
        set_exif_number(made, RATING, rating)
        set_exif_number(made, RATING_PERCENT, percent_of_rating(rating))
    return made


def _write(path: Path, content: bytes | bytearray) -> None:
    """Replace a file, keeping its permissions."""
    mode = path.stat().st_mode & 0o777
    with replacing(path) as stream:
        stream.write(content)
        stream.flush()
    path.chmod(mode)
