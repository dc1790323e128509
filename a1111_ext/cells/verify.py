"""Is the picture that came back the one that was asked for? Status 200 says nothing about it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

from ..api.infotext import Infotext, parse_infotext
from .cell import Cell

AUTOMATIC = "Automatic"
"""The sampler's own schedule type: the infotext then says which one, DPM++ 2M's is Karras."""


@dataclass(frozen=True)
class Painted:
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


def verify_picture(cell: Cell, painted: Painted) -> tuple[Mismatch, ...]:
    """Return everything in which an answer differs from its cell; nothing when all is right."""
    found = list(_verify_pixels(cell, painted.png))
    try:
        infotext = parse_infotext(painted.infotext)
    except ValueError:
        return (*found, Mismatch("infotext", "generation parameters", "none"))
    return (*found, *_verify_fields(cell, infotext), *_verify_loras(cell, infotext))


def _verify_pixels(cell: Cell, png: bytes) -> list[Mismatch]:
    from PIL import Image

    if not png.startswith(b"\x89PNG"):
        return [Mismatch("picture", "a PNG", f"{len(png)} bytes of something else")]
    try:
        with Image.open(io.BytesIO(png)) as picture:
            picture.load()
            size, extrema = picture.size, picture.convert("RGB").getextrema()
    except (OSError, ValueError, SyntaxError) as error:
        return [Mismatch("picture", "one that decodes", str(error))]
    found = []
    if cell.source is None and size != cell.final_size:
        found.append(Mismatch("size", _size(cell.final_size), _size(size)))
    if all(low == high for low, high in extrema):
        found.append(Mismatch("picture", "something to see", f"one plain colour {extrema}"))
    return found


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _verify_fields(cell: Cell, infotext: Infotext) -> list[Mismatch]:
    fields = infotext.fields
    expected: list[tuple[str, str, str]] = [
        ("prompt", _one_line(cell.prompt), _one_line(infotext.prompt)),
        (
            "negative prompt",
            _one_line(cell.negative_prompt),
            _one_line(infotext.negative_prompt),
        ),
        ("seed", str(cell.seed), fields.get("Seed", "")),
        ("steps", str(cell.steps), fields.get("Steps", "")),
        ("sampling method", cell.sampler, fields.get("Sampler", "")),
        ("clip skip", str(cell.clip_skip), fields.get("Clip skip", "1")),
    ]
    if "Schedule type" in fields and cell.scheduler != AUTOMATIC:  # WebUIs before 1.9 do not say
        expected.append(("schedule type", cell.scheduler, fields["Schedule type"]))
    if cell.hires_fix:
        expected += [
            ("hires upscaler", cell.hires_fix.upscaler, fields.get("Hires upscaler", "Latent")),
            ("hires upscale", f"{cell.hires_fix.scale:g}", _number(fields.get("Hires upscale"))),
        ]
    found = [
        Mismatch(what, repr(asked), repr(got)) for what, asked, got in expected if asked != got
    ]
    if _number(fields.get("CFG scale")) != f"{cell.cfg_scale:g}":
        found.append(Mismatch("CFG scale", f"{cell.cfg_scale:g}", fields.get("CFG scale", "none")))
    return found + _verify_checkpoint(cell, fields.get("Model hash", ""), fields.get("Model", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(text: str | None) -> str:
    try:
        return f"{float(text):g}" if text is not None else "none"
    except ValueError:
        return str(text)


def _verify_checkpoint(cell: Cell, got_hash: str, got_name: str) -> list[Mismatch]:
    pin = cell.checkpoint
    if pin.sha256:
        if pin.sha256.startswith(got_hash) and got_hash:
            return []
        return [
            Mismatch("checkpoint", f"{pin.title} ({pin.sha256[:10]})", f"{got_name} ({got_hash})")
        ]
    stem = pin.title.partition(" [")[0].rpartition("/")[2].rpartition("\\")[2]
    stem = stem.rsplit(".", 1)[0] if stem.endswith((".safetensors", ".ckpt")) else stem
    if pin.title and got_name and stem != got_name:
        return [Mismatch("checkpoint", pin.title, f"{got_name} ({got_hash})")]
    return []


def _verify_loras(cell: Cell, infotext: Infotext) -> list[Mismatch]:
    got = infotext.lora_hashes()
    found = []
    for use in cell.loras:
        if use.name not in got:
            found.append(Mismatch("LoRA", use.token, "a picture without it"))
        elif use.hash and not got[use.name].startswith(use.hash[:10]):
            found.append(Mismatch("LoRA hash", f"{use.name} {use.hash}", got[use.name]))
    if "{" in cell.prompt and "|" in cell.prompt:
        found.append(Mismatch("prompt", "one that is expanded", json.dumps(cell.prompt)))
    return found


def pixels_digest(png: bytes) -> str:
    """Return a hash of a picture's pixels alone, whatever its text chunks say."""
    import hashlib

    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        return hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
