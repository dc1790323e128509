"""Variants and wildcards: what they choose from, one option or several, drawn or counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, permutations
from typing import TYPE_CHECKING, Any

from .errors import LimitExceeded, NothingToDraw, PromptError
from .limits import Limits
from .permutations import Choices, check_bits
from .randomness import MASK, draw, slot_keys
from .sample import Pick
from .spaces import Known, Picks, Result, Space, Symbols, Texts, joined, spend, too_long, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 16
_WORTH_A_TABLE = 256

Table = tuple[
    int, int, int, "list[int] | None", "list[str | None]", list[Any], "tuple[Choosing, str, str]"
]
"""A variant of few options: its keys, their number, thresholds, texts with picks, or spaces; and
itself with the texts before and behind it, which texts without a space hold already."""


Sizes = tuple["list[int]", "list[int]"]
"""How many results each option has, and the options up to each together."""


Cell = tuple[str, "Pick | None", "Space | None"]
"""An option: its text and pick, or its space."""


class Options:
    """What a variant chooses from: its own options, or the values of a wildcard."""

    __slots__ = ("label", "total", "weights")
    label: str
    total: int
    weights: list[float] | None

    def thresholds(self) -> list[int]:
        """Return up to which 64-bit draw each option is taken, where weights differ."""
        raise NotImplementedError

    def plain(self, index: int) -> str | None:
        """Return an option's text, None when it is more than text."""
        raise NotImplementedError

    def space(self, index: int) -> Space:
        """Return the space of an option that is more than text."""
        raise NotImplementedError

    def all_plain(self) -> bool:
        """Whether all options are text only."""
        raise NotImplementedError

    def sizes(self) -> Sizes:
        """Count the results of each option. Raises LimitExceeded DP131 or DP133."""
        sizes = [
            1 if self.plain(index) is not None else self.space(index).size
            for index in range(self.total)
        ]
        return sizes, list(accumulate(sizes))

    def turns(self) -> list[int] | None:
        """Return the options in the order of the cyclical way; None when each comes once."""
        raise NotImplementedError

    def pick(self, index: int, text: str) -> Pick:
        """Return the pick of an option that was drawn as `text`."""
        raise NotImplementedError


