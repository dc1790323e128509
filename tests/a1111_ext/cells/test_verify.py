"""What counts as another picture than the one that was asked for."""

from __future__ import annotations

import io
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from a1111_ext.api.infotext import format_infotext, parse_infotext
from a1111_ext.cells import Cell, Generated, verify_picture
from a1111_ext.cells.adetailer import without_adetailer
from a1111_ext.cells.cell import (
    CheckpointPin,
    EmbeddingUse,
    HiresFix,
    LoraUse,
    SourcePicture,
    script_uses,
)
from a1111_ext.cells.verify import generated_from_png, is_noise


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


FACE, HAND = {"ad_model": "mediapipe_face_full"}, {"ad_model": "hand.pt"}


@pytest.mark.parametrize(
    ("args", "said", "expected"),
    [
        ([True, False, FACE], "ADetailer model: mediapipe_face_full, ADetailer version: 25, ", 0),
        ([FACE, HAND], "ADetailer model: mediapipe_face_full, ADetailer model 2nd: hand.pt, ", 0),
        ([FACE, HAND], "ADetailer model: mediapipe_face_full, ADetailer version: 25, ", 1),
        ([FACE | {"ad_tab_enable": False}], "", 0),
        ([FACE | {"ad_tab_enable": False}, HAND], "ADetailer model 2nd: hand.pt, ", 0),
        ([FACE], "ADetailer model: hand.pt, ADetailer version: 25, ", 1),
        ([True, False, {"ad_modell": "mediapipe_face_full"}], "", 1),
        ([FACE], "", 1),
        ([True, False, {"ad_model": "None"}], "", 0),
        ([False, False, {"ad_model": "mediapipe_face_full"}], "", 0),
        ([], "", 0),
    ],
    ids=[
        "it-ran",
        "both-ran",
        "the-second-failed",
        "a-tab-is-off",
        "the-first-tab-is-off",
        "another-model",
        "a-wrong-key",
        "it-failed",
        "no-model",
        "switched-off",
        "no-arguments",
    ],
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


PLAIN = Cell("a fox", 5, width=64, height=64, steps=2, sampler="DPM++ 2M")


def wrong(cell: Cell, said: str = "", **changes: Any) -> list[str]:
    """What is found of an answer that says `said` besides; `changes` are of the answer."""
    answer = replace(generated("Karras", said), **changes)
    return [one.what for one in verify_picture(cell, answer)]


def test_other_scripts_are_not_adetailer():
    others = {name: [True, {"ad_model": "x"}] for name in ("a", "zzz")}
    assert wrong(replace(PLAIN, scripts=script_uses(others))) == []
    both = replace(PLAIN, scripts=script_uses({**others, "ADetailer": [True]}))
    assert [one.name for one in without_adetailer(both).scripts] == ["a", "zzz"]


@pytest.mark.parametrize(
    ("asked", "said", "found"),
    [
        ("0123456789ab", "VAE hash: 0123456789cd, ", []),  # the eleventh digit differs
        ("0123456789", "VAE hash: 0123456788, ", ["VAE hash"]),
        ("0123456789", "VAE hash: 0123456790, ", ["VAE hash"]),
        ("0123456789", "", []),
        ("", "VAE hash: 0123456789, ", []),
    ],
)
def test_ten_digits_of_a_vaes_hash_must_agree(asked: str, said: str, found: list[str]):
    assert wrong(replace(PLAIN, vae_hash=asked), said) == found


@pytest.mark.parametrize(
    ("vae", "said", "found"),
    [
        ("None", "VAE: x, ", ["VAE"]),
        ("", "VAE: x, ", []),
        ("Automatic", "VAE: x, ", []),
        ("tiny-a", "", ["VAE"]),  # the checkpoint's name
        ("v1.10.1", "", ["VAE"]),  # the version's
    ],
)
def test_a_vae_is_found_under_its_own_names_alone(vae: str, said: str, found: list[str]):
    assert wrong(replace(PLAIN, vae=vae), said) == found


def test_a_vae_that_was_not_used_is_named_beside_what_was():
    (one,) = verify_picture(replace(PLAIN, vae="b.pt"), generated("Karras"))
    assert (one.asked, one.got) == ("'b'", "'none'")
    (one,) = verify_picture(replace(PLAIN, vae="b.pt"), generated("Karras", "VAE: a.pt, "))
    assert one.got == "'a'"


@pytest.mark.parametrize("size", [(64, 72), (72, 64), (56, 64), (64, 56)])
def test_any_other_size_is_noticed(size: tuple[int, int]):
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, "PNG")
    answer = replace(generated("Karras"), png=stream.getvalue())
    (found,) = verify_picture(PLAIN, answer)
    assert str(found) == f"size: asked for 64x64, got {size[0]}x{size[1]}"


