"""Replacement, implication, order, length and wildcards: what becomes of scores."""

from __future__ import annotations

from typing import Any

import pytest

from kohya_ext.captions.captioning import apply_captions, plan_captions, read_rules
from kohya_ext.captions.edits import EditBook, find_edit
from kohya_ext.captions.rules import (
    CaptionRules,
    TagOrder,
    caption_tags,
    is_undesired,
    undesired_keys,
)
from kohya_ext.project import InputError, Project, open_project
from kohya_ext.project.manifest_reader import parse_manifest
from kohya_ext.project.tagging import Scores

SCORES = Scores(
    "p", "m", {},
    {"solo": 0.6, "hair": 0.9, "long_hair": 0.8, "very_long_hair": 0.7, "fox_ears": 0.95,
     "animal_ears": 0.9, "blue_eyes": 0.5, "blush": 0.99},
    {},
)  # fmt: skip


def tags(**rules: Any) -> list[str]:
    return list(caption_tags(SCORES, CaptionRules("", **rules)))


@pytest.mark.parametrize(
    ("pattern", "tag", "is_meant"),
    [
        ("*hair", "long_hair", True), ("*hair", "hair", True), ("*hair", "hairband", False),
        ("blue_*", "blue eyes", True), ("*_*", "solo", False), ("?", "?", True),
        ("?", "a", False), ("*", "anything", True), ("Long*", "long hair", True),
        ("(x)*", "(x) y", True), ("h*r", "HAIR", True),
    ],
)  # fmt: skip
def test_wildcards_in_undesired_tags(pattern: str, tag: str, is_meant: bool):
    assert is_undesired(tag, undesired_keys([pattern])) is is_meant


def test_a_wildcard_takes_all_of_a_kind_out():
    assert tags(undesired=undesired_keys(["*hair", "solo"])) == [
        "fox ears", "animal ears", "blue eyes", "blush",
    ]  # fmt: skip


def test_tags_are_replaced_once():
    found = tags(replacements={"hair": "fur", "long hair": "fur", "blush": ""})
    assert found[:2] == ["solo", "fur"]
    assert found.count("fur") == 1
    assert "blush" not in found


def test_a_replacement_that_is_undesired_falls():
    assert "fur" not in tags(replacements={"hair": "fur"}, undesired=frozenset({"fur"}))


def test_one_tag_may_become_several():
    found = tags(replacements={"long hair": "hair_of_silk, Solo", "blush": "(blush:1.2)"})
    assert found.count("solo") == 1
    assert "hair of silk" in found
    assert "(blush:1.2)" in found


@pytest.mark.parametrize(
    "implied",
    [
        {"fox ears": {"fox ears"}},
        {"fox ears": {"animal ears"}, "animal ears": {"fox ears"}},
        {"fox ears": {"absent"}, "absent": {"solo"}},
    ],
    ids=["itself", "each-other", "through-an-absent-one"],
)
def test_implied_tags_never_all_fall(implied: dict[str, set[str]]):
    found = tags(implied={tag: frozenset(one) for tag, one in implied.items()})
    assert {"solo", "fox ears"} <= {*found}
    assert ("animal ears" in found) is ("animal ears" not in implied)


def test_what_another_tag_implies_falls():
    found = tags(drops_parts=True, implied={"fox ears": frozenset({"animal ears"})})
    assert found == ["solo", "very long hair", "fox ears", "blue eyes", "blush"]


def test_tags_come_in_order():
    assert tags(order=TagOrder.ALPHABET)[:2] == ["animal ears", "blue eyes"]
    assert tags(order=TagOrder.PROBABILITY)[:2] == ["blush", "fox ears"]
    assert tags(first=("blush", "absent", "Solo"))[:3] == ["blush", "solo", "hair"]


def test_a_caption_is_cut_to_its_length():
    rules = CaptionRules("photo of Q,", most_tokens=7, count_tokens=lambda text: len(text.split()))
    assert caption_tags(SCORES, rules) == ("solo", "hair", "long hair")
    assert caption_tags(SCORES, CaptionRules("a b c", most_tokens=1, count_tokens=len)) == ()


