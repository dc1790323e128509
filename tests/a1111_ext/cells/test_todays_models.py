"""Flux, Chroma, Lumina, Anima, Qwen-Image and Z-Image: what Forge and Forge Neo need for them."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from a1111_ext.api.capabilities import Capabilities
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.api.payloads import picture_request
from a1111_ext.cells import Cell, Generated, verify_picture
from a1111_ext.cells.cell import HiresFix, cell_from_dict
from a1111_ext.cells.cell_plan import pin_cell
from a1111_ext.grids.axes import parse_axis
from a1111_ext.grids.plan import request_from
from kohya_ext.project import ToolError
from kohya_ext.project.families import Family
from kohya_ext.project.manifest_reader import parse_manifest

PLAIN = Cell("a fox", 5, width=64, height=64, steps=2, sampler="DPM++ 2M")
FLUX = replace(PLAIN, distilled_cfg_scale=3.5, modules=("ae", "clip_l", "t5xxl_fp8"))
MODULES = "Module 1: ae, Module 2: t5xxl_fp8, Module 3: clip_l, "


def generated(said: str) -> Generated:
    """An answer as Forge Neo writes it, cut short."""
    stream = io.BytesIO()
    small = Image.frombytes("RGB", (8, 8), random.Random(1).randbytes(8 * 8 * 3))
    small.resize((64, 64), Image.Resampling.BILINEAR).save(stream, "PNG")
    text = (
        "a fox\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7.0, Seed: 5, "
        f"Size: 64x64, {said}Version: neo-2.26"
    )
    return Generated(stream.getvalue(), text, "", 0.1)


@pytest.fixture
def a1111(client: Client) -> Capabilities:
    return replace(fetch_capabilities(client), is_simulated=False)


@pytest.fixture
def forge(a1111: Capabilities) -> Capabilities:
    return replace(a1111, is_forge=True)


def test_forge_is_asked_for_modules_and_distilled_cfg(forge: Capabilities):
    _, body = picture_request(FLUX, forge)
    assert body["distilled_cfg_scale"] == 3.5
    modules = body["override_settings"]["forge_additional_modules"]
    assert modules == ["ae", "clip_l", "t5xxl_fp8"]
    assert body["override_settings_restore_afterwards"] is False  # or it would load them again
    _, body = picture_request(replace(FLUX, vae="other"), forge)
    assert body["override_settings"]["forge_additional_modules"] == [*FLUX.modules, "other"]


def test_nothing_is_asked_where_nothing_is_set(forge: Capabilities):
    _, body = picture_request(PLAIN, forge)
    assert "distilled_cfg_scale" not in body
    assert "forge_additional_modules" not in body["override_settings"]


def test_a1111_refuses_what_it_would_ignore(a1111: Capabilities, forge: Capabilities):
    for cell in (replace(PLAIN, distilled_cfg_scale=3.0), replace(PLAIN, modules=("ae",))):
        pin_cell(cell, forge)
        with pytest.raises(ToolError, match=r"is A1111, which has no distilled CFG.*LL422"):
            pin_cell(cell, a1111)


@pytest.mark.parametrize("family", list(Family), ids=str.__str__)
def test_a1111_draws_its_own_families_only(
    family: Family, a1111: Capabilities, forge: Capabilities
):
    forge.require_family(family)
    if family in (Family.SD15, Family.SD2, Family.SDXL, Family.SD3):
        a1111.require_family(family)
        return
    with pytest.raises(ToolError, match=rf"A1111, which does not draw {family.facts.title}.*LL423"):
        a1111.require_family(family)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (f"Distilled CFG Scale: 3.5, {MODULES}", []),
        (f"Shift: 3.5, {MODULES}", []),
        (MODULES, []),
        (f"Distilled CFG Scale: 3.0, {MODULES}", ["distilled CFG scale"]),
        (f"Shift: 9.0, {MODULES}", ["distilled CFG scale"]),
        ("Distilled CFG Scale: 3.5, Module 1: ae, Module 2: clip_l, ", ["modules"]),
        ("Distilled CFG Scale: 3.5, ", ["modules"]),
    ],
)
def test_infotexts_are_compared_with_both(said: str, what: list[str]):
    found = verify_picture(FLUX, generated(said))
    assert [one.what for one in found] == what


HIRES = replace(FLUX, cfg_scale=6.0, hires_fix=HiresFix("None", 1.0, 0.35))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("Hires CFG Scale: 6.0, ", []),
        ("Hires CFG Scale: 1.0, ", ["hires CFG scale"]),
        ("Hires Distilled CFG Scale: 3.5, ", []),
        ("Hires Shift: 3.5, ", []),
        ("Hires Shift: 3.0, ", ["hires distilled CFG scale"]),
        ("Hires Module 1: Use same choices, ", []),
    ],
)
def test_the_second_pass_is_compared_too(said: str, what: list[str]):
    answer = generated(f"{MODULES}Hires upscale: 1, Hires upscaler: None, {said}")
    answer = replace(answer, infotext=answer.infotext.replace("CFG scale: 7.0", "CFG scale: 6.0"))
    assert [one.what for one in verify_picture(HIRES, answer)] == what
    own = replace(HIRES, hires_fix=HiresFix("None", 1.0, 0.35, cfg_scale=6.0), cfg_scale=7.0)
    answer = replace(answer, infotext=answer.infotext.replace("CFG scale: 6.0", "CFG scale: 7.0"))
    assert [one.what for one in verify_picture(own, answer)] == what


def test_forge_is_reported_the_second_cfg_scale(forge: Capabilities, a1111: Capabilities):
    """Its own default is 1: the negative prompt would not count."""
    _, body = picture_request(HIRES, forge)
    assert (body["hr_cfg"], body["hr_distilled_cfg"]) == (6.0, 3.5)
    _, body = picture_request(replace(PLAIN, hires_fix=HiresFix("None", cfg_scale=2.0)), forge)
    assert body["hr_cfg"] == 2.0
    assert "hr_distilled_cfg" not in body
    _, body = picture_request(replace(PLAIN, hires_fix=HiresFix("None")), a1111)
    assert body["hr_cfg"] == 7.0  # reForge has A1111's routes, and this field


def test_no_setting_of_the_webui_decides_on_faces_and_tiles(a1111: Capabilities):
    _, body = picture_request(PLAIN, a1111)
    assert (body["restore_faces"], body["tiling"]) == (False, False)
    _, body = picture_request(replace(PLAIN, override_settings_json='{"tiling": true}'), a1111)
    assert body["tiling"] is True


@pytest.mark.parametrize(("size", "is_right"), [((96, 96), True), ((88, 96), False)])
def test_neo_rounds_the_second_pass_to_its_own_step(size: tuple[int, int], is_right: bool):
    """96 is 1.4 times 64, rounded to 32 or to 16; A1111 makes 88 of it, on both sides."""
    cell = replace(PLAIN, hires_fix=HiresFix("None", 1.4, 0.35))
    assert cell.final_size == (88, 88)
    answer = generated("Hires upscale: 1.4, Hires upscaler: None, ")
    with Image.open(io.BytesIO(answer.png)) as picture:
        stream = io.BytesIO()
        picture.resize(size).save(stream, "PNG")
    answer = replace(answer, png=stream.getvalue())
    assert (verify_picture(cell, answer) == ()) is is_right


def test_older_requests_keep_their_keys():
    hires = replace(PLAIN, hires_fix=HiresFix("Latent"))
    assert "null" not in json.dumps(json.loads(hires.as_json())["hires_fix"])
    assert cell_from_dict(json.loads(hires.as_json())) == hires
    assert "modules" not in PLAIN.as_json()
    assert "distilled" not in PLAIN.as_json()
    assert FLUX.key != PLAIN.key
    whole = replace(FLUX, distilled_cfg_scale=3)
    assert whole.key == replace(FLUX, distilled_cfg_scale=3.0).key
    assert whole.with_seed(6).key == replace(whole, seed=6).key


def test_a_cell_survives_json():
    assert cell_from_dict(json.loads(json.dumps(FLUX.as_dict()))) == FLUX


@pytest.mark.parametrize("name", ["Distilled CFG Scale", "Shift"])
def test_both_are_axes(name: str):
    axis = parse_axis(f"{name}=1,3.5", random.Random(1))
    assert [one.edits[0].apply(PLAIN).distilled_cfg_scale for one in axis.values] == [1.0, 3.5]


def test_a_manifest_asks_for_them():
    text = "trigger_word: Quillfox\ngrid:\n  picture: {distilled_cfg_scale: 3.5, modules: [ae]}\n"
    asked = request_from(parse_manifest(text, Path("m.yaml")))
    plain = request_from(parse_manifest("trigger_word: Quillfox\n", Path("m.yaml")))
    assert (asked.picture.distilled_cfg_scale, asked.picture.modules) == (3.5, ("ae",))
    assert asked.digest != plain.digest


@pytest.mark.parametrize(
    ("family", "cfg_scale", "size"),
    [("sd15", 7.0, 512), ("sdxl", 6.0, 1024), ("flux", 1.0, 1024), ("sd3", 4.5, 1024)],
)
def test_cfg_scale_and_size_are_the_familys_own(family: str, cfg_scale: float, size: int):
    text = f"trigger_word: Quillfox\nbase_model: {{family: {family}}}\n"
    for picture in (
        parse_manifest(text, Path("x")).grid.picture,
        parse_manifest(text, Path("x")).showcase.picture,
    ):
        assert (picture.cfg_scale, picture.width, picture.height) == (cfg_scale, size, size)
    own = f"{text}grid: {{picture: {{cfg_scale: 2, width: 832}}}}\n"
    picture = parse_manifest(own, Path("x")).grid.picture
    assert (picture.cfg_scale, picture.width, picture.height) == (2.0, 832, 512)


@pytest.mark.parametrize(
    ("family", "shift"),
    [("lumina", 6.0), ("anima", 3.0), ("z-image", 9.0), ("flux", None), ("sdxl", None)],
)
def test_the_shift_is_the_familys_own(family: str, shift: float | None, forge: Capabilities):
    """The API of Forge Neo would take 3.5 for each; its page has these, Flux has 3.5 anyway."""
    text = f"trigger_word: Quillfox\nbase_model: {{family: {family}}}\n"
    manifest = parse_manifest(text, Path("lora-project.yaml"))
    assert manifest.showcase.picture.distilled_cfg_scale == shift
    assert request_from(manifest).picture.distilled_cfg_scale == shift
    own = f"{text}grid: {{picture: {{distilled_cfg_scale: 2}}}}\n"
    assert parse_manifest(own, Path("x")).grid.picture.distilled_cfg_scale == 2
