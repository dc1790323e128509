"""Combinations of settings that sd-scripts refuses late, or trains as something else silently.

These speak also where no trainer is installed; one that is installed is asked by `ask_trainer`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...project.families import family_of_script
from ...project.wording import counted
from .. import cures
from .findings import Finding, error, warning, whole
from .no_effect import check_no_effect, number

Values = Mapping[str, Any]


@dataclass(frozen=True)
class RefusedSettings:
    """Settings that a script refuses, in the words of `ask_trainer`: the part of it that does."""

    part: str
    applies: Callable[[str, Values], bool]
    problem: str
    cure: str


_LATE = "after loading the model and caching"
_CACHING_TEXT = ("sdxl_train_network", "flux_train_network", "sd3_train_network",
                 "hunyuan_image_train_network", "anima_train_network")  # fmt: skip


_WITH_TABLE = ("train_network", "sdxl_train_network")
_TABLE = 1000
"""Timesteps of the noise schedule of SD 1.5, 2 and XL."""
_LAYERS, _LAYERS_OF_V2 = 12, 23


def _rates_of_prodigy(values: Values) -> set[float]:
    """Return the different learning rates that Prodigy would get, without those of 0."""
    if str(values.get("optimizer_type") or "").lower() != "prodigy":
        return set()
    if values.get("network_train_unet_only") or values.get("network_train_text_encoder_only"):
        return set()
    text = values.get("text_encoder_lr", values.get("learning_rate"))
    texts = text if isinstance(text, (list, tuple)) else [text]
    rates = (number(one) for one in (values.get("unet_lr", values.get("learning_rate")), *texts))
    return {one for one in rates if one}


def _caches_text(values: Values) -> bool:
    return bool(
        values.get("cache_text_encoder_outputs") or values.get("cache_text_encoder_outputs_to_disk")
    )


def _varies_captions(script: str, values: Values) -> bool:
    dropout = script != "anima_train_network" and (values.get("caption_dropout_rate") or 0) > 0
    others = ("caption_tag_dropout_rate", "token_warmup_step")
    return bool(
        dropout
        or values.get("shuffle_caption")
        or any((values.get(one) or 0) > 0 for one in others)
    )


_REFUSALS = (
    RefusedSettings(
        "settings",
        lambda script, v: (
            script in _CACHING_TEXT
            and not v.get("dataset_config")
            and _caches_text(v)
            and _varies_captions(script, v)
        ),
        "The text encoder's outputs are cached, but captions are shuffled, dropped or warmed up; "
        "sd-scripts refuses that.",
        "Switch shuffle_caption, caption_dropout_rate, caption_tag_dropout_rate and "
        "token_warmup_step off, or do not cache text encoder outputs.",
    ),
    RefusedSettings(
        "settings",
        lambda script, v: (
            script in ("sdxl_train_network", "anima_train_network")
            and _caches_text(v)
            and not v.get("network_train_unet_only")
        ),
        "The text encoder's outputs are cached, but the text encoder is trained as well; "
        "sd-scripts refuses that.",
        "Train the U-Net only (text_encoder_lr 0), or do not cache text encoder outputs.",
    ),
    RefusedSettings(
        "settings",
        lambda script, v: script == "sdxl_train_network" and bool(v.get("v2")),
        "v2 is on for SDXL; sd-scripts refuses that.",
        "Switch v2 off.",
    ),
    RefusedSettings(
        "settings",
        lambda script, v: (
            bool(whole(v.get("blocks_to_swap"))) and bool(v.get("cpu_offload_checkpointing"))
        ),
        "blocks_to_swap and cpu_offload_checkpointing are both on; sd-scripts refuses that.",
        "Switch one of the two off.",
    ),
    RefusedSettings(
        "settings",
        lambda script, v: str(v.get("model_type")) == "chroma" and not v.get("apply_t5_attn_mask"),
        "Chroma needs apply_t5_attn_mask, which is off; sd-scripts refuses that.",
        "Switch apply_t5_attn_mask on.",
    ),
    RefusedSettings(
        "dataset",
        lambda script, v: (
            bool(v.get("cache_latents"))
            and not v.get("dataset_config")
            and bool(v.get("color_aug") or v.get("random_crop"))
        ),
        "Latents are cached, but color_aug or random_crop changes the pictures each time; "
        "sd-scripts refuses that.",
        cures.CACHED_LATENTS,
    ),
    RefusedSettings(
        "arguments",
        lambda script, v: bool(v.get("cache_latents")) and bool(v.get("train_inpainting")),
        "train_inpainting draws new masks each time, so latents cannot be cached.",
        "Switch cache_latents off.",
    ),
    RefusedSettings(
        "arguments",
        lambda script, v: bool(v.get("adaptive_noise_scale")) and not v.get("noise_offset"),
        "adaptive_noise_scale is given without noise_offset; sd-scripts refuses that.",
        cures.NOISE_OFFSET,
    ),
    RefusedSettings(
        "arguments",
        lambda script, v: (
            bool(v.get("scale_v_pred_loss_like_noise_pred")) and not v.get("v_parameterization")
        ),
        "scale_v_pred_loss_like_noise_pred is on without v_parameterization; sd-scripts refuses "
        "that.",
        cures.V_PREDICTION,
    ),
    RefusedSettings(
        "arguments",
        lambda script, v: bool(v.get("v_pred_like_loss")) and bool(v.get("v_parameterization")),
        "v_pred_like_loss is given with v_parameterization; sd-scripts refuses that.",
        "Set v_pred_like_loss to 0.",
    ),
    RefusedSettings(
        "optimizer",
        lambda script, v: (
            bool(v.get("network_train_unet_only"))
            and bool(v.get("network_train_text_encoder_only"))
        ),
        "Neither U-Net nor text encoder is trained: both network_train_unet_only and "
        "network_train_text_encoder_only are on.",
        "Switch one of the two off.",
    ),
    RefusedSettings(
        "scheduler",
        lambda script, v: (
            str(v.get("lr_scheduler") or "").startswith("adafactor")
            and str(v.get("optimizer_type") or "").lower() != "adafactor"
        ),
        f"The adafactor scheduler works with Adafactor only; sd-scripts fails {_LATE}.",
        cures.ADAFACTOR,
    ),
    RefusedSettings(
        "scheduler",
        lambda script, v: (
            v.get("lr_scheduler") == "adafactor"
            and str(v.get("optimizer_type") or "").lower() == "adafactor"
            and "relative_step=False" in _words(v, "optimizer_args")
        ),
        f"The adafactor scheduler needs relative_step, which is off; sd-scripts fails {_LATE}.",
        "Set lr_scheduler to constant_with_warmup, or remove relative_step=False.",
    ),
    RefusedSettings(
        "first step",
        lambda script, v: len(_rates_of_prodigy(v)) > 1,
        f"Prodigy needs the same learning rate for all parts; with two it fails at the first step, "
        f"{_LATE}.",
        "Set unet_lr and text_encoder_lr to 1, or one of them to 0.",
    ),
    RefusedSettings(
        "first step",
        lambda script, v: script in _WITH_TABLE and (number(v.get("max_timestep")) or 0) > _TABLE,
        f"max_timestep is above {_TABLE}; sd-scripts fails at the first step that draws one.",
        f"Set it to {_TABLE}, or leave it out.",
    ),
    RefusedSettings(
        "first step",
        lambda script, v: (
            script == "train_network"
            and whole(v.get("clip_skip")) > (_LAYERS_OF_V2 if v.get("v2") else _LAYERS)
        ),
        "clip_skip is more than the layers of the text encoder; sd-scripts fails at the first "
        "step.",
        "Set it to 1 or 2, or leave it out.",
    ),
    RefusedSettings(
        "network",
        lambda script, v: bool(v.get("dim_from_weights")) and not v.get("network_weights"),
        f"dim_from_weights is on without network_weights; sd-scripts fails {_LATE}.",
        "Set network_weights to a LoRA, or switch it off.",
    ),
    RefusedSettings(
        "scheduler",
        lambda script, v: (
            v.get("lr_scheduler") == "constant"
            and not v.get("lr_scheduler_type")
            and bool(v.get("lr_warmup_steps"))
            and not str(v.get("optimizer_type") or "").lower().endswith("schedulefree")
        ),
        f"The scheduler constant has no warmup, but one is given; sd-scripts fails {_LATE}.",
        "Set the warmup to 0, or lr_scheduler to constant_with_warmup.",
    ),
    RefusedSettings(
        "precision",
        lambda script, v: bool(v.get("full_bf16")) and v.get("mixed_precision") != "bf16",
        f"full_bf16 needs mixed_precision bf16; sd-scripts fails {_LATE}.",
        "Set mixed_precision to bf16, or switch full_bf16 off.",
    ),
    RefusedSettings(
        "precision",
        lambda script, v: bool(v.get("full_fp16")) and v.get("mixed_precision") != "fp16",
        f"full_fp16 needs mixed_precision fp16; sd-scripts fails {_LATE}.",
        "Set mixed_precision to fp16, or switch full_fp16 off.",
    ),
    RefusedSettings(
        "precision",
        lambda script, v: (
            script not in ("anima_train_network", "hunyuan_image_train_network")
            and bool(v.get("fp8_base") or v.get("fp8_base_unet"))
            and v.get("mixed_precision") not in ("fp16", "bf16")
        ),
        f"fp8_base needs mixed_precision bf16 or fp16; sd-scripts fails {_LATE}.",
        "Set mixed_precision to bf16, or switch fp8_base off.",
    ),
    RefusedSettings(
        "loader",
        lambda script, v: (
            bool(v.get("persistent_data_loader_workers"))
            and v.get("max_data_loader_n_workers") == 0
        ),
        f"persistent_data_loader_workers needs at least one worker; PyTorch fails {_LATE}.",
        "Set max_data_loader_n_workers to 1 or more, or switch it off.",
    ),
)


def check_combinations(script: str, values: Values) -> Iterator[tuple[str, Finding]]:
    """Yield what is refused late, with the part of the trainer that refuses it; "": none would."""
    for one in _REFUSALS:
        if one.applies(script, values):
            yield one.part, error("LL357", one.problem, one.cure)
    yield from (("settings", found) for found in _check_bucket_step(script, values))
    yield from (("optimizer", found) for found in _check_optimizer(values))
    yield from (("network", found) for found in _check_network(values))
    yield from (("", found) for found in _check_block_rates(script, values))
    yield from (("scheduler", found) for found in _check_scheduler(values))
    yield from (("", found) for found in check_no_effect(script, values))
    for silent in (_check_timesteps, _check_rates):
        yield from (("", found) for found in silent(values))
    yield from (("", found) for found in _check_vae(script, values))


def _check_bucket_step(script: str, values: Values) -> Iterator[Finding]:
    family = family_of_script(script, values)
    wanted = family.facts.training.bucket_step if family and family.facts.training else 0
    step = whole(values.get("bucket_reso_steps")) or 64
    if (
        wanted
        and values.get("enable_bucket")
        and step % wanted
        and not values.get("dataset_config")
    ):
        yield error(
            "LL357",
            f"bucket_reso_steps is {step}; {script}.py accepts only multiples of {wanted}.",
            f"Set it to {wanted}, or to 64.",
        )


_OPTIMIZER_ARGUMENTS: Mapping[str, str] = {
    "adamw": "betas eps weight_decay amsgrad maximize foreach capturable differentiable fused",
    "adamw8bit": "betas eps weight_decay amsgrad optim_bits args min_8bit_size "
    "percentile_clipping block_wise is_paged",
    "adafactor": "eps clip_threshold decay_rate beta1 weight_decay scale_parameter relative_step "
    "warmup_init",
    "prodigy": "betas beta3 eps weight_decay decouple use_bias_correction safeguard_warmup d0 "
    "d_coef growth_rate fsdp_in_use slice_p",
    "lion": "betas weight_decay use_triton decoupled_weight_decay cautious_factor",
}
"""Arguments of the optimizers as PyTorch, bitsandbytes, transformers, prodigyopt and lion_pytorch
name them."""

_NETWORK_ARGUMENTS = """
    conv_dim conv_alpha block_dims block_alphas conv_block_dims conv_block_alphas
    down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold dropout rank_dropout
    module_dropout loraplus_lr_ratio loraplus_unet_lr_ratio loraplus_text_encoder_lr_ratio
