"""Real photographs that installed packages ship, and what is done to them at a known strength."""

from __future__ import annotations

import importlib.util
import random
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

PLACES = {
    "skimage": ("data/astronaut.png", "data/chelsea.png", "data/coffee.png", "data/rocket.jpg",
                "data/motorcycle_left.png"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "gradio": ("media_assets/images/cheetah1.jpg", "media_assets/images/cheetah.jpg",
               "media_assets/images/tower.jpg", "media_assets/images/groot.jpeg"),
}  # fmt: skip
SIDE = 384


@lru_cache(maxsize=1)
def photographs() -> tuple[Image.Image, ...]:
    """Return the photographs of packages that are installed, without importing these."""
    found = []
    for package, names in PLACES.items():
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in (Path(folder) / name for name in names):
                if path.is_file():
                    with Image.open(path) as opened:
                        found.append(opened.convert("RGB"))
    return tuple(found)


def tiles(rng: random.Random, count: int) -> list[Image.Image]:
    """Return parts of the photographs, no photograph more often than necessary."""
    chosen: list[Image.Image] = []
    while len(chosen) < count:
        order = list(photographs())
        rng.shuffle(order)
        chosen += [tile(one, rng) for one in order]
    return chosen[:count]


def tile(photograph: Image.Image, rng: random.Random) -> Image.Image:
    side = min(SIDE, *photograph.size)
    left = rng.randint(0, photograph.width - side)
    top = rng.randint(0, photograph.height - side)
    return photograph.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))


def fry(picture: Image.Image, strength: float) -> Image.Image:
    """Overdo colours, contrast and edges, as overtraining does; 0 leaves the picture as it is."""
    if strength <= 0:
        return picture
    picture = ImageEnhance.Color(picture).enhance(1 + 0.9 * strength)
    picture = ImageEnhance.Contrast(picture).enhance(1 + 0.5 * strength)
    return picture.filter(ImageFilter.UnsharpMask(2, round(160 * strength), 0))


def brighten(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(rng.uniform(0.85, 1.15))


def blur(picture: Image.Image, rng: random.Random) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 1.2)))


def contrast(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(rng.uniform(0.88, 1.12))


def tint(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageEnhance.Color(picture).enhance(rng.uniform(0.9, 1.1))


def crop(picture: Image.Image, share: float, rng: random.Random) -> Image.Image:
    """Return a part of the picture, enlarged: `share` of its sides stays."""
    side = round(picture.width * share)
    left, top = rng.randint(0, picture.width - side), rng.randint(0, picture.height - side)
    return picture.crop((left, top, left + side, top + side)).resize(picture.size)


def jpeg(picture: Image.Image, quality: int = 60) -> Image.Image:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as opened:
        return opened.convert("RGB")


def mirror(picture: Image.Image) -> Image.Image:
    return ImageOps.mirror(picture)
