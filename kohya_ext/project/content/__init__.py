"""The one content rule: who looks like a minor is never combined with anything sexual."""

from __future__ import annotations

from .levels import ContentLevel, Judgement, judge
from .rule import (
    PUBLISHING_RATINGS,
    TRAINING_RATINGS,
    Signs,
    cure_for_training,
    forbidden_picture,
    forbidden_words,
    minor_sign,
)
from .search import find_forbidden

__all__ = [
    "PUBLISHING_RATINGS",
    "TRAINING_RATINGS",
    "ContentLevel",
    "Judgement",
    "Signs",
    "cure_for_training",
    "find_forbidden",
    "forbidden_picture",
    "forbidden_words",
    "judge",
    "minor_sign",
]
