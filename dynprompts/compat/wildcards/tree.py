"""The names of all wildcards as a tree."""

from __future__ import annotations

from collections.abc import Iterator

from ...wildcards import WildcardLibrary
from .collection import WildcardCollection


class WildcardTreeNode:
    """A folder of names: those in it, and the folders below."""

    def __init__(self, name: str = "", parent: WildcardTreeNode | None = None) -> None:
        self.name, self.parent = name, parent
        self.child_nodes: dict[str, WildcardTreeNode] = {}
        self.collections: dict[str, WildcardCollection] = {}

    @property
    def full_name(self) -> str:
        """The name with those above it."""
        above = self.parent.full_name if self.parent is not None else ""
        return f"{above}/{self.name}" if above else self.name

    def qualify_name(self, name: str) -> str:
        """Return the full name of one in this folder."""
        return f"{self.full_name}/{name}" if self.full_name else name

    def walk_full_names(self) -> Iterator[str]:
        """Go through all full names in and below this folder."""
        for name in self.collections:
            yield self.qualify_name(name)
        for child in self.child_nodes.values():
            yield from child.walk_full_names()


class WildcardTree:
    """All wildcards of a library."""

    def __init__(self, library: WildcardLibrary) -> None:
        self._library = library

    @property
    def root(self) -> WildcardTreeNode:
        """The tree, made again at each call."""
        root = WildcardTreeNode()
        for name in self._library.names:
            *folders, last = name.split("/")
            node = root
            for folder in folders:
                node = node.child_nodes.setdefault(folder, WildcardTreeNode(folder, node))
            node.collections[last] = WildcardCollection(self._library, name)
        return root

    def get_collection_names(self) -> Iterator[str]:
        """Go through all names."""
        return iter(self._library.names)

    def get_collection(self, name: str) -> WildcardCollection:
        """Return one by its full name. Raises KeyError."""
        if name not in self._library.names:
            raise KeyError(name)
        return WildcardCollection(self._library, name)

    def match_collections(self, pattern: str) -> Iterator[WildcardCollection]:
        """Go through those that a name or glob means."""
        return (WildcardCollection(self._library, one) for one in self._library.matching(pattern))
