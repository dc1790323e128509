"""From a picture's own text back to the request that draws it again, with nothing left out.

What the text says and we cannot ask for ends in an error: a picture drawn without it would be
another one, and nobody would notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kohya_ext.project import ConflictError, InputError, MissingError

from ..api.capabilities import Capabilities
from ..api.infotext import Infotext
from ..api.lora_tags import lora_tags
from ..cells.cell import Cell, CheckpointPin, with_loras
from ..cells.model_files import was_another_vae


def _flag(text: str) -> bool:
    return text.casefold() in ("true", "1")


_SETTINGS: Mapping[str, tuple[str, Callable[[str], Any], object]] = {
    "ENSD": ("eta_noise_seed_delta", int, 0),
    "RNG": ("randn_source", str, "GPU"),
    "Emphasis": ("emphasis", str, "Original"),
    "Tiling": ("tiling", _flag, False),
    "Token merging ratio": ("token_merging_ratio", float, 0.0),
    "NGMS": ("s_min_uncond", float, 0.0),
    "NGMS all steps": ("s_min_uncond_all", _flag, False),
    "Skip Early CFG": ("skip_early_cond", float, 0.0),
    "Pad conds": ("pad_cond_uncond", _flag, False),
    "Pad conds v0": ("pad_cond_uncond_v0", _flag, False),
    "Old prompt editing timelines": ("use_old_scheduling", _flag, False),
    "Downcast alphas_cumprod": ("use_downcasted_alpha_bar", _flag, False),
    "Noise Schedule": ("sd_noise_schedule", str, "Default"),
    "Discard penultimate sigma": ("always_discard_next_to_last_sigma", _flag, False),
    "SGM noise multiplier": ("sgm_noise_multiplier", _flag, False),
    "Extra noise": ("img2img_extra_noise", float, 0.0),
    "Noise multiplier": ("initial_noise_multiplier", float, 1.0),
    "Eta": ("eta_ancestral", float, 1.0),
    "Eta DDIM": ("eta_ddim", float, 0.0),
    "Sigma churn": ("s_churn", float, 0.0),
    "Sigma tmin": ("s_tmin", float, 0.0),
    "Sigma tmax": ("s_tmax", float, 0.0),
    "Sigma noise": ("s_noise", float, 1.0),
    "Schedule min sigma": ("sigma_min", float, 0.0),
    "Schedule max sigma": ("sigma_max", float, 0.0),
    "Schedule rho": ("rho", float, 0.0),
    "Beta schedule alpha": ("beta_dist_alpha", float, 0.6),
    "Beta schedule beta": ("beta_dist_beta", float, 0.6),
    "Diffusion in Low Bits": ("forge_unet_storage_dtype", str, "Automatic"),
    "eps_scaling_factor": ("scaling_factor", float, 1.0),
    "UniPC variant": ("uni_pc_variant", str, "bh1"),
    "UniPC skip type": ("uni_pc_skip_type", str, "time_uniform"),
    "UniPC order": ("uni_pc_order", int, 3),
    "UniPC lower order final": ("uni_pc_lower_order_final", _flag, True),
    "VAE Encoder": ("sd_vae_encode_method", str, "Full"),
    "VAE Decoder": ("sd_vae_decode_method", str, "Full"),
    "FP8 weight": ("fp8_storage", str, "Disable"),
    "Cache FP16 weight for LoRA": ("cache_fp16_weight", _flag, False),
}
"""Names in infotexts that are settings of the WebUI, and the values of which they say nothing."""

_REQUEST = frozenset(
    {
        *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Clip skip"),
        *("Model hash", "Model", "VAE hash", "VAE", "Lora hashes", "TI hashes"),
        *("Variation seed", "Variation seed strength", "Distilled CFG Scale", "Shift", "TI"),
    }
)
"""Names that the cell itself holds, or that it is compared by."""

_OF_THE_WAY = re.compile(
    r"Version|Simulated|User|Hashes|Denoising strength|Init image hash|Script"
    r"|Template.*|Negative Template.*"
    r"|(Fixed )?[XYZ] (Type|Values)|Mask .*|Masked .*|Inpaint area|Soft inpainting.*"
    r"|Conditional mask weight|SD upscale .*|Token merging ratio hr|Postprocess .*|loraloom.*"
    r"|Hires (upscale|upscaler|resize|steps|sampler|schedule type|CFG Scale|refiner)"
    r"|Hires (Module \d+|Distilled CFG Scale|Shift)|Original Size"
)
"""Names that tell how the small picture came about and change nothing when it is redrawn whole."""

_MODULE = re.compile(r"Module \d+")
"""Forge's names for VAE and text encoders, without their suffix."""

