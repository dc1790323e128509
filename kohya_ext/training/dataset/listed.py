"""Pictures that a metadata file lists, as sd-scripts' fine-tuning datasets read them.

A json of `{"picture": {"caption": ..., "image_size": [w, h]}}`, or one object a line (jsonl).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...project.json_reader import parse_json, read_json_object, read_lines
from ...project.limits import limits
from ...project.pictures import TRAINER_SUFFIXES
from ..checks.findings import Finding, warning, wrong_dataset
from .bucketed import Subset
from .folders import FolderReading, TrainingFolder
from .steps import Size

_CACHE = re.compile(r"_(\d+)x(\d+)_\w{1,40}\.npz$")
"""A cache of latents says its picture's size in its name."""


@dataclass(frozen=True)
class _ListedPicture:
    path: Path
    size: Size | None
    caption: str


def read_listed(path: Path, image_dir: str, repeats: int) -> tuple[Subset | None, list[Finding]]:
    """Read a metadata file as one subset; None with a finding where the trainer would fail."""
    if not path.is_file():
        return None, [
            wrong_dataset(f"The metadata file {path} does not exist.", "Correct the path.")
        ]
    try:
        entries = _entries(path)
        rows = [_row(key, table, image_dir) for key, table in entries.items()]
    except (OSError, ValueError, TypeError, AttributeError, KeyError, OverflowError) as why:
        return None, [wrong_dataset(f"{path} is not a metadata file: {why}.", "Correct it there.")]
    lost = [row.path for row in rows if row.size is None and not row.path.is_file()]
    if lost:
        problem = f"{path} lists {lost[0]}, which does not exist, nor does a cache of it."
        return None, [wrong_dataset(problem, "Correct the path, or remove it from the file.")]
    if not rows:
        problem = f"{path} lists no pictures; sd-scripts would skip it."
        return None, [warning("LL366", problem, "Write it again, or remove it.")]
    pictures = tuple(row.path for row in rows)
    folder = TrainingFolder(path, repeats, "", pictures)
    sizes = {row.path: row.size for row in rows if row.size is not None}
    reading = FolderReading(path, (folder,), (), (), ())
    captions = {row.path: row.caption for row in rows}
    return Subset(reading, "", is_listed=True, sizes=sizes, captions=captions), []


def _entries(path: Path) -> dict[str, Mapping[str, Any]]:
    if path.suffix != ".jsonl":
        return read_json_object(path)
    rows = [parse_json(line) for line in read_lines(path, limits().text_bytes)]
    for row in rows:
        if "width" in row and "height" in row:
            row["image_size"] = [row["width"], row["height"]]
    return {row["image_path"]: row for row in rows}


def _row(key: str, table: Mapping[str, Any], image_dir: str) -> _ListedPicture:
    path = Path(key)
    if not path.is_absolute():
        if not image_dir:
            raise ValueError(f'"{key}" is a relative path, and no image_dir is given')
        path = Path(image_dir) / key
    if not path.suffix or not path.exists():
        names = (path.with_name(path.name + suffix) for suffix in TRAINER_SUFFIXES)
        path = next((one for one in names if one.is_file()), path)
    caption = ", ".join(str(table[key]) for key in ("caption", "tags") if table.get(key))
    size = table.get("image_size")
    if size is not None:
        width, height = size
        return _ListedPicture(path, (int(width), int(height)), caption)
    return _ListedPicture(path, _size_of_cache(path), caption)


def _size_of_cache(path: Path) -> Size | None:
    if not path.parent.is_dir():
        return None
    for one in sorted(path.parent.iterdir()):
        found = _CACHE.search(one.name)
        if found and one.name[: found.start()] == path.stem:
            return int(found[1]), int(found[2])
    return None
