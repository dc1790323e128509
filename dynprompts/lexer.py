"""Where the marks of the language are: one regular expression per bracket configuration.

    mark = variant_start | variant_end | "|" | variable_start | wrap_start | wildcard_wrap | "$$"
         | "#" comment | "\\" mark
Everything between marks is text; a mark in the wrong place is text, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


@dataclass(frozen=True)
class ParserConfig:
    """The brackets of the language; each may have several characters."""

    variant_start: str = "{"
    variant_end: str = "}"
    wildcard_wrap: str = "__"
    variable_start: str = "${"
    variable_end: str = "}"
    wrap_start: str = "%{"
    wrap_end: str = "}"


class Kind(str, Enum):
    """What a token is."""

    TEXT = "text"
    VARIANT_START = "variant start"
    END = "closing bracket"
    PIPE = "|"
    VARIABLE_START = "variable start"
    WRAP_START = "wrap start"
    WILDCARD = "wildcard wrap"
    DOLLARS = "$$"
    COMMENT = "comment"
    ESCAPE = "escape"
    TAG = "tag"


@dataclass(frozen=True)
class Token:
    """One piece of the source; `text` is the piece itself."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@lru_cache(maxsize=32)
def _pattern(config: ParserConfig) -> re.Pattern[str]:
    wild = re.escape(config.wildcard_wrap)
    ends = {config.variant_end, config.variable_end, config.wrap_end}
    # an extra-network tag whose name holds the wildcard mark is one piece of text, unless the
    # marks enclose the whole name: <lora:my__lora:1> but not <lora:__mine__:1>
    tag = rf"<\w+:(?!{wild}[^<>]*{wild}[:>])[^<>{{}}$|]*{wild}[^<>{{}}$|]*>"
    marks = [
        ("ESCAPE", r"\\(?:[$%]\{|[{}|$%#]|" + wild + ")"),
        ("TAG", tag),
        ("VARIABLE_START", re.escape(config.variable_start)),
        ("WRAP_START", re.escape(config.wrap_start)),
        ("VARIANT_START", re.escape(config.variant_start)),
        ("END", "|".join(re.escape(end) for end in sorted(ends, key=len, reverse=True))),
        ("WILDCARD", wild),
        ("DOLLARS", r"\$\$"),
        ("PIPE", r"\|"),
        ("COMMENT", r"#[^\n]*"),
    ]
    return re.compile("|".join(f"(?P<{name}>{mark})" for name, mark in marks))


def tokenize(text: str, config: ParserConfig) -> Iterator[Token]:
    """Cut a template into tokens; together they are the whole text."""
    position = 0
    for found in _pattern(config).finditer(text):
        if found.start() > position:
            yield Token(Kind.TEXT, text[position : found.start()], position)
        yield Token(Kind[str(found.lastgroup)], found.group(), found.start())
        position = found.end()
    if position < len(text):
        yield Token(Kind.TEXT, text[position:], position)
