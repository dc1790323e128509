"""Taking pictures in: new ones are known by their pixels, copied into source/, not edited there.

The folder that they come from is only read. A file is hashed before it is decoded, and a file
that did not change since the last import is not read at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from ..captions.edits import CaptionEdit, value_of_edit
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
from ..project.decisions import DecisionKind, DecisionStore, Role, Statement, role_of_path
from ..project.decisions.role_plan import (
    FILE_RATING,
    IMPORT_FOLDER,
    RolePlan,
    RoleSource,
    apply_roles,
    asked_source,
    folder_source,
    memory_of,
    plan_roles,
    rating_source,
)
from ..project.files import copy_whole, free_bytes, make_folder, require_utf8, unreadable
from ..project.manifest import Repeats
from ..project.pictures import find_other_pictures, find_pictures, open_upright
from ..project.pictures.alike import find_alike
from ..project.pictures.copies import Pair
from ..project.pictures.facts import facts_of
from ..project.pictures.memory import PictureMemory
from ..project.pictures.ratings import FileRating, read_rating
from ..project.pictures.thumbnails import keep_thumbnail
from ..project.wording import counted
from .captions_beside import CaptionFinder, FoundCaption
from .ratio import repeats_of


@dataclass(frozen=True)
class Intake:
    """One new picture: where it comes from and where it goes, relative to source/."""

    origin: Path
    target: PurePosixPath
    key: str
    role: Role


@dataclass(frozen=True)
class CaptionIntake:
    """Captions beside the pictures, by key: those that come in, and those that a person's own
    caption in the project keeps out; and files that could not be read, and why.
    """

    new: Mapping[str, FoundCaption]
    kept_out: Mapping[str, FoundCaption]
    unread: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class NumberedFolder:
    """One folder with repeats in its name, as sd-scripts reads them."""

    name: str
    repeats: int
    role: Role
    pictures: int


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do: pictures to take, those known already, and those passed over."""

    folder: Path
    new: tuple[Intake, ...]
    known: tuple[Path, ...]
    copies: int
    """How many of `known` are exact copies of pictures that are new."""
    broken: tuple[tuple[Path, str], ...]
    unread: tuple[Path, ...]
    """Pictures of kinds that are not read here."""
    roles: RolePlan
    alike: tuple[Pair, ...]
    """Near-duplicates of which at least one is new; by key."""
    names: Mapping[str, str]
    """A name for each key: its place in source/, or relative to the folder."""
    memory: PictureMemory
    captions: CaptionIntake
    numbered: tuple[NumberedFolder, ...]
    """Folders such as 5_fox, with the role that their repeats stand for."""

    @property
    def new_bytes(self) -> int:
        """Size of the pictures to be copied."""
        return sum(one.origin.stat().st_size for one in self.new)

    @property
    def unread_sentence(self) -> str:
        """What to say about pictures that stayed behind unread; empty when there are none."""
        if not self.unread:
            return ""
        names = ", ".join(path.name for path in self.unread)
        cure = "Convert them to PNG or JPEG and import again"
        if any(path.suffix.lower() in _BY_PLUGIN for path in self.unread):
            cure += '; for heic, avif and jxl: pip install "loraloom[pictures]"'
        return f"not read: {names}. {cure}."

    @property
    def role_sentences(self) -> tuple[str, ...]:
        """What to say about roles of known pictures that change, and about one rating for all."""
        new = {one.key for one in self.new}
        changed = (
            self.roles.sentence_of(change, self.names.get(change.key, change.key))
            for change in self.roles.changes
            if change.key not in new
        )
        return (*changed, *self._one_rating_for_all())

    def _one_rating_for_all(self) -> Iterator[str]:
        rated = {one.key for one in self.roles.changes if one.way == FILE_RATING}
        roles = {self.roles.role_of(key) for key in rated}
        values = {one.value for key, one in self.roles.ratings.items() if key in rated}
        if len(rated) >= _MANY and rated == self.names.keys() and len(roles) == len(values) == 1:
            yield (
                f"all {counted(len(rated), 'picture')} are {roles.pop().value} by the rating "
                f"{values.pop()}, which some viewers, such as darktable, give to every picture "
                "that they open; "
                "if nobody gave it, decide on the board"
            )

    @property
    def caption_sentences(self) -> tuple[str, ...]:
        """What to say about captions that stay out, and what the repeats of folders mean here."""
        kept = (
            f"{self.names.get(key, key)} keeps the caption of the project; {one.file} says: "
            f"{one.text}"
            for key, one in self.captions.kept_out.items()
        )
        unread = (f"{path} is not read as a caption: {why}" for path, why in self.captions.unread)
        return (*kept, *unread)

    def folder_sentences(self, own: Repeats | None) -> tuple[str, ...]:
        """What to say about folders such as 5_fox; `own` are the manifest's repeats, by hand."""
        reported = []
        for one in self.numbered:
            here = repeats_of(own, one.role) if own else None
            said = f"{one.name}: {counted(one.pictures, 'picture')}, "
            said += f"{counted(one.repeats, 'repeat')}, {one.role.value}"
            if one.role is not Role.OUT and here != one.repeats:
                chosen = f"here {here}" if own else "here chosen by the influence"
                said += f"; {chosen}: write dataset.repeats.{one.role.value}: {one.repeats}"
            reported.append(said)
        return tuple(reported)

    @property
    def known_sentences(self) -> tuple[str, ...]:
        """What to say about pictures that are not imported again."""
        before = len(self.known) - self.copies
        copies = counted(self.copies, "exact copy of another", "exact copies of others")
        return (
            *([f"{before} already imported"] if before else []),
            *([f"left out: {copies} in {self.folder}"] if self.copies else []),
        )

    @property
    def alike_sentences(self) -> tuple[str, ...]:
        """What to say about near-duplicates."""
        return tuple(
            f"{self.names[one.second]} looks like a {one.kind.value} of {self.names[one.first]}"
            for one in self.alike
            if one.first in self.names and one.second in self.names
        )

    def count(self, role: Role) -> int:
        """Return how many new pictures have this role."""
        return sum(1 for one in self.new if one.role is role)


