"""What is known of the pictures of a set beside their files: sharpness, look-alikes, framing.

Read from what import, the board and the tagger kept; no picture is decoded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..project import Project
from ..project.decisions.role_plan import memory_of
from ..project.files import sha256_of
from ..project.pictures.alike import find_alike, groups_of
from ..project.tagging import read_scores
from ..project.tagging.framing import framing_of
from .roles_csv import Role

_MOST_HASHED = 2_000
"""Scores are found by a file's hash, which takes some seconds for more."""
_SURE = 0.5


@dataclass(frozen=True)
class SeenPicture:
    """One picture with its upright size in pixels; `group` is above 0 for look-alikes."""

    name: str
    role: Role
    width: int
    height: int
    sharpness: float | None = None
    framing: str = ""
    group: int = 0
    tags: frozenset[str] = frozenset()


def see_pictures(
    project: Project, pictures: Sequence[tuple[Path, Role, int, int]]
) -> tuple[SeenPicture, ...]:
    """Return what is known of pictures, each given with role, width and height."""
    memory = memory_of(project)
    keys = memory.keys_of([path for path, *_ in pictures])
    facts = {key: one for key, one in memory.all_facts().items() if key in set(keys.values())}
    groups = {
        key: number
        for number, group in enumerate(groups_of(find_alike(facts)), start=1)
        for key in group
    }
    found = []
    scored = project.scores_dir.is_dir() and len(pictures) <= _MOST_HASHED
    for path, role, width, height in pictures:
        key = keys.get(path, "")
        scores = read_scores(project.scores_dir, sha256_of(path)) if scored else None
        general: Mapping[str, float] = scores.general if scores else {}
        found.append(
            SeenPicture(
                path.name,
                role,
                width,
                height,
                facts[key].sharpness if key in facts else None,
                framing_of(scores) if scores else "",
                groups.get(key, 0),
                frozenset(tag.replace("_", " ") for tag, sure in general.items() if sure >= _SURE),
            )
        )
    return tuple(found)
