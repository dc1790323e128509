"""The values of a wildcard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from ..constants import DEFAULT_RANDOM
from .item import WildcardItem


@dataclass(frozen=True)
class WildcardValues:
    """Values; those of weight 1 are texts, the others items."""

    items: tuple[str | WildcardItem, ...] = ()

    @classmethod
    def from_items(cls, wildcards: Iterable[str | WildcardItem]) -> WildcardValues:
        """Return values of texts and items."""
        return cls(tuple(wildcards))

    def __iter__(self) -> Iterator[str | WildcardItem]:
        return iter(self.items)

    def __getitem__(self, index: int) -> str | WildcardItem:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __add__(self, other: WildcardValues) -> WildcardValues:
        return WildcardValues(self.items + other.items)

    @property
    def string_values(self) -> list[str]:
        """The texts."""
        return [str(one) for one in self.items]

    @property
    def has_varied_weights(self) -> bool:
        """Whether the weights differ."""
        return len({getattr(one, "weight", 1.0) for one in self.items}) > 1

    def copy(self) -> WildcardValues:
        """Return the same values."""
        return WildcardValues(self.items)

    def shuffled(self, rng: Random = DEFAULT_RANDOM) -> WildcardValues:
        """Return the values in another order."""
        items = list(self.items)
        rng.shuffle(items)
        return WildcardValues(tuple(items))

    def iterate_string_values_weighted(self) -> Iterator[str]:
        """Go through the texts, each as often as its weight, and at least once."""
        for one in self.items:
            for _ in range(max(1, int(getattr(one, "weight", 1)))):
                yield str(one)