"""
"""Arguments of networks.lora; other modules are asked themselves, where a trainer is there."""


def _words(values: Values, key: str) -> list[str]:
    given = values.get(key)
    return [str(one) for one in given] if isinstance(given, (list, tuple)) else []


def _check_optimizer(values: Values) -> Iterator[Finding]:
    for key in ("optimizer_args", "lr_scheduler_args", "network_args"):
        for word in _words(values, key):
            if "=" not in word:
                yield error(
                    "LL357",
                    f'{key} has "{word}", which is not name=value; sd-scripts fails {_LATE}.',
                    "Write it as name=value without spaces around the sign.",
                )
    kind = str(values.get("optimizer_type") or "AdamW")
    known = _OPTIMIZER_ARGUMENTS.get(kind.lower(), "").split()
    for word in _words(values, "optimizer_args") if known else ():
        name = word.partition("=")[0].strip()
        if "=" in word and name not in known:
            yield error(
                "LL357",
                f"optimizer_args has {name}, which {kind} does not accept; sd-scripts fails "
                f"{_LATE}.",
                _nearest(name, known),
            )


_SCHEDULER_ARGUMENTS: Mapping[str, str] = {
    "constant": "last_epoch",
    "constant_with_warmup": "last_epoch",
    "linear": "last_epoch",
    "cosine": "num_cycles last_epoch",
    "cosine_with_restarts": "last_epoch",
    "polynomial": "lr_end last_epoch",
}
"""What is left to lr_scheduler_args by sd-scripts, of what transformers' schedulers take."""


