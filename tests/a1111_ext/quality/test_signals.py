"""Signals on small plain values: what each one sees, and what it leaves alone."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from a1111_ext.quality.ballot import Ballot, measure_votes, wilson_bounds
from a1111_ext.quality.copying import measure_copying, measure_variety
from a1111_ext.quality.fingerprint import (
    Fingerprint,
    find_copied,
    fingerprint_of,
    parse_fingerprint,
    read_fingerprints,
)
from a1111_ext.quality.fried import measure_fried
from a1111_ext.quality.leakage import measure_leakage
from a1111_ext.quality.learned import measure_learned
from a1111_ext.quality.prompt_adherence import measure_obeys
from a1111_ext.quality.prompt_tags import is_trigger_only, prompted_tags
from a1111_ext.quality.signal import Series, Signal, SignalName, neighbour_spread
from a1111_ext.quality.tag_kinds import TagKind, kind_of, plain_tag
from a1111_ext.quality.tag_profile import make_profile
from a1111_ext.quality.texture import Texture, texture_of

SHARP = Texture(0.2, 0.05, 0.1, 0.05)


def scene(seed: int, size: tuple[int, int] = (320, 256)) -> Image.Image:
    """A picture of many soft shapes, another one for each seed."""
    rng = random.Random(seed)
    picture = Image.new("RGB", size, tuple(rng.randrange(60, 180) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, radius = rng.randrange(size[0]), rng.randrange(size[1]), rng.randrange(8, 60)
        colour = tuple(rng.randrange(30, 225) for _ in range(3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return picture.filter(ImageFilter.GaussianBlur(1.5))


def changed(texture: Texture, **factors: float) -> Texture:
    values = texture.as_dict()
    return Texture(**{name: value * factors.get(name, 1.0) for name, value in values.items()})


def textures(*epochs: Texture, pairs: int = 6) -> Series[Texture]:
    names = [str(number) for number in range(pairs)]
    return Series(tuple(dict.fromkeys(names, one) for one in epochs), dict.fromkeys(names, SHARP))


def test_neighbours_of_a_trend_have_no_spread():
    assert neighbour_spread([0.1, 0.2, 0.3, 0.4]) == pytest.approx(0)
    assert neighbour_spread([0.1, 0.3, 0.1, 0.3]) > 0.1


def test_onset_needs_most_later_epochs():
    assert Signal(SignalName.FRIED, (0.0,) * 4, (False, True, False, False)).onset is None
    assert Signal(SignalName.FRIED, (0.0,) * 4, (False, True, False, True)).onset == 1


# -- fried ----------------------------------------------------------------------------------------


def test_brightness_leaves_three_figures_alone():
    picture = scene(1)
    before = texture_of(picture)
    after = texture_of(ImageEnhance.Brightness(picture).enhance(1.12))
    assert after.laplacian == pytest.approx(before.laplacian, rel=0.1)
    assert after.fine == pytest.approx(before.fine, rel=0.1, abs=1e-4)
    assert after.saturated == pytest.approx(before.saturated, abs=0.03)


def test_sharpening_and_colour_raise_the_figures():
    picture = scene(1)
    fried = ImageEnhance.Color(picture).enhance(2.5).filter(ImageFilter.UnsharpMask(2, 250, 0))
    before, after = texture_of(picture), texture_of(fried)
    assert after.laplacian > 1.3 * before.laplacian
    assert after.fine > 1.3 * before.fine
    assert after.saturated > before.saturated


def test_flat_pictures_have_no_texture():
    assert texture_of(Image.new("RGB", (300, 300), "black")) == Texture(0.0, 0.0, 0.0, 1.0)


def test_one_figure_alone_is_not_fried():
    hard = changed(SHARP, clipped=6.0)
    assert measure_fried(textures(SHARP, SHARP, hard, hard)).bad == (False,) * 4


def test_two_figures_beyond_their_limits_are_fried():
    hard = changed(SHARP, clipped=6.0, saturated=3.0)
    signal = measure_fried(textures(SHARP, SHARP, SHARP, hard, hard))
    assert signal.bad == (False, False, False, True, True)
    assert "colours burn" in signal.notes[3]


def test_a_style_from_the_first_epoch_on_is_not_fried():
    style = changed(SHARP, laplacian=1.6, fine=1.6)
    assert measure_fried(textures(style, style, style, style)).bad == (False,) * 4


def test_fried_needs_the_control():
    signal = measure_fried(Series(({"a": SHARP},)))
    assert not signal.is_measured
    assert "without the LoRA" in signal.unmeasured


# -- copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one,
        ImageOps.mirror,
        lambda one: one.crop((32, 26, 288, 230)).resize((512, 512)),
        lambda one: ImageOps.mirror(one).crop((0, 0, 240, 192)).resize((320, 256)),
        lambda one: ImageEnhance.Brightness(one).enhance(1.2),
    ],
    ids=["same", "mirror", "middle", "corner-of-mirror", "brighter"],
)
def test_changed_copies_are_found(change, tmp_path):
    training = []
    for seed in range(6):
        scene(seed).save(tmp_path / f"{seed}.png")
        training.append(read_fingerprints(tmp_path / f"{seed}.png"))
    found = find_copied(fingerprint_of(change(scene(4))), training)
    assert found is not None
    assert found.index == 4


def test_other_pictures_are_no_copies(tmp_path):
    training = []
    for seed in range(6):
        scene(seed).save(tmp_path / f"{seed}.png")
        training.append(read_fingerprints(tmp_path / f"{seed}.png"))
    others = [find_copied(fingerprint_of(scene(seed)), training) for seed in range(100, 140)]
    assert others == [None] * 40


def test_fingerprints_are_read_as_written():
    one = fingerprint_of(scene(3))
    assert parse_fingerprint(one.as_text()) == one
    with pytest.raises(ValueError, match="fingerprint"):
        parse_fingerprint("abc")


def prints(*seeds: int) -> dict[str, Fingerprint]:
    return {f"a/{place}": fingerprint_of(scene(seed)) for place, seed in enumerate(seeds)}


def test_copies_name_the_training_picture():
    training = [[fingerprint_of(scene(seed))] for seed in range(5)]
    series = Series((prints(50, 51, 52, 53), prints(2, 2, 52, 53)), prints(60, 61, 62, 63))
    signal = measure_copying(series, training, ["01.png", "02.png", "03.png"])
    assert signal.values == (0.0, 0.5)
    assert signal.bad == (False, True)
    assert signal.notes == {1: "03.png"}


def test_seeds_that_look_alike_are_a_collapse():
    prompt_of = dict.fromkeys((f"a/{place}" for place in range(4)), "a")
    series = Series((prints(1, 2, 3, 4), prints(1, 1, 1, 2)), prints(5, 6, 7, 8))
    signal = measure_variety(series, prompt_of)
    assert signal.bad == (False, True)
    assert not measure_variety(Series(({},), prints(5)), prompt_of).is_measured


def test_what_is_not_measured_always_says_why():
    """So also after most of a grid failed, and where an epoch was chosen without a vote."""
    prompt_of = dict.fromkeys((f"a/{place}" for place in range(4)), "a")
    alone = measure_variety(Series((prints(1), {}), prints(5, 6)), prompt_of)
    assert (alone.is_measured, alone.unmeasured[:18]) == (False, "It needs two seeds")
    chosen = measure_votes((Ballot(is_chosen=True), Ballot()))
    assert (chosen.is_measured, chosen.unmeasured[:18]) == (False, "There are no votes")


# -- tags ---------------------------------------------------------------------------------------


def test_weights_and_spelling_of_tags_do_not_matter():
    assert {plain_tag(one) for one in ("Full Body", "full_body", "(full body:1.2)")} == {
        "full_body"
    }


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("night sky", TagKind.PLACE),
        ("red_dress", TagKind.CLOTHES),
        ("full_body", TagKind.FRAMING),
        ("oil painting", TagKind.STYLE),
        ("fox_ears", TagKind.SUBJECT),
    ],
)
def test_kinds_follow_from_the_words(tag: str, kind: TagKind):
    assert kind_of(tag) is kind


def test_prompts_name_their_tags():
    prompt = "<lora:x:1> photo of Quillfox, full body, (Snow:1.2), shining armour"
    assert prompted_tags(prompt, {"full_body", "snow", "x"}) == {"full_body", "snow"}
    assert not is_trigger_only(prompt, "Quillfox")
    assert is_trigger_only("<lora:x:1> photo of quillfox", "Quillfox")


def tagged(*epochs: Mapping[str, float], control: Mapping[str, float]) -> Series:
    return Series(tuple({"a": one, "b": one} for one in epochs), {"a": control, "b": control})


PROFILE = make_profile([(5.0, {"fox_ears": 0.9, "snow": 0.8}), (2.0, {"fox_ears": 0.9})])


def test_primaries_weigh_more_in_the_profile():
    assert PROFILE.tags["snow"] == pytest.approx(0.8 * 5 / 7)


def test_learned_runs_from_control_to_training_set():
    series = tagged(
        {"fox_ears": 0.1}, {"fox_ears": 0.5}, {"fox_ears": 0.95}, control={"fox_ears": 0.1}
    )
    signal, curves = measure_learned(series, PROFILE, {})
    assert signal.values == pytest.approx((0.0, 0.5, 1.0))
    assert signal.bad == (True, False, False)
    assert [one.tag for one in curves] == ["fox_ears"]


def test_a_tag_that_the_base_model_draws_anyway_tells_nothing():
    signal, _ = measure_learned(tagged({}, control={"fox_ears": 0.9}), PROFILE, {})
    assert "base model" in signal.unmeasured


def test_a_prompted_tag_that_fades_is_not_obeyed():
    body = [{"full_body": value} for value in (0.9, 0.88, 0.85, 0.3, 0.2)]
    series = tagged(*body, control={"full_body": 0.9})
    asked = {"a": {"full_body"}, "b": {"full_body"}}
    signal, curves = measure_obeys(series, asked)
    assert signal.bad == (False, False, False, True, True)
    assert curves[0].control == pytest.approx(0.9)


def test_tags_that_nobody_can_draw_do_not_count():
    series = tagged({"full_body": 0.0}, control={"full_body": 0.05})
    assert not measure_obeys(series, {"a": {"full_body"}})[0].is_measured


def test_training_places_that_appear_unrequested_leak():
    series = tagged({"snow": 0.0}, {"snow": 0.1}, {"snow": 0.5}, control={"snow": 0.0})
    signal = measure_leakage(series, PROFILE, {"a": frozenset(), "b": frozenset()})
    assert signal.bad == (False, False, True)
    assert signal.notes[2] == "snow"


def test_places_that_were_asked_for_do_not_leak():
    series = tagged({"snow": 0.9}, control={"snow": 0.0})
    signal = measure_leakage(series, PROFILE, {"a": {"snow"}, "b": {"snow"}})
    assert not signal.is_measured


# -- votes --------------------------------------------------------------------------------------


def test_wilson_bounds_are_those_of_the_textbook():
    low, high = wilson_bounds(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson_bounds(0, 0) == (0.0, 1.0)


def test_an_epoch_that_surely_loses_is_bad():
    signal = measure_votes((Ballot(better=12), Ballot(worse=12), Ballot()))
    assert signal.bad == (False, True, False)
    assert signal.values[2] is None
    assert not measure_votes((Ballot(),)).is_measured
