"""Primaries weigh what the influence asks; every command says the same ratio."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.dataset.advice import advise
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.ratio import both_given, choose_repeats, ratio_of, read_ratio
from kohya_ext.dataset.roles_csv import Role
from kohya_ext.project import Project, open_project
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.decisions.role_plan import memory_of
from kohya_ext.project.manifest import DatasetSettings, Repeats
from kohya_ext.project.manifest_reader import parse_manifest

Capture = pytest.CaptureFixture[str]


def with_dataset(project: Project, dataset: str) -> Project:
    text = f"trigger_word: Quillfox\ndataset: {dataset}\n"
    project.manifest_path.write_text(text, "utf-8")
    return open_project(project.root)


def fill(project: Project, primary: int, supporting: int) -> None:
    for role, count in (("primary", primary), ("supporting", supporting)):
        folder = project.source_dir / role
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = (number, 40 if role == "primary" else 90, 7)
            Image.new("RGB", (80, 80), colour).save(folder / f"{role[0]}{number}.png")


@pytest.mark.parametrize(
    ("counts", "influence", "expected"),
    [
        ((58, 164), 2.0, (5, 1)),
        ((58, 164), None, (5, 1)),
        ((20, 20), 2.0, (2, 1)),
        ((10, 100), 1.0, (10, 1)),
        ((100, 10), 2.0, (1, 5)),
        ((30, 45), 0.5, (2, 3)),
        ((0, 9), 2.0, (1, 1)),
        ((9, 0), 2.0, (1, 1)),
    ],
)
def test_repeats_follow_the_influence(
    counts: tuple[int, int], influence: float | None, expected: tuple[int, int]
):
    found = choose_repeats(DatasetSettings(influence), *counts)
    assert (found.primary, found.supporting) == expected


def test_repeats_by_hand_win_and_both_are_reported():
    settings = DatasetSettings(3.0, Repeats(7, 1))
    assert choose_repeats(settings, 58, 164) == Repeats(7, 1)
    assert "dataset.influence 3: the repeats are used" in both_given(settings)
    assert both_given(DatasetSettings(3.0)) == both_given(DatasetSettings(None, Repeats())) == ""


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "101"])
def test_an_influence_that_cannot_be_is_refused(project: Project, wrong: str):
    from kohya_ext.project import InputError

    with pytest.raises(InputError, match=r"dataset\.influence"):
        parse_manifest(f"trigger_word: Q\ndataset: {{influence: {wrong}}}", Path("m.yaml"))


def test_a_ratio_is_said_with_its_steps():
    shown = [*[(Role.PRIMARY, 5)] * 58, *[(Role.SUPPORTING, 1)] * 164]
    ratio = ratio_of(DatasetSettings(2.0), shown)
    assert ratio.reached == Fraction(290, 164)
    assert str(ratio) == (
        "58 primary x 5 = 290, 164 supporting x 1 = 164 per epoch: 1.77 to 1 (influence 2)"
    )
    alone = ratio_of(DatasetSettings(), [(Role.PRIMARY, 1)] * 3)
    assert (alone.reached, str(alone)) == (None, "3 primary x 1 = 3 per epoch")


def test_every_command_says_the_same_ratio(project: Project, capsys: Capture):
    fill(project, 3, 9)
    base = project.root / "base.safetensors"
    from kohya_ext.simulator.base_model import write_base_model

    write_base_model(base)
    text = (
        "trigger_word: Quillfox\nbase_model: {path: base.safetensors}\n"
        "dataset: {influence: 2}\ntraining: {preset: sd15-locon-24, max_train_epochs: 1}\n"
    )
    project.manifest_path.write_text(text, "utf-8")
    said = "3 primary x 6 = 18, 9 supporting x 1 = 9 per epoch: 2 to 1 (influence 2)"
    root = str(project.root)
    for words in (
        ["stage", root],
        ["show", root],
        ["config", root],
        ["check", root, "--trainer", "simulated"],
        ["train", root, "--trainer", "simulated"],
        ["report", root],
    ):
        assert main(words) == 0, words
        out, err = capsys.readouterr()
        assert said in out + err or words[0] == "train", words
    for words in (["stage", root], ["show", root], ["config", root], ["report", root]):
        main([*words, "--json"])
        assert json.loads(capsys.readouterr().out)["ratio"] == said


def test_a_role_changed_on_the_board_shows_in_the_ratio(project: Project):
    project = with_dataset(project, "{influence: 2}")
    fill(project, 2, 4)
    assert read_ratio(project) is None
    apply_layout(project, plan_layout(project))
    assert str(read_ratio(project)).startswith("2 primary x 4 = 8, 4 supporting x 1 = 4")
    path = project.source_dir / "supporting" / "s0.png"
    key = memory_of(project).keys_of([path])[path]
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {key: "primary"}, "board")
    assert str(read_ratio(project)).startswith("3 primary x 4/1 = 9, 3 supporting x 1 = 3")
    plan = plan_layout(project)
    assert str(plan.ratio).startswith("3 primary x 2 = 6, 3 supporting x 1 = 3")
    apply_layout(project, plan)
    assert read_ratio(project) == plan.ratio


def test_both_given_is_one_sentence_of_advice(project: Project):
    project = with_dataset(project, "{influence: 2, repeats: {primary: 3}}")
    fill(project, 2, 4)
    plan = plan_layout(project)
    assert {one.name for one in plan.folders} == {"3_Quillfox", "2_Quillfox"}
    assert "dataset.influence 2: the repeats are used" in " ".join(advise(project, plan))


def test_58_and_164_are_offered_5_to_1(project: Project):
    fill(project, 58, 164)
    advice = " ".join(advise(project, plan_layout(project)))
    assert "{primary: 5, supporting: 1} would give 290 and 164, 1.77 to 1" in advice
    chosen = plan_layout(with_dataset(project, "{}"))
    assert [(one.name, one.draws) for one in chosen.folders] == [
        ("5_Quillfox", 290), ("1_Quillfox", 164),
    ]  # fmt: skip
