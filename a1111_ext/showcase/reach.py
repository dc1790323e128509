"""What a template can reach: every LoRA tag and wildcard in it and in the wildcards it names.

Read off the texts, not off draws, so that a helper LoRA in a rare option counts as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dynprompts import WildcardLibrary

from ..api.loras import lora_tags

_DYNAMIC = re.compile(r"[{}$|]|__")
_VARIABLE_OR_VARIANT = re.compile(r"\$\{[^{}]*\}|\{[^{}]*\}")


@dataclass(frozen=True)
class Reached:
    """Something that a template names, and where it stands."""

    name: str
    where: str


@dataclass(frozen=True)
class Reach:
    """Everything reachable; `missing` are wildcards without values."""

    loras: tuple[Reached, ...]
    wildcards: tuple[Reached, ...]
    missing: tuple[Reached, ...]


def find_reach(template: str, library: WildcardLibrary, where: str = "the template") -> Reach:
    """Follow a template through all its wildcards; each is read once, cycles are harmless.

    A reference whose name is put together when it is drawn counts as a glob.
    """
    loras: dict[str, Reached] = {}
    wildcards: dict[str, Reached] = {}
    missing: dict[str, Reached] = {}
    waiting = [(template, where)]
    while waiting:
        text, place = waiting.pop()
        for tag in lora_tags(text):
            if not _DYNAMIC.search(tag.name.replace("__", "")):
                loras.setdefault(tag.name, Reached(tag.name, place))
        for name in _references(re.sub(r"<lora:[^>]*>", "", text)):
            if name in wildcards or name in missing:
                continue
            values = library.values(name)
            (wildcards if values else missing)[name] = Reached(name, place)
            waiting += [(value.text, value.where or place) for value in values]
    return Reach(*(tuple(found.values()) for found in (loras, wildcards, missing)))


def _references(text: str) -> Iterator[str]:
    """Yield the wildcards that a text names.

    reference = "__" [sampler] name [ "(" arguments ")" ] "__"
    """
    at = text.find("__")
    while at >= 0:
        end, name, arguments = _reference_at(text, at + 2)
        if name is not None:
            yield name
            yield from _references(arguments)
        at = text.find("__", end)


def _reference_at(text: str, start: int) -> tuple[int, str | None, str]:
    """Read one reference that begins at `start`; return its end, name and arguments."""
    end = text.find("__", start)
    bracket = text.find("(", start)
    if 0 <= bracket < (end if end >= 0 else len(text)):
        close = _closing(text, bracket)
        if text.startswith("__", close + 1):
            return close + 3, _plain(text[start:bracket]), text[bracket + 1 : close]
    if end < 0:
        return len(text), None, ""
    return end + 2, _plain(text[start:end]), ""


def _closing(text: str, bracket: int) -> int:
    depth = 0
    for index in range(bracket, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return len(text)


def _plain(name: str) -> str | None:
    """Return the name or glob that a reference means; None for text that is none."""
    glob = name.strip().lstrip("~@!").strip()
    while (simpler := _VARIABLE_OR_VARIANT.sub("*", glob)) != glob:
        glob = simpler
    return glob if glob and not re.search(r"[\n,<>]", glob) else None
