"""Staging: from source/ to `images/5_Trigger`, `images/2_Trigger`, as sd-scripts reads them.

Only files that were staged by us are ever moved or removed; captions travel with their picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from ..captions.captioning import carry_written
from ..project import (
    ConflictError,
    InputError,
    MissingError,
    Progress,
    ProgressHandler,
    Project,
    RuleError,
    silent,
)
from ..project.consent import Use
from ..project.content import cure_for_training, find_forbidden
from ..project.decisions import DecisionStore
from ..project.decisions.role_plan import (
    RolePlan,
    apply_roles,
    asked_source,
    folder_source,
    memory_of,
    plan_roles,
)
from ..project.files import (
    Transfer,
    explained,
    link_or_copy,
    make_folder,
    move_file,
    replacing,
    sha256_of,
)
from ..project.json_reader import read_beginning
from ..project.pictures import TRAINER_SUFFIXES, PictureInfo, open_upright, read_picture
from ..project.pictures.memory import PictureMemory
from ..project.shell import shell_path
from ..project.tagging.scores import scores_path
from .intake import source_pictures
from .ratio import Ratio, choose_repeats, ratio_of, repeats_of
from .roles_csv import Role
from .staged import read_staged, write_staged


class Change(str, Enum):
    """What must be done to a picture so that the trainer sees what the eye sees."""

    NONE = "none"
    SHALLOW = "made 8 bits deep"
    UPRIGHT = "turned upright"
    COLOURS = "converted to RGB"
    CONVERTED = "converted to PNG"


@dataclass(frozen=True)
class StagedPicture:
    """One picture: its source and its place relative to images/."""

    source: Path
    target: PurePosixPath
    role: Role
    change: Change
    width: int
    height: int
    is_transparent: bool = False
    key: str = ""
    """What stays when the file is renamed or only its metadata change."""


@dataclass(frozen=True)
class FolderPlan:
    """One folder that sd-scripts reads: the repeats are in its name."""

    name: str
    repeats: int
    pictures: tuple[StagedPicture, ...]

    @property
    def draws(self) -> int:
        """How many pictures this folder gives to one epoch."""
        return self.repeats * len(self.pictures)


@dataclass(frozen=True)
class LayoutPlan:
    """The folders to be there afterwards, and what is staged now but no longer wanted."""

    images_dir: Path
    caption_extension: str
    folders: tuple[FolderPlan, ...]
    dropped: tuple[PurePosixPath, ...]
    ratio: Ratio
    out: tuple[Path, ...] = ()
    """Pictures that somebody left out of the training set."""
    roles: RolePlan | None = None
    role_sentences: tuple[str, ...] = ()
    """What to say about roles that change."""
    memory: PictureMemory | None = None

    @property
    def pictures(self) -> tuple[StagedPicture, ...]:
        return tuple(one for folder in self.folders for one in folder.pictures)


def folder_name(repeats: int, trigger_word: str, class_word: str = "") -> str:
    """Return the name that sd-scripts reads: `5_Trigger` or `5_Trigger class`."""
    return f"{repeats}_{trigger_word} {class_word}".rstrip()


def plan_layout(
    project: Project,
    *,
    roles: Mapping[str, Role] | None = None,
    progress: ProgressHandler = silent,
) -> LayoutPlan:
    """Plan `images/` from source/, roles and the manifest's repeats.

    A role holds until it is changed: by a move to another folder of source/, by `roles` (by file
    name), on the board. Pictures that are out are left out. Raises RuleError (no consent),
    MissingError (nothing imported), DamagedError (broken picture), InputError (a stem that
    repeats; a role for a picture that is not there) or ConflictError (foreign files in images/).
    """
    project.require_consent(Use.TRAINING)
    paths = list(source_pictures(project))
    if not paths:
        raise MissingError(
            "LL201",
            f"{project.source_dir} contains no pictures.",
            f"Import some first: loraloom import {shell_path(project.root)} FOLDER",
        )
    memory = memory_of(project)
    keys = memory.keys_of(paths)
    with DecisionStore(project.reviews_db) as store:
        asked = asked_source("roles file", _asked(keys, roles or {}))
        chosen = plan_roles(store, [folder_source(project, keys), asked])
    _require_own_stems(project, paths)
    trained: list[tuple[PictureInfo, Role]] = []
    out = []
    for number, path in enumerate(paths):
        progress(Progress("Reading pictures", number, len(paths), path.name))
        role = chosen.role_of(keys.get(path, ""))
        if role is Role.OUT:
            out.append(path)
            continue
        trained.append((read_picture(path), role))
    progress(Progress("Reading pictures", len(paths), len(paths)))
    settings, primary = project.manifest.dataset, sum(role is Role.PRIMARY for _, role in trained)
    chosen_repeats = choose_repeats(settings, primary, len(trained) - primary)
    folders: dict[int, list[StagedPicture]] = {}
    for info, role in trained:
        repeats = repeats_of(chosen_repeats, role)
        picture = _plan_picture(project, info, role, repeats, keys.get(info.path, ""))
        folders.setdefault(repeats, []).append(picture)
    _require_decent(project, [one for pictures in folders.values() for one in pictures])
    wanted = {one.target for pictures in folders.values() for one in pictures}
    staged = read_staged(project.images_dir)
    _require_no_foreign_files(project.images_dir, staged)
    dropped = tuple(sorted(target for target in staged if target not in wanted))
    extension = project.manifest.captions.caption_extension
    plans = tuple(
        FolderPlan(_folder(project, repeats), repeats, tuple(pictures))
        for repeats, pictures in sorted(folders.items(), reverse=True)
    )
    names = {key: path.name for path, key in keys.items()}
    said = tuple(chosen.sentence_of(one, names[one.key]) for one in chosen.changes)
    ratio = ratio_of(settings, ((role, repeats_of(chosen_repeats, role)) for _, role in trained))
    return LayoutPlan(
        project.images_dir, extension, plans, dropped, ratio, tuple(out), chosen, said, memory
    )


def _require_decent(project: Project, pictures: Sequence[StagedPicture]) -> None:
    """Raise RuleError naming every picture that its scores or its caption forbid."""
    extension = project.manifest.captions.caption_extension
    looked_at: list[tuple[Path, str]] = []
    name_of: dict[Path, str] = {}
    for one in pictures:
        staged = project.images_dir / one.target
        caption = staged.with_suffix(extension)
        text = read_beginning(caption) if caption.is_file() else ""
        for path in (one.source, staged):
            looked_at.append((path, text))
            name_of[path] = one.source.name
    found = {
        name_of[path]: signs
        for path, signs in find_forbidden(looked_at, project.scores_dir).items()
    }
    if found:
        named = "; ".join(f"{name} ({one.minor}, {one.sexual})" for name, one in found.items())
        raise RuleError(
            "LL258",
            f"Signs of a minor together with something sexual, in {project.source_dir}: {named}.",
            cure_for_training(shell_path(project.root), found),
        )


def _folder(project: Project, repeats: int) -> str:
    return folder_name(repeats, project.manifest.trigger_word, project.manifest.class_word)


def _asked(keys: Mapping[Path, str], roles: Mapping[str, Role]) -> dict[str, Role]:
    """Return the roles of a roles file by key."""
    by_name = {path.name: key for path, key in keys.items()}
    found = {}
    for name, role in roles.items():
        key = by_name.get(PurePosixPath(name).name)
        if key is None:
            raise InputError(
                "LL205",
                f'The roles file names "{name}", but no imported picture has this name.',
                "Correct the name, or import the picture first.",
            )
        found[key] = role
    return found


def _require_own_stems(project: Project, paths: Sequence[Path]) -> None:
    """Raise InputError naming every two pictures that somebody gave one stem by hand."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.stem.casefold(), []).append(path)
    clashes = [group for group in groups.values() if len(group) > 1]
    if clashes:
        named = "; ".join(
            " and ".join(one.relative_to(project.root).as_posix() for one in group)
            for group in clashes
        )
        staged = {place.stem for place in read_staged(project.images_dir)}  # it has a caption
        last = min(clashes[0], key=lambda one: one.stem in staged)
        free = next(
            f"{last.stem}-{number}"
            for number in range(2, len(paths) + 3)
            if f"{last.stem}-{number}".casefold() not in groups
        )
        raise InputError(
            "LL203",
            f"{named} differ only in their suffix, so they would share one caption file.",
            f'Rename all but one in {project.source_dir}, for example "{last.name}" to '
            f'"{free}{last.suffix}": roles and edited captions follow the picture itself.',
        )


