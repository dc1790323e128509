"""The training folders as sd-scripts reads them: what it takes, what it skips silently, and why.

Only reading and naming happen here; what follows from it is `preflight`'s to say.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from ...project import Progress, ProgressHandler, ToolError, silent, user_folder
from ...project.files import write_json_atomic
from ...project.json_reader import read_bounded, read_json, read_picture_bytes
from ...project.limits import limits
from ...project.pictures import CAPTION_SUFFIXES, TRAINER_SUFFIXES, read_picture
from ...project.pictures.picture import CONVERTED_SUFFIXES

_TAKEN = frozenset(TRAINER_SUFFIXES) | {one.upper() for one in TRAINER_SUFFIXES}
_CACHE_FORMAT = 1


class Skip(str, Enum):
    """Why sd-scripts passes a folder over, saying nothing that names it."""

    NO_NUMBER = "no number in front"
    NO_UNDERSCORE = "no underscore after the number"
    ZERO = "repeats 0"
    NO_PICTURES = "no pictures"
    NESTED = "pictures only in a folder inside"


@dataclass(frozen=True)
class TrainingFolder:
    """One folder that is trained: repeats and class tokens out of its name."""

    path: Path
    repeats: int
    class_tokens: str
    pictures: tuple[Path, ...]


@dataclass(frozen=True)
class FolderReading:
    """All of one train_data_dir: what is trained, what is skipped, loose and unread pictures."""

    root: Path
    folders: tuple[TrainingFolder, ...]
    skipped: tuple[tuple[Path, Skip], ...]
    loose: tuple[Path, ...]
    unread: tuple[Path, ...]

    @property
    def pictures(self) -> tuple[Path, ...]:
        return tuple(path for folder in self.folders for path in folder.pictures)

    @property
    def draws(self) -> int:
        """Pictures times repeats, as the GUI counts them."""
        return sum(folder.repeats * len(folder.pictures) for folder in self.folders)


def is_taken(path: Path) -> bool:
    """Tell whether sd-scripts reads this file as a picture: suffix all lower or all upper."""
    return path.suffix in _TAKEN


def read_folders(root: Path) -> FolderReading:
    """Read the direct sub-folders of `root` as sd-scripts does. Raises nothing for bad names."""
    folders: list[TrainingFolder] = []
    skipped: list[tuple[Path, Skip]] = []
    loose: list[Path] = []
    unread: list[Path] = []
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            loose += [path] if is_taken(path) else []
            continue
        pictures, others = pictures_in(path)
        unread += others
        if skip := _why_skipped(path, pictures):
            skipped.append((path, skip))
            continue
        number, _, tokens = path.name.partition("_")
        folders.append(TrainingFolder(path, int(number), tokens, pictures))
    return FolderReading(root, tuple(folders), tuple(skipped), tuple(loose), tuple(unread))


def pictures_in(folder: Path) -> tuple[tuple[Path, ...], list[Path]]:
    """Return the pictures of one folder that sd-scripts accepts, and those that it passes over."""
    taken: list[Path] = []
    others: list[Path] = []
    known = TRAINER_SUFFIXES + CONVERTED_SUFFIXES
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in known or path.is_dir():
            continue
        (taken if is_taken(path) else others).append(path)
    return tuple(taken), others


def _why_skipped(folder: Path, pictures: tuple[Path, ...]) -> Skip | None:
    number, underscore, _ = folder.name.partition("_")
    if not underscore and folder.name[:1].isdigit():
        return Skip.NO_UNDERSCORE
    try:
        repeats = int(number)
    except ValueError:
        return Skip.NO_NUMBER
    if repeats < 1:
        return Skip.ZERO
    if pictures:
        return None
    inside = any(is_taken(path) for path in folder.rglob("*") if path.is_file())
    return Skip.NESTED if inside else Skip.NO_PICTURES


@dataclass(frozen=True)
class DecodedPicture:
    """What full decoding found in one file; `problem` says why it cannot be trained."""

    path: Path
    size_bytes: int
    modified: int
    sha256: str
    width: int
    height: int
    is_upright: bool
    problem: str


def inspect_pictures(
    paths: Iterable[Path], *, cache: Path | None = None, progress: ProgressHandler = silent
) -> tuple[DecodedPicture, ...]:
    """Decode every picture completely, those that changed since the last time on all cores.

    Unchanged means same path, size and time, or the same content under another name.
    """
    wanted = list(paths)
    store = cache or default_cache(wanted)
    known = _read_cache(store)
    by_hash = {one.sha256: one for one in known.values()}
    found: list[DecodedPicture] = []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 2)) as pool:
        for number, one in enumerate(pool.map(lambda path: _inspect(path, known, by_hash), wanted)):
            found.append(one)
            progress(Progress("Looking at pictures", number + 1, len(wanted), one.path.name))
    if any(known.get(str(one.path)) != one for one in found) or len(known) != len(found):
        rows = {
            str(one.path): [
                one.size_bytes,
                one.modified,
                one.sha256,
                one.width,
                one.height,
                one.is_upright,
                one.problem,
            ]
            for one in found
        }
        write_json_atomic(store, {"format": _CACHE_FORMAT, "pictures": rows})
    return tuple(found)


def default_cache(paths: list[Path]) -> Path:
    """Return where the facts of the folder that holds `paths` are kept between checks."""
    root = "\n".join(map(str, folders_above(path.parent.absolute() for path in paths)))
    name = hashlib.sha256(root.encode("utf-8")).hexdigest()[:16]
    return user_folder() / "checked" / f"{name}.json"


def folders_above(folders: Iterable[PurePath]) -> tuple[PurePath, ...]:
    """Return the deepest folder that holds all absolute `folders`; on Windows one of each drive."""
    by_drive: dict[str, set[PurePath]] = {}
    for one in folders:
        by_drive.setdefault(one.drive.casefold(), set()).add(one)
    return tuple(_folder_above(same) for _, same in sorted(by_drive.items()))


def _folder_above(folders: set[PurePath]) -> PurePath:
    first = min(folders)
    above = (first, *first.parents)
    return next(one for one in above if all(other.is_relative_to(one) for other in folders))


def _inspect(
    path: Path, known: Mapping[str, DecodedPicture], by_hash: Mapping[str, DecodedPicture]
) -> DecodedPicture:
    status = path.stat()
    old = known.get(str(path))
    if old and (old.size_bytes, old.modified) == (status.st_size, status.st_mtime_ns):
        return old
    digest = hashlib.sha256(read_picture_bytes(path)).hexdigest()
    if same := by_hash.get(digest):
        return replace(same, path=path, size_bytes=status.st_size, modified=status.st_mtime_ns)
    facts = DecodedPicture(path, status.st_size, status.st_mtime_ns, digest, 0, 0, True, "")
    try:
        info = read_picture(path)
    except ToolError as error:
        return replace(facts, problem=error.problem)
    return replace(facts, width=info.width, height=info.height, is_upright=info.is_upright)


def _read_cache(path: Path) -> dict[str, DecodedPicture]:
    try:
        data: Any = read_json(path)
        if data["format"] != _CACHE_FORMAT:
            return {}
        rows = data["pictures"]
        return {name: DecodedPicture(Path(name), *row) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # of another age, or damaged
        return {}


class CaptionState(str, Enum):
    """What sd-scripts meets when it reads a picture's caption."""

    FINE = "fine"
    MISSING = "missing"
    EMPTY = "empty"
    NOT_UTF8 = "not UTF-8"
    MARKED = "begins with a byte order mark"


