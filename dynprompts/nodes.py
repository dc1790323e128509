"""The tree of a template: frozen, hashable, each node with the span of its source."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .errors import Span
from .sample import Pick

NOWHERE = Span(0, 0)


class Method(str, Enum):
    """How a variant or wildcard is drawn, where it says so: `{!..}`, `{@..}`, `{~..}`."""

    COMBINATORIAL = "!"
    CYCLICAL = "@"
    RANDOM = "~"


@dataclass(frozen=True)
class Text:
    """Text that stays as it is."""

    text: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Option:
    """One alternative of a variant; `weight` is relative."""

    body: Sequence
    weight: float = 1.0
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Variant:
    """`{2-3$$ and $$a|2::b|c}`: between `low` and `high` options, joined by `separator`."""

    options: tuple[Option, ...]
    low: int = 1
    high: int = 1
    separator: str = ","
    method: Method | None = None
    source: str = field(default="", compare=False)
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Argument:
    """One `name=value` of a wildcard reference."""

    name: str
    value: Sequence


@dataclass(frozen=True)
class Wildcard:
    """`__path(name=value)__`; the path may hold variables, variants and globs."""

    path: Sequence
    arguments: tuple[Argument, ...] = ()
    method: Method | None = None
    source: str = field(default="", compare=False)
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Assign:
    """`${name=value}`; `!` draws it at once, `?` only when the name is not set yet."""

    name: str
    value: Sequence
    immediate: bool = False
    if_unset: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Get:
    """`${name}` or `${name:default}`."""

    name: str
    default: Sequence | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Wrap:
    """`%{before ... after$$inner}`: the inner text takes the place of the dots."""

    wrapper: Sequence
    inner: Sequence
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Drawn:
    """What an immediate variable holds while a prompt is drawn; never made by the parser."""

    text: str
    picks: tuple[Pick, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other."""

    parts: tuple[Node, ...] = ()

    @property
    def plain(self) -> str | None:
        """The text, when there is nothing but text; None otherwise."""
        if not self.parts:
            return ""
        if len(self.parts) == 1 and isinstance(self.parts[0], Text):
            return self.parts[0].text
        return None


Node = Text | Variant | Wildcard | Assign | Get | Wrap | Drawn
