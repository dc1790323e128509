"""From a Kohya config to what sd-scripts gets: script, config toml, arguments.

`as_gui` gives exactly what the GUI of that version would run; the default differs where the GUI
is wrong, and lists each difference. Types and choices are checked here: the toml route of
sd-scripts checks none and ignores unknown keys.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from ..project import ToolError
from .kohya_json import GuiVersion, Values

Toml = dict[str, Any]

_FAMILIES = (
    ("sdxl", "sdxl_train_network"),
    ("flux1_checkbox", "flux_train_network"),
    ("sd3_checkbox", "sd3_train_network"),
    ("hunyuan_image_checkbox", "hunyuan_image_train_network"),
    ("anima_checkbox", "anima_train_network"),
    ("lumina_checkbox", "lumina_train_network"),
)

_SAME_NAME = [
    "async_upload",
    "bucket_no_upscale",
    "bucket_reso_steps",
    "cache_latents",
    "cache_latents_to_disk",
    "caption_dropout_rate",
    "caption_extension",
    "color_aug",
    "dataset_config",
    "debiased_estimation_loss",
    "dim_from_weights",
    "dynamo_backend",
    "enable_bucket",
    "flip_aug",
    "fp8_base",
    "full_bf16",
    "full_fp16",
    "gradient_checkpointing",
    "highvram",
    "huber_c",
    "huber_schedule",
    "huggingface_path_in_repo",
    "huggingface_repo_id",
    "huggingface_repo_type",
    "huggingface_repo_visibility",
    "ip_noise_gamma",
    "ip_noise_gamma_random_strength",
    "learning_rate",
    "log_config",
    "log_tracker_config",
    "log_tracker_name",
    "log_with",
    "logging_dir",
    "loss_type",
    "lr_scheduler",
    "lr_scheduler_power",
    "lr_scheduler_type",
    "masked_loss",
    "max_bucket_reso",
    "max_grad_norm",
    "max_timestep",
    "mem_eff_attn",
    "metadata_author",
    "metadata_description",
    "metadata_license",
    "metadata_tags",
    "metadata_title",
    "min_snr_gamma",
    "min_timestep",
    "mixed_precision",
    "network_alpha",
    "network_dim",
    "network_dropout",
    "network_weights",
    "noise_offset_type",
    "output_dir",
    "output_name",
    "pretrained_model_name_or_path",
    "prior_loss_weight",
    "random_crop",
    "reg_data_dir",
    "resume",
    "resume_from_huggingface",
    "sample_every_n_epochs",
    "sample_every_n_steps",
    "sample_sampler",
    "save_every_n_epochs",
    "save_every_n_steps",
    "save_last_n_epochs",
    "save_last_n_epochs_state",
    "save_last_n_steps",
    "save_last_n_steps_state",
    "save_model_as",
    "save_precision",
    "save_state",
    "save_state_on_train_end",
    "save_state_to_huggingface",
    "scale_v_pred_loss_like_noise_pred",
    "scale_weight_norms",
    "shuffle_caption",
    "skip_cache_check",
    "train_batch_size",
    "train_data_dir",
    "training_comment",
    "v2",
    "v_parameterization",
    "v_pred_like_loss",
    "vae",
    "vae_batch_size",
    "weighted_captions",
]

_AS_INT = [
    "caption_dropout_every_n_epochs",
    "epoch",
    "gradient_accumulation_steps",
    "keep_tokens",
    "lr_scheduler_num_cycles",
    "max_data_loader_n_workers",
    "max_train_epochs",
    "max_train_steps",
    "min_bucket_reso",
    "persistent_data_loader_workers",
    "seed",
]

SECRETS: Mapping[str, str] = {"wandb_api_key": "WANDB_API_KEY", "huggingface_token": "HF_TOKEN"}
"""Keys that are never written to a file, and the environment variable that does instead."""

_FLUX = [
    "ae",
    "split_mode",
    "mem_eff_save",
    "apply_t5_attn_mask",
    "cpu_offload_checkpointing",
    "blocks_to_swap",
    "single_blocks_to_swap",
    "double_blocks_to_swap",
    "model_prediction_type",
    "timestep_sampling",
    "fp8_base_unet",
]

_SD3 = [
    "clip_g",
    "clip_g_dropout_rate",
    "logit_mean",
    "logit_std",
    "mode_scale",
    "pos_emb_random_crop_rate",
    "save_clip",
    "save_t5xxl",
    "t5xxl_device",
    "t5xxl_dtype",
    "weighting_scheme",
    "blocks_to_swap",
]

_SD3_RENAMED = {
    "sd3_clip_l": "clip_l",
    "sd3_t5xxl": "t5xxl",
    "sd3_clip_l_dropout_rate": "clip_l_dropout_rate",
    "sd3_enable_scaled_pos_embed": "enable_scaled_pos_embed",
    "sd3_t5_dropout_rate": "t5_dropout_rate",
    "sd3_text_encoder_batch_size": "text_encoder_batch_size",
    "sd3_fused_backward_pass": "fused_backward_pass",
    "sd3_disable_mmap_load_safetensors": "disable_mmap_load_safetensors",
    "sd3_cache_text_encoder_outputs": "cache_text_encoder_outputs",
    "sd3_cache_text_encoder_outputs_to_disk": "cache_text_encoder_outputs_to_disk",
}

_LYCORIS: Mapping[str, str] = {
    "LyCORIS/BOFT": "preset conv_dim conv_alpha module_dropout use_tucker rank_dropout "
    "rank_dropout_scale algo=boft train_norm",
    "LyCORIS/Diag-OFT": "preset conv_dim conv_alpha module_dropout use_tucker rank_dropout "
    "rank_dropout_scale constraint:constrain rescaled algo=diag-oft train_norm",
    "LyCORIS/DyLoRA": "preset conv_dim conv_alpha use_tucker block_size:unit rank_dropout "
    "module_dropout algo=dylora train_norm",
    "LyCORIS/GLoRA": "preset conv_dim conv_alpha use_tucker rank_dropout module_dropout "
    "rank_dropout_scale algo=glora train_norm",
    "LyCORIS/iA3": "preset conv_dim conv_alpha train_on_input algo=ia3",
    "LyCORIS/LoCon": "preset conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout use_tucker use_scalar rank_dropout_scale algo=locon train_norm",
    "LyCORIS/LoHa": "preset conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout use_tucker use_scalar rank_dropout_scale algo=loha train_norm",
    "LyCORIS/LoKr": "preset conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout factor use_cp use_scalar decompose_both rank_dropout_scale algo=lokr "
    "train_norm",
    "LyCORIS/Native Fine-Tuning": "preset rank_dropout module_dropout rank_dropout_scale "
    "algo=full train_norm",
}
"""Arguments of lycoris.kohya by LoRA type: `name`, `name:key of the json` or `name=constant`."""

_BLOCKS = [
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
    "rank_dropout",
    "module_dropout",
]

_FLUX_DIMS = [
    "img_attn_dim",
    "img_mlp_dim",
    "img_mod_dim",
    "single_dim",
    "txt_attn_dim",
    "txt_mlp_dim",
    "txt_mod_dim",
    "single_mod_dim",
    "in_dims",
    "train_double_block_indices",
    "train_single_block_indices",
]


@dataclass(frozen=True)
class Difference:
    """Where we do not do what the GUI would, and why."""

    key: str
    gui: object
    ours: object
    why: str

    def __str__(self) -> str:
        return f"{self.key}: the GUI would send {self.gui!r}, we send {self.ours!r}: {self.why}"


@dataclass(frozen=True)
class TrainerCall:
    """What sd-scripts is started with; `toml` goes into a file named by --config_file."""

    script: str
    toml: Toml
    launch: tuple[str, ...]
    additional: tuple[str, ...]
    sample_prompts: str
    differences: tuple[Difference, ...] = ()

    @property
    def script_name(self) -> str:
        """The file in sd-scripts' root."""
        return f"{self.script}.py"


