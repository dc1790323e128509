"""Fried pictures: texture and colours that run away from the control and from earlier epochs.

At least two of four figures must leave what neighbouring epochs differ by; one alone is a
harmless change of light, of focus or of subject.
"""

from __future__ import annotations

import math
from statistics import median

from .signal import (
    Series,
    Signal,
    SignalName,
    error_of_median,
    neighbour_spread,
    spread_before,
    unmeasured,
    usual_before,
)
from .texture import FIGURES, Texture

FLOOR = {"laplacian": 0.30, "fine": 0.30, "saturated": 0.45, "clipped": 0.80}
"""Log-ratios to the control below these are never called fried, however little noise there is."""

_ABSENT = {"laplacian": 0.02, "fine": 0.002, "saturated": 0.02, "clipped": 0.01}
"""Added above and below the line: a share of next to nothing may double without meaning."""

_BEYOND = 3.0
_AT_ONCE = 2.0
"""The first epoch has none before it: it is fried only beyond this many floors."""

WORDS = {
    "laplacian": "edges are too hard",
    "fine": "fine noise grows",
    "saturated": "colours burn",
    "clipped": "shadows and highlights lose detail",
}


def measure_fried(series: Series[Texture]) -> Signal:
    """Return how far the pictures are from the control, as the mean of the two largest figures.

    A value of 0.7 means that two figures have doubled.
    """
    count = len(series.epochs)
    if not any(series.pairs(index) for index in range(count)):
        return unmeasured(
            SignalName.FRIED, count, "There are no pictures without the LoRA to compare with."
        )
    curves = {name: [_ratio(series, index, name) for index in range(count)] for name in FIGURES}
    beyond = {name: _beyond(name, curves[name], series) for name in FIGURES}
    values: list[float | None] = []
    bad: list[bool] = []
    notes: dict[int, str] = {}
    for index in range(count):
        found = [value for curve in curves.values() if (value := curve[index]) is not None]
        ratios = sorted(found, reverse=True)
        values.append(sum(ratios[:2]) / 2 if len(ratios) >= 2 else None)
        names = [name for name in FIGURES if beyond[name][index]]
        bad.append(len(names) >= 2)
        if len(names) >= 2:
            notes[index] = " and ".join(_strongest(names, curves, index))
    return Signal(SignalName.FRIED, tuple(values), tuple(bad), neighbour_spread(values), notes)


def _ratios(series: Series[Texture], index: int, name: str) -> list[float]:
    little = _ABSENT[name]
    return [
        math.log(
            (getattr(series.epochs[index][pair], name) + little)
            / (getattr(series.control[pair], name) + little)
        )
        for pair in series.pairs(index)
    ]


def _ratio(series: Series[Texture], index: int, name: str) -> float | None:
    ratios = _ratios(series, index, name)
    return median(ratios) if ratios else None


def _error(series: Series[Texture], index: int, name: str) -> float:
    return error_of_median(_ratios(series, index, name))


def _beyond(name: str, curve: list[float | None], series: Series[Texture]) -> list[bool]:
    """Tell for each epoch whether a figure is beyond its limit, and has not come back since."""
    found: list[bool] = []
    held = math.inf
    for index, value in enumerate(curve):
        limit = max(
            FLOOR[name], _BEYOND * spread_before(curve, index), 2 * _error(series, index, name)
        )
        is_beyond = value is not None and (value > held or _is_new(curve, index, limit))
        if is_beyond:
            held = min(held, limit + max(0.0, usual_before(curve, index) or 0.0))
        elif value is not None:
            held = math.inf
        found.append(is_beyond)
    return found


def _is_new(curve: list[float | None], index: int, limit: float) -> bool:
    value = curve[index] or 0.0
    before = usual_before(curve, index)
    if before is None:
        return value > _AT_ONCE * limit
    # a style that was there from the first epoch on is learned, not fried
    return value > limit and (value - before > limit or value > 2 * _AT_ONCE * limit)


def _strongest(beyond: list[str], curves: dict[str, list[float | None]], index: int) -> list[str]:
    ordered = sorted(beyond, key=lambda name: -(curves[name][index] or 0.0) / FLOOR[name])
    return [WORDS[name] for name in ordered[:2]]
