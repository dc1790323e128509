"""What can be wrong with a template, and where: shown with the line and a caret at the cause."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A piece of source text: offsets in characters, the end excluded."""

    start: int
    end: int


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

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} [{self.code}]"


class PromptSyntaxError(PromptError):
    """A template that cannot be read; the span is the cause, not where reading stopped."""

    def __init__(
        self, code: str, message: str, *, source: str, span: Span, hint: str = "", name: str = ""
    ) -> None:
        super().__init__(code, message)
        self.args = (code, message, source, span, hint, name)
        self.source = source
        self.span = span
        self.hint = hint
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, self.args

    @property
    def line(self) -> int:
        """The line of the cause, from 1."""
        return line_and_column(self.source, self.span.start)[0]

    @property
    def column(self) -> int:
        """The column of the cause, from 1."""
        return line_and_column(self.source, self.span.start)[1]

    def __str__(self) -> str:
        place = f"{self.name or 'template'}:{self.line}:{self.column}"
        lines = self.source.split("\n")
        shown, column = _window(lines[self.line - 1], self.column - 1)
        width = max(1, min(self.span.end - self.span.start, len(shown) - column))
        marker = " " * column + "^" * width
        hint = f" {self.hint}" if self.hint else ""
        return f"{place}: {self.message} [{self.code}]\n  {shown}\n  {marker} {self.message}.{hint}"


def _rebuild(
    code: str, message: str, source: str, span: Span, hint: str, name: str
) -> PromptSyntaxError:
    return PromptSyntaxError(code, message, source=source, span=span, hint=hint, name=name)


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


class LimitExceeded(PromptError):
    """A template that would nest, recurse or grow beyond a named limit."""
