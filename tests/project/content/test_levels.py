"""The categories of content: what taggers and prompts say, and why."""

from __future__ import annotations

import pytest

from kohya_ext.project.content import ContentLevel, judge, minor_sign
from kohya_ext.project.tagging import Scores

GENERAL, SENSITIVE, QUESTIONABLE, EXPLICIT = ContentLevel


def scores(ratings: dict[str, float], tags: dict[str, float] | None = None) -> Scores:
    return Scores("p", "m", ratings, tags or {}, {})


@pytest.mark.parametrize(
    ("ratings", "tags", "level", "reason"),
    [
        ({"general": 0.9, "sensitive": 0.1}, {"animal": 0.9}, GENERAL, ""),
        ({"sensitive": 0.8}, {}, SENSITIVE, "rating sensitive 0.80"),
        ({"questionable": 0.5, "sensitive": 0.5}, {}, QUESTIONABLE, "rating questionable 0.50"),
        ({"explicit": 0.97}, {}, EXPLICIT, "rating explicit 0.97"),
        ({"explicit": 0.3, "questionable": 0.6}, {}, EXPLICIT, "rating explicit 0.30"),
        ({"general": 0.9}, {"nipples": 0.81}, QUESTIONABLE, "tag nipples 0.81"),
        ({"general": 0.9}, {"bikini": 0.9}, SENSITIVE, "tag bikini 0.90"),
        ({"general": 0.9}, {"after_sex": 0.4}, EXPLICIT, "tag after sex 0.40"),
        ({"general": 0.9}, {"severed_head": 0.4}, QUESTIONABLE, "tag severed head 0.40"),
        ({"general": 0.9}, {"nipples": 0.2}, GENERAL, ""),
    ],
)
def test_pictures_are_judged_by_ratings_and_tags(
    ratings: dict[str, float], tags: dict[str, float], level: ContentLevel, reason: str
):
    found = judge(scores(ratings, tags), "a fox")
    assert (found.level, found.reasons[:1]) == (level, (reason,) if reason else ())
    assert found.is_scored


@pytest.mark.parametrize(
    ("prompt", "level"),
    [
        ("a fox in the snow", GENERAL),
        ("<lora:nude-study:1> a fox", GENERAL),
        ("a fox with a baby face", GENERAL),
        ("wearing a (bikini:1.2)", SENSITIVE),
        ("a nude woman", QUESTIONABLE),
        ("nackt am Strand", QUESTIONABLE),
        ("裸の女", QUESTIONABLE),
        ("sex_toy", EXPLICIT),
        ("gore", QUESTIONABLE),
    ],
)
def test_prompts_are_judged_too(prompt: str, level: ContentLevel):
    found = judge(None, prompt)
    assert found.level is level
    assert not found.is_scored
    assert bool(found.reasons) == (level is not GENERAL)


def test_scores_without_ratings_are_no_judgement_of_a_tagger():
    assert not judge(scores({}, {"animal": 0.9})).is_scored


def test_only_the_worst_reasons_are_reported():
    found = judge(scores({"explicit": 0.9, "sensitive": 0.9}, {"bikini": 0.9}), "cleavage")
    assert found.reasons == ("rating explicit 0.90",)


def test_a_sign_of_a_minor_alone_is_found():
    assert minor_sign(scores({}, {"child": 0.5})) == "child"
    assert minor_sign(None, "15yo with a kite") == "15yo"
    assert not minor_sign(None, "baby face")
