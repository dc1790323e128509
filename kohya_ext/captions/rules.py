"""What becomes of scores: a pure function from probabilities and rules to one line of tags.

The order of the steps: thresholds, replacement, undesired tags, implied tags, order, tags in
front, length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache

from ..project.tagging import Scores, tag_key

SEPARATOR = ", "
_FACE_TAG_LENGTH = 3
"""Tags up to this length are faces such as ^_^, whose underscore belongs to them."""


class TagOrder(str, Enum):
    """How tags follow each other."""

    MODEL = "model"
    PROBABILITY = "probability"
    ALPHABET = "alphabet"


@dataclass(frozen=True)
class CaptionRules:
    """How captions are made; thresholds are probabilities, tags may be in any spelling.

    `implied` names which tags are dropped where a tag is present; `drops_parts` drops `hair` beside
    `long hair`. `most_tokens` is counted by `count_tokens`, with the prefix; 0: no limit.
    """

    prefix: str
    undesired: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    """Tags that stay promptable, whatever `undesired` says."""
    general_threshold: float = 0.35
    character_threshold: float = 0.85
    replacements: Mapping[str, str] = field(default_factory=dict)
    implied: Mapping[str, frozenset[str]] = field(default_factory=dict)
    drops_parts: bool = False
    order: TagOrder = TagOrder.MODEL
    first: tuple[str, ...] = ()
    most_tokens: int = 0
    count_tokens: Callable[[str], int] = len

    def sinks(self, tag: str) -> bool:
        """Tell whether a tag becomes part of the trigger word."""
        return _sinks(tag, self.undesired, self.kept)

    @property
    def head(self) -> str:
        """What every caption begins with, without the comma at its end."""
        return self.prefix.strip().rstrip(",").rstrip()


def spelled(tag: str) -> str:
    """Return a tag as it stands in a caption: spaces for underscores, but `^_^` as it is."""
    return tag.replace("_", " ") if len(tag) > _FACE_TAG_LENGTH else tag


@lru_cache(maxsize=4_096)
def _pattern(text: str) -> re.Pattern[str]:
    """Read `*` as any letters; everything else means itself, for `?` is a tag."""
    return re.compile(".*".join(map(re.escape, tag_key(text).split("*"))))


def parse_tags(text: str) -> tuple[str, ...]:
    """Split at commas or line ends, with or without spaces; empty parts do not count."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())


def undesired_keys(tags: Iterable[str]) -> frozenset[str]:
    """Return the keys of undesired tags, however they are spelled."""
    return frozenset(tag_key(tag) for tag in tags if tag_key(tag))


@lru_cache(maxsize=131_072)
def _sinks(tag: str, undesired: frozenset[str], kept: frozenset[str]) -> bool:
    return tag_key(tag) not in kept and is_undesired(tag, undesired)


def is_undesired(tag: str, undesired: frozenset[str]) -> bool:
    """Tell whether a tag is one of `undesired`, in which * matches any letters."""
    key = tag_key(tag)
    return key in undesired or any(_pattern(one).fullmatch(key) for one in _patterns(undesired))


@lru_cache(maxsize=64)
def _patterns(undesired: frozenset[str]) -> tuple[str, ...]:
    return tuple(one for one in undesired if "*" in one)


def above_thresholds(scores: Scores, rules: CaptionRules) -> Scores:
    """Leave the general and character tags that are certain enough for a caption."""
    return replace(
        scores,
        ratings={},
        general={tag: p for tag, p in scores.general.items() if p >= rules.general_threshold},
        character={tag: p for tag, p in scores.character.items() if p >= rules.character_threshold},
    )


def caption_tags(scores: Scores, rules: CaptionRules) -> tuple[str, ...]:
    """Return the caption's tags without the prefix."""
    certain = above_thresholds(scores, rules)
    chosen = {**certain.general, **certain.character}
    tags = _spelled_once(chosen, rules)
    tags = _without_implied(tags, rules)
    tags = _ordered(tags, chosen, rules)
    kept = list(tags)
    if rules.most_tokens:
        while kept and rules.count_tokens(format_caption(rules.prefix, kept)) > rules.most_tokens:
            kept.pop()
    return tuple(kept)


def _replaced(tag: str, rules: CaptionRules) -> tuple[str, ...]:
    """Return what stands for a tag: itself, nothing, or one or several others."""
    new = rules.replacements.get(tag_key(tag))
    return (tag,) if new is None else parse_tags(new)


def _spelled_once(chosen: Iterable[str], rules: CaptionRules) -> list[str]:
    """Replace, drop what is undesired before or after that, and keep each tag once."""
    found: dict[str, str] = {}
    for tag in chosen:
        for new in () if rules.sinks(tag) else _replaced(tag, rules):
            if not rules.sinks(new):
                found.setdefault(tag_key(new), spelled(new))
    return list(found.values())


def _without_implied(tags: list[str], rules: CaptionRules) -> list[str]:
    """Drop what another tag says already; of tags that say each other the first stays."""
    gone: set[str] = set()
    present = {tag_key(tag) for tag in tags}
    for tag in tags:
        if tag_key(tag) not in gone:
            gone |= _said_by(tag_key(tag), rules.implied, present)
    if rules.drops_parts:
        for tag in tags:
            words = tag_key(tag).split(" ")
            gone.update(" ".join(words[at:]) for at in range(1, len(words)))
    return [tag for tag in tags if tag_key(tag) not in gone]


def _said_by(key: str, implied: Mapping[str, frozenset[str]], present: set[str]) -> set[str]:
    """Return the tags that one implies, through any chain of present ones, without itself."""
    found: set[str] = set()
    reached = [key]
    while reached:
        new = (implied.get(reached.pop(), frozenset()) & present) - found
        found |= new
        reached += new
    return found - {key}


def _ordered(tags: list[str], chosen: Mapping[str, float], rules: CaptionRules) -> list[str]:
    if rules.order is TagOrder.ALPHABET:
        tags = sorted(tags, key=tag_key)
    elif rules.order is TagOrder.PROBABILITY:
        sure: dict[str, float] = {}
        for tag, probability in chosen.items():
            for key in map(tag_key, _replaced(tag, rules)):
                sure[key] = max(probability, sure.get(key, 0.0))
        tags = sorted(tags, key=lambda tag: -sure.get(tag_key(tag), 0.0))
    if not rules.first:
        return tags
    places = {tag_key(tag): number for number, tag in enumerate(rules.first)}
    return sorted(tags, key=lambda tag: places.get(tag_key(tag), len(places)))


def format_caption(prefix: str, tags: Iterable[str]) -> str:
    """Return the caption's one line: the prefix first, once, whatever commas it ends with."""
    first = prefix.strip().rstrip(",").rstrip()
    rest = [tag for tag in tags if tag_key(tag) != tag_key(first)]
    return SEPARATOR.join([first, *rest] if first else rest)
