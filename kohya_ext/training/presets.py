"""Presets: values of the Kohya LoRA tab as data, each with the reason beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from ..project import ToolError
from ..project.manifest import BaseModelFamily, SubjectKind


@dataclass(frozen=True)
class PresetValue:
    """One value of a preset and why it is so."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Preset:
    """A named set of values for one base model family."""

    name: str
    title: str
    family: BaseModelFamily
    values: tuple[PresetValue, ...]


_DEFAULTS = {BaseModelFamily.SD15: "sd15-locon-24", BaseModelFamily.SDXL: "sdxl-lora-12gb"}


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    import yaml

    path = resources.files(__package__) / "data" / "presets.yaml"
    table: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return table


def presets() -> tuple[Preset, ...]:
    """Return all presets in the order of their file."""
    return tuple(
        Preset(
            name,
            row["title"],
            BaseModelFamily(row["family"]),
            tuple(
                PresetValue(key, value, reason)
                for key, (value, reason) in {**_table()["common"], **row["values"]}.items()
            ),
        )
        for name, row in _table()["presets"].items()
    )


def require_preset(name: str, family: BaseModelFamily) -> Preset:
    """Return a preset by name, or the family's usual one for an empty name.

    Raises ToolError LL306 for an unknown name, or one of another family.
    """
    wanted = name or _DEFAULTS.get(family, "")
    found = next((one for one in presets() if one.name == wanted), None)
    if found is None or found.family is not family:
        fitting = ", ".join(one.name for one in presets() if one.family is family) or "none yet"
        what = (
            f'"{wanted}" is no preset'
            if found is None
            else f'"{wanted}" is for {found.family.value}'
        )
        raise ToolError(
            "LL306",
            f'"{wanted}" {what}; the base model family is {family.value}.',
            f"Presets for {family.value}: {fitting}.",
        )
    return found


def subject_factor(kind: SubjectKind) -> tuple[float, str]:
    """Return the text encoder's learning rate as a share of the U-Net's, and why."""
    value, reason = _table()["subjects"][kind.value]["text_encoder_factor"]
    return float(value), str(reason)


def preset_values(preset: Preset, kind: SubjectKind) -> Mapping[str, Any]:
    """Return a preset's values for one kind of subject."""
    values = {one.key: one.value for one in preset.values}
    factor, _ = subject_factor(kind)
    values["text_encoder_lr"] = round(float(values["unet_lr"]) * factor, 10)
    return values
