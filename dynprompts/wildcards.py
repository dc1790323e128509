"""Wildcard files: found below their roots, read when first needed, matched by name or glob.

Nothing outside the roots is ever read: neither ".." nor a link leads out of them, unless links
are to be followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .values import Collection, Value, collect, collect_lines, collect_weighted_lines, unite

if TYPE_CHECKING:
    from pathlib import Path

    from .files import FileProblem, FileValues

_TREES = (".yaml", ".yml", ".json")
_SUFFIXES = (".txt", *_TREES)
_LAST = "\U0010ffff"
_LINK = "the link leads out of the folder of wildcards and is not followed"
_READ: dict[tuple[object, ...], Collection] = {}
_WORTH_KEEPING = 1 << 20
_MOST_KEPT = 4
MOST_BYTES = 32_000_000
"""Of one file: a list of all names of a large tag set has some 3,000,000."""
_GLOB = re.compile(r"[*?\[]")


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

    def content(self, problems: list[FileProblem]) -> bytes:
        from .files import FileProblem

        if self.path is None:
            return self._content or b""
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # noqa: PTH116  # as above
                raise OSError(errno.EINVAL, "it is not a regular file")
            with open(self.path, "rb") as file:  # noqa: PTH123  # no pathlib at import
                status = os.fstat(file.fileno())
                self.seen = _stamp(status)
                content = file.read(min(status.st_size, MOST_BYTES) + 1)
                if len(content) > status.st_size:  # it grew; more would cost Windows the memory
                    content += file.read(MOST_BYTES + 1 - len(content))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            problems.append(FileProblem("DP204", f"the file cannot be read: {reason}", self.where))
            return b""
        if len(content) <= MOST_BYTES:
            return content
        reason = f"it is longer than {MOST_BYTES:,} bytes"
        problems.append(FileProblem("DP204", f"the file cannot be read: {reason}", self.where))
        return b""

    def tree(self, weights_in_lists: bool) -> FileValues:
        """Return what a yaml or json file gives, read once."""
        if self._values is None:
            import yaml

            from .files import FileValues, decode, read_tree, tree_values

            problems: list[FileProblem] = []
            text = decode(self.content(problems), self.where, problems)
            try:
                tree = read_tree(self.suffix)(text, self.where)
                found = tree_values(tree, self.folder, self.name, self.where, weights_in_lists)
            except (ValueError, yaml.YAMLError, RecursionError) as error:
                found = FileValues({}, [_broken(self.where, error)])
            self._values = FileValues(found.names, problems + found.problems)
            _log(self._values.problems)
        return self._values


def _broken(where: str, error: Exception) -> FileProblem:
    from .files import FileProblem

    mark = getattr(error, "problem_mark", None)
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    place = f"{where}:{line}:{column}" if line else where
    said = getattr(error, "problem", None) or " ".join(str(error).split())
    if isinstance(error, RecursionError):
        said = "it is nested too deeply"
    return FileProblem("DP204", f"the file cannot be read and is left out: {said}", place)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def _log(problems: Iterable[FileProblem]) -> None:
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
            elif os.path.splitext(entry.name)[1].lower() in _SUFFIXES:  # noqa: PTH122  # no pathlib
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
        if self._follow_links or real == base or real.startswith(base.rstrip(os.sep) + os.sep):
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
                from .files import FileProblem

                _log([FileProblem("DP231", _LINK, link)])
            parts = [self._own(name) for name in names]
            self._found[pattern] = unite(parts, self._sort, self._dedup)
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
        """Return the files that give a name; the last one is used."""
        self._load_trees(name)
        files = sorted(self._names.get(name, ()), key=lambda file: file.order)
        return tuple(file.where for file in files)

    def problems(self) -> tuple[FileProblem, ...]:
        """Read every file and return what is wrong with any."""
        from .files import FileProblem, decode

        found = [FileProblem("DP231", _LINK, link) for link in self._links]
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
            ignored: list[FileProblem] = []
            yield file.where, decode(file.content(ignored), file.where, ignored)

    # Reading

    def _own(self, name: str) -> Collection:
        file = max(self._names[name], key=lambda one: one.order)
        known = self._texts.get(name)
        if known is not None and known[0] == file.order:
            return known[1]
        if file.suffix == ".txt":
            found = self._txt(file)
        else:
            entries = file.tree(self._weights_in_txt).names[name]
            found = collect(entries, self._sort, self._dedup)
        self._texts[name] = file.order, found
        return found

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
        problems: list[FileProblem] = []
        text = decode(file.content(problems), file.where, problems)
        _log(problems)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        read = collect_weighted_lines if self._weights_in_txt else collect_lines
        found = read(lines, file.where, self._sort, self._dedup)
        if key is not None and len(text) >= _WORTH_KEEPING:
            while len(_READ) >= _MOST_KEPT:
                del _READ[next(iter(_READ))]
            _READ[key] = found
        return found


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
