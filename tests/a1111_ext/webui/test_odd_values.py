"""What a caller of the host's API may put into our scripts' boxes: any JSON, any number of it."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import HTTPException

GRID = ["5", "last", "", True, True, ""]
SHOWCASE: list[Any] = ["", ["tiny-a.safetensors"], 2, True, True]
TEMPLATE = "<lora:Lantern:0.8> a {red|blue} fox"


@dataclass
class Neighbour:
    """A script whose values stand behind ours."""

    args_to: int


def run(p: Any, script: str, values: list[Any], *, is_api: bool = False) -> Any:
    """Run a script as the host does: its API lays the values over those of the script behind."""
    made = getattr(importlib.import_module("a1111_ext.webui.script"), script)()
    size = len(GRID if script == "EpochGridScript" else SHOWCASE)
    made.args_from, made.args_to = 1, 1 + size
    p.scripts.scripts = [made, Neighbour(1 + size + 3)]
    arguments = [0] + [None] * size + ["theirs", ["theirs"], 99]
    arguments[1 : 1 + size] = values
    p.script_args, p.is_api = tuple(arguments), is_api
    return made.run(p, *p.script_args[1 : 1 + size])


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, {"a": 1}, """"Seeds of the grid" is {'a': 1}. It must be a text. [LL761]"""),
        (0, [5, 7], '"Seeds of the grid" is [5, 7]. It must be a text. [LL761]'),
        (0, True, '"Seeds of the grid" is True. It must be a text. [LL761]'),
        (0, "", "The axis Seed has no values."),
        (0, str(2**63), "a number has at most 18 digits"),
        (0, "4294967296", '"4294967296" cannot be the seeds of a grid.'),
        (0, "red 🦊", "it is neither a number nor a range"),
        (0, "x" * 10_000, "it is neither a number nor a range"),
        (1, ["last"], """"Epochs" is ['last']. It must be a text. [LL761]"""),
        (1, math.nan, 'The value "nan" of the axis LoRA epoch cannot be used'),
        (2, False, '"LoRA" is False. It must be a text. [LL761]'),
        (2, "Gone, 'it' said:\n🦊", "The prompt names no LoRA "),
        (3, "false", """is 'false'. It must be true or false. [LL761]"""),
        (4, 0, '"Show the single pictures, too" is 0. It must be true or false. [LL761]'),
        (5, {"CFG Scale": 7}, "It must be a text. [LL761]"),
        (5, "y" * 10_000, "LL5"),
        (5, "LoRA weight=nan", "LL506"),
        (5, "VAE=gone", 'This WebUI has no VAE "gone"; it would silently use another.'),
        (5, "Sampler=euler", 'This WebUI has no sampling method "euler"'),
    ],
)
def test_a_value_that_a_box_of_the_grid_cannot_have(
    host: Any, place: int, value: Any, sentence: str
):
    result = run(host.page(), "EpochGridScript", [*GRID[:place], value, *GRID[place + 1 :]])
    assert result.comments.startswith("LoRA epoch grid: ")
    assert sentence in result.comments
    assert len(result.comments) < 700
    assert (result.images, host.drawn) == ([], [])


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, 7, 'No project "7" '),
        (0, ["fox"], '"Project" is '),
        (1, [1], '"Checkpoints" is [1]. It must be a list of texts. [LL761]'),
        (1, {"a": 1}, '"Checkpoints" is '),
        (1, ["tiny-a.safetensors", "TINY-B"], 'no checkpoint "TINY-B"'),
        (1, "z" * 10_000, "no checkpoint"),
        (2, 0, '"Pictures per checkpoint" is 0. It must be between 1 and 1000. [LL761]'),
        (2, 10**9, "It must be between 1 and 1000."),
        (2, 2.5, '"Pictures per checkpoint" is 2.5. It must be a whole number. [LL761]'),
        (2, math.inf, "It must be a whole number. [LL761]"),
        (2, math.nan, "It must be a whole number. [LL761]"),
        (2, "10", """"Pictures per checkpoint" is '10'. It must be a whole number. [LL761]"""),
        (3, 1, '"Unlink seed from prompt" is 1. It must be true or false. [LL761]'),
        (4, "yes", '"Balanced" is '),
    ],
)
def test_a_value_that_a_box_of_the_showcase_cannot_have(
    host: Any, place: int, value: Any, sentence: str
):
    page = host.page(prompt=TEMPLATE, seed=5)
    result = run(page, "ShowcaseScript", [*SHOWCASE[:place], value, *SHOWCASE[place + 1 :]])
    assert result.comments.startswith("LoRA showcase: ")
    assert sentence in result.comments
    assert len(result.comments) < 700
    assert (result.images, host.drawn) == ([], [])


@pytest.mark.parametrize("script", ["EpochGridScript", "ShowcaseScript"])
def test_left_out_values_are_not_those_of_the_script_behind(host: Any, script: str):
    """With one value given the host hands out two of the neighbour's in the place of ours."""
    page = host.page(seed=5) if script == "EpochGridScript" else host.page(prompt=TEMPLATE, seed=5)
    first = "5" if script == "EpochGridScript" else ""
    result = run(page, script, [first], is_api=True)
    assert result.comments == ""
    assert {one.seed for one in host.drawn} == ({5} if first else set(range(5, 15)))


