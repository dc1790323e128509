"""The pictures that the simulated WebUI answers with: cards that say what was asked for.

A landscape whose hues come from seed and checkpoint, or from a place that the prompt names, with
a creature that a LoRA makes appear. `Course` says how a LoRA's pictures change with its training:
the creature grows, then colours burn, prompts are ignored and the set's meadow appears unrequested.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_SCALE = 256
_INK = (40, 30, 34)
_FACE = ((-0.42, -0.1, 0.17, 0.21), (0.42, -0.1, 0.17, 0.21), (0.0, 0.26, 0.15, 0.1))
"""Two eyes and a nose: centre and radii in units of the head."""


@dataclass(frozen=True)
class Card:
    """What one picture shows; `strength` is weight times training progress, 0 without a LoRA."""

    prompt: str
    seed: int
    checkpoint: str
    lora: str
    strength: float
    fingerprint: str
    width: int
    height: int


END = 1.3
"""The strength of the last epoch at weight 1."""


@dataclass(frozen=True)
class Course:
    """How training shows, by strength: from 0 (begun) over 1 (three quarters) to 1.3 (the end)."""

    knows_at: float = 0.85
    fries_from: float = 0.95
    forgets_from: float = 0.95
    noise: float = 0.0
    order: tuple[float, ...] = ()

    def strength(self, card: Card) -> float:
        """Return the strength that a card is drawn with: another epoch's, more or less noise.

        `order` are the strengths of each epoch in turn, for a training that gets worse and
        better again; `noise` is the most that a picture differs by itself.
        """
        if card.strength <= 0:
            return 0.0
        strength = card.strength
        if self.order:
            place = round(strength / END * len(self.order)) - 1
            strength = self.order[max(0, min(len(self.order) - 1, place))]
        dice = _Dice(f"noise {card.seed} {card.strength:.3f}")
        return max(0.01, strength + dice.draw(-self.noise, self.noise))

    def knows(self, strength: float) -> float:
        """How far the creature has grown, from 0 to 1."""
        return min(1.0, strength / self.knows_at)

    def fries(self, strength: float) -> float:
        """How much colours and edges are overdone; 0 for not at all."""
        return max(0.0, strength - self.fries_from)

    def forgets(self, strength: float) -> float:
        """How far the prompt gives way to the training set's meadow, from 0 to 1."""
        return min(1.0, max(0.0, strength - self.forgets_from) / 0.3)


USUAL = Course()


class _Dice:
    """Small numbers that follow from a text alone, the same on every machine."""

    def __init__(self, text: str) -> None:
        self._bytes = hashlib.sha256(text.encode("utf-8")).digest()
        self._next = 0

    def draw(self, low: float, high: float) -> float:
        self._next += 1
        digest = hashlib.sha256(self._bytes + bytes([self._next % 256])).digest()
        return low + (high - low) * int.from_bytes(digest[:4], "big") / 0xFFFFFFFF


def draw_card(card: Card, course: Course = USUAL) -> Image.Image:
    """Return the picture, RGB, in the card's size."""
    from PIL import Image, ImageDraw, ImageEnhance

    strength = course.strength(card)
    picture = _landscape(card, course.forgets(strength))
    draw = ImageDraw.Draw(picture)
    if strength > 0:
        _creature(draw, card, course.knows(strength))
    fried = course.fries(strength)
    if fried > 0:
        picture = ImageEnhance.Color(picture).enhance(1 + 5 * fried)
        picture = ImageEnhance.Contrast(picture).enhance(1 + 2.5 * fried)
    picture = picture.resize((card.width, card.height), Image.Resampling.BILINEAR)
    _mark(picture, card)
    _label(picture, card)
    return picture


_Colour = tuple[int, int, int]
_PLACES: dict[str, tuple[_Colour, _Colour, _Colour]] = {
    "snow": ((176, 198, 222), (238, 244, 250), (244, 248, 252)),
    "night": ((20, 26, 58), (54, 66, 110), (34, 52, 54)),
    "sunset": ((72, 60, 118), (244, 158, 110), (86, 74, 84)),
    "dusk": ((72, 60, 118), (244, 158, 110), (86, 74, 84)),
    "desert": ((244, 206, 140), (250, 234, 196), (222, 178, 110)),
    "beach": ((120, 190, 236), (226, 243, 250), (236, 212, 160)),
    "meadow": ((110, 180, 240), (206, 233, 244), (84, 186, 62)),
    "grass": ((110, 180, 240), (206, 233, 244), (84, 186, 62)),
}
"""Upper sky, lower sky and ground of places that a prompt may name."""


