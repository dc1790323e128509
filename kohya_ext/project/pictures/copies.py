"""Copies of a picture in another size or position: turned by quarters, mirrored, or both.

With numpy all are compared at once, for sets in which much looks alike, such as things on white.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .facts import PictureFacts

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 8
_COARSE = 24
_MOST_STEPS_APART = 10
_LEAST_LIKE = 0.96
_BANDS = 8
_ROWS_AT_ONCE = 256
_MOST_PARTNERS = 8
"""Of a picture with more copies the most alike count, and what joins two groups."""
_MOST_SHAPE_APART = math.log(1.11)


class Likeness(str, Enum):
    """How the second picture of a pair came about, as far as it can be seen."""

    COPY = "copy"
    MIRROR = "mirror"
    CROP = "crop"
    HALF_TURN = "copy turned by 180 degrees"
    QUARTER_TURN = "copy turned by 90 degrees"
    MIRROR_HALF_TURN = "mirror turned by 180 degrees"
    MIRROR_QUARTER_TURN = "mirror turned by 90 degrees"


@dataclass(frozen=True)
class Pair:
    """Two pictures that look alike, the larger one first; `likeness` from 0 to 1."""

    first: str
    second: str
    kind: Likeness
    likeness: float


@dataclass(frozen=True)
class _Turn:
    """One of the eight positions of a picture, and what a copy in it is called."""

    kind: Likeness
    is_transposed: bool = False
    is_upside_down: bool = False
    is_mirrored: bool = False

    def of_rows(self, rows: Sequence[bytes]) -> list[bytes]:
        """Return rows of pixels as they are in this position."""
        turned = [bytes(one) for one in zip(*rows, strict=True)] if self.is_transposed else rows
        turned = turned[::-1] if self.is_upside_down else turned
        return [one[::-1] for one in turned] if self.is_mirrored else list(turned)

    def of_stack(self, stack: Any) -> Any:
        """Return the same of a numpy array of pictures."""
        turned = stack.swapaxes(1, 2) if self.is_transposed else stack
        turned = turned[:, ::-1] if self.is_upside_down else turned
        return turned[:, :, ::-1] if self.is_mirrored else turned


_TURNS = (
    _Turn(Likeness.COPY),
    _Turn(Likeness.MIRROR, is_mirrored=True),
    _Turn(Likeness.HALF_TURN, is_upside_down=True, is_mirrored=True),
    _Turn(Likeness.MIRROR_HALF_TURN, is_upside_down=True),
    _Turn(Likeness.QUARTER_TURN, is_transposed=True, is_mirrored=True),
    _Turn(Likeness.QUARTER_TURN, is_transposed=True, is_upside_down=True),
    _Turn(Likeness.MIRROR_QUARTER_TURN, is_transposed=True),
    _Turn(Likeness.MIRROR_QUARTER_TURN, True, True, True),
)


class LightCourse:
    """The course of light over a picture: 64 bits in each position, and a coarse picture."""

    def __init__(self, facts: PictureFacts) -> None:
        from PIL import Image, ImageStat

        self.facts = facts
        size = (facts.small_width, facts.small_height)
        self._small = Image.frombytes("L", size, facts.small)
        self.spread = float(ImageStat.Stat(self._small).stddev[0])

    @cached_property
    def coarse(self) -> list[bytes]:
        """Return rows of a square picture."""
        return _rows(self._small, _COARSE, _COARSE)

    @cached_property
    def wide(self) -> list[bytes]:
        """Return the rows whose steps from left to right count."""
        return _rows(self._small, _SIDE + 1, _SIDE)

    @cached_property
    def high(self) -> list[bytes]:
        """Return the same for a picture that is turned by a quarter."""
        return _rows(self._small, _SIDE, _SIDE + 1)

    def steps(self, turn: _Turn) -> int:
        """Return one bit for each step towards darker in a position."""
        bits = 0
        for row in turn.of_rows(self.high if turn.is_transposed else self.wide):
            for left, right in pairwise(row):
                bits = bits << 1 | (left > right)
        return bits

    def aspect(self, turn: _Turn) -> float:
        """Return width by height in a position."""
        aspect = self.facts.width / self.facts.height
        return 1 / aspect if turn.is_transposed else aspect


def _rows(picture: Image.Image, width: int, height: int) -> list[bytes]:
    from PIL import Image

    cells = picture.resize((width, height), Image.Resampling.BOX).tobytes()
    return [cells[at : at + width] for at in range(0, len(cells), width)]


def find_copies(looks: Mapping[str, LightCourse], wanted: Collection[str]) -> Iterator[Pair]:
    """Yield the copies of which at least one is wanted; a pair may come in several positions."""
    find = _at_once if find_spec("numpy") is not None else _one_by_one
    for one, other, kind, likeness in find(looks, wanted):
        larger_first = looks[one].facts.pixels >= looks[other].facts.pixels
        first, second = (one, other) if larger_first else (other, one)
        yield Pair(first, second, kind, round(likeness, 3))


_Found = Iterator[tuple[str, str, Likeness, float]]


def _at_once(looks: Mapping[str, LightCourse], wanted: Collection[str]) -> _Found:
    import numpy

    order = sorted(looks, key=lambda key: key not in wanted)
    count = sum(key in wanted for key in order)
    if not count:
        return
    wide, high, coarse = (
        _stack([getattr(looks[key], name) for key in order]) for name in ("wide", "high", "coarse")
    )
    lights = _unit(coarse)
    steps = _signs(wide)
    shapes = numpy.log([looks[key].aspect(_TURNS[0]) for key in order]).astype("float32")
    group = numpy.arange(len(order))
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, count))
        later = numpy.arange(start, len(order)) > numpy.arange(rows.start, rows.stop)[:, None]
        fits = {
            sign: abs(sign * shapes[rows, None] - shapes[start:]) < _MOST_SHAPE_APART
            for sign in (1, -1)
        }
        for turn in _TURNS:
            turned = _signs(turn.of_stack((high if turn.is_transposed else wide)[rows]))
            near = turned @ steps[start:].T >= _SIDE * _SIDE - 2 * _MOST_STEPS_APART
            near &= later
            near &= fits[-1 if turn.is_transposed else 1]
            beside, columns = (numpy.flatnonzero(near.any(axis)) for axis in (1, 0))
            ours = turn.of_stack(lights[rows][beside]).reshape(len(beside), _COARSE**2)
            alike = ours @ lights[start:][columns].reshape(len(columns), _COARSE**2).T
            alike[~near[numpy.ix_(beside, columns)]] = 0
            for at, values in zip(beside + start, alike, strict=True):
                for column in _partners(group, int(at), columns + start, values):
                    other = order[columns[column] + start]
                    yield order[at], other, turn.kind, float(values[column])


def _partners(group: Any, at: int, columns: Any, values: Any) -> list[int]:
    """Choose the most alike of a picture's copies, and one of each group that it joins."""
    found = (values >= _LEAST_LIKE).nonzero()[0]
    found = found[values[found].argsort(kind="stable")[::-1]]
    chosen = [int(one) for one in found[:_MOST_PARTNERS]]
    others = group[columns[found]]
    joined = {int(one) for one in set(others.tolist()) if one != group[at]}
    for number in sorted(joined):
        chosen.append(int(found[(others == number).argmax()]))
        group[group == number] = group[at]
    return list(dict.fromkeys(chosen))


