"""The script "LoRA showcase" of txt2img, run as the host runs it."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fake_gradio import FakeGradio
from promotions import promote_epoch, with_manifest

from a1111_ext.api.infotext import parse_infotext
from a1111_ext.showcase.album import read_album
from kohya_ext.project import Project, apply_init, plan_init

TEMPLATE = "<lora:Lantern:0.8> a fox, {smiling|calm}, {moss|snow}"
BOXES = {
    "project": "",
    "checkpoints": ["tiny-a.safetensors", "tiny-b.safetensors"],
    "count": 4,
    "unlinked": True,
    "balanced": True,
}


def run(p: Any, **boxes: Any) -> Any:
    script = importlib.import_module("a1111_ext.webui.script").ShowcaseScript()
    return script.run(p, *(BOXES | boxes).values())


def page(host: Any, **fields: Any) -> Any:
    return host.page(**({"prompt": TEMPLATE, "seed": 5} | fields))


@pytest.fixture
def fox(host: Any, tmp_path: Path) -> Project:
    """A project in a folder that the settings name, with a promoted LoRA and a template."""
    folder = tmp_path / "my loras"
    made = apply_init(plan_init(folder / "fox", "Quillfox"))
    promote_epoch(made)
    host.shared.opts.data["loraloom_project_folders"] = str(folder)
    host.shared.opts.loraloom_project_folders = str(folder)
    text = 'showcase:\n  template: "{lora} {trigger}, {moss|snow}"\n  lora_weight: 0.8\n'
    return with_manifest(made, text)


def test_a_template_is_drawn_over_several_checkpoints(host: Any):
    result = run(page(host))
    infotexts = [parse_infotext(one) for one in result.infotexts]
    assert len(result.images) == 8
    assert Counter(one.fields["Model"] for one in infotexts) == {"tiny-a": 4, "tiny-b": 4}
    assert [int(one.fields["Seed"]) for one in infotexts] == [5, 6, 7, 8] * 2
    words = Counter(one.prompt.split(", ")[1] for one in infotexts)
    assert words == {"smiling": 4, "calm": 4}  # balanced
    assert len({one.prompt for one in infotexts}) > 1


def test_the_same_page_draws_nothing_again(host: Any):
    run(page(host))
    count = len(host.drawn)
    assert len(run(page(host)).images) == 8
    assert len(host.drawn) == count
    assert len(run(page(host), count=5).images) == 10


def test_linked_seeds_have_one_prompt_for_all_checkpoints(host: Any):
    prompts = run(page(host), unlinked=False).all_prompts
    assert prompts[:4] == prompts[4:]


def test_hires_fix_and_size_are_the_pages(host: Any):
    p = page(host, enable_hr=True, hr_scale=2.0, denoising_strength=0.3)
    result = run(p, checkpoints=[], count=1)
    fields = parse_infotext(result.infotexts[0]).fields
    assert (fields["Hires upscale"], fields["Size"]) == ("2.0", "64x64")


def test_a_project_shows_its_promoted_lora(host: Any, fox: Project):
    result = run(page(host, prompt=""), project="fox", checkpoints=[], count=2)
    assert {one.partition(" ")[0] for one in result.all_prompts} == {"<lora:quillfox-v1:0.8>"}
    assert (host.loras / "quillfox-v1.safetensors").is_file()
    album = read_album(fox)
    assert [(one.seed, one.lora) for one in album] == [(5, "quillfox-v1"), (6, "quillfox-v1")]
    entry = fox.journal.last("showcase")
    assert entry is not None
    assert entry.facts["pictures"] == 2
    assert f"The pictures are in {fox.showcase_dir}." in result.comments


def test_slips_are_reported_with_the_count_and_below_the_pictures(host: Any):
    slipped = "<lora:Lantern:0.8> a fox, {smiling, calm}"
    script = importlib.import_module("a1111_ext.webui.script")
    reported = script.count_showcase(slipped, "", BOXES["checkpoints"], 1, True, True)
    assert "This variant has one option" in reported
    result = run(page(host, prompt=slipped), count=1)
    assert "{smiling|calm}" in str(result.comments)


def test_an_interrupted_showcase_tells_how_to_continue(host: Any):
    drawn = []

    def stop(p: Any) -> None:
        drawn.append(p)
        if len(drawn) == 3:
            host.shared.state.interrupted = True

    host.before_drawing(stop)
    result = run(page(host, seed=-1), checkpoints=[])
    seed = result.all_seeds[0]
    assert f"To continue, write {seed} into Seed and press Generate." in result.comments
    assert len(result.images) == 2


@pytest.mark.parametrize(
    ("fields", "boxes", "code"),
    [
        ({"prompt": "a fox"}, {}, "LL751"),
        ({"prompt": "<lora:Gone:1> a fox"}, {}, "LL409"),
        ({"prompt": "<lora:Lantern:1> {a|b"}, {}, "LL613"),
        ({"prompt": "<lora:Lantern:1> {a|<lora:Gone:1>}"}, {}, "LL614"),
        ({}, {"checkpoints": ["gone"]}, "LL408"),
        ({}, {"project": "nowhere"}, "LL768"),
    ],
)
def test_what_cannot_be_shown_is_refused(host: Any, fields: Any, boxes: Any, code: str):
    result = run(page(host, **fields), **boxes)
    assert result.comments.startswith("LoRA showcase: ")
    assert f"[{code}]" in result.comments
    assert (result.images, host.drawn) == ([], [])


def test_the_count_is_reported_before_anything_is_drawn(
    host: Any, fox: Project, monkeypatch: pytest.MonkeyPatch
):
    gradio = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", gradio.module)
    script = importlib.import_module("a1111_ext.webui.script").ShowcaseScript()
    with gradio.module.Blocks() as blocks:
        script.after_component(gradio.module.Textbox(), elem_id="txt2img_prompt")
        script.ui(False)
    (button,) = [one for one in gradio.every(blocks) if one.kind == "Button"]
    (click,) = button.handlers
    said = click.function(
        "<lora:Lantern:1> portrait, {a|b}", "", BOXES["checkpoints"], 4, True, True
    )
    assert said.startswith("<p>8 pictures, 8 to draw, 2 checkpoints: ")
    assert said.endswith("; the time is unknown until the first picture</p>")
    counted = click.function("", "fox", [], 3, True, True)
    assert counted.startswith("<p>3 pictures, 3 to draw, 1 checkpoint: ")
    assert not (host.loras / "quillfox-v1.safetensors").exists()


TABLE = """showcase:
  template: "{lora} {trigger}, {moss|snow}"
  per_checkpoint:
    Tiny-B: {width: 96, clip_skip: 2, sampler: DPM++ 2M, scheduler: Karras}
    elsewhere: {width: 128}
