"""Axis values as the X/Y/Z plot reads them, and whole tokens that no search cuts in two."""

from __future__ import annotations

import random

import pytest

from a1111_ext.cells.cell import Cell, LoraUse
from a1111_ext.grids.axes import (
    Axis,
    ReplaceText,
    SetLoraWeight,
    UseLora,
    parse_axis,
    replace_text,
    resolve_seeds,
)
from a1111_ext.grids.skipping import parse_skip_rule
from a1111_ext.grids.values import parse_list, parse_real_numbers, parse_whole_numbers
from kohya_ext.project import InputError, ToolError


def axis(text: str) -> Axis:
    return parse_axis(text, random.Random(1))


def applied(text: str, prompt: str = "a red fox", **more: object) -> list[Cell]:
    base = Cell(prompt=prompt, seed=1, negative_prompt="dull red")
    cells = []
    for value in axis(text).values:
        cell = base
        for edit in value.edits:
            cell = edit.apply(cell)
        cells.append(cell)
    return cells


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red, blue", ("red", "blue")),
        ('"red, dark", blue', ("red, dark", "blue")),
        ('"say ""hi""", b', ('say "hi"', "b")),
        ("red\nblue", ("red", "blue")),
        ("  red  ,b ", ("red", "b")),
        ("a,,b", ("a", "", "b")),
    ],
)
def test_lists_are_csv(text: str, expected: tuple[str, ...]):
    assert parse_list(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-3", (1, 2, 3)),
        ("1-10 (+4)", (1, 5, 9)),
        ("1-10 [3]", (1, 5, 10)),
        ("-1, -1", (-1, -1)),
        ("5, 1-2", (5, 1, 2)),
        ("3-1 (-1)", (3,)),  # as the WebUI: the end moves by one upwards
        ("7 [1]", None),
        ("1-5 [1]", (1,)),
    ],
)
def test_whole_numbers_and_ranges(text: str, expected: tuple[int, ...] | None):
    """Measured on the WebUI: `1-10 (+4)` is 1, 5, 9 and `1-10 [3]` is 1, 5, 10."""
    if expected is None:
        with pytest.raises(ToolError, match="LL506"):
            parse_whole_numbers(text, "Seed")
    else:
        assert parse_whole_numbers(text, "Seed") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5, 1", (0.5, 1.0)),
        ("0.5-1 (+0.25)", (0.5, 0.75, 1.0)),
        ("0-1 [3]", (0.0, 0.5, 1.0)),
        ("5-7", (5.0, 6.0, 7.0)),
    ],
)
def test_real_numbers_and_ranges(text: str, expected: tuple[float, ...]):
    assert parse_real_numbers(text, "CFG Scale") == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "0-99999999999999999999999",
        "1-99999999999999999999999999",
        "9" * 5000,
        "1-2 [" + "9" * 30 + "]",
    ],
)
@pytest.mark.parametrize("read", [parse_whole_numbers, parse_real_numbers])
def test_ranges_without_end_are_one_sentence(read, text: str):
    with pytest.raises(ToolError, match="LL506") as caught:
        read(text, "Seed")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("read", [parse_whole_numbers, parse_real_numbers])
def test_letters_are_not_reported_as_a_number_too_long(read):
    with pytest.raises(InputError, match="neither a number nor a range") as caught:
        read("a" * 10_000, "Seed")
    assert len(str(caught.value)) < 300


LONG = "-" * 10_000
NAMES = ("Steps", "CFG Scale", "Size", "Clip skip", "Several", "LoRA weight")


@pytest.mark.parametrize("text", [LONG, f"{LONG}=1", *(f"{name}={LONG}" for name in NAMES)])
def test_a_long_text_in_the_place_of_an_axis_is_cut(text: str):
    with pytest.raises(InputError) as caught:
        axis(text)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("text", ["", " ", ",", ", ,", "\n", "5-4", "1, 1-0", "1-5 [0]"])
@pytest.mark.parametrize("read", [parse_whole_numbers, parse_real_numbers])
def test_an_axis_without_numbers_is_refused(read, text: str):
    with pytest.raises(
        InputError, match=r"The axis Seed has no values|contains no number"
    ) as caught:
        read(text, "Seed")
    assert caught.value.code == "LL506"


@pytest.mark.parametrize(
    "text", ["x", "nan", "inf", "1-5 (+0)", "1-99999999", "0-1 [99999]", "1e400"]
)
def test_numbers_that_cannot_be_used(text: str):
    with pytest.raises(ToolError, match="LL506"):
        parse_real_numbers(text, "CFG Scale")


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("CFG Scale=5,7.5", "cfg_scale", [5.0, 7.5]),
        ("steps = 4, 8", "steps", [4, 8]),
        ("Sampler=Euler a,DDIM", "sampler", ["Euler a", "DDIM"]),
        ("schedule_type=Karras", "scheduler", ["Karras"]),
        ("Clip skip=1,2", "clip_skip", [1, 2]),
        ("VAE=None", "vae", ["None"]),
        ("Negative prompt=a,b", "negative_prompt", ["a", "b"]),
        ("Var. seed=3", "subseed", [3]),
        ("Var. strength=0.5", "subseed_strength", [0.5]),
    ],
)
def test_axes_change_one_field(text: str, field: str, values: list[object]):
    assert [getattr(cell, field) for cell in applied(text)] == values


