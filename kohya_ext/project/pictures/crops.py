"""Crops: which small picture is a part of which other one, mirrored or not.

Windows of many sizes over each picture are compared with each whole picture on a few cells, and
the best of them once more, finely.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .facts import PictureFacts

_CELLS = 8
_FINE = 16
_SCALES = (1.0, 0.9, 0.81, 0.73, 0.66, 0.59, 0.53, 0.47, 0.42)
_STEP = 0.11
_ASPECT_STEP = math.log(1.1)
_LEAST_COARSE = 0.7
_LEAST_ON_THE_WAY = 0.8
_LEAST_FINE = 0.97
_FINE_STEPS = (0.06, 0.03, 0.015, 0.008)
_MOST_GREY_APART = 14.0
_TRIES = 8
_WHOLE = 0.97
_LARGER = 1.15
"""A crop has fewer pixels than what it was cut from, unless somebody enlarged it a little."""


@dataclass(frozen=True)
class _Guess:
    """A window over a picture that resembles another whole one, at `row` of the targets."""

    score: float
    whole: str
    row: int
    window: Any


def find_crops(
    facts: Mapping[str, PictureFacts], keys: Collection[str], wanted: Collection[str]
) -> Iterator[tuple[str, str, float, bool]]:
    """Yield the whole picture, the crop, how alike they are, and whether it is mirrored."""
    import numpy

    order = list(keys)
    if not order:
        return
    greys = {key: _grey(facts[key]) for key in order}
    wholes = [_cells(_summed(greys[key]), _frame(greys[key]), _CELLS)[0] for key in order]
    flipped = [one.reshape(_CELLS, _CELLS)[:, ::-1].ravel() for one in wholes]
    targets = _unit(numpy.stack([*wholes, *flipped])).astype("float32")
    guesses: dict[int, list[_Guess]] = {}
    for key in order:
        for guess in _guesses(key, order, facts, _summed(greys[key]), targets, wanted):
            guesses.setdefault(guess.row, []).append(guess)
    for row, found in guesses.items():
        crop, is_mirrored = order[row % len(order)], row >= len(order)
        wanted_grey = greys[crop][:, ::-1] if is_mirrored else greys[crop]
        target = _cells(_summed(wanted_grey), _frame(wanted_grey), _FINE)[0]
        for guess in sorted(found, key=lambda one: -one.score)[:_TRIES]:
            likeness = _refined(greys[guess.whole], guess.window, target)
            if likeness >= _LEAST_FINE:
                yield guess.whole, crop, round(likeness, 3), is_mirrored


def _guesses(
    key: str,
    order: list[str],
    facts: Mapping[str, PictureFacts],
    summed: Any,
    targets: Any,
    wanted: Collection[str],
) -> Iterator[_Guess]:
    own = facts[key]
    classes: dict[int, list[int]] = {}
    for at, one in enumerate(order):
        other = facts[one]
        if one == key or other.pixels > own.pixels * _LARGER:
            continue
        if key in wanted or one in wanted:
            classes.setdefault(_aspect_class(other), []).append(at)
    shape = (summed.shape[0] - 1, summed.shape[1] - 1)
    for aspect, members in classes.items():
        windows, corners = _windows(shape, aspect)
        if not len(windows):
            continue
        rows = [*members, *(at + len(order) for at in members)]
        at = summed.ravel()[corners]
        sums = at[:, 1:, 1:] - at[:, :-1, 1:] - at[:, 1:, :-1] + at[:, :-1, :-1]
        alike = _unit(sums.reshape(len(windows), -1)).astype("float32") @ targets[rows].T
        best = alike.argmax(0)
        for column, row in enumerate(rows):
            score = float(alike[best[column], column])
            if score >= _LEAST_COARSE:
                yield _Guess(score, key, row, windows[best[column]])


def _aspect_class(facts: PictureFacts) -> int:
    return round(math.log(facts.width / facts.height) / _ASPECT_STEP)


def _refined(grey: Any, window: Any, target: Any) -> float:
    """Move the window to where it is most alike; 0 where it is not, or is the whole picture."""
    height, width = grey.shape
    summed, wanted = _summed(grey), _unit(target[None])[0]
    here, likeness, apart = window, 0.0, 0.0
    for step in _FINE_STEPS:
        around = _around(here, step, width, height)
        cells = _cells(summed, around, _FINE)
        scores = _unit(cells) @ wanted
        top = int(scores.argmax())
        here, likeness = around[top], float(scores[top])
        apart = float(abs(cells[top] - target).mean())
        if likeness < _LEAST_ON_THE_WAY:
            return 0.0
    area = (here[2] - here[0]) * (here[3] - here[1]) / (width * height)
    return likeness if apart <= _MOST_GREY_APART and area <= _WHOLE else 0.0


def _grey(facts: PictureFacts) -> Any:
    import numpy

    values = numpy.frombuffer(facts.small, dtype=numpy.uint8)
    return values.reshape(facts.small_height, facts.small_width).astype("float64")


def _summed(grey: Any) -> Any:
    """Return the sums of all values above and left of each corner."""
    import numpy

    made = numpy.zeros((grey.shape[0] + 1, grey.shape[1] + 1))
    made[1:, 1:] = grey.cumsum(0).cumsum(1)
    return made


def _frame(grey: Any) -> Any:
    import numpy

    return numpy.array([[0.0, 0.0, grey.shape[1], grey.shape[0]]])


def _cells(summed: Any, windows: Any, cells: int) -> Any:
    """Return the mean of each cell of each window, read between the pixels where needed."""
    import numpy

    x, y = _grid_lines(windows, cells)
    height, width = summed.shape[0] - 1, summed.shape[1] - 1
    x0 = numpy.clip(numpy.floor(x), 0, width - 1).astype(int)
    y0 = numpy.clip(numpy.floor(y), 0, height - 1).astype(int)
    fx, fy = (x - x0)[:, None, :], (y - y0)[:, :, None]
    x0, y0 = x0[:, None, :], y0[:, :, None]
    at = (
        summed[y0, x0] * (1 - fx) * (1 - fy)
        + summed[y0, x0 + 1] * fx * (1 - fy)
        + summed[y0 + 1, x0] * (1 - fx) * fy
        + summed[y0 + 1, x0 + 1] * fx * fy
    )
    sums = at[:, 1:, 1:] - at[:, :-1, 1:] - at[:, 1:, :-1] + at[:, :-1, :-1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 1] - y[:, 0])
    return (sums / area[:, None, None]).reshape(len(windows), -1)


def _grid_lines(windows: Any, cells: int) -> tuple[Any, Any]:
    """Return where the lines between the cells of each window stand, across and down."""
    import numpy

    parts = numpy.linspace(0, 1, cells + 1)
    x = windows[:, 0, None] + (windows[:, 2] - windows[:, 0])[:, None] * parts
    y = windows[:, 1, None] + (windows[:, 3] - windows[:, 1])[:, None] * parts
    return x, y


def _unit(rows: Any) -> Any:
    import numpy

    centred = rows - rows.mean(1, keepdims=True)
    return centred / numpy.maximum(numpy.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


@lru_cache(maxsize=512)
def _windows(shape: tuple[int, int], aspect_class: int) -> tuple[Any, Any]:
    """Return windows of an aspect, each size in places a part of it apart, and their corners.

    The corners are places in the summed picture, of each cell; the whole picture is no window.
    """
    import numpy

    height, width = shape
    aspect = math.exp(aspect_class * _ASPECT_STEP)
    widest = min(width, height * aspect)
    found = []
    for scale in _SCALES:
        w, h = widest * scale, widest * scale / aspect
        if w * h > _WHOLE * width * height or min(w, h) < _CELLS:
            continue
        for x in numpy.linspace(0, width - w, math.ceil((width - w) / (w * _STEP)) + 1):
            for y in numpy.linspace(0, height - h, math.ceil((height - h) / (h * _STEP)) + 1):
                found.append((x, y, x + w, y + h))
    windows = numpy.array(found).reshape(-1, 4)
    x, y = _grid_lines(windows, _CELLS)
    places = numpy.rint(y).astype(int)[:, :, None] * (width + 1)
    return windows, places + numpy.rint(x).astype(int)[:, None, :]


def _around(window: Any, step: float, width: int, height: int) -> Any:
    """Return the window and its neighbours: moved, grown and shrunk a little."""
    import numpy

    x0, y0, x1, y1 = window
    w, h = x1 - x0, y1 - y0
    found = []
    for grow_x, grow_y in ((0, 0), (step, step), (-step, -step), (step, 0), (0, step)):
        for dx in (0, -step, step):
            for dy in (0, -step, step):
                cx, cy = (x0 + x1) / 2 + dx * w, (y0 + y1) / 2 + dy * h
                nw, nh = w * (1 + grow_x) / 2, h * (1 + grow_y) / 2
                found.append(
                    (max(0, cx - nw), max(0, cy - nh), min(width, cx + nw), min(height, cy + nh))
                )
    return numpy.array(found)
