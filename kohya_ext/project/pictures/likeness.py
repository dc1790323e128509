"""How alike two pictures look: the course of light and the colours of a few broad patches.

For order, choice and near copies; no judgement of content. Made of a whole decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    grey = picture.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX).tobytes()
    steps = 0
    for row in range(_SIDE):
        for column in range(_SIDE):
            at = row * (_SIDE + 1) + column
            steps = steps << 1 | (grey[at] > grey[at + 1])
    patches = picture.resize((_PATCHES, _PATCHES), Image.Resampling.BOX).tobytes()
    colours = tuple(
        (patches[at], patches[at + 1], patches[at + 2]) for at in range(0, len(patches), 3)
    )
    return Look(steps, colours)


def unlikeness(one: Look, other: Look) -> float:
    """Return 0 for pictures that look the same, towards 1 for ones that have nothing in common."""
    shape = (one.steps ^ other.steps).bit_count() / (_SIDE * _SIDE)
    pairs = zip(one.colours, other.colours, strict=True)
    colour = sum(sum(abs(a - b) for a, b in zip(x, y, strict=True)) for x, y in pairs)
    return (shape + colour / (_LARGEST_COLOUR * len(one.colours))) / 2
