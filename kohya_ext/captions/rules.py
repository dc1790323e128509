"""What becomes of scores: a pure function from probabilities and rules to one line of tags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..project.tagging import Scores

SEPARATOR = ", "
_FACE_TAG_LENGTH = 3
"""Tags up to this length are faces such as ^_^, whose underscore belongs to them."""


@dataclass(frozen=True)
class CaptionRules:
    """How captions are made; thresholds are probabilities, `undesired` in any spelling."""

    prefix: str
    undesired: frozenset[str] = frozenset()
    general_threshold: float = 0.35
    character_threshold: float = 0.85


def spelled(tag: str) -> str:
    """Return a tag as it stands in a caption: blanks for underscores, but `^_^` as it is."""
    return tag.replace("_", " ") if len(tag) > _FACE_TAG_LENGTH else tag


def tag_key(tag: str) -> str:
    """Return what two spellings of one tag have in common: `Blue_Eyes `, `blue eyes`."""
    return re.sub(r"[\s_]+", " ", tag).strip().casefold()


def parse_tags(text: str) -> tuple[str, ...]:
    """Split at commas or line ends, with or without blanks; empty parts do not count."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())


def undesired_keys(tags: Iterable[str]) -> frozenset[str]:
    """Return the keys of undesired tags, however they are spelled."""
    return frozenset(tag_key(tag) for tag in tags if tag_key(tag))


def caption_tags(scores: Scores, rules: CaptionRules) -> tuple[str, ...]:
    """Return the caption's tags without the prefix, in the order of the model's outputs."""
    chosen = [
        *(tag for tag, p in scores.general.items() if p >= rules.general_threshold),
        *(tag for tag, p in scores.character.items() if p >= rules.character_threshold),
    ]
    return tuple(spelled(tag) for tag in chosen if tag_key(tag) not in rules.undesired)


def format_caption(prefix: str, tags: Iterable[str]) -> str:
    """Return the caption's one line: the prefix first, once, whatever commas it ends with."""
    first = prefix.strip().rstrip(",").rstrip()
    rest = [tag for tag in tags if tag_key(tag) != tag_key(first)]
    return SEPARATOR.join([first, *rest] if first else rest)
