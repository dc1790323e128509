"""Sequences: parts one after the other, behind the immediate variables that are drawn first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from .errors import Endless, LimitExceeded
from .limits import Limits
from .permutations import check_bits
from .randomness import MASK, draw
from .sample import Pick
from .spaces import Bound, Known, Picks, Result, Space, Stream, Texts, joined, too_long
from .variants import Choosing, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from .nodes import Sequence
    from .scope import Scope

_WORTH_TABLES = 8
_MOST_JOINED = 1 << 14

Immediate = tuple[Bound, Space, tuple[int, int]]
"""An immediate assignment: what is bound, where its value comes from, and its slot's keys."""

Step = str | Space | Table
"""What is drawn one after the other, once a sequence is prepared."""


class Sequenced(Space):
    """Parts one after the other, behind the immediate variables that are drawn first."""

    __slots__ = (
        "_drawn", "_free", "_front", "_immediates", "_limits", "_listed", "_parts", "_ranks",
        "_scope", "_sequence", "_sizes", "_steps",
    )  # fmt: skip

    def __init__(
        self,
        parts: list[str | Space],
        immediates: list[Immediate],
        limits: Limits,
        scope: Scope,
        sequence: Sequence,
    ) -> None:
        self._size = None
        self._scope, self._sequence = scope, sequence
        self._parts = parts
        self._immediates = immediates
        self._limits = limits
        self._listed = parts
        self._free = [part for part in parts if not isinstance(part, (str, Stream))]
        self._drawn = 0
        self._sizes: list[int] | None = None
        self._ranks: list[tuple[int, list[str], list[Pick | None]]] | None = None
        self._front = ""
        self._steps: list[Step] | None = None

    def list_lone_stream(self) -> None:
        """Let `{@a|b}` be listed in full, where nothing else in the template changes."""
        streams = [part for part in self._parts if isinstance(part, Stream) and part.is_cyclical]
        if len(streams) == 1 and not self._free and not self._immediates and self._size is None:
            inner = streams[0].inner
            self._listed = [inner if part is streams[0] else part for part in self._parts]
            self._free = [inner]

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
                k1, k2, total, places, words, options, around = part
                product = (state ^ k1) * (state ^ k2)
                number = (product ^ product >> 64) & MASK
                index = number * total >> 64 if places is None else bisect_right(places, number)
                text = words[index]
                if text is not None:
                    texts.append(text)
                    picks.append(options[index])
                    continue
                choosing, before, behind = around
                if before:
                    texts.append(before)
                at = len(picks)
                start = len(texts)
                if at > choosing.most or start > choosing.most:
                    raise too_long(self._limits, choosing.place())
                picks.append(None)
                options[index].draw(number, known, texts, picks)
                alone = len(texts) == start + 1
                text = texts[start] if alone else joined(texts[start:], self._limits)
                picks[at] = choosing.pick(index, text)
                if behind:
                    texts.append(behind)
            elif part.__class__ is str:
                texts.append(part)
            else:
                part.draw(state, known, texts, picks)  # type: ignore[union-attr]  # a Space

    def _draw_parts(self, state: int, known: Known, texts: Texts, picks: Picks) -> None:
        """Draw for the first few times; who continues is given prepared steps."""
        for part in self._parts:
            if part.__class__ is str:
                texts.append(part)
            else:
                part.draw(state, known, texts, picks)  # type: ignore[union-attr]  # no str
        self._drawn += 1
        if self._drawn == _WORTH_TABLES:
            self._steps = _prepared(self._parts)

    def count(self) -> int:
        """Count once for all depths; a sequence met again while it is counted has no end."""
        counted = self._scope.counted
        key = "sequence", id(self._sequence)
        known = counted.get(key)
        if known is None:
            counted[key] = Endless("DP131", "this leads back to itself")
            found: object = None
            try:
                size = 1
                for _, space, _ in self._immediates:
                    size *= space.size
                    check_bits(size, self._limits.bits)
                for part in self._free:
                    size *= part.size
                    check_bits(size, self._limits.bits)
                found = known = size
            except Endless as error:
                found = error
                raise
            finally:
                counted[key] = found
        if isinstance(known, Endless):
            raise known
        return int(known)

    def unrank(self, rank: int, known: Known, texts: Texts, picks: Picks) -> None:
        if self._ranks is not None:
            words, chosen = [], []
            for size, texts_of, picks_of in self._ranks:
                rank, digit = divmod(rank, size)
                words.append(texts_of[digit])
                chosen.append(picks_of[digit])
            words.append(self._front)
            words.reverse()
            chosen.reverse()
            texts += words
            picks += chosen
            return
        number = rank
        digits = []
        if self._sizes is None:
            self._sizes = [free.size for free in reversed(self._free)]
            self._prepare_ranks()
            if self._ranks is not None:
                self.unrank(rank, known, texts, picks)
                return
        for size in self._sizes:
            if size == 1:
                digits.append(0)
            else:
                rank, digit = divmod(rank, size)
                digits.append(digit)
        if self._immediates:
            self._unrank_immediates(rank, known, picks)
        for part in self._listed:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Stream):
                part.turn(number, known, texts, picks)
            else:
                part.unrank(digits.pop(), known, texts, picks)

    def _prepare_ranks(self) -> None:
        """Make tables, last part first, where all that is free are variants of a few texts."""
        if self._immediates:
            return
        behind = ""
        ranks = []
        for part in reversed(self._listed):
            if isinstance(part, str):
                behind = part + behind
                continue
            cells = part.plain_cells() if type(part) is Choosing else None
            if cells is None:
                return
            words = [text + behind for text, _, _ in cells]
            ranks.append((len(cells), words, [pick for _, pick, _ in cells]))
            behind = ""
        self._ranks, self._front = ranks, behind

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
            having = type(known)(known)  # where texts are only compared, the copy compares, too
            having[bound] = text
            for inner, more in self._bindings(index + 1, having):
                yield inner, picks + more

    def _odometer(self, known: Known, number: int, before: tuple[Pick, ...]) -> Iterator[Result]:
        free = self._free
        wheels = [part.iterate(known) for part in free]
        current: list[Result] = []
        for wheel in wheels:
            first = next(wheel, None)
            if first is None:
                return
            current.append(first)
        while True:
            yield self._assembled(current, known, number, before)
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
        for part in self._listed:
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


def _prepared(parts: list[str | Space]) -> list[Step]:
    """Make tables of the variants of few options, and join the texts around them to theirs."""
    before = ""
    spaces: list[tuple[Space, str]] = []
    for part in parts:
        if not isinstance(part, str):
            spaces.append((part, ""))
        elif spaces:
            spaces[-1] = spaces[-1][0], spaces[-1][1] + part
        else:
            before += part
    steps: list[Step] = []
    for space, behind in spaces:
        table = space.table() if type(space) is Choosing else None
        if table is not None and table[2] * len(before + behind) <= _MOST_JOINED:
            words = [None if word is None else before + word + behind for word in table[4]]
            steps.append((*table[:4], words, table[5], (table[6][0], before, behind)))
        else:
            steps += [before, table or space, behind]
        before = ""
    return [step for step in steps if step != ""] or [before]
