"""Is the picture that came back the one that was asked for? Status 200 says nothing about it.

A setting that an infotext does not name is unknown, not wrong: hosts leave out what they take for
granted. Only LoRAs and VAEs say by their absence that they were not used.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..api.infotext import Infotext, parse_infotext
from ..api.lora_tags import hashed_as
from .adetailer import detectors_of
from .cell import Cell

if TYPE_CHECKING:
    from PIL import Image

AUTOMATIC = "Automatic"
"""The sampler's own schedule type: the infotext then says which one, DPM++ 2M's is Karras."""

_BLACK = 3
"""A picture without a brighter value than this, of 255, is black."""

_NOISE = 1.5
"""Neighbours in white noise differ by 2 times the variance; in any picture by far less."""

_LOOK_PIXELS = 512


@dataclass(frozen=True)
class Generated:
    """One answer: the picture's bytes as they came, its infotext, and how long it took."""

    png: bytes
    infotext: str
    checkpoint_hash: str
    seconds: float


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as it was asked for."""

    what: str
    asked: str
    got: str

    def __str__(self) -> str:
        return f"{self.what}: asked for {self.asked}, got {self.got}"


@dataclass(frozen=True)
class Checked:
    """What a check found: mismatches, and the hash of the pixels ("" when there are none)."""

    mismatches: tuple[Mismatch, ...]
    pixels: str


def verify_picture(cell: Cell, generated: Generated) -> tuple[Mismatch, ...]:
    """Return everything in which an answer differs from its cell; nothing when all is right."""
    return check_picture(cell, generated).mismatches


def check_picture(cell: Cell, generated: Generated) -> Checked:
    """Decode an answer once: compare it with its cell, and hash its pixels."""
    found, pixels = _check_pixels(cell, generated.png)
    try:
        infotext = parse_infotext(generated.infotext)
    except ValueError:
        return Checked((*found, Mismatch("infotext", "generation parameters", "none")), pixels)
    return Checked(
        (
            *found,
            *_verify_fields(cell, infotext),
            *_verify_checkpoint(cell, infotext.fields, generated.checkpoint_hash),
            *_verify_loras(cell, infotext),
            *_verify_embeddings(cell, infotext),
        ),
        pixels,
    )


def generated_from_png(png: bytes) -> Generated | None:
    """Return a kept picture as the answer that it was; None when it does not tell about itself."""
    from ..api.infotext import read_infotext

    try:
        text = read_infotext(png)
        fields = parse_infotext(text).fields
    except (OSError, ValueError, SyntaxError):
        return None
    return Generated(png, text, fields.get("Model hash", ""), 0.0)


def _check_pixels(cell: Cell, png: bytes) -> tuple[list[Mismatch], str]:
    from PIL import Image

    if not png.startswith(b"\x89PNG"):
        return [Mismatch("picture", "a PNG", f"{len(png)} bytes of something else")], ""
    try:
        with Image.open(io.BytesIO(png)) as picture:
            if picture.size not in cell.final_sizes:  # told by its header: it is not decoded
                return [Mismatch("size", _size(cell.final_size), _size(picture.size))], ""
            picture.load()
            image = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return [Mismatch("picture", "one that decodes", str(error))], ""
    found = []
    nothing = _nothing_to_see(image)
    if nothing:
        found.append(Mismatch("picture", "something to see", nothing))
    return found, hashlib.sha256(image.tobytes()).hexdigest()


def _nothing_to_see(image: Image.Image) -> str:
    """Say what is wrong with a picture that shows nothing; "" for any other."""
    extrema = image.getextrema()
    if all(high <= _BLACK for _, high in extrema):  # type: ignore[misc]  # RGB has pairs
        return "a black picture"
    if all(low == high for low, high in extrema):  # type: ignore[misc]  # RGB has pairs
        return f"one plain colour {extrema}"
    return "nothing but noise" if is_noise(image) else ""


def is_noise(image: Image.Image) -> bool:
    """Tell whether neighbouring pixels have nothing to do with each other.

    Looks at the middle, in grey: a picture has neighbours that are alike, white noise has none.
    """
    from PIL import ImageChops, ImageStat

    width, height = image.size
    if min(width, height) < 16:
        return False
    left, top = max(0, (width - _LOOK_PIXELS) // 2), max(0, (height - _LOOK_PIXELS) // 2)
    box = (left, top, min(width, left + _LOOK_PIXELS), min(height, top + _LOOK_PIXELS))
    grey = image.crop(box).convert("L")
    variance = ImageStat.Stat(grey).var[0]
    if variance < 1:
        return False
    wide, high = grey.size
    for right, down in ((1, 0), (0, 1)):
        one = grey.crop((0, 0, wide - right, high - down))
        other = grey.crop((right, down, wide, high))
        difference: Image.Image = ImageChops.difference(one, other)
        if ImageStat.Stat(difference).sum2[0] / (one.width * one.height) < _NOISE * variance:
            return False
    return True


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _verify_fields(cell: Cell, infotext: Infotext) -> list[Mismatch]:
    fields = infotext.fields
    expected: list[tuple[str, str, str | None]] = [
        ("prompt", _one_line(cell.prompt), _one_line(infotext.prompt)),
        (
            "negative prompt",
            _one_line(cell.negative_prompt),
            _one_line(infotext.negative_prompt),
        ),
        ("seed", str(cell.seed), fields.get("Seed")),
        ("steps", str(cell.steps), fields.get("Steps")),
        ("sampling method", cell.sampler, fields.get("Sampler")),
        ("clip skip", str(cell.clip_skip), _number(fields.get("Clip skip"))),
        ("CFG scale", f"{cell.cfg_scale:g}", _number(fields.get("CFG scale"))),
    ]
    if cell.source is None:
        expected.append(("size", f"{cell.width}x{cell.height}", fields.get("Size")))
    expected += _expected_distilled(cell, fields, "")
    if cell.scheduler != AUTOMATIC:
        expected.append(("schedule type", cell.scheduler, fields.get("Schedule type")))
    if cell.subseed_strength:
        strength = fields.get("Variation seed strength")
        expected.append(("variation strength", f"{cell.subseed_strength:g}", _number(strength)))
        if cell.subseed != -1:
            expected.append(("variation seed", str(cell.subseed), fields.get("Variation seed")))
    if cell.source is not None:
        strength = fields.get("Denoising strength")
        asked = f"{cell.source.denoising_strength:g}"
        expected.append(("denoising strength", asked, _number(strength)))
    found = [
        Mismatch(what, repr(asked), repr(got))
        for what, asked, got in (*expected, *_expected_hires(cell, infotext))
        if got is not None and asked != got
    ]
    found += _verify_vae(cell, fields)
    found += _verify_modules(cell, fields)
    if "{" in infotext.prompt:
        found.append(Mismatch("prompt", "one that is expanded", json.dumps(infotext.prompt)))
    used = [fields[name] for name in fields if re.fullmatch(r"ADetailer model( \d+\w\w)?", name)]
    detectors = detectors_of(cell)
    if detectors and set(detectors) != set(used):
        named = [one or "a model" for one in detectors]
        found.append(Mismatch("ADetailer", _listed(named), _listed(used)))
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _verify_vae(cell: Cell, fields: Mapping[str, str]) -> list[Mismatch]:
    """Look for the VAE among what was loaded; hosts draw on without one that they do not find.

    Forge names every VAE and text encoder, as `Module 1`, `Module 2` and so on.
    """
    got_hash = fields.get("VAE hash", "")
    is_seen = any(one.kind == "VAE" for one in cell.files)  # A1111's hash may be another VAE's
    if not is_seen and cell.vae_hash and got_hash and got_hash[:10] != cell.vae_hash[:10]:
        return [Mismatch("VAE hash", cell.vae_hash, got_hash)]
    if cell.vae == "None" and fields.get("VAE"):
        return [Mismatch("VAE", "none", repr(fields["VAE"]))]
    if cell.vae in ("", "Automatic", "None"):
        return []
    names = [name for name in fields if name == "VAE" or re.fullmatch(r"Module \d+", name)]
    used = [_stem(fields[name]) for name in names]
    if _stem(cell.vae) in used:
        return []
    return [Mismatch("VAE", repr(_stem(cell.vae)), repr(", ".join(used) or "none"))]


def _verify_modules(cell: Cell, fields: Mapping[str, str]) -> list[Mismatch]:
    """Look for every text encoder and VAE that was asked for among Forge's `Module 1` and so on."""
    used = {_stem(text) for name, text in fields.items() if re.fullmatch(r"Module \d+", name)}
    missing = [one for one in map(_stem, cell.modules) if one not in used]
    shown = ", ".join(sorted(used)) or "none"
    return [Mismatch("modules", repr(", ".join(missing)), repr(shown))] if missing else []


