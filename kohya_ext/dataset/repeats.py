"""Small whole repeats, so that groups of pictures contribute the steps that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST_REPEATS = 100
NEAR_ENOUGH = Fraction(85, 100)


@dataclass(frozen=True)
class Group:
    """Pictures of one role, and how many times the steps of the base group they should give."""

    pictures: int
    influence: Fraction

    def __post_init__(self) -> None:
        if self.pictures < 1 or self.influence <= 0:
            raise ValueError("A group needs pictures and an influence above 0.")


@dataclass(frozen=True)
class Balance:
    """Repeats of the base group and of the others, in the order they were given."""

    base: int
    others: tuple[int, ...]
    base_draws: int
    draws: tuple[int, ...]

    @property
    def ratios(self) -> tuple[Fraction, ...]:
        """What each group reaches, as a multiple of the base group's steps."""
        return tuple(Fraction(one, self.base_draws) for one in self.draws)


def balance(base_pictures: int, groups: Sequence[Group], most: int = MOST_REPEATS) -> Balance:
    """Return the repeats that serve `groups` best, each at most `most`.

    No group exceeds its influence where that can be had; then the fewest repeats of the base
    group with which every group reaches 85 % of its influence; then the nearest. So 58 pictures
    of influence 2 beside 164 get 5:1 (290 against 164) and not 17:3.
    """
    if base_pictures < 1 or most < 1:
        raise ValueError("The base group needs pictures, and repeats of at least 1.")
    bases = range(1, most + 1)
    allowed = min(_least_excess(base * base_pictures, groups) for base in bases)
    found = []
    for base in bases:
        base_draws = base * base_pictures
        if _least_excess(base_draws, groups) > allowed:
            continue
        others = tuple(_nearest(one, base_draws, allowed, most) for one in groups)
        draws = tuple(one.pictures * count for one, count in zip(groups, others, strict=True))
        found.append(Balance(base, others, base_draws, draws))
    return min(found, key=lambda one: cost(one, groups))


def cost(one: Balance, groups: Sequence[Group]) -> tuple[Fraction, Fraction, int, Fraction]:
    """Return what `balance` keeps low, the weightiest first.

    The greatest excess; what is short of 85 %, summed; the base group's repeats; the distances.
    """
    parts = [ratio / group.influence for ratio, group in zip(one.ratios, groups, strict=True)]
    excess = max([part - 1 for part in parts if part > 1], default=Fraction(0))
    short = sum((_short(part) for part in parts), Fraction(0))
    return excess, short, one.base, sum((abs(1 - part) for part in parts), Fraction(0))


def _short(part: Fraction) -> Fraction:
    return 1 - part if part < NEAR_ENOUGH else Fraction(0)


def _part(count: int, group: Group, base_draws: int) -> Fraction:
    """Return what `count` repeats reach of the group's influence, 1 when all of it."""
    return Fraction(count * group.pictures, base_draws) / group.influence


def _least_excess(base_draws: int, groups: Sequence[Group]) -> Fraction:
    parts = [_part(1, one, base_draws) for one in groups]
    return max([part - 1 for part in parts if part > 1], default=Fraction(0))


def _nearest(group: Group, base_draws: int, allowed: Fraction, most: int) -> int:
    """Return the repeats of one group that cost least: just below what was asked, or above."""
    below = int(group.influence * base_draws / group.pictures)
    counts = {max(1, min(most, count)) for count in (below, below + 1)}
    fitting = [one for one in counts if _part(one, group, base_draws) <= 1 + allowed]

    def price(count: int) -> tuple[Fraction, Fraction]:
        part = _part(count, group, base_draws)
        return _short(part), abs(1 - part)

    return min(fitting, key=price)
