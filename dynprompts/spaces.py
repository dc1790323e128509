"""A template resolved against its wildcards and variables: what it can become.

Each space can be drawn from (state in, text and picks out), counted, asked for its result
number k, gone through in order, and turned (the k-th result of the cyclical way). All five see
the same results in the same order; what a space consists of is resolved when first needed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, islice, permutations
from typing import TYPE_CHECKING, Any

from .errors import LimitExceeded, NothingToDraw, PromptError
from .limits import Limits
from .nodes import Method
from .permutations import Choices, check_bits
from .randomness import MASK, draw, mix, slot_keys
from .sample import Pick

if TYPE_CHECKING:
    from collections.abc import Callable

Texts = list[str]
Picks = list[Any]
Known = dict[Any, Any]
"""The texts of immediate variables; under "seed" the prompt's own seed, and under "spent" how
many pieces an enumeration has opened for its next result."""

Result = tuple[str, tuple[Pick, ...]]

_DOTS = re.compile("\\.{3,}|[\u1801\u2026\u22ee\u22ef\u22f0\u22f1\ufe19]")
_PATIENCE = 16


class Space:
    """One text, or one piece of a template."""

    __slots__ = ("_size",)
    _size: int | None

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Draw one result, appending to `texts` and `picks`."""
        raise NotImplementedError

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Append result number `rank`, from 0."""
        raise NotImplementedError

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Append the `number`-th result of the cyclical way, from 0."""
        raise NotImplementedError

    def iterate(self, known: Known) -> Iterator[Result]:
        """Go through all results in order, lazily."""
        raise NotImplementedError

    def count(self) -> int:
        """Count the results. Raises LimitExceeded DP131 or DP133."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many results there are, counted once."""
        if self._size is None:
            self._size = self.count()
        return self._size


class Bound(Space):
    """An immediate variable: a text that is known once per prompt."""

    __slots__ = ()

    def __init__(self) -> None:
        self._size = 1

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(known[self])

    def iterate(self, known: Known) -> Iterator[Result]:
        yield known[self], ()


def unknown(seed: int = 0) -> Known:
    """Return what is known before anything is drawn."""
    return {"seed": seed, "spent": [0]}


class Symbols(dict[Any, Any]):
    """Stand-ins for immediate variables, where texts are only compared."""

    def __missing__(self, key: object) -> str:
        self[key] = f"\0{len(self)}\0"
        return str(self[key])


