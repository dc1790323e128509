"""The tags that a prompt asks for, of those that a tagger knows."""

from __future__ import annotations

import re
from collections.abc import Collection

from .tag_kinds import plain_tag

_EMPTY_WORDS = frozenset(
    (
        "photo", "of", "a", "an", "the", "picture", "image", "drawing", "painting", "illustration",
        "style", "masterpiece", "best", "quality", "high", "highres", "absurdres", "detailed",
        "solo",
    )
)  # fmt: skip


def prompted_tags(prompt: str, known: Collection[str]) -> frozenset[str]:
    """Return the tags of `known` that the prompt's comma-separated parts name."""
    parts = [plain_tag(part) for part in re.split(r"[,\n]", _without_loras(prompt))]
    return frozenset(part for part in parts if part in known)


def is_trigger_only(prompt: str, trigger_word: str) -> bool:
    """Tell whether a prompt asks for nothing but the trigger word."""
    text = re.sub(re.escape(trigger_word), " ", _without_loras(prompt), flags=re.IGNORECASE)
    words = re.findall(r"[^\W_]+", text.casefold())
    return all(word in _EMPTY_WORDS for word in words)


def _without_loras(prompt: str) -> str:
    return re.sub(r"<[^<>]*>", " ", prompt)
