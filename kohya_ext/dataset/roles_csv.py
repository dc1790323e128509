"""Which pictures are primary, supporting or out: read from a csv file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ..project.decisions import Role, find_role
from ..project.errors import InputError
from ..project.json_reader import read_text

__all__ = ["Role", "read_roles_csv"]


def read_roles_csv(path: Path) -> Mapping[str, Role]:
    """Read `picture,role` lines: a file name, then primary, supporting or out (or 1, 2 or 0).

    A header line `picture,role` may stand first. Raises InputError with file and line.
    """
    try:
        rows = list(csv.reader(read_text(path).splitlines(), skipinitialspace=True))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            "LL206",
            f"The roles file {path} cannot be read: {error}.",
            "It must be UTF-8 text with one picture and its role per line.",
        ) from error
    roles: dict[str, Role] = {}
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and len(cells) > 1 and cells[1].lower() == "role"):
            continue
        role = find_role(cells[1]) if len(cells) == 2 else None
        if role is None:
            raise InputError(
                "LL206",
                f'{path}:{number}: "{",".join(row)}" is not a picture and its role.',
                "Write for example: fox 01.png,primary",
            )
        roles[cells[0].replace("\\", "/")] = role  # as Windows writes sub\fox.png
    return roles
