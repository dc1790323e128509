"""Captions on the board: what the rules gave, what a hand changed, and edits of many at once.

An edit is planned as texts before and after; applied, it is a decision in reviews.db, and the
caption files follow it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ..dataset.staged import read_staged
from ..project import Project, ToolError
from ..project.clip_tokens import ClipTokens
from ..project.files import sha256_of
from ..project.json_reader import read_text
from ..project.tagging import Scores, read_scores, tag_key
from ..project.tagging.framing import framing_of
from ..project.tagging.vocabulary import Category, find_vocabulary
from .captioning import (
    PlannedCaption,
    clip_tokens_of,
    edit_in_file,
    read_caption,
    read_rules,
    read_written,
    write_captions,
)
from .edits import (
    CaptionEdit,
    EditBook,
    apply_edit,
    edit_for,
    edit_from_value,
    edited_tags,
    merge_edits,
    value_of_edit,
)
from .rules import above_thresholds, caption_tags, format_caption, parse_tags, spelled
from .sinking import EXTRACT, IMBUE, sound_choices, tag_choices, tag_presets
from .tag_table import count_tags, preset_rows, tag_table

_MOST_SUGGESTIONS = 12


@dataclass(frozen=True)
class Source:
    """What a picture's caption is made of: the rules' tags, or the text of a file without scores.

    `place` is the caption file relative to images/; None for a picture that is not staged.
    """

    stem: str
    place: PurePosixPath | None
    tags: tuple[str, ...]
    text: str | None
    framing: str = ""
    scores: Scores | None = None
    """What lies above the thresholds: enough for every choice of tags."""


@dataclass(frozen=True)
class Caption:
    """One caption as it is shown: its text, its tags, and which of them a hand changed."""

    text: str
    tags: tuple[str, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    is_by_hand: bool = False
    is_whole_line: bool = False
    framing: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is empty is left out."""
        values = {
            "text": self.text,
            "tags": list(self.tags),
            "added": list(self.added),
            "removed": list(self.removed),
            "hand": self.is_by_hand,
            "line": self.is_whole_line,
            "framing": self.framing,
        }
        return {name: value for name, value in values.items() if value}


