"""Presets: values of the Kohya LoRA tab as data, each with the reason beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...project import InputError
from ...project.families import Family
from ...project.manifest import SubjectKind
from ...project.yaml_reader import packaged_yaml


@dataclass(frozen=True)
class PresetValue:
    """One value of a preset and why it is so."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class MemoryRow:
    """What is known of the graphics memory, in GB, that these settings need, and from where."""

    card_gb: int
    settings: str
    source: str

    def __str__(self) -> str:
        return f"{self.card_gb} GB: {self.settings} ({self.source})"


@dataclass(frozen=True)
class Preset:
    """A named set of values for one base model family; `memory` is empty where none was measured.

    The values are those for a character; `preset_values` has those of other subjects.
    """

    name: str
    title: str
    family: Family
    values: tuple[PresetValue, ...]
    memory: tuple[MemoryRow, ...]


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = packaged_yaml(__package__, "data/presets.yaml")
    return table


@lru_cache(maxsize=1)
def presets() -> tuple[Preset, ...]:
    """Return all presets in the order of their file."""
    return tuple(
        Preset(
            name,
            row["title"],
            Family(row["family"]),
            tuple(PresetValue(key, *pair) for key, pair in _pairs(row).items()),
            tuple(MemoryRow(*one) for one in row.get("memory", ())),
        )
        for name, row in _table()["presets"].items()
    )


def _pairs(row: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a preset's own values over those of its bases, and these over the common ones."""
    table = _table()
    found: dict[str, Any] = dict(table["common"])
    for base in row["bases"]:
        found |= table["bases"][base]
    return {**found, **row["values"]}


def require_preset(name: str, family: Family) -> Preset:
    """Return a preset by name, or the family's usual one for an empty name.

    Raises InputError for an unknown name, or one of another family.
    """
    training = family.facts.training
    if training is None:
        raise InputError(
            "LL306",
            f"sd-scripts does not train {family.facts.title}, so there is no preset for it.",
            "Train it with another trainer, and use its epoch files here.",
        )
    wanted = name or training.preset
    found = next((one for one in presets() if one.name == wanted), None)
    if found is None or found.family is not family:
        fitting = ", ".join(one.name for one in presets() if one.family is family)
        what = "is not a preset" if found is None else f"is for {found.family.value}"
        raise InputError(
            "LL306",
            f'"{wanted}" {what}; the base model family is {family.value}.',
            f"Presets for {family.value}: {fitting}.",
        )
    return found


def subject_factor(kind: SubjectKind) -> tuple[float, str]:
    """Return the text encoder's learning rate as a share of the U-Net's, and why."""
    value, reason = _table()["subjects"][kind.value]["text_encoder_factor"]
    return float(value), str(reason)


def values_for(preset: Preset, kind: SubjectKind) -> Iterator[PresetValue]:
    """Yield a preset's values for one kind of subject, each with its reason."""
    values = {one.key: one for one in preset.values}
    yield from values.values()
    if "text_encoder_lr" not in values:
        factor, reason = subject_factor(kind)
        rate = round(float(values["unet_lr"].value) * factor, 10)
        yield PresetValue("text_encoder_lr", rate, f"{factor:g} of the U-Net's: {reason}")
    for key, (value, reason) in _table()["subjects"][kind.value].items():
        if key != "text_encoder_factor":
            yield PresetValue(key, value, str(reason))


def preset_values(preset: Preset, kind: SubjectKind) -> Mapping[str, Any]:
    """Return a preset's values for one kind of subject, by key."""
    return {one.key: one.value for one in values_for(preset, kind)}
