"""Copies in another size, mirrored ones and crops are found; other pictures are not."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from kohya_ext.project.pictures import alike, copies
from kohya_ext.project.pictures.alike import find_alike, groups_of
from kohya_ext.project.pictures.copies import Likeness
from kohya_ext.project.pictures.facts import PictureFacts, facts_of


def scene(seed: int, size: tuple[int, int] = (360, 240)) -> Image.Image:
    rng = random.Random(seed)
    picture = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(25):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        box = (x, y, x + rng.randrange(10, 100), y + rng.randrange(10, 100))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape(box, fill=tuple(rng.randrange(256) for _ in range(3)))
    return picture.filter(ImageFilter.GaussianBlur(1))


@pytest.fixture(scope="module")
def others() -> dict[str, Image.Image]:
    return {
        f"scene {number}": scene(number, (360, 200 + 10 * (number % 9))) for number in range(30)
    }


@pytest.fixture(scope="module")
def facts_of_others(others: dict[str, Image.Image]) -> dict[str, PictureFacts]:
    return {name: facts_of(one) for name, one in others.items()}


def kinds(
    pictures: dict[str, Image.Image], known: Mapping[str, PictureFacts] = MappingProxyType({})
) -> set[tuple[str, str, Likeness]]:
    facts = {**known, **{name: facts_of(one) for name, one in pictures.items()}}
    return {(one.first, one.second, one.kind) for one in find_alike(facts)}


def test_other_pictures_are_not_alike(others: dict[str, Image.Image]):
    assert kinds(others) == set()


def test_copies_mirrors_and_crops_are_found(others: dict[str, Image.Image]):
    first, second, third, fourth = (others[f"scene {number}"] for number in range(4))
    wide, high = third.size
    found = kinds(
        {
            **others,
            "small": first.resize((120, first.height // 3)),
            "mirror": ImageOps.mirror(second).resize((300, second.height * 5 // 6)),
            "crop": third.crop((wide // 5, high // 10, wide * 4 // 5, high * 3 // 4)),
            "turned crop": ImageOps.mirror(fourth.crop((0, 0, wide * 7 // 10, fourth.height))),
        }
    )
    assert found == {
        ("scene 0", "small", Likeness.COPY),
        ("scene 1", "mirror", Likeness.MIRROR),
        ("scene 2", "crop", Likeness.CROP),
        ("scene 3", "turned crop", Likeness.MIRROR),
    }


TURNED = {
    Likeness.COPY: None,
    Likeness.MIRROR: Image.Transpose.FLIP_LEFT_RIGHT,
    Likeness.HALF_TURN: Image.Transpose.ROTATE_180,
    Likeness.QUARTER_TURN: Image.Transpose.ROTATE_90,
    Likeness.MIRROR_HALF_TURN: Image.Transpose.FLIP_TOP_BOTTOM,
    Likeness.MIRROR_QUARTER_TURN: Image.Transpose.TRANSVERSE,
}


@pytest.mark.parametrize("has_numpy", [True, False], ids=["numpy", "without"])
@pytest.mark.parametrize("kind", TURNED, ids=lambda kind: kind.value.replace(" ", "-"))
def test_turned_copies_are_named_as_such(
    others: dict[str, Image.Image],
    facts_of_others: dict[str, PictureFacts],
    monkeypatch: pytest.MonkeyPatch,
    kind: Likeness,
    has_numpy: bool,
):
    if not has_numpy:
        monkeypatch.setattr(alike, "find_spec", lambda name: None)
        monkeypatch.setattr(copies, "find_spec", lambda name: None)
    turn, one = TURNED[kind], others["scene 1"]
    turned = one if turn is None else one.transpose(turn)
    small = turned.resize((turned.width // 2, turned.height // 2))
    assert kinds({"turned": small}, facts_of_others) == {("scene 1", "turned", kind)}


def test_what_is_new_is_compared_with_all(
    others: dict[str, Image.Image], facts_of_others: dict[str, PictureFacts]
):
    new = facts_of(others["scene 1"].rotate(270, expand=True))
    facts = {**facts_of_others, "new": new}
    (pair,) = find_alike(facts, {"new"})
    assert ({pair.first, pair.second}, pair.kind) == ({"new", "scene 1"}, Likeness.QUARTER_TURN)
    assert find_alike(facts, {"scene 2"}) == ()


def test_a_thousand_copies_are_one_group_of_few_pairs():
    many = dict.fromkeys(map(str, range(1000)), facts_of(scene(1)))
    pairs = copies.find_copies(
        {key: copies.LightCourse(one) for key, one in many.items()}, set(many)
    )
    found = list(pairs)
    assert len(found) < 10 * len(many)
    (group,) = groups_of(found)
    assert set(group) == set(many)


def test_plain_colours_are_like_nothing():
    assert (
        kinds({name: Image.new("RGB", (64, 64), name) for name in ("red", "blue", "gray")}) == set()
    )


def test_without_numpy_copies_are_found(monkeypatch: pytest.MonkeyPatch):
    for module in (alike, copies):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    one = scene(1)
    assert kinds({"one": one, "small": one.resize((90, 60))}) == {("one", "small", Likeness.COPY)}


def test_pairs_make_groups():
    pairs = [copies.Pair(a, b, Likeness.COPY, 1.0) for a, b in ("ab", "cd", "bc", "xy")]
    assert {frozenset(one) for one in groups_of(pairs)} == {frozenset("abcd"), frozenset("xy")}


def test_blur_is_less_sharp():
    one = scene(3)
    blurred = one.filter(ImageFilter.GaussianBlur(4))
    assert facts_of(blurred).sharpness < facts_of(one).sharpness / 2


def test_small_and_transparent_pictures_have_facts():
    tiny = facts_of(Image.new("RGBA", (2, 1), (0, 0, 0, 0)))
    assert (tiny.width, tiny.height, tiny.sharpness) == (2, 1, 0.0)
    assert set(tiny.small) == {255}
