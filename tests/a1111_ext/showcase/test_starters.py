"""Starter sets: complete, decent, drawn evenly, and good as styles of the WebUI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from promotions import promote_epoch, with_manifest

from a1111_ext.showcase.batches import BatchRequest, plan_batch
from a1111_ext.showcase.starters import (
    Starter,
    negative_of,
    read_starters,
    require_starter,
    starter_for,
    template_of,
)
from a1111_ext.showcase.styles import Style, read_styles, require_style, write_style
from a1111_ext.showcase.templates import ShowcaseSubject, TemplateText
from dynprompts import parse
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError
from kohya_ext.project.content import ContentLevel, judge, minor_sign
from kohya_ext.project.manifest import PictureSettings, SubjectKind

SUBJECT = ShowcaseSubject("quillfox-v1", 0.8, "Quillfox")
STARTERS = pytest.mark.parametrize("starter", read_starters(), ids=lambda one: one.name)


def batch(starter: Starter, count: int = 40):
    return plan_batch(
        BatchRequest((starter.text,), ("a",), count=count, balanced=True), SUBJECT
    ).shots


@STARTERS
def test_a_set_names_its_variants(starter: Starter):
    named = {pick.variant for shot in batch(starter) for pick in shot.picks}
    assert {"framing", "expression", "clothing", "light"} <= named


@STARTERS
def test_forty_pictures_hold_every_option(starter: Starter):
    shots = batch(starter)
    options = {(pick.variant, pick.option) for shot in shots for pick in shot.picks}
    for name in ("framing", "expression", "light"):
        (text,) = [one for one in starter.template.split("\n") if one.startswith(f"${{{name}=")]
        for option in text.removeprefix(f"${{{name}={{").removesuffix("}}").split("|"):
            assert (name, option.removeprefix("2::")) in options
    assert all(shot.framing for shot in shots)


@STARTERS
def test_what_a_set_draws_is_decent(starter: Starter):
    for shot in batch(starter):
        assert judge(None, shot.cell.prompt).level is ContentLevel.GENERAL, shot.cell.prompt
        assert not minor_sign(None, shot.cell.prompt)
        assert "nsfw" in shot.cell.negative_prompt
        assert shot.cell.prompt.startswith("<lora:quillfox-v1:0.8>")


@STARTERS
def test_a_set_has_no_slips(starter: Starter):
    plan = plan_batch(BatchRequest((starter.text,), ("a",), count=1), SUBJECT)
    assert plan.hints == ()


def test_every_kind_of_subject_has_a_set():
    assert {kind: starter_for(kind).name for kind in SubjectKind} == {
        SubjectKind.STYLE: "style",
        SubjectKind.OBJECT: "creature",
        SubjectKind.CREATURE: "creature",
        SubjectKind.CHARACTER: "person",
        SubjectKind.PERSON: "person",
    }


def test_an_unknown_set_is_named():
    with pytest.raises(ToolError, match=r'no starter set "robot".*person, creature, style.*LL674'):
        require_starter("robot")


# -- in a project -------------------------------------------------------------------------------


def test_a_project_without_a_template_uses_the_set_of_its_kind(project: Project):
    own = with_manifest(project, "showcase:\n  count: 2")
    assert template_of(own.manifest).prompt == require_starter("person").template
    written = with_manifest(own, 'showcase:\n  template: "{lora} {trigger}"')
    assert template_of(written.manifest).prompt == "{lora} {trigger}"


def test_a_decent_negative_prompt_is_the_default(project: Project):
    own = with_manifest(project, 'showcase:\n  template: "{lora} {trigger}"')
    assert negative_of(own.manifest) == require_starter("person").negative_prompt
    written = with_manifest(own, 'showcase:\n  negative_prompt: "blurry"')
    assert negative_of(written.manifest) == "blurry"


def test_models_without_a_negative_prompt_get_none(project: Project):
    text = project.manifest_path.read_text(encoding="utf-8").replace("family: sd15", "family: flux")
    project.manifest_path.write_text(text, encoding="utf-8")
    assert negative_of(with_manifest(project, "showcase:\n  count: 2").manifest) == ""


def dry_run(project: Project, capsys: pytest.CaptureFixture[str], *words: str):
    capsys.readouterr()
    assert main(["showcase", str(project.root), "--dry-run", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)["shots"]


def test_the_command_takes_a_set(project: Project, capsys: pytest.CaptureFixture[str]):
    promote_epoch(project)
    own = with_manifest(project, "showcase:\n  count: 3")
    assert "adult" in dry_run(own, capsys)[0]["prompt"]
    assert "adult" not in dry_run(own, capsys, "--starter", "creature")[0]["prompt"]
    (first, *_) = dry_run(own, capsys, "--negative-prompt", "")
    assert first["negative_prompt"] == ""


# -- settings by checkpoint -----------------------------------------------------------------------


def test_a_checkpoint_has_settings_of_its_own():
    request = BatchRequest(
        (TemplateText("t", "{lora} {trigger}"),),
        ("plain", "wide.safetensors [12345678]"),
        count=1,
        picture=PictureSettings(steps=9),
        per_checkpoint={"wide": {"width": 768, "clip_skip": 2, "sampler": "DPM++ 2M"}},
    )
    plain, wide = (shot.cell for shot in plan_batch(request, SUBJECT).shots)
    assert (plain.width, plain.clip_skip, plain.sampler) == (512, 1, "Euler a")
    assert (wide.width, wide.height, wide.clip_skip, wide.sampler) == (768, 512, 2, "DPM++ 2M")
    assert plain.steps == wide.steps == 9


def test_settings_of_a_checkpoint_that_is_not_drawn_are_reported():
    request = BatchRequest(
        (TemplateText("t", "{lora} {trigger}"),), ("plain",), 1, per_checkpoint={"plaim": {}}
    )
    (hint,) = plan_batch(request, SUBJECT).hints
    assert 'showcase.per_checkpoint names "plaim"' in hint


def test_the_manifest_holds_the_table(project: Project, capsys: pytest.CaptureFixture[str]):
    text = "showcase:\n  per_checkpoint:\n    wide: {width: 768, clip_skip: 2}"
    own = with_manifest(project, text)
    assert own.manifest.showcase.per_checkpoint == {"wide": {"width": 768, "clip_skip": 2}}
    with pytest.raises(ToolError, match=r"per_checkpoint\.wide\.widht.*LL102"):
        with_manifest(project, text.replace("width", "widht"))


# -- as styles ------------------------------------------------------------------------------------


@STARTERS
def test_a_set_as_a_style_takes_the_users_prompt(starter: Starter):
    prompt, negative = starter.style().apply("<lora:x:1> photo of Quillfox", "")
    assert "{lora}" not in prompt
    assert negative == starter.negative_prompt
    drawn = parse(prompt, ignore_whitespace=True, strict=True).random(3).text
    assert drawn.startswith("<lora:x:1> photo of Quillfox")
    assert "{" not in drawn


def test_a_written_style_is_read_back(tmp_path: Path):
    path = tmp_path / "styles.csv"
    written = Style("show", 'a "quoted", {red|blue}\nsecond line {prompt}', "x, y")
    write_style(path, written)
    assert read_styles(path) == (written,)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname,prompt,negative_prompt\r\n")


def test_other_styles_and_comments_stay(tmp_path: Path):
    path = tmp_path / "styles.csv"
    before = 'name,prompt,negative_prompt\n# mine,,\n"soft", "soft light, dim",\n'
    path.write_text(before, encoding="utf-8")
    write_style(path, Style("show", "{prompt}, red"))
    assert "# mine" in path.read_text(encoding="utf-8-sig")
    assert require_style(path, "soft").prompt == "soft light, dim"
    assert (tmp_path / "styles.csv.bak").read_text(encoding="utf-8") == before


def test_a_style_of_that_name_is_replaced_only_when_asked(tmp_path: Path):
    path = tmp_path / "styles.csv"
    write_style(path, Style("show", "one"))
    with pytest.raises(ToolError, match=r'another style called "show".*LL675'):
        write_style(path, Style("show", "two"))
    write_style(path, Style("show", "two"), replace=True)
    assert read_styles(path) == (Style("show", "two"),)


def test_a_file_that_is_no_styles_file_stays(tmp_path: Path):
    path = tmp_path / "notes.csv"
    path.write_text("title,words\na,b\n", encoding="utf-8")
    with pytest.raises(ToolError, match="LL611"):
        write_style(path, Style("show", "one"))
    assert path.read_text(encoding="utf-8") == "title,words\na,b\n"


def test_the_command_lists_shows_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["templates"]) == 0
    assert "style: A style" in capsys.readouterr().out
    assert main(["templates", "person"]) == 0
    assert "Negative prompt: nsfw" in capsys.readouterr().out
    assert main(["templates", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "person"
    path = tmp_path / "styles.csv"
    assert main(["templates", "person", "--styles", str(path)]) == 0
    assert require_style(path, "showcase person").negative_prompt.startswith("nsfw")
    assert main(["templates", "--styles", str(path)]) == 1
    assert "LL674" in capsys.readouterr().err
