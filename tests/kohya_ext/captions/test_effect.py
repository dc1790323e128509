"""What rules do to a set: which tags stay promptable, and which sink."""

from __future__ import annotations

from kohya_ext.captions.effect import effect_of
from kohya_ext.captions.rules import CaptionRules
from kohya_ext.project.tagging import Scores


def scores(**general: float) -> Scores:
    return Scores("sha", "model", {}, general, {})


SET = (scores(red_hair=0.9, solo=0.8, rain=0.2), scores(red_hair=0.7, hat=0.5))


def test_tags_are_counted_with_what_becomes_of_them():
    found = effect_of(SET, CaptionRules("photo of Fox,", frozenset({"red hair", "wings"})))
    assert [(one.tag, one.pictures, one.stays) for one in found.tags] == [
        ("red hair", 2, False), ("hat", 1, True), ("solo", 1, True)
    ]  # fmt: skip
    assert [one.tag for one in found.sunk] == ["red hair"]
    assert found.unmatched == ("wings",)
    assert found.example == "photo of Fox, solo"


def test_stars_stand_for_any_letters_and_kept_tags_stay():
    rules = CaptionRules("Fox,", frozenset({"*hair", "h*"}), kept=frozenset({"hat"}))
    found = effect_of(SET, rules)
    assert {one.tag: one.stays for one in found.tags} == {
        "red hair": False, "hat": True, "solo": True
    }  # fmt: skip
    assert found.unmatched == ()


def test_nothing_tagged_says_nothing_of_tags():
    found = effect_of((), CaptionRules("Fox,", frozenset({"hat"})), unscored=3)
    assert (found.pictures, found.unscored, found.tags, found.unmatched) == (0, 3, (), ())
