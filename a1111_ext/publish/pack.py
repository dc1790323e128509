"""The publish pack: one folder with the LoRA, its sidecars, the pictures, the words, a checklist.

Pictures and LoRA are copied byte for byte; labelled copies differ in their XMP alone. A pack that
its user has edited is never written over.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from kohya_ext.project import MachineError, Progress, ProgressHandler, Project, silent
from kohya_ext.project.files import (
    explain_os_error,
    explained,
    part_beside,
    read_blocks,
    replace_file,
    sha256_of,
    write_json_atomic,
    write_text_atomic,
)
from kohya_ext.project.json_reader import read_json
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.printable import printable

from .ai_label import load_signers, write_labelled
from .card import (
    description,
    description_page,
    hub_card,
    short_description,
    user_metadata,
)
from .check import Check
from .checklist import write_page
from .form import write_form
from .material import Material
from .pack_picture import PackPicture
from .preview import write_preview

RECORD_NAME = "pack.json"
CHECKLIST_NAME = "checklist.html"
FORM_NAME = "civitai.html"
KIND = "loraloom-pack"
_IMAGES = "images"


@dataclass(frozen=True)
class PackFile:
    """One file of a pack: a copy of `source`, labelled as made with AI or not, or `text`."""

    place: PurePosixPath
    source: Path | None = None
    text: str = ""
    is_labelled: bool = False


@dataclass(frozen=True)
class PackPlan:
    """A pack to be written into `folder`, which may hold an older one of ours."""

    folder: Path
    files: tuple[PackFile, ...]
    facts: Mapping[str, Any]

    @property
    def checklist(self) -> Path:
        return self.folder / CHECKLIST_NAME


def plan_pack(project: Project, material: Material, checks: Sequence[Check]) -> PackPlan:
    """Plan every file of a pack; an edited pack of that name stays, the new one gets a number."""
    name = material.promoted.name
    posts = _posts(material)
    places, shown = posts[0], tuple(map(str, posts[0]))
    about = description(material)
    first = material.pictures[0]
    texts = {
        f"{name}.json": user_metadata(material),
        f"{name}.description.txt": short_description(material),
        "description.md": about,
        "description.html": description_page(material),
        "README.md": hub_card(material, shown),
        "preview.html": write_preview(material, [list(map(str, post)) for post in posts]),
        CHECKLIST_NAME: write_page(material, checks, shown, about),
    }
    if material.manifest.subject.kind is not SubjectKind.PERSON:
        texts[FORM_NAME] = write_form(material)
    copies = zip((*places, *chain(*posts[1:])), material.every_picture, strict=True)
    files = [
        PackFile(PurePosixPath(material.promoted.path.name), material.promoted.path),
        _picture(material, PurePosixPath(f"{name}{first.suffix}"), first),
        *(_picture(material, place, one) for place, one in copies),
        *(PackFile(PurePosixPath(place), text=text) for place, text in texts.items()),
    ]
    # Return `wanted`, or the first numbered one that holds nothing of the user's.
    wanted = project.publish_dir / name
    number, folder = 1, wanted
    while folder.exists() and not is_untouched(folder):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return PackPlan(folder, tuple(files), _facts(material, checks))


def _picture(material: Material, place: PurePosixPath, one: PackPicture) -> PackFile:
    return PackFile(place, one.path, is_labelled=material.has_ai_label)


def _posts(material: Material) -> list[tuple[PurePosixPath, ...]]:
    """Return where the pictures go, post by post: each in a folder of its own."""
    folders = [_IMAGES, *(f"follow-up-{one + 1}" for one in range(len(material.follow_ups)))]
    posts = (material.pictures, *material.follow_ups)
    return [_places(folder, post) for folder, post in zip(folders, posts, strict=True)]


_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def _places(folder: str, pictures: Sequence[PackPicture]) -> tuple[PurePosixPath, ...]:
    """Return where the pictures go: numbered, so that every file dialog keeps their order."""
    return tuple(
        PurePosixPath(folder) / f"{number:02d}-{_ODD.sub('_', one.path.stem)}{one.suffix}"
        for number, one in enumerate(pictures, start=1)
    )


def _facts(material: Material, checks: Sequence[Check]) -> dict[str, Any]:
    promoted, manifest = material.promoted, material.manifest
    return {
        "kind": KIND,
        "format": 1,
        "name": promoted.name,
        "title": material.title,
        "trigger_word": manifest.trigger_word,
        "epochs": promoted.epoch,
        "steps": promoted.steps,
        "weight": material.weight,
        "base_model": material.base_model,
        "source_link": manifest.publish.source_link,
        "autov2": promoted.autov2,
        "autov3": promoted.autov3,
        "sha256": promoted.sha256,
        "simulated": material.is_simulated,
        "follow_ups": [len(post) for post in material.follow_ups],
        "ai_label": material.has_ai_label,
        "content": material.content.as_dict() if material.content else None,
        "checks": [
            {"what": one.what, "state": one.state.value, "detail": one.detail} for one in checks
        ],
    }


def is_untouched(folder: Path) -> bool:
    """Tell whether a folder is a pack of ours in which nothing was changed or added."""
    try:
        record = read_json(folder / RECORD_NAME)
        written: dict[str, str] = dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if found != {*written, RECORD_NAME}:
        return False
    return all(sha256_of(folder / place) == digest for place, digest in written.items())


def apply_pack(project: Project, plan: PackPlan, *, on_progress: ProgressHandler = silent) -> Path:
    """Write a pack whole or not at all, and note it. Raises MachineError."""
    beside = part_beside(plan.folder)
    try:
        beside.mkdir(parents=True)
        written = _write_files(beside, plan, on_progress)
        write_json_atomic(beside / RECORD_NAME, {**plan.facts, "files": written})
        _put_in_place(beside, plan.folder)
    except OSError as error:
        raise explain_os_error(error, plan.folder) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    project.journal.append(
        "publish",
        name=plan.facts["name"],
        folder=plan.folder.relative_to(project.root).as_posix(),
        sha256=plan.facts["sha256"],
        pictures=sum(1 for one in plan.files if one.place.parts[0] == _IMAGES),
    )
    return plan.folder


def _write_files(folder: Path, plan: PackPlan, on_progress: ProgressHandler) -> dict[str, str]:
    """Write the files and return the hash of each; a plain copy is compared with its source."""
    written: dict[str, str] = {}
    signers = load_signers() if any(one.is_labelled for one in plan.files) else ()
    for number, one in enumerate(plan.files, start=1):
        target = folder / one.place
        target.parent.mkdir(parents=True, exist_ok=True)
        if one.source is None:
            write_text_atomic(target, printable(one.text))
        elif one.is_labelled:
            write_labelled(one.source, target, signers, plan.facts)
        else:
            _copy(one.source, target)
        written[str(one.place)] = sha256_of(target)
        on_progress(Progress("Pack", number, len(plan.files)))
    return written


def _copy(source: Path, target: Path) -> None:
    with target.open("wb") as writer:
        writer.writelines(read_blocks(source))
    with explained(source, reading=True):
        expected = sha256_of(source)
    if sha256_of(target) != expected:
        raise MachineError(
            "LL111",
            f"{source} could not be copied completely.",
            "Check the disk, and that no other program changes the file; then publish again.",
        )


def _put_in_place(beside: Path, folder: Path) -> None:
    """Move the finished folder to its place; an older pack of ours goes only then."""
    if not folder.exists():
        replace_file(beside, folder)
        return
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    replace_file(folder, old)
    try:
        replace_file(beside, folder)
    except OSError:
        replace_file(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