def _stack(pictures: Sequence[Sequence[bytes]]) -> Any:
    import numpy

    height, width = len(pictures[0]), len(pictures[0][0])
    content = b"".join(row for rows in pictures for row in rows)
    return numpy.frombuffer(content, dtype=numpy.uint8).reshape(len(pictures), height, width)


def _unit(stack: Any) -> Any:
    import numpy

    centred = stack.astype("float32")
    centred -= centred.mean((1, 2), keepdims=True)
    return centred / numpy.maximum(numpy.linalg.norm(centred, axis=(1, 2), keepdims=True), 1e-6)


def _signs(stack: Any) -> Any:
    """Return 1 for each step towards darker and -1 for the others, one row for each picture."""
    darker = stack[:, :, :-1] > stack[:, :, 1:]
    return (darker.reshape(len(stack), -1) * 2.0 - 1.0).astype("float32")


def _one_by_one(looks: Mapping[str, LightCourse], wanted: Collection[str]) -> _Found:
    """Compare what shares a band of bits, as all do that differ in few bits."""
    bands: dict[tuple[int, int], list[str]] = {}
    steps = {key: look.steps(_TURNS[0]) for key, look in looks.items()}
    for key, bits in steps.items():
        for number in range(_BANDS):
            bands.setdefault((number, bits >> number * 8 & 0xFF), []).append(key)
    for turn in _TURNS:
        for key, look in looks.items():
            bits = look.steps(turn)
            near: set[str] = set()
            for number in range(_BANDS):
                near.update(bands.get((number, bits >> number * 8 & 0xFF), ()))
            for other in near:
                if other <= key or not (key in wanted or other in wanted):
                    continue
                apart = abs(math.log(look.aspect(turn) / looks[other].aspect(_TURNS[0])))
                is_near = (bits ^ steps[other]).bit_count() <= _MOST_STEPS_APART
                if not is_near or apart >= _MOST_SHAPE_APART:
                    continue
                turned = b"".join(turn.of_rows(look.coarse))
                likeness = _correlation(turned, b"".join(looks[other].coarse))
                if likeness >= _LEAST_LIKE:
                    yield key, other, turn.kind, likeness


@lru_cache(maxsize=4096)
def _centred(values: bytes) -> tuple[tuple[float, ...], float]:
    mean = sum(values) / len(values)
    centred = tuple(value - mean for value in values)
    return centred, sum(value * value for value in centred) ** 0.5


def _correlation(one: bytes, other: bytes) -> float:
    (a, length_a), (b, length_b) = _centred(one), _centred(other)
    if not length_a or not length_b:
        return 0.0
    return sum(x * y for x, y in zip(a, b, strict=True)) / (length_a * length_b)