class CaptionDesk:
    """The captions of a project's pictures by their keys; the caller keeps the decisions."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._choices = tag_choices(project)
        self._rules = read_rules(project, self._choices)
        self._lock = threading.RLock()
        self._writer: threading.Thread | None = None
        self._clip: ClipTokens | None = None
        book = EditBook(self._project)
        extension = self._project.manifest.captions.caption_extension
        found = {}
        for place in sorted(read_staged(self._project.images_dir)):
            path = self._project.images_dir / place
            if not path.is_file():
                continue
            caption = place.with_suffix(extension)
            scores = read_scores(self._project.scores_dir, sha256_of(path))
            found[book.key_of(place.stem)] = self._source_of(caption, scores)
        self._sources = found
        self._vocabulary: tuple[str, ...] | None = None

    @property
    def prefix(self) -> str:
        """What every caption begins with."""
        return self._rules.head

    def captions(self, edits: Mapping[str, Any]) -> dict[str, Caption]:
        """Return all captions with the edits that hold, by key."""
        return {key: self.caption(key, edits.get(key)) for key in self._sources}

    def caption(self, key: str, value: Mapping[str, Any] | None) -> Caption:
        """Return one caption with its edit."""
        return self._caption_of(self._sources[key], value)

    def _caption_of(self, source: Source, value: Mapping[str, Any] | None) -> Caption:
        edit = edit_from_value(value)
        if edit is None and source.text is None and source.scores is None:
            return Caption("", ())
        if edit is None or (edit.text and source.text == edit.text):
            tags = source.tags if source.text is None else self._tags_of(source.text)
            text = format_caption(self._rules.prefix, tags) if source.text is None else source.text
            return Caption(text, tags, is_by_hand=edit is not None, framing=source.framing)
        text = apply_edit("", source.tags, self._rules.prefix, edit)
        if edit.text:
            return Caption(
                text,
                self._tags_of(text),
                is_by_hand=True,
                is_whole_line=True,
                framing=source.framing,
            )
        tags = edited_tags(source.tags, edit)
        return Caption(text, tags, edit.added, edit.removed, True, False, source.framing)

    # -- imbue or extract ---------------------------------------------------------------------

    def tags(self) -> dict[str, Any]:
        """Return every tag of the set with its count and fate, and presets, as plain values."""
        rules = self._rules
        counts = count_tags(
            parse_tags(one.text or "")[len(parse_tags(rules.head)) :]
            if one.scores is None
            else (*one.scores.general, *one.scores.character)
            for one in self._sources.values()
        )
        rows = tag_table(counts, self._rules, self._choices)
        return {
            "word": self._project.manifest.trigger_word,
            "pictures": len(self._sources),
            "rows": [one.as_list() for one in rows],
            "presets": preset_rows(tag_presets(self._project), counts),
        }

    def chosen(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return decisions as the store keeps them, by key; ValueError for what is not one."""
        wrong = [one for one in values.values() if one not in (IMBUE, EXTRACT, None)]
        if not values or wrong:
            raise ValueError(
                f"{wrong[0]!r} is not a choice for a tag" if wrong else "no tag is given"
            )
        return {tag_key(tag): value for tag, value in values.items()}

    def preview_tags(
        self, values: Mapping[str, Any], edits: Mapping[str, Any]
    ) -> list[tuple[str, str, str]]:
        """Return key, text before and text after of each caption that decisions would change."""
        choices = sound_choices({**self._choices, **self.chosen(values)})
        after = self._retagged(choices)
        return [
            (key, before, text)
            for key, source in after.items()
            if (before := self.caption(key, edits.get(key)).text)
            != (text := self._caption_of(source, edits.get(key)).text)
        ]

    def choose_tags(self, values: Mapping[str, Any]) -> None:
        """Let the decisions that hold now take effect on every caption."""
        choices = sound_choices(values)
        if choices == self._choices:
            return
        with self._lock:
            self._sources = self._retagged(choices)
            self._choices, self._rules = choices, read_rules(self._project, choices)

    def _retagged(self, choices: Mapping[str, str]) -> dict[str, Source]:
        rules = read_rules(self._project, choices)
        return {
            key: one if one.scores is None else replace(one, tags=caption_tags(one.scores, rules))
            for key, one in self._sources.items()
        }

    def write_all(self, edits: Mapping[str, Any]) -> None:
        """Let all caption files follow in the background; a later call writes them again."""

        def write() -> None:
            if before is not None:
                before.join()
            self.write({key: edits.get(key) for key in list(self._sources)})

        with self._lock:
            before = self._writer
            self._writer = threading.Thread(target=write, name="loraloom captions")
            self._writer.start()

    def close(self) -> None:
        """Wait until the caption files are written."""
        with self._lock:
            writer = self._writer
        if writer is not None:
            writer.join()

    def count_tokens(self, text: str) -> tuple[int, bool]:
        """Return how many of CLIP's tokens a text has, and whether that is exact."""
        if self._clip is None:
            self._clip = clip_tokens_of(self._project)
        return self._clip.count(text), self._clip.is_exact

    # -- edits --------------------------------------------------------------------------------

    def changed_outside(
        self, keys: Collection[str] | None, edits: Mapping[str, Any]
    ) -> dict[str, dict[str, Any] | None]:
        """Return the edits, by key, with what other programs changed in caption files meanwhile.

        Of all pictures without `keys`. They are to be kept before these files are written again.
        """
        self.close()  # files that we are writing just now are not somebody else's
        known = list(self._sources) if keys is None else [one for one in keys if self.knows(one)]
        written = read_written(self._project)
        found: dict[str, dict[str, Any] | None] = {}
        for key in known:
            source = self._sources[key]
            present = None if source.place is None else self._read(source.place)
            if present is None or source.place is None:
                continue
            value = edits.get(key)
            if source.scores is None:
                text = " ".join(present.split())
                if text and text != self.caption(key, value).text:
                    self._sources[key] = replace(source, text=text)
                    found |= {} if value is None else {key: value_of_edit(CaptionEdit(text=text))}
                continue
            line = format_caption(self._rules.prefix, source.tags)
            asked = (source.place.stem, present, line, self._rules.prefix)
            if edit_in_file(written, *asked):  # ask again: `loraloom caption` may have written it
                edit = edit_in_file(read_written(self._project), *asked)
                if edit:
                    found[key] = value_of_edit(merge_edits(edit_from_value(value), edit))
        return found

    def _read(self, place: PurePosixPath) -> str | None:
        try:
            return read_caption(self._project.images_dir / place)
        except ToolError:
            return None  # writing it names the problem

    def knows(self, key: str) -> bool:
        """Tell whether a picture has a caption, or may get one."""
        return key in self._sources

    def edited(
        self, key: str, value: Mapping[str, Any] | None, change: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Return the edit after a change as plain values; ValueError for a change not known."""
        source, before = self._sources[key], self.caption(key, value)
        kind = change.get("op")
        if kind == "reset":
            return None
        if kind == "text":
            return self._text_edit(source, str(change.get("text", "")))
        wanted = _changed(before.tags, change)
        if before.is_whole_line or source.text is not None:
            return value_of_edit(
                CaptionEdit(text=self._with_tags(before.text, before.tags, wanted))
            )
        line = format_caption(self._rules.prefix, source.tags)
        return value_of_edit(edit_for(line, source.tags, self._rules.prefix, wanted))

    def write(self, values: Mapping[str, Any]) -> None:
        """Let the caption files of staged pictures follow the edits that hold, by key."""
        planned = []
        for key, value in values.items():
            source = self._sources.get(key)
            if source is None or source.place is None:
                continue
            path = self._project.images_dir / source.place
            present = read_caption(path)
            text = self.caption(key, value).text
            planned.append(PlannedCaption(source.place, text, present, None))
        if planned:
            write_captions(self._project, planned, self._rules.head)

    def complete(self, begun: str, counts: Mapping[str, int]) -> list[str]:
        """Return tags that begin with, or hold, what was typed: those of the set first."""
        wanted = tag_key(begun)
        if not wanted:
            return []
        known = list(dict.fromkeys([*sorted(counts, key=lambda tag: -counts[tag]), *self._words()]))
        starts = [tag for tag in known if tag_key(tag).startswith(wanted)]
        holds = [tag for tag in known if wanted in tag_key(tag) and tag not in starts]
        return (starts + holds)[:_MOST_SUGGESTIONS]

    def _words(self) -> tuple[str, ...]:
        """Return the tagger's vocabulary where the manifest or the settings name one."""
        if self._vocabulary is None:
            found = find_vocabulary(self._project)
            unused = (Category.RATING, Category.UNUSED)
            tags = found.tags if found else ()
            self._vocabulary = tuple(
                spelled(one.name) for one in tags if one.category not in unused
            )
        return self._vocabulary

    def _text_edit(self, source: Source, text: str) -> dict[str, Any] | None:
        """Keep a typed line as a difference where it begins with the prefix, else as a whole."""
        line = " ".join(text.split())
        parts = parse_tags(line)
        head = parse_tags(self.prefix)
        if source.text is None and parts[: len(head)] == head:
            rules = format_caption(self._rules.prefix, source.tags)
            wanted = parts[len(head) :]
            return value_of_edit(edit_for(rules, source.tags, self._rules.prefix, wanted))
        return value_of_edit(CaptionEdit(text=line)) if line else None

    def _with_tags(self, text: str, before: tuple[str, ...], wanted: tuple[str, ...]) -> str:
        head = text[: len(text) - len(", ".join(before))] if before else f"{text}, "
        return (head + ", ".join(wanted)).strip().rstrip(",")

    def _tags_of(self, text: str) -> tuple[str, ...]:
        parts, head = parse_tags(text), parse_tags(self.prefix)
        return parts[len(head) :] if parts[: len(head)] == head else parts

    def _source_of(self, place: PurePosixPath, scores: Scores | None) -> Source:
        if scores is not None:
            tags = caption_tags(scores, self._rules)
            certain = above_thresholds(scores, self._rules)
            return Source(place.stem, place, tags, None, framing_of(scores), certain)
        path = self._project.images_dir / place
        try:
            text = " ".join(read_text(path).split())
        except (OSError, ValueError):
            text = ""
        return Source(place.stem, place, (), text or None)


def _changed(tags: tuple[str, ...], change: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tags after an operation: add, remove, replace or first."""
    kind = change.get("op")
    named = tuple(parse_tags(str(change.get("tags", ""))))
    keys = {tag_key(tag) for tag in named}
    if not named:
        raise ValueError("no tag is given")
    if kind == "add":
        new = tuple(tag for tag in named if tag_key(tag) not in {tag_key(one) for one in tags})
        return (*new, *tags) if change.get("first") else (*tags, *new)
    if kind == "remove":
        return tuple(tag for tag in tags if tag_key(tag) not in keys)
    if kind == "first":
        present = tuple(tag for tag in tags if tag_key(tag) in keys)
        ordered = sorted(
            present, key=lambda tag: [tag_key(one) for one in named].index(tag_key(tag))
        )
        return (*ordered, *(tag for tag in tags if tag_key(tag) not in keys))
    if kind == "replace":
        return _replaced(tags, keys, parse_tags(str(change.get("by", ""))))
    raise ValueError(f"{kind!r} is not a change of captions")


def _replaced(
    tags: tuple[str, ...], gone: Collection[str], new: tuple[str, ...]
) -> tuple[str, ...]:
    if not new:
        raise ValueError("no new tag is given")
    if not any(tag_key(tag) in gone for tag in tags):
        return tags
    others = {tag_key(tag) for tag in tags if tag_key(tag) not in gone}
    found: list[str] = []
    for tag in tags:
        if tag_key(tag) not in gone:
            found.append(tag)
            continue
        there = {*others, *(tag_key(one) for one in found)}
        found += [one for one in new if tag_key(one) not in there]
    return tuple(found)