def _check_scheduler(values: Values) -> Iterator[Finding]:
    kind = str(values.get("lr_scheduler") or "constant")
    known = _SCHEDULER_ARGUMENTS.get(kind, "").split()
    if values.get("lr_scheduler_type") or not known:
        return
    if str(values.get("optimizer_type") or "").lower().endswith("schedulefree"):
        return  # these have none, whatever is given
    for word in _words(values, "lr_scheduler_args"):
        name = word.partition("=")[0].strip()
        if "=" in word and name not in known:
            yield error(
                "LL357",
                f"lr_scheduler_args has {name}, which the scheduler {kind} does not accept; "
                f"sd-scripts fails {_LATE}.",
                "Set lr_scheduler_type to a scheduler that accepts it, for example MultiStepLR for "
                "milestones; it counts steps.",
            )


def _check_network(values: Values) -> Iterator[Finding]:
    if values.get("network_module") != "networks.lora":
        return
    known = _NETWORK_ARGUMENTS.split()
    for word in _words(values, "network_args"):
        name = word.partition("=")[0].strip()
        if "=" in word and name not in known:
            yield error(
                "LL359",
                f"network_args has {name}, which networks.lora never reads: it would silently "
                "train without it.",
                _nearest(name, known),
            )


def _check_block_rates(script: str, values: Values) -> Iterator[Finding]:
    """Return the block weights of a wrong number, which `networks.lora` fills up or cuts off."""
    if values.get("network_module") != "networks.lora":
        return
    outer, middle = (9, 3) if script == "sdxl_train_network" else (12, 1)
    wanted = {"down_lr_weight": outer, "mid_lr_weight": middle, "up_lr_weight": outer}
    for word in _words(values, "network_args"):
        name, _, given = (part.strip() for part in word.partition("="))
        count = given.count(",") + 1
        by_name = name != "mid_lr_weight" and "," not in given  # "cosine", "sine+.25"
        if name in wanted and not by_name and count != wanted[name]:
            happens = "fills up with 1" if count < wanted[name] else "cuts off"
            yield error(
                "LL359",
                f"{name} has {counted(count, 'value')} where {script}.py has "
                f"{counted(wanted[name], 'block')}, which it "
                f"{happens}: other blocks would silently be trained.",
                f"Give {counted(wanted[name], 'value')}, or leave it out.",
            )


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {near[0]}?" if near else f"Remove it; accepted are {', '.join(known)}."


