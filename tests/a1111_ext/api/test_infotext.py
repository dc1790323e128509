"""Infotexts as people's pictures hold them: read as the WebUI reads them, in linear time."""

from __future__ import annotations

import io
import random
import re
import time
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from a1111_ext.api.infotext import parse_infotext, read_fields, read_infotext, user_comment
from a1111_ext.api.lora_tags import lora_tags, multiplier_of, replace_lora, strip_loras

FIELDS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 260, Size: 512x512"
WEBUI = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""The WebUI's own expression (modules/infotext_utils.py at 82a973c), for short lines only."""


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (f"a ring\nNegative prompt: x\n{FIELDS}", "a ring", "x"),
        (f"a ring\n   {FIELDS}  ", "a ring", ""),
        (f"  a ring  \n gold \nNegative prompt:   x\n y\n{FIELDS}\n", "a ring\ngold", "x\ny"),
        ("a ring\nSampler: Euler a, Seed: 260, Steps: 20", "a ring", ""),
        (f"a ring\nNegative prompt: bad, Steps: 5, a b: 1, c d: 2\n{FIELDS}", "a ring",
         "bad, Steps: 5, a b: 1, c d: 2"),
        (f"a ring\nNegative prompt: bad\nSteps: 5, a b: 1, c d: 2\n{FIELDS}", "a ring",
         "bad\nSteps: 5, a b: 1, c d: 2"),
        (f"a ring\nNegative prompt: x\n{FIELDS}\nTemplate: a {{b|c}} ring\nNegative Template: x",
         "a ring", "x"),
        (f"a ring\nNegative prompt: x\nTemplate: {{b|c}}\nNegative Template: x\n{FIELDS}",
         "a ring", "x"),
        (f"Negative prompt: x\n{FIELDS}", "", "x"),
        (FIELDS, "", ""),
        (f"Template: a ring\n{FIELDS}", "Template: a ring", ""),
        ("a ring\nSteps: 20", "a ring", ""),
    ],
)  # fmt: skip
def test_prompts_are_reported_from_parameters(text: str, prompt: str, negative: str):
    found = parse_infotext(text)
    assert (found.prompt, found.negative_prompt) == (prompt, negative)
    assert found.fields["Steps"] == "20"


def test_fields_of_every_host_are_read():
    text = (
        'x\nSteps: 4, Distilled CFG Scale: 3.5, Hires Module 1: Use same choices, '
        'Lora hashes: "- a b: 1ba6, c: b75b", FreeU: b1=1.1 b2=1.15, Operations: up; down, '
        'Hashes: {"model": ""}, Empty: , Module 1: ae, Version: neo-2.26'
    )  # fmt: skip
    assert dict(parse_infotext(text).fields) == {
        "Steps": "4", "Distilled CFG Scale": "3.5", "Hires Module 1": "Use same choices",
        "Lora hashes": "- a b: 1ba6, c: b75b", "FreeU": "b1=1.1 b2=1.15",
        "Operations": "up; down", "Hashes": '{"model": ""}', "Empty": "", "Module 1": "ae",
        "Version": "neo-2.26",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "a ring", "a ring\nSampler: a, Seed: 1, Size: 8x8", "Template: Steps: 2, a b: c, d e: f"],
)
def test_text_without_parameters_is_refused(text: str):
    with pytest.raises(ValueError, match="no line of parameters"):
        parse_infotext(text)


def test_fields_are_those_of_the_webuis_expression():
    rng = random.Random(4)
    parts = ["a", "B9", "_", " ", "-", "/", ":", ",", '"', "\\", ".", "é", ": ", ', "x, y"', "\t"]
    for _ in range(20_000):
        line = "".join(rng.choice(parts) for _ in range(rng.randint(0, 18)))
        assert read_fields(line) == WEBUI.findall(line), line


@pytest.mark.parametrize(
    "unit",
    ["9", "-", ": ", "a b", "Steps: 2, ", 'a b: "x, ', 'a b: "\\', "Steps: 2, a b: c\n", "\n", '"'],
)
def test_200_kilobytes_are_read_at_once(unit: str):
    text = "x\nSteps: 20, " + unit * (200_000 // len(unit))
    began = time.process_time()
    parse_infotext(text)
    assert time.process_time() - began < 0.5


# -- pictures -------------------------------------------------------------------------------------

TEXT = f"ein Ring, 金の指輪\nNegative prompt: x\n{FIELDS}"


def encoded(form: str, comment: bytes) -> bytes:
    picture = Image.new("RGB", (8, 8))
    exif = picture.getexif()
    exif[0x8769] = {0x9286: comment}
    stream = io.BytesIO()
    picture.save(stream, form, exif=exif.tobytes())
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16"),
        b"ASCII\0\0\0" + TEXT.encode("utf-8"),
        b"\0" * 8 + TEXT.encode("utf-8"),
        TEXT.encode("utf-8"),
    ],
    ids=["big", "little", "marked", "ascii", "undefined", "bare"],
)
def test_exif_comments_are_read_in_every_code(tmp_path: Path, form: str, comment: bytes):
    data = encoded(form, comment)
    (tmp_path / "a").write_bytes(data)
    assert read_infotext(data) == read_infotext(tmp_path / "a") == TEXT


