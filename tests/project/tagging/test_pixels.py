"""A tagger sees what sd-scripts' tagger sees, bit for bit, or nearly the same much sooner."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy
import pytest
from PIL import Image

from kohya_ext.project.tagging.pixels import exact_pixels, quick_pixels, shrink_areas

RECORDED = {
    "448x448 RGB": "1c60702556f8d59b169d628da2c251e10b016167d97168607a73f61dfd1ef5bb",
    "896x896 RGB": "f7fed5fa7e71baa8833ca27e64b819abc23fd4e4a9eba3332033ec79fc4ebf73",
    "1344x600 RGB": "ceebd1b023d33236682501f385236b6e7f470cc10723e2e57f623058361e39c1",
    "449x300 RGB": "70f38dd3d939355b90e2162df75b3e9c08340c1e32122c27702c0441f7972abd",
    "700x1001 RGB": "ddce5204d041f6a4d84738725b9ac650e863365378cb23b3916a4d6e42f1a09f",
    "1500x333 RGB": "c3885517241ef818f12f176efdf42222b0fbac0ad5d91666c6a7cccbd42b26ca",
    "1120x640 RGBA": "a2e4c0c5ac02cbd90c4778993f5115685aecf28f9f3a6969a057e3ba2e0d152f",
    "447x90 RGB": "66afacb5f0d8ac6c34ae772b03bd235432a170dae72b9b31459650db22ec356c",
    "64x64 RGBA": "f7bec0f71f1e31d3c596a4e3fe8136c3f9091ae04ed6eae187bbd05c81a7044a",
}
"""sha256 of what sd-scripts v0.11.1 made of `picture` (OpenCV 4.10.0, Pillow 13.0.0)."""

SIDE = 448


def picture(width: int, height: int, mode: str) -> Image.Image:
    y, x = numpy.mgrid[0:height, 0:width]
    factors = ((7, 3, 5), (11, 5, 7), (3, 13, 11), (5, 2, 3))[: len(mode)]
    bands = [((x * a + y * b + (x * y) // c) % 256).astype(numpy.uint8) for a, b, c in factors]
    return Image.fromarray(numpy.dstack(bands))


@pytest.mark.parametrize("name", RECORDED)
def test_exact_pixels_are_those_of_sd_scripts(name: str, tmp_path: Path):
    size, mode = name.split()
    width, height = map(int, size.split("x"))
    picture(width, height, mode).save(tmp_path / "a.png", compress_level=1)
    found = exact_pixels(tmp_path / "a.png", SIDE)
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), numpy.float32)
    assert hashlib.sha256(found.astype(numpy.uint8).tobytes()).hexdigest() == RECORDED[name]


def test_areas_of_one_colour_keep_it():
    shrunk = shrink_areas(Image.new("RGB", (700, 333), (77, 77, 77)), 100)
    assert set(numpy.unique(shrunk)) <= set(range(77, 256))
    assert (shrunk[40:60] == 77).all()
    assert (shrunk[0] == 255).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 2.5])
def test_a_white_picture_is_as_white_as_its_margin(factor: float):
    side = 20
    upright, lying = (size := (int(side * factor) // 3, int(side * factor))), size[::-1]
    for one in (upright, lying):
        assert (shrink_areas(Image.new("RGB", one, "white"), side) == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_quick_pixels_are_nearly_the_same(mode: str, tmp_path: Path):
    smooth = picture(60, 40, mode).resize((1500, 1000), Image.Resampling.BICUBIC)
    suffix = "jpg" if mode == "RGB" else "png"
    smooth.save(tmp_path / f"a.{suffix}", compress_level=1)
    exact, quick = (
        prepare(tmp_path / f"a.{suffix}", SIDE) for prepare in (exact_pixels, quick_pixels)
    )
    assert quick.shape == exact.shape
    assert numpy.abs(quick - exact).mean() < 2.0


def test_a_long_picture_is_not_lost(tmp_path: Path):
    Image.new("RGB", (3000, 2), "black").save(tmp_path / "line.png")
    found = quick_pixels(tmp_path / "line.png", SIDE)
    assert found.shape == (SIDE, SIDE, 3)
    assert found.min() == 0
