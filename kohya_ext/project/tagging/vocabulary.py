"""The tags that a tagger knows, one for each of its outputs.

Two formats: selected_tags.csv beside model.onnx (WD14), and tag_mapping.json beside
model_optimized.onnx, whose outputs are logits.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, ToolError
from ..json_reader import read_json, read_text

if TYPE_CHECKING:
    from ..project import Project

CSV_NAME, JSON_NAME = "selected_tags.csv", "tag_mapping.json"


@lru_cache(maxsize=65_536)
def tag_key(tag: str) -> str:
    """Return what two spellings of one tag have in common: `Blue_Eyes `, `blue eyes`."""
    return re.sub(r"[\s_]+", " ", tag).strip().casefold()


class Category(str, Enum):
    """What kind of tag it is; other categories of newer models are read as general."""

    RATING = "rating"
    GENERAL = "general"
    CHARACTER = "character"
    UNUSED = "unused"
    """Said of the picture's quality, not of what it shows."""


_CATEGORIES = {"9": Category.RATING, "4": Category.CHARACTER}
_NAMED_CATEGORIES = {
    "rating": Category.RATING,
    "character": Category.CHARACTER,
    "quality": Category.UNUSED,
}


@dataclass(frozen=True)
class Tag:
    """One output of the model; names are spelled with underscores, as in the csv."""

    name: str
    category: Category


@dataclass(frozen=True)
class Vocabulary:
    """All tags in the order of the model's outputs."""

    tags: tuple[Tag, ...]


def read_vocabulary(path: Path) -> Vocabulary:
    """Read selected_tags.csv or tag_mapping.json. Raises DamagedError."""
    return _read_mapping(path) if path.suffix == ".json" else _read_csv(path)


def find_vocabulary(project: Project) -> Vocabulary | None:
    """Return the vocabulary of the tagger that a project or the settings name, or None."""
    from ..settings import read_settings

    named = project.manifest.captions.model or read_settings().tagger_model
    for name in (CSV_NAME, JSON_NAME) if named else ():
        path = project.root / named / name
        if path.is_file():
            try:
                return read_vocabulary(path)
            except DamagedError:  # reported when something is tagged
                return None
    return None


def _read_csv(path: Path) -> Vocabulary:
    """Read `tag_id,name,category,count`."""
    try:
        rows = list(csv.DictReader(read_text(path).splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise _wrong(path, str(error)) from error
    if not rows or not {"name", "category"} <= set(rows[0]):
        raise _wrong(path, "it has no columns name and category")
    tags = tuple(
        Tag(row["name"], _CATEGORIES.get(row["category"], Category.GENERAL)) for row in rows
    )
    return Vocabulary(tags)


def _read_mapping(path: Path) -> Vocabulary:
    """Read `{"0": {"tag": ..., "category": ...}}`, or idx_to_tag beside tag_to_category."""
    try:
        data = read_json(path)
        rows = _rows(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _wrong(path, f"it is not a mapping of numbers to tags ({error})") from error
    if not rows or sorted(rows) != list(range(len(rows))):
        raise _wrong(path, "its numbers do not count from 0 without gaps")
    tags = (
        Tag(name, _NAMED_CATEGORIES.get(category.casefold(), Category.GENERAL))
        for name, category in (rows[number] for number in range(len(rows)))
    )
    return Vocabulary(tuple(tags))


def _rows(data: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    if "idx_to_tag" in data:
        kinds = data["tag_to_category"]
        return {
            int(number): (str(tag), str(kinds.get(tag, "General")))
            for number, tag in data["idx_to_tag"].items()
        }
    return {int(number): (str(one["tag"]), str(one["category"])) for number, one in data.items()}


def _wrong(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL251",
        f"The tag list {path} cannot be used: {why}.",
        "Download the tagger's folder again: the model and its tag list belong together.",
    )