_BY_PLUGIN = frozenset({".heic", ".heif", ".hif", ".avif", ".jxl"})


def plan_import(
    project: Project,
    folder: Path,
    *,
    roles: Mapping[str, Role] | None = None,
    rename: bool = False,
    progress: ProgressHandler = silent,
) -> ImportPlan:
    """Look at every picture in `folder` and plan what to take in; the project's own do not count.

    Broken pictures are left out and named, and so is the second of two that share a stem, unless
    `rename`. Raises MissingError (no folder; no pictures), DamagedError, MachineError or InputError
    (not one that can be taken in) or ConflictError (inside the project).
    """
    root = project.root.resolve()
    if folder.resolve().is_relative_to(root):
        raise ConflictError(
            "LL204",
            f"{folder} is inside the project.",
            "Import from the folder where you collect your pictures.",
        )
    found = _outside(find_pictures(folder), root)
    unread = tuple(_outside(find_other_pictures(folder), root))
    if not found and not unread:
        raise MissingError(
            "LL201",
            f"{folder} contains no pictures.",
            "loraloom looks for png, jpg, webp, tiff and other picture files, also in subfolders.",
        )
    memory = memory_of(project)
    index = read_index(project, memory)
    stems = {_stem_key(place): project.source_dir / place for place in index.values()}
    finder = CaptionFinder(folder, project.manifest.captions.caption_extension)
    thumbs = project.cache_dir / "thumbs"
    planner = _ImportPlanner(folder, memory, thumbs, index, stems, dict(roles or {}), finder)
    for number, path in enumerate(found):
        progress(Progress("Reading pictures", number, len(found), path.name))
        planner.look_at(path, rename=rename)
    progress(Progress("Reading pictures", len(found), len(found)))
    planner.require_some()
    numbered = planner.roles_of_numbers(project.manifest.dataset.repeats or Repeats())
    with DecisionStore(project.reviews_db) as store:
        rated, ratings = rating_source(project.manifest, planner.ratings)
        own = {project.source_dir / place: key for key, place in index.items()}
        plan = plan_roles(
            store,
            [
                folder_source(project, own),
                rated,
                RoleSource(IMPORT_FOLDER, planner.folder_roles),
                asked_source("roles file", planner.asked),
            ],
            ratings,
        )
        captions = _plan_captions(planner.captions, finder, store)
    new = tuple(planner.with_roles(plan, rename=rename))
    if planner.clashes and not new and not planner.known:
        raise planner.clashes[0]
    names = {key: place.as_posix() for key, place in index.items()}
    names |= {one.key: one.origin.relative_to(folder).as_posix() for one in new}
    facts = {key: one for key, one in memory.all_facts().items() if key in names}
    alike = find_alike(facts, {one.key for one in new}) if new else ()
    return ImportPlan(
        folder,
        new,
        tuple(planner.known),
        planner.copies,
        tuple(planner.broken),
        unread,
        plan,
        alike,
        names,
        memory,
        captions,
        numbered,
    )