def _check_timesteps(values: Values) -> Iterator[Finding]:
    low, high = values.get("min_timestep"), values.get("max_timestep")
    if low is None and high is None:
        return
    first, last = whole(low), 1000 if high is None else whole(high)
    if first >= last:
        yield error(
            "LL359",
            f"min_timestep {first} is not below max_timestep {last}: sd-scripts would silently "
            "train something else.",
            "Swap the two, or leave both out.",
        )


_OWN_RATE = re.compile(r"^(prodigy|dadapt)", re.IGNORECASE)
_PLAIN = re.compile(
    r"^(paged)?(adamw|adam|lion|ademamix)(8bit|32bit|schedulefree)?$", re.IGNORECASE
)
_FAR, _VERY_FAR = 1e-3, 1e-2
_NEAR_ONE, _NO_TRAINING = 0.1, 1e-2


def _rates(values: Values) -> dict[str, float]:
    """Return the learning rates that count: those of the parts that are trained."""
    found: dict[str, float] = {}
    base = values.get("learning_rate")
    if not values.get("network_train_text_encoder_only"):
        found["unet_lr" if values.get("unet_lr") else "learning_rate"] = (
            values.get("unet_lr") or base or 2e-6
        )
    text = values.get("text_encoder_lr")
    texts = text if isinstance(text, (list, tuple)) else [text]
    if not values.get("network_train_unet_only"):
        for one in texts:
            if one:
                found["text_encoder_lr"] = max(found.get("text_encoder_lr", 0.0), one)
    return {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _check_rates(values: Values) -> Iterator[Finding]:
    kind = str(values.get("optimizer_type") or "AdamW")
    rates = _rates(values)
    own_rate = next(iter(rates.items()), None)  # these take the first one for all
    if _OWN_RATE.match(kind) and own_rate and own_rate[1] < _NEAR_ONE:
        key, rate = own_rate
        row = error if rate <= _NO_TRAINING else warning
        yield row(
            "LL359",
            f"{key} is {rate:g}, but {kind} finds the rate itself and multiplies it by this value: "
            "the LoRA would hardly learn anything.",
            f"Set {key} to 1.",
        )
    for key, rate in rates.items() if _PLAIN.match(kind) else ():
        if rate > _FAR:
            row = error if rate >= _VERY_FAR else warning
            yield row(
                "LL359",
                f"{key} is {rate:g}, far too high for {kind}; the LoRA would be ruined.",
                f"Set {key} to about 1e-4; values near 1 are for Prodigy and D-Adaptation.",
            )


def _check_vae(script: str, values: Values) -> Iterator[Finding]:
    if script != "sdxl_train_network" or values.get("mixed_precision") != "fp16":
        return
    if values.get("no_half_vae") or re.search(r"fp16|fix", str(values.get("vae") or ""), re.I):
        return
    yield warning(
        "LL359",
        "SDXL's own VAE gives NaN in fp16, and sd-scripts trains black pictures instead.",
        "Switch no_half_vae on, use mixed_precision bf16, or set a VAE that is fixed for fp16.",
    )