def _plan_picture(
    project: Project, info: PictureInfo, role: Role, repeats: int, key: str
) -> StagedPicture:
    suffix = info.path.suffix.lower()  # sd-scripts skips mixed case such as .PnG
    change = Change.NONE
    if suffix not in TRAINER_SUFFIXES:
        change, suffix = Change.CONVERTED, ".png"
    elif not info.is_upright:
        change = Change.UPRIGHT
    elif info.is_deep:
        change = Change.SHALLOW
    elif info.is_other_colour:
        change = Change.COLOURS
    sideways = info.orientation in (5, 6, 7, 8)
    width, height = (info.height, info.width) if sideways else (info.width, info.height)
    folder = _folder(project, repeats)
    target = PurePosixPath(folder, info.path.stem + suffix)
    return StagedPicture(info.path, target, role, change, width, height, info.is_transparent, key)


def _require_no_foreign_files(images_dir: Path, staged: Mapping[PurePosixPath, str]) -> None:
    if not images_dir.is_dir():
        return
    for path in sorted(images_dir.glob("*/*")):
        place = PurePosixPath(path.parent.name, path.name)
        if path.suffix.lower() in TRAINER_SUFFIXES and place not in staged:
            raise ConflictError(
                "LL207",
                f"{path} was not staged by loraloom and would be trained anyway.",
                "Move it out of images/, and import it if it belongs to the set.",
            )


