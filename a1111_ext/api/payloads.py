"""From a cell to the request that the WebUI takes; every field explicit, nothing left to chance."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohya_ext.project import DamagedError
from kohya_ext.project.json_reader import read_picture_bytes
from kohya_ext.project.pictures.identity import digest_without_xmp

if TYPE_CHECKING:
    from ..cells.cell import Cell, HiresFix, SourcePicture
    from .capabilities import Capabilities


def task_id(cell: Cell) -> str:
    """Return the name of our task at the WebUI, by which we can ask for it and nobody else."""
    return f"loraloom-{cell.key[:32]}"


def picture_request(
    cell: Cell, capabilities: Capabilities, *, count: int = 1
) -> tuple[str, dict[str, Any]]:
    """Return the route and body for a cell, or for `count` of its row that begin with it.

    Files that it starts from are read here. Raises DamagedError for one that has changed.
    """
    is_batch = cell.batch.kind != "single"
    body: dict[str, Any] = {
        "force_task_id": task_id(cell),
        "prompt": cell.prompt,
        "negative_prompt": cell.negative_prompt,
        "styles": [],
        "seed": cell.seed - cell.batch.index,
        "subseed": cell.subseed,
        "subseed_strength": cell.subseed_strength,
        "sampler_name": cell.sampler,
        "scheduler": cell.scheduler,
        "batch_size": count if is_batch else 1,
        "n_iter": 1 if is_batch else count,
        "steps": cell.steps,
        "cfg_scale": cell.cfg_scale,
        "width": cell.width,
        "height": cell.height,
        "restore_faces": False,  # left out, a setting of the WebUI's would decide
        "tiling": bool(cell.override_settings.get("tiling", False)),
        "send_images": True,
        "save_images": False,
        "override_settings": _override_settings(cell, capabilities),
        # the other checkpoint is not loaded by this, only by the next request that wants it;
        # a VAE would be, so that one is put back when all is drawn
        "override_settings_restore_afterwards": not (cell.vae or cell.modules),
        "alwayson_scripts": _alwayson_scripts(cell, capabilities),
    }
    if cell.distilled_cfg_scale is not None and capabilities.is_forge:
        body["distilled_cfg_scale"] = cell.distilled_cfg_scale  # Forge Neo takes a shift by it, too
    if cell.hires_fix:
        body |= {
            "enable_hr": True,
            "hr_scale": cell.hires_fix.scale,
            "hr_upscaler": cell.hires_fix.upscaler or capabilities.default_upscaler,
            "hr_second_pass_steps": cell.hires_fix.steps,
            "denoising_strength": cell.hires_fix.denoising_strength,
        }
        if cell.hires_fix.sampler:
            body["hr_sampler_name"] = cell.hires_fix.sampler
        if cell.hires_fix.scheduler:
            body["hr_scheduler"] = cell.hires_fix.scheduler
        body |= forge_hires(cell, cell.hires_fix)
    if cell.source is None:
        return "/sdapi/v1/txt2img", body
    body |= {
        "init_images": [base64.b64encode(read_source(cell.source)).decode("ascii")],
        "denoising_strength": cell.source.denoising_strength,
        "include_init_images": False,
    }
    return "/sdapi/v1/img2img", body


def read_source(source: SourcePicture) -> bytes:
    """Read the picture that an img2img cell starts from, if it is still the one."""
    path = Path(source.path)
    try:
        content = read_picture_bytes(path)
    except OSError as error:
        raise DamagedError(
            "LL455",
            f"The picture {path} to start from cannot be read: {error.strerror}.",
            "Restore it, or choose another one.",
        ) from error
    if source.sha256 and digest_without_xmp(content) != source.sha256:
        raise DamagedError(
            "LL455",
            f"The picture {path} to start from has changed since it was chosen.",
            "Choose it again.",
        )
    return content


def _override_settings(cell: Cell, capabilities: Capabilities) -> dict[str, Any]:
    settings = {**SAID_ALOUD, "CLIP_stop_at_last_layers": cell.clip_skip, **cell.override_settings}
    if cell.checkpoint.title:
        settings["sd_model_checkpoint"] = cell.checkpoint.title
    encoders = capabilities.text_encoders if capabilities.is_forge else None
    settings |= vae_settings(cell.vae, encoders)
    return settings | (module_settings(cell) if capabilities.is_forge else {})


def module_settings(cell: Cell) -> dict[str, Any]:
    """Return Forge's option for the files beside the checkpoint; none where none are asked for."""
    if not cell.modules:
        return {}
    named = [cell.vae] if cell.vae not in ("", "Automatic", "None") else []
    return {"forge_additional_modules": [*cell.modules, *named]}


