"""Wildcard files: found below their roots, read once, matched by name or glob.

    name.txt           one value a line
    d/f.yaml, d/f.json keys below d/, values as lists: text, "3::text", {text, weight}
Nothing outside the roots is ever read.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

_LOG = logging.getLogger(__name__)
_SUFFIXES = (".txt", ".yaml", ".yml", ".json")
_WEIGHTED = re.compile(r"(\d+(?:\.\d*)?|\.\d+)::(.*)", re.DOTALL)


@dataclass(frozen=True)
class Value:
    """One value of a wildcard, a template itself; `where` is file:line."""

    text: str
    weight: float = 1.0
    where: str = ""


class WildcardLibrary:
    """All wildcards below some folders, or given as texts by relative path.

    `sort` orders values by code point, `dedup` keeps the first of equal ones.
    """

    def __init__(
        self,
        *roots: Path,
        texts: Mapping[str, bytes] | None = None,
        sort: bool = True,
        dedup: bool = True,
    ) -> None:
        self._sort, self._dedup = sort, dedup
        self._collections: dict[str, tuple[Value, ...]] = {}
        self._matches: dict[str, tuple[Value, ...]] = {}
        for root in roots:
            for path, content in _read_root(Path(root)):
                self._add(path, content)
        for name, content in (texts or {}).items():
            if not any(part.startswith(".") for part in PurePosixPath(name).parts):
                self._add(PurePosixPath(name), content)

    @property
    def names(self) -> tuple[str, ...]:
        """All wildcard names, sorted."""
        return tuple(sorted(self._collections))

    def values(self, pattern: str) -> tuple[Value, ...]:
        """Return the values of a name or glob; empty when nothing is found.

        `*` crosses `/`; a name that is not found is looked for below any folder.
        """
        if pattern not in self._matches:
            self._matches[pattern] = self._find(pattern)
        return self._matches[pattern]

    def _find(self, pattern: str) -> tuple[Value, ...]:
        wanted = _normalized(pattern)
        if wanted is None:
            return ()
        names = self._matching(wanted) or self._matching(f"*/{wanted}")
        found = [value for name in names for value in self._collections[name]]
        return tuple(self._arranged(found))

    def _matching(self, pattern: str) -> list[str]:
        if pattern in self._collections:
            return [pattern]
        return [name for name in sorted(self._collections) if fnmatchcase(name, pattern)]

    def _arranged(self, values: Iterable[Value]) -> list[Value]:
        found = list(values)
        if self._dedup:
            unique: dict[str, Value] = {}
            for value in found:
                unique.setdefault(value.text, value)
            found = list(unique.values())
        return sorted(found, key=lambda value: value.text) if self._sort else found

    def _add(self, path: PurePosixPath, content: bytes) -> None:
        text = _decode(content, str(path))
        if path.suffix == ".txt":
            name = str(path.with_suffix(""))
            self._collections[name] = tuple(_txt_values(text, str(path)))
            return
        data = _load(path, text)
        if isinstance(data, list):
            self._collections[str(path.with_suffix(""))] = tuple(
                Value(item, 1.0, str(path)) for item in data if isinstance(item, str) and item
            )
        elif isinstance(data, dict):
            folder = str(path.parent)
            self._add_tree(data, "" if folder == "." else f"{folder}/", str(path))

    def _add_tree(self, tree: Mapping[Any, Any], prefix: str, where: str) -> None:
        for key, node in tree.items():
            if not isinstance(key, str):
                _LOG.warning("%s: the key %r is no text and is left out", where, key)
                continue
            name = f"{prefix}{key}"
            if isinstance(node, dict):
                self._add_tree(node, f"{name}/", where)
            elif isinstance(node, str):
                self._collections[name] = (Value(node, 1.0, where),) if node else ()
            elif isinstance(node, list):
                values = (_tree_value(item, where) for item in node)
                self._collections[name] = tuple(value for value in values if value and value.text)
            else:
                _LOG.warning("%s: %s has no values and is left out", where, name)


def _read_root(root: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Walk one root; links that lead out of it are not followed."""
    base = root.resolve()
    for folder, folders, files in os.walk(root, followlinks=True):
        inside = [one for one in sorted(folders) if not one.startswith(".")]
        folders[:] = [one for one in inside if _is_inside(Path(folder, one), base)]
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix in _SUFFIXES and _is_inside(path, base):
                yield PurePosixPath(path.relative_to(root).as_posix()), path.read_bytes()


def _is_inside(path: Path, base: Path) -> bool:
    return path.resolve().is_relative_to(base)


def _normalized(pattern: str) -> str | None:
    """Return the name that a reference means; None for one that would leave the roots."""
    parts = [part for part in pattern.replace("\\", "/").split("/") if part]
    return None if ".." in parts else "/".join(parts)


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16", errors="replace")
        _LOG.warning("%s is no UTF-8 and is read as windows-1252", where)
        return content.decode("cp1252", errors="replace")


def _txt_values(text: str, where: str) -> Iterator[Value]:
    for number, line in enumerate(text.splitlines(), start=1):
        value = line.strip()
        if value and not value.startswith("#"):
            yield Value(value, 1.0, f"{where}:{number}")


def _load(path: PurePosixPath, text: str) -> Any:
    import yaml

    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        _LOG.warning("%s cannot be read and is left out: %s", path, error)
        return None


def _tree_value(item: Any, where: str) -> Value | None:
    if isinstance(item, str):
        found = _WEIGHTED.fullmatch(item)
        return (
            Value(found.group(2), float(found.group(1)), where)
            if found
            else Value(item, 1.0, where)
        )
    if isinstance(item, dict):
        text = item.get("text", item.get("content"))
        weight = item.get("weight", 1.0)
        if isinstance(text, str) and isinstance(weight, (int, float)):
            return Value(text, float(weight), where)
    _LOG.warning("%s: the value %r is no text and is left out", where, item)
    return None
