"""Ordered choices of some out of many: how many there are, and which is number k.

Each option counts `size` times. Order: fewer picks first, then by position, then by the results
of the picked options, the last one fastest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from math import factorial, perm

from .errors import LimitExceeded


class Choices:
    """Between `low` and `high` of `total` options; `sizes` is None when each has one result."""

    def __init__(
        self, total: int, sizes: Sequence[int] | None, low: int, high: int, bits: int
    ) -> None:
        self._total, self._sizes, self._bits = total, sizes, bits
        counted = Counter(sizes) if sizes is not None else Counter({1: total})
        self._sizes_counted = {size: many for size, many in counted.items() if many}
        self._amounts = range(min(low, total), min(high, total) + 1)
        self._counts: list[int] | None = None

    def counts(self) -> list[int]:
        """Return how many choices there are per amount. Raises LimitExceeded DP133."""
        if self._counts is None:
            counts: list[int] = []
            together = 0
            for amount in self._amounts:
                counts.append(self._next(counts, amount))
                together += counts[-1]
                check_bits(together, self._bits)
            self._counts = counts
        return self._counts

    def _next(self, counts: list[int], amount: int) -> int:
        if counts and len(self._sizes_counted) == 1:
            return counts[-1] * (self._total - amount + 1) * self._size(0)
        return self._count(self._sizes_counted, amount)

    def _count(self, sizes: dict[int, int], amount: int) -> int:
        """Ordered choices of exactly `amount`: amount! times the elementary symmetric sum."""
        if len(sizes) == 1:
            ((size, many),) = sizes.items()
            if amount * max(size.bit_length(), many.bit_length() - 1) > 64 * self._bits:
                raise too_many(self._bits)
            return perm(many, amount) * int(size**amount)
        sums = [1] + [0] * amount
        for size, many in sizes.items():
            terms = [1]
            for number in range(1, min(many, amount) + 1):
                terms.append(terms[-1] * size * (many - number + 1) // number)
                check_bits(terms[-1], 64 * self._bits)
            sums = [
                sum(sums[index - n] * terms[n] for n in range(min(index, len(terms) - 1) + 1))
                for index in range(amount + 1)
            ]
        return sums[amount] * factorial(amount)

    def locate(self, rank: int) -> tuple[list[int], list[int]]:
        """Return the options of choice number `rank`, and which result of each."""
        sums = list(accumulate(self.counts()))
        place = bisect_right(sums, rank)
        amount = self._amounts.start + place
        rank -= sums[place - 1] if place else 0
        chosen = self._uniform(rank, amount) if len(self._sizes_counted) == 1 else None
        if chosen is None:
            chosen, rank = self._mixed(rank, amount)
        else:
            rank %= self._size(0) ** amount
        digits = []
        for index in reversed(chosen):
            rank, digit = divmod(rank, self._size(index))
            digits.append(digit)
        return chosen, digits[::-1]

    def _size(self, index: int) -> int:
        return self._sizes[index] if self._sizes is not None else 1

    def _uniform(self, rank: int, amount: int) -> list[int]:
        rank //= self._size(0) ** amount
        chosen: list[int] = []
        for position in range(amount):
            block = perm(self._total - position - 1, amount - position - 1)
            place, rank = divmod(rank, block)
            for taken in sorted(chosen):
                if taken <= place:
                    place += 1
            chosen.append(place)
        return chosen

    def _mixed(self, rank: int, amount: int) -> tuple[list[int], int]:
        """Choose option after option; what is left of the rank numbers their results."""
        chosen: list[int] = []
        taken: set[int] = set()
        left = dict(self._sizes_counted)
        results = 1
        for position in range(amount):
            blocks = {}
            for size in left:
                rest = {one: many - (one == size) for one, many in left.items()}
                rest = {one: many for one, many in rest.items() if many}
                blocks[size] = self._count(rest or {1: 0}, amount - position - 1) * size * results
            index = 0
            while index in taken or rank >= blocks[self._size(index)]:
                rank -= 0 if index in taken else blocks[self._size(index)]
                index += 1
            size = self._size(index)
            chosen.append(index)
            taken.add(index)
            results *= size
            left[size] -= 1
            left = {one: many for one, many in left.items() if many}
        return chosen, rank


def check_bits(count: int, bits: int) -> None:
    """Raise LimitExceeded DP133 for a count of more binary digits."""
    if count.bit_length() > bits:
        raise too_many(bits)


def too_many(bits: int) -> LimitExceeded:
    """Return the error for a count that is not worth writing down."""
    return LimitExceeded("DP133", f"the number of combinations is above 2^{bits}")
