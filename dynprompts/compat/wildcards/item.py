"""A value with a weight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WildcardItem:
    """One value of a wildcard."""

    content: str
    weight: float = 1.0

    def __str__(self) -> str:
        return self.content
