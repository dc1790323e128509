"""Which bracket closes which, and which stand open: in one pass over a text."""

from __future__ import annotations

from .lexer import ParserConfig, patterns


def match_brackets(text: str, config: ParserConfig) -> dict[int, int]:
    """Return the position after each closing bracket by that of its opening one.

    A bracket of the language closes whatever "(" still stands open inside of it.
    """
    pairs: dict[int, int] = {}
    stack: list[tuple[int, bool]] = []
    braces = 0
    opening = (config.variable_start, config.wrap_start, config.variant_start)
    for found in patterns(config).brackets.finditer(text):
        group = found.group()
        if group == "(":
            stack.append((found.start(), True))
        elif group == ")":
            if stack and stack[-1][1]:
                pairs[stack.pop()[0]] = found.end()
        elif group in opening:
            stack.append((found.start(), False))
            braces += 1
        elif braces and group[0] not in "\\#":
            while stack[-1][1]:
                stack.pop()
            pairs[stack.pop()[0]] = found.end()
            braces -= 1
    return pairs


class OpenBrackets:
    """Whether a "[" stands open: inside it, a "|" is A1111's alternation and stays text."""

    __slots__ = ("_level", "_seen", "_text")

    def __init__(self, text: str, start: int) -> None:
        self._text, self._seen, self._level = text, start, 0

    def open_at(self, position: int) -> bool:
        """Count on to `position`."""
        opened = self._text.count("[", self._seen, position)
        closed = self._text.count("]", self._seen, position)
        self._level = max(0, self._level + opened - closed)
        self._seen = position
        return self._level > 0
