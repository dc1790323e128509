"""Preflight of the data: folders that would be skipped, broken pictures, unusable captions."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...project.wording import counted
from ..dataset.folders import (
    CaptionState,
    DecodedPicture,
    FolderReading,
    Skip,
    inspect_caption,
    other_extension,
    read_folders,
)
from ..dataset.steps import BucketRules, is_trainable
from .findings import Finding, error, warning

_SKIPPED = {
    Skip.NO_NUMBER: (
        "LL363",
        "does not begin with a number, so sd-scripts skips it",
        "Rename it, for example to 5_{name}.",
    ),
    Skip.ZERO: (
        "LL364",
        "says 0 repeats, so sd-scripts skips it",
        "Begin its name with a number of at least 1.",
    ),
    Skip.NO_UNDERSCORE: (
        "LL365",
        "has no underscore after the number, so sd-scripts skips it",
        "Rename it, for example to 5_Trigger.",
    ),
    Skip.NO_PICTURES: (
        "LL366",
        "contains no pictures that sd-scripts reads",
        "Put png, jpg, webp or bmp files in it, or remove it.",
    ),
    Skip.NESTED: (
        "LL367",
        "contains pictures only in a subfolder, where sd-scripts does not look",
        "Move the pictures up into the numbered folder.",
    ),
}


def check_folders(values: Mapping[str, Any]) -> tuple[FolderReading | None, list[Finding]]:
    if values.get("dataset_config"):
        return None, []
    text = str(values.get("train_data_dir") or "")
    root = Path(text)
    if not text or not root.is_dir():
        problem = f'The picture folder "{text}" does not exist; sd-scripts would report success.'
        return None, [error("LL360", problem, "Correct train_data_dir.")]
    reading = _in_trainer_order(read_folders(root))
    return reading, list(_name_folders(reading, bool(values.get("validation_split"))))


def _in_trainer_order(reading: FolderReading) -> FolderReading:
    """Put the folders in the order that the trainer meets them in, which is the directory's own."""
    order = [entry.name for entry in reading.root.iterdir()]
    folders = sorted(reading.folders, key=lambda folder: order.index(folder.path.name))
    return replace(reading, folders=tuple(folders))


def read_regular(values: Mapping[str, Any]) -> tuple[FolderReading | None, list[Finding]]:
    """Read the folder of regularisation pictures, its sub-folders in the trainer's own order."""
    text = str(values.get("reg_data_dir") or "")
    if not text or values.get("dataset_config"):
        return None, []
    root = Path(text)
    if not root.is_dir():
        problem = f'The folder of regularisation pictures "{text}" does not exist.'
        return None, [error("LL360", problem, "Correct reg_data_dir, or leave it empty.")]
    reading = _in_trainer_order(read_folders(root))
    if not reading.folders:
        problem = (
            f"The folder of regularisation pictures {root} contains none that sd-scripts reads."
        )
        return None, [error("LL361", problem, "Put folders such as 1_woman with pictures into it.")]
    return reading, []


def _name_folders(reading: FolderReading, is_split: bool) -> Iterator[Finding]:
    """Name what would not be trained: errors when nothing else is left, else warnings.

    Where pictures are kept for validation, sd-scripts fails at a folder without any.
    """
    row = warning if reading.folders else error
    for path, skip in reading.skipped:
        code, what, cure = _SKIPPED[skip]
        fails = is_split and skip in (Skip.NO_PICTURES, Skip.NESTED)
        name = error if fails else row
        yield name(code, f"The folder {path} {what}.", cure.format(name=path.name))
    if reading.loose:
        yield row(
            "LL362",
            f"{counted(len(reading.loose), 'picture is', 'pictures are')} in {reading.root} "
            "itself, where sd-scripts does "
            "not look.",
            "Move them into a folder such as 5_Trigger, and set train_data_dir to the folder "
            "above it.",
        )
    if not (reading.folders or reading.skipped or reading.loose):
        yield error(
            "LL361",
            f"The picture folder {reading.root} is empty; sd-scripts would report success.",
            "Put folders such as 5_Trigger with pictures into it.",
        )