@pytest.mark.parametrize(
    ("script", "values", "said"),
    [
        ("EpochGridScript", [*GRID, "more"], '"LoRA epoch grid" was given 7 arguments. It takes 6'),
        ("ShowcaseScript", [*SHOWCASE, 1, 2], '"LoRA showcase" was given 7 arguments. It takes 5'),
    ],
)
def test_more_values_than_boxes_are_refused(host: Any, script: str, values: list[Any], said: str):
    with pytest.raises(HTTPException) as caught:
        run(host.page(prompt=TEMPLATE, seed=5), script, values, is_api=True)
    assert caught.value.detail.startswith(said)
    assert host.drawn == []


def test_the_api_answers_a_refusal_as_its_own(host: Any):
    """An HTTPException is answered without a trace on the console, under our name."""
    with pytest.raises(HTTPException) as caught:
        run(host.page(prompt="a fox"), "EpochGridScript", GRID, is_api=True)
    assert caught.value.status_code == 422
    assert type(caught.value).__name__ == "LoRA epoch grid"
    assert str(caught.value) == caught.value.detail
    assert caught.value.detail.startswith("The prompt names no LoRA. Write one of its epoch files")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seed": "abc"}, '"abc" cannot be the seed of a picture.'),
        ({"seed": 2**63}, "Give a number from 0 to 4294967295; -1 is a random one. [LL759]"),
        ({"seed": -5}, '"-5" cannot be the seed of a picture.'),
        ({"seed": 2**32 - 1}, "LL759"),
        ({"seed": 5.5}, '"5.5" cannot be the seed of a picture.'),
        ({"steps": 20.5}, '"steps" of the page is 20.5. It must be a whole number. [LL761]'),
        ({"override_settings": {"CLIP_stop_at_last_layers": "two"}}, "page is 'two'. It must be"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 1.5}}, "a whole number from 0 to 12."),
        ({"override_settings": {"CLIP_stop_at_last_layers": 13}}, "a whole number from 0 to 12."),
        ({"enable_hr": True, "hr_second_pass_steps": 2.5}, "page is 2.5. It must be a whole"),
        ({"subseed": "x"}, '"x" cannot be the subseed of a picture.'),
        ({"steps": None}, '"steps" of the page is None. It must be a number. [LL761]'),
        ({"cfg_scale": math.nan}, '"cfg_scale" of the page is nan.'),
        ({"styles": ["gone", "None"]}, 'This WebUI has no style "gone"; it would silently draw'),
        ({"steps": 0}, '"steps" of the page is 0. It must be between 1 and 1000. [LL761]'),
        ({"width": 100_000}, '"width" of the page is 100000. It must be between 8 and 8192.'),
        ({"width": "wide"}, """"width" of the page is 'wide'."""),
        ({"enable_hr": True, "denoising_strength": None}, '"denoising_strength" of the page is'),
    ],
)
def test_a_page_that_no_picture_can_be_drawn_from(host: Any, fields: Any, sentence: str):
    page = host.page(**({"prompt": TEMPLATE, "seed": 5} | fields))
    result = run(page, "ShowcaseScript", SHOWCASE)
    assert sentence in result.comments
    assert (result.images, host.drawn) == ([], [])


