"""Every tag of a set: in how many pictures it is, and whether it sinks into the trigger word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..project.tagging import tag_key
from .rules import CaptionRules, spelled
from .sinking import EXTRACT, IMBUE, TagPreset


@dataclass(frozen=True)
class TagRow:
    """One tag of the set; `way` is hand, manifest or "" (nobody said anything)."""

    tag: str
    pictures: int
    value: str
    way: str

    def as_list(self) -> list[Any]:
        """Return plain values for JSON."""
        return [self.tag, self.pictures, self.value, self.way]


def count_tags(sets: Iterable[Iterable[str]]) -> Counter[str]:
    """Count in how many pictures each tag is, by its spelling in captions."""
    counts: Counter[str] = Counter()
    for tags in sets:
        counts.update({spelled(tag) for tag in tags})
    return counts


def tag_table(
    counts: Mapping[str, int], rules: CaptionRules, choices: Mapping[str, str]
) -> tuple[TagRow, ...]:
    """Return a row for each tag, the most frequent first."""
    rows = []
    for tag, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        sinks = rules.sinks(tag)
        way = "hand" if tag_key(tag) in choices else "manifest" if sinks else ""
        rows.append(TagRow(tag, count, IMBUE if sinks else EXTRACT, way))
    return tuple(rows)


def preset_rows(presets: Sequence[TagPreset], tags: Iterable[str]) -> list[dict[str, Any]]:
    """Return each preset with what it would decide of these tags."""
    known = list(tags)
    rows = []
    for one in presets:
        decided = one.decide(known)
        sinking = [tag for tag, value in decided.items() if value == IMBUE]
        rows.append({"name": one.name, "about": one.about, "values": decided, "imbue": sinking})
    return rows
