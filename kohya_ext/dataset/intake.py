"""Taking pictures in: new ones are known by content, copied into source/, never edited there.

The folder that they come from is only read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..project import (
    ConflictError,
    InputError,
    MachineError,
    MissingError,
    Progress,
    ProgressHandler,
    Project,
    ToolError,
    silent,
)
from ..project.files import free_bytes, make_folder, replacing, sha256_of, write_json_atomic
from ..project.pictures import find_other_pictures, find_pictures, read_picture
from .roles import Role, role_of_path

INDEX_NAME = ".index.json"


@dataclass(frozen=True)
class Intake:
    """One new picture: where it comes from and where it goes, relative to source/."""

    origin: Path
    target: PurePosixPath
    sha256: str
    role: Role


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do: pictures to take, those known already, and those passed over."""

    folder: Path
    new: tuple[Intake, ...]
    known: tuple[Path, ...]
    broken: tuple[tuple[Path, str], ...]
    unread: tuple[Path, ...] = ()
    """Pictures of kinds that loraloom does not read."""

    @property
    def new_bytes(self) -> int:
        """Size of the pictures to be copied."""
        return sum(one.origin.stat().st_size for one in self.new)

    @property
    def unread_sentence(self) -> str:
        """What to say about pictures that stayed behind unread; empty when there are none."""
        if not self.unread:
            return ""
        names = ", ".join(path.name for path in self.unread[:3])
        more = f" and {len(self.unread) - 3} more" if len(self.unread) > 3 else ""
        return f"not read: {names}{more}. Convert them to PNG or JPEG and import again."

    def count(self, role: Role) -> int:
        """Return how many new pictures have this role."""
        return sum(1 for one in self.new if one.role is role)


def plan_import(
    project: Project,
    folder: Path,
    *,
    roles: Mapping[str, Role] | None = None,
    skip_broken: bool = False,
    rename: bool = False,
    progress: ProgressHandler = silent,
) -> ImportPlan:
    """Look at every picture in `folder` and plan what to take in; the project's own do not count.

    Raises MissingError (no folder; no pictures), DamagedError (broken picture, unless
    `skip_broken`), InputError (a stem that repeats, unless `rename`), ConflictError (inside the
    project) or MachineError (a name that is not text).
    """
    if folder.resolve().is_relative_to(project.root.resolve()):
        raise ConflictError(
            "LL204",
            f"{folder} lies inside the project.",
            "Import from the folder where you collect your pictures.",
        )
    root = project.root.resolve()
    found = [path for path in find_pictures(folder) if not path.resolve().is_relative_to(root)]
    if not found:
        raise MissingError(
            "LL201",
            f"{folder} holds no pictures.",
            "loraloom looks for png, jpg, jpeg, webp, bmp, gif and tiff files, also below it; "
            "convert others first.",
        )
    index = read_index(project)
    places = map(PurePosixPath, index.values())
    stems = {_stem_key(place): project.source_dir / place for place in places}
    planner = _Planner({*index}, stems)
    for number, path in enumerate(found):
        progress(Progress("Reading pictures", number, len(found), path.name))
        planner.look_at(path, folder, roles or {}, skip_broken=skip_broken, rename=rename)
    progress(Progress("Reading pictures", len(found), len(found)))
    unread = tuple(find_other_pictures(folder))
    return ImportPlan(
        folder, tuple(planner.new), tuple(planner.known), tuple(planner.broken), unread
    )


