"""Configs of other programs, known by their form: they are refused by name, never half read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_THERE = "Train it with that program, or write a config for sd-scripts."
_OTHER_TAB = "Open it in that tab, or give a config of the LoRA tab."
_NO_CONFIG = "Give a training config."


@dataclass(frozen=True)
class Owner:
    """Whose config a file is, and what to do."""

    name: str
    cure: str = _THERE


def owner_of(data: Mapping[str, Any]) -> Owner | None:
    """Return whose config this is when it trains no LoRA with sd-scripts, else None."""
    return _trainer(data) or _tab(data) or _model(data)


def _trainer(data: Mapping[str, Any]) -> Owner | None:
    keys = data.keys()
    if {"job", "config"} <= keys and isinstance(data["config"], dict):
        return Owner("ai-toolkit")
    if {"training_method", "base_model_name"} <= keys or {"__version", "concepts"} <= keys:
        return Owner("OneTrainer")
    if _is_musubi(data):
        return Owner("musubi-tuner")
    has_adapter = "model" in keys and isinstance(data.get("adapter"), dict)
    if has_adapter or keys & _OF_PIPE or ("directory" in keys and keys & _OF_PIPE_DATASETS):
        return Owner("diffusion-pipe")
    inner = [one for one in data.values() if isinstance(one, dict)]
    widgets = [one["args"] for one in inner if isinstance(one.get("args"), dict)]
    if any({"type", "rank"} <= one.keys() for one in widgets):
        return Owner("a trainer on diffusion-pipe")
    if keys & {"model_family", "--model_family", "data_backend_config"}:
        return Owner("SimpleTuner")
    if keys & {"lifetime_revision", "lora_unet_rank"}:
        return Owner("the WebUI's Dreambooth extension")
    ours = keys & _OF_LORAS
    if not ours and keys & {"instance_data_dir", "instance_prompt", "dataset_name", "lora_rank"}:
        return Owner("diffusers")
    return None


_OF_LORAS = {"network_dim", "network_module", "LoRA_type"}
_OF_PIPE = {"micro_batch_size_per_gpu", "pipeline_stages"}
_OF_PIPE_DATASETS = {"enable_ar_bucket", "num_ar_buckets", "ar_buckets", "frame_buckets",
                     "size_buckets"}  # fmt: skip

_TABS: Mapping[str, set[str]] = {
    "Textual Inversion": {"token_string", "init_word", "num_vectors_per_token"},
    "Finetuning": {
        "image_folder", "train_dir", "latent_metadata_filename", "caption_metadata_filename",
        "create_buckets", "create_caption", "use_latent_files", "full_path", "block_lr",
    },
    "Dreambooth": {
        "no_token_padding", "learning_rate_te", "learning_rate_te1", "learning_rate_te2",
        "stop_text_encoder_training_pct", "flux1_clip_l", "flux1_t5xxl",
        "fused_optimizer_groups", "blockwise_fused_optimizers",
    },
}  # fmt: skip
"""Fields of each other training tab that no LoRA config without a network has, of any version."""

_ALSO_WITH_NETWORKS: Mapping[str, set[str]] = {
    "LECO": {"leco_denoise_guidance_scale", "max_denoising_steps", "prompts_file"},
    "Anima LLLite": {"lllite_cond_dim", "lllite_mlp_dim", "lllite_target_layers", "cond_emb_dim"},
}
"""The same of the tabs that save a network as well."""


def _tab(data: Mapping[str, Any]) -> Owner | None:
    """Return which other tab of the Kohya GUI, or script of sd-scripts for the same, this is for.

    A json of the LoRA tab before v22 has some fields of the Dreambooth tab, too.
    """
    keys = data.keys()
    every = {**_ALSO_WITH_NETWORKS, **({} if keys & _OF_LORAS else _TABS)}
    for tab, fields in every.items():
        if keys & fields:
            return Owner(f"the Kohya GUI's {tab} tab", _OTHER_TAB)
    if {"settings", "wd14_caption", "dataset_preparation"} <= keys:
        return Owner("the Kohya GUI's own pages (their defaults)", _NO_CONFIG)
    return None


def _model(data: Mapping[str, Any]) -> Owner | None:
    keys = data.keys()
    if keys & {"_diffusers_version", "_class_name", "peft_type"}:
        return Owner("a model of diffusers or PEFT", _NO_CONFIG)
    if keys & {"transformers_version", "architectures", "tokenizer_class"}:
        return Owner("a model of transformers", _NO_CONFIG)
    model = data.get("model")
    if isinstance(model, dict) and {"target", "params"} <= model.keys():
        return Owner("a checkpoint, such as v1-inference.yaml", _NO_CONFIG)
    return None


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
    modules = [str(one.get("network_module")) for one in sections]
    return any(
        name.startswith("musubi_tuner.") or name.rpartition(".")[2] in _MUSUBI_MODULES
        for name in modules
    ) or any("dit" in one for one in sections)
