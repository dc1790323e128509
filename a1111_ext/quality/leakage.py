"""Leakage: places and clothes of the training set in pictures whose prompt did not ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .signal import (
    Series,
    Signal,
    SignalName,
    least_until,
    mean,
    neighbour_spread,
    spread_before,
    unmeasured,
)
from .tag_profile import TagProfile, TagScores

MOST_LEAKED = 0.30
_GROWN = 0.15


def measure_leakage(
    series: Series[TagScores],
    profile: TagProfile,
    prompted: Mapping[str, Collection[str]],
) -> Signal:
    """Return how much of the training set's surroundings came along: 0 as the control, 1 all.

    The notes name the tag that came along most.
    """
    count = len(series.epochs)
    around = profile.surroundings()
    if not around:
        why = "No place or clothing is frequent enough in the training set to leak."
        return unmeasured(SignalName.LEAKAGE, count, why)
    if not series.control:
        why = "There are no pictures without the LoRA to compare with."
        return unmeasured(SignalName.LEAKAGE, count, why)
    curve: list[float | None] = []
    notes: dict[int, str] = {}
    for index in range(count):
        leaks: dict[str, list[float]] = {}
        shares = []
        for pair in series.pairs(index):
            unrequested = {tag: share for tag, share in around.items() if tag not in prompted[pair]}
            if not unrequested:
                continue
            grown = {
                tag: max(0.0, _of(series.epochs[index], pair, tag) - _of(series.control, pair, tag))
                for tag in unrequested
            }
            shares.append(sum(grown.values()) / sum(unrequested.values()))
            for tag, value in grown.items():
                leaks.setdefault(tag, []).append(value)
        curve.append(mean(shares))
        if leaks:
            notes[index] = max(sorted(leaks), key=lambda tag: sum(leaks[tag]) / len(leaks[tag]))
    noise = neighbour_spread(curve)
    bad = tuple(_has_leaked(curve, index) for index in range(count))
    return Signal(SignalName.LEAKAGE, tuple(curve), bad, noise, notes)


def _of(pictures: Mapping[str, TagScores], pair: str, tag: str) -> float:
    return pictures[pair].get(tag, 0.0)


def _has_leaked(curve: list[float | None], index: int) -> bool:
    value = curve[index]
    if value is None:
        return False
    grown = value - least_until(curve, index)
    return value > MOST_LEAKED and (
        grown > max(_GROWN, 2 * spread_before(curve, index)) or value > 2 * MOST_LEAKED
    )
