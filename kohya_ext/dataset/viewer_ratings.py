"""Ratings of picture viewers, read and written when somebody asks: in source/ or any folder.

Pictures are found by their keys, so that a collection that was imported once can be asked later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..project import Project, ToolError
from ..project.decisions import DecisionKind, DecisionStore, Role
from ..project.decisions.role_plan import (
    FILE_RATING,
    VIEWER,
    RolePlan,
    memory_of,
    plan_roles,
    rating_source,
)
from ..project.pictures import find_pictures
from ..project.pictures.ratings import read_rating, write_rating
from .intake import read_index


@dataclass(frozen=True)
class RatingReading:
    """What the files of a folder say, and which roles change by it."""

    roles: RolePlan
    sentences: tuple[str, ...]
    rated: int


@dataclass(frozen=True)
class RatingToWrite:
    """One file that is to say what was decided."""

    path: Path
    key: str
    rating: int


def plan_reading(project: Project, folder: Path) -> RatingReading:
    """Read the ratings of the project's pictures in a folder. Raises MissingError, MachineError."""
    keys = _known(project, folder)
    ratings = {key: read_rating(path) for path, key in keys.items()}
    source, rated = rating_source(project.manifest, ratings)
    with DecisionStore(project.reviews_db) as store:
        plan = plan_roles(store, [source], rated)
    names = {key: path.name for path, key in keys.items()}
    said = tuple(plan.sentence_of(one, names[one.key]) for one in plan.changes)
    return RatingReading(plan, said, len(rated))


def plan_writing(project: Project, folder: Path) -> tuple[RatingToWrite, ...]:
    """Plan which files get which rating: that of their role, or the one given before.

    A file whose rating stands for the role already stays as it is.
    """
    mapping = project.manifest.dataset.ratings
    with DecisionStore(project.reviews_db) as store:
        roles = store.values(DecisionKind.ROLE)
        ratings = store.values(DecisionKind.RATING)
    found = []
    for path, key in _known(project, folder).items():
        present = read_rating(path)
        said = present.rating if present else 0
        wanted = _wanted(mapping, roles.get(key), ratings.get(key))
        is_same_role = mapping.get(str(said), "") == roles.get(key)
        if wanted is not None and wanted != said and not is_same_role:
            found.append(RatingToWrite(path, key, wanted))
    return tuple(found)


def _wanted(mapping: Mapping[str, str], role: str | None, rating: int | None) -> int | None:
    if role is None:
        return rating
    return next((int(word) for word, one in mapping.items() if one == Role(role).value), None)


def apply_writing(
    project: Project, plan: tuple[RatingToWrite, ...]
) -> tuple[list[Path], list[ToolError]]:
    """Write the ratings; return the files that changed and what went wrong, one by one."""
    changed: list[Path] = []
    errors: list[ToolError] = []
    written: dict[str, int] = {}
    for one in plan:
        try:
            changed += write_rating(one.path, one.rating)
            written[one.key] = one.rating
        except ToolError as error:
            errors.append(error)
    mapping = project.manifest.dataset.ratings
    with DecisionStore(project.reviews_db) as store:  # what we wrote ourselves is no news
        store.note_seen(VIEWER, written)
        roles = {key: mapping.get(str(rating)) for key, rating in written.items()}
        store.note_seen(FILE_RATING, roles)
        store.decide(DecisionKind.RATING, written, "written for viewers")
    return changed, errors


def _known(project: Project, folder: Path) -> dict[Path, str]:
    memory = memory_of(project)
    index = read_index(project, memory)
    keys = memory.keys_of(find_pictures(folder))
    memory.save()
    return {path: key for path, key in keys.items() if key in index}
