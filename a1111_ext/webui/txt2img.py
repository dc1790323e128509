"""The txt2img page as the start of cells: what it says, and a copy of it for each picture."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from kohya_ext.project import InputError
from kohya_ext.project.printable import shortened

from ..api.inventory import OF_REFORGE
from ..cells.cell import LARGEST_SEED, LARGEST_SIDE, Cell, CheckpointPin, HiresFix, ScriptUse
from .backend import Begin

DYNAMIC_PROMPTS = "dynamic prompts"
"""How the title of that extension's script begins; its version follows."""

_IN_THE_CELL = """
    prompt negative_prompt styles seed subseed subseed_strength width height steps cfg_scale
    sampler_name scheduler n_iter batch_size override_settings enable_hr hr_upscaler hr_scale
    hr_second_pass_steps denoising_strength hr_resize_x hr_resize_y hr_cfg
"""
_NOT_IN_THE_PICTURE = """
    sd_model outpath_samples outpath_grids do_not_save_samples do_not_save_grid script_args
    prompt_for_display comments extra_generation_params override_settings_restore_afterwards
"""
_USUAL: Mapping[str, object] = {
    "forge_additional_modules": [],  # of Forge: VAE and text encoders
    "forge_unet_storage_dtype": "Automatic",  # of Forge: "Diffusion in Low Bits"
    OF_REFORGE: "Automatic",
    "sd_unet": "Automatic",  # of A1111 and reForge
}
"""Settings of single hosts that shape a picture, with their usual value."""

_LEFT_OUT = frozenset((_IN_THE_CELL + _NOT_IN_THE_PICTURE).split())


def read_page(p: Any) -> Cell:
    """Return the page's request as a cell with styles applied and seed 0.

    Raises InputError for "Resize width/height to" of Hires. fix, a style that is not there, or a
    number that no picture can have.
    """
    from modules import sd_samplers, shared

    sd_samplers.fix_p_invalid_sampler_and_scheduler(p)
    styles = shared.prompt_styles
    for name in p.styles or ():
        if name not in ("None", *styles.styles):
            raise InputError(
                "LL410",
                f'This WebUI has no style "{shortened(str(name))}"; it would silently draw '
                "without it.",
                "Reload its styles, or write the name as they have it.",
            )
    cell = Cell(
        prompt=without_comments(styles.apply_styles_to_prompt(p.prompt, p.styles)),
        negative_prompt=without_comments(
            styles.apply_negative_styles_to_prompt(p.negative_prompt, p.styles)
        ),
        seed=0,
        width=_whole(p, "width", 8, LARGEST_SIDE),
        height=_whole(p, "height", 8, LARGEST_SIDE),
        steps=_whole(p, "steps", 1, 1000),
        cfg_scale=_number(p, "cfg_scale"),
        sampler=p.sampler_name,
        scheduler=p.scheduler,
        subseed=read_seed(p, "subseed"),
        subseed_strength=_number(p, "subseed_strength"),
        hires_fix=_hires_fix(p),
        scripts=tuple(_scripts_in_use(p)),
    )
    return with_host_settings(cell, p.override_settings)


def read_seed(p: Any, name: str = "seed") -> int:
    """Return the page's seed; -1, a random one, for an empty box.

    Raises InputError for anything but a number that a picture can have: the host would draw a
    random one for a text, and fail for a larger one.
    """
    value = getattr(p, name)
    if value in (None, ""):
        return -1
    try:
        seed = int(value)
        is_whole = isinstance(value, str) or seed == value
    except (TypeError, ValueError, OverflowError):
        seed, is_whole = -2, False
    if not is_whole or not -1 <= seed <= LARGEST_SEED:
        raise InputError(
            "LL759",
            f'"{shortened(str(value))}" cannot be the {name} of a picture.',
            f"Give a number from 0 to {LARGEST_SEED}; -1 is a random one.",
        )
    return seed


def _number(p: Any, name: str) -> float:
    """Return a number of the page. Raises InputError for what is none."""
    value = getattr(p, name)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            "LL761", f'"{name}" of the page is {shortened(repr(value))}.', "It must be a number."
        )
    return number


def _whole(p: Any, name: str, low: int, high: int) -> int:
    number = _number(p, name)
    if not number.is_integer():
        raise InputError(
            "LL761", f'"{name}" of the page is {number}.', "It must be a whole number."
        )
    if not low <= number <= high:
        raise InputError(
            "LL761",
            f'"{name}" of the page is {number:.0f}.',
            f"It must be between {low} and {high}.",
        )
    return int(number)


def with_host_settings(cell: Cell, overridden: Mapping[str, Any] = MappingProxyType({})) -> Cell:
    """Return a cell with what the host is set to: checkpoint, VAE, clip skip, its own boxes.

    Whatever a request does not name is drawn so, through the page and through our routes alike.
    Raises InputError for a checkpoint that the host would silently ignore.
    """
    from modules import shared

    settings = {**_unusual_settings(), **overridden}
    clip_skip = settings.pop("CLIP_stop_at_last_layers", shared.opts.CLIP_stop_at_last_layers)
    checkpoint = settings.pop("sd_model_checkpoint", "")
    vae = settings.pop("sd_vae", getattr(shared.opts, "sd_vae", "Automatic"))
    return dataclasses.replace(
        cell,
        clip_skip=_clip_skip(clip_skip),
        checkpoint=pin_checkpoint(checkpoint),
        vae="" if vae == "Automatic" else str(vae),
        override_settings_json=json.dumps(settings, sort_keys=True),
    )


