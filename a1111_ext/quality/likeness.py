"""Likeness by an image embedding: how near the pictures are to the training pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .learned import LEAST_LEARNED
from .signal import Series, Signal, SignalName, mean, neighbour_spread, unmeasured

Vector = Sequence[float]
_LEAST_LIFT = 0.03


def measure_likeness(series: Series[Vector], training: Sequence[Vector]) -> Signal:
    """Return the likeness of each epoch: 0 as the control, 1 as training pictures to each other."""
    count = len(series.epochs)
    if len(training) < 2:
        why = "It needs at least two training pictures."
        return unmeasured(SignalName.LIKENESS, count, why)
    middle = _unit([sum(values) for values in zip(*map(_unit, training), strict=True)])
    among = mean(_cosine(one, middle) for one in training) or 0.0
    control = _near(series.control, middle)
    if control is None:
        why = "There are no pictures without the LoRA to compare with."
        return unmeasured(SignalName.LIKENESS, count, why)
    if among - control < _LEAST_LIFT:
        why = "The pictures without the LoRA are just as similar to the training set."
        return unmeasured(SignalName.LIKENESS, count, why)
    found = [_near(one, middle) for one in series.epochs]
    values = tuple(None if one is None else (one - control) / (among - control) for one in found)
    bad = tuple(value is not None and value < LEAST_LEARNED for value in values)
    return Signal(SignalName.LIKENESS, values, bad, neighbour_spread(values))


def _near(pictures: Mapping[str, Vector], middle: Vector) -> float | None:
    return mean(_cosine(one, middle) for one in pictures.values())


def _unit(vector: Vector) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(_unit(one), _unit(other), strict=True))
