"""What people said of an epoch's pictures: votes and ratings, as a Wilson bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kohya_ext.project.wording import counted

from .signal import Signal, SignalName, unmeasured

_CONFIDENCE = 1.959964
"""The normal quantile of a bound that holds 39 times of 40."""


@dataclass(frozen=True)
class Ballot:
    """Votes for and against one epoch; a draw counts half. `is_chosen`: a person chose it."""

    better: int = 0
    draw: int = 0
    worse: int = 0
    is_chosen: bool = False

    @property
    def count(self) -> int:
        return self.better + self.draw + self.worse

    @property
    def lower(self) -> float:
        """The least share of won votes that these votes allow; 0 without votes."""
        return wilson_bounds(self.better + self.draw / 2, self.count)[0]

    @property
    def upper(self) -> float:
        """The largest share of won votes that these votes allow; 1 without votes."""
        return wilson_bounds(self.better + self.draw / 2, self.count)[1]


def wilson_bounds(won: float, count: int) -> tuple[float, float]:
    """Return the bounds of a share of which `won` of `count` were seen; (0, 1) for none."""
    if count <= 0:
        return 0.0, 1.0
    z2 = _CONFIDENCE**2
    share = won / count
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    around = (
        _CONFIDENCE
        * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
        / (1 + z2 / count)
    )
    return max(0.0, middle - around), min(1.0, middle + around)


def measure_votes(ballots: Sequence[Ballot]) -> Signal:
    """Return the Wilson bound of each epoch; an epoch that surely loses is bad."""
    if not any(one.count for one in ballots):
        why = "There are no votes or ratings; the grid's page has a blind vote."
        return unmeasured(SignalName.VOTES, len(ballots), why)
    values = tuple(one.lower if one.count else None for one in ballots)
    bad = tuple(one.count > 0 and one.upper < 0.5 for one in ballots)
    notes = {
        index: f"{one.better} of {counted(one.count, 'vote')}"
        for index, one in enumerate(ballots)
        if one.count
    }
    return Signal(SignalName.VOTES, values, bad, notes=notes)
