"""Batches in which every option of some variants comes as evenly as their number allows."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from ..errors import NothingToDraw
from ..randomness import below, draw, mix, slot_keys
from ..resolver import Resolver
from ..scope import Rules
from ..spaces import Known, Picks, Space, Texts
from ..variants import Choosing, Options, Ranging


class Rounds:
    """The options of one variant in rounds: each comes once a round, every round in new order."""

    def __init__(self, label: str, options: Options, seed: int) -> None:
        weights = options.weights
        self._numbers = [n for n in range(options.total) if weights is None or weights[n] > 0]
        self._state, self._label = mix(seed), label
        self._waiting: list[int] = []
        self._round = 0

    @property
    def total(self) -> int:
        """How many options can be drawn."""
        return len(self._numbers)

    def take(self, amount: int) -> list[int]:
        """Take the next options, none twice in one prompt."""
        taken: list[int] = []
        skipped: list[int] = []
        while len(taken) < min(amount, self.total):
            if not self._waiting:
                self._waiting = self._shuffled()
            option = self._waiting.pop()
            (skipped if option in taken else taken).append(option)
        self._waiting += reversed(skipped)
        return taken

    def _shuffled(self) -> list[int]:
        self._round += 1
        numbers = list(self._numbers)
        for place in range(len(numbers) - 1, 0, -1):
            keys = slot_keys(f"{self._label}\0{self._round}\0{place}")
            other = below(place + 1, self._state, keys)
            numbers[place], numbers[other] = numbers[other], numbers[place]
        return numbers


class BalancedChoosing(Choosing):
    """One option, taken in rounds."""

    __slots__ = ("rounds",)
    rounds: Rounds

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        chosen = self.rounds.take(1)
        if not chosen:
            raise NothingToDraw("DP122", "all weights are 0", where=self.place())
        state = draw(state, (self._k1, self._k2))
        self._put(chosen[0], state, known, texts, picks)


class BalancedRanging(Ranging):
    """Several options, taken in rounds."""

    __slots__ = ("rounds",)
    rounds: Rounds

    def _choose(self, amount: int, state: int) -> list[int]:
        return self.rounds.take(amount)


class BalancingResolver(Resolver):
    """Resolves a template so that the variants called `names` are drawn in rounds."""

    def __init__(self, rules: Rules, names: Collection[str], seed: int) -> None:
        super().__init__(rules)
        self._balanced, self._seed = names, seed
        self._rounds: dict[str, Rounds] = {}

    def _rounds_of(self, options: Options) -> Rounds:
        if options.label not in self._rounds:
            self._rounds[options.label] = Rounds(options.label, options, self._seed)
        return self._rounds[options.label]

    def choosing(self, slot: str, options: Options, place: partial[str], distinct: bool) -> Space:
        if options.label not in self._balanced:
            return super().choosing(slot, options, place, distinct)
        space = BalancedChoosing(slot, options, self.rules.limits, place, distinct)
        space.rounds = self._rounds_of(options)
        return space

    def ranging(
        self, slot: str, options: Options, place: partial[str], bounds: tuple[int, int], mark: str
    ) -> Space:
        if options.label not in self._balanced:
            return super().ranging(slot, options, place, bounds, mark)
        space = BalancedRanging(slot, options, self.rules.limits, place, bounds, mark)
        space.rounds = self._rounds_of(options)
        return space