@dataclass(frozen=True)
class Dataset:
    """What the GUI itself counts: pictures times repeats over all folders, and whether regular."""

    draws: int = 0


def script_of(values: Mapping[str, Any]) -> str:
    """Return the sd-scripts trainer for a config, without .py."""
    return next((script for flag, script in _FAMILIES if values.get(flag)), "train_network")


def call_as_gui(values: Mapping[str, Any], version: GuiVersion, dataset: Dataset) -> TrainerCall:
    """Return exactly what the GUI of `version` would run for a complete config."""
    script = script_of(values)
    toml = _dropped_empty(_toml(values, version, dataset, script))
    toml.setdefault("max_data_loader_n_workers", int(values["max_data_loader_n_workers"]))
    return TrainerCall(
        script,
        dict(sorted(toml.items())),
        _launch_arguments(values),
        _additional(values),
        str(values.get("sample_prompts") or ""),
    )


def plan_call(values: Mapping[str, Any], version: GuiVersion, dataset: Dataset) -> TrainerCall:
    """Return what we run: the GUI's call, put right where it is wrong, with each difference."""
    gui = call_as_gui(values, version, dataset)
    toml = dict(gui.toml)
    found: list[Difference] = []

    def change(key: str, value: object, why: str) -> None:
        if toml.get(key) == value:
            return
        found.append(Difference(key, toml.get(key), value, why))
        if value is None:
            toml.pop(key, None)
        else:
            toml[key] = value

    for key in ("epoch", "noise_offset_type", *_not_arguments(gui.script, toml)):
        if key in toml:
            change(key, None, "it is no argument of sd-scripts, which would ignore it")
    epochs = int(values.get("max_train_epochs") or 0) or int(values.get("epoch") or 0)
    if epochs and not int(values.get("max_train_steps") or 0):
        why = "the GUI's estimate of steps ignores buckets, so the last epoch would be cut"
        change("max_train_epochs", epochs, why)
        change("max_train_steps", None, why)
    if toml.get("dynamo_backend") == "no":
        change("dynamo_backend", None, "that is accelerate's word; sd-scripts has none for off")
    if toml.get("max_token_length") == 75:
        change("max_token_length", None, "75 is sd-scripts' own way, and none of its choices")
    for key in ("prior_loss_weight", "max_grad_norm"):
        if key in values and values[key] == 0:
            change(key, values[key], "the GUI drops a 0, and the trainer would use its default")
    for key, variable in SECRETS.items():
        if toml.pop(key, None):
            why = f"a secret comes from the environment only: set {variable}"
            found.append(Difference(key, "(secret)", None, why))
    return TrainerCall(
        gui.script, dict(sorted(toml.items())), gui.launch, gui.additional, gui.sample_prompts,
        tuple(found),
    )  # fmt: skip


