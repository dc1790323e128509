"""Pictures: what a file is, whether it decodes, and how it must be held upright."""

from __future__ import annotations

from .likeness import Look, look_of, unlikeness
from .picture import (
    CAPTION_SUFFIXES,
    TRAINER_SUFFIXES,
    PictureInfo,
    can_read,
    find_other_pictures,
    find_pictures,
    looks_like_a_picture,
    open_upright,
    read_picture,
)

__all__ = [
    "CAPTION_SUFFIXES",
    "TRAINER_SUFFIXES",
    "Look",
    "PictureInfo",
    "can_read",
    "find_other_pictures",
    "find_pictures",
    "look_of",
    "looks_like_a_picture",
    "open_upright",
    "read_picture",
    "unlikeness",
]
