"""Settings under sd-scripts' own names, from a json or toml: what its trainer gets of them.

The trainer takes a toml without a look at names and types; here every value is typed, and every
name that it would ignore is reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...project import InputError, ToolError
from ...project.families import FLAGS, trained
from ...project.lora_file import read_header
from ...project.lora_kind import read_facts
from .arguments import (
    NEWEST,
    TrainerCall,
    all_arguments,
    arguments_of,
    fit_types,
    shell_words_of,
    trainer_default,
)
from .gui_fields import LORAPLUS, Toml, family_rows, launch_words
from .kohya_json import SECRETS, GuiVersion, keys_of, without_secrets
from .paths import ARGUMENT_PATHS, with_absolute_paths

OTHER_NAMES = {
    "optimizer": "optimizer_type",
    "max_resolution": "resolution",
    "epoch": "max_train_epochs",
    "epochs": "max_train_epochs",
    "lr": "learning_rate",
    "lr_restart_cycles": "lr_scheduler_num_cycles",
    "batch_size": "train_batch_size",
    "pretrained_model": "pretrained_model_name_or_path",
    "network_rank": "network_dim",
    "save_every_n_epoch": "save_every_n_epochs",
    "caption_extention": "caption_extension",
}
"""Names of the GUI, of other tools and of older versions, where they mean the same."""

_GUI_LEFTOVERS = (
    "noise_offset_type", "stop_text_encoder_training", "save_as_bool", "lowvram", "LoRA_type",
)  # fmt: skip
"""What the GUI writes into its toml for nobody, or beside what says the same to the trainer."""

LAUNCHER = (
    "num_processes", "num_machines", "num_cpu_threads_per_process", "dynamo_mode",
    "dynamo_use_fullgraph", "dynamo_use_dynamic", "multi_gpu", "gpu_ids", "main_process_port",
    "extra_accelerate_launch_args",
)  # fmt: skip
"""Fields of the GUI that are accelerate's to know, not the trainer's."""

NETWORK_FIELDS = {"preset": "LyCORIS_preset", "block_size": "unit", "constraint": "constrain"}
"""Network arguments whose field in the GUI has another name."""


@dataclass(frozen=True)
class TrainerSettings:
    """The call that the settings ask for, and what to tell of them."""

    call: TrainerCall
    notes: tuple[str, ...]


def read_settings(settings: Mapping[str, Any], path: Path) -> TrainerSettings:
    """Make the trainer's call of settings under its own names; paths count from `path`'s folder.

    Raises InputError for a value of the wrong type and for what trains no LoRA.
    """
    given, secrets = without_secrets(settings)
    notes = [f"{key} is a secret and is left out: set {SECRETS[key]} instead" for key in secrets]
    given = _renamed(
        {key: value for key, value in given.items() if value not in (None, "", [])}, notes
    )
    script = _script_of(given, path.parent, notes)
    rows = family_rows(script)
    fields = {name: field for name, field in rows.items() if field in given and name not in given}
    given |= {name: given.pop(field) for name, field in fields.items()}
    known = arguments_of(script, NEWEST)
    launcher = {key: given.pop(key) for key in LAUNCHER if key in given}
    words = shell_words_of(str(launcher.get("extra_accelerate_launch_args") or ""))
    prompts = _take_prompts(given)
    toml: Toml = {}
    unknown = []
    for key, value in given.items():
        if key in known:
            toml[key] = typed(key, value, known[key], path)
        elif key in all_arguments():
            owners = ", ".join(f"{one}.py" for one in all_arguments()[key])
            notes.append(f"{key} is left out: {script}.py has no such argument, only {owners}")
        elif key in rows or key == "train_inpainting":
            toml[key] = value  # of a newer trainer than our list; the check on disk decides
        elif key in LORAPLUS:
            toml["network_args"] = [*toml.get("network_args", []), f"{key}={value}"]
        elif key not in (*_HINTS, *_GUI_LEFTOVERS):
            unknown.append(key)
    carried = [str(one).partition("=")[0] for one in toml.get("network_args", ())]
    carried += [NETWORK_FIELDS[one] for one in carried if one in NETWORK_FIELDS]
    notes += unknown_names([one for one in unknown if one not in carried])
    if not toml.keys() & {"learning_rate", "unet_lr"}:
        rate = trainer_default("learning_rate")
        notes.append(f"no learning rate is given: sd-scripts uses {rate:g}, which is very low")
    if "network_module" not in toml:
        toml["network_module"] = _module_of(script, toml, path)
        notes.append(f"network_module is {toml['network_module']}: none was given")
    off = (("dynamo_backend", "no"), ("max_token_length", 75))  # the GUI's words for none
    toml = {key: one for key, one in toml.items() if one is not False and (key, one) not in off}
    launch = launch_words({"num_cpu_threads_per_process": 2, **launcher}, words)
    toml = with_absolute_paths(fit_types(toml, script), path.absolute().parent, ARGUMENT_PATHS)
    call = TrainerCall(script, dict(sorted(toml.items())), launch, (), prompts)
    return TrainerSettings(call, tuple(notes))


def _take_prompts(given: dict[str, Any]) -> str:
    """Take prompts out that stand where the trainer wants a file of them; name the GUI's file."""
    text = str(given.get("sample_prompts") or "")
    if not text or Path(text).suffix.lower() in (".txt", ".toml", ".json"):
        return ""
    given["sample_prompts"] = f"{given.get('output_dir') or '.'}/sample/prompt.txt"
    return text