def _not_arguments(script: str, toml: Mapping[str, Any]) -> list[str]:
    known = arguments_of(script)
    return [key for key in toml if key not in known]


def _toml(values: Mapping[str, Any], version: GuiVersion, dataset: Dataset, script: str) -> Toml:
    v24 = version is GuiVersion.V24
    toml: Toml = {key: values.get(key) for key in _SAME_NAME}
    toml |= {key: _int(values.get(key)) for key in _AS_INT}
    toml |= {key: values.get(key) for key in SECRETS}
    toml["optimizer_type"] = values.get("optimizer")
    toml["resolution"] = values.get("max_resolution")
    toml["optimizer_args"] = _words(values.get("optimizer_args"))
    toml["lr_scheduler_args"] = _words(values.get("lr_scheduler_args"))
    toml["sdpa"] = values.get("xformers") == "sdpa"
    toml["xformers"] = values.get("xformers") == "xformers"
    toml["network_module"], toml["network_args"] = _network(values, version)
    toml["sample_prompts"] = _prompt_file(values, v24)
    toml["huber_scale"] = None if v24 else values.get("huber_scale")
    toml["wandb_run_name"] = values.get("wandb_run_name") or (
        None if v24 else values.get("output_name")
    )
    no_clip = script.split("_")[0] in ("hunyuan", "anima", "lumina")
    toml["clip_skip"] = None if no_clip else values.get("clip_skip")
    no_tokens = no_clip or script == "flux_train_network"
    toml["max_token_length"] = None if no_tokens else _int(values.get("max_token_length"))
    toml |= _learning_rates(values, v24)
    toml |= _noise(values, v24)
    toml["max_train_steps"] = _steps(values, dataset)
    toml["lr_warmup_steps"] = _warmup(values, version, toml["max_train_steps"])
    toml |= _family(values, script)
    return toml


