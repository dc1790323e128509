"""Hand-made changes to captions, kept as differences so that the rules can change beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..project import DamagedError, Project
from ..project.decisions import DecisionKind, DecisionStore
from ..project.decisions.role_plan import memory_of
from ..project.files import move_file
from ..project.json_reader import read_json, require_texts
from ..project.pictures import find_pictures
from ..project.tagging import tag_key
from .rules import format_caption, parse_tags


@dataclass(frozen=True)
class CaptionEdit:
    """Tags that a person added, removed or put in order; or, when `text` is set, the whole line.

    Tags that the order does not name come last, as the rules have them.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    text: str = ""
    order: tuple[str, ...] = ()


def find_edit(written: str, present: str, prefix: str) -> CaptionEdit | None:
    """Return how `present` (in the file now) differs from what we wrote; None when it does not.

    `prefix` is the one that `written` begins with: the manifest may have another by now. When a
    hand changed the prefix itself, the whole line counts as hand-made.
    """
    present = " ".join(present.removeprefix("\ufeff").split())
    if present == written.strip():
        return None
    before, after = parse_tags(written), parse_tags(present)
    head = parse_tags(prefix)
    if before[: len(head)] != head:  # written with a prefix that is not known: one tag, as usual
        head = before[:1]
    if after[: len(head)] != head:
        return CaptionEdit(text=present)
    found = edit_for(written, before[len(head) :], prefix, after[len(head) :])
    if found and found.order and _same_order(before, after):  # added ones come last, as always
        return CaptionEdit(found.added, found.removed) if found.added or found.removed else None
    return found


def _same_order(before: Sequence[str], after: Sequence[str]) -> bool:
    """Tell whether the tags in both follow each other in the same way."""
    old, new = ([*dict.fromkeys(map(tag_key, tags))] for tags in (before, after))
    return [one for one in old if one in new] == [one for one in new if one in old]


def merge_edits(old: CaptionEdit | None, new: CaptionEdit) -> CaptionEdit:
    """Return both edits as one; the newer one wins where they disagree."""
    if old is None or new.text:
        return new
    if old.text:
        return CaptionEdit(text=apply_edit(old.text, parse_tags(old.text), "", new))
    gone = {tag_key(tag) for tag in new.removed}
    back = {tag_key(tag) for tag in new.added}
    added = (*(tag for tag in old.added if tag_key(tag) not in gone), *new.added)
    removed = (*(tag for tag in old.removed if tag_key(tag) not in back), *new.removed)
    return CaptionEdit(
        added=tuple(dict.fromkeys(added)),
        removed=tuple(dict.fromkeys(removed)),
        order=new.order or old.order,
    )


def apply_edit(line: str, tags: tuple[str, ...], prefix: str, edit: CaptionEdit | None) -> str:
    """Return the caption with the edit; `line` is what the rules alone give."""
    if edit is None:
        return line
    if edit.text:
        return edit.text
    return format_caption(prefix, edited_tags(tags, edit))


def edited_tags(tags: tuple[str, ...], edit: CaptionEdit) -> tuple[str, ...]:
    """Return the rules' tags as a person wants them; not for an edit of the whole line."""
    gone = {tag_key(tag) for tag in edit.removed}
    kept = [tag for tag in tags if tag_key(tag) not in gone]
    keys = {tag_key(tag) for tag in kept}
    found = [*kept, *(tag for tag in edit.added if tag_key(tag) not in keys)]
    places = {tag_key(tag): number for number, tag in enumerate(edit.order)}
    return tuple(sorted(found, key=lambda tag: places.get(tag_key(tag), len(places))))


