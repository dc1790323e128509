"""The script "LoRA epoch grid" of txt2img, run as the host runs it."""

from __future__ import annotations

import html
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_gradio import FakeGradio

from a1111_ext.api.infotext import parse_infotext

BOXES = {
    "seeds": "5, 7",
    "epochs": "all",
    "lora": "",
    "control": True,
    "with_cells": True,
    "axes": "",
}


def run(p: Any, **boxes: Any) -> Any:
    script = importlib.import_module("a1111_ext.webui.script").EpochGridScript()
    return script.run(p, *(BOXES | boxes).values())


def test_sheet_comes_first_then_every_cell(host: Any):
    from PIL import Image

    result = run(host.page())
    assert result.index_of_first_image == 1
    assert [one.size for one in result.images[1:]] == [(64, 64)] * 8
    assert result.all_seeds[1:] == [5, 7] * 4
    assert len(result.images) == len(result.infotexts) == len(result.all_prompts) == 9
    for one in result.images[1:]:
        with Image.open(one.already_saved_as) as kept:
            assert kept.info["parameters"] == result.infotexts[result.images.index(one)]


def test_rows_are_the_control_and_every_epoch(host: Any):
    prompts = run(host.page(prompt="a fox <lora:Quillfox-000002:0.8:0.6>, hat")).all_prompts[1::2]
    assert prompts == [
        "a fox , hat",
        "a fox <lora:Quillfox-000001:0.8:0.6>, hat",
        "a fox <lora:Quillfox-000002:0.8:0.6>, hat",
        "a fox <lora:Quillfox:0.8:0.6>, hat",
    ]


def test_the_grids_infotext_fills_the_boxes_again(host: Any):
    fields = parse_infotext(
        run(host.page(), seeds="5, -1", epochs="1-2", control=False).info
    ).fields
    first, second = fields["Grid seeds"].split(", ")
    assert (first, int(second) >= 0) == ("5", True)
    assert (fields["Grid epochs"], fields["Grid without LoRA"]) == ("1-2", "False")
    assert (fields["Script"], fields["Seed"]) == ("LoRA epoch grid", "5")


def test_the_same_page_is_the_same_grid(host: Any):
    run(host.page())
    count = len(host.drawn)
    run(host.page())
    assert len(host.drawn) == count
    (folder,) = (host.data / "loraloom" / "grids").iterdir()
    assert (folder / "grid.html").is_file()


def test_progress_is_the_hosts_own(host: Any):
    said = []
    host.before_drawing(
        lambda p: said.append((host.shared.state.textinfo, host.shared.state.job_count))
    )
    run(host.page(), epochs="last", control=False)
    assert said == [
        ("LoRA epoch grid: picture 1 of 2", 2),
        ("LoRA epoch grid: picture 2 of 2", 2),
    ]
    assert host.shared.state.job_no == 2


@pytest.mark.parametrize(
    ("seeds", "how"),
    [
        ("10-11", r"press Generate\."),
        ("5, -1", r'write 5, \d+ into "Seeds of the grid" and press Generate\.'),
    ],
    ids=["typed", "drawn"],
)
def test_an_interrupted_grid_tells_how_to_continue(host: Any, seeds: str, how: str):
    host.before_drawing(lambda p: len(host.drawn) == 3 and host.shared.state.interrupt())
    result = run(host.page(), seeds=seeds)
    assert len(result.images) == 3
    reported = "Interrupted after 2 of 8 pictures; they are kept. To continue, "
    assert re.fullmatch(re.escape(reported) + how + "\n", result.comments)
    assert parse_infotext(result.info).prompt == "<lora:Quillfox-000001:1> a fox"


def test_a_picture_that_is_shown_twice_counts_once(host: Any):
    host.before_drawing(lambda p: len(host.drawn) == 3 and host.shared.state.interrupt())
    result = run(host.page(), seeds="5", axes="CFG Scale=7,7,6")
    assert "Interrupted after 2 of 8 pictures" in result.comments


def test_a_refusal_is_shown_below_the_pictures_after_our_name(host: Any):
    result = run(host.page(prompt="a fox"))
    assert result.comments.startswith("LoRA epoch grid: The prompt names no LoRA. ")
    assert result.images == []