def check_pictures(
    pictures: tuple[DecodedPicture, ...], reading: FolderReading, rules: BucketRules
) -> Iterator[Finding]:
    stems: dict[tuple[Path, str], Path] = {}
    for one in pictures:
        if one.problem:
            yield error(
                "LL202", one.problem, "Get the picture again, or remove it from the folder."
            )
            continue
        if not one.is_upright:
            yield warning(
                "LL371",
                f"{one.path} is stored sideways; sd-scripts ignores the EXIF orientation "
                "and would train it sideways.",
                "Rotate the file, or stage it with `loraloom stage`, which rotates it.",
            )
        other = stems.setdefault((one.path.parent, one.path.stem), one.path)
        if other != one.path:
            yield warning(
                "LL203",
                f"{other} and {one.path.name} share one caption file.",
                "Rename one of the two.",
            )
        yield from _check_size(one, rules)
    for path in reading.unread:
        yield warning(
            "LL368",
            f"{path} would silently be skipped: sd-scripts does not read the suffix {path.suffix}.",
            "Rename the suffix to lower case, or convert the picture to PNG.",
        )


def _check_size(one: DecodedPicture, rules: BucketRules) -> Iterator[Finding]:
    width, height = rules.resolution
    if not rules.enabled and (one.width > width or one.height > height):
        yield error(
            "LL369",
            f"{one.path} has {one.width} x {one.height} pixels, more than the resolution "
            f"{width} x {height}, and buckets are off.",
            "Enable buckets.",
        )
    if not is_trainable((one.width, one.height), rules):
        yield error(
            "LL370",
            f"{one.path} has {one.width} x {one.height} pixels; at the resolution {width} x "
            f"{height} one side is less than a bucket step ({rules.step}), and enlarging is off.",
            "Remove it, switch bucket_no_upscale off, or use a higher resolution.",
        )


def check_captions(
    reading: FolderReading, extension: str, *, needed: bool = True
) -> Iterator[Finding]:
    """Look at the captions; those of regularisation pictures need not be there."""
    missing: list[Path] = []
    for picture in reading.pictures:
        state = inspect_caption(picture, extension)
        name = picture.with_suffix(extension)
        if state is CaptionState.MISSING:
            missing.append(picture)
        elif state is CaptionState.EMPTY:
            yield error(
                "LL372",
                f"The caption {name} is empty, and sd-scripts would stop at it.",
                "Write a caption, or delete the file to use the words of the folder name.",
            )
        elif state is CaptionState.NOT_UTF8:
            yield error("LL259", f"The caption {name} is not UTF-8 text.", "Save it as UTF-8.")
        elif state is CaptionState.MARKED:
            yield warning(
                "LL375",
                f"The caption {name} begins with a byte order mark, which would become part of "
                "its first tag.",
                "Save it as UTF-8 without one.",
            )
    if needed:
        yield from _check_missing(reading, missing, extension)


def _check_missing(
    reading: FolderReading, missing: list[Path], extension: str
) -> Iterator[Finding]:
    if not missing:
        return
    other = other_extension(missing, extension)
    if other and len(missing) == len(reading.pictures):
        yield error(
            "LL374",
            f"No picture has a caption {extension}, but there are captions {other}; they would "
            "all be ignored.",
            f"Set caption_extension to {other}.",
        )
        return
    shown = ", ".join(path.name for path in missing[:3])
    yield warning(
        "LL373",
        f"{len(missing)} of {counted(len(reading.pictures), 'picture')} without a caption "
        f"{extension} ({shown}); the words of the folder name are used instead.",
        "Caption them with `loraloom caption`, or ignore this if that is intended.",
    )


_WHOLE_CHECK_BYTES = 4_000_000
"""Our choice: larger caches are only opened, so that thousands of them take seconds."""


def check_caches(pictures: Iterable[Path], values: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at what is cached beside the pictures: sd-scripts would end at a damaged file."""
    latents = values.get("cache_latents_to_disk")
    outputs = values.get("cache_text_encoder_outputs_to_disk")
    if not (latents or outputs):
        return
    folders: dict[Path, list[Path]] = {}
    for folder in {one.parent for one in pictures}:
        if folder.is_dir():
            folders[folder] = sorted(folder.glob("*.npz"))
    stems = {(one.parent, one.stem) for one in pictures}
    broken = [
        path
        for folder, paths in folders.items()
        for path in paths
        if _belongs(path, folder, stems) and not _is_whole(path)
    ]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        yield error(
            "LL202",
            f"The cache {broken[0]}{more} is damaged; sd-scripts would fail there.",
            "Delete it; it is made again.",
        )


def _belongs(path: Path, folder: Path, stems: set[tuple[Path, str]]) -> bool:
    """Tell whether a cache is one of these pictures: its name begins with theirs."""
    parts = path.stem.split("_")
    return any((folder, "_".join(parts[:end])) in stems for end in range(len(parts), 0, -1))


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return path.stat().st_size > _WHOLE_CHECK_BYTES or archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError):
        return False
