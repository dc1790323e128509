"""One named list of values."""

from __future__ import annotations

from ...wildcards import WildcardLibrary
from .item import WildcardItem


class WildcardCollection:
    """A wildcard by its full name; `givers` are the files that give it."""

    def __init__(self, library: WildcardLibrary, name: str) -> None:
        self._library, self.name = library, name

    def __str__(self) -> str:
        return self.name

    @property
    def givers(self) -> tuple[str, ...]:
        """The files, the last one counting."""
        return self._library.givers(self.name)

    def get_values(self) -> list[str | WildcardItem]:
        """Return the values; those of another weight than 1 are items."""
        return [
            one.text if one.weight == 1 else WildcardItem(one.text, one.weight)
            for one in self._library.values(self.name)
        ]


WildcardTextFile = WildcardCollection
"""Here all collections are alike; programs that ask for this name find it."""
