"""Answers that are wrong, with status 200: none is accepted, and each says what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from drawing import cell, draw, only_reason, pinned, without_loras
from loras import save_lora
from PIL import Image

from a1111_ext.api.infotext import read_infotext
from a1111_ext.cells import (
    CheckpointPin,
    HiresFix,
    plan_cells,
    run_cells,
)
from a1111_ext.cells.verify import is_noise
from a1111_ext.simulator.cards import encode_png
from a1111_ext.simulator.refusal import HttpRefusal


def picture(draw_it: Callable[[Image.Image], Image.Image]) -> Callable[[bytes], bytes]:
    """Distort the pixels of an answer; its infotext stays right."""

    def change(png: bytes) -> bytes:
        with Image.open(io.BytesIO(png)) as image:
            return encode_png(draw_it(image.convert("RGB")), read_infotext(png))

    return change


def black(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size)


def grey(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, (128, 128, 128))


def noise(image: Image.Image) -> Image.Image:
    import random

    size = image.width * image.height * 3
    return Image.frombytes("RGB", image.size, random.Random(1).randbytes(size))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (picture(black), "a black picture"),
        (picture(grey), "one plain colour"),
        (picture(noise), "nothing but noise"),
        (picture(lambda image: image.resize((32, 64))), "size: asked for 64x64, got 32x64"),
        (lambda png: png[: len(png) // 2], "one that decodes"),
        (lambda png: b"\xff\xd8\xff\xe0JFIF" + png, "a PNG"),
        (lambda png: b"", "a PNG"),
    ],
    ids=["black", "grey", "noise", "other size", "cut short", "a JPEG", "empty"],
)
def test_pictures_that_show_nothing(backend, ledger, webui, fault, words: str):
    webui.host.faults.picture = fault
    assert words in only_reason(draw(backend, ledger, cell()))
    assert ledger.done_keys() == set()
    webui.host.faults.picture = lambda png: png
    assert draw(backend, ledger, cell()).drawn == 1


def infotext(change: Callable[[str], str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Let the WebUI have drawn with other settings than were asked for."""

    def answer(data: dict[str, Any]) -> dict[str, Any]:
        info = json.loads(data["info"])
        info["infotexts"] = [change(text) for text in info["infotexts"]]
        return {**data, "info": json.dumps(info)}

    return answer


FULL = {
    "prompt": "<lora:fox-000001:0.8> a fox",
    "clip_skip": 2,
    "scheduler": "Exponential",
    "hires_fix": HiresFix(scale=1.5, steps=3),
    "subseed": 7,
    "subseed_strength": 0.0,
}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("a fox", "a dog", "prompt"),
        ("Seed: 1,", "Seed: 2,", "seed"),
        ("Steps: 2", "Steps: 3", "steps"),
        ("Sampler: Euler a", "Sampler: DPM++ 2M", "sampling method"),
        ("Schedule type: Exponential", "Schedule type: Karras", "schedule type"),
        ("CFG scale: 7.0", "CFG scale: 7.5", "CFG scale"),
        ("Size: 64x64", "Size: 72x64", "size"),
        ("Model hash: ", "Model hash: f", "checkpoint"),
        ("Clip skip: 2", "Clip skip: 3", "clip skip"),
        ("Denoising strength: 0.35", "Denoising strength: 0.7", "denoising strength"),
        ("Hires upscale: 1.5", "Hires upscale: 2", "hires upscale"),
        ("Hires steps: 3", "Hires steps: 4", "hires steps"),
        ("Hires upscaler: Latent", "Hires upscaler: Lanczos", "hires upscaler"),
        ("fox-000001: ", "fox-000001: f", "LoRA hash"),
        ('Lora hashes: "', 'Other hashes: "', "without it"),
        ("a fox", "a {red|blue} fox", "one that is expanded"),
        ("Steps: 2", "nothing", "infotext"),
    ],
)
def test_every_field_is_compared_with_the_request(
    backend, ledger, webui, old: str, new: str, what: str
):
    seen: list[str] = []

    def change(text: str) -> str:
        seen.append(text)
        if 'Lora hashes: "' not in text:  # one LoRA needs no quotes
            text = text.replace("Lora hashes: fox", 'Lora hashes: "fox').replace(
                ", Version", '", Version'
            )
        return text.replace(old, new)

    webui.host.faults.answer = infotext(change)
    reason = only_reason(draw(backend, ledger, cell(**FULL)))
    assert what in reason, seen


def test_the_same_request_is_right_as_it_is(backend, ledger):
    assert draw(backend, ledger, cell(**FULL)).drawn == 1


def test_a_checkpoint_without_hash_is_pinned_by_the_first(backend, ledger, webui):
    """The pin outlives the run: a file that was swapped under the same title is noticed."""
    unpinned = [cell(seed=seed, checkpoint=CheckpointPin("simulated-a")) for seed in (1, 2)]
    assert run_cells(plan_cells(unpinned[:1]), ledger, [backend]).drawn == 1
    webui.host.faults.answer = lambda data: {
        **data,
        "info": json.dumps({**json.loads(data["info"]), "sd_model_hash": "ffffffffff"}),
    }
    report = run_cells(plan_cells(unpinned[1:]), ledger, [backend])
    assert "now answers with ffffffffff" in only_reason(report)


@pytest.mark.parametrize(
    "answer",
    [
        lambda data: {**data, "images": data["images"] * 2},
        lambda data: {**data, "images": []},
        lambda data: {**data, "images": [None]},
        lambda data: {**data, "images": ["no base64!"]},
        lambda data: {**data, "info": "no JSON"},
        lambda data: {"detail": "?"},
    ],
    ids=["two", "none", "null", "no base64", "no info", "something else"],
)
def test_answers_without_their_one_picture(backend, ledger, webui, answer):
    webui.host.faults.answer = answer
    report = draw(backend, ledger, cell())
    assert only_reason(report)
    assert ledger.done_keys() == set()


def test_a_lora_of_another_kind_is_noticed_at_once(backend, ledger, webui):
    """Status 200, `Lora hashes` is written, and the picture is as it was."""
    save_lora(webui.host.lora_dir, "other", tensor="something_else")
    webui.host.refresh_loras()
    backend.is_back()
    cells = pinned(backend, *(cell(prompt="<lora:other:1> a fox", seed=seed) for seed in (1, 2)))
    without = [without_loras(one) for one in cells]
    controls = {one.key: other.key for one, other in zip(cells, without, strict=True)}
    plan = plan_cells([*without, *cells], controls)
    report = run_cells(plan, ledger, [backend])
    assert (report.drawn, len(report.failed)) == (2, 2)
    assert ledger.pictures.aside(cells[0].key, "rejected").is_file()
    assert not ledger.picture_path(cells[0].key).exists()


def test_a_control_that_failed_leaves_the_check_open(backend, ledger, webui):
    (one,) = pinned(backend, cell(prompt="<lora:fox-000001:1> a fox"))
    control = without_loras(one)

    def refuse(body: dict[str, Any]) -> None:
        if "<lora" not in body["prompt"]:
            raise HttpRefusal(422, "ValueError", "no")

    webui.host.faults.before = refuse
    report = run_cells(plan_cells([one, control], {one.key: control.key}), ledger, [backend])
    assert (report.drawn, report.unchecked) == (1, 1)


def test_no_picture_of_ours_looks_like_noise(backend):
    for seed in range(5):
        png = backend.generate(cell(seed=seed)).png
        with Image.open(io.BytesIO(png)) as image:
            assert not is_noise(image)