_OLD_SCHEDULES = ("Karras", "Exponential", "Polyexponential")
_SAYS_ITS_VAE = (1, 6)
"""Since v1.6 a text without a VAE means that none was loaded."""


def cell_of_infotext(name: str, infotext: Infotext) -> Cell:
    """Return the request of a picture by its own text.

    Raises InputError for what we cannot ask for again, MissingError for what the text leaves out.
    """
    fields = infotext.fields
    _require_known(name, fields)
    _require_used(name, infotext)
    sampler, scheduler = _sampler(fields)
    cell = Cell(
        prompt=infotext.prompt,
        negative_prompt=infotext.negative_prompt,
        seed=_whole(name, fields, "Seed"),
        steps=_whole(name, fields, "Steps"),
        cfg_scale=_number(name, fields, "CFG scale", 7.0),
        sampler=sampler,
        scheduler=scheduler,
        clip_skip=_whole(name, fields, "Clip skip", 1),
        subseed=_whole(name, fields, "Variation seed", -1),
        subseed_strength=_number(name, fields, "Variation seed strength", 0.0),
        checkpoint=_checkpoint(name, fields),
        vae=_vae(fields),
        vae_hash=fields.get("VAE hash", ""),
        modules=tuple(value for field, value in fields.items() if _MODULE.fullmatch(field)),
        override_settings_json=json.dumps(settings_of(name, fields), sort_keys=True),
    )
    for field in ("Distilled CFG Scale", "Shift"):  # one number, by what the model takes it for
        if field in fields:
            cell = replace(cell, distilled_cfg_scale=_number(name, fields, field, 3.5))
    return with_loras(cell, infotext.lora_hashes())


def _require_known(name: str, fields: Mapping[str, str]) -> None:
    known = {*_REQUEST, *_SETTINGS}
    relevant = [one for one in fields if not (_OF_THE_WAY.fullmatch(one) or _MODULE.fullmatch(one))]
    unknown = [one for one in relevant if one not in known]
    if unknown:
        more = f" and {len(unknown) - 4} more" if len(unknown) > 4 else ""
        raise InputError(
            "LL650",
            f"{name} was drawn with settings that cannot be repeated: "
            f"{', '.join(f'{one}: {fields[one][:60]}' for one in unknown[:4])}{more}.",
            "Upscale it in the WebUI, with that extension or option.",
        )


def _require_used(name: str, infotext: Infotext) -> None:
    hashes = infotext.lora_hashes()
    ignored = [tag.text for tag in lora_tags(infotext.prompt) if tag.hashed_as not in hashes]
    if ignored:
        raise InputError(
            "LL651",
            f"{name} was drawn without {ignored[0]}: its infotext has no hash for that tag, so the "
            "WebUI ignored it.",
            "Install that file and draw it again, or draw it without the tag.",
        )


def _sampler(fields: Mapping[str, str]) -> tuple[str, str]:
    """Return sampler and schedule; before v1.9 one name held both."""
    sampler, scheduler = fields.get("Sampler", "Euler a"), fields.get("Schedule type", "")
    head, _, last = sampler.rpartition(" ")
    if not scheduler and head and last in _OLD_SCHEDULES:
        return head, last
    return sampler, scheduler or "Automatic"


def _checkpoint(name: str, fields: Mapping[str, str]) -> CheckpointPin:
    title, known = fields.get("Model", ""), fields.get("Model hash", "")
    if not (title or known):
        raise MissingError(
            "LL652",
            f"{name} does not say with which checkpoint it was drawn.",
            'Switch on "Add model hash" and "Add model name" in the WebUI\'s settings, infotext, '
            "and draw it again.",
        )
    return CheckpointPin(title or known)