_MANY = 10
"""Fewer pictures may all have one rating because somebody thinks so."""

_REPEATS = frozenset(map(str, range(501)))
"""Numbers before `_` that are taken for repeats; 2026_holiday is a year."""

CAPTION_BESIDE = "caption beside the picture"


def _plan_captions(
    found: Mapping[str, FoundCaption], finder: CaptionFinder, store: DecisionStore
) -> CaptionIntake:
    """Take captions in where the project has none, or one that came from there, too."""
    held = store.current(DecisionKind.CAPTION)
    new: dict[str, FoundCaption] = {}
    kept_out: dict[str, FoundCaption] = {}
    for key, caption in found.items():
        own = held.get(key)
        if own is not None and own.value == _edit_of(caption):
            continue
        is_free = own is None or own.value is None or own.way == CAPTION_BESIDE
        (new if is_free else kept_out)[key] = caption
    return CaptionIntake(new, kept_out, tuple(finder.unread))


def _edit_of(caption: FoundCaption) -> Mapping[str, Any] | None:
    return value_of_edit(CaptionEdit(text=caption.text))


def _outside(paths: Iterable[Path], root: Path) -> list[Path]:
    """Leave out what lies in the project; folders are looked at once, for there are many files."""
    inside: dict[Path, bool] = {}
    found = []
    for path in paths:
        parent = path.parent
        if parent not in inside:
            inside[parent] = parent.resolve().is_relative_to(root)
        if not inside[parent]:
            found.append(path)
    return found


class _ImportPlanner:
    """Collects the plan picture by picture, keeping contents and stems unique."""

    def __init__(
        self,
        folder: Path,
        memory: PictureMemory,
        thumbs: Path,
        index: Mapping[str, PurePosixPath],
        stems: dict[str, Path],
        roles: dict[str, Role],
        finder: CaptionFinder,
    ) -> None:
        self._folder, self._memory, self._thumbs, self._index = folder, memory, thumbs, index
        self._stems, self._roles, self._finder = stems, roles, finder
        self._numbers: dict[str, tuple[str, int]] = {}
        self._said_by: dict[Path, tuple[Role | None, tuple[str, int] | None]] = {}
        self._fresh: dict[str, Path] = {}
        self._errors: list[ToolError] = []
        self.clashes: list[InputError] = []
        self.known: list[Path] = []
        self.copies = 0
        self.broken: list[tuple[Path, str]] = []
        self.ratings: dict[str, FileRating | None] = {}
        self.folder_roles: dict[str, Statement] = {}
        self.asked: dict[str, Role] = {}
        self.captions: dict[str, FoundCaption] = {}

    def look_at(self, path: Path, *, rename: bool) -> None:
        try:
            require_utf8(path)
            key = self._key_of(path)
            is_new = key not in self._index and key not in self._fresh
            if is_new:
                upright = open_upright(path)
                self._memory.add_facts(key, facts_of(upright))
                keep_thumbnail(self._thumbs, key, upright)
        except ToolError as error:
            self._errors.append(error)
            self.broken.append((path, error.problem))
            return
        if is_new:
            self._fresh[key] = path
        else:
            self.known.append(path)
            self.copies += key in self._fresh
        self._hear(path, key)

    def _key_of(self, path: Path) -> str:
        try:
            return self._memory.key_of(path)
        except OSError as error:
            raise unreadable(f"The picture {path}", error) from error

    def _hear(self, path: Path, key: str) -> None:
        """Note what the file's rating, its folder and the roles file say; the first of two wins."""
        rating = self._memory.rating_of(path, read_rating)
        if rating is not None:
            self.ratings.setdefault(key, rating)
        if path.parent not in self._said_by:
            self._said_by[path.parent] = _said_by_folder(path.parent.relative_to(self._folder))
        role, numbered = self._said_by[path.parent]
        if role is not None or key not in self.folder_roles:
            self.folder_roles[key] = Statement(role.value if role else None)
        if numbered is not None:
            self._numbers.setdefault(key, numbered)
        caption = self._finder.find(path) if key not in self.captions else None
        if caption is not None:
            self.captions[key] = caption
        if self._roles:
            place = path.relative_to(self._folder).as_posix()
            asked = self._roles.get(path.name) or self._roles.get(place)
            if asked is not None:
                self.asked[key] = asked

    def roles_of_numbers(self, own: Repeats) -> tuple[NumberedFolder, ...]:
        """Give pictures in folders such as 5_fox the role of their repeats; the most are primary.

        0 repeats are not trained, and one number alone is that of the manifest which it equals.
        """
        numbers = {number for _, number in self._numbers.values() if number}
        most = max(numbers, default=0)
        if numbers == {own.supporting} and own.supporting != own.primary:
            most += 1
        folders: dict[str, NumberedFolder] = {}
        for key, (name, number) in self._numbers.items():
            few = Role.SUPPORTING if number else Role.OUT
            role = Role.PRIMARY if number and number == most else few
            self.folder_roles[key] = Statement(role.value)
            count = folders[name].pictures if name in folders else 0
            folders[name] = NumberedFolder(name, number, role, count + 1)
        return tuple(folders.values())

    def require_some(self) -> None:
        """Raise the first error when not one picture could be read."""
        if self._errors and not self._fresh and not self.known:
            raise self._errors[0]

    def with_roles(self, plan: RolePlan, *, rename: bool) -> Iterable[Intake]:
        for key, path in self._fresh.items():
            role = plan.role_of(key)
            try:
                target = self._free_name(path, role, rename=rename)
            except InputError as error:  # one bad pair does not stop the others
                self.clashes.append(error)
                self.broken.append((path, f"{error.problem} {error.cure}"))
                continue
            self._stems[_stem_key(target)] = path
            yield Intake(path, target, key, role)

    def _free_name(self, path: Path, role: Role, *, rename: bool) -> PurePosixPath:
        target = PurePosixPath(role.value, path.name)
        other = self._stems.get(_stem_key(target))
        if other is None:
            return target
        if not rename:
            raise InputError(
                "LL203",
                f"{path} and {other} differ only in their suffix, so they would share one "
                "caption file.",
                "Rename one of the two; --rename gives the new one a number.",
            )
        number = 2
        while _stem_key(target) in self._stems:
            target = PurePosixPath(role.value, f"{path.stem}-{number}{path.suffix}")
            number += 1
        return target


