"""What we staged in images/: the one record that stage writes and every later step reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..project.files import write_json_atomic
from ..project.json_reader import read_json

STAGED_NAME = ".staged.json"


def read_staged(images_dir: Path) -> dict[PurePosixPath, str]:
    """Return what we staged: place relative to images/, and the source's size and time."""
    try:
        data = read_json(images_dir / STAGED_NAME)
    except (OSError, ValueError):
        return {}
    return {PurePosixPath(name): str(mark) for name, mark in data.items()}


def write_staged(images_dir: Path, marks: Mapping[PurePosixPath, str]) -> None:
    """Write the record. Raises MachineError."""
    data = {place.as_posix(): mark for place, mark in marks.items()}
    write_json_atomic(images_dir / STAGED_NAME, data, sort_keys=True)