def _vae(fields: Mapping[str, str]) -> str:
    if fields.get("VAE"):
        return fields["VAE"]
    version = re.match(r"v?(\d+)\.(\d+)", fields.get("Version", ""))
    says = version is not None and (int(version[1]), int(version[2])) >= _SAYS_ITS_VAE
    return "None" if says else ""


def settings_of(name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the WebUI's settings that a picture's text names. Raises InputError for odd ones."""
    found: dict[str, Any] = {}
    for field, (option, read, _) in _SETTINGS.items():
        if field in fields:
            try:
                found[option] = read(fields[field])
            except ValueError as error:
                raise _odd(name, field, fields[field]) from error
    return found


def _whole(name: str, fields: Mapping[str, str], field: str, otherwise: int | None = None) -> int:
    text = fields.get(field, "" if otherwise is None else str(otherwise))
    try:
        return int(text)
    except ValueError as error:
        raise _odd(name, field, text) from error


def _number(name: str, fields: Mapping[str, str], field: str, otherwise: float) -> float:
    text = fields.get(field, str(otherwise))
    try:
        return float(text)
    except ValueError as error:
        raise _odd(name, field, text) from error


def _odd(name: str, field: str, text: str) -> InputError:
    said = f'"{field}" as "{text}"' if text else f'no "{field}"'
    return InputError(
        "LL650",
        f"The generation data of {name} has {said}.",
        "Upscale a picture as the WebUI made it.",
    )


# -- what the WebUI has now -----------------------------------------------------------------------


def find_titles(cell: Cell, own_hash: str, has: Capabilities) -> Cell:
    """Return the cell with checkpoint and VAE named as this WebUI names them; hashes go first."""
    by_hash = [one for one in has.checkpoints if own_hash and one.sha256.startswith(own_hash)]
    if by_hash:
        cell = replace(cell, checkpoint=CheckpointPin(by_hash[0].title))
    named = [one for one in has.vaes or () if _plain(one) == _plain(cell.vae)]
    return replace(cell, vae=named[0]) if named and cell.vae not in ("", "None") else cell


def as_drawn(cell: Cell, has: Capabilities) -> Cell:
    """Return the cell with the usual value of each setting that this WebUI has changed since.

    What a text does not name had its usual value; today's would be taken without a word.
    """
    changed = {
        option: usual
        for option, _, usual in _SETTINGS.values()
        if has.settings.get(option, usual) not in (usual, None)
    }
    if not changed:
        return cell
    settings = json.dumps({**changed, **cell.override_settings}, sort_keys=True)
    return replace(cell, override_settings_json=settings)


def _plain(name: str) -> str:
    return re.sub(r"\.(safetensors|ckpt|pt)$", "", name.replace("\\", "/").rpartition("/")[2])


def require_same_files(name: str, before: Cell, pinned: Cell, has: Capabilities) -> Cell:
    """Return a pinned cell whose LoRAs, embeddings and VAE are still the files of the picture.

    Raises ConflictError.
    """
    url = has.url
    vae = next((one for one in pinned.files if one.kind == "VAE"), None)
    if vae is not None and was_another_vae(before.vae_hash, has):
        raise ConflictError(
            "LL653",
            f"{name} was drawn with the VAE {vae.name} ({before.vae_hash}), but the WebUI at {url} "
            f"has another file of that name ({vae.hash}).",
            "Restore the file that it was drawn with.",
        )
    old = {use.name: use.hash for use in before.loras}
    for use in pinned.loras:
        known = old.get(use.name, "")
        if known and use.hash and not _agree(known, use.hash):
            raise ConflictError(
                "LL653",
                f"{name} was drawn with {use.name} ({known}), but the WebUI at {url} has another "
                f"file of that name ({use.hash}).",
                "Restore the file that it was drawn with.",
            )
    loras = tuple(replace(use, hash=use.hash or old.get(use.name, "")) for use in pinned.loras)
    return replace(pinned, loras=loras)


def _agree(one: str, other: str) -> bool:
    digits = min(len(one), len(other), 10)
    return one[:digits] == other[:digits]