def _dropped_empty(toml: Toml) -> Toml:
    """Drop what the GUI drops: "", False, None and every 0."""
    return {key: value for key, value in toml.items() if value not in ("", False, None)}


def _int(value: object) -> int:
    return int(float(value)) if isinstance(value, (int, float, str)) and value != "" else 0


def _words(text: object) -> list[str]:
    return str(text or "").replace('"', "").split()


def _prompt_file(values: Mapping[str, Any], v24: bool) -> str:
    folder = str(values.get("output_dir") or "").rstrip("/\\")
    return f"{folder}/prompt.txt" if v24 else f"{folder}/sample/prompt.txt"


def _learning_rates(values: Mapping[str, Any], v24: bool) -> Toml:
    base = float(values.get("learning_rate") or 0)
    unet = float(values.get("unet_lr") or 0)
    text = float(values.get("text_encoder_lr") or 0)
    t5xxl = float(values.get("t5xxl_lr") or 0)
    if not (base or unet or text):
        raise ToolError(
            "LL303",
            "All learning rates are 0, so nothing would be trained.",
            "Set learning_rate, unet_lr or text_encoder_lr.",
        )
    if not text and t5xxl:
        raise ToolError(
            "LL303",
            f"t5xxl_lr is {t5xxl:g} while text_encoder_lr is 0, which sd-scripts cannot express.",
            "Set text_encoder_lr too, or t5xxl_lr to 0.",
        )
    rates: object = text if v24 else [text, t5xxl or text]
    return {
        "learning_rate": base,
        "unet_lr": unet or None,
        "text_encoder_lr": rates if text else None,
        "network_train_unet_only": bool(not text and unet),
        "network_train_text_encoder_only": bool(text and not unet),
    }


def _noise(values: Mapping[str, Any], v24: bool) -> Toml:
    original = values.get("noise_offset_type") == "Original"
    multires = values.get("noise_offset_type") == "Multires"
    return {
        "adaptive_noise_scale": values.get("adaptive_noise_scale") if original else None,
        "noise_offset": values.get("noise_offset") if original else None,
        "noise_offset_random_strength": (
            values.get("noise_offset_random_strength") if original else None
        ),
        "multires_noise_discount": (
            values.get("multires_noise_discount") if multires or v24 else None
        ),
        "multires_noise_iterations": values.get("multires_noise_iterations") if multires else None,
    }


def _steps(values: Mapping[str, Any], dataset: Dataset) -> int:
    """Return the steps as the GUI counts them: without buckets, doubled for a reg folder."""
    given = _int(values.get("max_train_steps"))
    if given or values.get("dataset_config"):
        return given
    batches = dataset.draws / _int(values["train_batch_size"])
    batches /= _int(values["gradient_accumulation_steps"])
    factor = 2 if values.get("reg_data_dir") else 1
    return math.ceil(batches * _int(values["epoch"]) * factor)


def _warmup(values: Mapping[str, Any], version: GuiVersion, max_train_steps: int) -> object:
    percent = float(values.get("lr_warmup") or 0)
    if version is GuiVersion.V24:
        return round(percent * max_train_steps / 100) if percent else 0
    steps = _int(values.get("lr_warmup_steps"))
    if values.get("dataset_config") and max_train_steps <= 0:
        steps = 0  # the GUI forgets it then
    if steps > 0:
        return steps
    if values.get("dataset_config") and max_train_steps > 0:
        return round(percent * max_train_steps / 100)
    return percent / 100


def _family(values: Mapping[str, Any], script: str) -> Toml:
    if script == "sdxl_train_network":
        return {
            "cache_text_encoder_outputs": values.get("sdxl_cache_text_encoder_outputs"),
            "no_half_vae": values.get("sdxl_no_half_vae"),
        }
    if script == "flux_train_network":
        return _flux(values)
    if script == "sd3_train_network":
        same: Toml = {key: values.get(key) for key in _SD3}
        return same | {new: values.get(old) for old, new in _SD3_RENAMED.items()}
    if script == "train_network":
        return {}
    raise ToolError(
        "LL304",
        f"{script}.py is needed for this config, which loraloom does not drive yet.",
        "Train this family from the Kohya GUI itself.",
    )


