"""The values of one wildcard: texts, weights, and where each stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import islice
from operator import eq
from typing import TYPE_CHECKING, NamedTuple

from .errors import Origin
from .lexer import ParserConfig, patterns
from .nodes import Sequence, number_slots
from .parser import parse_sequence
from .randomness import thresholds

if TYPE_CHECKING:
    from .files import FileEntry

_MOST_LOOKED_FOR = 4


class Value(NamedTuple):
    """One value of a wildcard, a template itself; `where` is file:line."""

    text: str
    weight: float = 1.0
    where: str = ""


class Document:
    """A text that was parsed, and where it stands."""

    __slots__ = ("origin", "root", "text")

    def __init__(self, root: Sequence, text: str, origin: Origin) -> None:
        self.root = root
        self.text = text
        self.origin = origin


class Collection:
    """The values of one wildcard name or glob, in the order in which they are counted.

    `part` tells of each value of a glob which collection it comes from, and its place there.
    """

    __slots__ = ("_documents", "_origin", "_part", "_plain", "_thresholds", "texts", "weights")

    def __init__(
        self,
        texts: list[str],
        weights: list[float] | None,
        origin: Callable[[int], Origin],
        part: Callable[[int], tuple[Collection, int]] | None = None,
    ) -> None:
        self.texts = texts
        self.weights = weights
        self._origin = origin
        self._part = part
        self._documents: dict[tuple[int, ParserConfig, int], Document] = {}
        self._plain: dict[ParserConfig, bool] = {}
        self._thresholds: list[int] | None = None

    def origin(self, index: int) -> Origin:
        """Return where a value stands."""
        return self._origin(index)

    def where(self, index: int) -> str:
        """Return file:line of a value."""
        origin = self._origin(index)
        return f"{origin.name}:{origin.line}"

    @property
    def thresholds(self) -> list[int]:
        """The values as parts of all 64-bit draws, by their weights."""
        if self._thresholds is None:
            self._thresholds = thresholds(self.weights or ())
        return self._thresholds

    def document(self, index: int, config: ParserConfig, nesting: int) -> Document | None:
        """Return a value parsed, None for plain text. Raises PromptSyntaxError."""
        text = self.texts[index]
        if not patterns(config).lively.search(text):
            return None
        if self._part is not None:
            found, place = self._part(index)
            return found.document(place, config, nesting)
        key = index, config, nesting
        document = self._documents.get(key)
        if document is None:
            origin = self.origin(index)
            root = parse_sequence(text, config, origin, nesting)
            number_slots(root)
            document = self._documents[key] = Document(root, text, origin)
        return document

    def all_plain(self, config: ParserConfig) -> bool:
        """Whether no value is more than text."""
        if config not in self._plain:
            search = patterns(config).lively.search
            self._plain[config] = not any(map(search, self.texts))
        return self._plain[config]


def unite(parts: list[Collection], sort: bool, dedup: bool) -> Collection | None:
    """Return the values of all parts as one collection, None without any."""
    parts = [part for part in parts if part.texts]
    if len(parts) < 2:
        return parts[0] if parts else None
    entries = [
        (text, one.weights[index] if one.weights else 1.0, one, index)
        for one in parts
        for index, text in enumerate(one.texts)
    ]
    if dedup:
        unique: dict[str, tuple[str, float, Collection, int]] = {}
        for entry in entries:
            unique.setdefault(entry[0], entry)
        entries = list(unique.values())
    if sort:
        entries.sort(key=lambda entry: entry[0])

    def part(index: int) -> tuple[Collection, int]:
        return entries[index][2:]

    def origin(index: int) -> Origin:
        found, place = part(index)
        return found.origin(place)

    weights = [entry[1] for entry in entries]
    return Collection([entry[0] for entry in entries], _uneven(weights), origin, part)


def collect(entries: list[FileEntry], sort: bool, dedup: bool) -> Collection:
    """Return the values of a yaml or json file, or of lines with weights."""
    if dedup:
        unique: dict[str, FileEntry] = {}
        for entry in entries:
            unique.setdefault(entry.text, entry)
        entries = list(unique.values())
    if sort:
        entries = sorted(entries, key=lambda entry: entry.text)
    weights = _uneven([entry.weight for entry in entries])
    texts = [entry.text for entry in entries]
    return Collection(texts, weights, lambda index: entries[index].origin)


def collect_weighted_lines(lines: list[str], where: str, sort: bool, dedup: bool) -> Collection:
    """Return the values of a text file in which "3::red" is red with weight 3."""
    from .files import FileEntry, split_weight

    entries = []
    for number, line in enumerate(lines):
        value = line.strip()
        if value and not value.startswith("#"):
            weight, text = split_weight(value)
            column = line.index(value) + 1 + len(value) - len(text)
            entries.append(FileEntry(text, weight, Origin(where, number + 1, column)))
    return collect([entry for entry in entries if entry.text], sort, dedup)


def collect_lines(lines: list[str], where: str, sort: bool, dedup: bool) -> Collection:
    """Return the values of a text file."""
    stripped = list(map(str.strip, lines))
    if not dedup:
        numbers = [n for n, one in enumerate(stripped) if one and not one.startswith("#")]
        if sort:
            numbers.sort(key=stripped.__getitem__)
        texts = [stripped[number] for number in numbers]
        return Collection(texts, None, lambda index: _place(lines, numbers[index], where))
    if sort:
        texts = sorted(stripped)  # before repeats are dropped: a set would scatter them
        del texts[: bisect_left(texts, "\0")]
        start = bisect_left(texts, "#")
        del texts[start : bisect_left(texts, "$", start)]
        if any(map(eq, texts, islice(texts, 1, None))):
            texts = list(dict.fromkeys(texts))
    else:
        texts = [text for text in dict.fromkeys(stripped) if text and text[0] != "#"]
    return Collection(texts, None, _Places(lines, stripped, texts, where))


class _Places:
    """Where the values of a text file stand: the first line of each.

    A few are looked for; who asks for more has all lines numbered.
    """

    __slots__ = ("_asked", "_first", "_lines", "_stripped", "_texts", "_where")

    def __init__(self, lines: list[str], stripped: list[str], texts: list[str], where: str) -> None:
        self._lines, self._stripped, self._texts, self._where = lines, stripped, texts, where
        self._asked = 0
        self._first: dict[str, int] = {}

    def __call__(self, index: int) -> Origin:
        text = self._texts[index]
        if not self._first:
            self._asked += 1
            if self._asked <= _MOST_LOOKED_FOR:
                return _place(self._lines, self._stripped.index(text), self._where)
            # the first of equal values is written last, so it is the one that stays
            numbers = range(len(self._stripped) - 1, -1, -1)
            self._first = dict(zip(reversed(self._stripped), numbers, strict=True))
        return _place(self._lines, self._first[text], self._where)


def _place(lines: list[str], number: int, where: str) -> Origin:
    line = lines[number]
    return Origin(where, number + 1, len(line) - len(line.lstrip()) + 1)


def _uneven(weights: list[float]) -> list[float] | None:
    return None if len(set(weights)) <= 1 and (not weights or weights[0] > 0) else weights