class _Planner:
    """Collects the plan picture by picture, keeping contents and stems unique."""

    def __init__(self, hashes: set[str], stems: dict[str, Path]) -> None:
        self._hashes, self._stems = hashes, stems
        self.new: list[Intake] = []
        self.known: list[Path] = []
        self.broken: list[tuple[Path, str]] = []

    def look_at(
        self,
        path: Path,
        folder: Path,
        roles: Mapping[str, Role],
        *,
        skip_broken: bool,
        rename: bool,
    ) -> None:
        _require_text(path)
        try:
            read_picture(path)
        except ToolError as error:
            if not skip_broken:
                cure = f"{error.cure} --skip-broken imports the others."
                raise ToolError(error.code, error.problem, cure) from error
            self.broken.append((path, error.problem))
            return
        sha256 = sha256_of(path)
        if sha256 in self._hashes:
            self.known.append(path)
            return
        relative = path.relative_to(folder)
        role = roles.get(path.name) or roles.get(relative.as_posix()) or role_of_path(relative)
        role = role or Role.SUPPORTING
        target = self._free_name(path, role, rename=rename)
        self._hashes.add(sha256)
        self._stems[_stem_key(target)] = path
        self.new.append(Intake(path, target, sha256, role))

    def _free_name(self, path: Path, role: Role, *, rename: bool) -> PurePosixPath:
        target = PurePosixPath(role.value, path.name)
        other = self._stems.get(_stem_key(target))
        if other is None:
            return target
        if not rename:
            raise InputError(
                "LL203",
                f"{path} and {other} share one stem, so they would share one caption file.",
                "Rename one of the two; --rename gives the new one a number.",
            )
        number = 2
        while _stem_key(target) in self._stems:
            target = PurePosixPath(role.value, f"{path.stem}-{number}{path.suffix}")
            number += 1
        return target


def _require_text(path: Path) -> None:
    """Refuse a name that is no UTF-8, as from an old archive: no json could hold it."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = path.name.encode("utf-8", "replace").decode("utf-8")
        raise MachineError(
            "LL208", f'The name of "{shown}" in {path.parent} is no UTF-8 text.', "Rename the file."
        ) from error


def _stem_key(path: PurePosixPath) -> str:
    """Stems are compared without case, since file systems differ."""
    return path.stem.casefold()


def apply_import(project: Project, plan: ImportPlan, *, progress: ProgressHandler = silent) -> None:
    """Copy the planned pictures into source/; can be stopped and run again at any picture.

    Raises MachineError before anything is copied when the disk has no room for all.
    """
    if plan.new_bytes > free_bytes(project.root):
        raise MachineError(
            "LL110",
            f"The disk is full: the new pictures need {plan.new_bytes:,} bytes, "
            f"{free_bytes(project.root):,} are free.",
            "Free some space and run the same command again.",
        )
    index = read_index(project)
    for number, one in enumerate(plan.new):
        progress(Progress("Copying pictures", number, len(plan.new), one.origin.name))
        target = project.source_dir / one.target
        make_folder(target.parent)
        with one.origin.open("rb") as reader, replacing(target) as writer:
            shutil.copyfileobj(reader, writer)
        index[one.sha256] = one.target.as_posix()
    if plan.new:
        write_json_atomic(project.source_dir / INDEX_NAME, index, sort_keys=True)
    progress(Progress("Copying pictures", len(plan.new), len(plan.new)))
    project.journal.append("import", folder=str(plan.folder), pictures=len(plan.new))


def read_index(project: Project) -> dict[str, str]:
    """Return content hash to path (relative to source/) of every picture that is there.

    The stored index is only a memory: files that are gone are left out, new ones are hashed.
    """
    remembered = _read_remembered(project.source_dir / INDEX_NAME)
    by_path = {path: sha256 for sha256, path in remembered.items()}
    index: dict[str, str] = {}
    for path in source_pictures(project):
        name = path.relative_to(project.source_dir).as_posix()
        index[by_path.get(name) or sha256_of(path)] = name
    return index


def source_pictures(project: Project) -> Iterable[Path]:
    """List the project's own pictures; none before the first import."""
    return find_pictures(project.source_dir) if project.source_dir.is_dir() else ()


def _read_remembered(path: Path) -> dict[str, str]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it is only a memory, and is made again
        return {}
    return data if isinstance(data, dict) else {}
