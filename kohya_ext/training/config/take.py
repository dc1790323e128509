"""A config that somebody has already, taken into a project: what it says becomes the manifest's.

Only what differs from the project's preset is taken; folders and names stay the project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...project import Project, ToolError
from ...project.families import FLAGS, Family, family_of_values
from ...project.manifest_edit import Place, edit_manifest
from ...project.wording import counted
from .conversion import Conversion, convert
from .kohya_json import GuiVersion, Values, default_values, keys_of, without_secrets
from .of_project import values_of
from .presets import require_preset

_OWN = frozenset(
    (
        "train_data_dir", "reg_data_dir", "output_dir", "output_name", "logging_dir",
        "log_with", "dataset_config", "resume", "training_comment", "metadata_title",
        "metadata_author", "metadata_description", "metadata_license", "metadata_tags",
        "pretrained_model_name_or_path", "vae", "network_weights", "epoch", "max_train_epochs",
        "max_train_steps", "save_every_n_epochs", "train_batch_size", "max_resolution", "seed",
        "sample_prompts", "sample_every_n_epochs", "caption_extension", "model_list",
        "wandb_run_name", "log_tracker_name", "log_tracker_config"
    )
)  # fmt: skip
"""Keys that the project answers itself, or that the manifest has a place of its own for."""

_PLACES: Mapping[str, str] = {
    "save_every_n_epochs": "save_every_n_epochs",
    "train_batch_size": "train_batch_size",
    "max_resolution": "resolution",
    "seed": "seed",
    "sample_every_n_epochs": "sample_every_n_epochs",
}
_LEFT = {
    "reg_data_dir": "folder of regularisation images",
    "network_weights": "LoRA to continue from",
    "dataset_config": "dataset config",
}
"""What is said when it is there, for the project has its own."""
_MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class TakePlan:
    """What becomes of a project: changes of its manifest, and what there is to say of them."""

    conversion: Conversion
    changes: Mapping[Place, Any]
    notes: tuple[str, ...]


def plan_take(project: Project, path: Path) -> TakePlan:
    """Plan to take the settings of any config for sd-scripts. Raises as `convert` does."""
    version = GuiVersion(project.manifest.training.kohya_version)
    converted = convert(path, version)
    every, secrets = without_secrets(converted.config.as_json())
    family = family_of_values(every)
    # what the file does not say is the preset's to say, not the default of some GUI
    given = {key: value for key, value in every.items() if key not in converted.config.missing}
    notes = [*converted.notes, *map(str, converted.config.repairs)]
    notes += [f"{key} is a secret and was not copied." for key in secrets]
    changes: dict[Place, Any] = {("base_model", "family"): family.value}
    base = str(given.get("pretrained_model_name_or_path") or "")
    if base and Path(base).is_file():
        changes[("base_model", "path")] = base
    elif base:
        notes.append(f"Its base model {base} is not on this machine: choose one.")
    notes += [
        f"Its {what} {given[key]} was not copied." for key, what in _LEFT.items() if given.get(key)
    ]
    changes |= _lengths(given, notes)
    preset = project.manifest.training.preset
    if project.manifest.base_model.family is not family:
        preset = ""
        changes[("training", "preset")] = ""
    usual = _usual(project, family.value, preset, version)
    differing = {
        key: given[key]
        for key in keys_of(version)
        if key in given
        and key not in _OWN
        and key not in FLAGS.values()
        and given[key] != usual.get(key)
    }
    changes[("training", "overrides")] = differing
    name = require_preset(preset, family).name
    notes.append(
        f"{counted(len(differing), 'value')} different from the preset {name} will be kept as "
        "overrides."
    )
    return TakePlan(converted, changes, tuple(notes))


def apply_take(project: Project, plan: TakePlan) -> Project:
    """Write the changes into the manifest, and note where they came from."""
    changed = edit_manifest(project, plan.changes)
    project.journal.append("take-config", name=plan.conversion.name, keys=len(plan.changes))
    return changed


def _lengths(given: Values, notes: list[str]) -> dict[Place, Any]:
    found: dict[Place, Any] = {}
    for key, place in _PLACES.items():
        value = given.get(key)
        if value not in (None, "", 0):
            found[("training", place)] = value
    prompts = str(given.get("sample_prompts") or "").splitlines()
    if any(line.strip() for line in prompts):
        found[("training", "sample_prompts")] = [one.strip() for one in prompts if one.strip()]
    epochs = int(given.get("max_train_epochs") or given.get("epoch") or 0)
    if 0 < epochs <= _MOST_EPOCHS:
        found[("training", "max_train_epochs")] = epochs
    if given.get("max_train_steps"):
        notes.append(
            f"It ends after {counted(given['max_train_steps'], 'step')}; a project trains whole "
            "epochs: "
            f"{epochs or 'choose how many'}."
        )
    return found


def _usual(project: Project, family: str, preset: str, version: GuiVersion) -> Values:
    """Return what the project would train with by its preset alone."""
    manifest = project.manifest
    training = replace(manifest.training, preset=preset, overrides={}, validation_split=0.0)
    named = manifest.base_model.path or "model.safetensors"
    base = replace(manifest.base_model, family=Family(family), path=named)
    bare = replace(project, manifest=replace(manifest, training=training, base_model=base))
    try:
        return values_of(bare, version)
    except ToolError:  # a family whose other files are not named yet
        return default_values(version)
