"""How alike two pictures look: the course of light and the colours of a few broad patches.

For order, choice and near copies; no judgement of content. Made of a whole decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 8
_PATCHES = 4
_LARGEST_COLOUR = 255.0 * 3


@dataclass(frozen=True)
class Look:
    """What is compared: 64 bits of lighter-than-the-right-neighbour, 16 mean colours."""

    steps: int
    colours: tuple[tuple[int, int, int], ...]


def look_of(path: Path) -> Look:
    """Read a picture's look. OSError when it cannot be decoded."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    steps = steps_of(picture.convert("L"), _SIDE)
    patches = picture.resize((_PATCHES, _PATCHES), Image.Resampling.BOX).tobytes()
    colours = tuple(
        (patches[at], patches[at + 1], patches[at + 2]) for at in range(0, len(patches), 3)
    )
    return Look(steps, colours)


def steps_of(grey: Image.Image, side: int) -> int:
    """Return `side` x `side` bits of a grey picture: lighter than the neighbour to the right."""
    from PIL import Image

    raster = grey.resize((side + 1, side), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(side):
        for at in range(row * (side + 1), row * (side + 1) + side):
            bits = bits << 1 | (raster[at] > raster[at + 1])
    return bits


def unlikeness(one: Look, other: Look) -> float:
    """Return 0 for pictures that look the same, towards 1 for ones that have nothing in common."""
    shape = (one.steps ^ other.steps).bit_count() / (_SIDE * _SIDE)
    pairs = zip(one.colours, other.colours, strict=True)
    colour = sum(sum(abs(a - b) for a, b in zip(x, y, strict=True)) for x, y in pairs)
    return (shape + colour / (_LARGEST_COLOUR * len(one.colours))) / 2