"""


def drawn_with(result: Any) -> set[tuple[str, ...]]:
    infotexts = [parse_infotext(one).fields for one in result.infotexts]
    keys = ("Model", "Size", "Clip skip", "Sampler", "Schedule type")
    return {tuple(one.get(key, "") for key in keys) for one in infotexts}


def test_a_checkpoint_of_the_projects_table_has_its_own_size_clip_skip_and_sampler(
    host: Any, fox: Project
):
    result = run(page(host, prompt=""), project=str(with_manifest(fox, TABLE).root), count=2)
    ours, other = sorted(drawn_with(result))
    assert ours[:2] == ("tiny-a", "64x64")
    assert other == ("tiny-b", "96x64", "2", "DPM++ 2M", "Karras")
    assert "per_checkpoint" not in str(result.comments)


def test_the_loaded_checkpoint_has_its_row_too(host: Any, fox: Project):
    text = "showcase:\n  per_checkpoint:\n    tiny-a: {width: 96}\n"
    root = str(with_manifest(fox, text).root)
    result = run(page(host, prompt=""), project=root, checkpoints=[], count=1)
    assert {one[:2] for one in drawn_with(result)} == {("tiny-a", "96x64")}


def test_a_row_with_an_unknown_sampler_is_refused_before_anything_is_drawn(host: Any, fox: Project):
    text = "showcase:\n  per_checkpoint:\n    tiny-b: {sampler: euler}\n"
    result = run(page(host, prompt=""), project=str(with_manifest(fox, text).root))
    assert "[LL410]" in result.comments
    assert host.drawn == []
