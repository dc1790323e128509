"""Which values of a config are paths, and the one rule for relative ones: they count from the
config's own folder. A name on the model hub stays a name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from ...project import InputError
from ...project.families import trained
from ...project.home import expand_home

_COMPANIONS = [
    one
    for family in trained()
    for one in (family.facts.training.companions if family.facts.training else ())
]
_MAYBE_HUB = ("pretrained_model_name_or_path", "vae", "t5_tokenizer_path")
_GUI_HUB = ("anima_vae", "hunyuan_vae", "anima_t5_tokenizer_path")

MODEL_FILES = tuple(
    dict.fromkeys(
        name
        for name in (
            *(one.argument for one in _COMPANIONS),
            "llm_adapter_path",
            "network_weights",
            "base_weights",
        )
        if name not in _MAYBE_HUB
    )
)
"""Arguments of sd-scripts that name files which it loads beside the base model."""

_OTHERS = (
    "train_data_dir", "reg_data_dir", "conditioning_data_dir", "in_json", "dataset_config",
    "resume", "output_dir", "logging_dir", "tokenizer_cache_dir", "log_tracker_config",
    "console_log_file",
)  # fmt: skip
_PRESET = "LyCORIS_preset"

ARGUMENT_PATHS = (*_MAYBE_HUB, *MODEL_FILES, *_OTHERS, "sample_prompts")
"""The arguments of sd-scripts; the GUI's field `sample_prompts` holds the prompts themselves."""

GUI_PATHS = (
    *(one for one in ARGUMENT_PATHS if one != "sample_prompts"),
    *(one.key for one in _COMPANIONS if one.key not in _GUI_HUB),
    *_GUI_HUB,
    "anima_llm_adapter_path",
    _PRESET,
)
"""The Kohya GUI's fields, and what its additional parameters may name."""

_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf")


def is_hub_name(key: str, text: str, folder: Path | None = None) -> bool:
    """Tell whether `text` names a repository on the model hub: `owner/name`, not a file's name.

    What lies in `folder` is a path.
    """
    path = Path(text)
    return (
        key in (*_MAYBE_HUB, *_GUI_HUB)
        and _HUB_NAME.fullmatch(text) is not None
        and path.suffix.lower() not in _WEIGHTS
        and not (folder and (folder / path.parts[0]).exists())
    )


def absolute_path(text: str, folder: Path) -> str:
    """Return a path counted from `folder`; one of another system, such as `C:\\x`, stays as it is.

    On Windows `C:x` counts from `folder`, too, where that is on the same drive. Links are not
    followed.
    """
    windows = PureWindowsPath(text)
    if windows.is_absolute() or (windows.drive and os.name != "nt"):
        return text
    return os.path.abspath(folder / expand_home(text))  # noqa: PTH100  # resolve() follows


def with_absolute_paths(
    values: Mapping[str, Any], folder: Path, keys: tuple[str, ...]
) -> dict[str, Any]:
    """Return a copy in which every path is absolute; empty ones and hub names stay.

    Raises InputError for what can be no path.
    """
    found = dict(values)
    for key in keys:
        value = found.get(key)
        if "\0" in str(value):
            raise InputError("LL314", f"{key} is {value!r}, which is not a path.", "Correct it.")
        if key == "resume" and found.get("resume_from_huggingface"):
            continue
        if key == _PRESET and not str(value).endswith(".toml"):
            continue  # one of LyCORIS' own
        if isinstance(value, list):
            found[key] = [absolute_path(str(one), folder) for one in value]
        elif value and isinstance(value, str) and not is_hub_name(key, value, folder):
            found[key] = absolute_path(value, folder)
    return found
