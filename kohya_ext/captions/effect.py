"""What caption rules do to a set, from stored scores: which tags stay, which sink, how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..project import Project
from ..project.files import sha256_of
from ..project.tagging import Scores, read_scores
from .captioning import staged_pictures
from .rules import CaptionRules, caption_tags, format_caption, tag_key, undesired_keys


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
    free = replace(rules, undesired=frozenset())
    seen = Counter(tag for one in scores for tag in caption_tags(one, free))
    kept = {tag for one in scores for tag in caption_tags(one, rules)}
    ordered = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    tags = tuple(TagEffect(tag, count, tag in kept) for tag, count in ordered)
    example = format_caption(rules.prefix, caption_tags(scores[0], rules)) if scores else ""
    keys = {tag_key(tag) for tag in seen}
    unmatched = tuple(sorted(one for one in rules.undesired if one not in keys))
    return RulesEffect(len(scores), unscored, tags, example, unmatched if scores else ())


def with_undesired(rules: CaptionRules, tags: Iterable[str]) -> CaptionRules:
    """Return the rules with other undesired tags."""
    return replace(rules, undesired=undesired_keys(tags))
