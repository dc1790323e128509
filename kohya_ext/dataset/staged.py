"""What we staged in images/: the one record that stage writes and every later step reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ..project.errors import DamagedError
from ..project.files import write_json_atomic
from ..project.json_reader import read_json_object

STAGED_NAME = ".staged.json"
_Record = TypeVar("_Record")


def read_record(path: Path, parse: Callable[[dict[str, Any]], _Record], cure: str) -> _Record:
    """Read what we noted in images/, as of an empty object where there is none.

    Raises DamagedError: without the record our files and those of a person look alike.
    """
    try:
        return parse(read_json_object(path))
    except (FileNotFoundError, NotADirectoryError):
        return parse({})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError("LL260", f"{path} is damaged: {error}.", cure) from error


def read_staged(images_dir: Path) -> dict[PurePosixPath, str]:
    """Return what we staged: place relative to images/, and the source's size and time.

    Raises DamagedError.
    """
    return read_record(
        images_dir / STAGED_NAME,
        lambda data: {PurePosixPath(name): str(mark) for name, mark in data.items()},
        "Restore it from a backup, or move images/ away and run loraloom stage and caption again: "
        "the pictures are in source/.",
    )


def write_staged(images_dir: Path, marks: Mapping[PurePosixPath, str]) -> None:
    """Write the record. Raises MachineError."""
    data = {place.as_posix(): mark for place, mark in marks.items()}
    write_json_atomic(images_dir / STAGED_NAME, data, sort_keys=True)