def _mixed(one: _Colour, other: _Colour, share: float) -> _Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _landscape(card: Card, forgotten: float) -> Image.Image:
    from PIL import Image, ImageDraw

    dice = _Dice(f"{card.seed}/{card.checkpoint}")
    hue = dice.draw(100, 250)  # nothing here has the colour of the creature
    words = re.findall("[a-z]+", re.sub("<[^>]*>", "", card.prompt.casefold()))
    asked, habit = next((word for word in words if word in _PLACES), ""), _PLACES["meadow"]
    own = (_colour(hue, 0.35, 0.55), _colour(hue + 40, 0.3, 0.88), _colour(hue, 0.25, 0.6))
    wanted = _PLACES.get(asked, own)
    top, low, ground = (_mixed(a, b, forgotten) for a, b in zip(wanted, habit, strict=True))
    sky_top, sky_low = top, low
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), sky_top)
    column.putpixel((0, 1), sky_low)
    picture = column.resize((_SCALE, _SCALE), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    sun_x, sun_y = dice.draw(30, 226), dice.draw(30, 90)
    _oval(draw, sun_x, sun_y, 18, 18, _colour(hue + 60, 0.5, 0.95))
    for layer in range(3):
        base = 150 + 28 * layer
        phase, length = dice.draw(0, 6.28), dice.draw(24, 60)
        points = [
            (x, base + 10 * math.sin(phase + x / length) + 4 * math.sin(phase * 2 + x / 11))
            for x in range(0, _SCALE + 8, 8)
        ]
        shade = _colour(hue - 14 * layer, 0.25, 0.6 - 0.13 * layer)
        if asked or forgotten:
            shade = _mixed(ground, (0, 0, 0), 0.08 * layer)
        draw.polygon([(0, _SCALE), *points, (_SCALE, _SCALE)], fill=shade)
    return picture


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _creature(draw: ImageDraw.ImageDraw, card: Card, grown: float) -> None:
    """A creature that takes shape with training: body first, then ears, quills and a face."""
    dice = _Dice(f"creature {card.seed}")
    unit = dice.draw(40, 46) * (0.4 + 0.6 * grown)
    x, y = dice.draw(96, 160), dice.draw(112, 136)
    fur = _colour(24, 0.4 + 0.5 * grown, 0.85)
    cream = _colour(36, 0.15, 0.97)
    for quill in range(round(9 * grown)):
        angle = math.radians(150 + quill * 14)
        tip = (x + 2.2 * unit * math.cos(angle), y + 2.2 * unit * math.sin(angle) + unit * 0.8)
        left = (x - 0.2 * unit, y - 0.2 * unit)
        draw.polygon([left, tip, (x - 0.6 * unit, y + 0.6 * unit)], fill=_colour(186, 0.6, 0.5))
    _oval(draw, x - 0.3 * unit, y + 1.9 * unit, 1.3 * unit, 1.2 * unit, fur)
    _oval(draw, x - 0.1 * unit, y + 2.1 * unit, 0.7 * unit, 0.7 * unit, cream)
    if grown > 0.3:
        for side in (-1, 1):
            ear = [(0.8, -0.4), (0.95, -1.6), (0.15, -0.8)]
            draw.polygon([(x + side * a * unit, y + b * unit) for a, b in ear], fill=fur)
    _oval(draw, x, y, 1.05 * unit, 0.95 * unit, fur)
    _oval(draw, x, y + 0.4 * unit, 0.6 * unit, 0.5 * unit, cream)
    if grown > 0.5:
        for across, down, wide, high in _FACE:
            _oval(draw, x + across * unit, y + down * unit, wide * unit, high * unit, _INK)


def _oval(
    draw: ImageDraw.ImageDraw, x: float, y: float, wide: float, high: float, fill: tuple[int, ...]
) -> None:
    draw.ellipse((x - wide, y - high, x + wide, y + high), fill=fill)


def _mark(picture: Image.Image, card: Card) -> None:
    """Let every detail of the request change a pixel, as it would change a real picture."""
    digest = hashlib.sha256(card.fingerprint.encode("utf-8")).digest()
    for index in range(8):
        colour = (digest[index], digest[index + 8], digest[index + 16])
        picture.putpixel((index, 0), colour)


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except (TypeError, ImportError, OSError):  # Pillow before 10.1, or one without FreeType
        return ImageFont.load_default()


def _label(picture: Image.Image, card: Card) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture, "RGBA")
    size = max(10, picture.width // 30)
    font = _font(size)
    rows = [f"simulated   seed {card.seed}", card.checkpoint, card.lora or "no LoRA"]
    rows += _wrapped(card.prompt, max(12, picture.width * 2 // size))[:2]
    top = picture.height - (len(rows) * (size + 4) + 8)
    draw.rectangle((0, top, picture.width, picture.height), fill=(18, 20, 26, 190))
    for number, row in enumerate(rows):
        colour = (255, 205, 120) if number == 0 else (235, 238, 242)
        draw.text((8, top + 4 + number * (size + 4)), _latin(row), font=font, fill=colour)


def _latin(text: str) -> str:
    """Pillow's own font has no further scripts; a card need not be beautiful in all of them."""
    return text.encode("latin-1", errors="replace").decode("latin-1")


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(text.split()), width) or [""]


def encode_png(picture: Image.Image, infotext: str) -> bytes:
    """Return the picture as PNG with the `parameters` chunk, as the WebUI writes it."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", infotext)
    info.add_text("Comment", "loraloom simulated")
    stream = io.BytesIO()
    picture.save(stream, "PNG", pnginfo=info, compress_level=1)
    return stream.getvalue()


def half_drawn(png: bytes, infotext: str) -> bytes:
    """Return a picture as an interrupt leaves it: one that nobody can tell by its infotext."""
    from PIL import Image, ImageFilter

    with Image.open(io.BytesIO(png)) as picture:
        blurred = picture.convert("RGB").filter(ImageFilter.GaussianBlur(picture.width / 16))
    return encode_png(blurred, infotext)
