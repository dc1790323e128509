"""The demo's pictures of an invented creature."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kohya_ext.simulator.creature import draw_picture, recipes, write_pictures


def test_the_set_has_both_roles_and_many_sizes():
    chosen = recipes()
    assert len(chosen) == 24
    assert {one.role for one in chosen} == {"primary", "supporting"}
    assert len({(one.width, one.height) for one in chosen}) == 5
    assert len({one.file_name for one in chosen}) == 24


def test_the_same_recipe_draws_the_same_picture():
    recipe = recipes()[7]
    assert draw_picture(recipe).tobytes() == draw_picture(recipe).tobytes()


def test_pictures_say_that_they_are_a_simulated(tmp_path: Path):
    (path,) = write_pictures(tmp_path, recipes(1))
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (512, 512)
        assert "simulated" in picture.info["Comment"]