def _flux(values: Mapping[str, Any]) -> Toml:
    chroma = str(values.get("model_type") or "").lower() == "chroma"
    toml: Toml = {key: values.get(key) for key in _FLUX}
    return toml | {
        "clip_l": None if chroma else values.get("clip_l"),
        "t5xxl": values.get("t5xxl"),
        "t5xxl_max_token_length": _int(values.get("t5xxl_max_token_length")),
        "guidance_scale": float(values.get("guidance_scale") or 0),
        "discrete_flow_shift": float(values.get("discrete_flow_shift") or 0),
        "model_type": "chroma" if chroma else None,
        "cache_text_encoder_outputs": values.get("flux1_cache_text_encoder_outputs"),
        "cache_text_encoder_outputs_to_disk": values.get(
            "flux1_cache_text_encoder_outputs_to_disk"
        ),
    }


def _network(values: Mapping[str, Any], version: GuiVersion) -> tuple[str, list[str]]:
    kind = str(values.get("LoRA_type") or "Standard")
    module, arguments = _network_of(kind, values, version)
    for key in ("loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"):
        if values.get(key):
            arguments.append(f"{key}={values[key]}")
    return module, arguments


def _network_of(kind: str, values: Mapping[str, Any], version: GuiVersion) -> tuple[str, list[str]]:
    if kind in _LYCORIS:
        return "lycoris.kohya", _lycoris(kind, values, version)
    if kind in ("Standard", "Kohya LoCon"):
        module = "networks.lora_sd3" if values.get("sd3_checkbox") else "networks.lora"
        conv = ["conv_dim", "conv_alpha"] if kind == "Kohya LoCon" else []
        return module, _pairs(values, conv) + _truthy(values, _BLOCKS)
    if kind == "LoRA-FA":
        return "networks.lora_fa", _truthy(values, _BLOCKS)
    if kind == "Kohya DyLoRA":
        names = ["conv_dim", "conv_alpha", *_BLOCKS[:-2], "unit", *_BLOCKS[-2:]]
        return "networks.dylora", _truthy(values, names)
    if kind == "Flux1":
        return "networks.lora_flux", _flux_network(values)
    if kind == "Flux1 OFT":
        return "networks.oft_flux", _truthy(values, ["enable_all_linear"])
    if kind in ("Kohya LoHa", "Kohya LoKr"):
        return f"networks.{kind.split()[1].lower()}", _native(kind, values)
    raise ToolError(
        "LL304",
        f'The LoRA type "{kind}" is one that loraloom does not drive yet.',
        "Train this type from the Kohya GUI itself.",
    )


def _lycoris(kind: str, values: Mapping[str, Any], version: GuiVersion) -> list[str]:
    found: list[str] = []
    for word in _LYCORIS[kind].split():
        name, _, constant = word.partition("=")
        if constant:
            found.append(word)
            continue
        name, _, key = name.partition(":")
        key = "LyCORIS_preset" if name == "preset" else key or name
        found.append(f"{name}={values.get(key)}")
    first = next((i for i, word in enumerate(found) if word.startswith("use_tucker=")), None)
    twice = sum(word.startswith("use_tucker=") for word in found) > 1
    if version is GuiVersion.V24 and twice and first is not None:
        del found[first]
    return found


def _flux_network(values: Mapping[str, Any]) -> list[str]:
    ggpo = ["ggpo_sigma", "ggpo_beta"] if values.get("train_lora_ggpo") else []
    found = _truthy(values, [*ggpo, *_FLUX_DIMS])
    if values.get("split_mode"):
        found.append("train_blocks=single")
    if values.get("split_qkv"):
        found.append("split_qkv=True")
    if values.get("train_t5xxl"):
        found.append("train_t5xxl=True")
    return found + _truthy(values, ["rank_dropout", "module_dropout"])


