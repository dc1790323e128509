"""Advice comes from the set itself and names the pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageFilter

from kohya_ext.dataset.advice import advise, advise_on_pictures
from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.roles_csv import Role
from kohya_ext.dataset.seen import SeenPicture, see_pictures
from kohya_ext.project import Project
from kohya_ext.project.files import sha256_of
from kohya_ext.project.tagging import Scores, write_scores

ONE = SeenPicture("a.png", Role.SUPPORTING, 800, 800, 12.0, "portrait")


def a_set(count: int = 30) -> list[SeenPicture]:
    framings = ("portrait", "full body", "upper body")
    return [replace(ONE, name=f"p{n}.png", framing=framings[n % 3]) for n in range(count)]


def test_a_sound_set_gets_no_advice():
    assert advise_on_pictures(a_set(), 512) == ()


def test_pictures_smaller_than_the_buckets_are_named():
    seen = [*a_set(), replace(ONE, name="tiny.png", width=300, height=400)]
    (said,) = advise_on_pictures(seen, 512)
    assert "1 of 31 pictures has less than 512 x 512 pixels" in said
    assert "tiny.png" in said


def test_long_pictures_are_named():
    seen = [*a_set(), replace(ONE, name="banner.png", width=2400, height=800)]
    assert "banner.png" in " ".join(advise_on_pictures(seen, 512))


def test_a_blurred_primary_should_not_be_one():
    seen = [*a_set(), replace(ONE, name="soft.png", sharpness=3.0, role=Role.PRIMARY)]
    assert "soft.png should not be primary" in " ".join(advise_on_pictures(seen, 512))


def test_near_duplicates_count_double():
    seen = [*a_set(), replace(ONE, name="x.png", group=1), replace(ONE, name="y.png", group=1)]
    assert "x.png = y.png" in " ".join(advise_on_pictures(seen, 512))


def test_one_framing_only_is_reported():
    seen = [replace(one, framing="portrait") for one in a_set()]
    assert "30 of 30 pictures have the same framing, portrait" in " ".join(advise_on_pictures(seen))


def test_the_framing_that_all_share_is_not_asked_for():
    """It said: "30 of 30 have the same framing, full body: add others, for example full body"."""
    for framing in ("portrait", "full body", "close-up", "upper body"):
        (said,) = advise_on_pictures([replace(one, framing=framing) for one in a_set()])
        assert framing not in said.partition("Add some")[2]


def test_what_is_rare_should_be_primary():
    smiling = replace(ONE, name="smiling.png", tags=frozenset({"smile", "tail"}))
    advice = " ".join(advise_on_pictures([*a_set(), smiling], 512))
    assert "Rare: smile (1 of 31 pictures): these should be primary" in advice
    assert "smiling.png" in advice
    assert "tail" not in advice
    rare = replace(smiling, role=Role.PRIMARY)
    assert advise_on_pictures([*a_set(), rare], 512) == ()


def test_facts_of_import_and_tagger_are_used(project: Project, tmp_path: Path):
    folder = tmp_path / "found"
    folder.mkdir()
    for number in range(8):
        noise = Image.effect_noise((700, 700), 90 + number).convert("RGB")
        if number == 3:
            noise = noise.filter(ImageFilter.GaussianBlur(6))
        noise.save(folder / f"n{number}.png", compress_level=0)  # noise cannot be compressed
    apply_import(project, plan_import(project, folder))
    apply_layout(project, plan_layout(project))
    staged = next(project.images_dir.rglob("n5.png"))
    scores = Scores(sha256_of(staged), "m", {}, {"full_body": 0.9, "smile": 0.8}, {})
    write_scores(project.scores_dir, scores)
    plan = plan_layout(project)
    advice = " ".join(advise(project, plan))
    assert "1 of 8 pictures is much less sharp than the others: n3.png" in advice
    pictures = [(one.source, one.role, one.width, one.height) for one in plan.pictures]
    five = next(one for one in see_pictures(project, pictures) if one.name == "n5.png")
    assert (five.framing, five.tags) == ("full body", {"full body", "smile"})