def test_avif_is_read_where_pillow_can(tmp_path: Path):
    from PIL import features

    if "avif" not in features.modules or not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    assert read_infotext(encoded("AVIF", b"UNICODE\0" + TEXT.encode("utf-16-be"))) == TEXT


def test_a_png_keeps_it_in_a_text_chunk():
    text = PngImagePlugin.PngInfo()
    text.add_itxt("parameters", TEXT)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=text)
    assert read_infotext(stream.getvalue()) == TEXT


def test_a_comment_in_japanese_code_is_read():
    assert user_comment(b"JIS\0\0\0\0\0" + "指輪".encode("shift_jis")) == "指輪"


def test_a_picture_without_any_has_none():
    assert read_infotext(encoded("JPEG", b"")) == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [("<lora:" * 30_000, 0), ("<lora:a" * 30_000, 0), ("<lora:a:1> " * 20_000, 20_000),
     ("<lora::" * 30_000, 0)],
    ids=["open", "one-name", "many", "empty"],
)  # fmt: skip
def test_tags_of_long_prompts_are_found_at_once(text: str, count: int):
    began = time.process_time()
    assert len(lora_tags(text)) == count
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "prompt",
    ["<lora:a>", "<lora:a:1><lora:b:0.5:x>", "x<lora::1> <lora:<lora:c:1>", "<lora:", ">", "a>b",
     "<lora:a:>", "<<lora:d:2>>", "<lora:\n:1>"],
)  # fmt: skip
def test_tags_are_those_of_the_plain_expression(prompt: str):
    plain = re.compile(r"<lora:([^:>]+)(?::([^>]*))?>")
    expected = [one.group(0) for one in plain.finditer(prompt)]
    assert [one.text for one in lora_tags(prompt)] == expected
    assert replace_lora(prompt, "d", "X") == prompt.replace("<lora:d:2>", "X")


@pytest.mark.parametrize(
    ("tag", "name", "multiplier"),
    [
        ("<lora:fox>", "fox", 1.0),
        ("<lyco:fox:0.7>", "fox", 0.7),
        ("<lora:fox:1:lbw=MIDD:stop=12>", "fox", 1.0),
        ("<lora:fox:lbw=0,0,1:0.6>", "fox", 0.6),
        ("<lora:fox:te=0.5:unet=0.9>", "fox", 0.5),
        ("<lora:te=0.5:fox:0.9>", "fox", 0.5),
        ("<lora:fox:0.5:0.8:16>", "fox", 0.5),
        ("<lora:my fox (v1.2) [new]:-0.4>", "my fox (v1.2) [new]", -0.4),
        ("<lora:狐、一:0.8>", "狐、一", 0.8),
        ("<lora:fox, red:0.8>", "fox, red", 0.8),
        ("<lora:a=b=c:0.8>", "a=b=c", 0.8),
        ("<lora:fox:>", "fox", None),
        ("<lora:fox:high>", "fox", None),
        ("<lora:fox:1:unet=high>", "fox", None),
        ("<lora:fox:1:1:half>", "fox", None),
    ],
)
def test_tags_are_read_as_the_webui_reads_them(tag: str, name: str, multiplier: float | None):
    (found,) = lora_tags(f"a {tag} b")
    assert (found.name, found.multiplier, found.text) == (name, multiplier, tag)
    assert multiplier_of(found.weight) == multiplier
    assert strip_loras(f"a {tag} b") == strip_loras(f"a {tag} b", name) == "a b"
    assert strip_loras(f"a {tag} b", "other") == f"a {tag} b"


@pytest.mark.parametrize("tag", ["<lora:lbw=x>", "<lora:a=b:c=d>", "<Lora:fox:1>", "<lora::1>"])
def test_tags_that_name_no_lora_are_none(tag: str):
    assert lora_tags(tag) == ()
    assert strip_loras(tag) == tag


def test_names_stand_among_the_hashes_without_colon_and_comma():
    (tag,) = lora_tags("<lora:fox, red:0.8>")
    assert tag.hashed_as == "fox red"


def test_hashes_are_compared_in_small_letters():
    """Sites show them in capitals, and other programs write them so."""
    text = 'a fox\nSteps: 2, Seed: 7, Model hash: ABCDEF0123, Lora hashes: "fox: 0A1B2C3D4E5F"'
    infotext = parse_infotext(text)
    assert infotext.fields["Model hash"] == "abcdef0123"
    assert infotext.lora_hashes() == {"fox": "0a1b2c3d4e5f"}
