"""The txt2img page becomes the start of every cell."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from a1111_ext.cells.cell import HiresFix
from a1111_ext.webui.txt2img import copies_of, read_page
from kohya_ext.project import ToolError


def always_on(title: str, usual: list[Any], at: int, **more: Any) -> Any:
    controls = [SimpleNamespace(value=one) for one in usual]
    values = {"setup_for_ui_only": False, "title": lambda: title, "controls": controls}
    return SimpleNamespace(**values, args_from=at, args_to=at + len(usual), **more)


def test_every_field_of_the_page_is_read(host: Any):
    page = read_page(
        host.page(
            prompt="a fox",
            negative_prompt="a hat",
            subseed=3,
            subseed_strength=0.5,
            cfg_scale=5,
            override_settings={"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "tiny-b"},
        )
    )
    assert (page.prompt, page.negative_prompt, page.seed) == ("a fox", "a hat", 0)
    assert (page.width, page.height, page.steps, page.cfg_scale) == (64, 64, 2, 5.0)
    assert (page.subseed, page.subseed_strength, page.clip_skip) == (3, 0.5, 2)
    assert page.checkpoint.title == "tiny-b.safetensors"
    assert page.override_settings_json == "{}"
    assert page.scripts == ()


def test_settings_count_where_the_page_says_nothing(host: Any):
    host.shared.opts.data.update({"CLIP_stop_at_last_layers": 2, "sd_vae": "other.pt"})
    page = read_page(host.page())
    assert (page.clip_skip, page.vae) == (2, "other.pt")
    assert page.checkpoint.title == "tiny-a.safetensors"
    assert page.checkpoint.sha256


def test_forges_second_cfg_scale_is_the_pages(host: Any):
    page = host.page(enable_hr=True, hr_upscaler="Latent", hr_scale=2.0, denoising_strength=0.4)
    hires = read_page(page).hires_fix
    assert hires is not None
    assert hires.cfg_scale is None  # A1111 has no such box
    page.hr_cfg = 5
    hires = read_page(page).hires_fix
    assert hires is not None
    assert hires.cfg_scale == 5.0


def test_forges_boxes_at_the_top_are_part_of_the_page(host: Any):
    """A grid with another VAE or at fewer bits is another grid."""
    usual = {"forge_additional_modules": [], "forge_unet_storage_dtype": "Automatic"}
    for name, value in usual.items():
        setattr(host.shared.opts, name, value)
    assert read_page(host.page()).override_settings_json == "{}"
    host.shared.opts.forge_additional_modules = ["other.safetensors"]
    assert read_page(host.page()).override_settings == {
        "forge_additional_modules": ["other.safetensors"]
    }


@pytest.mark.parametrize("name", ["sd_unet", "sd_text_encoder"])
def test_another_unet_or_text_encoder_makes_another_cell(host: Any, name: str):
    """reForge has a setting for each, A1111 for the first; no infotext names them."""
    usual = read_page(host.page())
    setattr(host.shared.opts, name, "Automatic")
    assert read_page(host.page()).key == usual.key
    setattr(host.shared.opts, name, "other")
    assert read_page(host.page()).override_settings == {name: "other"}


def test_styles_are_applied(host: Any):
    host.shared.prompt_styles.styles["show"] = ("<lora:Quillfox:1> {prompt}, garden", "ugly")
    page = read_page(host.page(prompt="a fox", negative_prompt="a hat", styles=["show"]))
    assert page.prompt == "<lora:Quillfox:1> a fox, garden"
    assert page.negative_prompt == "a hat, ugly"


@pytest.mark.parametrize(
    ("enabled", "expected"), [(True, "a fox \na hat"), (False, "a fox # red\na hat")]
)
def test_comments_are_taken_out_as_the_host_does(host: Any, enabled: bool, expected: str):
    host.shared.opts.data["enable_prompt_comments"] = enabled
    assert read_page(host.page(prompt="a fox # red\na hat")).prompt == expected


def test_a_host_without_that_setting_always_takes_them_out(
    host: Any, monkeypatch: pytest.MonkeyPatch
):
    """So does reForge, which reads "//" too; another program's setting may be in its file."""
    from modules.processing_scripts import comments

    monkeypatch.setattr(comments, "strip_comments", lambda text: text.partition("//")[0])
    del host.shared.opts.data_labels["enable_prompt_comments"]
    host.shared.opts.data["enable_prompt_comments"] = False
    assert read_page(host.page(prompt="a fox // red")).prompt == "a fox "


def test_a_host_before_comments_leaves_them(host: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "modules.processing_scripts.comments", None)
    assert read_page(host.page(prompt="a fox # red")).prompt == "a fox # red"


def test_an_unknown_checkpoint_is_refused(host: Any):
    page = host.page(override_settings={"sd_model_checkpoint": "tiny-x"})
    with pytest.raises(ToolError, match='no checkpoint "tiny-x"') as caught:
        read_page(page)
    assert caught.value.code == "LL408"


def test_hires_fix_is_part_of_the_cell(host: Any):
    page = read_page(host.page(enable_hr=True, hr_scale=1.5, denoising_strength=0.3))
    assert page.hires_fix == HiresFix("Latent", 1.5, 0.3, 0)


def test_a_fixed_hires_size_is_refused(host: Any):
    with pytest.raises(ToolError, match="Upscale by") as caught:
        read_page(host.page(enable_hr=True, hr_resize_x=512))
    assert caught.value.code == "LL760"


def test_other_fields_make_another_cell(host: Any):
    page = read_page(host.page(tiling=True))
    assert [(one.name, json.loads(one.args_json)) for one in page.scripts] == [
        ("processing", {"tiling": True})
    ]
    assert page.key != read_page(host.page()).key


def test_other_scripts_make_another_cell(host: Any):
    p = host.page()
    p.scripts.alwayson_scripts = [
        always_on("ControlNet", [False, "none"], 0),
        always_on("ADetailer", [False], 2),
        always_on("Dynamic Prompts v2.17.1", [True, 1], 3),
        always_on("Seed", [5], 5),
    ]
    p.scripts.alwayson_scripts[3].setup_for_ui_only = True
    p.script_args = (True, b"picture", False, True, 2, 9)
    (found,) = read_page(p).scripts
    assert found.name == "ControlNet"
    assert "bytes " in found.args_json


def test_copies_do_not_touch_the_page(host: Any):
    p = host.page(extra_generation_params={"Mine": 1}, override_settings={"a": 1})
    p.scripts.alwayson_scripts = [always_on("Dynamic Prompts v2.17.1", [True, 1], 1)]
    p.script_args = (7, True, 1)
    with copies_of(p)() as mine:
        mine.extra_generation_params["Lora hashes"] = "x"
        mine.override_settings["b"] = 2
        mine.prompt = "another"
        assert mine.script_args == (7, False, 1)
    assert p.script_args == (7, True, 1)
    assert p.extra_generation_params == {"Mine": 1}
    assert p.override_settings == {"a": 1}
    assert p.prompt != "another"