def _unusual_settings() -> dict[str, object]:
    """Return what the host's own boxes and settings say of the model, where it is not usual."""
    from modules import shared

    said = {name: getattr(shared.opts, name, usual) for name, usual in _USUAL.items()}
    return {name: value for name, value in said.items() if value != _USUAL[name]}


def without_comments(prompt: str) -> str:
    """Take comments out as the host does, so that the infotext says what was asked for.

    Its own function is asked: Forge Neo and reForge also take out "//" and "/* */". A1111 and Neo
    have a setting for it, reForge has none and always does it.
    """
    from modules import shared

    setting = "enable_prompt_comments"
    if setting in shared.opts.data_labels and not getattr(shared.opts, setting):
        return prompt
    try:
        from modules.processing_scripts.comments import strip_comments
    except ImportError:  # A1111 before 1.6 knows no comments
        return prompt
    return str(strip_comments(prompt))


def pin_checkpoint(name: str) -> CheckpointPin:
    """Return the checkpoint called `name`, or the loaded one for "".

    Raises InputError for a name that the host would silently ignore.
    """
    from modules import sd_models

    info = sd_models.checkpoint_aliases.get(name) if name else sd_models.select_checkpoint()
    if info is None:
        raise InputError(
            "LL408",
            f'This WebUI has no checkpoint "{shortened(name)}"; it would silently use another.',
            "Copy its name from the list of checkpoints; it is case-sensitive.",
        )
    return CheckpointPin(str(info.name), str(info.sha256 or ""))


def _clip_skip(value: Any) -> int:
    if type(value) not in (int, float) or value not in range(13):
        raise InputError(
            "LL761",
            f'"CLIP_stop_at_last_layers" of the page is {shortened(repr(value))}.',
            "It must be a whole number from 0 to 12.",
        )
    return int(value)


def _hires_fix(p: Any) -> HiresFix | None:
    if not getattr(p, "enable_hr", False):
        return None
    if p.hr_resize_x or p.hr_resize_y:
        raise InputError(
            "LL760",
            'Hires. fix is set to "Resize width to" or "Resize height to".',
            'Set both to 0 and use "Upscale by".',
        )
    from modules import shared

    steps = _whole(p, "hr_second_pass_steps", 0, 1000) if p.hr_second_pass_steps else 0
    upscaler = p.hr_upscaler or shared.latent_upscale_default_mode  # None in a request of the API
    cfg = _number(p, "hr_cfg") if hasattr(p, "hr_cfg") else None  # Forge has a box of its own
    scale, strength = _number(p, "hr_scale"), _number(p, "denoising_strength")
    return HiresFix(upscaler, scale, strength, steps, cfg_scale=cfg)


def _scripts_in_use(p: Any) -> Iterator[ScriptUse]:
    """Yield what else shapes the picture, so that cells of another page are other cells."""
    for script in p.scripts.alwayson_scripts:
        if script.setup_for_ui_only:  # seed, sampler, refiner: they only fill in p's own fields
            continue
        usual = [getattr(one, "value", None) for one in script.controls or ()]
        used = list(p.script_args[script.args_from : script.args_to])
        if used != usual and not script.title().lower().startswith(DYNAMIC_PROMPTS):
            yield ScriptUse(script.title(), json.dumps(used, default=_digest))
    if others := _unusual_fields(p):
        yield ScriptUse("processing", json.dumps(others, sort_keys=True, default=_digest))


def _unusual_fields(p: Any) -> dict[str, object]:
    return {
        one.name: getattr(p, one.name)
        for one in dataclasses.fields(p)
        if one.init
        and one.name not in _LEFT_OUT
        and getattr(p, one.name) not in (one.default, None)
    }


def _digest(value: object) -> str:
    """Name a value that JSON cannot hold, a picture for example, by its content."""
    content = value.tobytes() if hasattr(value, "tobytes") else repr(value).encode("utf-8")
    return f"{type(value).__name__} {hashlib.sha256(content).hexdigest()}"


def copies_of(p: Any) -> Begin:
    """Return what begins each picture with a copy of the page, as the host's own scripts do."""

    @contextmanager
    def begin() -> Iterator[Any]:
        mine = copy.copy(p)
        mine.extra_generation_params = dict(p.extra_generation_params)
        mine.override_settings = dict(p.override_settings)
        mine.script_args = _without_dynamic_prompts(p)
        yield mine

    return begin


def _without_dynamic_prompts(p: Any) -> tuple[Any, ...]:
    """Return the scripts' arguments with Dynamic Prompts switched off: prompts are drawn."""
    arguments = list(p.script_args)
    for script in p.scripts.alwayson_scripts:
        if script.title().lower().startswith(DYNAMIC_PROMPTS) and script.args_to > script.args_from:
            arguments[script.args_from] = False
    return tuple(arguments)