@pytest.mark.parametrize("weight", ["nan", "inf", "abc", "1:-inf", "te=nan"])
def test_a_weight_that_is_not_a_number_is_refused(host: Any, weight: str):
    for script, values, name in (
        ("EpochGridScript", GRID, "Quillfox-000001"),
        ("ShowcaseScript", SHOWCASE, "Lantern"),
    ):
        result = run(host.page(prompt=f"<lora:{name}:{weight}> a fox"), script, values)
        assert "is not a number; this WebUI would silently draw without it." in result.comments
    assert host.drawn == []


def test_a_lora_with_a_name_that_no_file_can_have(host: Any):
    result = run(host.page(prompt=f"<lora:{'x' * 10_000}:1> a fox"), "EpochGridScript", GRID)
    assert "No file in the host's LoRA folders is called xxx" in result.comments
    assert len(result.comments) < 300


@pytest.mark.parametrize("prompt", ["<LoRA:Lantern:1>", "<hypernet:gone:1>"])
def test_a_tag_that_is_not_read_is_refused(host: Any, prompt: str):
    for script, values, own in (
        ("EpochGridScript", GRID, "<lora:Quillfox:1>"),
        ("ShowcaseScript", SHOWCASE, "<lora:Lantern:1>"),
    ):
        result = run(host.page(prompt=f"{own} a fox {prompt}"), script, values)
        assert "[LL424]" in result.comments
    assert host.drawn == []


def test_an_axis_brings_hires_fix_with_the_hosts_own_upscaler(host: Any):
    result = run(host.page(), "EpochGridScript", [*GRID[:5], "Denoising=0.4"])
    assert result.comments == ""
    assert {one.hr_upscaler for one in host.drawn} == {"Latent"}


def test_a_checkpoint_that_is_named_twice_is_drawn_on_once(host: Any):
    names = ["tiny-b.safetensors", "tiny-a.safetensors", "tiny-a", "tiny-b.safetensors"]
    result = run(host.page(prompt=TEMPLATE, seed=5), "ShowcaseScript", ["", names, 2, True, True])
    assert len(result.images) == 4
    drawn = [one.override_settings["sd_model_checkpoint"] for one in host.drawn]
    assert drawn == ["tiny-b.safetensors"] * 2 + ["tiny-a.safetensors"] * 2


@pytest.mark.parametrize("seed", [None, "", -1, "-1"])
def test_an_empty_seed_is_a_random_one(host: Any, seed: Any):
    result = run(host.page(prompt=TEMPLATE, seed=seed), "ShowcaseScript", SHOWCASE)
    assert (result.comments, len(result.images)) == ("", 2)


def test_a_caller_of_the_api_hears_what_is_not_drawn(host: Any):
    """Comments are for the page alone."""
    host.before_drawing(fail_from_seed(6))
    grid_page = host.page()
    grid = run(grid_page, "EpochGridScript", ["5, 6", *GRID[1:]], is_api=True)
    assert len(grid.images) == 3
    page = host.page(prompt=TEMPLATE, seed=5)
    showcase = run(page, "ShowcaseScript", SHOWCASE, is_api=True)
    assert len(showcase.images) == 1
    for said in (grid_page.extra_generation_params, page.extra_generation_params):
        assert "seed 6" in said["Not drawn"]
        assert "RuntimeError: no such tensor" in said["Not drawn"]


def test_a_caller_of_the_api_hears_that_nothing_is_drawn(host: Any):
    host.before_drawing(fail_from_seed(0))
    for script, values, more in (
        ("EpochGridScript", GRID, {}),
        ("ShowcaseScript", SHOWCASE, {"prompt": TEMPLATE}),
    ):
        with pytest.raises(HTTPException, match="RuntimeError: no such tensor") as caught:
            run(host.page(seed=5, **more), script, values, is_api=True)
        assert caught.value.status_code == 422


def fail_from_seed(first: int) -> Any:
    def fail(p: Any) -> None:
        if p.seed >= first:
            raise RuntimeError("no such tensor")

    return fail