def test_size_checkpoint_and_hires_axes():
    assert [(c.width, c.height) for c in applied("Size=512x768, 64 x 64")] == [(512, 768), (64, 64)]
    assert [c.checkpoint.title for c in applied("Checkpoint name=a,b")] == ["a", "b"]
    (one,) = applied("Hires upscaler=Lanczos")
    assert one.hires_fix is not None
    assert one.hires_fix.upscaler == "Lanczos"
    (two,) = applied("Denoising=0.4")
    assert two.hires_fix is not None
    assert two.hires_fix.denoising_strength == 0.4


def test_search_and_replace_is_the_webui_s():
    red, blue = applied('Prompt S/R=red,"blue, dark"')
    assert (red.prompt, red.negative_prompt) == ("a red fox", "dull red")
    assert (blue.prompt, blue.negative_prompt) == ("a blue, dark fox", "dull blue, dark")


def test_a_search_that_finds_nothing():
    with pytest.raises(ToolError, match=r'did not find "Red".*LL507'):
        applied("Prompt S/R=Red,blue")


def test_a_number_is_never_cut():
    text = "<lora:a-000001:1> and <lora:a-0000010:1>"
    assert replace_text(text, "-000001", "-000002") == (
        "<lora:a-000002:1> and <lora:a-0000010:1>",
        1,
    )


@pytest.mark.parametrize(
    ("search", "hits"),
    [
        ("foo-1", 0),
        ("foo-10", 1),
        ("<lora:foo-10:0.8>", 1),
        ("0.8", 1),
        (".8", 0),
        ("8", 0),
        ("1>", 0),
        (":0.8>", 1),
    ],
)
def test_tags_are_replaced_as_whole_tokens(search: str, hits: int):
    assert replace_text("x <lora:foo-10:0.8> y", search, "Z")[1] == hits


def test_outside_tags_a_search_is_literal():
    assert replace_text("cat category", "cat", "dog") == ("dog dogegory", 2)
    assert replace_text("cat", "", "dog") == ("cat", 0)


def test_the_weight_idiom_works():
    (_, second) = applied("Prompt S/R=1>,0.8>", prompt="<lora:a:1> red")
    assert second.prompt == "<lora:a:0.8> red"


def test_one_value_may_change_several_things():
    first, second = applied(
        "Several=as it is, warm: red=>orange; CFG Scale=5; Size=64x64", prompt="red fox"
    )
    assert (first.prompt, first.cfg_scale) == ("red fox", 7.0)
    assert (second.prompt, second.cfg_scale, second.width) == ("orange fox", 5.0, 64)
    assert [value.label for value in axis("Several=-, warm: red=>x").values] == ["-", "warm"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Colour=red", "LL505"),
        ("Steps", "LL505"),
        ("Steps=", "LL506"),
        ("Steps=0", "LL506"),
        ("CFG Scale=-1", "LL506"),
        ("Size=large", "LL506"),
        ("Size=4x4", "LL506"),
        ("Several=x: Steps=1-3", "LL506"),
        ("Several=x: Colour=red", "LL505"),
    ],
)
def test_axes_that_cannot_be_used(text: str, code: str):
    with pytest.raises(ToolError, match=code):
        axis(text)


def test_a_misspelt_axis_is_guessed():
    with pytest.raises(ToolError, match="Did you mean Sampler"):
        axis("Samplr=DDIM")


def test_random_seeds_are_drawn_once():
    seeds = resolve_seeds([-1, 5, -1], random.Random(3))
    assert seeds[1] == 5
    assert len({*seeds}) == 3
    assert min(seeds) >= 0
    assert resolve_seeds([-1, 5, -1], random.Random(3)) == seeds


def test_a_search_sees_the_weight_but_not_the_name():
    cell = Cell(prompt="x {lora} fox", seed=1, loras=(LoraUse("fox"),))
    weighted = SetLoraWeight(0.75).apply(UseLora("fox-4").apply(cell))
    assert weighted.loras == (LoraUse("fox-4", "0.75"),)
    assert ReplaceText("fox", "hen").apply(weighted).prompt == "x {lora} hen"
    lighter = ReplaceText("0.75>", "0.5:0.2>").apply(weighted)
    assert (lighter.prompt, lighter.loras) == ("x {lora} fox", (LoraUse("fox-4", "0.5:0.2"),))


def test_skip_rules_name_values_and_wildcards():
    axes = [axis("Steps=4,8"), axis("Sampler=Euler,Euler a,DDIM")]
    rule = parse_skip_rule("steps=4 & Sampler=Euler*", axes)
    assert [rule.skips((0, 0)), rule.skips((0, 1)), rule.skips((0, 2)), rule.skips((1, 0))] == [
        True,
        True,
        False,
        False,
    ]
    assert parse_skip_rule("Steps=4|8", axes).skips((1, 2))


@pytest.mark.parametrize("text", ["Colour=red", "Steps=5", "Steps", "Steps=4 & "])
def test_skip_rules_that_cannot_be_used(text: str):
    with pytest.raises(ToolError, match="LL508"):
        parse_skip_rule(text, [axis("Steps=4,8")])