def test_pictures_that_failed_are_reported_once_for_each_reason(host: Any):
    def fail(p: Any) -> None:
        raise RuntimeError("no such tensor")

    host.before_drawing(fail)
    result = run(host.page())
    assert result.comments == (
        "Not drawn: no LoRA, seed 5 and 7 more: The WebUI could not draw it: RuntimeError: "
        "no such tensor.\n"
    )
    assert len(result.images) == 1
    assert result.info == ""


def test_cells_may_be_left_out_of_the_gallery(host: Any):
    assert len(run(host.page(), with_cells=False).images) == 1


@pytest.mark.parametrize(("save", "leave", "expected"), [(True, False, 1), (False, False, 0)])
def test_the_sheet_is_saved_where_the_host_saves_grids(
    host: Any, save: bool, leave: bool, expected: int
):
    host.shared.opts.data["grid_save"] = save
    result = run(host.page(do_not_save_grid=leave))
    saved = host.images._saved
    assert len(saved) == expected
    assert all(one["info"] == result.info and one["grid"] for one in saved)


def test_dynamic_prompts_are_drawn_once_for_each_seed(host: Any):
    result = run(host.page(prompt="<lora:Quillfox:1> a {red|blue|green|grey} fox"))
    texts = [parse_infotext(one).prompt.partition("a ")[2] for one in result.infotexts[1:]]
    assert texts[0::2] == [texts[0]] * 4
    assert texts[1::2] == [texts[1]] * 4
    assert "{" not in "".join(texts)


def test_wildcards_of_the_extension_are_used(host: Any):
    folder = host.data / "extensions" / "sd-dynamic-prompts" / "wildcards"
    folder.mkdir(parents=True)
    (folder / "hat.txt").write_text("bowler\n", encoding="utf-8")
    result = run(host.page(prompt="<lora:Quillfox:1> a fox, __hat__"), epochs="last")
    assert result.all_prompts[-1] == "<lora:Quillfox:1> a fox, bowler"


def test_wildcards_of_our_own_folder_are_used_and_links_where_set(host: Any):
    folder, outside = host.data / "loraloom" / "wildcards", host.data / "elsewhere"
    for one, text in ((folder, "bowler"), (outside, "bonnet")):
        one.mkdir(parents=True)
        (one / "hat.txt").write_text(f"{text}\n", encoding="utf-8")
    result = run(host.page(prompt="<lora:Quillfox:1> a fox, __hat__"), epochs="last")
    assert result.all_prompts[-1] == "<lora:Quillfox:1> a fox, bowler"
    if os.name != "posix":
        return  # links need rights on Windows
    (folder / "far").symlink_to(outside)
    linked = host.page(prompt="<lora:Quillfox:1> a fox, __far/hat__")
    assert "[LL513]" in run(linked, epochs="last").comments
    host.shared.opts.data["loraloom_follow_links"] = True
    assert run(linked, epochs="last").all_prompts[-1] == "<lora:Quillfox:1> a fox, bonnet"


def test_slips_are_reported_with_the_count_and_below_the_sheet(host: Any):
    script = importlib.import_module("a1111_ext.webui.script")
    slipped = "<lora:Quillfox:1> a {red|blue} __hat_ fox"
    reported = 'the prompt: This wildcard is never closed: "__hat_ fox".'
    assert reported in html.unescape(script.count_pictures(slipped, "5", "last", "", True, ""))
    result = run(host.page(prompt=slipped), epochs="last")
    assert reported in result.comments


def test_a_template_that_cannot_be_read_is_said(host: Any):
    assert "[LL513]" in run(host.page(prompt="<lora:Quillfox:1> {red|blue fox")).comments
    assert not host.drawn


