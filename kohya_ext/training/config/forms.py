"""The one place that says "I know this form": it opens a training config and tells whose it is.

Read are jsons and tomls of the Kohya GUI and of its second version, of sd-scripts and of
LoRA_Easy_Training_Scripts, flat or in sections; what was made for another trainer is refused by its
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ...project import InputError, MissingError
from ...project.json_reader import ShapeError, parse_json, read_bounded
from ...project.limits import limits
from ...project.printable import shortened
from ...project.wording import counted
from ...project.yaml_reader import quick_loader
from . import lora_easy
from .arguments import all_arguments
from .kohya_json import HANDLED, GuiVersion, keys_of
from .other_trainers import owner_of
from .paths import ARGUMENT_PATHS, GUI_PATHS
from .toml import parse_toml
from .trainer_form import OTHER_NAMES

CONFIG_SUFFIXES = (".json", ".toml")
Table = tuple[tuple[str, ...], Mapping[str, Any]]
"""Settings, and the names of the sections around them."""


class ConfigForm(str, Enum):
    """Whose names the settings have: fields of the Kohya GUI, or arguments of sd-scripts."""

    GUI = "Kohya GUI"
    TRAINER = "sd-scripts"


@dataclass(frozen=True)
class ConfigSource:
    """What a config file holds: flat settings, a dataset config inside it, what to tell of both."""

    form: ConfigForm
    settings: Mapping[str, Any]
    dataset: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def read_config(path: Path) -> ConfigSource:
    """Read any training config for sd-scripts.

    Raises MissingError (cannot be read, neither JSON nor toml) or InputError (made for another
    trainer, no setting that is known).
    """
    data, notes = read_data(path)
    if owner := owner_of(data):
        raise InputError(
            "LL313",
            f"{path} is a config of {owner.name}, not of a LoRA that sd-scripts trains.",
            owner.cure,
        )
    if lora_easy.is_form(data):
        settings, datasets, more = lora_easy.read(data, path)
        return ConfigSource(ConfigForm.TRAINER, settings, datasets, (*notes, *more))
    dataset = _dataset_of(data)
    if dataset is not None:
        data = {key: value for key, value in data.items() if key not in dataset}
    _require_one_config(data, path)
    settings, clashes = _flat(data)
    known = settings.keys() & {*keys_of(GuiVersion.V26), *all_arguments()}
    if not known:
        what = "only a dataset config" if dataset else _listed(data)
        raise InputError(
            "LL313",
            f"{path} contains {what}: no setting of the Kohya GUI or of sd-scripts.",
            "Set dataset_config of a training config to a dataset config."
            if dataset
            else "Give a training config.",
        )
    _require_mostly_known(settings, path)
    is_flat = not any(isinstance(value, dict) for value in data.values())
    is_json = is_flat and path.suffix.lower() != ".toml"
    names_network = bool(settings.keys() & _OF_NETWORKS)
    if "LoRA_type" in settings:  # the GUI's second version saves both, the network being what runs
        form = ConfigForm.GUI if is_json or not names_network else ConfigForm.TRAINER
    elif (is_json and settings.keys() & _SURE) or (is_json and not names_network):
        form = ConfigForm.GUI
    else:
        form = ConfigForm.TRAINER
    return ConfigSource(form, _checked(settings, path), dataset, (*notes, *clashes))


def _checked(settings: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Join a list of sample prompts; refuse a path that an unescaped backslash has damaged."""
    for key in (*ARGUMENT_PATHS, *GUI_PATHS):
        value = settings.get(key)
        if key != "sample_prompts" and isinstance(value, str) and _DAMAGED.search(value.strip()):
            raise InputError(
                "LL314",
                f"{key} is {value!r} in {path}: a backslash there was read as a line break or tab.",
                f"Write it with / instead of \\ in {path.name}.",
            )
    prompts = settings.get("sample_prompts")
    if isinstance(prompts, list) and all(isinstance(one, str) for one in prompts):
        return {**settings, "sample_prompts": "\n".join(prompts)}
    return settings


_DAMAGED = re.compile(r"[\x00-\x1f]")
"""What `\\n`, `\\t`, `\\b`, `\\f` and `\\r` of a Windows path become between double quotes."""

_SURE = {
    "LyCORIS_preset", "max_resolution", "additional_parameters", "model_list",
    "num_cpu_threads_per_process", "lr_warmup",
}  # fmt: skip
"""Fields that only the GUI writes, and hand-made configs hardly have."""

_OF_NETWORKS = {"network_module", "network_args"}
"""What names a LoRA to sd-scripts, and is not a field of the GUI."""


_MARKS = _OF_NETWORKS | {"LoRA_type", "network_dim", "network_alpha", "network_rank"}
"""Names that make a config one of a LoRA, whatever else it has."""