def apply_layout(
    project: Project, plan: LayoutPlan, *, progress: ProgressHandler = silent
) -> dict[str, int]:
    """Make images/ as planned; return how many pictures came by link, copy, change or stayed.

    Stopped at any point, the next run completes it: what is about to appear is recorded first, and
    as finished only at the end. Raises MachineError (disk full).
    """
    old = read_staged(plan.images_dir)
    heirs = _heirs(plan.pictures, old)
    marks = {one.target: _mark(one) for one in plan.pictures}
    make_folder(plan.images_dir)
    write_staged(plan.images_dir, {**dict.fromkeys(marks, ""), **old})
    if plan.roles is not None:
        with DecisionStore(project.reviews_db) as store:
            apply_roles(store, plan.roles)
    if plan.memory is not None:
        plan.memory.save()
    counts = {"linked": 0, "copied": 0, "changed": 0, "kept": 0}
    _carry_scores(project, plan, heirs, old)
    moved = _make_room(project, plan, heirs, old)
    if moved:  # stopped from here on, the next run must not take a new caption for the old one
        write_staged(plan.images_dir, {**dict.fromkeys(marks, ""), **old, **moved})
    _take_back_captions(project, plan)
    for number, one in enumerate(plan.pictures):
        progress(Progress("Staging", number, len(plan.pictures), one.target.name))
        counts[_stage_one(plan, one, old)] += 1
    write_staged(plan.images_dir, marks)
    progress(Progress("Staging", len(plan.pictures), len(plan.pictures)))
    project.journal.append(
        "stage",
        folders={folder.name: len(folder.pictures) for folder in plan.folders},
        **counts,
    )
    return counts


def _mark(one: StagedPicture) -> str:
    status = one.source.stat()
    return f"{status.st_size}-{status.st_mtime_ns}-{one.key}"


def _key_of_mark(mark: str) -> str:
    """Return the key in a mark; "" for what was never finished."""
    return mark.rpartition("-")[2]


def _heirs(
    pictures: Sequence[StagedPicture], old: Mapping[PurePosixPath, str]
) -> dict[PurePosixPath, StagedPicture]:
    """Return for each staged place the picture whose caption lies there: the same pixels, under
    whatever name, else another edition that has the name now.
    """
    signs: tuple[Callable[[PurePosixPath, str], tuple[str, ...]], ...] = (
        lambda place, key: (place.stem.casefold(), key),
        lambda _, key: (key,),
        lambda place, _: (place.stem.casefold(),),
    )
    free = {one.target: one for one in pictures}
    heirs: dict[PurePosixPath, StagedPicture] = {}
    for sign in signs:
        wanted = {sign(one.target, one.key): one for one in free.values()}
        for place, mark in old.items():
            if place in heirs:
                continue
            one = wanted.pop(sign(place, _key_of_mark(mark)), None)
            if one is not None:
                heirs[place] = free.pop(one.target)
    return heirs


