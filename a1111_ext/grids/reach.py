"""Everything that a template can reach: LoRA tags inside options and wildcards included.

Read off the texts, not drawn, so that a helper LoRA of the rarest option is checked too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.loras import lora_tags

if TYPE_CHECKING:
    from dynprompts.wildcards import WildcardLibrary

_REFERENCE = re.compile(r"__([^_\s](?:(?!__).)*?)(?:\((?:(?!__).)*\))?__", re.DOTALL)
_DRAWN = re.compile(r"\$?\{[^{}]*\}")
_MOST_NAMES = 500


@dataclass(frozen=True)
class Reached:
    """A LoRA that may be drawn: its name, its weight as written, and where it stands."""

    name: str
    weight: str
    where: str


def reachable_loras(texts: Iterable[str], wildcards: Path | None = None) -> tuple[Reached, ...]:
    """Return the LoRAs that templates can name, each name and weight once."""
    from dynprompts.wildcards import WildcardLibrary

    library = WildcardLibrary(wildcards) if wildcards is not None else WildcardLibrary()
    found: dict[tuple[str, str], Reached] = {}
    for text, where in _texts(texts, library):
        for tag in lora_tags(text):
            for name in _names(tag.name):
                found.setdefault((name, tag.weight), Reached(name, tag.weight, where))
    return tuple(found.values())


def _texts(texts: Iterable[str], library: WildcardLibrary) -> Iterator[tuple[str, str]]:
    """Give the templates and every value of every wildcard that they lead to."""
    waiting = [(text, "the prompt") for text in texts]
    seen: set[str] = set()
    while waiting:
        text, where = waiting.pop(0)
        yield text, where
        for reference in _REFERENCE.findall(text):
            pattern = _DRAWN.sub("*", reference.lstrip("!~@"))
            if pattern not in seen:
                seen.add(pattern)
                waiting += [(one.text, one.where or pattern) for one in library.values(pattern)]


def _names(text: str) -> tuple[str, ...]:
    """Return what a name with variants can become; a name with variables is left to the run."""
    if "{" not in text:
        return (text,)
    from dynprompts.errors import PromptError
    from dynprompts.template import parse

    try:
        drawn = tuple(one.text for one in parse(text).combinations(_MOST_NAMES))
    except PromptError:
        return ()
    return () if "$" in text else drawn
