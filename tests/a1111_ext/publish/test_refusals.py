"""What is not published: other pictures, other files, wrong base models, too many."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from packs import (
    PUBLISH,
    infotext,
    publish,
    refusal,
    replace_picture,
    save_picture,
    selection_by_hand,
)
from promotions import promote_epoch, with_manifest

from a1111_ext.publish.promoted import require_promoted
from a1111_ext.publish.site import base_model_problem, trained_on
from kohya_ext.project import Project, ToolError, open_project
from kohya_ext.project.families import Family


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (infotext("000000000000", "portrait"), "LL626", "was drawn with another quillfox-v1"),
        (infotext("SAME", "portrait", name="other").replace("SAME", "1"), "LL626", "has other"),
        ("", "LL624", "has no generation data"),
        (infotext("SAME", "portrait <lora:detail:0.4>"), "LL642", "names the LoRA detail"),
        (infotext("SAME", "a naked child"), "LL616", '"child" and "naked"'),
    ],
)
def test_pictures_that_are_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], text: str, code: str, words: str
):
    replace_picture(ready, text.replace("SAME", require_promoted(ready).autov3))
    said = refusal(ready, capsys)
    assert code in said
    assert words in said


def test_every_refusal_is_reported(ready: Project, capsys: pytest.CaptureFixture[str]):
    replace_picture(ready, infotext("000000000000", "a naked child"))
    said = refusal(ready, capsys)
    assert said.rstrip().endswith("[LL626]")
    assert "also refused: The prompt of 0.png" in said


def test_negative_prompts_may_name_what_is_unwanted(ready: Project):
    """The showcase's own negative prompt says "child, nude" to keep both out."""
    assert publish(ready) == 0


def test_a_changed_picture_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    save_picture(ready.showcase_dir / "0.png", infotext("x", "y"), "other")
    assert "0.png was changed after it was selected" in refusal(ready, capsys)


def test_a_picture_that_is_gone_is_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    (ready.showcase_dir / "0.png").unlink()
    assert "LL623" in refusal(ready, capsys)


def test_a_later_promotion_refuses_older_pictures(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    promote_epoch(ready, "quillfox-v2", epoch=2)
    capsys.readouterr()
    assert publish(ready) == 1
    assert "LL626" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SD1.5", "sd 1.5", "SDXL 1.0"])
def test_wrong_base_models_are_refused(
    ready: Project, capsys: pytest.CaptureFixture[str], name: str
):
    ready = with_manifest(ready, PUBLISH.replace("SD 1.5", name), section="publish")
    assert "LL627" in refusal(ready, capsys)


@pytest.mark.parametrize(
    ("name", "family", "fits"),
    [
        ("SD 1.5", Family.SD15, True),
        ("SD 1.4", Family.SD15, True),
        ("Pony V7", Family.SDXL, True),
        ("SD 3.5 Large", Family.SD3, True),
        ("Other", Family.FLUX, True),
        ("Something Newer", Family.SD15, True),
        ("Flux.1 D", Family.SDXL, False),
        ("flux1d", Family.FLUX, False),
    ],
)
def test_base_models_fit_their_family(name: str, family: Family, fits: bool):
    assert (base_model_problem(name, family) is None) is fits


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ponyDiffusionV6XL.safetensors", "Pony"),
        ("D:/models/Illustrious-XL-v1.0.safetensors", "Illustrious"),
        ("noobaiXLNAI.safetensors", "NoobAI"),
        ("sd_xl_base_1.0.safetensors", "SDXL 1.0"),
        ("illustriousPony_mix.safetensors", ""),
        ("myMerge.safetensors", ""),
    ],
)
def test_a_base_models_file_tells_its_name(file: str, name: str):
    assert trained_on(file) == name


def test_twenty_one_pictures_are_refused(ready: Project, capsys: pytest.CaptureFixture[str]):
    path = ready.showcase_dir / "selection.json"
    data = selection_by_hand(ready)
    data["pictures"] *= 7
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "LL620" in refusal(ready, capsys)


def test_nothing_selected_is_refused(project: Project, capsys: pytest.CaptureFixture[str]):
    promote_epoch(project)
    assert "LL622" in refusal(project, capsys)


def test_a_promotion_of_a_moved_project_is_found(ready: Project, tmp_path: Path):
    target = tmp_path / "moved"
    shutil.move(ready.root, target)
    assert require_promoted(open_project(target)).path.is_relative_to(target)


def test_bad_journals_are_no_traceback(project: Project):
    project.journal.append("promote", name="x")
    with pytest.raises(ToolError, match="LL604"):
        require_promoted(project)


def test_a_file_of_another_family_is_not_published(
    ready: Project, capsys: pytest.CaptureFixture[str]
):
    """The manifest was changed after the promotion; the file says what it is."""
    text = ready.manifest_path.read_text(encoding="utf-8")
    assert "family: sd15" in text
    ready.manifest_path.write_text(text.replace("family: sd15", "family: sd3"), encoding="utf-8")
    assert "is a LoRA for SD 1.5, but the project is for SD 3" in refusal(ready, capsys)
