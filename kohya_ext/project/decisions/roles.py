"""What a picture is for: primary, supporting or out of the training set; how people write it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath


class Role(str, Enum):
    """Primaries carve the shape, supporting pictures sand it; out is not trained on."""

    PRIMARY = "primary"
    SUPPORTING = "supporting"
    OUT = "out"


SPELLINGS: Mapping[str, Role] = {
    "primary": Role.PRIMARY,
    "primaries": Role.PRIMARY,
    "1": Role.PRIMARY,
    "supporting": Role.SUPPORTING,
    "2": Role.SUPPORTING,
    "out": Role.OUT,
    "0": Role.OUT,
    "-1": Role.OUT,
}
"""How a role may be written in a roles file, in lower case."""

_FOLDERS = ("primary", "primaries", "supporting", "out")


def find_role(word: str) -> Role | None:
    """Return the role that a word names, or None."""
    return SPELLINGS.get(word.strip().lower())


def role_of_path(path: PurePath) -> Role | None:
    """Return the role that a folder in `path` names, the innermost first; None if none does."""
    for part in reversed(path.parts[:-1]):
        if part.lower() in _FOLDERS:
            return SPELLINGS[part.lower()]
    return None
