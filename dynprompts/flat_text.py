"""The text of one sequence as the rules for slips see it."""

from __future__ import annotations

import re
from bisect import bisect_right

from .errors import Span
from .nodes import Node, Text

NODE, _BLANK = "\1", "\2"
_ESCAPED = re.compile(r"\\.|#[^\n]*|/\*.*?\*/", re.DOTALL)


class FlatText:
    """The text of a sequence: constructs are one mark each, escaped characters blanks."""

    def __init__(self, source: str, parts: tuple[Node, ...]) -> None:
        pieces: list[str] = []
        self.nodes: dict[int, Node] = {}
        self._starts, self._offsets = [0], [parts[0].start if parts else 0]
        length = 0
        for part in parts:
            self._starts.append(length)
            self._offsets.append(part.start)
            piece = NODE
            if isinstance(part, Text):
                piece = source[part.start : part.end]
                if "\\" in piece or "#" in piece or "/*" in piece:
                    piece = _ESCAPED.sub(blank_out, piece)
            else:
                self.nodes[length] = part
            pieces.append(piece)
            length += len(piece)
        self.text = "".join(pieces)
        self._end = parts[-1].end if parts else 0

    def at(self, place: int) -> int:
        """Return the offset in the source of a place."""
        index = bisect_right(self._starts, place) - 1
        return min(self._offsets[index] + place - self._starts[index], self._end)

    def span(self, start: int, end: int) -> Span:
        """Return the part of the source between two places."""
        return Span(self.at(start), max(self.at(end - 1) + 1, self.at(start) + 1))


def blank_out(found: re.Match[str]) -> str:
    return _BLANK * len(found.group())