def _expected_hires(cell: Cell, infotext: Infotext) -> list[tuple[str, str, str | None]]:
    hires, fields = cell.hires_fix, infotext.fields
    if hires is None:
        return [("hires fix", "none", "one" if "Hires upscale" in fields else None)]
    expected: list[tuple[str, str, str | None]] = [
        ("hires upscale", f"{hires.scale:g}", _number(fields.get("Hires upscale"))),
        (
            "denoising strength",
            f"{hires.denoising_strength:g}",
            _number(fields.get("Denoising strength")),
        ),
    ]
    second_cfg = cell.cfg_scale if hires.cfg_scale is None else hires.cfg_scale
    expected.append(("hires CFG scale", f"{second_cfg:g}", _number(fields.get("Hires CFG Scale"))))
    expected += _expected_distilled(cell, fields, "Hires ")
    if hires.upscaler:
        expected.append(("hires upscaler", hires.upscaler, fields.get("Hires upscaler")))
    if hires.steps:
        expected.append(("hires steps", str(hires.steps), fields.get("Hires steps")))
    if hires.sampler:
        expected.append(("hires sampler", hires.sampler, fields.get("Hires sampler")))
    if hires.scheduler not in ("", AUTOMATIC):
        expected.append(("hires schedule type", hires.scheduler, fields.get("Hires schedule type")))
    return expected