class Lazy(Space):
    """A variable's value, resolved when first used; drawn with a state of its own."""

    __slots__ = ("_keys", "_limits", "_resolve", "_target", "_where")

    def __init__(
        self, slot: str, resolve: Callable[[], Space], limits: Limits, where: Callable[[], str]
    ) -> None:
        self._size = None
        self._keys = slot_keys(slot)
        self._resolve, self._limits, self._where = resolve, limits, where
        self._target: Space | None = None

    @property
    def target(self) -> Space:
        """The value's space."""
        if self._target is None:
            self._target = self._resolve()
        return self._target

    def _spend(self, texts: Texts) -> None:
        texts.append("")
        if len(texts) > self._limits.parts:
            raise too_long(self._limits, self._where())

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.draw(draw(state, self._keys), known, texts, picks)

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.unrank(rank, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._spend(texts)
        self.target.turn(number, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        spend(known, self._limits, self._where)
        return self.target.iterate(known)

    def count(self) -> int:
        return self.target.size


class Stream(Space):
    """`{@..}` or `{~..}`: counts as one result, and gives the next one with each prompt."""

    __slots__ = ("_cyclical", "inner")

    def __init__(self, inner: Space, method: Method) -> None:
        self._size = 1
        self.inner = inner
        self._cyclical = method is Method.CYCLICAL

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self._cyclical:
            self.inner.turn(known["seed"], known, texts, picks)
        else:
            self.inner.draw(state, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self._cyclical:
            self.inner.turn(number, known, texts, picks)
        else:
            self.inner.draw(mix(number), known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        texts: Texts = []
        picks: Picks = []
        self.turn(0, known, texts, picks)
        yield "".join(texts), tuple(picks)


Table = tuple[int, int, int, "list[int] | None", "list[str | None]", list[Any], "Choosing"]
"""A variant of few options: its keys, their number, thresholds, texts with picks, or spaces."""

_WORTH_A_TABLE = 256
_WORTH_TABLES = 8
_FEW = 256

Immediate = tuple[Bound, Space, tuple[int, int]]
"""An immediate assignment: what is bound, where its value comes from, and its slot's keys."""


class Sequenced(Space):
    """Parts one after the other, behind the immediate variables that are drawn first."""

    __slots__ = ("_drawn", "_free", "_immediates", "_limits", "_parts", "_steps")

    def __init__(
        self, parts: list[str | Space], immediates: list[Immediate], limits: Limits
    ) -> None:
        self._size = None
        self._parts = parts
        self._immediates = immediates
        self._limits = limits
        self._free = [part for part in parts if not isinstance(part, (str, Stream))]
        self._drawn = 0
        self._steps: list[str | Space | Table] | None = None

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self._immediates:
            for bound, space, keys in self._immediates:
                values: Texts = []
                space.draw(draw(state, keys), known, values, picks)
                known[bound] = "".join(values)
        if self._steps is None:
            self._draw_parts(state, known, texts, picks)
            return
        for part in self._steps:
            if part.__class__ is tuple:
                k1, k2, total, places, words, options, choosing = part
                product = (state ^ k1) * (state ^ k2)
                number = (product ^ product >> 64) & MASK
                index = number * total >> 64 if places is None else bisect_right(places, number)
                text = words[index]
                if text is not None:
                    texts.append(text)
                    picks.append(options[index])
                    continue
                at = len(picks)
                start = len(texts)
                if at > choosing.most or start > choosing.most:
                    raise too_long(self._limits, choosing.place())
                picks.append(None)
                options[index].draw(number, known, texts, picks)
                picks[at] = choosing.pick(index, joined(texts[start:], self._limits))
            elif part.__class__ is str:
                texts.append(part)
            else:
                part.draw(state, known, texts, picks)  # type: ignore[union-attr]  # a Space

    def _draw_parts(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Draw for the first few times; who goes on is given tables."""
        for part in self._parts:
            if part.__class__ is str:
                texts.append(part)
            else:
                part.draw(state, known, texts, picks)  # type: ignore[union-attr]  # no str
        self._drawn += 1
        if self._drawn == _WORTH_TABLES:
            self._steps = [
                (part.table() or part) if type(part) is Choosing else part for part in self._parts
            ]

    def count(self) -> int:
        size = 1
        for _, space, _ in self._immediates:
            size *= space.size
            check_bits(size, self._limits.bits)
        for part in self._free:
            size *= part.size
            check_bits(size, self._limits.bits)
        return size

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        number = rank
        digits = []
        for free in reversed(self._free):
            size = free.size
            if size == 1:
                digits.append(0)
            else:
                rank, digit = divmod(rank, size)
                digits.append(digit)
        if self._immediates:
            self._unrank_immediates(rank, known, picks)
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Stream):
                part.turn(number, known, texts, picks)
            else:
                part.unrank(digits.pop(), known, texts, picks)

    def _unrank_immediates(self, rank: int, known: Known, picks: Picks) -> None:
        digits = []
        for _, space, _ in reversed(self._immediates):
            rank, digit = divmod(rank, space.size)
            digits.append(digit)
        for bound, space, _ in self._immediates:
            values: Texts = []
            space.unrank(digits.pop(), known, values, picks)
            known[bound] = "".join(values)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        for bound, space, _ in self._immediates:
            values: Texts = []
            space.turn(number, known, values, picks)
            known[bound] = "".join(values)
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
            else:
                part.turn(number, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        if not self._immediates:
            yield from self._odometer(known, 0, ())
            return
        number = 0
        for inner, picks in self._bindings(0, known):
            for result in self._odometer(inner, number, picks):
                number += 1
                yield result

    def _bindings(self, index: int, known: Known) -> Iterator[tuple[Known, tuple[Pick, ...]]]:
        """Go through the values of the immediate variables, the last one fastest."""
        if index == len(self._immediates):
            yield known, ()
            return
        bound, space, _ = self._immediates[index]
        for text, picks in space.iterate(known):
            for inner, more in self._bindings(index + 1, {**known, bound: text}):
                yield inner, picks + more

    def _odometer(self, known: Known, number: int, first: tuple[Pick, ...]) -> Iterator[Result]:
        free = self._free
        wheels = [part.iterate(known) for part in free]
        current = [next(wheel) for wheel in wheels]
        while True:
            yield self._assembled(current, known, number, first)
            number += 1
            place = len(free) - 1
            while place >= 0:
                following = next(wheels[place], None)
                if following is not None:
                    current[place] = following
                    break
                wheels[place] = free[place].iterate(known)
                current[place] = next(wheels[place])
                place -= 1
            if place < 0:
                return

    def _assembled(
        self, current: list[Result], known: Known, number: int, first: tuple[Pick, ...]
    ) -> Result:
        texts: Texts = []
        picks: Picks = list(first)
        place = 0
        for part in self._parts:
            if part.__class__ is str:
                texts.append(part)
            elif part.__class__ is Stream:
                part.turn(number, known, texts, picks)
            else:
                text, more = current[place]
                place += 1
                texts.append(text)
                picks += more
        return joined(texts, self._limits), tuple(picks)


class Branching(Space):
    """A sequence whose wildcard paths depend on immediate variables: one branch per values."""

    __slots__ = ("_drawn", "_known", "_limits", "_values")

    def __init__(
        self,
        drawn: Space,
        values: Callable[[], Iterator[tuple[tuple[Pick, ...], Space]]],
        limits: Limits,
    ) -> None:
        self._size = None
        self._drawn = drawn
        self._values = values
        self._limits = limits
        self._known: tuple[list[tuple[tuple[Pick, ...], Space]], list[int]] | None = None

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._drawn.draw(state, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._drawn.turn(number, known, texts, picks)

    def _branches(self) -> tuple[list[tuple[tuple[Pick, ...], Space]], list[int]]:
        if self._known is None:
            found = list(islice(self._values(), self._limits.branches + 1))
            if len(found) > self._limits.branches:
                raise LimitExceeded(
                    "DP133",
                    f"wildcard paths depend on more than {self._limits.branches} values of "
                    "immediate variables",
                )
            self._known = found, list(accumulate(space.size for _, space in found))
        return self._known

    def count(self) -> int:
        return self._branches()[1][-1]

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        branches, totals = self._branches()
        index = bisect_right(totals, rank)
        own, space = branches[index]
        picks += own
        space.unrank(rank - (totals[index - 1] if index else 0), known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        for own, space in self._values():
            for text, picks in space.iterate(known):
                yield text, own + picks


class Wrapped(Space):
    """A wrapper whose dots the inner text replaces; without dots it stands in front."""

    __slots__ = ("_inner", "_limits", "_wrapper")

    def __init__(self, wrapper: Space, inner: Space, limits: Limits) -> None:
        self._size = None
        self._wrapper, self._inner, self._limits = wrapper, inner, limits

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        self._wrapper.draw(state, known, outside, picks)
        self._inner.draw(state, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        rank, digit = divmod(rank, self._inner.size)
        self._wrapper.unrank(rank, known, outside, picks)
        self._inner.unrank(digit, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        outside: Texts = []
        inside: Texts = []
        self._wrapper.turn(number, known, outside, picks)
        self._inner.turn(number, known, inside, picks)
        texts.append(self._combined(outside, inside))

    def _combined(self, outside: Texts, inside: Texts) -> str:
        return wrapped(joined(outside, self._limits), joined(inside, self._limits))

    def count(self) -> int:
        return self._wrapper.size * self._inner.size

    def iterate(self, known: Known) -> Iterator[Result]:
        for text, picks in self._wrapper.iterate(known):
            for inner, more in self._inner.iterate(known):
                yield wrapped(text, inner), picks + more


class Routed(Space):
    """A wildcard whose path is drawn, too; enumerations take the path's first result."""

    __slots__ = ("_keys", "_limits", "_open", "_path", "_spaces")

    def __init__(
        self, slot: str, path: list[str | Space], opener: Callable[[str], Space], limits: Limits
    ) -> None:
        self._size = None
        self._keys = slot_keys(slot)
        self._path, self._open, self._limits = path, opener, limits
        self._spaces: dict[str, Space] = {}

    def _at(self, pieces: list[str]) -> Space:
        path = joined(pieces, self._limits)
        if path not in self._spaces:
            self._spaces[path] = self._open(path)
        return self._spaces[path]

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        pieces = []
        for part in self._path:
            if isinstance(part, str):
                pieces.append(part)
                continue
            piece: Texts = []
            part.draw(state, known, piece, picks)
            pieces.append("".join(piece).strip())
        self._at(pieces).draw(draw(state, self._keys), known, texts, picks)

    def _first(self, known: Known) -> Space:
        pieces = []
        for part in self._path:
            if isinstance(part, str):
                pieces.append(part)
            else:
                pieces.append(next(part.iterate(known))[0].strip())
        return self._at(pieces)

    def count(self) -> int:
        return self._first(Symbols(unknown())).size

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._first(known).unrank(rank, known, texts, picks)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        self._first(known).turn(number, known, texts, picks)

    def iterate(self, known: Known) -> Iterator[Result]:
        return self._first(known).iterate(known)


class Missing(Space):
    """A wildcard that is not there: its reference stays in the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._size = 1
        self._text = text

    def draw(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def turn(self, number: int, known: Known, texts: Texts, picks: Picks) -> None:
        texts.append(self._text)

    def iterate(self, known: Known) -> Iterator[Result]:
        yield self._text, ()


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
        self._cells: dict[int, tuple[str, Pick | None, Space | None]] = {}
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
        return self._k1, self._k2, self._total, places, texts, found, self

    def _cell(self, index: int) -> tuple[str, Pick | None, Space | None]:
        text = self.options.plain(index)
        cell: tuple[str, Pick | None, Space | None]
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
            self._sizes = [self._size_of(index) for index in range(self._total)]
            self._sums = list(accumulate(self._sizes))
        return self._sizes

    def _size_of(self, index: int) -> int:
        space = (self._cells.get(index) or self._cell(index))[2]
        return 1 if space is None else space.size

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
        """Whether the options are plain texts, each another one."""
        if self._sizes_of_all() is not None:
            return False
        return len({self.options.plain(index) for index in range(self._total)}) == self._total

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self.size and self._kept is not None:  # which of them are kept is known with the size
            rank = self._kept[rank]
        self._unrank_raw(rank, known, texts, picks)

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
                index = self._weigh_left(state, taken)
            taken.add(index)
            chosen.append(index)
        return chosen

    def _weigh_left(self, state: int, taken: set[int]) -> int:
        weights = self.options.weights or []
        left = [i for i, weight in enumerate(weights) if weight > 0 and i not in taken]
        totals = list(accumulate(weights[index] for index in left))
        place = bisect_right(totals, draw(state, (self._k2, self._k1)) * totals[-1] / 2.0**64)
        return left[min(place, len(left) - 1)]

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


def spend(known: Known, limits: Limits, where: Callable[[], str]) -> None:
    """Count one more opened piece. Raises LimitExceeded DP132."""
    spent = known["spent"]
    spent[0] += 1
    if spent[0] > limits.parts:
        raise too_long(limits, where())


def joined(texts: Texts, limits: Limits) -> str:
    """Join the pieces of a prompt. Raises LimitExceeded DP132."""
    if len(texts) > _FEW and sum(map(len, texts)) > limits.characters:
        raise too_long(limits)
    text = "".join(texts)
    if len(text) > limits.characters:
        raise too_long(limits)
    return text


def too_long(limits: Limits, where: str = "") -> LimitExceeded:
    """Return the error for a prompt that grows without measure."""
    return LimitExceeded(
        "DP132",
        f"the prompt has more than {limits.parts} parts or {limits.characters} characters",
        where=where,
    )


def wrapped(text: str, inner: str) -> str:
    """Put the inner text in the place of the wrapper's first dots, or behind it."""
    found = _DOTS.search(text)
    if found is None:
        return text + inner
    return text[: found.start()] + inner + text[found.end() :]
