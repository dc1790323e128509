"""Which pictures are primary and which supporting: read from subfolders or a csv file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath

from ..project.errors import InputError


class Role(str, Enum):
    """Primaries carve the shape, supporting pictures sand it."""

    PRIMARY = "primary"
    SUPPORTING = "supporting"


_SPELLINGS = {
    "primary": Role.PRIMARY,
    "primaries": Role.PRIMARY,
    "1": Role.PRIMARY,
    "supporting": Role.SUPPORTING,
    "2": Role.SUPPORTING,
}


def role_of_path(path: PurePath) -> Role | None:
    """Return the role that a folder in `path` names, the innermost first; None if none does."""
    for part in reversed(path.parts[:-1]):
        if part.lower() in ("primary", "primaries", "supporting"):
            return _SPELLINGS[part.lower()]
    return None


def read_roles_csv(path: Path) -> Mapping[str, Role]:
    """Read `picture,role` lines: a file name, then primary or supporting (or a rating, 1 or 2).

    A header line `picture,role` may stand first. Raises InputError with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "LL206", f"The roles file {path} cannot be read: {error}.", "It must be UTF-8 text."
        ) from error
    roles: dict[str, Role] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and len(cells) > 1 and cells[1].lower() == "role"):
            continue
        role = _SPELLINGS.get(cells[1].lower()) if len(cells) == 2 else None
        if role is None:
            raise InputError(
                "LL206",
                f'{path}:{number}: "{",".join(row)}" is not a picture and its role.',
                "Write for example: fox 01.png,primary",
            )
        roles[cells[0].replace("\\", "/")] = role  # as Windows writes sub\fox.png
    return roles
