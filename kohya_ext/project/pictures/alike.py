"""Near-duplicates: copies in another size, mirrored ones, and crops of one another.

Copies and mirrors need nothing but Python; crops need numpy, and are sought in sets of up to
1,500 pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .facts import PictureFacts

if TYPE_CHECKING:
    from PIL import Image

MOST_FOR_CROPS = 1500
_SIDE = 8
_COARSE = 24
_MOST_STEPS_APART = 10
_LEAST_LIKE = 0.96
_LEAST_SPREAD = 4.0
_BANDS = 8


class Likeness(str, Enum):
    """How the second picture of a pair came about, as far as it can be seen."""

    COPY = "copy"
    MIRROR = "mirror"
    CROP = "crop"


@dataclass(frozen=True)
class Pair:
    """Two pictures that look alike, the larger one first; `likeness` from 0 to 1."""

    first: str
    second: str
    kind: Likeness
    likeness: float


def find_alike(
    facts: Mapping[str, PictureFacts], among: Iterable[str] | None = None
) -> tuple[Pair, ...]:
    """Return the near-duplicates in a set, the most alike first; `among`: only with one of these.

    Pictures of one plain colour are like nothing.
    """
    looks = {key: _Look(one) for key, one in facts.items()}
    looks = {key: one for key, one in looks.items() if one.spread >= _LEAST_SPREAD}
    wanted = set(looks if among is None else among)
    found: dict[frozenset[str], Pair] = {}
    for one, other, mirrored in _candidates(looks):
        if one in wanted or other in wanted:
            _keep(found, _compared(looks, one, other, mirrored=mirrored))
    if len(looks) <= MOST_FOR_CROPS:
        from importlib.util import find_spec

        if find_spec("numpy") is not None:
            from .crops import find_crops

            for first, second, likeness, is_mirrored in find_crops(facts, looks.keys(), wanted):
                kind = Likeness.MIRROR if is_mirrored else Likeness.CROP
                if frozenset((first, second)) not in found:
                    _keep(found, Pair(first, second, kind, likeness))
    return tuple(sorted(found.values(), key=lambda pair: -pair.likeness))


def groups_of(pairs: Iterable[Pair]) -> tuple[tuple[str, ...], ...]:
    """Return the pictures that belong together through any chain of pairs."""
    leader: dict[str, str] = {}

    def lead(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for pair in pairs:
        leader[lead(pair.second)] = lead(pair.first)
    groups: dict[str, list[str]] = {}
    for key in leader:
        groups.setdefault(lead(key), []).append(key)
    return tuple(tuple(one) for one in groups.values())


class _Look:
    """The course of light over a picture, and over its mirror image, in 64 bits each."""

    def __init__(self, facts: PictureFacts) -> None:
        from PIL import Image, ImageStat

        self.facts = facts
        size = (facts.small_width, facts.small_height)
        self.small = Image.frombytes("L", size, facts.small)
        self.spread = float(ImageStat.Stat(self.small).stddev[0])
        cells = self.small.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX).tobytes()
        rows = [cells[at : at + _SIDE + 1] for at in range(0, len(cells), _SIDE + 1)]
        self.steps = _steps(rows)
        self.mirrored_steps = _steps([row[::-1] for row in rows])

    @property
    def aspect(self) -> float:
        return self.facts.width / self.facts.height


def _steps(rows: list[bytes]) -> int:
    bits = 0
    for row in rows:
        for left, right in pairwise(row):
            bits = bits << 1 | (left > right)
    return bits


def _candidates(looks: Mapping[str, _Look]) -> Iterator[tuple[str, str, bool]]:
    """Yield pairs that share a band of bits, as all that differ in few bits do, each once."""
    bands: dict[tuple[int, int], list[str]] = {}
    for key, look in looks.items():
        for number in range(_BANDS):
            bands.setdefault((number, look.steps >> number * 8 & 0xFF), []).append(key)
    for mirrored in (False, True):
        for key, look in looks.items():
            steps = look.mirrored_steps if mirrored else look.steps
            near: set[str] = set()
            for number in range(_BANDS):
                near.update(bands.get((number, steps >> number * 8 & 0xFF), ()))
            for other in near:
                if other <= key:
                    continue
                apart = (steps ^ looks[other].steps).bit_count()
                if apart <= _MOST_STEPS_APART:
                    yield key, other, mirrored


def _compared(looks: Mapping[str, _Look], one: str, other: str, *, mirrored: bool) -> Pair | None:
    a, b = looks[one], looks[other]
    if not 0.9 < a.aspect / b.aspect < 1.11:
        return None
    likeness = _correlation(_coarse(a.small, mirrored), _coarse(b.small, False))
    if likeness < _LEAST_LIKE:
        return None
    first, second = (one, other) if a.facts.pixels >= b.facts.pixels else (other, one)
    kind = Likeness.MIRROR if mirrored else Likeness.COPY
    return Pair(first, second, kind, round(likeness, 3))


def _coarse(small: Image.Image, mirrored: bool) -> bytes:
    from PIL import Image, ImageOps

    turned = ImageOps.mirror(small) if mirrored else small
    return turned.resize((_COARSE, _COARSE), Image.Resampling.BOX).tobytes()


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


def _keep(found: dict[frozenset[str], Pair], pair: Pair | None) -> None:
    if pair is None:
        return
    both: frozenset[str] = frozenset((pair.first, pair.second))
    other: Any = found.get(both)
    if other is None or other.likeness < pair.likeness:
        found[both] = pair
