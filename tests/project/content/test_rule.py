"""Who looks like a minor is never combined with anything sexual, in whatever words it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, RuleError
from kohya_ext.project.content import forbidden_picture, forbidden_words
from kohya_ext.project.content.rule import cure_for_training, sexual_tags
from kohya_ext.project.files import sha256_of
from kohya_ext.project.tagging import Scores, write_scores
from kohya_ext.training.checks.content import check_content


@pytest.mark.parametrize(
    "tag",
    [
        "loli", "oppai_loli", "onee-shota", "onee-loli", "age_regression", "child_on_child",
        "female_child", "toddler", "aged_down", "kindergarten uniform", "lolicon", "preteen",
        "randoseru", "shotacon", "Elementary School Student",
    ],
)  # fmt: skip
def test_tags_that_speak_of_a_minor(tag: str):
    assert forbidden_picture(Scores("p", "m", {"explicit": 0.5}, {tag: 0.15}, {}))
    assert not forbidden_picture(Scores("p", "m", {"explicit": 0.5}, {tag: 0.149}, {}))
    assert forbidden_picture(None, f"photo of Quillfox, {tag}, nude")


@pytest.mark.parametrize("rating", ["sensitive", "questionable", "explicit"])
def test_every_rating_but_general_counts(rating: str):
    child = {"child": 0.9}
    assert forbidden_picture(Scores("p", "m", {rating: 0.25}, child, {}))
    assert not forbidden_picture(Scores("p", "m", {rating: 0.249}, child, {}))
    assert not forbidden_picture(Scores("p", "m", {"general": 1.0}, child, {}))


@pytest.mark.parametrize(
    "tag",
    ["completely_nude", "covered nipples", "panties", "see-through", "cleavage", "upskirt",
     "sex toy", "underwear only", "pussy", "suggestive fluid", "bikini"],
)  # fmt: skip
def test_sexual_tags_beside_a_child(tag: str):
    assert forbidden_picture(Scores("p", "m", {}, {"child": 0.9, tag: 0.15}, {}))


def test_scores_and_caption_count_together():
    nude = Scores("p", "m", {}, {"nude": 0.9}, {})
    assert forbidden_picture(nude, "photo of Quillfox, child")
    assert forbidden_picture(Scores("p", "m", {}, {"child": 0.9}, {}), "Quillfox, lingerie")
    assert not forbidden_picture(nude, "photo of Quillfox, adult")


@pytest.mark.parametrize(
    "prompt",
    [
        "nude, age 12", "15yo girl, lingerie", "sexy, 17 years old", "aged 14, topless",
        "a thirteen-year-old in a bikini", "16 y.o., nsfw", "9-year-old, erotic", "age: 11, naked",
        "nacktes kleines mädchen, nackt", "fillette nue", "niña desnuda", "menina nua",
        "bambina nuda", "девочка, голая", "ロリ, 裸", "萝莉 色情", "소녀 누드", "naakt meisje",
        "ch\u200bild, nude", "ｃｈｉｌｄ nude", "young_girl, underwear",
    ],
)  # fmt: skip
def test_prompts_in_the_languages_of_users(prompt: str):
    assert forbidden_words(prompt) is not None


@pytest.mark.parametrize(
    "prompt",
    [
        "she is 13, nude", "14 Jahre alt, nackt", "13 ans, nue", "15 años, desnuda",
        "15 anni, nuda", "彼女は15歳の 裸", "8歳 裸", "17살 누드",
        "16 лет, обнажённая", "16-years-girl, naked",
    ],
)  # fmt: skip
def test_ages_in_numbers_of_other_languages(prompt: str):
    assert forbidden_words(prompt) is not None


@pytest.mark.parametrize(
    "prompt",
    ["25歳 裸", "20 años, desnuda", "vor 30 Jahren, nackt", "she is 30, nude", "115歳 裸"],
)
def test_adult_ages_in_numbers_are_no_sign(prompt: str):
    assert forbidden_words(prompt) is None


@pytest.mark.parametrize(
    "prompt",
    [
        "baby face, lingerie", "baby-faced adult woman, bikini", "baby blue bikini",
        "a kind woman, lingerie", "18 years old, nude", "a 25yo woman, topless", "age 21, nsfw",
        "in the 12th century, nude statue", "a childlike smile, sexy dress", "baby hair, cleavage",
        "1990s, lingerie", "middle-aged woman, nude", "lolita fashion", "a child with a kite",
        "stage 12, nude", "teenage mutant", "page 12, nude painting", "3 years of work, nude",
    ],
)  # fmt: skip
def test_no_false_refusal(prompt: str):
    assert forbidden_words(prompt) is None


@pytest.mark.parametrize(("score", "found"), [(0.15, ("nude",)), (0.149, ())])
def test_sexual_tags_count_from_the_threshold_on(score: float, found: tuple[str, ...]):
    scores = Scores("p", "m", {}, {"nude": score, "hat": 0.9}, {})
    assert sexual_tags(scores, 0.15) == found


def test_no_rating_at_all_is_no_sign():
    child = Scores("p", "m", {}, {"child": 0.9}, {})
    assert not forbidden_picture(child)


@pytest.mark.parametrize(
    ("count", "named", "more"),
    [
        (1, 1, ""),
        (20, 20, ""),
        (21, 20, " and so on for 1 more"),
        (25, 20, " and so on for 5 more"),
    ],
)
def test_the_cure_names_twenty_pictures(count: int, named: int, more: str):
    cure = cure_for_training("fox", [f"p{number}.png" for number in range(count)])
    assert cure.count("--out") == named
    assert f'"{more}. This rule cannot be switched off' in cure
    assert ("and so on" in cure) is bool(more)


@pytest.fixture
def staged(project: Project) -> Project:
    from PIL import Image

    project.source_dir.mkdir(exist_ok=True)
    for number in range(3):
        Image.new("RGB", (64, 64), (number * 50, 9, 9)).save(project.source_dir / f"p{number}.png")
    apply_layout(project, plan_layout(project))
    return project


def mark(project: Project, *names: str) -> None:
    for name in names:
        digest = sha256_of(project.source_dir / name)
        write_scores(project.scores_dir, Scores(digest, "m", {}, {"child": 0.9, "nude": 0.9}, {}))


def test_stage_names_all_pictures_and_the_cure_works(
    staged: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mark(staged, "p0.png", "p2.png")
    with pytest.raises(RuleError, match=r"p0\.png.*p2\.png.*LL258"):
        plan_layout(staged)
    roles = tmp_path / "roles.csv"
    roles.write_text("p0.png,out\np2.png,out\n", encoding="utf-8")
    assert main(["stage", str(staged.root), "--roles", str(roles)]) == 0
    assert main(["stage", str(staged.root)]) == 0  # and no later one brings them back
    assert [one.name for one in staged.images_dir.rglob("*.png")] == ["p1.png"]


def test_a_caption_alone_stops_stage_and_check(staged: Project):
    (picture,) = staged.images_dir.rglob("p1.png")
    picture.with_suffix(".txt").write_text("Quillfox, child, nude", encoding="utf-8")
    with pytest.raises(RuleError, match=r"p1\.png"):
        plan_layout(staged)
    (found,) = check_content([(picture, "Quillfox, child, nude")], None)
    assert found.code == "LL258"
    assert '--out "p1.png"' in found.cure


def test_scores_stop_check(staged: Project):
    mark(staged, "p2.png")
    pictures = [(one, "a fox") for one in staged.images_dir.rglob("*.png")]
    (found,) = check_content(pictures, staged.scores_dir)
    assert "p2.png" in found.problem
    assert "p1.png" not in found.problem
    assert list(check_content(pictures, None)) == []
