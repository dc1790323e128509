"""What counts as another picture than the one that was asked for."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from a1111_ext.api.infotext import format_infotext, parse_infotext
from a1111_ext.cells import Cell, Generated, verify_picture
from a1111_ext.cells.cell import CheckpointPin, HiresFix, LoraUse, script_uses


def generated(schedule: str, more: str = "") -> Generated:
    """An answer as the real WebUI v1.10.1 writes it for DPM++ 2M."""
    stream = io.BytesIO()
    small = Image.frombytes("RGB", (8, 8), random.Random(1).randbytes(8 * 8 * 3))
    small.resize((64, 64), Image.Resampling.BILINEAR).save(stream, "PNG")
    text = (
        f"a fox\nSteps: 2, Sampler: DPM++ 2M, Schedule type: {schedule}, CFG scale: 7.0, Seed: 5, "
        f"Size: 64x64, Model hash: 3b3dc27587, Model: tiny-a, {more}Version: v1.10.1"
    )
    return Generated(stream.getvalue(), text, "3b3dc27587", 0.1)


@pytest.mark.parametrize(
    ("asked", "got", "expected"),
    [("Automatic", "Karras", 0), ("Karras", "Karras", 0), ("Exponential", "Automatic", 1)],
    ids=["the-sampler-decides", "as-asked", "silently-another"],
)
def test_automatic_is_whatever_the_sampler_uses(asked: str, got: str, expected: int):
    cell = Cell("a fox", 5, width=64, height=64, steps=2, sampler="DPM++ 2M", scheduler=asked)
    assert len(verify_picture(cell, generated(got))) == expected


@pytest.mark.parametrize(
    ("asked", "said", "expected"),
    [
        ("other.safetensors", "VAE: other.safetensors, ", 0),
        ("other.safetensors", "Module 1: other, ", 0),
        ("other.safetensors", "Module 1: clip_l, Module 2: other, Module 3: t5, ", 0),
        ("other.safetensors", "Module 1: clip_l, Module 2: another, ", 1),
        ("other.safetensors", "VAE: another.pt, ", 1),
        ("other.safetensors", "", 1),
        ("None", "", 0),
    ],
    ids=[
        "a1111",
        "forge",
        "forge-with-text-encoders",
        "forge-another",
        "silently-another",
        "silently-none",
        "asked-for-none",
    ],
)
def test_an_unknown_vae_is_noticed(asked: str, said: str, expected: int):
    """Both hosts draw on without a word when they have no such VAE."""
    cell = Cell("a fox", 5, width=64, height=64, steps=2, sampler="DPM++ 2M", vae=asked)
    assert len(verify_picture(cell, generated("Karras", said))) == expected


@pytest.mark.parametrize(
    ("args", "said", "expected"),
    [
        ([True, False, {"ad_model": "mediapipe_face_full"}], "ADetailer version: 25.3.0, ", 0),
        ([True, False, {"ad_modell": "mediapipe_face_full"}], "", 1),
        ([{"ad_model": "mediapipe_face_full"}], "", 1),
        ([True, False, {"ad_model": "None"}], "", 0),
        ([False, False, {"ad_model": "mediapipe_face_full"}], "", 0),
        ([], "", 0),
    ],
    ids=["it-ran", "a-wrong-key", "it-failed", "no-model", "switched-off", "no-arguments"],
)
def test_adetailer_that_did_not_run_is_noticed(args: list[Any], said: str, expected: int):
    """Seen live: a key that it does not know, and it leaves the picture alone with status 200."""
    scripts = script_uses({"ADetailer": args})
    cell = Cell("a fox", 5, width=64, height=64, steps=2, sampler="DPM++ 2M", scripts=scripts)
    found = verify_picture(cell, generated("Karras", said))
    assert [one.what for one in found] == ["ADetailer"] * expected


NEO = (
    "a fox\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 5, "
    "Size: 64x64, Model: tiny-a, Model hash: 3b3dc27587, Denoising strength: 0.35, "
    "Hires upscale: 1.5, Hires steps: 3, Hires upscaler: None, Hires sampler: Euler, "
    "Hires schedule type: Uniform, Variation seed: 7, Variation seed strength: 0.5, Clip skip: 2, "
    "RNG: CPU, Version: neo-2.26"
)
ASKED = Cell(
    "a fox",
    5,
    width=64,
    height=64,
    steps=2,
    sampler="DPM++ 2M",
    scheduler="Karras",
    clip_skip=2,
    subseed=7,
    subseed_strength=0.5,
    checkpoint=CheckpointPin("tiny-a.safetensors", "3b3dc27587" + 54 * "0"),
    hires_fix=HiresFix("None", 1.5, 0.35, 3, "Euler", "Uniform"),
)


def answered(text: str) -> Generated:
    stream = io.BytesIO()
    small = Image.frombytes("RGB", (8, 8), random.Random(1).randbytes(8 * 8 * 3))
    small.resize(ASKED.final_size, Image.Resampling.BILINEAR).save(stream, "PNG")
    return Generated(stream.getvalue(), text, "", 0.1)


@pytest.mark.parametrize("field", sorted(parse_infotext(NEO).fields))
def test_a_field_that_is_left_out_is_unknown(field: str):
    """Neo names clip skip for SD 1.x only: four right pictures of four were refused."""
    said = parse_infotext(NEO)
    kept = {name: value for name, value in said.fields.items() if name != field}
    if field != "Steps":  # by which the line of parameters is known
        assert verify_picture(ASKED, answered(format_infotext(replace(said, fields=kept)))) == ()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("Clip skip", "1"),
        ("Model hash", "ffffffffff"),
        ("Hires upscaler", "Lanczos"),
        ("Hires sampler", "Heun"),
        ("Hires schedule type", "Karras"),
        ("Variation seed", "8"),
        ("Variation seed strength", "0.6"),
    ],
)
def test_a_field_that_says_otherwise_is_noticed(field: str, other: str):
    said = parse_infotext(NEO)
    text = format_infotext(replace(said, fields={**said.fields, field: other}))
    assert len(verify_picture(ASKED, answered(text))) == 1


def test_the_answers_hash_counts_where_the_infotext_has_none():
    said = parse_infotext(NEO)
    kept = {name: one for name, one in said.fields.items() if not name.startswith("Model")}
    other = replace(
        answered(format_infotext(replace(said, fields=kept))), checkpoint_hash="ffffffffff"
    )
    assert [one.what for one in verify_picture(ASKED, other)] == ["checkpoint"]


@pytest.mark.parametrize(
    ("asked", "got", "wrong"),
    [
        ("0123456789ab", "0123456789ab", 0),
        ("0123456789ab", "0123456789", 0),  # Forge writes ten digits
        ("0123456789ab", "012345678", 1),
        ("0123456789ab", "0123456780ab", 1),  # the tenth digit differs
        ("0123456789ab", "1123456789ab", 1),
        ("", "0123456789ab", 0),
    ],
)
def test_ten_digits_of_a_loras_hash_must_agree(asked: str, got: str, wrong: int):
    cell = Cell(
        "a fox <lora:fox:1>", 5, width=64, height=64, steps=2, sampler="DPM++ 2M",
        loras=(LoraUse("fox", "1", asked),),
    )  # fmt: skip
    answer = generated("Automatic", f'Lora hashes: "fox: {got}", ')
    answer = replace(answer, infotext=answer.infotext.replace("a fox", "a fox <lora:fox:1>", 1))
    found = [one.what for one in verify_picture(cell, answer)]
    assert found == ["LoRA hash"] * wrong
