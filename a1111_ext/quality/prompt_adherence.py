"""Obeys the prompt: how surely the prompted tags are in the pictures, beside the control's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import median

from .learned import TagCurve
from .signal import (
    Series,
    Signal,
    SignalName,
    error_of_median,
    mean,
    most_until,
    neighbour_spread,
    spread_before,
    unmeasured,
)
from .tag_profile import TagScores

MOST_LOST = 0.20
"""An epoch may lose this much of the control's recall; beyond it does not obey."""

_SHOWN_AT_ALL = 0.20
"""A tag that the base model does not show either says nothing about the LoRA."""


def measure_obeys(
    series: Series[TagScores],
    prompted: Mapping[str, Collection[str]],
    core: Collection[str] = (),
) -> tuple[Signal, tuple[TagCurve, ...]]:
    """Return the recall of prompted tags minus the control's, usually from -1 to 0.

    Tags of the subject itself (`core`) are left out. The curves come with the tag that is lost
    most first.
    """
    count = len(series.epochs)
    asked = {
        pair: [tag for tag in sorted(tags) if tag not in core and _shows(series, pair, tag)]
        for pair, tags in prompted.items()
        if pair in series.control
    }
    if not any(asked.values()):
        why = (
            "No prompt asks for a tag that the tagger knows and the base model draws; "
            "draw probes: loraloom grid --probes."
        )
        return unmeasured(SignalName.OBEYS, count, why), ()
    curve: list[float | None] = []
    errors: list[float] = []
    for index in range(count):
        losses = [
            _recall(series.epochs[index][pair], asked[pair])
            - _recall(series.control[pair], asked[pair])
            for pair in series.pairs(index)
            if asked.get(pair)
        ]
        curve.append(mean(losses))
        errors.append(error_of_median(losses))
    noise = neighbour_spread(curve)
    bad = tuple(_is_lost(curve, index, errors[index]) for index in range(count))
    return Signal(SignalName.OBEYS, tuple(curve), bad, noise), _curves(series, asked)


def _shows(series: Series[TagScores], pair: str, tag: str) -> bool:
    """Tell whether the base model draws a prompted tag, in this or another picture of it."""
    return series.control[pair].get(tag, 0.0) >= _SHOWN_AT_ALL


def _recall(scores: TagScores, tags: Collection[str]) -> float:
    return sum(scores.get(tag, 0.0) for tag in tags) / len(tags)


def _is_lost(curve: list[float | None], index: int, error: float) -> bool:
    value = curve[index]
    if value is None:
        return False
    fallen = most_until(curve, index) - value
    limit = max(2 * spread_before(curve, index), error)
    return value < -MOST_LOST and (fallen > limit or value < -2 * MOST_LOST)


def _curves(
    series: Series[TagScores], asked: Mapping[str, Collection[str]]
) -> tuple[TagCurve, ...]:
    pairs_of: dict[str, list[str]] = {}
    for pair, tags in asked.items():
        for tag in tags:
            pairs_of.setdefault(tag, []).append(pair)
    curves = []
    for tag, pairs in pairs_of.items():
        values = tuple(
            mean(one[pair].get(tag, 0.0) for pair in pairs if pair in one) for one in series.epochs
        )
        control = mean(series.control[pair].get(tag, 0.0) for pair in pairs) or 0.0
        curves.append(TagCurve(tag, values, control, 1.0))
    return tuple(sorted(curves, key=lambda one: (-_loss(one), one.tag)))


def _loss(curve: TagCurve) -> float:
    known = [value for value in curve.values if value is not None]
    return curve.control - median(known[-2:]) if known else 0.0