def _said_by_folder(folder: PurePath) -> tuple[Role | None, tuple[str, int] | None]:
    """Return the role that a folder names, or else the innermost one with repeats, and these."""
    role = role_of_path(folder / "picture")
    for part in reversed(folder.parts) if role is None else ():
        number, underscore, name = part.partition("_")
        if underscore and name and number in _REPEATS:
            return None, (part, int(number))
    return role, None


def _stem_key(path: PurePosixPath) -> str:
    """Stems are compared without case, since file systems differ."""
    return path.stem.casefold()


def apply_import(project: Project, plan: ImportPlan, *, progress: ProgressHandler = silent) -> None:
    """Copy the planned pictures into source/ and record the roles; can be stopped and run again.

    Raises MachineError before anything is copied when the disk has no room for all.
    """
    if plan.new_bytes > free_bytes(project.root):
        raise MachineError(
            "LL110",
            f"The disk is full: the new pictures need {plan.new_bytes:,} bytes, "
            f"{free_bytes(project.root):,} are free.",
            "Free some space and run the same command again.",
        )
    with DecisionStore(project.reviews_db) as store:
        apply_roles(store, plan.roles)
        edits = {key: _edit_of(one) for key, one in plan.captions.new.items()}
        store.decide(DecisionKind.CAPTION, edits, CAPTION_BESIDE)
        for number, one in enumerate(plan.new):
            progress(Progress("Copying pictures", number, len(plan.new), one.origin.name))
            target = project.source_dir / one.target
            make_folder(target.parent)
            copy_whole(one.origin, target)
            plan.memory.remember(target, one.key)
        copied = {project.source_dir / one.target: one.key for one in plan.new}
        # where we put it is no decision of a person: only a later move is
        placed = folder_source(project, copied)
        store.note_seen(placed.way, {key: one.value for key, one in placed.statements.items()})
    plan.memory.save()
    progress(Progress("Copying pictures", len(plan.new), len(plan.new)))
    project.journal.append(
        "import",
        folder=str(plan.folder),
        pictures=len(plan.new),
        captions=len(plan.captions.new),
    )


def read_index(project: Project, memory: PictureMemory | None = None) -> dict[str, PurePosixPath]:
    """Return key to place (relative to source/) of every picture that is there."""
    keys = (memory or memory_of(project)).keys_of(source_pictures(project))
    return {
        key: PurePosixPath(path.relative_to(project.source_dir).as_posix())
        for path, key in keys.items()
    }


def source_pictures(project: Project) -> Iterable[Path]:
    """List the project's own pictures; none before the first import."""
    return find_pictures(project.source_dir) if project.source_dir.is_dir() else ()
