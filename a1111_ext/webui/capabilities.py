"""What the WebUI that we live in has, asked of its own modules instead of its API."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from ..api.capabilities import Capabilities, Checkpoint, Lora
from .backend import NAME


def read_capabilities() -> Capabilities:
    """Return checkpoints, samplers, LoRAs and scripts as the API would list them."""
    from modules import scripts, sd_models, sd_samplers, sd_schedulers, shared

    return Capabilities(
        url=NAME,
        checkpoints=tuple(_checkpoint(one) for one in sd_models.checkpoints_list.values()),
        loaded=str(sd_models.select_checkpoint().title),
        samplers=tuple(one.name for one in sd_samplers.all_samplers),
        schedulers=tuple(one.label for one in sd_schedulers.schedulers),
        upscalers=(*shared.latent_upscale_modes, *(one.name for one in shared.sd_upscalers)),
        loras=tuple(_loras()),
        scripts=tuple(one.title().lower() for one in scripts.scripts_txt2img.scripts),
        lora_dir=str(shared.cmd_opts.lora_dir),
        is_simulated=False,
        has_agent_scheduler=False,
    )


def _checkpoint(info: Any) -> Checkpoint:
    return Checkpoint(info.title, info.model_name, info.sha256 or "", str(info.filename))


def _loras() -> Iterable[Lora]:
    networks = sys.modules.get("networks")  # the host's built-in extension Lora
    for one in getattr(networks, "available_networks", {}).values():
        metadata = one.metadata or {}
        known = str(metadata.get("sshs_model_hash") or "")[:12]
        yield Lora(one.name, one.alias, known, str(one.filename))


def refresh_loras() -> None:
    """Let the host see LoRA files that were put into its folder."""
    networks = sys.modules.get("networks")
    if networks is not None:
        networks.list_available_networks()
