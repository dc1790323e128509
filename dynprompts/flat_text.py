"""The text of one sequence as the rules for slips see it."""

from __future__ import annotations

import re
from bisect import bisect_right

from .errors import Span
from .nodes import Node, Text

NODE, _BLANK = "\1", "\2"
_ESCAPED = re.compile(r"\\.|#[^\n]*|/\*.*?(?:\*/|(\Z))", re.DOTALL)
_ESCAPED_ONLY = re.compile(r"\\.|#[^\n]*", re.DOTALL)
FACE = re.compile(
    r"(?:^|(?<=[\s,|\x01]))(?:[>]?[:;=][-'o^]?[()\[\]{}<>|]+|[()\[\]{}<>|][-'o]?[:;=]|[<>|({\[]{1,2}[_.oO0wv^-]+[<>|)}\]]{1,2}|<3)"
)
CLOSERS = {"]": "[", ")": "(", ">": "<"}


class FlatText:
    """The text of a sequence: constructs are one mark each, escaped characters spaces."""

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
                    piece = _ESCAPED.sub(_blank_escaped, piece)
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


def _blank_escaped(found: re.Match[str]) -> str:
    """Blank an escape or a comment; a "/*" that nothing closes is none, and met once only."""
    if found[1] is None:
        return blank_out(found)
    return "/*" + _ESCAPED_ONLY.sub(blank_out, found.group()[2:])


def blank_out(found: re.Match[str]) -> str:
    return _BLANK * len(found.group())


def open_places(text: str) -> set[int]:
    """Return the constructs that stand inside of round or square brackets."""
    level, found = 0, set[int]()
    if "(" not in text and "[" not in text:
        return found
    for place, letter in enumerate(text):
        if letter in "([":
            level += 1
        elif letter in ")]":
            level = max(0, level - 1)
        elif letter == NODE and level:
            found.add(place)
    return found


def is_inside_square(text: str, place: int) -> bool:
    return text.count("[", 0, place) > text.count("]", 0, place) and "]" in text[place:]


def is_inside(text: str, place: int) -> bool:
    """Whether a place is in some bracket that was opened before it."""
    levels = dict.fromkeys("([<", 0)
    for letter in FACE.sub(blank_out, text[:place]):
        if letter in levels:
            levels[letter] += 1
        elif letter in CLOSERS:
            levels[CLOSERS[letter]] = max(0, levels[CLOSERS[letter]] - 1)
    return any(levels.values())