class Choosing(Space):
    """One option out of several: `{a|b}`, `__name__`."""

    __slots__ = (
        "_cells", "_distinct", "_flat", "_k1", "_k2", "_kept", "_limits",
        "_sizes", "_sums", "_thresholds", "_total", "_weighted", "most", "options", "pick", "place",
    )  # fmt: skip

    def __init__(
        self, slot: str, options: Options, limits: Limits, place: Callable[[], str], distinct: bool
    ) -> None:
        self._size = None
        self._k1, self._k2 = slot_keys(slot)
        self.options = options
        self._limits = limits
        self.most = limits.parts
        self.place = place
        self.pick = options.pick
        self._total = options.total
        self._weighted = options.weights is not None
        self._thresholds: list[int] | None = None
        self._flat: bool | None = None
        self._cells: dict[int, Cell] = {}
        self._distinct = distinct
        self._kept: list[int] | None = None
        self._sizes: list[int] | None = None
        self._sums: list[int] = []

    # At random

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        product = (state ^ self._k1) * (state ^ self._k2)
        state = (product ^ product >> 64) & MASK
        index = self._weigh(state) if self._weighted else state * self._total >> 64
        text, pick, space = self._cells.get(index) or self._cell(index)
        if space is None:
            texts.append(text)
            picks.append(pick)
            return
        # as _open does it, without the call: this is where a prompt's time goes
        at, start = len(picks), len(texts)
        if at > self.most or start > self.most:
            raise too_long(self._limits, self.place())
        picks.append(None)
        space.draw(state, known, texts, picks)
        picks[at] = self.pick(index, joined(texts[start:], self._limits))

    def _put(self, index: int, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        text, pick, space = self._cells.get(index) or self._cell(index)
        if space is None:
            texts.append(text)
            picks.append(pick)
        else:
            self._open(space.draw, state, index, known, texts, picks)

    @property
    def keys(self) -> tuple[int, int]:
        """The two keys of the slot."""
        return self._k1, self._k2

    @property
    def drawable(self) -> int:
        """How many options can be drawn."""
        weights = self.options.weights
        return self._total if weights is None else sum(weight > 0 for weight in weights)

    def index_at(self, state: int) -> int:
        """Return the option on which a 64-bit draw falls."""
        return self._weigh(state) if self._weighted else state * self._total >> 64

    def left_at(self, state: int, taken: set[int]) -> int:
        """Return the option on which a draw falls among those that are not taken."""
        weights = self.options.weights or [1.0] * self._total
        left = [i for i, weight in enumerate(weights) if weight > 0 and i not in taken]
        totals = list(accumulate(weights[index] for index in left))
        place = bisect_right(totals, draw(state, (self._k2, self._k1)) * totals[-1] / 2.0**64)
        return left[min(place, len(left) - 1)]

    def _weigh(self, state: int) -> int:
        """Return the option on which a 64-bit draw falls, by the weights."""
        if self._thresholds is None:
            self._thresholds = self.options.thresholds()
        if not self._thresholds:
            raise NothingToDraw("DP122", "all weights are 0", where=self.place())
        return bisect_right(self._thresholds, state)

    def table(self) -> Table | None:
        """Return all that a draw needs, where the options are few."""
        if self._total > _WORTH_A_TABLE:
            return None
        places = self.options.thresholds() if self._weighted else None
        try:
            cells = [self._cells.get(index) or self._cell(index) for index in range(self._total)]
        except PromptError:
            return None  # an option that cannot be resolved, and may never be drawn
        texts = [cell[0] if cell[2] is None else None for cell in cells]
        found = [cell[1] if cell[2] is None else cell[2] for cell in cells]
        return self._k1, self._k2, self._total, places, texts, found, (self, "", "")

    def _cell(self, index: int) -> Cell:
        text = self.options.plain(index)
        cell: Cell
        if text is not None:
            cell = text, self.options.pick(index, text), None
        else:
            cell = "", None, self.options.space(index)
        self._cells[index] = cell
        return cell

    def _open(
        self,
        fill: Callable[[int, Known, Texts, Picks], None],
        number: int,
        index: int,
        known: Known,
        texts: Texts,
        picks: Picks,
    ) -> None:
        """Append what is inside an option, and before its picks the option's own."""
        at, start = len(picks), len(texts)
        if at > self.most or start > self.most:
            raise too_long(self._limits, self.place())
        picks.append(None)
        fill(number, known, texts, picks)
        picks[at] = self.pick(index, joined(texts[start:], self._limits))

    # Counted and in order

    def _sizes_of_all(self) -> list[int] | None:
        """Return each option's size; None when all are plain."""
        if self._flat is None:
            self._flat = self.options.all_plain()
        if self._sizes is None and not self._flat:
            self._sizes, self._sums = self.options.sizes()
        return self._sizes

    def raw_size(self) -> int:
        """Count the results, repeated ones included."""
        return self._total if self._sizes_of_all() is None else self._sums[-1]

    def count(self) -> int:
        raw = self.raw_size()
        check_bits(raw, self._limits.bits)
        if not self._distinct or raw > self._limits.distinct or self._differ():
            return raw
        seen: set[tuple[str, ...]] = set()
        kept = []
        for number, (key, _, _) in enumerate(self._raw(Symbols(unknown()))):
            if key not in seen:
                seen.add(key)
                kept.append(number)
        if len(kept) < raw:
            self._kept = kept
        return len(kept)

    def _differ(self) -> bool:
        """Whether no two results of the options read the same; several of them then differ, too."""
        if self._sizes_of_all() is None:
            return len({self.options.plain(index) for index in range(self._total)}) == self._total
        known, seen = Symbols(unknown()), set()
        for index in range(self._total):
            for text, _ in self._results_of(index, known):
                if text in seen:
                    return False
                seen.add(text)
        return True

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self.size and self._kept is not None:  # which of them are kept is known with the size
            rank = self._kept[rank]
        self._unrank_raw(rank, known, texts, picks)

    def plain_cells(self) -> list[Cell] | None:
        """Return the options by their ranks, where they are few and each is one text."""
        few = 0 < self.size == self._total <= _WORTH_A_TABLE
        if not few or self._sizes_of_all() is not None:
            return None
        return [self._cells.get(index) or self._cell(index) for index in range(self._total)]

    def _unrank_raw(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        index = rank
        if self._sizes_of_all() is not None:
            index = bisect_right(self._sums, rank)
            rank -= self._sums[index - 1] if index else 0
        text, pick, space = self._cells.get(index) or self._cell(index)
        if space is None:
            texts.append(text)
            picks.append(pick)
        else:
            self._open(space.unrank, rank, index, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        with suppress(LimitExceeded):  # a cycle is gone through as far as it goes
            self._size = self.size
        kept = None if self._kept is None else frozenset(self._kept)
        for number, (_, text, picks) in enumerate(self._raw(known)):
            if kept is None or number in kept:
                yield text, picks

    def _raw(self, known: Known) -> Iterator[tuple[tuple[str, ...], str, tuple[Pick, ...]]]:
        """Go through the results, repeated ones included; each with what tells it apart."""
        for index in range(self._total):
            for text, picks in self._results_of(index, known):
                yield (text,), text, picks

    def _results_of(self, index: int, known: Known) -> Iterator[Result]:
        text, pick, space = self._cells.get(index) or self._cell(index)
        if space is None:
            yield text, (pick,)  # type: ignore[misc]  # a plain option has its pick
            return
        spend(known, self._limits, self.place)
        for inside, more in space.iterate(known):
            yield inside, (self.options.pick(index, inside), *more)

    # In turns

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        turns = self.options.turns()
        if turns is None:
            rounds, index = divmod(number, self._total)
        else:
            rounds, place = divmod(number, len(turns))
            index = turns[place]
            first = bisect_left(turns, index)
            rounds = rounds * (bisect_right(turns, index) - first) + place - first
        text, pick, space = self._cells.get(index) or self._cell(index)
        if space is None:
            texts.append(text)
            picks.append(pick)
        else:
            self._open(space.turn, rounds, index, known, texts, picks)


class Ranging(Choosing):
    """Several options: `{2$$a|b|c}`, `{1-2$$ and $$__name__}`; drawn without replacement."""

    __slots__ = ("_choices", "_high", "_low", "_positive", "_separator")

    def __init__(
        self,
        slot: str,
        options: Options,
        limits: Limits,
        place: Callable[[], str],
        bounds: tuple[int, int],
        separator: str,
    ) -> None:
        super().__init__(slot, options, limits, place, distinct=True)
        self._low, self._high = (min(bound, options.total) for bound in bounds)
        self._separator = separator
        self._choices: Choices | None = None
        self._positive = options.total
        if options.weights is not None:
            self._positive = sum(weight > 0 for weight in options.weights)

    def amount_at(self, state: int) -> tuple[int, int]:
        """Return the slot's draw, and how many options it asks for."""
        state = draw(state, (self._k1, self._k2))
        amount = self._low + (state * (self._high - self._low + 1) >> 64)
        if amount and not self._positive:
            raise NothingToDraw("DP122", "all weights are 0", where=self.place())
        return state, min(amount, self._positive)

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        k1, k2 = self._k1, self._k2
        product = (state ^ k1) * (state ^ k2)
        state = (product ^ product >> 64) & MASK
        amount = self._low + (state * (self._high - self._low + 1) >> 64)
        if amount and not self._positive:
            raise NothingToDraw("DP122", "all weights are 0", where=self.place())
        chosen = self._choose(min(amount, self._positive), state)
        if not self._append_plain(chosen, texts, picks):
            numbers = [draw(state, (k1 ^ index + 1, k2)) for index in chosen]
            self._append(chosen, numbers, "draw", known, texts, picks)

    def _choose(self, amount: int, state: int) -> list[int]:
        """Draw one option after the other among those that are left, each by its weight."""
        if amount > self._limits.parts:
            raise too_long(self._limits, self.place())
        if self._weighted:
            return self._choose_weighted(amount, state)
        k1, k2, total = self._k1, self._k2, self._total
        chosen: list[int] = []
        if amount == 2:  # the loop below, written out for the most frequent case
            product = (state ^ k1) * (state ^ k2)
            state = (product ^ product >> 64) & MASK
            first = state * total >> 64
            product = (state ^ k1) * (state ^ k2)
            second = 1 + (((product ^ product >> 64) & MASK) * (total - 1) >> 64)
            return [first, 0 if second == first else second]
        moved: dict[int, int] = {}
        for position in range(amount):
            product = (state ^ k1) * (state ^ k2)
            state = (product ^ product >> 64) & MASK
            place = position + (state * (total - position) >> 64)
            chosen.append(moved.get(place, place))
            moved[place] = moved.get(position, position)
        return chosen

    def _choose_weighted(self, amount: int, state: int) -> list[int]:
        chosen: list[int] = []
        taken: set[int] = set()
        for _ in range(amount):
            for _ in range(_PATIENCE):
                state = draw(state, (self._k1, self._k2))
                index = self._weigh(state)
                if index not in taken:
                    break
            else:
                index = self.left_at(state, taken)
            taken.add(index)
            chosen.append(index)
        return chosen

    def _append_plain(self, chosen: Sequence[int], texts: Texts, picks: Picks) -> bool:
        """Append the chosen options, if all are plain."""
        words, found, cells = [], [], self._cells
        for index in chosen:
            text, pick, space = cells.get(index) or self._cell(index)
            if space is not None:
                return False
            if text:
                words.append(text)
            found.append(pick)
        texts.append(self._separator.join(words))
        picks += found
        return True

    def _append(
        self,
        chosen: Sequence[int],
        numbers: Sequence[int],
        way: str,
        known: Known,
        texts: Texts,
        picks: Picks,
    ) -> None:
        """Append the chosen options; an empty one leaves no separator behind."""
        if len(texts) + len(chosen) > self._limits.parts:
            raise too_long(self._limits, self.place())
        if self._append_plain(chosen, texts, picks):
            return
        something = False
        for index, number in zip(chosen, numbers, strict=True):
            text, pick, space = self._cells.get(index) or self._cell(index)
            at = len(texts)
            texts.append(self._separator if something else "")
            if space is None:
                texts.append(text)
                picks.append(pick)
            else:
                self._open(getattr(space, way), number, index, known, texts, picks)
            if any(texts[at + 1 :]):
                something = True
            else:
                texts[at] = ""

    # Counted and in order

    def _chosen(self) -> Choices:
        if self._choices is None:
            sizes = self._sizes_of_all()
            self._choices = Choices(self._total, sizes, self._low, self._high, self._limits.bits)
        return self._choices

    def raw_size(self) -> int:
        return sum(self._chosen().counts())

    def _unrank_raw(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        chosen, digits = self._chosen().locate(rank)
        self._append(chosen, digits, "unrank", known, texts, picks)

    def _raw(self, known: Known) -> Iterator[tuple[tuple[str, ...], str, tuple[Pick, ...]]]:
        for amount in range(self._low, self._high + 1):
            if amount > self._limits.parts:
                raise too_long(self._limits, self.place())
            for chosen in permutations(range(self._total), amount):
                for results in self._products(chosen, known):
                    key = tuple(text for text, _ in results)
                    text = self._separator.join(filter(None, key))
                    yield key, text, tuple(pick for _, more in results for pick in more)

    def _products(self, chosen: tuple[int, ...], known: Known) -> Iterator[tuple[Result, ...]]:
        if all((self._cells.get(index) or self._cell(index))[2] is None for index in chosen):
            yield tuple(next(self._results_of(index, known)) for index in chosen)
            return
        for first in self._results_of(chosen[0], known):
            for rest in self._products(chosen[1:], known):
                yield (first, *rest)

    # In turns

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        plain = Choices(self._total, None, self._low, self._high, self._limits.bits)
        rounds, place = divmod(number, sum(plain.counts()))
        chosen, _ = plain.locate(place)
        self._append(chosen, [rounds] * len(chosen), "turn", known, texts, picks)