def edit_for(
    line: str, tags: tuple[str, ...], prefix: str, wanted: Sequence[str]
) -> CaptionEdit | None:
    """Return the edit that makes of the rules' tags the wanted ones in their order; None: none."""
    keys, wanted_keys = [tag_key(tag) for tag in tags], [tag_key(tag) for tag in wanted]
    added = tuple(tag for tag in wanted if tag_key(tag) not in keys)
    removed = tuple(tag for tag in tags if tag_key(tag) not in wanted_keys)
    edit = CaptionEdit(added=added, removed=removed)
    plain = edited_tags(tags, edit)
    if [tag_key(tag) for tag in plain] != wanted_keys:
        edit = CaptionEdit(added=added, removed=removed, order=tuple(wanted))
    return edit if edit != CaptionEdit() else None


def edit_from_value(value: Mapping[str, Any] | None) -> CaptionEdit | None:
    """Read an edit from the store of decisions; ValueError for anything else."""
    if value is None:
        return None
    try:
        lists = {name: require_texts(value.get(name, [])) for name in _LISTS}
        (text,) = require_texts([value.get("text", "")])
        return CaptionEdit(**lists, text=text)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{value!r} is not a caption edit") from error


def value_of_edit(edit: CaptionEdit | None) -> dict[str, Any] | None:
    """Return an edit as plain values, without what is empty; None takes an earlier one back."""
    if edit is None:
        return None
    values = {**{name: list(getattr(edit, name)) for name in _LISTS}, "text": edit.text}
    return {name: value for name, value in values.items() if value}


_LISTS = ("added", "removed", "order")


class EditBook:
    """The caption edits of a project by stem: in reviews.db, under the key of the picture.

    Files of an earlier loraloom in captions/ are taken over by `save`, and stay as NAME.json.moved.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        memory = memory_of(project)
        pictures = find_pictures(project.source_dir) if project.source_dir.is_dir() else ()
        found = memory.keys_of(pictures)
        self._keys = {path.stem.casefold(): key for path, key in found.items()}
        with DecisionStore(project.reviews_db) as store:
            values = store.values(DecisionKind.CAPTION)
        try:
            self._edits = {key: edit_from_value(value) for key, value in values.items()}
        except ValueError as error:
            raise DamagedError(
                "LL254",
                f"A caption edit in {project.reviews_db} cannot be read: {error}.",
                "Restore the file from a backup.",
            ) from error
        self._old = self._read_old_files()

    def key_of(self, stem: str) -> str:
        """Return what a picture's edits are kept under: its key, or its name without a source."""
        return self._keys.get(stem.casefold(), f"name:{stem.casefold()}")

    def find(self, stem: str) -> CaptionEdit | None:
        """Return the edit of a picture, or None."""
        key = self.key_of(stem)
        found = self._edits.get(key)
        return found if found is not None or key in self._edits else self._old.get(key)

    def save(self, edits: Mapping[str, CaptionEdit | None], way: str) -> None:
        """Keep edits by stem. Raises MachineError or DamagedError."""
        with DecisionStore(self._project.reviews_db) as store:
            folder = self._project.captions_dir
            for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
                at = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
                value = {self.key_of(path.stem): value_of_edit(_read_file(path))}
                store.move_in(f"captions/{path.name}", [(DecisionKind.CAPTION, value)], at)
                move_file(path, path.with_name(f"{path.name}.moved"))
            values = {self.key_of(stem): value_of_edit(edit) for stem, edit in edits.items()}
            store.decide(DecisionKind.CAPTION, values, way)
        self._edits |= {self.key_of(stem): edit for stem, edit in edits.items()}

    def _read_old_files(self) -> dict[str, CaptionEdit]:
        folder = self._project.captions_dir
        files = sorted(folder.glob("*.json")) if folder.is_dir() else ()
        found = {self.key_of(path.stem): _read_file(path) for path in files}
        return {key: edit for key, edit in found.items() if edit is not None}


def _read_file(path: Path) -> CaptionEdit | None:
    try:
        return edit_from_value(read_json(path))
    except (OSError, ValueError) as error:
        raise DamagedError(
            "LL254",
            f"The caption edit {path} cannot be read: {error}.",
            "Correct it, or delete it to use the caption rules again.",
        ) from error
