"""Configs of other trainers, known by their form: they are refused by name, never half read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def other_trainer(data: Mapping[str, Any]) -> str | None:
    """Return whose config this is when it was not made for sd-scripts, else None."""
    keys = data.keys()
    inner = [one for one in data.values() if isinstance(one, dict)]
    if {"job", "config"} <= keys and isinstance(data["config"], dict):
        return "ai-toolkit"
    if {"training_method", "base_model_name"} <= keys or {"__version", "concepts"} <= keys:
        return "OneTrainer"
    if _is_musubi(data):
        return "musubi-tuner"
    if "adapter" in keys and "model" in keys and isinstance(data["adapter"], dict):
        return "diffusion-pipe"
    widgets = [one["args"] for one in inner if isinstance(one.get("args"), dict)]
    if any({"type", "rank"} <= one.keys() for one in widgets):
        return "a trainer on diffusion-pipe"
    if {"model_family", "lora_rank"} <= keys or "--model_family" in keys:
        return "SimpleTuner"
    if keys & {"_diffusers_version", "_class_name", "peft_type"}:
        return "a model of diffusers or PEFT"
    ours = keys & {"network_dim", "network_module", "LoRA_type"}
    if not ours and keys & {"instance_data_dir", "instance_prompt", "dataset_name", "lora_rank"}:
        return "diffusers"
    if keys & _OTHER_TABS and not ours:
        return "Dreambooth, fine-tuning or Textual Inversion"
    if {"settings", "wd14_caption", "dataset_preparation"} <= keys:
        return "the Kohya GUI's own pages (their defaults)"
    return None


_OTHER_TABS = {
    "no_token_padding", "learning_rate_te", "learning_rate_te1", "image_folder", "token_string",
    "latent_metadata_filename",
}  # fmt: skip


_MUSUBI_MODULES = (
    "lora_wan", "lora_framepack", "lora_hv_1_5", "lora_qwen_image", "lora_kandinsky", "lora_zimage",
    "lora_flux_kontext", "lora_flux_2", "lora_hunyuan", "lora_ideogram",
)  # fmt: skip


def _is_musubi(data: Mapping[str, Any]) -> bool:
    """By its network modules, its `dit`, or the folders of its dataset config."""
    sections = [data, *(one for one in data.values() if isinstance(one, dict))]
    datasets = data.get("datasets")
    rows = [data.get("general"), *(datasets if isinstance(datasets, list) else ())]
    names = {key for row in rows if isinstance(row, dict) for key in row}
    if names & {"image_directory", "video_directory", "image_jsonl_file", "video_jsonl_file"}:
        return True
    modules = [str(one.get("network_module")).rpartition(".")[2] for one in sections]
    return any(name in _MUSUBI_MODULES for name in modules) or any("dit" in one for one in sections)
