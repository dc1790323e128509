"""What every signal has in common: one value for each epoch, a limit, and how it was measured.

A signal never judges one picture alone: it compares pictures of one prompt and seed (a pair)
with the no-LoRA control and with the epochs beside it, and takes medians.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median
from typing import Generic, TypeVar

Value = TypeVar("Value")

SCALE_OF_MAD = 1.4826
"""Makes the median of distances to the median a standard deviation, for normal noise."""

_LEAST_EPOCHS = 5


class SignalName(str, Enum):
    """What is measured; the word is shown on the page and is in `--json`."""

    LEARNED = "learned"
    OBEYS = "obeys"
    LEAKAGE = "leakage"
    FRIED = "fried"
    COPYING = "copying"
    VARIETY = "variety"
    LIKENESS = "likeness"
    WEIGHTS = "weights"
    VOTES = "votes"


@dataclass(frozen=True)
class Series(Generic[Value]):
    """What was measured of the pictures: one mapping by pair for each epoch, and the control's.

    A pair is whatever names a prompt and seed; epochs are in the order of training.
    """

    epochs: tuple[Mapping[str, Value], ...]
    control: Mapping[str, Value] = field(default_factory=dict)

    def pairs(self, index: int) -> tuple[str, ...]:
        """Return the pairs of an epoch that the control has too."""
        return tuple(pair for pair in self.epochs[index] if pair in self.control)


@dataclass(frozen=True)
class Signal:
    """One curve over the epochs; None where nothing was measured.

    `bad` tells which epochs are beyond the limit; `noise` is the usual distance of neighbouring
    epochs; `notes` are details for sentences, such as the number of a picture, by epoch.
    """

    name: SignalName
    values: tuple[float | None, ...]
    bad: tuple[bool, ...] = ()
    noise: float = 0.0
    notes: Mapping[int, str] = field(default_factory=dict)
    unmeasured: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether there is a value for at least one epoch."""
        return any(value is not None for value in self.values)

    def is_bad(self, index: int) -> bool:
        """Whether an epoch is beyond the limit; False where it was not measured."""
        return index < len(self.bad) and self.bad[index]

    @property
    def onset(self) -> int | None:
        """The first epoch from which on more are bad than not, or None."""
        for index, bad in enumerate(self.bad):
            rest = self.bad[index:]
            if bad and sum(rest) * 2 > len(rest):
                return index
        return None


def unmeasured(name: SignalName, count: int, why: str) -> Signal:
    """Return a signal that could not be measured; `why` is a whole sentence."""
    return Signal(name, (None,) * count, (False,) * count, unmeasured=why)


def robust_scale(values: Sequence[float]) -> float:
    """Return the spread of values as a standard deviation that outliers do not move."""
    if len(values) < 2:
        return 0.0
    middle = median(values)
    return SCALE_OF_MAD * median(abs(value - middle) for value in values)


def neighbour_spread(curve: Sequence[float | None]) -> float:
    """Return how far one epoch usually lies from the line between the epochs beside it.

    A steady trend has no spread: only what goes up and down again counts.
    """
    known = [value for value in curve if value is not None]
    bends = [abs(b - (a + c) / 2) for a, b, c in zip(known, known[1:], known[2:], strict=False)]
    # for independent noise of deviation s the bend has the deviation s * sqrt(1.5)
    return SCALE_OF_MAD * median(bends) / math.sqrt(1.5) if bends else 0.0


def spread_before(curve: Sequence[float | None], index: int) -> float:
    """Return the spread of the epochs before `index`: what begins there must not hide itself.

    Of fewer than five epochs it cannot be told from a beginning trend, and counts as nothing.
    """
    before = [value for value in curve[:index] if value is not None]
    return neighbour_spread(before) if len(before) >= _LEAST_EPOCHS else 0.0


def error_of_median(values: Sequence[float]) -> float:
    """Return the standard error of the median of `values`."""
    return 1.2533 * robust_scale(values) / math.sqrt(len(values)) if values else 0.0


def least_until(curve: Sequence[float | None], index: int) -> float:
    """Return the smallest known value up to `index`; infinity when there is none."""
    return min((value for value in curve[: index + 1] if value is not None), default=math.inf)


def usual_before(curve: Sequence[float | None], index: int) -> float | None:
    """Return the median of the known values before `index`, or None."""
    known = [value for value in curve[:index] if value is not None]
    return median(known) if known else None


def most_until(curve: Sequence[float | None], index: int) -> float:
    """Return the largest known value up to `index`; minus infinity when there is none."""
    return max((value for value in curve[: index + 1] if value is not None), default=-math.inf)


def mean(values: Iterable[float]) -> float | None:
    """Return the mean, or None of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else None