def _native(kind: str, values: Mapping[str, Any]) -> list[str]:
    """Return the arguments of sd-scripts' own LoHa and LoKr: only what is not its default."""
    found = []
    if float(values.get("conv_dim") or 0) > 0:
        alpha = values.get("conv_alpha") or 0
        whole = int(alpha) if float(alpha) == int(alpha) else alpha
        found += [f"conv_dim={_int(values['conv_dim'])}", f"conv_alpha={whole}"]
    if values.get("use_tucker"):
        found.append("use_tucker=True")
    if kind == "Kohya LoKr" and _int(values.get("factor", -1)) != -1:
        found.append(f"factor={_int(values['factor'])}")
    return found + _truthy(values, ["rank_dropout", "module_dropout"])


def _pairs(values: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return [f"{key}={values.get(key)}" for key in keys]


def _truthy(values: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return [f"{key}={values[key]}" for key in keys if values.get(key)]


def _launch_arguments(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return accelerate's own arguments in the GUI's order."""
    found: list[str] = []
    for key in ("dynamo_backend", "dynamo_mode"):
        if values.get(key):
            found += [f"--{key}", str(values[key])]
    found += [
        f"--{key}" for key in ("dynamo_use_fullgraph", "dynamo_use_dynamic") if values.get(key)
    ]
    found += _words(values.get("extra_accelerate_launch_args"))
    if values.get("gpu_ids"):
        found += ["--gpu_ids", str(values["gpu_ids"])]
    if _int(values.get("main_process_port")) > 0:
        found += ["--main_process_port", str(_int(values["main_process_port"]))]
    if values.get("mixed_precision"):
        found += ["--mixed_precision", str(values["mixed_precision"])]
    if values.get("multi_gpu"):
        found.append("--multi_gpu")
    for key in ("num_processes", "num_machines", "num_cpu_threads_per_process"):
        if _int(values.get(key)) > 0:
            found += [f"--{key}", str(_int(values[key]))]
    return tuple(found)


def _additional(values: Mapping[str, Any]) -> tuple[str, ...]:
    text = str(values.get("additional_parameters") or "").replace('"', "")
    return tuple(shlex.quote(word) for word in text.split())


# What the trainer's own parsers take.


@lru_cache(maxsize=1)
def _argument_tables() -> dict[str, Any]:
    path = resources.files(__package__) / "data" / "trainer_arguments.json"
    tables: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tables


def arguments_of(script: str, version: str = "main") -> Mapping[str, list[Any]]:
    """Return a trainer's arguments: dest to [type, nargs] or [type, nargs, choices]."""
    table = _argument_tables()[version]
    extra = table["extra"].get(script, {})
    found: dict[str, list[Any]] = {**table["train_network"], **extra}
    return found


_FITS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "int_or_float": (int, float),
    "bool": (bool,),
}


def require_valid_call(call: TrainerCall, version: str = "main") -> None:
    """Raise ToolError LL305 when sd-scripts would misread or ignore a value."""
    known = arguments_of(call.script, version)
    for key, value in call.toml.items():
        why = _argument_problem(known.get(key), value)
        if why:
            raise ToolError(
                "LL305",
                f"sd-scripts' {call.script_name} cannot take {key} = {value!r}: {why}.",
                "Correct the value; through a config file sd-scripts would not notice.",
            )


def _argument_problem(row: list[Any] | None, value: object) -> str | None:
    if row is None:
        return "it has no such argument"
    kind, nargs, *choices = row
    members = value if nargs == "*" and isinstance(value, list) else [value]
    for member in members:
        wanted = _FITS.get(kind, (str,))
        is_bool = isinstance(member, bool)
        if not isinstance(member, wanted) or (is_bool and kind != "bool"):
            return f"{member!r} is no {kind}"
        if choices and member not in choices[0]:
            return f"{member!r} is none of {', '.join(map(str, choices[0]))}"
    return None


def format_toml(toml: Mapping[str, Any]) -> str:
    """Return a flat toml text, keys sorted; texts are quoted as JSON, which toml reads."""
    lines = []
    for key, value in sorted(toml.items()):
        lines.append(f"{key} = {_toml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(member) for member in value) + "]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


__all__ = [
    "Dataset",
    "Difference",
    "TrainerCall",
    "Values",
    "arguments_of",
    "call_as_gui",
    "format_toml",
    "plan_call",
    "require_valid_call",
    "script_of",
]