def test_a_lora_that_changes_nothing_is_reported(
    host: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Another architecture: the infotext names the LoRA, the picture is the control's."""
    draw = host.processing._picture

    def without_lora(p: Any) -> Any:
        p = type("P", (), dict(vars(p)))
        p.prompt = " ".join(p.prompt.replace("<lora:Quillfox:1>", " ").split())
        return draw(p)

    monkeypatch.setattr(host.processing, "_picture", without_lora)
    result = run(host.page(prompt="<lora:Quillfox:1> a fox"), epochs="last")
    assert "Not drawn: Quillfox, seed 5 and 1 more: the LoRA changed nothing" in result.comments


def test_further_axes_are_drawn_too(host: Any):
    axes = 'CFG Scale=5,7\n"Prompt S/R"=fox,hen'.replace('"', "")
    result = run(host.page(), seeds="5", epochs="2", control=False, axes=axes)
    infotexts = [parse_infotext(one) for one in result.infotexts[1:]]
    assert [one.fields["CFG scale"] for one in infotexts] == ["5.0", "5.0", "7.0", "7.0"]
    assert [one.prompt.split()[-1] for one in infotexts] == ["fox", "hen", "fox", "hen"]
    assert parse_infotext(result.info).fields["Grid axes"] == axes


def test_an_axis_of_checkpoints_pins_what_the_host_has(host: Any):
    result = run(
        host.page(), seeds="5", epochs="2", control=False, axes="Checkpoint name=tiny-a,tiny-b"
    )
    names = [parse_infotext(one).fields["Model"] for one in result.infotexts[1:]]
    assert names == ["tiny-a", "tiny-b"]
    for axes in ("Checkpoint name=tiny-a,gone", "Sampler=Euler a,Euler b"):
        assert re.search("LL408|LL410", run(host.page(), seeds="5", axes=axes).comments)


def test_an_axis_of_weights_replaces_the_pages_own(host: Any):
    page = host.page(prompt="a fox <lora:Quillfox-000002:0.8:0.6>")
    prompts = run(page, seeds="5", epochs="2", axes="LoRA weight=0.5,1").all_prompts[1:]
    assert prompts == [
        "a fox",
        "a fox <lora:Quillfox-000002:0.5>",
        "a fox <lora:Quillfox-000002:1>",
    ]


def boxes_with_prompt(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Build the script's boxes on a page that has a prompt box; return all components."""
    gradio = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", gradio.module)
    script = importlib.import_module("a1111_ext.webui.script").EpochGridScript()
    with gradio.module.Blocks() as page:
        prompt = gradio.module.Textbox(elem_id="txt2img_prompt")
        script.after_component(prompt, elem_id="txt2img_prompt")
        script.ui(False)
    return gradio.every(page)


def test_the_count_is_shown_before_anything_is_drawn(host: Any, monkeypatch):
    made = boxes_with_prompt(monkeypatch)
    (button,) = [one for one in made if one.kind == "Button"]
    (click,) = button.handlers
    values = ["a fox <lora:Quillfox-000002:1>", "5, 7", "all", "", True, "CFG Scale=5,7"]
    assert len(click.inputs) == len(values)
    assert click.function(*values) == (
        "<p>(3 epochs and no LoRA) × 2 values of CFG Scale × 2 seeds: 16 pictures; "
        "the time is unknown until the first picture</p>"
    )
    assert "16 pictures, 8 different; " in click.function(*values[:-1], "CFG Scale=7,7")
    run(host.page())
    assert "about " in click.function(*values)
    assert "LL751" in click.function("a fox", *values[1:])
    assert "LL505" in click.function(*values[:-1], "Colour=red")
    listening = [one for one in made if one.handlers and one.kind != "Button"]
    assert [handler.event for one in listening for handler in one.handlers] == [
        "blur",
        "blur",
        "blur",
        "change",
        "blur",
    ]


def test_the_page_is_left_as_it_was(host: Any):
    p = host.page(n_iter=3, batch_size=2)
    before = dict(vars(p))
    run(p)
    changed = {name for name in before if vars(p)[name] != before[name]}
    assert changed <= {"comments"}


def test_it_is_offered_in_txt2img_only(host: Any):
    script = importlib.import_module("a1111_ext.webui.script").EpochGridScript()
    assert (script.title(), script.show(False), script.show(True)) == (
        "LoRA epoch grid",
        True,
        False,
    )
