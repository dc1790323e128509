"""The tree of a template: hashable, compared without its places; each node knows its source.

Nodes are never changed after the parser built them. They are no frozen dataclasses, because
building those takes several times as long, and a template is read for every prompt.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from .errors import Span


class Method(str, Enum):
    """How a variant or wildcard is drawn, where it says so: `{!..}`, `{@..}`, `{~..}`."""

    COMBINATORIAL = "!"
    CYCLICAL = "@"
    RANDOM = "~"


class Record:
    """Compares, hashes and shows its fields; `start` and `end` are left out."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({shown})"


class Node(Record):
    """A part of a sequence, with the place of its source."""

    __slots__ = ("end", "start")

    start: int
    end: int

    @property
    def span(self) -> Span:
        """Where the node is in its text."""
        return Span(self.start, self.end)


class Sequence(Record):
    """Parts one after the other."""

    __slots__ = ("parts",)
    _fields = ("parts",)

    def __init__(self, parts: tuple[Node, ...] = ()) -> None:
        self.parts = parts

    @property
    def plain(self) -> str | None:
        """The text, when there is nothing but text; None otherwise."""
        if not self.parts:
            return ""
        only = self.parts[0]
        return only.text if len(self.parts) == 1 and type(only) is Text else None


class Text(Node):
    """Text that stays as it is."""

    __slots__ = ("text",)
    _fields = ("text",)

    def __init__(self, text: str, start: int = 0, end: int = 0) -> None:
        self.text = text
        self.start = start
        self.end = end


class Option(Node):
    """One alternative of a variant; `weight` is relative."""

    __slots__ = ("body", "weight")
    _fields = ("body", "weight")

    def __init__(self, body: Sequence, weight: float = 1.0, start: int = 0, end: int = 0) -> None:
        self.body = body
        self.weight = weight
        self.start = start
        self.end = end


class Slotted(Node):
    """A node at which something is drawn; `slot` names it within its text, whatever surrounds it.

    The parser leaves `slot` empty; `number_slots` fills it in.
    """

    __slots__ = ("slot",)

    slot: str


class Variant(Slotted):
    """`{2-3$$ and $$a|2::b|c}`: between `low` and `high` options, joined by `separator`.

    `amount` is `${n}` or `1-${n}` where a variable says how many.
    """

    __slots__ = ("amount", "high", "low", "method", "options", "separator")
    _fields = ("options", "low", "high", "separator", "method", "amount")

    def __init__(
        self,
        options: tuple[Option, ...],
        low: int = 1,
        high: int = 1,
        separator: str = ",",
        method: Method | None = None,
        start: int = 0,
        end: int = 0,
        amount: Sequence | None = None,
    ) -> None:
        self.options = options
        self.amount = amount
        self.low = low
        self.high = high
        self.separator = separator
        self.method = method
        self.start = start
        self.end = end
        self.slot = ""


class Argument(Record):
    """One `name=value` of a wildcard reference."""

    __slots__ = ("name", "value")
    _fields = ("name", "value")

    def __init__(self, name: str, value: Sequence) -> None:
        self.name = name
        self.value = value


class Wildcard(Slotted):
    """`__path(name=value)__`; the path may hold variables, variants and globs."""

    __slots__ = ("arguments", "method", "path")
    _fields = ("path", "arguments", "method")

    def __init__(
        self,
        path: Sequence,
        arguments: tuple[Argument, ...] = (),
        method: Method | None = None,
        start: int = 0,
        end: int = 0,
    ) -> None:
        self.path = path
        self.arguments = arguments
        self.method = method
        self.start = start
        self.end = end
        self.slot = ""


class Assign(Slotted):
    """`${name=value}`; `!` draws it at once, `?` only when the name is not set yet."""

    __slots__ = ("if_unset", "immediate", "name", "value")
    _fields = ("name", "value", "immediate", "if_unset")

    def __init__(
        self,
        name: str,
        value: Sequence,
        immediate: bool = False,
        if_unset: bool = False,
        start: int = 0,
        end: int = 0,
    ) -> None:
        self.name = name
        self.value = value
        self.immediate = immediate
        self.if_unset = if_unset
        self.start = start
        self.end = end
        self.slot = ""


class Get(Slotted):
    """`${name}` or `${name:default}`."""

    __slots__ = ("default", "name")
    _fields = ("name", "default")

    def __init__(
        self, name: str, default: Sequence | None = None, start: int = 0, end: int = 0
    ) -> None:
        self.name = name
        self.default = default
        self.start = start
        self.end = end
        self.slot = ""


class Wrap(Node):
    """`%{before ... after$$inner}`: the inner text takes the place of the dots."""

    __slots__ = ("inner", "wrapper")
    _fields = ("wrapper", "inner")

    def __init__(self, wrapper: Sequence, inner: Sequence, start: int = 0, end: int = 0) -> None:
        self.wrapper = wrapper
        self.inner = inner
        self.start = start
        self.end = end


EMPTY = Sequence()


def number_slots(root: Sequence) -> None:
    """Give each place of a text where something is drawn a name that outlives changes elsewhere.

    slot = what is there itself (nested constructs left out), and how many like it come before
    """
    counts: dict[str, int] = {}

    def visit(sequence: Sequence) -> str:
        shape = ""
        for part in sequence.parts:
            kind = type(part)
            if kind is Text:
                shape += part.text  # type: ignore[attr-defined]  # a Text
                continue
            shape += "\1"
            if isinstance(part, Variant):
                if part.amount is not None:
                    visit(part.amount)
                part.slot = take("{" + "|".join([visit(one.body) for one in part.options]))
            elif isinstance(part, Wildcard):
                part.slot = take("__" + visit(part.path))
                for argument in part.arguments:
                    visit(argument.value)
            elif isinstance(part, Get):
                part.slot = take("$" + part.name)
                if part.default is not None:
                    visit(part.default)
            elif isinstance(part, Assign):
                part.slot = take("=" + part.name)
                visit(part.value)
            else:
                visit(part.wrapper)  # type: ignore[attr-defined]  # a Wrap
                visit(part.inner)  # type: ignore[attr-defined]  # a Wrap
        return shape

    def take(shape: str) -> str:
        number = counts.get(shape, 0)
        counts[shape] = number + 1
        return f"{shape}\0{number}"

    visit(root)
