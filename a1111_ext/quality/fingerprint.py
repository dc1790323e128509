"""What a picture looks like in 256 bits and 256 grey values: for copies and for variety.

A training picture gets one for itself, its mirror image and several crops of it, because a
LoRA that copies often zooms or flips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING

from kohya_ext.project.pictures.likeness import steps_of

if TYPE_CHECKING:
    from PIL import Image

SIDE = 16
BITS = SIDE * SIDE
_CROPS = (
    (0.0, 0.0, 1.0),
    *(
        (column / places * (1 - size), row / places * (1 - size), size)
        for size, places in ((0.9, 2), (0.75, 4), (0.6, 4))
        for row in range(places + 1)
        for column in range(places + 1)
    ),
)
"""Left, top and size of the part, as shares of the picture's sides."""


@dataclass(frozen=True)
class Fingerprint:
    """`bits`: whether each patch is lighter than the one right of it; `greys` from 0 to 255."""

    bits: int
    greys: bytes

    @cached_property
    def total(self) -> int:
        """The sum of the grey values."""
        return sum(self.greys)

    @cached_property
    def spread(self) -> int:
        """The squared differences of the grey values from their mean, summed, times 256."""
        squares: int = sum(map(mul, self.greys, self.greys))
        return BITS * squares - self.total * self.total

    def as_text(self) -> str:
        """Return both as hexadecimal text."""
        return f"{self.bits:0{BITS // 4}x}{self.greys.hex()}"


def parse_fingerprint(text: str) -> Fingerprint:
    """Read what `as_text` gave; ValueError for anything else."""
    if len(text) != BITS // 4 + 2 * BITS:
        raise ValueError("it is not a fingerprint")
    return Fingerprint(int(text[: BITS // 4], 16), bytes.fromhex(text[BITS // 4 :]))


def fingerprint_of(picture: Image.Image) -> Fingerprint:
    """Return the fingerprint of a picture, whatever its size."""
    from PIL import Image

    grey = picture.convert("L")
    return Fingerprint(
        steps_of(grey, SIDE), grey.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()
    )


def read_fingerprints(path: Path) -> tuple[Fingerprint, ...]:
    """Return those of a picture file, its crops and their mirror images, the whole one first.

    OSError when it cannot be decoded.
    """
    from PIL import Image

    with Image.open(path) as opened:
        opened.draft("L", (256, 256))  # JPEG: decodes an eighth of the pixels
        whole = opened.convert("L")
    if max(whole.size) > 256:
        whole = whole.resize(_within(whole.size, 256), Image.Resampling.BOX)
    return tuple(_variants(whole))


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _variants(whole: Image.Image) -> Iterator[Fingerprint]:
    from PIL import ImageOps

    width, height = whole.size
    for left, top, size in _CROPS:
        box = (
            round(left * width),
            round(top * height),
            max(round(left * width) + 1, round((left + size) * width)),
            max(round(top * height) + 1, round((top + size) * height)),
        )
        part = whole.crop(box)
        yield fingerprint_of(part)
        yield fingerprint_of(ImageOps.mirror(part))


def distance(one: Fingerprint, other: Fingerprint) -> float:
    """Return the share of bits that differ: 0 for the same picture, about 0.5 for unrelated."""
    return (one.bits ^ other.bits).bit_count() / BITS


def likeness(one: Fingerprint, other: Fingerprint) -> float:
    """Return how alike the grey values run, from -1 to 1; 0 where one of them is a flat area."""
    under = one.spread * other.spread
    if not under:
        return 0.0
    over = BITS * sum(map(mul, one.greys, other.greys)) - one.total * other.total
    return float(over / under**0.5)


MOST_DISTANCE = 0.26
LEAST_LIKENESS = 0.87
"""Both must hold for a copy: flat pictures agree in one of the two by chance."""


@dataclass(frozen=True)
class Match:
    """The training picture that a picture is a copy of: its index, and how far apart they are."""

    index: int
    distance: float


def find_copied(one: Fingerprint, training: Sequence[Sequence[Fingerprint]]) -> Match | None:
    """Return the nearest training picture that `one` copies, or None."""
    best: Match | None = None
    for index, variants in enumerate(training):
        for other in variants:
            apart = distance(one, other)
            if apart > MOST_DISTANCE or (best is not None and apart >= best.distance):
                continue
            if likeness(one, other) >= LEAST_LIKENESS:
                best = Match(index, apart)
    return best
