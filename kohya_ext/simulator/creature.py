"""Draw the demo's pictures: a quillfox, an invented creature, in many poses and places.

Every picture is drawn from its own recipe, so a set is the same on every machine.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..project.files import replacing

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_OVERSAMPLE = 2
_FUR = (214, 120, 58)
_FUR_DARK = (168, 84, 42)
_CREAM = (250, 232, 205)
_QUILLS = ((38, 92, 112), (52, 126, 140), (94, 168, 164))
_INK = (44, 32, 36)

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Scenery:
    """Where the creature stands: the sky's two colours, the ground's, and what is about."""

    name: str
    sky_top: Colour
    sky_bottom: Colour
    ground: Colour
    dots: Colour


PLACES = (
    Scenery("meadow", (140, 200, 236), (226, 243, 240), (124, 176, 92), (246, 226, 120)),
    Scenery("dusk", (72, 60, 118), (244, 158, 110), (86, 74, 84), (255, 214, 150)),
    Scenery("snow", (176, 198, 222), (238, 244, 250), (244, 248, 252), (255, 255, 255)),
    Scenery("desert", (244, 206, 140), (250, 234, 196), (222, 178, 110), (196, 142, 84)),
    Scenery("night", (20, 26, 58), (54, 66, 110), (34, 52, 54), (236, 236, 200)),
    Scenery("studio", (206, 200, 196), (232, 228, 224), (188, 182, 178), (206, 200, 196)),
)


@dataclass(frozen=True)
class Recipe:
    """One picture: size in pixels, place, framing and what is special about it."""

    number: int
    width: int
    height: int
    place: Scenery
    framing: str
    smile: bool
    asleep: bool
    mirrored: bool
    role: str

    @property
    def file_name(self) -> str:
        """Say what it shows, as a careful photographer would name it."""
        mood = "asleep" if self.asleep else "smile" if self.smile else "calm"
        return f"quillfox {self.number:02d} {self.framing} {self.place.name} {mood}.png"


_SIZES = ((512, 512), (448, 576), (576, 448), (512, 640), (384, 512))
_FRAMINGS = ("full body", "upper body", "headshot", "full body", "close range")


def recipes(count: int = 24) -> tuple[Recipe, ...]:
    """Return `count` recipes; what is rare in the set (smiles, close range) is primary."""
    found = []
    for number in range(count):
        framing = _FRAMINGS[number % len(_FRAMINGS)]
        smile = number % 4 == 2
        asleep = number % 11 == 7
        width, height = _SIZES[number * 7 % len(_SIZES)]
        rare = smile or asleep or framing == "close range"
        found.append(
            Recipe(
                number=number + 1,
                width=width,
                height=height,
                place=PLACES[number % len(PLACES)],
                framing=framing,
                smile=smile and not asleep,
                asleep=asleep,
                mirrored=number % 3 == 1,
                role="primary" if rare else "supporting",
            )
        )
    return tuple(found)


def write_pictures(folder: Path, chosen: Sequence[Recipe]) -> list[Path]:
    """Draw the recipes into `folder/primary` and `folder/supporting` as PNG."""
    written = []
    for recipe in chosen:
        path = folder / recipe.role / recipe.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            stream.write(_png_of(recipe))
        written.append(path)
    return written


@functools.lru_cache(maxsize=64)  # a process that makes several projects draws once
def _png_of(recipe: Recipe) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Comment", "loraloom simulated picture of an invented creature")
    stream = io.BytesIO()
    draw_picture(recipe).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()


def draw_picture(recipe: Recipe) -> Image.Image:
    """Return the picture of one recipe, RGB, in its size."""
    from PIL import Image, ImageDraw, ImageOps

    size = (recipe.width * _OVERSAMPLE, recipe.height * _OVERSAMPLE)
    picture = _draw_sky(size, recipe.place)
    draw = ImageDraw.Draw(picture)
    width, height = size
    horizon = height * 0.72
    draw.ellipse((-width * 0.4, horizon, width * 1.4, height * 1.9), fill=recipe.place.ground)
    for index in range(26):
        x = (index * 197 + recipe.number * 83) % width
        above = recipe.place.name in ("night", "snow")
        low, high = (0.0, 0.66) if above else (0.8, 0.99)
        y = height * (low + (high - low) * ((index * 61 + recipe.number * 29) % 100) / 100)
        radius = width * (0.003 + 0.001 * (index % 4))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=recipe.place.dots)
    _Quillfox(draw, *_figure(recipe, size), recipe).draw()
    picture = picture.resize((recipe.width, recipe.height), Image.Resampling.LANCZOS)
    return ImageOps.mirror(picture) if recipe.mirrored else picture


def _draw_sky(size: tuple[int, int], place: Scenery) -> Image.Image:
    from PIL import Image

    column = Image.new("RGB", (1, 64))
    for y in range(64):
        mix = y / 63
        colour = tuple(
            round(a + (b - a) * mix) for a, b in zip(place.sky_top, place.sky_bottom, strict=True)
        )
        column.putpixel((0, y), colour)
    return column.resize(size, Image.Resampling.BICUBIC)


def _figure(recipe: Recipe, size: tuple[int, int]) -> tuple[float, float, float]:
    """Return the head's centre and the unit length in pixels for a framing."""
    width, height = size
    scale, across, down = {
        "full body": (0.105, 0.58, 0.44),
        "upper body": (0.16, 0.56, 0.46),
        "headshot": (0.215, 0.54, 0.54),
        "close range": (0.29, 0.5, 0.56),
    }[recipe.framing]
    return width * across, height * down, min(width, height) * scale


