"""The tags that a WD14 model knows: selected_tags.csv, one line for each of its outputs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import DamagedError, ToolError


class Category(str, Enum):
    """What kind of tag it is; other categories of newer models are read as general."""

    RATING = "rating"
    GENERAL = "general"
    CHARACTER = "character"


_CATEGORIES = {"9": Category.RATING, "4": Category.CHARACTER}


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
    """Read `tag_id,name,category,count`. Raises DamagedError."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(path, str(error)) from error
    if not rows or not {"name", "category"} <= set(rows[0]):
        raise _wrong(path, "it has no columns name and category")
    tags = tuple(
        Tag(row["name"], _CATEGORIES.get(row["category"], Category.GENERAL)) for row in rows
    )
    return Vocabulary(tags)


def _wrong(path: Path, why: str) -> ToolError:
    return DamagedError(
        "LL251",
        f"The tag list {path} cannot be used: {why}.",
        "Download the tagger's folder again: model.onnx and selected_tags.csv belong together.",
    )
