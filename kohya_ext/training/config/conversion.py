"""Any Kohya json, without a project: read, repaired, explained, and turned into what runs it.

`convert` is our reading of it, `print_as_gui` what the GUI of a version would run, flaws included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...project import InputError, ToolError
from ...project.files import write_json_atomic, write_text_atomic
from ..checks.settings import advise_on
from ..dataset.folders import FolderReading, read_folders
from .arguments import Dataset, TrainerCall, call_as_gui, format_gui_toml, format_toml, plan_call
from .gui_emulation import gui_draws, gui_refusals
from .gui_load import take_as_gui
from .kohya_json import GuiVersion, KohyaConfig, load_json, repair


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

    Raises MissingError (no json) or InputError (learning rates; an unknown LoRA type).
    """
    config = repair(load_json(path), version)
    values = config.meant
    reading = _reading(values)
    if draws is None:
        draws = reading.draws if reading else 0
    call = without_prompts(plan_call(values, version, Dataset(draws)))
    data = format_dataset_toml(call.toml, reading) if reading else ""
    name = str(values.get("output_name") or path.stem)
    return Conversion(name, config, call, data, advise_on(values))


def _reading(values: Mapping[str, Any]) -> FolderReading | None:
    root = Path(str(values.get("train_data_dir") or ""))
    return read_folders(root) if root.name and root.is_dir() else None


def without_prompts(call: TrainerCall) -> TrainerCall:
    """Leave out the prompt file when there are no prompts: sd-scripts would look for it."""
    from dataclasses import replace

    if call.sample_prompts.strip():
        return call
    drop = ("sample_prompts", "sample_sampler", "sample_every_n_epochs", "sample_every_n_steps")
    return replace(call, toml={key: value for key, value in call.toml.items() if key not in drop})


def apply_conversion(conversion: Conversion, folder: Path) -> tuple[Path, ...]:
    """Write the repaired json, the config toml and the dataset toml; return their paths.

    Raises MachineError (when the folder cannot be written).
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
    if isinstance(dataset.get("resolution"), str):
        sides = [int(side) for side in str(dataset["resolution"]).split(",")]
        dataset["resolution"] = sides[0] if len(sides) == 1 else sides
    sections = [("[general]", general), ("[[datasets]]", dataset)]
    regular = Path(str(toml.get("reg_data_dir") or ""))
    for found, is_reg in ((reading, False), (_folders_at(regular), True)):
        for folder in found.folders if found else ():
            subset: dict[str, Any] = {
                "image_dir": str(folder.path),
                "num_repeats": folder.repeats,
                "class_tokens": folder.class_tokens,
            }
            subset |= {"is_reg": True} if is_reg else {}
            sections.append(("[[datasets.subsets]]", subset))
    return "\n".join(f"{head}\n{format_toml(rows).lstrip()}" for head, rows in sections)


def _folders_at(root: Path) -> FolderReading | None:
    return read_folders(root) if root.name and root.is_dir() else None


# What the GUI itself would run.


@dataclass(frozen=True)
class GuiPrint:
    """What the GUI of a version would run: its toml letter by letter, and its command."""

    call: TrainerCall
    secrets: tuple[str, ...]

    @property
    def toml(self) -> str:
        return format_gui_toml(self.call.toml)

    @property
    def command(self) -> tuple[str, ...]:
        """The command's words; the GUI puts the time into the toml's name and its own folder."""
        script = f"sd-scripts/{self.call.script_name}"
        config = f"{self.call.toml.get('output_dir', '')}/config_lora-<time>.toml"
        words = ("accelerate", "launch", *self.call.launch, script, "--config_file", config)
        return (*words, *self.call.additional)


def print_as_gui(
    data: Mapping[str, Any],
    version: GuiVersion,
    *,
    where: str,
    draws: int | None = None,
    in_browser: bool = True,
) -> GuiPrint:
    """Return exactly what the GUI of `version` would run for a json; secrets are left out.

    `where` names the json in messages; `in_browser` as in `take_as_gui`. Raises InputError,
    with the GUI's reasons, when it would run nothing.
    """
    taken = take_as_gui(data, version, in_browser=in_browser)
    values = taken.values
    problems = (*taken.problems, *gui_refusals(values, version))
    needs_count = not values.get("max_train_steps") and not values.get("dataset_config")
    folder = Path(str(values.get("train_data_dir") or ""))
    if not problems and needs_count and draws is None:
        if not folder.is_dir():
            problems = (f"train_data_dir {folder} is not on this machine: see --draws",)
        elif version is GuiVersion.V26 and not _has_concepts(folder):
            problems = (f"{folder} holds no folder such as 5_Trigger",)
        else:
            draws = gui_draws(folder)
    if problems:
        raise InputError(
            "LL311",
            f"The Kohya GUI {version.value} would run nothing for {where}: {'; '.join(problems)}.",
            "Without --as-gui the json is read, repaired and explained.",
        )
    try:
        return GuiPrint(call_as_gui(values, version, Dataset(draws or 0)), taken.secrets)
    except ToolError as refused:
        raise InputError("LL311", f"{where}: {refused.problem}", refused.cure) from refused


def _has_concepts(folder: Path) -> bool:
    return any(one.is_dir() and re.match(r"^\d+_.+$", one.name) for one in folder.iterdir())
