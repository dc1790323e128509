"""From a cell to the request that the WebUI takes; every field said aloud, nothing left to luck."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..cells.cell import Cell
    from .capabilities import Capabilities


def picture_request(cell: Cell, capabilities: Capabilities) -> tuple[str, dict[str, Any]]:
    """Return the route and body for a cell; files that it starts from are read here."""
    body: dict[str, Any] = {
        "prompt": cell.prompt,
        "negative_prompt": cell.negative_prompt,
        "styles": [],
        "seed": cell.seed,
        "subseed": cell.subseed,
        "subseed_strength": cell.subseed_strength,
        "sampler_name": cell.sampler,
        "scheduler": cell.scheduler,
        "batch_size": 1,
        "n_iter": 1,
        "steps": cell.steps,
        "cfg_scale": cell.cfg_scale,
        "width": cell.width,
        "height": cell.height,
        "send_images": True,
        "save_images": False,
        "override_settings": _override_settings(cell),
        # restoring would load the other checkpoint again after every single picture
        "override_settings_restore_afterwards": False,
        "alwayson_scripts": _alwayson_scripts(cell, capabilities),
    }
    if cell.hires_fix:
        body |= {
            "enable_hr": True,
            "hr_scale": cell.hires_fix.scale,
            "hr_upscaler": cell.hires_fix.upscaler,
            "hr_second_pass_steps": cell.hires_fix.steps,
            "denoising_strength": cell.hires_fix.denoising_strength,
        }
    if cell.source is None:
        return "/sdapi/v1/txt2img", body
    picture = base64.b64encode(Path(cell.source.path).read_bytes()).decode("ascii")
    body |= {
        "init_images": [picture],
        "denoising_strength": cell.source.denoising_strength,
        "include_init_images": False,
    }
    return "/sdapi/v1/img2img", body


def _override_settings(cell: Cell) -> dict[str, Any]:
    settings = {
        "CLIP_stop_at_last_layers": cell.clip_skip,
        "samples_format": "png",
        **cell.override_settings,
    }
    if cell.checkpoint.title:
        settings["sd_model_checkpoint"] = cell.checkpoint.title
    if cell.vae:
        settings["sd_vae"] = cell.vae
    return settings


def _alwayson_scripts(cell: Cell, capabilities: Capabilities) -> dict[str, Any]:
    scripts = {one.name: {"args": json.loads(one.args_json)} for one in cell.scripts}
    dynamic = capabilities.dynamic_prompts_script
    if dynamic:
        # on for every request unless it is told otherwise; our prompts are expanded already
        scripts.setdefault(dynamic, {"args": [False]})
    return scripts


OVERRIDDEN = ("sd_model_checkpoint", "CLIP_stop_at_last_layers", "samples_format", "sd_vae")
"""Options that our requests override; remembered before a run and put back after it."""