@pytest.mark.parametrize(
    ("title", "found"),
    [("m.safetensors [0123456789]", 1), ("z.ckpt", 1), ("tiny-a.safetensors [01]", 0)],
)
def test_a_checkpoint_without_a_hash_goes_by_its_name(title: str, found: int):
    said = "Model hash: 3b3dc27587, "
    answer = generated("Karras")
    answer = replace(answer, infotext=answer.infotext.replace(said, ""), checkpoint_hash="")
    assert len(verify_picture(replace(PLAIN, checkpoint=CheckpointPin(title)), answer)) == found


def test_another_checkpoint_is_shown_by_ten_digits():
    pin = CheckpointPin("b.safetensors", "0123456789abcdef")
    (found,) = verify_picture(replace(PLAIN, checkpoint=pin), generated("Karras"))
    assert found.asked == "b.safetensors (0123456789)"


def test_a_schedule_before_automatic_in_the_alphabet_is_asked_for_too():
    assert wrong(replace(PLAIN, scheduler="Align Your Steps")) == ["schedule type"]


def test_a_random_variation_seed_may_be_any():
    cell = replace(PLAIN, subseed=-1, subseed_strength=0.5)
    assert wrong(cell, "Variation seed: 7, Variation seed strength: 0.5, ") == []


def test_an_upscaled_picture_has_a_size_of_its_own():
    source = SourcePicture("a.png", "0", 0.35)
    other = generated("Karras", "Denoising strength: 0.35, ")
    text = other.infotext.replace("64x64", "32x32")
    assert wrong(PLAIN, infotext=text) == ["size"]
    assert wrong(replace(PLAIN, source=source), infotext=text) == []


def test_hires_steps_count_when_some_were_asked_for():
    hires = replace(ASKED, hires_fix=HiresFix("None", 1.5, 0.35, 0, "Euler", "Uniform"))
    assert verify_picture(hires, answered(NEO)) == ()
    other = replace(ASKED, hires_fix=HiresFix("None", 1.5, 0.35, 4, "Euler", "Uniform"))
    assert [one.what for one in verify_picture(other, answered(NEO))] == ["hires steps"]


@pytest.mark.parametrize(
    ("asked", "said", "found"),
    [
        ("0123456789ab", 'TI hashes: "fox: 0123456789cd", ', 0),
        ("0123456789ab", 'TI hashes: "fox: 0123456780ab", ', 1),
        ("0123456789ab", 'TI hashes: "fox: 012345678", ', 1),
        ("0123456789ab", "", 0),
        ("", 'TI hashes: "fox: 0123456789ab", ', 0),
    ],
)
def test_ten_digits_of_an_embeddings_hash_must_agree(asked: str, said: str, found: int):
    cell = replace(PLAIN, embeddings=(EmbeddingUse("fox", asked),))
    assert wrong(cell, said) == ["embedding hash"] * found


def test_a_missing_module_is_named_beside_those_that_are_there():
    cell = replace(PLAIN, modules=("clip_l.safetensors", "t5.v1.safetensors"))
    (none,) = verify_picture(cell, generated("Karras"))
    assert (none.asked, none.got) == ("'clip_l, t5.v1'", "'none'")
    (one,) = verify_picture(cell, generated("Karras", "Module 1: clip_l, "))
    assert (one.asked, one.got) == ("'t5.v1'", "'clip_l'")


