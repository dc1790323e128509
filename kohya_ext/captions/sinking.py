"""Imbue or extract: which tags become part of the trigger word, and which stay promptable.

The manifest's undesired tags are the start; what a person decided per tag is in reviews.db and
wins. Presets and own lists are only ways to decide many tags at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..project import Project
from ..project.decisions import DecisionKind, DecisionStore
from ..project.json_reader import read_beginning
from ..project.limits import limits
from ..project.settings import user_folder
from ..project.tagging import tag_key
from ..project.yaml_reader import packaged_yaml
from .rules import is_undesired, parse_tags

IMBUE, EXTRACT = "imbue", "extract"
LISTS_NAME = "tag-lists"


@dataclass(frozen=True)
class TagPreset:
    """Tags to imbue and, against them, tags to keep; both may hold *."""

    name: str
    about: str
    imbue: tuple[str, ...]
    keep: tuple[str, ...] = ()

    def sinks(self, tag: str) -> bool:
        """Tell whether the preset lets a tag become part of the trigger word."""
        return is_undesired(tag, _keys(self.imbue)) and not is_undesired(tag, _keys(self.keep))

    def decide(self, tags: Iterable[str]) -> dict[str, str]:
        """Return a decision for each tag of a set that the preset speaks of, by key."""
        named = _keys((*self.imbue, *self.keep))
        spoken = (tag for tag in tags if is_undesired(tag, named))
        return {tag_key(tag): IMBUE if self.sinks(tag) else EXTRACT for tag in spoken}


@lru_cache(maxsize=64)
def _keys(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(tag_key, tags))


@lru_cache(maxsize=1)
def built_in_presets() -> tuple[TagPreset, ...]:
    """Return the presets that come with loraloom."""
    data: Mapping[str, Any] = packaged_yaml(__package__, "sinking.yaml")
    return tuple(
        TagPreset(name, row["about"], tuple(row["imbue"]), tuple(row.get("keep", ())))
        for name, row in data.items()
    )


def tag_presets(project: Project) -> tuple[TagPreset, ...]:
    """Return presets and own lists: NAME.txt in tag-lists/ of the project or the user folder."""
    own = {
        path.stem: _own_list(path)
        for folder in (user_folder() / LISTS_NAME, project.root / LISTS_NAME)
        for path in sorted(folder.glob("*.txt"))
    }
    listed = project.manifest.captions.undesired_tags_file
    if listed and (project.root / listed).is_file():
        own.setdefault(Path(listed).stem, _own_list(project.root / listed))
    return (*built_in_presets(), *own.values())


def _own_list(path: Path) -> TagPreset:
    """Read a list separated by commas or lines; a tag after ! is kept."""
    tags = parse_tags(read_beginning(path, limits().text_bytes).removeprefix("\ufeff"))
    keep = tuple(tag[1:].strip() for tag in tags if tag.startswith("!") and len(tag) > 1)
    imbue = tuple(tag for tag in tags if not (tag.startswith("!") and len(tag) > 1))
    return TagPreset(path.stem, f"own list, {path.name}", imbue, keep)


def tag_choices(project: Project) -> dict[str, str]:
    """Return what was decided per tag: imbue or extract, by key."""
    with DecisionStore(project.reviews_db) as store:
        return sound_choices(store.values(DecisionKind.TAG))


def sound_choices(values: Mapping[str, Any]) -> dict[str, str]:
    """Return decisions that can be used; anything else in the store says nothing."""
    return {tag: value for tag, value in values.items() if value in (IMBUE, EXTRACT)}


def split_choices(choices: Mapping[str, str]) -> tuple[Collection[str], Collection[str]]:
    """Return the tags decided to sink, and those decided to stay promptable."""
    imbued = frozenset(tag for tag, value in choices.items() if value == IMBUE)
    return imbued, frozenset(tag for tag, value in choices.items() if value == EXTRACT)
