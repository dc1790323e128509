"""Finds wildcards below a folder, or below several by the names put in front of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...wildcards import MOST_BYTES, WildcardLibrary
from ..parser.config import default_parser_config
from .collection import WildcardCollection
from .item import WildcardItem
from .tree import WildcardTree
from .values import WildcardValues


class WildcardManager:
    """All wildcards; files are read when needed, and again after `clear_cache`."""

    def __init__(
        self,
        path: Path | str | None = None,
        wildcard_wrap: str = default_parser_config.wildcard_wrap,
        *,
        root_map: Mapping[str, Iterable[Any]] | None = None,
    ) -> None:
        if path and root_map:
            raise ValueError("Cannot specify both path and roots")
        self._path = Path(path) if path else None
        self._wrap = wildcard_wrap
        self._roots: Mapping[str, Iterable[Any]] = root_map or {}
        if self._path is not None:
            self._roots = {"": [self._path]}
        self._sort = self._dedup = True
        self.shuffle_wildcards = False
        self._library: WildcardLibrary | None = None

    @property
    def library(self) -> WildcardLibrary:
        """The engine's own library of these wildcards."""
        if self._library is None:
            folders = [one for one in self._roots.get("", ()) if isinstance(one, (str, Path))]
            self._library = WildcardLibrary(
                *folders,
                texts=dict(self._texts()),
                sort=self._sort,
                dedup=self._dedup,
                follow_links=True,
            )
        return self._library

    def _texts(self) -> Iterable[tuple[str, bytes | str]]:
        for prefix, roots in self._roots.items():
            front = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
            for number, root in enumerate(roots):
                if not isinstance(root, (str, Path)):
                    yield f"{front}{number}.json", json.dumps(root)
                elif front:
                    for file in sorted(Path(root).rglob("*")):
                        if file.is_file():
                            with file.open("rb") as stream:
                                content = stream.read(min(file.stat().st_size, MOST_BYTES))
                            yield front + file.relative_to(root).as_posix(), content

    @property
    def path(self) -> Path | None:
        """The folder, where there is one."""
        return self._path

    @property
    def wildcard_wrap(self) -> str:
        """What stands on both sides of a name."""
        return self._wrap

    @property
    def sort_wildcards(self) -> bool:
        """Whether values are sorted."""
        return self._sort

    @sort_wildcards.setter
    def sort_wildcards(self, value: bool) -> None:
        self._sort = value
        self.clear_cache()

    @property
    def dedup_wildcards(self) -> bool:
        """Whether repeated values are dropped."""
        return self._dedup

    @dedup_wildcards.setter
    def dedup_wildcards(self, value: bool) -> None:
        self._dedup = value
        self.clear_cache()

    def clear_cache(self) -> None:
        """Read the files again when they are needed next."""
        self._library = None

    @property
    def tree(self) -> WildcardTree:
        """All names as a tree."""
        return WildcardTree(self.library)

    def to_wildcard(self, name: str) -> str:
        """Put the marks around a name that has none."""
        front = "" if name.startswith(self._wrap) else self._wrap
        behind = "" if name.endswith(self._wrap) else self._wrap
        return f"{front}{name}{behind}"

    def is_wildcard(self, text: str) -> bool:
        """Whether a text stands between the marks."""
        return text.startswith(self._wrap) and text.endswith(self._wrap)

    def _clean(self, wildcard: str) -> str:
        if self.is_wildcard(wildcard) and len(wildcard) > 2 * len(self._wrap):
            wildcard = wildcard[len(self._wrap) : -len(self._wrap)]
        return wildcard.strip("/")

    def match_collections(self, wildcard: str) -> Iterable[WildcardCollection]:
        """Go through the wildcards that a name or glob means."""
        return self.tree.match_collections(self._clean(wildcard))

    def get_file(self, name: str) -> WildcardCollection:
        """Return one wildcard by its full name. Raises KeyError."""
        return self.tree.get_collection(self._clean(name))

    def get_collection_names(self) -> set[str]:
        """Return all names."""
        return set(self.library.names)

    def get_values(self, wildcard: str) -> WildcardValues:
        """Return the values of a name or glob."""
        values = WildcardValues.from_items(
            one.text if one.weight == 1 else WildcardItem(one.text, one.weight)
            for one in self.library.values(self._clean(wildcard))
        )
        return values.shuffled() if self.shuffle_wildcards else values

    def get_all_values(self, wildcard: str) -> list[str]:
        """Return the texts of a name or glob."""
        return self.get_values(wildcard).string_values
