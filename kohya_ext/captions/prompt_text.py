"""Text of the prompt language in captions, which the trainer learns letter by letter.

Tags that have such signs in their own names, as `fox_(animal)`, are none of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from ..project.tagging import tag_key


class PromptText(str, Enum):
    """What a prompt would do with a text; a caption has no such thing."""

    WEIGHT = "weight"
    ESCAPE = "escape"
    LORA = "lora"
    BREAK = "break"
    ALTERNATION = "alternation"
    VARIANT = "variant"
    WILDCARD = "wildcard"


WEIGHTED = frozenset((PromptText.WEIGHT, PromptText.ESCAPE))
"""What sd-scripts reads in captions with `weighted_captions`."""

VARIED = frozenset((PromptText.VARIANT,))
"""What it reads with `enable_wildcard`."""

_WORD = re.compile(r"[^\W\d_]{2}")
"""Two letters: faces such as `:(` and `(o)_(o)` have none."""

_INNER = r"(?:\\.|[^()\\]|\((?:\\.|[^()\\])*\))*?"
"""Text with at most one pair of parentheses inside."""

_START, _END = r"(?:(?<=,)|(?<=\n)|^)[^\S\n]*", r"(?=[^\S\n]*(?:,|\n|$))"

_PATTERNS: Mapping[PromptText, re.Pattern[str]] = {
    PromptText.WEIGHT: re.compile(
        rf"(?<!\\)\({_INNER}:\s*\d*\.?\d+\s*\)"
        rf"|{_START}\(+{_INNER}\)+{_END}"
        rf"|{_START}\[+[^\[\]|:]*\]+{_END}"
    ),
    PromptText.ESCAPE: re.compile(r"\\[(\[][^,\n()\[\]\\]*\\[)\]]"),
    PromptText.LORA: re.compile(r"<(?:lora|lyco|hypernet):[^<>\n]*>", re.IGNORECASE),
    PromptText.BREAK: re.compile(r"(?<!\w)BREAK(?!\w)"),
    PromptText.ALTERNATION: re.compile(r"\[[^\[\]\n]*\]"),
    PromptText.VARIANT: re.compile(r"\{[^{}\n]*\}"),
    PromptText.WILDCARD: re.compile(r"(?<!\w)__[^\W\d_][\w/*-]*"),
}

_NEEDED: Mapping[PromptText, re.Pattern[str]] = {
    PromptText.WEIGHT: _WORD,
    PromptText.ESCAPE: _WORD,
    PromptText.ALTERNATION: re.compile(r"\||:[^:]*:"),
    PromptText.VARIANT: re.compile(r"\|"),
    PromptText.WILDCARD: re.compile(r"[^_]__(?!\w)"),
}
"""What is inside as well; in one pattern it would take ever longer for long texts."""


@dataclass(frozen=True)
class FoundText:
    """One kind of such text: an example as it is written, and the captions that have some."""

    kind: PromptText
    example: str
    names: tuple[str, ...]


def find_prompt_text(
    captions: Mapping[str, str],
    known_tags: Collection[str],
    understood: Collection[PromptText] = (),
) -> tuple[FoundText, ...]:
    """Return what is prompt language in captions, each kind once; `known_tags` are keys."""
    found = []
    for kind, pattern in _PATTERNS.items():
        if kind in understood:
            continue
        examples = {
            name: one
            for name, text in captions.items()
            if (one := _first(pattern, _NEEDED.get(kind), text, known_tags))
        }
        if examples:
            found.append(FoundText(kind, next(iter(examples.values())), tuple(examples)))
    return tuple(found)


def _first(
    pattern: re.Pattern[str],
    needed: re.Pattern[str] | None,
    text: str,
    known_tags: Collection[str],
) -> str:
    """Return the first match that is no tag with such a name, or ""."""
    for match in pattern.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if needed and not needed.search(match[0]):
            continue
        tag = re.split(r"[,\n]", before)[-1] + match[0] + re.split(r"[,\n]", after)[0]
        if tag_key(tag) not in known_tags and tag_key(match[0]) not in known_tags:
            return match[0].strip()
    return ""
