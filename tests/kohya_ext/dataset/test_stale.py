"""What was decided after `stage` is not trained, and is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.stale import stale_sentence
from kohya_ext.project import Project, ToolError
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.manifest_edit import edit_manifest
from kohya_ext.project.shell import shell_path
from kohya_ext.training.checks.captions import check_words


def draw(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.effect_noise((32, 24), 90).convert("RGB").save(folder / f"{name}.png")
    return folder


@pytest.fixture
def laid_out(project: Project, tmp_path: Path) -> Project:
    apply_import(project, plan_import(project, draw(tmp_path / "collected", "a", "b", "c")))
    apply_layout(project, plan_layout(project))
    return project


def decide(project: Project, **roles: str) -> None:
    keys = {place.stem: key for key, place in read_index(project).items()}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {keys[name]: role for name, role in roles.items()}, "board")


def test_what_stage_made_is_not_stale(laid_out: Project, tmp_path: Path):
    assert stale_sentence(laid_out) == ""
    decide(laid_out, a="primary", b="out")
    assert stale_sentence(laid_out) == (
        "images/ is older than what is decided: 1 picture is Out now; "
        "1 picture belongs in another folder, such as 5_Quillfox."
    )
    apply_layout(laid_out, plan_layout(laid_out))
    assert stale_sentence(laid_out) == ""
    apply_import(laid_out, plan_import(laid_out, draw(tmp_path / "more", "d")))
    assert "1 picture is not staged yet" in stale_sentence(laid_out)


def test_another_trigger_word_makes_the_folders_stale(laid_out: Project):
    changed = edit_manifest(laid_out, {("trigger_word",): "Emberfox"})
    assert "3 pictures belong in another folder, such as 2_Emberfox" in stale_sentence(changed)


def test_a_set_of_other_makers_is_never_stale(project: Project, tmp_path: Path):
    assert stale_sentence(project) == ""
    draw(project.images_dir.parent / "images", "x")
    assert stale_sentence(project) == ""


def test_the_check_warns_of_it(laid_out: Project):
    """Pictures set to Out after `stage` were trained without a word."""
    decide(laid_out, c="out")
    (found,) = [one for one in check_words([], laid_out) if one.code == "LL224"]
    assert f"loraloom stage {shell_path(laid_out.root)};" in found.cure


def test_a_cure_can_be_pasted(project: Project):
    """The folder stood there without quotes, and without the way to it."""
    assert " " in project.root.name
    with pytest.raises(ToolError) as caught:
        plan_layout(project)
    assert f"loraloom import {shell_path(project.root)} FOLDER" in caught.value.cure