def _require_mostly_known(settings: Mapping[str, Any], path: Path) -> None:
    """Refuse what shares only a few common names with the configs of sd-scripts."""
    known = {*keys_of(GuiVersion.V26), *all_arguments(), *OTHER_NAMES, *HANDLED}
    strange = [key for key in settings if key not in known]
    if settings.keys() & _MARKS or 2 * len(strange) <= len(settings):
        return
    raise InputError(
        "LL313",
        f"{path} is not a config for sd-scripts: of its {counted(len(settings), 'setting')}, "
        f"{len(strange)} are unknown to sd-scripts and to the Kohya GUI, such as "
        f"{_shown(strange[:3])}.",
        "Give a training config.",
    )


def _require_one_config(data: Mapping[str, Any], path: Path) -> None:
    """Refuse a collection: configs by name, each with settings of the same names."""
    known = {*keys_of(GuiVersion.V26), *all_arguments()}
    inner = {
        (*names, name): {*one}
        for names, table in _tables((), data)
        for name, one in table.items()
        if isinstance(one, dict) and not name.endswith("_args")
    }
    for names, settings in inner.items():
        for others, more in inner.items():
            if names != others and len(settings & more & known) > _SHARED:
                raise InputError(
                    "LL313",
                    f'{path} contains several configs, such as "{".".join(names)}" and '
                    f'"{".".join(others)}".',
                    "Save one of them as a file of its own, and give that.",
                )


_SHARED = 4
"""So many settings may stand in two sections of one config; the later one is used."""


def _tables(names: tuple[str, ...], data: Mapping[str, Any]) -> Iterator[Table]:
    yield names, data
    for name, one in data.items():
        if isinstance(one, dict):
            yield from _tables((*names, name), one)


def _listed(data: Mapping[str, Any]) -> str:
    more = f" and {len(data) - 6} more" if len(data) > 6 else ""
    return f"only {_shown(list(data)[:6])}{more}" if data else "nothing"


def _shown(names: list[str]) -> str:
    return ", ".join(f'"{shortened(name)}"' for name in names)


def _dataset_of(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a dataset config inside a config: its `[[datasets]]` with their `[general]`."""
    datasets = data.get("datasets")
    if not (isinstance(datasets, list) and all(isinstance(one, dict) for one in datasets)):
        return None
    return {key: data[key] for key in ("general", "datasets") if key in data}


def _flat(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Take settings out of their sections, as sd-scripts does; the later of two wins."""
    found: dict[str, Any] = {}
    notes = []
    for key, value in data.items():
        is_section = isinstance(value, dict) and not key.endswith("_args")
        inner, more = _flat(value) if is_section else ({key: value}, [])
        notes += more
        for name, one in inner.items():
            if name in found and found[name] != one:
                notes.append(f"{name} is given twice, and {one!r} is used, not {found[name]!r}")
            found[name] = one
    return found, notes


# The file.


def read_data(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the object or tables in a file, and what had to be overlooked. Raises MissingError."""
    try:
        text = _text(read_bounded(path, limits().json_bytes))
    except (OSError, ShapeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise MissingError("LL301", f"{path} cannot be read: {why}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise MissingError(
            "LL301",
            f"{path} is not text in UTF-8 or UTF-16: {error}.",
            "Save it as UTF-8.",
        ) from error
    suffix = path.suffix.lower()
    name = "toml" if suffix == ".toml" else "YAML" if suffix in (".yaml", ".yml") else "JSON"
    notes: list[str] = []
    try:
        data = _parsed(text, name, notes)
    except (ValueError, RecursionError) as error:
        why = _why(error, name)
        windows = "Write paths with / instead of \\. " if "\\" in why or "escape" in why else ""
        raise MissingError(
            "LL301",
            f"{path} is not valid {name}: {why}.",
            f"{windows}Correct it there, or save it again from the program that wrote it.",
        ) from error
    if not isinstance(data, dict):
        raise MissingError(
            "LL301",
            f"{path} contains a {type(data).__name__}, not a JSON object.",
            "Give a config that the Kohya GUI saved.",
        )
    return data, notes


def _why(error: Exception, name: str) -> str:
    return " ".join(str(error).split()).removeprefix(f"it is not valid {name}: ")


def _text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 as Windows Notepad writes it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if data[1:2] == b"\0":
        return data.decode("utf-16-le")
    return data.decode("utf-8-sig")


def _parsed(text: str, name: str, notes: list[str]) -> object:
    if name == "toml":
        return parse_toml(text)
    if name == "YAML":
        import yaml

        try:
            return yaml.load(text, Loader=quick_loader())
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
    try:
        return parse_json(text)
    except ValueError:
        # Take comments and trailing commas out, outside of texts.
        bare = _COMMENT.sub(lambda match: match[1] or "", text)
        plain = _COMMA.sub(lambda match: match[1] or "", bare)
        if plain == text:
            raise
        data: object = parse_json(plain)
        notes.append("it has comments or commas that JSON does not allow; they are ignored")
        return data


_TEXT = r'("(?:[^"\\]|\\(?:.|\Z))*(?:"|\Z))'
_COMMENT = re.compile(_TEXT + r"|//[^\n]*|/\*.*?(?:\*/|\Z)|#[^\n]*", re.DOTALL)
_COMMA = re.compile(_TEXT + r"|,(?=\s*[}\]])", re.DOTALL)
