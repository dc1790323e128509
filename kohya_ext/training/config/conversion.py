"""Any Kohya json, without a project: read, repaired, explained, and turned into what runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...project.files import write_json_atomic, write_text_atomic
from ..checks.settings import advise_on
from ..dataset.folders import FolderReading, read_folders
from .arguments import TrainerCall, plan_call
from .kohya_json import GuiVersion, KohyaConfig, load_json, repair
from .paths import ARGUMENT_PATHS, GUI_PATHS, with_absolute_paths
from .toml import format_toml


@dataclass(frozen=True)
class Conversion:
    """A json as its author meant it: repaired for the GUI, and as a call of the trainer.

    `dataset_toml` is empty when the training folder is not on this machine.
    """

    name: str
    config: KohyaConfig
    call: TrainerCall
    dataset_toml: str
    advice: tuple[str, ...]

    @property
    def toml(self) -> str:
        """The config toml for sd-scripts; also what the Kohya GUI's coming version saves."""
        return format_toml(self.call.toml)


def convert(path: Path, version: GuiVersion, draws: int | None = None) -> Conversion:
    """Convert any Kohya json; `draws` where the pictures lie on another machine.

    Relative paths in it count from its folder. Raises MissingError (not a json) or
    InputError (learning rates; an unknown LoRA type).
    """
    folder = path.absolute().parent
    config = repair(with_absolute_paths(load_json(path), folder, GUI_PATHS), version)
    reading = find_folders(config.meant.get("train_data_dir"))
    call = plan_call(config.meant, version, draws or (reading.draws if reading else 0))
    toml = with_absolute_paths(call.toml, folder, ARGUMENT_PATHS)
    return Conversion(
        str(config.meant.get("output_name") or path.stem),
        config,
        replace(call, toml=toml),
        format_dataset_toml(toml, reading) if reading else "",
        advise_on(config.meant),
    )


def find_folders(root: object) -> FolderReading | None:
    """Read a training folder as far as it is on this machine."""
    path = Path(str(root or ""))
    return read_folders(path) if path.name and path.is_dir() else None


def apply_conversion(conversion: Conversion, folder: Path) -> tuple[Path, ...]:
    """Write the repaired json, the config toml and the dataset toml; return their paths.

    Raises MachineError when the folder cannot be written.
    """
    name = re.sub(r'[\\/:*?"<>|]', "_", conversion.name)
    written = [folder / f"{name}.json", folder / f"{name}.toml"]
    write_json_atomic(written[0], conversion.config.as_json(), sort_keys=True)
    write_text_atomic(written[1], conversion.toml)
    if conversion.dataset_toml:
        written.append(folder / f"{name}.dataset.toml")
        write_text_atomic(written[-1], conversion.dataset_toml)
    return tuple(written)


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

    Beside the config toml it wins over the folders there; what is trained stays the same.
    """
    general = {key: toml[key] for key in _SUBSET_KEYS if key in toml}
    dataset = {new: toml[old] for old, new in _DATASET_KEYS.items() if old in toml}
    sides = str(dataset.get("resolution")).split(",")
    if all(side.strip().isdigit() for side in sides):
        dataset["resolution"] = int(sides[0]) if len(sides) == 1 else [*map(int, sides)]
    sections = [("[general]", general), ("[[datasets]]", dataset)]
    for found, is_reg in ((reading, False), (find_folders(toml.get("reg_data_dir")), True)):
        for folder in found.folders if found else ():
            subset: dict[str, Any] = {
                "image_dir": str(folder.path),
                "num_repeats": folder.repeats,
                "class_tokens": folder.class_tokens,
            }
            subset |= {"is_reg": True} if is_reg else {}
            sections.append(("[[datasets.subsets]]", subset))
    return "\n".join(f"{head}\n{format_toml(rows).lstrip()}" for head, rows in sections)