def caption_of(picture: Path, extension: str) -> Path | None:
    """Return the caption file that sd-scripts reads: same stem, or the stem less four `_` parts."""
    direct = picture.with_suffix(extension)
    if direct.is_file():
        return direct
    parts = picture.stem.split("_")
    if len(parts) >= 5:
        shorter = picture.with_name("_".join(parts[:-4]) + extension)
        if shorter.is_file():
            return shorter
    return None


def inspect_caption(picture: Path, extension: str) -> CaptionState:
    """Read one caption as sd-scripts would."""
    path = caption_of(picture, extension)
    if path is None:
        return CaptionState.MISSING
    data = read_bounded(path, limits().text_bytes)
    if not data:
        return CaptionState.EMPTY
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return CaptionState.NOT_UTF8
    return CaptionState.MARKED if data.startswith(b"\xef\xbb\xbf") else CaptionState.FINE


def other_extension(pictures: Iterable[Path], extension: str) -> str | None:
    """Return another extension that some of the pictures have captions with."""
    for picture in pictures:
        for suffix in CAPTION_SUFFIXES:
            if suffix != extension and picture.with_suffix(suffix).is_file():
                return suffix
    return None


def dataset_hash(facts: Iterable[DecodedPicture], extension: str) -> str:
    """Return one hash of all pictures, captions and folder names: the same data, the same hash."""
    digest = hashlib.sha256()
    for one in sorted(facts, key=lambda fact: (fact.path.parent.name, fact.path.name)):
        caption = caption_of(one.path, extension)
        text = read_bounded(caption, limits().text_bytes) if caption else b""
        digest.update(f"{one.path.parent.name}/{one.path.name}\0{one.sha256}\0".encode())
        digest.update(hashlib.sha256(text).digest())
    return digest.hexdigest()


def dataset_rows(facts: Iterable[DecodedPicture], extension: str) -> list[dict[str, Any]]:
    """Return name, size and hashes of every picture with its caption, for a run's record."""
    rows = []
    for one in facts:
        caption = caption_of(one.path, extension)
        text = read_bounded(caption, limits().text_bytes) if caption else None
        rows.append(
            {
                "name": f"{one.path.parent.name}/{one.path.name}",
                "width": one.width,
                "height": one.height,
                "sha256": one.sha256,
                "caption_sha256": hashlib.sha256(text).hexdigest() if text is not None else None,
            }
        )
    return rows