def _carry_scores(
    project: Project,
    plan: LayoutPlan,
    heirs: Mapping[PurePosixPath, StagedPicture],
    old: Mapping[PurePosixPath, str],
) -> None:
    """Keep the scores of a picture whose metadata changed, as by a rating: its pixels did not."""
    for place, one in heirs.items():
        staged, mark = plan.images_dir / place, old[place]
        is_same = _key_of_mark(mark) == one.key and mark != _mark(one)
        if one.change is not Change.NONE or not is_same or not staged.is_file():
            continue
        known = scores_path(project.scores_dir, sha256_of(staged))
        wanted = scores_path(project.scores_dir, sha256_of(one.source))
        if known.is_file() and not wanted.exists():
            link_or_copy(known, wanted)


def _make_room(
    project: Project,
    plan: LayoutPlan,
    heirs: Mapping[PurePosixPath, StagedPicture],
    old: Mapping[PurePosixPath, str],
) -> dict[PurePosixPath, str]:
    """Move captions along or aside, then remove what is no longer wanted; return the places that
    are done with, as marks.

    Not later: where names differ in case only, Windows and macOS see one file.
    """
    targets = {one.target for one in plan.pictures}
    moved: dict[PurePosixPath, str] = {}
    aside: list[tuple[Path, Path]] = []
    along: list[tuple[Path, Path]] = []
    for place, mark in old.items():
        heir = heirs.get(place)
        is_unfinished = heir is None and not mark and place in targets
        if is_unfinished or (heir is not None and heir.target == place):
            continue
        moved[place] = ""
        caption = (plan.images_dir / place).with_suffix(plan.caption_extension)
        if heir is not None and heir.target.stem.casefold() == place.stem.casefold():
            target = plan.images_dir / heir.target
            along.append((caption, target.with_suffix(plan.caption_extension)))
        else:
            name = f"{place.stem}.{_key_of_mark(mark)[:_KEY_LETTERS]}{plan.caption_extension}"
            aside.append((caption, project.captions_dir / name))
    _move_captions(project, aside + along)
    for place in plan.dropped:
        path = plan.images_dir / place
        with explained(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
    return moved


_KEY_LETTERS = 16


def _take_back_captions(project: Project, plan: LayoutPlan) -> None:
    """Bring captions back that were put aside while their picture was left out or renamed."""
    if not project.captions_dir.is_dir():
        return
    kept = {
        path.stem.rpartition(".")[2]: path
        for path in sorted(project.captions_dir.glob(f"*{plan.caption_extension}"))
    }
    found = []
    for one in plan.pictures:
        caption = (plan.images_dir / one.target).with_suffix(plan.caption_extension)
        path = kept.pop(one.key[:_KEY_LETTERS], None)
        if path is not None and not caption.exists():
            found.append((path, caption))
    _move_captions(project, found)


def _move_captions(project: Project, moves: Sequence[tuple[Path, Path]]) -> None:
    """Move captions, and what is noted of them first: else they would count as made by hand."""
    present = [(caption, target) for caption, target in moves if caption.is_file()]
    carry_written(project, {caption.stem: target.stem for caption, target in present})
    for caption, target in present:
        make_folder(target.parent)
        move_file(caption, target)


def _stage_one(plan: LayoutPlan, one: StagedPicture, old: Mapping[PurePosixPath, str]) -> str:
    target = plan.images_dir / one.target
    make_folder(target.parent)
    if target.exists():
        if old.get(one.target) == _mark(one):
            return "kept"
        with explained(target):
            target.unlink()
    if one.change is not Change.NONE:
        _write_upright(one.source, target)
        return "changed"
    return "linked" if link_or_copy(one.source, target) is Transfer.HARDLINK else "copied"


def _write_upright(source: Path, target: Path) -> None:
    picture = open_upright(source)
    with replacing(target) as stream:
        if target.suffix in (".jpg", ".jpeg"):
            picture.convert("RGB").save(stream, "JPEG", quality=95, subsampling=0)
        elif target.suffix == ".webp":
            picture.save(stream, "WEBP", lossless=True)
        elif target.suffix == ".bmp":
            picture.save(stream, "BMP")
        else:
            picture.save(stream, "PNG")
