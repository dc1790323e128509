"""Hand-made changes to captions, kept as differences so that the rules can change beneath them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..project import DamagedError
from ..project.files import write_json_atomic
from ..project.json_reader import read_json
from .rules import format_caption, parse_tags, tag_key


@dataclass(frozen=True)
class CaptionEdit:
    """Tags that a person added or removed; or, when `text` is set, the whole line."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    text: str = ""


def find_edit(written: str, present: str, prefix: str) -> CaptionEdit | None:
    """Return how `present` (in the file now) differs from what we wrote; None when it does not.

    When the prefix itself was changed, or the order, the whole line counts as hand-made.
    """
    present = present.strip().removeprefix("\ufeff")
    if present == written.strip():
        return None
    before, after = parse_tags(written), parse_tags(present)
    head = parse_tags(prefix)
    if head and after[: len(head)] != head:
        return CaptionEdit(text=present)
    keys_before = {tag_key(tag) for tag in before}
    keys_after = {tag_key(tag) for tag in after}
    added = tuple(tag for tag in after if tag_key(tag) not in keys_before)
    removed = tuple(tag for tag in before if tag_key(tag) not in keys_after)
    if not added and not removed:
        return CaptionEdit(text=present)
    return CaptionEdit(added=added, removed=removed)


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
    return CaptionEdit(added=tuple(dict.fromkeys(added)), removed=tuple(dict.fromkeys(removed)))


def apply_edit(line: str, tags: tuple[str, ...], prefix: str, edit: CaptionEdit | None) -> str:
    """Return the caption with the edit; `line` is what the rules alone give."""
    if edit is None:
        return line
    if edit.text:
        return edit.text
    gone = {tag_key(tag) for tag in edit.removed}
    kept = [tag for tag in tags if tag_key(tag) not in gone]
    keys = {tag_key(tag) for tag in kept}
    return format_caption(prefix, [*kept, *(tag for tag in edit.added if tag_key(tag) not in keys)])


def edit_path(folder: Path, stem: str) -> Path:
    """Return where the edit of a picture is kept."""
    return folder / f"{stem}.json"


def read_edit(folder: Path, stem: str) -> CaptionEdit | None:
    """Return the stored edit of a picture. Raises DamagedError for a damaged file."""
    path = edit_path(folder, stem)
    if not path.exists():
        return None
    try:
        data = read_json(path)
        return CaptionEdit(
            tuple(data.get("added", ())), tuple(data.get("removed", ())), data.get("text", "")
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DamagedError(
            "LL254",
            f"The caption edit {path} cannot be read: {error}.",
            "Correct it, or delete it to go back to the rules.",
        ) from error


def write_edit(folder: Path, stem: str, edit: CaptionEdit) -> None:
    """Store an edit atomically."""
    data = {"added": list(edit.added), "removed": list(edit.removed), "text": edit.text}
    write_json_atomic(edit_path(folder, stem), {key: value for key, value in data.items() if value})
