"""Which values of a config are paths, and the one rule for relative ones: they count from the
config's own folder. A name on the model hub stays a name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

MODEL_FILES = (
    "ae", "clip_l", "clip_g", "t5xxl", "gemma2", "text_encoder", "byt5", "qwen3",
    "llm_adapter_path", "network_weights", "base_weights",
)  # fmt: skip
"""Arguments of sd-scripts that name files which it loads beside the base model."""

_MAYBE_HUB = ("pretrained_model_name_or_path", "vae", "t5_tokenizer_path")
_OTHERS = (
    "train_data_dir", "reg_data_dir", "conditioning_data_dir", "in_json", "dataset_config",
    "resume", "output_dir", "logging_dir", "tokenizer_cache_dir", "log_tracker_config",
    "console_log_file",
)  # fmt: skip
_ONLY_TRAINER = ("sample_prompts",)
"""A file to the trainer, while the GUI's field of that name holds the prompts themselves."""

_GUI_NAMES = (
    "sd3_clip_l", "sd3_t5xxl", "lumina_ae", "lumina_gemma2", "hunyuan_text_encoder",
    "hunyuan_byt5", "anima_qwen3", "anima_llm_adapter_path",
)  # fmt: skip
_GUI_HUB_NAMES = ("anima_vae", "hunyuan_vae", "anima_t5_tokenizer_path")

_HUB = frozenset((*_MAYBE_HUB, *_GUI_HUB_NAMES))
_PRESET = "LyCORIS_preset"
GUI_PATHS = (_PRESET, *_MAYBE_HUB, *MODEL_FILES, *_OTHERS, *_GUI_NAMES, *_GUI_HUB_NAMES)
"""The Kohya GUI's fields, and what its additional parameters may name."""

ARGUMENT_PATHS = (*_MAYBE_HUB, *MODEL_FILES, *_OTHERS, *_ONLY_TRAINER)
"""The arguments of sd-scripts."""

_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".sft", ".gguf")


def is_hub_name(key: str, text: str, folder: Path | None = None) -> bool:
    """Tell whether `text` names a repository on the model hub: `owner/name`, not a file's name.

    What lies in `folder` is a path.
    """
    path = Path(text)
    return (
        key in _HUB
        and _HUB_NAME.fullmatch(text) is not None
        and path.suffix.lower() not in _WEIGHTS
        and not (folder and (folder / path.parts[0]).exists())
    )


def absolute_path(text: str, folder: Path) -> str:
    """Return a path counted from `folder`; one of another system, such as `C:\\x`, stays as it is.

    Links are not followed.
    """
    if PureWindowsPath(text).drive:
        return text
    return os.path.abspath(folder / Path(text).expanduser())  # noqa: PTH100  # resolve() follows


def with_absolute_paths(
    values: Mapping[str, Any], folder: Path, keys: tuple[str, ...]
) -> dict[str, Any]:
    """Return a copy in which every path is absolute; empty ones and hub names stay."""
    found = dict(values)
    for key in keys:
        value = found.get(key)
        if key == "resume" and found.get("resume_from_huggingface"):
            continue
        if key == _PRESET and not str(value).endswith(".toml"):
            continue  # one of LyCORIS' own
        if isinstance(value, list):
            found[key] = [absolute_path(str(one), folder) for one in value]
        elif value and isinstance(value, str) and not is_hub_name(key, value, folder):
            found[key] = absolute_path(value, folder)
    return found
