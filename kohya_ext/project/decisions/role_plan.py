"""Which role each picture has, out of all that folders, files, options and people say of it.

Planned without writing anything; `apply_roles` records it. Without a word a picture is supporting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..manifest import Manifest
from ..pictures.memory import PictureMemory
from ..pictures.ratings import FileRating
from ..project import Project
from .decision import Decision, DecisionKind, Notice, Statement
from .roles import Role, role_of_path
from .store import DecisionStore

SOURCE_FOLDER = "folder in source/"
IMPORT_FOLDER = "folder of the import"
FILE_RATING = "rating in the file"
VIEWER = "viewer"
"""The way of the rating itself: what was seen of it is not what was seen of the role."""


@dataclass(frozen=True)
class RoleSource:
    """What one way says of pictures, by key; an option that is named (`is_asked`) always counts.

    `usual` says nothing at the first look: source/supporting holds undecided pictures, too.
    """

    way: str
    statements: Mapping[str, Statement]
    is_asked: bool = False
    usual: Role | None = None


@dataclass(frozen=True)
class RoleChange:
    """One role that changes, and by what."""

    key: str
    before: Role | None
    role: Role
    way: str


@dataclass(frozen=True)
class RolePlan:
    """The roles as they will be, what changes, and what is to be recorded."""

    roles: Mapping[str, Role]
    changes: tuple[RoleChange, ...]
    sources: tuple[RoleSource, ...]
    ratings: Mapping[str, Statement]

    def role_of(self, key: str) -> Role:
        """Return a picture's role; supporting without a word."""
        return self.roles.get(key, Role.SUPPORTING)

    def sentence_of(self, change: RoleChange, name: str) -> str:
        """Say what changed."""
        before = change.before.value if change.before else "undecided"
        return f"{name}: {before} -> {change.role.value} ({change.way})"


def plan_roles(
    store: DecisionStore,
    sources: Iterable[RoleSource],
    ratings: Mapping[str, Statement] | None = None,
) -> RolePlan:
    """Plan the roles that hold when all sources were heard, the last one last."""
    held = store.current(DecisionKind.ROLE)
    roles = {key: Role(one.value) for key, one in held.items()}
    times = {key: datetime.fromisoformat(one.at) for key, one in held.items()}
    rated_so = _rated_so(store, held, ratings or {})
    heard = tuple(_with_new_meaning(one, rated_so) for one in sources)
    changes = []
    for source in heard:
        seen = {} if source.is_asked else store.seen(source.way)
        for key, statement in source.statements.items():
            if statement.value is None or not _is_news(source, seen, key, statement.value):
                continue
            if not statement.outdates(times.get(key)):
                continue
            role = Role(statement.value)
            if roles.get(key) is not role:
                changes.append(RoleChange(key, roles.get(key), role, source.way))
                roles[key] = role
    return RolePlan(roles, tuple(changes), heard, ratings or {})


def _rated_so(
    store: DecisionStore, held: Mapping[str, Decision], ratings: Mapping[str, Statement]
) -> frozenset[str]:
    """Return what has its role by a rating, and has that rating still."""
    by_rating = {key for key, one in held.items() if one.way == FILE_RATING}
    seen = store.seen(VIEWER) if by_rating and ratings else {}
    return frozenset(key for key in by_rating & {*ratings} if seen.get(key) == ratings[key].value)


def _with_new_meaning(source: RoleSource, rated_so: frozenset[str]) -> RoleSource:
    """Let the manifest give ratings another role: that is said now, not when they were given."""
    if source.way != FILE_RATING:
        return source
    now = datetime.now(timezone.utc)
    renewed = {
        key: replace(one, changed_at=now) if key in rated_so else one
        for key, one in source.statements.items()
    }
    return replace(source, statements=renewed)


def _is_news(source: RoleSource, seen: Mapping[str, Any], key: str, value: str) -> bool:
    if source.is_asked:
        return True
    if key not in seen:
        return source.usual is None or value != source.usual.value
    return bool(seen[key] != value)


def apply_roles(store: DecisionStore, plan: RolePlan) -> None:
    """Record the planned roles and ratings. Raises MachineError or DamagedError."""
    if plan.ratings:
        store.notice(DecisionKind.RATING, VIEWER, plan.ratings)
    store.notice_together(
        DecisionKind.ROLE,
        (
            Notice(one.way, one.statements, one.usual.value if one.usual else None)
            for one in plan.sources
            if not one.is_asked
        ),
    )
    for source in plan.sources:
        if source.is_asked:
            values = {key: one.value for key, one in source.statements.items()}
            store.decide(DecisionKind.ROLE, values, source.way)


def folder_source(project: Project, keys: Mapping[Path, str]) -> RoleSource:
    """Return what the folders in source/ say of pictures there."""
    parents = {key: path.parent for path, key in keys.items()}
    roles = {}
    for folder in set(parents.values()):
        role = role_of_path((folder / "a").relative_to(project.source_dir))
        roles[folder] = Statement(role.value if role else None)
    statements = {key: roles[folder] for key, folder in parents.items()}
    return RoleSource(SOURCE_FOLDER, statements, usual=Role.SUPPORTING)


def rating_source(
    manifest: Manifest, ratings: Mapping[str, FileRating | None]
) -> tuple[RoleSource, dict[str, Statement]]:
    """Return which roles the ratings in files stand for, and the ratings themselves."""
    found = {key: one for key, one in ratings.items() if one is not None}
    mapping = manifest.dataset.ratings
    roles = {
        key: Statement(mapping.get(str(one.rating)), one.changed_at) for key, one in found.items()
    }
    rated = {key: Statement(one.rating, one.changed_at) for key, one in found.items() if one.rating}
    return RoleSource(FILE_RATING, roles), rated


def asked_source(way: str, roles: Mapping[str, Role]) -> RoleSource:
    """Return roles that a person named just now, by key."""
    return RoleSource(way, {key: Statement(role.value) for key, role in roles.items()}, True)


def memory_of(project: Project) -> PictureMemory:
    """Open what is remembered of the project's pictures."""
    return PictureMemory(project.cache_dir / "pictures.db")


def read_roles(project: Project, paths: Sequence[Path]) -> dict[Path, Role]:
    """Return the role of each of the project's pictures, changing nothing."""
    memory = memory_of(project)
    keys = memory.keys_of(paths)
    with DecisionStore(project.reviews_db) as store:
        plan = plan_roles(store, [folder_source(project, keys)])
    return {path: plan.role_of(keys[path]) for path in paths if path in keys}
