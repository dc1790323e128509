"""Wildcard files: found below their roots, read when first needed, matched by name or glob.

Nothing outside the roots is ever read: neither ".." nor a link leads out of them, unless links
are to be followed.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import eq
from typing import TYPE_CHECKING, NamedTuple

from .errors import Origin
from .lexer import ParserConfig, patterns
from .nodes import Sequence, number_slots
from .parser import parse_sequence
from .randomness import thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from .files import Entry, FileValues, Problem

_TREES = (".yaml", ".yml", ".json")
_SUFFIXES = (".txt", *_TREES)
_LAST = "\U0010ffff"
_LINK = "the link leads out of the folder of wildcards and is not followed"
_GLOB = re.compile(r"[*?\[]")


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


class _File:
    """One file of the library; `order` decides between files that give the same name."""

    __slots__ = ("_content", "_values", "name", "order", "path", "seen", "suffix")

    def __init__(self, name: str, order: int, path: str | None, content: bytes | None) -> None:
        self.name, self.suffix = os.path.splitext(name)  # noqa: PTH122  # no pathlib at import
        self.suffix = self.suffix.lower()
        self.order, self.path, self._content = order, path, content
        self.seen: tuple[int, int] | None = None
        self._values: FileValues | None = None

    @property
    def where(self) -> str:
        return self.name + self.suffix

    @property
    def folder(self) -> str:
        head, slash, _ = self.name.rpartition("/")
        return head + slash

    def content(self, problems: list[Problem]) -> bytes:
        from .files import Problem

        if self.path is None:
            return self._content or b""
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123  # no pathlib at import
                self.seen = _stamp(os.fstat(file.fileno()))
                return file.read()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            problems.append(Problem("DP204", f"the file cannot be read: {reason}", self.where))
            return b""

    def tree(self, weights_in_lists: bool) -> FileValues:
        """Return what a yaml or json file gives, read once."""
        if self._values is None:
            self._values = self._read_tree(weights_in_lists)
            _log(self._values.problems)
        return self._values

    def _read_tree(self, weights_in_lists: bool) -> FileValues:
        import yaml

        from .files import FileValues, decode, read_tree, tree_values

        problems: list[Problem] = []
        text = decode(self.content(problems), self.where, problems)
        try:
            tree = read_tree(self.suffix)(text, self.where)
            found = tree_values(tree, self.folder, self.name, self.where, weights_in_lists)
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            found = FileValues({}, [_broken(self.where, error)])
        return FileValues(found.names, problems + found.problems)


def _broken(where: str, error: Exception) -> Problem:
    from .files import Problem

    mark = getattr(error, "problem_mark", None)
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    place = f"{where}:{line}:{column}" if line else where
    said = getattr(error, "problem", None) or " ".join(str(error).split())
    if isinstance(error, RecursionError):
        said = "it is nested too deeply"
    return Problem("DP204", f"the file cannot be read and is left out: {said}", place)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def _log(problems: Iterable[Problem]) -> None:
    problems = list(problems)
    if problems:
        import logging

        for problem in problems:
            logging.getLogger(__name__).warning("%s: %s", problem.where, problem.message)


class WildcardLibrary:
    """All wildcards below some folders, or given as texts by relative path.

    `sort` orders values by code point, `dedup` keeps the first of equal ones. `weights_in_txt`
    reads "3::red" as red with weight 3 in text files, and in yaml and json files that are a list.
    A later root counts before an earlier one. `follow_links` reads what a link, or a junction of
    Windows, brings in from outside of the roots.
    """

    def __init__(
        self,
        *roots: Path | str,
        texts: Mapping[str, bytes | str] | None = None,
        sort: bool = True,
        dedup: bool = True,
        weights_in_txt: bool = False,
        follow_links: bool = False,
    ) -> None:
        self._follow_links = follow_links
        self._roots = tuple(os.fspath(root) for root in roots)
        self._given = dict(texts or {})
        self._sort, self._dedup, self._weights_in_txt = sort, dedup, weights_in_txt
        self.version = 0
        self._scan()

    # Finding

    def _scan(self) -> None:
        self._files: list[_File] = []
        self._folders: dict[str, int] = {}
        self._links: list[str] = []
        for root in self._roots:
            base = os.path.realpath(root)
            self._walk(root, "", base, (base,))
        for name, content in self._given.items():
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # no pathlib at import
            hidden = any(part.startswith(".") for part in name.split("/"))
            if suffix in _SUFFIXES and not hidden:
                data = content.encode("utf-8") if isinstance(content, str) else content
                self._files.append(_File(name, len(self._files), None, data))
        self._forget()

    def _walk(self, folder: str, prefix: str, base: str, above: tuple[str, ...]) -> None:
        """Collect the files of one folder, then of those in it; links stay inside the root."""
        try:
            self._folders[folder] = os.stat(folder).st_mtime_ns  # noqa: PTH116  # no pathlib
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            self._folders[folder] = -1
            return
        inside = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                inside.append(entry)
            elif _is_ours(entry):
                real = os.path.realpath(entry.path) if entry.is_symlink() else base
                if self._may_follow(real, base, prefix + entry.name):
                    file = _File(prefix + entry.name, len(self._files), entry.path, None)
                    self._files.append(file)
        for entry in inside:
            real = os.path.realpath(entry.path)
            followed = self._may_follow(real, base, prefix + entry.name)
            if followed and real not in above:
                self._walk(entry.path, f"{prefix}{entry.name}/", base, (*above, real))

    def _may_follow(self, real: str, base: str, name: str) -> bool:
        if self._follow_links or _is_inside(real, base):
            return True
        self._links.append(name)
        return False

    def link_of(self, pattern: str) -> str:
        """Return the link that is not followed and that a name would need, "" without one."""
        for link in self._links:
            name = os.path.splitext(link)[0]  # noqa: PTH122  # no pathlib at import
            if pattern == name or pattern.startswith(f"{link}/"):
                return link
        return ""

    def _forget(self) -> None:
        self.version += 1
        self._found: dict[str, Collection | None] = {}
        self._texts: dict[str, tuple[int, Collection]] = {}
        self._names: dict[str, list[_File]] = {}
        self._waiting = [file for file in self._files if file.suffix in _TREES]
        self._sorted: tuple[str, ...] | None = None
        self._matched: dict[str, tuple[str, ...]] = {}
        self._tails: dict[str, list[str]] | None = None
        for file in self._files:
            if file.suffix == ".txt":
                self._names.setdefault(file.name, []).append(file)

    def refresh(self) -> bool:
        """Look for changes on disk; True when there were any. Unchanged folders are not read."""
        if any(_folder_time(folder) != time for folder, time in self._folders.items()):
            self._scan()
            return True
        changed = [file for file in self._files if file.path and _has_changed(file)]
        if changed:
            kept = self._files
            self._files = [
                _File(file.where, file.order, file.path, None) if file in changed else file
                for file in kept
            ]
            self._forget()
        return bool(changed)

    def _load_trees(self, name: str | None = None) -> None:
        """Read the yaml and json files that can give `name`, or all of them."""
        if not self._waiting:
            return
        waiting = []
        for file in self._waiting:
            if name is None or name.startswith(file.folder):
                for key in file.tree(self._weights_in_txt).names:
                    self._names.setdefault(key, []).append(file)
                self._sorted = None
            else:
                waiting.append(file)
        self._waiting = waiting

    # Asking

    @property
    def names(self) -> tuple[str, ...]:
        """All wildcard names, sorted."""
        self._load_trees()
        if self._sorted is None:
            self._sorted = tuple(sorted(self._names))
        return self._sorted

    def values(self, pattern: str) -> tuple[Value, ...]:
        """Return the values of a name or glob; empty when nothing is found.

        `*` crosses `/`; a name that is not found is looked for below any folder.
        """
        found = self.collection(pattern)
        if found is None:
            return ()
        weights = found.weights or [1.0] * len(found.texts)
        return tuple(
            Value(text, weight, found.where(index))
            for index, (text, weight) in enumerate(zip(found.texts, weights, strict=True))
        )

    def collection(self, pattern: str) -> Collection | None:
        """Return the values of a name or glob, None when there are none."""
        if pattern not in self._found:
            names = self.matching(pattern)
            link = "" if names else self.link_of(pattern)
            if link:
                from .files import Problem

                _log([Problem("DP231", _LINK, link)])
            self._found[pattern] = self._gather(names) if names else None
        return self._found[pattern]

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Return the names that a reference means; none for one that would leave the roots."""
        parts = [part for part in pattern.replace("\\", "/").split("/") if part]
        if not parts or ".." in parts:
            return ()
        wanted = "/".join(parts)
        self._load_trees(wanted)
        if wanted in self._names:
            return (wanted,)
        if wanted not in self._matched:
            self._matched[wanted] = (
                self._globbed(wanted) or self._below_any(wanted) or self._united(wanted)
            )
        return self._matched[wanted]

    def _united(self, wanted: str) -> tuple[str, ...]:
        """`a+b` means the values of both, where no wildcard is called so."""
        parts = wanted.split("+")
        found = [self.matching(part.strip()) for part in parts] if len(parts) > 1 else []
        return tuple(dict.fromkeys(name for names in found for name in names)) if all(found) else ()

    def _globbed(self, pattern: str) -> tuple[str, ...]:
        from fnmatch import translate

        head = _GLOB.split(pattern, maxsplit=1)[0]
        if head == pattern:
            return (pattern,) if pattern in self._names else ()
        names = self.names
        try:
            matches = re.compile(translate(pattern)).match
        except re.error:  # pragma: no cover  # Python 3.10 at a range like [z-a]
            return ()
        start, end = bisect_left(names, head), bisect_left(names, head + _LAST)
        return tuple(name for name in names[start:end] if matches(name))

    def _below_any(self, wanted: str) -> tuple[str, ...]:
        """Look for a name below any folder."""
        if _GLOB.search(wanted):
            return self._globbed(f"*/{wanted}")
        if self._tails is None:
            self._tails = {}
            for name in self.names:
                self._tails.setdefault(name.rpartition("/")[2], []).append(name)
        tail = f"/{wanted}"
        return tuple(
            name for name in self._tails.get(wanted.rpartition("/")[2], ()) if name.endswith(tail)
        )

    def givers(self, name: str) -> tuple[str, ...]:
        """Return the files that give a name; the last one counts."""
        self._load_trees(name)
        files = sorted(self._names.get(name, ()), key=lambda file: file.order)
        return tuple(file.where for file in files)

    def problems(self) -> tuple[Problem, ...]:
        """Read every file and return what is wrong with any."""
        from .files import Problem, decode

        found = [Problem("DP231", _LINK, link) for link in self._links]
        for file in self._files:
            if file.suffix == ".txt":
                decode(file.content(found), file.where, found)
            else:
                found.extend(file.tree(self._weights_in_txt).problems)
        return tuple(found)

    def raw_texts(self) -> Iterator[tuple[str, str]]:
        """Yield every file's name and decoded text."""
        from .files import decode

        for file in self._files:
            ignored: list[Problem] = []
            yield file.where, decode(file.content(ignored), file.where, ignored)

    # Reading

    def _gather(self, names: tuple[str, ...]) -> Collection | None:
        parts = [part for part in map(self._own, names) if part.texts]
        if len(parts) < 2:
            return parts[0] if parts else None
        entries = [
            (text, one.weights[index] if one.weights else 1.0, one, index)
            for one in parts
            for index, text in enumerate(one.texts)
        ]
        if self._dedup:
            unique: dict[str, tuple[str, float, Collection, int]] = {}
            for entry in entries:
                unique.setdefault(entry[0], entry)
            entries = list(unique.values())
        if self._sort:
            entries.sort(key=lambda entry: entry[0])

        def part(index: int) -> tuple[Collection, int]:
            return entries[index][2:]

        def origin(index: int) -> Origin:
            found, place = part(index)
            return found.origin(place)

        weights = [entry[1] for entry in entries]
        return Collection([entry[0] for entry in entries], _uneven(weights), origin, part)

    def _own(self, name: str) -> Collection:
        file = max(self._names[name], key=lambda one: one.order)
        known = self._texts.get(name)
        if known is not None and known[0] == file.order:
            return known[1]
        if file.suffix == ".txt":
            found = self._txt(file)
        else:
            found = self._listed(file.tree(self._weights_in_txt).names[name])
        self._texts[name] = file.order, found
        return found

    def _listed(self, entries: list[Entry]) -> Collection:
        if self._dedup:
            unique: dict[str, Entry] = {}
            for entry in entries:
                unique.setdefault(entry.text, entry)
            entries = list(unique.values())
        if self._sort:
            entries = sorted(entries, key=lambda entry: entry.text)
        weights = _uneven([entry.weight for entry in entries])
        texts = [entry.text for entry in entries]
        return Collection(texts, weights, lambda index: entries[index].origin)

    def _txt(self, file: _File) -> Collection:
        """values = lines, stripped; empty ones and those that start with "#" are left out"""
        from .files import decode

        key = None
        if file.path is not None:
            status = os.stat(file.path) if os.path.exists(file.path) else None  # noqa: PTH110, PTH116
            if status is not None:
                key = (file.path, *_stamp(status), self._sort, self._dedup, self._weights_in_txt)
        if key is not None and key in _READ:
            file.seen = key[1], key[2]
            return _READ[key]
        problems: list[Problem] = []
        text = decode(file.content(problems), file.where, problems)
        _log(problems)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        found = self._lines(lines, file.where)
        if key is not None and len(text) >= _WORTH_KEEPING:
            while len(_READ) >= _MOST_KEPT:
                del _READ[next(iter(_READ))]
            _READ[key] = found
        return found

    def _lines(self, lines: list[str], where: str) -> Collection:
        stripped = list(map(str.strip, lines))
        if self._weights_in_txt:
            from .files import Entry, split_weight

            entries = []
            for number, value in enumerate(stripped):
                if value and not value.startswith("#"):
                    weight, text = split_weight(value)
                    column = lines[number].index(value) + 1 + len(value) - len(text)
                    entries.append(Entry(text, weight, Origin(where, number + 1, column)))
            return self._listed([entry for entry in entries if entry.text])
        if not self._dedup:
            numbers = [n for n, one in enumerate(stripped) if one and not one.startswith("#")]
            if self._sort:
                numbers.sort(key=stripped.__getitem__)
            texts = [stripped[number] for number in numbers]
            return Collection(texts, None, lambda index: _place(lines, numbers[index], where))
        if self._sort:
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


_MOST_LOOKED_FOR = 4
_READ: dict[tuple[object, ...], Collection] = {}
_WORTH_KEEPING = 1 << 20
_MOST_KEPT = 4


def _place(lines: list[str], number: int, where: str) -> Origin:
    line = lines[number]
    return Origin(where, number + 1, len(line) - len(line.lstrip()) + 1)


def _uneven(weights: list[float]) -> list[float] | None:
    return None if len(set(weights)) <= 1 and (not weights or weights[0] > 0) else weights


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether a file is one of wildcards."""
    return os.path.splitext(entry.name)[1].lower() in _SUFFIXES  # noqa: PTH122  # no pathlib


def _is_inside(path: str, base: str) -> bool:
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)


def _folder_time(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116  # no pathlib at import
    except OSError:
        return -1


def _has_changed(file: _File) -> bool:
    if file.seen is None or file.path is None:
        return False
    try:
        return _stamp(os.stat(file.path)) != file.seen  # noqa: PTH116  # no pathlib at import
    except OSError:
        return True
