"""The one content rule: a picture that looks like a minor never goes with anything sexual.

Read off the tagger's scores, with thresholds far below those of captions: rather one alarm too
many. It stops captioning, and with it training; it stops publishing too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .scores import Scores

_MINOR = frozenset(
    (
        "loli", "shota", "child", "female child", "male child", "toddler", "baby", "kid", "young",
        "aged down", "kindergarten uniform", "elementary school student", "randoseru",
    )
)  # fmt: skip
_SEXUAL = frozenset(
    (
        "nude", "completely nude", "topless", "bottomless", "nipples", "pussy", "penis", "sex",
        "cum", "ass focus", "breasts out", "underwear only", "lingerie", "spread legs", "groin",
        "cameltoe", "masturbation", "see-through",
    )
)  # fmt: skip
_MINOR_THRESHOLD = 0.15
_SEXUAL_THRESHOLD = 0.15
_RATING_THRESHOLD = 0.25


TRAINING_RATINGS = ("questionable", "explicit")
PUBLISHING_RATINGS = ("sensitive", "questionable", "explicit")
"""What is shown to strangers is held to more than what is trained on."""


def forbidden_content(
    scores: Scores, ratings: Sequence[str] = TRAINING_RATINGS
) -> tuple[str, str] | None:
    """Return the pair of signs that must not stand together, or None."""
    minor = _first_above(scores, _MINOR, _MINOR_THRESHOLD)
    if minor is None:
        return None
    for rating in ratings:
        if scores.ratings.get(rating, 0.0) >= _RATING_THRESHOLD:
            return minor, f"rating {rating}"
    sexual = _first_above(scores, _SEXUAL, _SEXUAL_THRESHOLD)
    return (minor, sexual) if sexual else None


def _first_above(scores: Scores, tags: frozenset[str], threshold: float) -> str | None:
    return next(
        (tag for tag, p in scores.general.items() if p >= threshold and _plain(tag) in tags), None
    )


def _plain(tag: str) -> str:
    return re.sub(r"[\s_]+", " ", tag).strip().casefold()
