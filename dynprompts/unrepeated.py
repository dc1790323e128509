"""Draws in which no option of a variant comes twice in one prompt, as long as others are left.

What would not repeat is drawn as ever, so that a seed's prompt changes only where it repeated.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from .errors import NothingToDraw
from .randomness import draw
from .resolver import Resolver
from .scope import Rules
from .spaces import Known, Picks, Space, Texts
from .variants import Choosing, Options, Ranging

_PATIENCE = 16


def _fresh(space: Choosing, state: int, taken: set[int], drawable: int) -> int:
    """Draw an option that was not taken; from all again when none is left."""
    if len(taken) >= drawable:
        taken.clear()
    for _ in range(_PATIENCE):
        index = space.index_at(state)
        if index not in taken:
            break
        state = draw(state, space.keys)
    else:
        index = space.left_at(state, taken)
    taken.add(index)
    return index


def _taken(space: Choosing, known: Known) -> set[int]:
    taken: Any = known.setdefault(("taken", space.options.label), set())
    return taken  # type: ignore[no-any-return]  # known holds what its writers put there


class UnrepeatedChoosing(Choosing):
    """One option that this prompt does not have yet."""

    __slots__ = ()

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        drawable = self.drawable
        if not drawable:
            raise NothingToDraw("DP122", "all weights are 0", where=self.place())
        state = draw(state, self.keys)
        index = _fresh(self, state, _taken(self, known), drawable)
        self._put(index, state, known, texts, picks)


class UnrepeatedRanging(Ranging):
    """Several options that this prompt does not have yet."""

    __slots__ = ()

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        state, amount = self.amount_at(state)
        taken = _taken(self, known)
        chosen: list[int] = []
        for _ in range(amount):
            state = draw(state, self.keys)
            if len(taken) >= self.drawable:
                taken.clear()
                taken.update(chosen)
            chosen.append(_fresh(self, state, taken, self.drawable))
        k1, k2 = self.keys
        numbers = [draw(state, (k1 ^ index + 1, k2)) for index in chosen]
        self._append(chosen, numbers, "draw", known, texts, picks)


class UnrepeatedResolver(Resolver):
    """Resolves a template so that the variants called `names`, or all, do not repeat."""

    def __init__(self, rules: Rules, names: Collection[str] | None) -> None:
        super().__init__(rules)
        self._names = names

    def choosing(self, slot: str, options: Options, place: partial[str], distinct: bool) -> Space:
        if self._names is not None and options.label not in self._names:
            return super().choosing(slot, options, place, distinct)
        return UnrepeatedChoosing(slot, options, self.rules.limits, place, distinct)

    def ranging(
        self, slot: str, options: Options, place: partial[str], bounds: tuple[int, int], mark: str
    ) -> Space:
        if self._names is not None and options.label not in self._names:
            return super().ranging(slot, options, place, bounds, mark)
        return UnrepeatedRanging(slot, options, self.rules.limits, place, bounds, mark)
