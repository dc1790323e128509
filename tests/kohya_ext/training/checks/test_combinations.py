"""Combinations of settings: refused late or silent, found without any trainer."""

from __future__ import annotations

from typing import Any

import pytest

from kohya_ext.training.checks.combinations import check_combinations
from kohya_ext.training.checks.findings import Finding, Level

GOOD: dict[str, Any] = {
    "optimizer_type": "AdamW",
    "learning_rate": 1e-4,
    "lr_scheduler": "cosine",
    "mixed_precision": "bf16",
    "network_module": "networks.lora",
    "enable_bucket": True,
}


def found(script: str = "train_network", **changes: Any) -> list[Finding]:
    return [one for _, one in check_combinations(script, {**GOOD, **changes})]


REFUSED = {
    "cached text, dropout": ("sdxl_train_network", {"cache_text_encoder_outputs": True,
        "network_train_unet_only": True, "caption_dropout_rate": 0.1}),
    "cached text, shuffled": ("flux_train_network", {"cache_text_encoder_outputs_to_disk": True,
        "shuffle_caption": True}),
    "cached text, Anima, shuffled": ("anima_train_network", {"cache_text_encoder_outputs": True,
        "network_train_unet_only": True, "shuffle_caption": True}),
    "cached text, trained": ("sdxl_train_network", {"cache_text_encoder_outputs": True}),
    "SDXL, v2": ("sdxl_train_network", {"v2": True}),
    "swapped and offloaded": ("flux_train_network", {"blocks_to_swap": 8,
        "cpu_offload_checkpointing": True}),
    "Chroma without its mask": ("flux_train_network", {"model_type": "chroma"}),
    "colours and cache": ("train_network", {"color_aug": True, "cache_latents": True}),
    "inpainting and cache": ("train_network", {"train_inpainting": True, "cache_latents": True}),
    "adaptive noise alone": ("train_network", {"adaptive_noise_scale": 0.01}),
    "scaled loss alone": ("train_network", {"scale_v_pred_loss_like_noise_pred": True}),
    "like v and v": ("train_network", {"v_pred_like_loss": 0.5, "v_parameterization": True}),
    "nothing trained": ("train_network", {"network_train_unet_only": True,
        "network_train_text_encoder_only": True}),
    "the scheduler of Adafactor": ("train_network", {"lr_scheduler": "adafactor:1e-3"}),
    "constant, warmup": ("train_network", {"lr_scheduler": "constant", "lr_warmup_steps": 0.1}),
    "full_bf16": ("train_network", {"full_bf16": True, "mixed_precision": "fp16"}),
    "full_fp16": ("train_network", {"full_fp16": True}),
    "fp8 in whole precision": ("train_network", {"fp8_base": True, "mixed_precision": "no"}),
    "workers that stay, none": ("train_network", {"persistent_data_loader_workers": 1,
        "max_data_loader_n_workers": 0}),
    "buckets of 32": ("train_network", {"bucket_reso_steps": 32}),
    "buckets of 16": ("sdxl_train_network", {"bucket_reso_steps": 16}),
    "betas of Adafactor": ("train_network", {"optimizer_type": "Adafactor",
        "optimizer_args": ["betas=0.9,0.99"]}),
    "a typing error": ("train_network", {"optimizer_args": ["weight_decays=0.1"]}),
    "a word alone": ("train_network", {"network_args": ["conv_dim"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_late_is_found(name: str):
    script, changes = REFUSED[name]
    (one,) = found(script, **changes)
    assert (one.code, one.level) == ("LL357", Level.ERROR)
    assert one.cure


FINE = {
    "cached text, U-Net only": ("sdxl_train_network", {"cache_text_encoder_outputs": True,
        "network_train_unet_only": True}),
    "Anima drops captions": ("anima_train_network", {"cache_text_encoder_outputs": True,
        "network_train_unet_only": True, "caption_dropout_rate": 0.1}),
    "Flux trains CLIP-L": ("flux_train_network", {"cache_text_encoder_outputs": True}),
    "Chroma with its mask": ("flux_train_network", {"model_type": "chroma",
        "apply_t5_attn_mask": True}),
    "a dataset config says": ("sdxl_train_network", {"cache_text_encoder_outputs": True,
        "network_train_unet_only": True, "shuffle_caption": True, "dataset_config": "x.toml"}),
    "Adafactor": ("train_network", {"optimizer_type": "AdaFactor", "learning_rate": 1e-4,
        "lr_scheduler": "adafactor", "optimizer_args": ["relative_step=True"]}),
    "another scheduler type": ("train_network", {"lr_scheduler": "constant",
        "lr_scheduler_type": "CosineAnnealingLR", "lr_warmup_steps": 5}),
    "an optimizer of elsewhere": ("train_network", {"optimizer_type": "came_pytorch.CAME",
        "optimizer_args": ["anything=1"]}),
    "buckets off": ("train_network", {"bucket_reso_steps": 32, "enable_bucket": False}),
    "buckets of 16 for Anima": ("anima_train_network", {"bucket_reso_steps": 16}),
    "another module": ("train_network", {"network_module": "lycoris.kohya",
        "network_args": ["algo=lokr"]}),
    "timesteps": ("train_network", {"min_timestep": 0, "max_timestep": 1000}),
    "Prodigy near 1": ("train_network", {"optimizer_type": "Prodigy", "learning_rate": 1.0,
        "unet_lr": 1.0}),
    "the text encoder is not trained": ("train_network", {"network_train_unet_only": True,
        "text_encoder_lr": 1.0}),
    "SDXL in bf16": ("sdxl_train_network", {}),
    "SDXL in fp16, fixed": ("sdxl_train_network", {"mixed_precision": "fp16",
        "vae": "sdxl-vae-fp16-fix.safetensors"}),
    "SDXL in fp16, whole VAE": ("sdxl_train_network", {"mixed_precision": "fp16",
        "no_half_vae": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_the_trainer_takes_is_fine(name: str):
    script, changes = FINE[name]
    assert found(script, **changes) == []


SILENT = {
    "a network argument": ({"network_args": ["conv_dims=8"]}, Level.ERROR, "you mean conv_dim?"),
    "timesteps": ({"min_timestep": 900, "max_timestep": 100}, Level.ERROR, "Swap the two"),
    "one timestep": ({"min_timestep": 1000}, Level.ERROR, "Swap the two"),
    "Prodigy": ({"optimizer_type": "Prodigy"}, Level.ERROR, "Set learning_rate to 1"),
    "D-Adaptation": ({"optimizer_type": "DAdaptAdam", "unet_lr": 0.05}, Level.WARNING, "unet_lr"),
    "AdamW at 1": ({"learning_rate": 1.0}, Level.ERROR, "Set learning_rate to about 1e-4"),
    "AdamW at 0.002": ({"unet_lr": 2e-3}, Level.WARNING, "Set unet_lr to about 1e-4"),
    "a text encoder at 0.5": ({"text_encoder_lr": [5e-5, 0.5]}, Level.ERROR, "text_encoder_lr"),
    "AdamW8bit at 1": ({"optimizer_type": "PagedAdamW8bit", "learning_rate": 1}, Level.ERROR,
        "values near 1 are for Prodigy"),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_what_silently_trains_otherwise_is_found(name: str):
    changes, level, cure = SILENT[name]
    (one,) = found(**changes)
    assert (one.code, one.level) == ("LL359", level)
    assert cure in one.cure


def test_sdxl_in_fp16_needs_a_fixed_vae():
    (one,) = found("sdxl_train_network", mixed_precision="fp16")
    assert (one.code, one.level) == ("LL359", Level.WARNING)
    assert "no_half_vae" in one.cure


@pytest.mark.parametrize(
    ("script", "word", "wanted"),
    [
        ("train_network", "down_lr_weight=1,1,1", 12),
        ("train_network", "up_lr_weight=1,1,1,1,1,1,1,1,1,1,1,1,1", 12),
        ("train_network", "mid_lr_weight=1,1", 1),
        ("sdxl_train_network", "mid_lr_weight=1", 3),
        ("sdxl_train_network", "down_lr_weight=1,1", 9),
    ],
)
def test_block_weights_of_a_wrong_number_train_silently(
    script: str, word: str, wanted: int
) -> None:
    only = [one for one in found(script, network_args=[word]) if one.code == "LL359"]
    assert any(f"has {wanted} block" in one.problem for one in only)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("train_network", "down_lr_weight=0,0,0,0,1,1,1,1,1,1,1,1"),
        ("train_network", "up_lr_weight=sine+.25"),
        ("train_network", "mid_lr_weight=0.5"),
        ("sdxl_train_network", "mid_lr_weight=1,1,1"),
    ],
)
def test_block_weights_of_the_right_number_or_by_name_are_silent(script: str, word: str) -> None:
    assert not [one for one in found(script, network_args=[word]) if "blocks" in one.problem]
