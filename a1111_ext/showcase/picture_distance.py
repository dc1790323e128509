"""How unlike the pictures of a showcase are, by their names; each is looked at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kohya_ext.project import Progress, ProgressHandler, silent
from kohya_ext.project.pictures import Look, look_of, unlikeness

from .arrangement import Distance


def make_distance(folder: Path, total: int, *, on_progress: ProgressHandler = silent) -> Distance:
    """Return the distance of pictures in `folder` by their names; unreadable ones are like none."""
    seen = 0

    @cache
    def look(name: str) -> Look | None:
        nonlocal seen
        seen += 1
        on_progress(Progress("Comparing", seen, max(total, seen)))
        try:
            return look_of(folder / name)
        except (OSError, ValueError, SyntaxError):
            return None

    def distance(one: str, other: str) -> float:
        mine, theirs = look(one), look(other)
        return 1.0 if mine is None or theirs is None else unlikeness(mine, theirs)

    return distance