def test_a_value_that_is_not_a_number_is_compared_as_it_stands():
    assert wrong(PLAIN, "Clip skip: two, ") == ["clip skip"]


def test_an_answer_without_parameters_says_so():
    assert wrong(PLAIN, infotext="") == ["infotext"]


def with_chunk(kind: bytes, data: bytes, *, sound: bool = True) -> bytes:
    """A small PNG with one more chunk behind its header."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "PNG")
    png, end = stream.getvalue(), 33
    crc = zlib.crc32(kind + data) ^ (not sound)
    chunk = len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")
    return png[:end] + chunk + png[end:]


DAMAGED = {
    "cut short": generated("Karras").png[:60],
    "a chunk's checksum is wrong": with_chunk(b"tEXt", b"a\0b", sound=False),
    "a text of two megabytes": with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2_000_000))),
}


@pytest.mark.parametrize("png", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_picture_is_a_mismatch(png: bytes):
    assert wrong(PLAIN, png=png) == ["picture"]
    assert generated_from_png(png) is None


def test_a_kept_picture_is_the_answer_that_it_was():
    stream = io.BytesIO()
    text = PngInfo()
    text.add_text("parameters", generated("Karras").infotext)
    Image.new("RGB", (64, 64)).save(stream, "PNG", pnginfo=text)
    assert generated_from_png(stream.getvalue()) == Generated(
        stream.getvalue(), generated("Karras").infotext, "3b3dc27587", 0.0
    )
    assert generated_from_png(with_chunk(b"tEXt", b"a\0b")) is None


def test_black_is_what_has_no_value_above_three():
    def found(value: int) -> list[str]:
        stream = io.BytesIO()
        image = Image.new("RGB", (64, 64))
        image.paste((value, value, value), (0, 0, 9, 9))
        image.save(stream, "PNG")
        answer = replace(generated("Karras"), png=stream.getvalue())
        return [one.got for one in verify_picture(PLAIN, answer)]

    assert [found(value) for value in (2, 3, 4)] == [["a black picture"], ["a black picture"], []]


# -- noise -------------------------------------------------------------------------------------


def noise(width: int, height: int, values: str) -> Image.Image:
    """White noise of low contrast: `values` around 128, each as often as any other."""
    chosen = random.Random(3).choices([128 + int(one) for one in values.split()], k=width * height)
    return Image.frombytes("L", (width, height), bytes(chosen)).convert("RGB")


SOME = "-8 -4 0 4 8"


@pytest.mark.parametrize(
    ("size", "expected"), [((16, 16), True), ((64, 16), True), ((15, 64), False), ((64, 15), False)]
)
def test_noise_is_reported_from_sixteen_pixels_on(size: tuple[int, int], expected: bool):
    assert is_noise(noise(*size, SOME)) is expected


def test_neighbours_alike_in_one_direction_are_no_noise():
    small = noise(32, 64, SOME)
    assert not is_noise(small.resize((64, 64), Image.Resampling.NEAREST))
    assert not is_noise(noise(64, 32, SOME).resize((64, 64), Image.Resampling.NEAREST))


def test_nearly_plain_is_no_noise():
    assert not is_noise(noise(64, 64, "0 1"))
    assert is_noise(noise(64, 64, "-1 0 1 2"))


@pytest.mark.parametrize("size", [(700, 600), (600, 700)])
def test_the_middle_of_a_large_picture_is_looked_at(size: tuple[int, int]):
    image = Image.new("RGB", size, "white")
    left, top = (size[0] - 512) // 2, (size[1] - 512) // 2
    image.paste(noise(512, 512, SOME), (left, top))
    assert is_noise(image)
    image = noise(*size, SOME)
    image.paste(Image.linear_gradient("L").resize((512, 512)).convert("RGB"), (left, top))
    assert not is_noise(image)
