"""Any config for sd-scripts, without a project: read, explained, and turned into what runs it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...project.files import (
    is_portable_name,
    make_folder,
    write_json_atomic,
    write_text_atomic,
)
from ...project.numbers import whole_number
from ...project.settings import user_folder
from ..checks.settings import advise_on
from ..dataset.folders import FolderReading, read_folders
from .arguments import GuiDifference, TrainerCall, plan_call
from .forms import ConfigForm, ConfigSource, read_config
from .gui_values import as_json_values, close_gap, with_fields
from .kohya_json import HANDLED, SAVE_AS_BOOL, GuiVersion, KohyaConfig, keys_of, repair
from .paths import ARGUMENT_PATHS, GUI_PATHS, with_absolute_paths
from .toml import format_dataset, format_toml
from .trainer_form import read_settings, unknown_names
from .validation import AS_IT_SAYS, Validation, with_validation


@dataclass(frozen=True)
class Conversion:
    """A config as its author meant it: as the GUI's json, and as a call of the trainer.

    `dataset_toml` is empty when the training folder is not on this machine; `differences` is what
    the GUI's json cannot say, `notes` what was concluded or left out.
    """

    name: str
    form: ConfigForm
    config: KohyaConfig
    call: TrainerCall
    dataset_toml: str
    advice: tuple[str, ...]
    notes: tuple[str, ...] = ()
    differences: tuple[GuiDifference, ...] = ()

    @property
    def toml(self) -> str:
        """The config toml for sd-scripts."""
        return format_toml(self.call.toml)


def convert(
    path: Path,
    version: GuiVersion,
    draws: int | None = None,
    validation: Validation = AS_IT_SAYS,
) -> Conversion:
    """Convert any config for sd-scripts; `draws` where the pictures are on another machine.

    Relative paths in it count from its folder. Raises MissingError (cannot be read) or InputError
    (another trainer's; a value that cannot be; learning rates; an unknown LoRA type).
    """
    source = read_config(path)
    folder = path.absolute().parent
    if source.form is ConfigForm.TRAINER:
        return _of_trainer(source, path, version, validation)
    settings, repairs = with_fields(source.settings, version, path)
    config = repair(with_absolute_paths(settings, folder, GUI_PATHS), version)
    config = replace(config, repairs=(*repairs, *config.repairs))
    reading = find_folders(config.meant.get("train_data_dir"))
    call = plan_call(config.meant, version, draws or (reading.draws if reading else 0))
    toml = with_absolute_paths(call.toml, folder, ARGUMENT_PATHS)
    call = with_validation(replace(call, toml=toml), validation)
    call, dataset = _with_dataset(call, source, folder)
    values, differences = close_gap(config.values, call, version)
    newer = keys_of(GuiVersion.V26)
    unknown = [key for key in config.unknown if key not in (*newer, *HANDLED)]
    return Conversion(
        str(config.meant.get("output_name") or path.stem),
        source.form,
        replace(config, values=values),
        call,
        dataset or (format_dataset_toml(toml, reading) if reading else ""),
        advise_on(config.meant),
        (*source.notes, *unknown_names(unknown)),
        differences,
    )


def _of_trainer(
    source: ConfigSource, path: Path, version: GuiVersion, validation: Validation
) -> Conversion:
    """Convert settings under the trainer's own names: what it gets is what they say."""
    read = read_settings(source.settings, path)
    call = with_validation(read.call, validation)
    call, dataset = _with_dataset(call, source, path.absolute().parent)
    values, differences = close_gap(as_json_values(call, version), call, version)
    config = KohyaConfig(version, values, {SAVE_AS_BOOL: False}, (), values, ())
    reading = find_folders(call.toml.get("train_data_dir"))
    return Conversion(
        str(call.toml.get("output_name") or path.stem),
        source.form,
        config,
        call,
        dataset or (format_dataset_toml(call.toml, reading) if reading else ""),
        advise_on(values),
        (*source.notes, *read.notes),
        differences,
    )


def _with_dataset(call: TrainerCall, source: ConfigSource, folder: Path) -> tuple[TrainerCall, str]:
    """Name the dataset config that stands inside a config as a file of its own; return its text."""
    if source.dataset is None:
        return call, ""
    keys = ("image_dir", "metadata_file", "conditioning_data_dir")
    datasets = [
        {
            **dataset,
            "subsets": [
                with_absolute_paths(one, folder, keys) for one in dataset.get("subsets", ())
            ],
        }
        for dataset in source.dataset["datasets"]
    ]
    text = format_dataset({**source.dataset, "datasets": datasets})
    name = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    path = user_folder() / "datasets" / f"{name}.toml"
    return replace(
        call, toml=dict(sorted({**call.toml, "dataset_config": str(path)}.items()))
    ), text


def find_folders(root: object) -> FolderReading | None:
    """Read a training folder as far as it is on this machine."""
    path = Path(str(root or ""))
    return read_folders(path) if path.name and path.is_dir() else None


def apply_conversion(conversion: Conversion, folder: Path) -> tuple[Path, ...]:
    """Write the GUI's json, the config toml and the dataset toml; return their paths.

    Raises MachineError when the folder cannot be written.
    """
    name = re.sub(r'[\\/:*?"<>|]', "_", conversion.name)
    name = name if is_portable_name(f"{name}.toml") else f"_{name}"
    paths = [folder / f"{name}.json", folder / f"{name}.toml", folder / f"{name}.dataset.toml"]
    json_values, toml = conversion.config.as_json(), dict(conversion.call.toml)
    if is_inside_dataset(conversion.call):
        json_values["dataset_config"] = toml["dataset_config"] = str(paths[2].absolute())
    write_json_atomic(paths[0], json_values, sort_keys=True)
    write_text_atomic(paths[1], format_toml(toml))
    if not conversion.dataset_toml:
        return tuple(paths[:2])
    write_text_atomic(paths[2], conversion.dataset_toml)
    return tuple(paths)


def is_inside_dataset(call: TrainerCall) -> bool:
    """Tell whether the dataset config of a call stood inside its config, and is ours to write."""
    return Path(str(call.toml.get("dataset_config") or "")).parent == user_folder() / "datasets"


def write_dataset(conversion: Conversion) -> None:
    """Write the dataset config of a config that holds it, named by its content."""
    if is_inside_dataset(conversion.call):
        path = Path(str(conversion.call.toml["dataset_config"]))
        make_folder(path.parent)
        write_text_atomic(path, conversion.dataset_toml)


# The same pictures as a dataset toml.

_DATASET_KEYS = {
    "resolution": "resolution",
    "train_batch_size": "batch_size",
    "enable_bucket": "enable_bucket",
    "bucket_no_upscale": "bucket_no_upscale",
    "bucket_reso_steps": "bucket_reso_steps",
    "min_bucket_reso": "min_bucket_reso",
    "max_bucket_reso": "max_bucket_reso",
}
_SUBSET_KEYS = (
    "caption_dropout_every_n_epochs",
    "caption_dropout_rate",
    "caption_extension",
    "color_aug",
    "flip_aug",
    "keep_tokens",
    "random_crop",
    "shuffle_caption",
)


def format_dataset_toml(toml: Mapping[str, Any], reading: FolderReading) -> str:
    """Return the training folders as a dataset toml, which sd-scripts takes by --dataset_config.

    Beside the config toml it takes precedence over the folders there; the training is the same.
    """
    general = {key: toml[key] for key in _SUBSET_KEYS if key in toml}
    dataset = {new: toml[old] for old, new in _DATASET_KEYS.items() if old in toml}
    sides = [whole_number(one.strip()) for one in str(dataset.get("resolution")).split(",")]
    if None not in sides:
        dataset["resolution"] = sides[0] if len(sides) == 1 else sides
    subsets = [
        {
            "image_dir": str(folder.path),
            "num_repeats": folder.repeats,
            "class_tokens": folder.class_tokens,
            **({"is_reg": True} if is_reg else {}),
        }
        for found, is_reg in ((reading, False), (find_folders(toml.get("reg_data_dir")), True))
        for folder in (found.folders if found else ())
    ]
    return format_dataset({"general": general, "datasets": [{**dataset, "subsets": subsets}]})
