"""What counts as another picture than the one that was asked for."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

from a1111_ext.cells import Cell, Generated, verify_picture
from a1111_ext.cells.cell import script_uses


def generated(schedule: str, more: str = "") -> Generated:
    """An answer as the real WebUI v1.10.1 writes it for DPM++ 2M."""
    from PIL import Image

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
        ("other.safetensors", "VAE: another.pt, ", 1),
        ("other.safetensors", "", 1),
        ("None", "", 0),
    ],
    ids=["a1111", "forge", "silently-another", "silently-none", "asked-for-none"],
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
