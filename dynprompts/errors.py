"""What can be wrong with a template, and where: shown with the line and a caret at the cause."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """A piece of source text: offsets in characters, the end excluded."""

    start: int
    end: int


class Origin(NamedTuple):
    """Where a text stands: its file (or "template"), and the place of its first character.

    `indent` is what a yaml block takes from the start of each of its lines.
    """

    name: str = "template"
    line: int = 1
    column: int = 1
    indent: int = 0

    def at(self, text: str, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, of an offset into the text that is here."""
        line, column = line_and_column(text, offset)
        if line == 1:
            return self.line, self.column + column - 1
        return self.line + line - 1, self.indent + column

    def place(self, text: str, offset: int) -> str:
        """Return file:line:column of an offset into the text that is here."""
        line, column = self.at(text, offset)
        return f"{self.name}:{line}:{column}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 option" or "2 options"; `plural` where that is not the noun and an "s"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, both from 1, of an offset into `text`."""
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


class PromptError(Exception):
    """Anything that is wrong with a template or a wildcard; `code` is DP and three digits."""

    def __init__(self, code: str, message: str, *, where: str = "") -> None:
        super().__init__(code, message, where)
        self.code = code
        self.message = message
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.code, self.message, self.where)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} [{self.code}]"


def _rebuild(kind: type[PromptError], code: str, message: str, where: str) -> PromptError:
    return kind(code, message, where=where)


class PromptSyntaxError(PromptError):
    """A template that cannot be read; the span is the cause, not where reading stopped."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        source: str,
        span: Span,
        hint: str = "",
        origin: Origin = Origin(),  # noqa: B008  # a constant
    ) -> None:
        super().__init__(code, message, where=origin.place(source, span.start))
        self.source = source
        self.span = span
        self.hint = hint
        self.origin = origin

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_syntax, (
            self.code,
            self.message,
            self.source,
            self.span,
            self.hint,
            self.origin,
        )

    @property
    def name(self) -> str:
        """The file of the text, or "template"."""
        return self.origin.name

    @property
    def line(self) -> int:
        """The line of the cause, from 1."""
        return self.origin.at(self.source, self.span.start)[0]

    @property
    def column(self) -> int:
        """The column of the cause, from 1."""
        return self.origin.at(self.source, self.span.start)[1]

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        head = f"{self.where}: {self.message} [{self.code}]"
        return f"{head}\n{excerpt(self.source, self.span)} {self.message}.{hint}"


def _rebuild_syntax(
    code: str, message: str, source: str, span: Span, hint: str, origin: Origin
) -> PromptSyntaxError:
    return PromptSyntaxError(code, message, source=source, span=span, hint=hint, origin=origin)


def excerpt(source: str, span: Span) -> str:
    """Return the line in which a span begins, and carets below it."""
    row, column = line_and_column(source, span.start)
    shown, column = _window(source.split("\n")[row - 1], column - 1)
    width = max(1, min(span.end - span.start, len(shown) - column))
    return f"  {shown}\n  {' ' * column}{'^' * width}"


_SHOWN = 90


def _window(line: str, column: int) -> tuple[str, int]:
    """Cut a long line to what is around the column; tabs count as one blank."""
    line = line.replace("\t", " ")
    start = max(0, min(column - _SHOWN // 2, len(line) - _SHOWN))
    return line[start : start + _SHOWN], column - start


class WildcardNotFound(PromptError):
    """A reference to a wildcard that no file gives values for."""


class UndefinedVariable(PromptError):
    """A variable that was never set and has no default."""


class NothingToDraw(PromptError):
    """A variant or wildcard whose weights are all 0."""


class LimitExceeded(PromptError):
    """A template that would nest, recurse or grow beyond a named limit."""


class Endless(LimitExceeded):
    """A wildcard that leads back to itself, where all that it can become is counted."""
