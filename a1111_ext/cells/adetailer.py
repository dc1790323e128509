"""ADetailer's arguments in a cell: what it is to draw with, and what of that a WebUI lacks.

It refuses a wrong name in its own window only, or draws with another: nothing in the answer tells.
Names of arguments are those of Bing-su/adetailer; each `ad_use_...` switches its setting on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from kohya_ext.project import InputError

from ..api.capabilities import Capabilities
from ..api.lora_tags import lora_tags
from .cell import Cell

ADETAILER = "adetailer"
"""The always-on script's name, as it is compared."""


def without_adetailer(cell: Cell) -> Cell:
    """Return the same request before ADetailer."""
    scripts = tuple(use for use in cell.scripts if use.name.casefold() != ADETAILER)
    return replace(cell, scripts=scripts)


def detectors_of(cell: Cell) -> tuple[str, ...]:
    """Return the models that ADetailer is to look for faces and hands with; () where it is off.

    "" is a tab that names none. It refuses a wrong argument in its own window only.
    """
    return tuple(str(tab.get("ad_model", "")) for tab in _detailing(cell))


def prompts_of_adetailer(cell: Cell) -> tuple[tuple[str, str], ...]:
    """Return the prompts and negative prompts that ADetailer draws with in place of the cell's."""
    named = ("ad_prompt", "ad_negative_prompt")
    pairs = (tuple(str(tab.get(name) or "") for name in named) for tab in _detailing(cell))
    return tuple((prompt, negative) for prompt, negative in pairs)


def _detailing(cell: Cell) -> list[dict[str, Any]]:
    """Return ADetailer's tabs that are on and have a model."""
    for use in cell.scripts:
        if use.name.casefold() == ADETAILER and use.args[:1] != [False]:
            tabs = [one for one in use.args if isinstance(one, dict)]
            on = (one for one in tabs if all(_is_on(one.get(name, True)) for name in _SWITCHES))
            return [one for one in on if one.get("ad_model", "") != "None"]
    return []


_SWITCHES = ("ad_tab_enable", "ad_tap_enable")
"""What switches a tab off, by its names in different versions."""


def _is_on(value: object) -> bool:
    """Tell whether ADetailer takes a value for true, as pydantic does: 1 and "yes", too."""
    return str(value).lower() in ("true", "1", "on", "t", "y", "yes")


def models_of_adetailer(cell: Cell, kind: str) -> tuple[str, ...]:
    """Return the checkpoints or VAEs (`kind` as in its arguments) that ADetailer changes to."""
    return tuple(filter(None, (_chosen(tab, kind) for tab in _detailing(cell))))


def _chosen(tab: dict[str, Any], setting: str, switch: str = "") -> str:
    """Return a setting that is switched on and is not the picture's own; "" for any other.

    The schedule type has the sampler's switch.
    """
    is_on = _is_on(tab.get(f"ad_use_{switch or setting}"))
    word = str(tab.get(f"ad_{setting}") or "") if is_on else ""
    return "" if word == "None" or word.startswith("Use same ") else word


def require_adetailer(cell: Cell, has: Capabilities) -> None:
    """Raise InputError or MissingError for what ADetailer asks for and a WebUI lacks."""
    for tab in _detailing(cell):
        has.require_detector(str(tab.get("ad_model", "")))
        if checkpoint := _chosen(tab, "checkpoint"):
            has.require_checkpoint(checkpoint)
        has.require_vae(_chosen(tab, "vae"))
        _require_sampler(
            _chosen(tab, "sampler") or cell.sampler,
            _chosen(tab, "scheduler", "sampler") or cell.scheduler,
            has,
        )
    for prompt, negative in prompts_of_adetailer(cell):
        _require_prompt(prompt, negative, has)


def _require_sampler(sampler: str, scheduler: str, has: Capabilities) -> None:
    """Take names of before A1111 1.9, which hold the schedule type, as ADetailer's default does."""
    plain, _, schedule = sampler.rpartition(" ")
    if sampler not in has.samplers and schedule in has.schedulers and plain in has.samplers:
        sampler = plain
    has.require_names(sampler=sampler, scheduler=scheduler, upscaler=None)


def _require_prompt(prompt: str, negative: str, has: Capabilities) -> None:
    """Raise InputError for what ADetailer would silently draw without."""
    has.require_read(prompt, negative)
    for tag in lora_tags(prompt):
        has.require_lora(tag.name, tag.weight)
    for text in (prompt, negative):
        if found := re.search(r"\{[^{}]*\}?|(?<!\w)__[\w/*.-]+__(?!\w)", text):
            raise InputError(
                "LL424",
                f"ADetailer's prompt contains {found[0]}, which nothing fills in or expands there.",
                "Write it out, or leave ad_prompt empty: then the picture's own prompt counts.",
            )
