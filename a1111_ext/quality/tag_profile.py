"""The tag profile of a training set: how sure the tagger is of each tag, primaries first.

It says what the trigger word should bring (the subject's own tags) and what it should not
(places and clothes that were merely in the pictures).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .tag_kinds import TagKind, kind_of

TagScores = Mapping[str, float]
"""Probabilities by plain tag; a tag that is not there has none worth keeping."""

_LEAST_SHARE = 0.25
"""Tags that the training pictures show less than this, on average, are not followed."""


@dataclass(frozen=True)
class TagProfile:
    """Mean probability of each tag over the training pictures, by plain tag."""

    tags: TagScores

    def core(self) -> dict[str, float]:
        """Return the tags that make up the subject."""
        return self._of({TagKind.SUBJECT})

    def surroundings(self) -> dict[str, float]:
        """Return the places and clothes of the training set."""
        return self._of({TagKind.PLACE, TagKind.CLOTHES})

    def _of(self, kinds: set[TagKind]) -> dict[str, float]:
        return {
            tag: share
            for tag, share in self.tags.items()
            if share >= _LEAST_SHARE and kind_of(tag) in kinds
        }


def make_profile(pictures: Iterable[tuple[float, TagScores]]) -> TagProfile:
    """Make the profile of pictures, each with its weight: the repeats per epoch."""
    totals: dict[str, float] = {}
    weights = 0.0
    for weight, scores in pictures:
        weights += weight
        for tag, probability in scores.items():
            totals[tag] = totals.get(tag, 0.0) + weight * probability
    return TagProfile({tag: total / weights for tag, total in totals.items()} if weights else {})


def mean_scores(pictures: Iterable[TagScores]) -> dict[str, float]:
    """Return the mean probability of each tag over pictures."""
    return dict(make_profile((1.0, one) for one in pictures).tags)