def test_the_manifest_names_all_of_it(project: Project):
    text = (
        "trigger_word: Q\ncaptions:\n  replacements: {blue_eyes: azure eyes}\n"
        "  implications: {fox ears: 'animal_ears, ears'}\n  drop_parts: true\n"
        "  order: probability\n  first_tags: [solo]\n  max_tokens: 75\n"
    )
    project.manifest_path.write_text(text, "utf-8")
    rules = read_rules(open_project(project.root))
    assert rules.replacements == {"blue eyes": "azure eyes"}
    assert rules.implied == {"fox ears": frozenset({"animal ears", "ears"})}
    assert (rules.drops_parts, rules.order, rules.first) == (True, TagOrder.PROBABILITY, ("solo",))
    assert rules.count_tokens("photo of Q") == 3


@pytest.mark.parametrize("wrong", ["order: random", "max_tokens: -1", "replacements: [a]"])
def test_wrong_rules_are_refused(project: Project, wrong: str):
    with pytest.raises(InputError, match="captions"):
        parse_manifest(f"trigger_word: Q\ncaptions: {{{wrong}}}", project.manifest_path)


def staged_picture(project: Project) -> dict[Any, Scores]:
    from PIL import Image

    from kohya_ext.captions.captioning import staged_pictures
    from kohya_ext.dataset.layout import apply_layout, plan_layout

    folder = project.source_dir / "primary"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        Image.new("RGB", (40, 40), (len(name), 3, 9)).save(folder / f"{name}.png")
    apply_layout(project, plan_layout(project))
    return dict.fromkeys(staged_pictures(project), SCORES)


def caption(project: Project, scores: dict[Any, Scores]) -> Any:
    plan = plan_captions(project, scores, read_rules(project))
    apply_captions(project, plan)
    return plan


def with_prefix(project: Project, prefix: str) -> Project:
    text = project.manifest_path.read_text("utf-8")
    lines = [f'  prefix: "{prefix}"' if "  prefix:" in one else one for one in text.splitlines()]
    project.manifest_path.write_text("\n".join(lines) + "\n", "utf-8")
    return open_project(project.root)


@pytest.mark.parametrize("prefix", ["drawing of {trigger},", "{trigger}, painted, large", ""])
def test_a_changed_prefix_freezes_no_caption(project: Project, prefix: str):
    """An edit by hand stays an edit when the prefix in front of it changes."""
    scores = staged_picture(project)
    caption(project, scores)
    path = next(project.images_dir.rglob("a.txt"))
    path.write_text(path.read_text("utf-8").replace("solo, ", ""), "utf-8")
    project = with_prefix(project, prefix)
    plan = caption(project, scores)
    head = prefix.replace("{trigger}", "Quillfox").rstrip(",")
    assert path.read_text("utf-8").startswith(f"{head}, hair, long" if head else "hair, long")
    assert plan.frozen == ()
    edit = EditBook(project).find("a")
    assert edit is not None
    assert (edit.removed, edit.text) == (("solo",), "")


def test_a_whole_line_by_hand_without_the_prefix_is_reported(project: Project):
    scores = staged_picture(project)
    caption(project, scores)
    path = next(project.images_dir.rglob("a.txt"))
    path.write_text("my own words", "utf-8")
    plan = caption(project, scores)
    assert [one.place.name for one in plan.frozen] == ["a.txt"]
    assert "a.txt is completely written by hand" in plan.frozen_sentence
    assert caption(with_prefix(project, "drawing of {trigger},"), scores).frozen_sentence
    assert path.read_text("utf-8").strip() == "my own words"


def test_a_new_order_by_hand_is_kept_under_new_rules(project: Project):
    scores = staged_picture(project)
    caption(project, scores)
    path = next(project.images_dir.rglob("a.txt"))
    path.write_text("photo of Quillfox, blush, solo, hair, long hair, very long hair, fox ears, "
                    "animal ears, blue eyes", "utf-8")  # fmt: skip
    caption(project, scores)
    text = project.manifest_path.read_text("utf-8")
    project.manifest_path.write_text(
        text.replace("undesired_tags: []", "undesired_tags: [hair]"), "utf-8"
    )
    caption(open_project(project.root), scores)
    assert path.read_text("utf-8").startswith("photo of Quillfox, blush, solo, long hair")


def test_an_unknown_old_prefix_counts_as_one_tag():
    edit = find_edit("old words, a, b", "old words, b", "photo of Q,")
    assert edit is not None
    assert (edit.removed, edit.text) == (("a",), "")