def _expected_distilled(
    cell: Cell, fields: Mapping[str, str], of_pass: str
) -> list[tuple[str, str, str | None]]:
    """Forge names it by what the model takes it for; of the second pass with Hires before it."""
    if cell.distilled_cfg_scale is None:
        return []
    got = fields.get(f"{of_pass}Distilled CFG Scale", fields.get(f"{of_pass}Shift"))
    return [
        (f"{of_pass.lower()}distilled CFG scale", f"{cell.distilled_cfg_scale:g}", _number(got))
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(text: str | None) -> str | None:
    try:
        return f"{float(text):g}" if text is not None else None
    except ValueError:
        return str(text)


def _verify_checkpoint(cell: Cell, fields: Mapping[str, str], answered_hash: str) -> list[Mismatch]:
    pin = cell.checkpoint
    got_hash, got_name = fields.get("Model hash") or answered_hash, fields.get("Model", "")
    if pin.sha256 and got_hash:
        if pin.sha256.startswith(got_hash):
            return []
        asked = f"{pin.title} ({pin.sha256[:10]})"
        if got_name == _stem(pin.title.partition(" [")[0]):
            kept = f"{got_hash}, which the WebUI keeps loaded; restart the WebUI"
            return [Mismatch("checkpoint", asked, kept)]
        return [_unknown_checkpoint(asked, got_name, got_hash)]
    if pin.title and got_name and _stem(pin.title.partition(" [")[0]) != got_name:
        return [_unknown_checkpoint(pin.title, got_name, got_hash)]
    return []


def is_earlier_checkpoint(cell: Cell, generated: Generated) -> bool:
    """Tell whether a picture was drawn with an earlier file of its checkpoint's name."""
    pin = cell.checkpoint
    try:
        fields = parse_infotext(generated.infotext).fields
    except ValueError:
        return False
    got = fields.get("Model hash") or generated.checkpoint_hash
    is_same_name = fields.get("Model") == _stem(pin.title.partition(" [")[0])
    return bool(pin.sha256 and got) and is_same_name and not pin.sha256.startswith(got)


def _unknown_checkpoint(asked: str, got_name: str, got_hash: str) -> Mismatch:
    return Mismatch("checkpoint", asked, f"{got_name} ({got_hash}), which the WebUI used instead")


def _stem(path: str) -> str:
    """Return a model's name as infotexts have it: no folders, no suffix."""
    name = path.rpartition("/")[2].rpartition("\\")[2]
    return name.rsplit(".", 1)[0] if name.endswith((".safetensors", ".ckpt", ".pt")) else name


def _verify_loras(cell: Cell, infotext: Infotext) -> list[Mismatch]:
    got = infotext.lora_hashes()
    found = []
    for use in cell.loras:
        digest = got.get(hashed_as(use.name))
        if digest is None:
            found.append(Mismatch("LoRA", use.token, "a picture without it"))
        elif use.hash and not digest.startswith(use.hash[:10]):
            found.append(Mismatch("LoRA hash", f"{use.name} {use.hash}", digest))
    return found


def _verify_embeddings(cell: Cell, infotext: Infotext) -> list[Mismatch]:
    """Compare what is named: A1111 leaves its hashes out of a prompt that it remembers.

    Forge Neo names the embeddings that it used, without hashes.
    """
    got = infotext.hashes("TI hashes")
    if "TI" in infotext.fields:
        used = {one.strip() for one in infotext.fields["TI"].split(",")}
        return [
            Mismatch("embedding", use.name, "a picture without it")
            for use in cell.embeddings
            if re.sub("[:,]", "", use.name) not in used
        ]
    return [
        Mismatch("embedding hash", f"{use.name} {use.hash}", got[use.name])
        for use in cell.embeddings
        if use.hash and use.name in got and not got[use.name].startswith(use.hash[:10])
    ]


def pixels_digest(png: bytes) -> str:
    """Return a hash of a picture's pixels alone, whatever its text chunks say."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