def vae_settings(vae: str, text_encoders: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the options that make a WebUI take a VAE and say so; none for "", as it is set.

    Forge ignores A1111's `sd_vae`: there a VAE is one of the additional modules, beside the
    `text_encoders` that are chosen; None of them means A1111.
    """
    if not vae:
        return {}
    if text_encoders is not None:
        named = [] if vae in ("Automatic", "None") else [vae]
        return {"forge_additional_modules": [*text_encoders, *named]}
    return {"sd_vae": vae, "add_vae_name_to_info": True}


def _alwayson_scripts(cell: Cell, capabilities: Capabilities) -> dict[str, Any]:
    scripts = {one.name: {"args": one.args} for one in cell.scripts}
    dynamic = capabilities.dynamic_prompts_script
    if dynamic:
        # on for every request unless it is told otherwise; our prompts are expanded already
        scripts.setdefault(dynamic, {"args": [False]})
    return scripts


def forge_hires(cell: Cell, hires: HiresFix) -> dict[str, Any]:
    """Return what Forge and reForge need with Hires. fix; A1111 has no such fields.

    Without modules Forge ends in an error 500; of both the second CFG scale is 1 unless named,
    which ignores the negative prompt.
    """
    fields: dict[str, Any] = {
        "hr_additional_modules": ["Use same choices"],
        "hr_cfg": cell.cfg_scale if hires.cfg_scale is None else hires.cfg_scale,
    }
    if cell.distilled_cfg_scale is not None:
        fields["hr_distilled_cfg"] = cell.distilled_cfg_scale
    return fields


SAID_ALOUD: Mapping[str, Any] = {
    "samples_format": "png",
    "enable_pnginfo": True,
    "lora_add_hashes_to_infotext": True,
    "add_model_hash_to_info": True,
    "add_model_name_to_info": True,
    "return_grid": False,
}
"""Options without which an answer cannot be checked or would hold more than its pictures."""

UPSCALER_OPTION = "upscaler_for_img2img"
"""The WebUI's own setting for how a picture is enlarged before it is redrawn."""

NULLABLE = (UPSCALER_OPTION,)
"""Options that may be null, and be put back as null."""

VAE_OPTIONS = ("sd_vae", "forge_additional_modules")
"""The options that choose a VAE, in A1111 and in Forge."""

OVERRIDDEN = (
    "sd_model_checkpoint",
    "CLIP_stop_at_last_layers",
    *VAE_OPTIONS,
    "add_vae_name_to_info",
    *NULLABLE,
    *SAID_ALOUD,
)
"""Options that our requests override; remembered before a run and put back after it."""


def small_picture(checkpoint: str, **fields: Any) -> dict[str, Any]:
    """Return a request for a small picture that nobody keeps: it is drawn for what it leaves."""
    body = {"seed": 1, "steps": 1, "width": 64, "height": 64, "cfg_scale": 1}
    settings = {"sd_model_checkpoint": checkpoint} if checkpoint else {}
    unseen = {"send_images": False, "save_images": False}
    return {**body, **unseen, "override_settings": settings, **fields}


def with_whole_numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with 2 for 2.0: with a clip skip of 2.0 an A1111 draws nothing any more."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in settings.items()
    }