def _renamed(given: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    found = dict(given)
    for old, new in OTHER_NAMES.items():
        if old not in found:
            continue
        value = found.pop(old)
        if new not in found and value:
            found[new] = value
            if old != "epoch" or "max_train_steps" not in found:
                notes.append(f"{new} is {value!r}: {old} is another name for it")
            else:  # its steps win in sd-scripts, which ignores this name
                del found[new]
    if isinstance(found.get("xformers"), str):
        kind = found.pop("xformers")
        found |= {kind: True} if kind in ("xformers", "sdpa") else {}
    return found


def unknown_names(names: list[str]) -> list[str]:
    """Say which names nobody knows, each with the nearest known one."""
    known = [*all_arguments(), *keys_of(GuiVersion.V26)]
    gui = keys_of(GuiVersion.V26)
    found = []
    for name in names:
        if name in gui:
            found.append(
                f"{name} is left out: a field of the Kohya GUI, not an argument of sd-scripts"
            )
            continue
        close = get_close_matches(name, known, n=1, cutoff=0.75)
        nearest = f'; the most similar name is "{close[0]}"' if close else ""
        found.append(f"{name} is left out: it is unknown to sd-scripts and the Kohya GUI{nearest}")
    return found


# Values.

_WANTED = {"int": "a whole number", "float": "a number", "int_or_float": "a number"}


def typed(key: str, value: object, row: list[Any], path: Path) -> Any:
    """Return a value in the type of its argument. Raises InputError when it has none of that."""
    kind, nargs = row[:2]
    if nargs in ("*", "+"):
        if isinstance(value, dict):
            return [f"{name}={one}" for name, one in value.items()]
        members = value if isinstance(value, (list, tuple)) else shell_words_of(str(value))
        made = [_made(key, one, kind, path) for one in members]
        return made[0] if kind != "str" and not isinstance(value, list) and len(made) == 1 else made
    if isinstance(value, (list, tuple)) and kind == "str":
        return ",".join(_plain(one) for one in value)
    return _made(key, value, kind, path)


def _plain(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole and isinstance(value, float) else str(value)


def _made(key: str, value: object, kind: str, path: Path) -> Any:
    if kind == "bool":
        text = str(value).strip().lower()
        if text in ("true", "1", "1.0", "yes", "on", "false", "0", "0.0", "no", "off", "none"):
            return text in ("true", "1", "1.0", "yes", "on")
        raise _wrong(key, value, "true or false", path)
    if kind not in _WANTED:
        return _plain(value)
    try:
        number = float(str(value).strip()) if not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (kind == "int" and number != int(number)):
        raise _wrong(key, value, _WANTED[kind], path)
    is_whole = kind == "int" or (isinstance(value, int) and kind == "int_or_float")
    return int(number) if is_whole else value if isinstance(value, (int, float)) else number


def _wrong(key: str, value: object, wanted: str, path: Path) -> ToolError:
    return InputError("LL314", f"{key} is {value!r} in {path}, not {wanted}.", "Correct it there.")


# The script: settings of sd-scripts do not say which of its trainers they are for.

_HINTS = ("model_train_type", "train_type", "architecture", "training_type", *FLAGS.values())
_ARCHITECTURES = {"sd15": "train_network", "sd2": "train_network", "flux1": "flux_train_network"}
"""Words of the GUI's second version for a script; the others are the beginning of its name."""
_XL_NAME = re.compile(r"xl|pony|illustrious|noob", re.IGNORECASE)


def _script_of(given: Mapping[str, Any], folder: Path, notes: list[str]) -> str:
    """Return the trainer's script that the settings are for, telling what was only concluded."""
    scripts = {one: one.facts.training.script for one in trained() if one.facts.training}
    kind = str(given.get("model_train_type") or given.get("train_type") or "")
    for family, script in scripts.items():
        flag = FLAGS.get(family)
        if kind.removesuffix("-lora") == family.value or (flag and given.get(flag) is True):
            return script
    named = str(given.get("architecture") or "")
    script = _ARCHITECTURES.get(named, f"{named}_train_network")
    if script in scripts.values():
        return script
    module = given.get("network_module")
    rows = [one.facts.training for one in scripts]
    owners = {row.script for row in rows if row and row.module == module}
    if len(owners) == 1:
        return owners.pop()
    if found := _script_of_file(given, folder):
        return found
    takers = {key: all_arguments()[key] for key in given if key in all_arguments()}
    special = [key for key, some in takers.items() if "train_network" not in some]
    fitting = [one for one in scripts.values() if all(one in takers[key] for key in special)]
    name = re.split(r"[\\/]", str(given.get("pretrained_model_name_or_path") or ""))[-1]
    if special and fitting:
        script, why = _best_fitting(list(dict.fromkeys(fitting)), special[0], name)
        notes.append(f"trained by {script}.py: {why}")
        return script
    if _XL_NAME.search(name) and not given.get("v2"):
        notes.append(
            f"trained by sdxl_train_network.py: the name of the base model, {name}, looks like SDXL"
        )
        return "sdxl_train_network"
    notes.append("trained by train_network.py, for SD 1.5 or 2: nothing points to another family")
    return "train_network"


def _best_fitting(fitting: list[str], argument: str, name: str) -> tuple[str, str]:
    """Return one of the scripts that take all arguments, and why: only one does, the name, or SDXL.

    `name` is the base model's; several may be left, and then the reason says how to choose.
    """
    if len(fitting) == 1:
        return fitting[0], f"{argument} is an argument of it"
    called = [one for one in fitting if _called(one).search(name)]
    if len(called) == 1:
        return called[0], f"{argument} is an argument of it, and the base model is called {name}"
    script = "sdxl_train_network" if "sdxl_train_network" in fitting else fitting[0]
    others = [one.removesuffix("_train_network") for one in fitting if one != script]
    return script, (
        f"{argument} is an argument of it, but so it is for others. If that is wrong, add a line "
        f'architecture = "{others[0]}"' + (f" (or {', '.join(others[1:])})" if others[1:] else "")
    )


def _called(script: str) -> re.Pattern[str]:
    """Return how the files of a script's base models are usually called."""
    if script == "sdxl_train_network":
        return _XL_NAME
    family = script.removesuffix("_train_network")
    words = "sd[-_ .]?3|stable-diffusion-3" if family == "sd3" else family.replace("_", "[-_ ]?")
    return re.compile(rf"(?<![a-z])(?:{words})" + ("|chroma" if family == "flux" else ""), re.I)


def _script_of_file(given: Mapping[str, Any], folder: Path) -> str | None:
    path = folder / str(given.get("pretrained_model_name_or_path") or "")
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        families = read_facts(read_header(path)).families
    except ToolError:
        return None  # the check names it
    training = families[0].facts.training if families else None
    return training.script if training else None


def _module_of(script: str, toml: Toml, path: Path) -> str:
    """Return the usual LoRA of a script for settings that name none but its size."""
    if not toml.keys() & {"network_dim", "network_alpha", "network_args", "unet_lr"}:
        raise InputError(
            "LL313",
            f"{path} has no network_module, so sd-scripts would not train a LoRA.",
            "Set network_module, network_dim and network_alpha, or give another config.",
        )
    rows = (one.facts.training for one in trained())
    return next((row.module for row in rows if row and row.script == script), "networks.lora")
