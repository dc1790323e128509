"""How far a picture goes, as sites and taggers divide it: general to explicit, with reasons.

Judged from a tagger's ratings and tags and from the prompt. It only proposes: a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from ..tagging.scores import Scores
from ..tagging.vocabulary import tag_key
from ..yaml_reader import packaged_yaml
from .rule import in_one_spelling, sexual_tags, sexual_words

_TAG_THRESHOLD = 0.35
_MOST_REASONS = 6


class ContentLevel(str, Enum):
    """A category of content, the mildest first."""

    GENERAL = "general"
    SENSITIVE = "sensitive"
    QUESTIONABLE = "questionable"
    EXPLICIT = "explicit"

    @property
    def rank(self) -> int:
        """The place in the order, from 0."""
        return list(ContentLevel).index(self)

    @property
    def is_for_adults(self) -> bool:
        """Whether sites show it to adults only, and the model hub marks it."""
        return self.rank >= ContentLevel.QUESTIONABLE.rank


_RATING_THRESHOLDS = {
    ContentLevel.EXPLICIT: 0.25,
    ContentLevel.QUESTIONABLE: 0.35,
    ContentLevel.SENSITIVE: 0.5,
}


@dataclass(frozen=True)
class Judgement:
    """What one picture was judged; `is_scored` tells whether a tagger has rated it."""

    level: ContentLevel
    reasons: tuple[str, ...]
    is_scored: bool


def judge(scores: Scores | None, prompt: str = "") -> Judgement:
    """Judge one picture by its scores and its prompt; the worst sign counts."""
    signs = [*_of_scores(scores), *_of_prompt(prompt)]
    level = max((one for one, _ in signs), key=lambda one: one.rank, default=ContentLevel.GENERAL)
    found = dict.fromkeys(reason for sign, reason in signs if sign is level)
    reasons = tuple(found)[:_MOST_REASONS] if level is not ContentLevel.GENERAL else ()
    return Judgement(level, reasons, bool(scores and scores.ratings))


def _of_scores(scores: Scores | None) -> Iterator[tuple[ContentLevel, str]]:
    if scores is None:
        return
    for level, threshold in _RATING_THRESHOLDS.items():
        found = scores.ratings.get(level.value, 0.0)
        if found >= threshold:
            yield level, f"rating {level.value} {found:.2f}"
    levels = _levels()
    sexual = set(sexual_tags(scores, _TAG_THRESHOLD))
    for tag, score in scores.general.items():
        if score < _TAG_THRESHOLD:
            continue
        level = levels.get(tag_key(tag)) or (
            ContentLevel.QUESTIONABLE if tag in sexual else ContentLevel.GENERAL
        )
        if level is not ContentLevel.GENERAL:
            yield level, f"tag {tag_key(tag)} {score:.2f}"


def _of_prompt(prompt: str) -> Iterator[tuple[ContentLevel, str]]:
    text = in_one_spelling(re.sub(r"<[a-z]+:[^<>]*>", " ", prompt, flags=re.IGNORECASE))
    levels = _levels()
    for word in sexual_words(text):
        level = levels.get(word.casefold(), ContentLevel.QUESTIONABLE)
        yield level, f'prompt "{word}"'
    for found in _pattern().finditer(text):
        yield levels[found.group(0).casefold()], f'prompt "{found.group(0)}"'


@lru_cache(maxsize=1)
def _levels() -> Mapping[str, ContentLevel]:
    data = packaged_yaml(__package__, "levels.yaml")
    return {word: ContentLevel(name) for name, words in data.items() for word in words}


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    words = sorted(_levels(), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
