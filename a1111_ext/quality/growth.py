"""The growth of a LoRA's weights over the epochs: breaks, dead and exploded layers, NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from kohya_ext.project.wording import counted

from .signal import Signal, SignalName, unmeasured
from .weights import LayerNorms

_STEEPER = 2.5
"""A slope this many times the one before is a break: weights grow ever more slowly."""

_JUMPED = 4.0
"""A layer that grew by this factor from one epoch to the next has exploded."""

_MOST_DEAD = 0.5
_FEW = 3


def measure_weights(
    epochs: Sequence[LayerNorms | None], steps: Sequence[int | None] = ()
) -> Signal:
    """Return the norm of the whole change by epoch, relative to the first epoch's.

    `steps` are the optimizer steps of each epoch, where known; otherwise epochs count as equal.
    """
    count = len(epochs)
    known = [one for one in epochs if one is not None]
    if not known or not any(one.layers or one.broken for one in known):
        return unmeasured(
            SignalName.WEIGHTS, count, "The files have no layers that can be measured."
        )
    start = next((one.total for one in known if 0 < one.total < math.inf), 1.0)
    values = tuple(
        None if one is None else (one.total / start if math.isfinite(one.total) else math.inf)
        for one in epochs
    )
    notes: dict[int, str] = {}
    before: LayerNorms | None = None
    for index, one in enumerate(epochs):
        if one is not None:
            if note := _fault(one, before):
                notes[index] = note
            before = one
    broken_at = _break(values, _times(steps, count))
    if broken_at is not None:
        notes.setdefault(broken_at, "the weights suddenly grow faster")
    bad = tuple(
        index in notes or (broken_at is not None and index > broken_at) for index in range(count)
    )
    return Signal(
        SignalName.WEIGHTS,
        tuple(None if value is None or math.isinf(value) else value for value in values),
        bad,
        notes=notes,
    )


def _fault(one: LayerNorms, before: LayerNorms | None) -> str:
    if one.broken:
        return f"{_layers(one.broken)} no longer a number (NaN or infinity)"
    if one.layers and len(one.dead) > _MOST_DEAD * len(one.layers):
        return f"{len(one.dead)} of {counted(len(one.layers), 'layer')} without effect"
    if before is None:
        return ""
    jumped = [
        name
        for name, value in one.layers.items()
        if before.layers.get(name, 0.0) > 0.0 and value > _JUMPED * before.layers[name]
    ]
    # early on, layers that started at zero may well grow many times over together
    usual = median(
        [
            value / before.layers[name]
            for name, value in one.layers.items()
            if before.layers.get(name, 0.0) > 0.0
        ]
        or [1.0]
    )
    jumped = [name for name in jumped if one.layers[name] / before.layers[name] > _JUMPED * usual]
    return f"{_layers(tuple(jumped))} suddenly many times larger" if jumped else ""


def _layers(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"the layer {names[0]} is"
    return f"{counted(len(names), 'layer')} (such as {names[0]}) are"


def _times(steps: Sequence[int | None], count: int) -> list[float]:
    found = [float(one) for one in steps if one is not None]
    if len(found) == count and all(a < b for a, b in pairwise(found)):
        return found
    return [float(index) for index in range(count)]


def _break(values: Sequence[float | None], times: Sequence[float]) -> int | None:
    """Return the first epoch from which on the norm grows much faster than it did before."""
    points = [
        (time, value, index)
        for index, (time, value) in enumerate(zip(times, values, strict=True))
        if value is not None and math.isfinite(value)
    ]
    slopes = [((b[1] - a[1]) / (b[0] - a[0]), b[2]) for a, b in pairwise(points)]
    for place in range(_FEW, len(slopes)):
        before = median(slope for slope, _ in slopes[max(0, place - _FEW) : place])
        after = median(slope for slope, _ in slopes[place : place + _FEW])
        if before > 0 and after > _STEEPER * before and slopes[place][0] > _STEEPER * before:
            return slopes[place][1]
    return None
