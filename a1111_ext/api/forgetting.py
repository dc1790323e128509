"""Let a WebUI forget LoRA files, so that one under an earlier one's name is read.

What hosts keep of a file that was exchanged, as measured and read in their source:
A1111 and Forge go by names and weights, and keep what the picture before was drawn with; unloading
the checkpoint does not end that in A1111. Both keep what their text encoder, with LoRAs and
embeddings, made of the last prompts of either pass. A1111 may keep files in memory, going by their
time. Forge and reForge keep the last five files by their paths alone. All keep the VAE that is
loaded as long as its name is asked for; A1111 nevertheless writes the hash of the new file. All
keep the checkpoint that is loaded as long as its path is asked for, also when it is unloaded.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kohya_ext.project.addresses import is_this_machine
from kohya_ext.project.lora_file import Tensor, write_lora

from .capabilities import Capabilities, Checkpoint
from .client import PICTURE_SECONDS, ApiError, Client
from .inventory import lora_folders_of
from .lora_tags import lora_tag
from .payloads import small_picture, vae_settings

_log = logging.getLogger(__name__)
_KEPT_FILES = 5
_MOST_OTHERS = 3

IN_MEMORY = "lora_in_memory_limit"
"""A1111's option for how many LoRA files it keeps in memory."""

AT_ONCE = "sd_checkpoints_limit"
"""A1111's option for how many checkpoints it keeps loaded."""


def forget_loras(client: Client, checkpoint: str = "") -> None:
    """Let a WebUI draw a small picture with so many empty LoRAs that it keeps no other file.

    With Hires. fix, for what it made of prompts. Where its folder cannot be reached, without LoRAs.
    With the `checkpoint` that the next picture wants, or it would load the one that it is set to.
    """
    hires = {"enable_hr": True, "hr_scale": 1, "hr_upscaler": "None", "denoising_strength": 0.5}
    forge = {"hr_additional_modules": ["Use same choices"], "hr_cfg": 7}
    body = small_picture(checkpoint, cfg_scale=7, **hires, **forge)
    # A1111 goes by the date of their folder, which stays when a file is written over
    with suppress(ApiError):
        client.post("/sdapi/v1/refresh-embeddings", seconds=120)
    try:
        if client.get("/sdapi/v1/options").get(IN_MEMORY):
            body["override_settings"][IN_MEMORY] = 0
        with _empty_loras(client) as prompt:
            client.post("/sdapi/v1/txt2img", {**body, "prompt": prompt}, seconds=PICTURE_SECONDS)
    except ApiError as error:
        if not error.status:
            raise
        _log.warning("The WebUI at %s forgot no LoRAs: %s", client.url, error.problem)


def forget_vae(
    client: Client, checkpoint: str = "", text_encoders: Sequence[str] | None = None
) -> None:
    """Let a WebUI draw a small picture without a VAE of its own, so that it reads the next one.

    With the `text_encoders` that stay chosen, in Forge; None means A1111. Where that cannot be
    drawn, as by a model that has no VAE in it, the WebUI still unloads its model.
    """
    body = small_picture(checkpoint)
    body["override_settings"] |= vae_settings("None", text_encoders)
    try:
        client.post("/sdapi/v1/txt2img", body, seconds=PICTURE_SECONDS)
    except ApiError as error:
        if not error.status:
            raise
        _log.info("The WebUI at %s drew nothing without a VAE: %s", client.url, error.problem)


def forget_checkpoint(client: Client, has: Capabilities, title: str) -> bool:
    """Let a WebUI draw a small picture with another checkpoint, so that it reads this one again.

    One that it is likely to load: not every file in its list is a checkpoint that it can draw with.
    Tells whether it has drawn with another one.
    """
    ours = has.find_checkpoint(title)
    if ours is None:
        return False
    own, size = has.find_checkpoint(""), _bytes_of(ours.path)

    def doubt(one: Checkpoint) -> tuple[bool, bool, float]:
        return one != own, not one.sha256, abs(_bytes_of(one.path) - size)

    others = (one for one in has.checkpoints if one.path != ours.path)
    for one in sorted(others, key=doubt)[:_MOST_OTHERS]:
        body = small_picture(one.title)
        if not has_one_checkpoint(has.settings):
            body["override_settings"] = {AT_ONCE: 1, **body["override_settings"]}
        try:
            client.post("/sdapi/v1/txt2img", body, seconds=PICTURE_SECONDS)
        except ApiError as error:
            if not error.status:
                raise
            _log.warning("The WebUI at %s cannot draw with %s: %s", client.url, one.title, error)
        else:
            return True
    return False


def has_one_checkpoint(settings: Mapping[str, Any]) -> bool:
    """Tell whether a WebUI of these settings keeps one checkpoint at a time loaded."""
    return settings.get(AT_ONCE, 1) in (0, 1)


def _bytes_of(path: str) -> float:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0.0


@contextmanager
def _empty_loras(client: Client) -> Iterator[str]:
    """Put LoRAs that change nothing into the WebUI's folder; yield a prompt with all of them."""
    folders = lora_folders_of(client.get("/sdapi/v1/cmd-flags"))
    if not (is_this_machine(client.url) and folders and folders[0].is_dir()):
        yield ""
        return
    mark = secrets.token_hex(4)
    paths = [folders[0] / f"loraloom-{mark}-{number}.safetensors" for number in range(_KEPT_FILES)]
    try:
        with suppress(OSError):
            for path in paths:
                write_lora(path, {"lora_unet_none.alpha": Tensor("F16", (), b"\0\0")}, {})
        client.post("/sdapi/v1/refresh-loras", seconds=120)
        yield " ".join(lora_tag(path.stem) for path in paths if path.exists())
    finally:
        for path in paths:
            with suppress(OSError):  # on Windows a WebUI may hold it
                path.unlink(missing_ok=True)
        client.post("/sdapi/v1/refresh-loras", seconds=120)