class _Quillfox:
    """The creature itself, in units of its head's radius, head centre at (0, 0)."""

    def __init__(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, unit: float, recipe: Recipe
    ) -> None:
        self._draw, self._x, self._y, self._unit, self._recipe = draw, x, y, unit, recipe

    def draw(self) -> None:
        """Draw from back to front."""
        self._tail()
        self._quills()
        self._body()
        self._ears()
        self._head()
        self._face()

    def _at(self, points: Sequence[Point]) -> list[Point]:
        return [(self._x + x * self._unit, self._y + y * self._unit) for x, y in points]

    def _shape(self, points: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon(self._at(points), fill=fill)

    def _oval(self, x: float, y: float, wide: float, high: float, fill: Colour) -> None:
        (box,) = [self._at([(x - wide, y - high), (x + wide, y + high)])]
        self._draw.ellipse((*box[0], *box[1]), fill=fill)

    def _tail(self) -> None:
        curve = [math.sin(step / 9 * 2.4) for step in range(10)]
        for step, bend in enumerate(curve):
            size = 0.22 + 0.05 * step
            colour = _CREAM if step > 7 else _FUR_DARK if step % 2 else _FUR
            self._oval(-1.7 - 0.17 * step, 2.5 - 1.1 * bend - 0.05 * step, size, size, colour)

    def _quills(self) -> None:
        for row, colour in enumerate(_QUILLS):
            for index in range(9):
                angle = math.radians(100 + index * 14 + row * 5)
                inner, outer = 0.7, 2.15 - 0.32 * row
                tip = (outer * math.cos(angle) - 0.35, -outer * math.sin(angle) + 0.6)
                side = math.radians(8)
                left = (
                    inner * math.cos(angle - side) - 0.35,
                    -inner * math.sin(angle - side) + 0.6,
                )
                right = (
                    inner * math.cos(angle + side) - 0.35,
                    -inner * math.sin(angle + side) + 0.6,
                )
                self._shape([left, tip, right], colour)

    def _body(self) -> None:
        for x in (-1.35, -0.75, 0.05, 0.6):
            self._oval(x, 3.3, 0.24, 0.62, _FUR_DARK)
            self._oval(x + 0.08, 3.82, 0.3, 0.15, _INK)
        self._oval(-0.45, 2.1, 1.45, 1.25, _FUR)
        self._oval(-0.1, 2.45, 0.85, 0.75, _CREAM)

    def _ears(self) -> None:
        for side in (-1, 1):
            self._shape([(side * 0.85, -0.45), (side * 0.95, -1.6), (side * 0.15, -0.85)], _FUR)
            self._shape([(side * 0.78, -0.6), (side * 0.85, -1.3), (side * 0.35, -0.85)], _FUR_DARK)

    def _head(self) -> None:
        self._oval(0, 0, 1.05, 0.95, _FUR)
        for side in (-1, 1):
            self._shape([(side * 0.75, 0.0), (side * 1.45, 0.42), (side * 0.6, 0.75)], _CREAM)
        self._oval(0, 0.42, 0.6, 0.5, _CREAM)

    def _face(self) -> None:
        for side in (-1, 1):
            if self._recipe.asleep:
                box = self._at([(side * 0.42 - 0.2, -0.25), (side * 0.42 + 0.2, 0.05)])
                width = max(1, round(self._unit * 0.07))
                self._draw.arc((*box[0], *box[1]), 20, 160, fill=_INK, width=width)
            else:
                self._oval(side * 0.42, -0.12, 0.19, 0.23, _INK)
                self._oval(side * 0.42 + 0.06, -0.2, 0.06, 0.07, (255, 255, 255))
        self._oval(0, 0.25, 0.16, 0.11, _INK)
        box = self._at([(-0.28, 0.3), (0.28, 0.72)])
        if self._recipe.smile:
            self._draw.chord((*box[0], *box[1]), 10, 170, fill=(150, 52, 56))
        else:
            width = max(1, round(self._unit * 0.05))
            self._draw.arc((*box[0], *box[1]), 40, 140, fill=_INK, width=width)
