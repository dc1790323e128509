"""The saved toml of LoRA_Easy_Training_Scripts: a section per widget, and subsets of pictures.

What its backend makes of it when it starts sd-scripts is made here: pairs out of tables, the
network module, a dataset config.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...project import InputError

_PAIRS = ("network_args", "optimizer_args", "lr_scheduler_args")
_ARGUMENTS_TOO = ("max_token_length",)
"""What stands among its dataset settings and is an argument of the trainer."""


def is_form(data: Mapping[str, Any]) -> bool:
    """Tell whether its sections hold `args` or `dataset_args`."""
    return any(
        isinstance(one, dict)
        and any(isinstance(one.get(key), dict) for key in ("args", "dataset_args"))
        for one in data.values()
    )


def read(data: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return the trainer's arguments, the dataset config, and what to tell.

    Raises InputError for what only its own backend can count.
    """
    arguments: dict[str, Any] = {}
    general: dict[str, Any] = {}
    for section in data.values():
        if isinstance(section, dict):
            arguments |= _set(section.get("args"))
            general |= _set(section.get("dataset_args"))
    mode = data.get("train_mode")
    if isinstance(mode, dict) and mode.get("train_mode", "lora") != "lora":
        raise InputError(
            "LL313",
            f"{path} trains {mode['train_mode']}, not a LoRA.",
            "Give a config that trains a LoRA.",
        )
    scheduler = str(arguments.get("lr_scheduler_type") or "")
    if scheduler.startswith("LoraEasyCustomOptimizer"):
        raise InputError(
            "LL313",
            f"{path} uses {scheduler.rpartition('.')[2]}, which only LoRA_Easy_Training_Scripts "
            "supports.",
            "Choose a scheduler of sd-scripts there, such as cosine_with_restarts.",
        )
    if "network_module" not in arguments:
        arguments["network_module"] = _module(arguments, data)
    for key in _PAIRS:
        if isinstance(arguments.get(key), dict):
            pairs = {name: _written(value) for name, value in arguments[key].items()}
            arguments[key] = [f"{name}={text}" for name, text in pairs.items() if text]
    notes = []
    if ratio := arguments.pop("warmup_ratio", None):
        arguments["lr_warmup_steps"] = float(ratio)
        notes.append(f"lr_warmup_steps is {ratio}, a share of all steps: warmup_ratio there")
    arguments |= {key: general.pop(key) for key in _ARGUMENTS_TOO if key in general}
    rows = data.get("subsets")
    subsets = [
        {key: value for key, value in _set(one).items() if key != "name"}
        for one in (rows if isinstance(rows, list) else ())
    ]
    if arguments.get("max_token_length") == 75:  # sd-scripts' own way, and none of its choices
        del arguments["max_token_length"]
    return arguments, {"general": general, "datasets": [{"subsets": subsets}]}, notes


def _set(table: object) -> dict[str, Any]:
    """Return what is set in a table; its backend leaves out empty texts, off and 0."""
    return {key: value for key, value in table.items() if value} if isinstance(table, dict) else {}


def _module(arguments: dict[str, Any], data: Mapping[str, Any]) -> str:
    pairs = arguments.get("network_args")
    given = pairs if isinstance(pairs, dict) else {}
    if arguments.pop("fa", None):
        return "networks.lora_fa"
    if "algo" in given:
        return "lycoris.kohya"
    if "unit" in given:
        return "networks.dylora"
    if "anima_args" in data:
        return "networks.lora_anima"
    return "networks.lora_flux" if "guidance_scale" in arguments else "networks.lora"


def _written(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).capitalize() if str(value).lower() in ("true", "false") else str(value)
