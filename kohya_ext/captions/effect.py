"""What caption rules do to a set, from stored scores: which tags stay, which sink, how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from ..project import Project
from ..project.files import sha256_of
from ..project.tagging import Scores, read_scores
from .captioning import staged_pictures
from .rules import CaptionRules, caption_tags, format_caption, is_undesired


@dataclass(frozen=True)
class TagEffect:
    """One tag: in how many pictures it is seen, and whether it stays in their captions."""

    tag: str
    pictures: int
    stays: bool


@dataclass(frozen=True)
class RulesEffect:
    """What rules do: tags by frequency, one caption as an example, and undesired tags in vain."""

    pictures: int
    unscored: int
    tags: tuple[TagEffect, ...]
    example: str
    unmatched: tuple[str, ...]

    @property
    def sunk(self) -> tuple[TagEffect, ...]:
        return tuple(one for one in self.tags if not one.stays)


def stored_scores(project: Project) -> tuple[tuple[Scores, ...], int]:
    """Return the scores of the staged pictures, and how many have none yet.

    Raises MissingError when nothing is staged.
    """
    found = [
        read_scores(project.scores_dir, sha256_of(project.images_dir / place))
        for place in staged_pictures(project)
    ]
    known = tuple(one for one in found if one is not None)
    return known, len(found) - len(known)


def effect_of(scores: tuple[Scores, ...], rules: CaptionRules, unscored: int = 0) -> RulesEffect:
    """Compare captions with and without the undesired tags."""
    free = replace(rules, undesired=frozenset(), most_tokens=0)
    seen = Counter(tag for one in scores for tag in caption_tags(one, free))
    ordered = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    tags = tuple(TagEffect(tag, count, not rules.sinks(tag)) for tag, count in ordered)
    example = format_caption(rules.prefix, caption_tags(scores[0], rules)) if scores else ""
    vain = [
        one
        for one in sorted(rules.undesired)
        if not any(is_undesired(tag, frozenset((one,))) for tag in seen)
    ]
    return RulesEffect(len(scores), unscored, tags, example, tuple(vain) if scores else ())
