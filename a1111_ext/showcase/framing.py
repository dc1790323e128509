"""Framing: how much of the subject a picture shows, for the order of a showcase.

Taken from what the template picked for `${framing=...}`; else from the words of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dynprompts import Pick

from ..api.lora_tags import lora_tags

PICK = "framing"
_WORDS: tuple[tuple[str, str], ...] = (
    ("close-up", r"extreme close[- ]?up|close[- ]?up|close range|macro"),
    ("headshot", r"head ?shot|face shot|portrait"),
    ("upper body", r"upper[- ]?body|half[- ]?body|half[- ]?length|bust shot|cowboy shot|waist up"),
    ("full body", r"full[- ]?body|full[- ]?length|whole body|wide shot|long shot"),
    ("from behind", r"from behind|back view"),
    ("side view", r"side view|profile view|in profile|from (?:the )?side"),
)


def framing_of(picks: Iterable[Pick], prompt: str) -> str:
    """Return a picture's framing in lower case; "" when nothing tells."""
    for pick in picks:
        if _is_framing(pick.variant) and pick.option.strip(" ,."):
            return framing_in(pick.option) or " ".join(pick.option.split()).strip(" ,.").casefold()
    return framing_in(prompt)


def _is_framing(variant: str) -> bool:
    """Tell whether a variable or wildcard is called framing: `framing`, `camera/framing`."""
    return "{" not in variant and PICK in re.split(r"[/_.\s-]+", variant.casefold())


def framing_in(prompt: str) -> str:
    """Return the framing that a prompt names first, under one name for its spellings."""
    text = prompt
    for tag in lora_tags(prompt):
        text = text.replace(tag.text, " ")
    found = [
        (match.start(), name)
        for name, words in _WORDS
        if (match := re.search(rf"\b(?:{words})\b", text, re.IGNORECASE))
    ]
    return min(found)[1] if found else ""
