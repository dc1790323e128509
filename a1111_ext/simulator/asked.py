"""What a request asks for: how the simulated WebUI reads it, and writes it into infotexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..api.embeddings import find_embeddings
from .models import embedding_hash

SAMPLERS = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "Euler a", "Euler", "Heun", "DDIM", "UniPC")
SCHEDULERS = ("Automatic", "Uniform", "Karras", "Exponential", "SGM Uniform")

_NOT_DRAWN = {
    "prompt",
    "override_settings",
    "override_settings_restore_afterwards",
    "alwayson_scripts",
    "seed",
    "n_iter",
    "force_task_id",
    "save_images",
    "send_images",
    "styles",
    "script_name",
    "script_args",
}
"""Fields of a request that change no pixel by themselves."""


def drawn_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a request changes the picture, beside prompt and seed."""
    fields = {key: value for key, value in body.items() if key not in _NOT_DRAWN}
    if detailed := _detailed(body):
        fields["ADetailer"] = detailed
    return fields


def _detailed(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tabs of ADetailer that change the picture: nothing has a confidence of 1."""
    return [
        one
        for name, use in (body.get("alwayson_scripts") or {}).items()
        for one in use["args"]
        if name.lower() == "adetailer" and isinstance(one, dict) and one.get("ad_confidence") != 1
    ]


def written_fields(
    body: Mapping[str, Any], seed: int, model: Mapping[str, str], clip_skip: int
) -> dict[str, str]:
    """Return what is said of a request; `model` are the fields of checkpoint and VAE.

    An unknown sampler or scheduler becomes the default, with status 200.
    """
    sampler = str(body.get("sampler_name") or "Euler")
    known = sampler in SAMPLERS
    scheduler = str(body.get("scheduler") or "Automatic")
    scheduler = scheduler if scheduler in SCHEDULERS else "Automatic"
    fields = {
        "Steps": str(int(body.get("steps", 50))),
        "Sampler": sampler if known else "DPM++ 2M",
        "Schedule type": scheduler if known else "Karras",
        "CFG scale": str(float(body.get("cfg_scale", 7.0))),
        "Seed": str(seed),
        "Size": f"{body.get('width', 512)}x{body.get('height', 512)}",
        **model,
    }
    if body.get("enable_hr") or body.get("init_images"):
        fields["Denoising strength"] = f"{float(body['denoising_strength']):g}"
    if clip_skip > 1:
        fields["Clip skip"] = str(clip_skip)
    if body.get("enable_hr"):
        fields["Hires upscale"] = f"{float(body.get('hr_scale', 2.0)):g}"
        if body.get("hr_second_pass_steps"):
            fields["Hires steps"] = str(body["hr_second_pass_steps"])
        fields["Hires upscaler"] = str(body.get("hr_upscaler") or "Latent")
    return fields


def added_fields(body: Mapping[str, Any], embeddings: Sequence[str]) -> dict[str, str]:
    """Return what ADetailer and the embeddings of a request add."""
    fields: dict[str, str] = {}
    for name, use in (body.get("alwayson_scripts") or {}).items():
        if name.lower() == "adetailer":
            tabs = [one for one in use["args"] if isinstance(one, dict)]
            fields["ADetailer model"] = str(tabs[0]["ad_model"])
            fields["ADetailer version"] = "25.3.0"
    words = f"{body.get('prompt', '')}\n{body.get('negative_prompt') or ''}"
    if found := find_embeddings(words, embeddings):
        fields["TI hashes"] = ", ".join(f"{one}: {embedding_hash(one)}" for one in found)
    return fields
