"""What the Kohya GUI's fields are to sd-scripts: the argument that each stands for, per family.

Both our own call (`arguments`) and the GUI's print (`gui_emulation`) are made from this; the
tables are read off the GUI's prints of v24.1.7, v25.2.1 and v26 (tests/hosts).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ...project import InputError
from ...project.families import Family, trained
from .kohya_json import GuiVersion, keys_of

Toml = dict[str, Any]
Values = Mapping[str, Any]

SEPARATOR = os.sep
"""What the GUI puts between folder and file: that of the machine it runs on."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LYCORIS_PRESETS = (
    "attn-mlp", "attn-only", "full", "full-lin", "unet-transformer-only", "unet-convblock-only",
)  # fmt: skip
ONLY_SDXL_ANIMA = ("Kohya LoHa", "Kohya LoKr")

_FAMILIES = tuple(
    (row.flag, row.script)
    for row in dict.fromkeys(one.facts.training for one in trained())
    if row is not None and row.script != "train_network"
)
"""Checkbox and script; SD 1.5 and SD 2 share the one that is left."""


def flag_of_script(script: str) -> str | None:
    """Return the checkbox that chooses a script; train_network has none."""
    return next((flag for flag, one in _FAMILIES if one == script), None)


def fields_of_family(family: Family, version: GuiVersion) -> dict[str, Any] | None:
    """Return the fields that choose a family, or None where this GUI does not train it."""
    training = family.facts.training
    if training is None:
        return None
    fields = {**({training.flag: True} if training.flag else {}), **dict(training.fixed)}
    return fields if set(fields) <= set(keys_of(version)) else None


def script_of(values: Values) -> str:
    """Return the sd-scripts trainer for a config, without .py."""
    return next((script for flag, script in _FAMILIES if values.get(flag)), "train_network")


def as_int(value: object) -> int:
    return int(as_float(value))


def as_float(value: object) -> float:
    try:
        return float(value or 0)  # type: ignore[arg-type]  # whatever a json may hold
    except (TypeError, ValueError, OverflowError):
        return 0.0


def words_of(text: object) -> list[str]:
    return str(text or "").replace('"', "").split()


_SAME_NAME = _names("""
    async_upload bucket_no_upscale bucket_reso_steps cache_latents cache_latents_to_disk
    caption_dropout_rate caption_extension clip_skip color_aug dataset_config
    debiased_estimation_loss dim_from_weights dynamo_backend enable_bucket flip_aug fp8_base
    full_bf16 full_fp16 gradient_checkpointing highvram huber_c huber_scale huber_schedule
    huggingface_path_in_repo huggingface_repo_id huggingface_repo_type
    huggingface_repo_visibility huggingface_token ip_noise_gamma ip_noise_gamma_random_strength
    log_config log_tracker_config log_tracker_name log_with logging_dir loss_type lr_scheduler
    lr_scheduler_power lr_scheduler_type masked_loss max_bucket_reso max_grad_norm max_timestep
    mem_eff_attn metadata_author metadata_description metadata_license metadata_tags
    metadata_title min_snr_gamma min_timestep mixed_precision network_alpha network_dim
    network_dropout network_weights output_dir output_name
    pretrained_model_name_or_path prior_loss_weight random_crop reg_data_dir resume
    resume_from_huggingface sample_every_n_epochs sample_every_n_steps sample_sampler
    save_every_n_epochs save_every_n_steps save_last_n_epochs save_last_n_epochs_state
    save_last_n_steps save_last_n_steps_state save_model_as save_precision save_state
    save_state_on_train_end save_state_to_huggingface scale_v_pred_loss_like_noise_pred
    scale_weight_norms shuffle_caption skip_cache_check train_batch_size train_data_dir
    training_comment v2 v_parameterization v_pred_like_loss vae vae_batch_size wandb_api_key
    weighted_captions
""")

_AS_INT = _names("""
    caption_dropout_every_n_epochs gradient_accumulation_steps keep_tokens
    max_token_length max_train_epochs min_bucket_reso persistent_data_loader_workers seed
""")


def trainer_values(values: Values, version: GuiVersion, script: str) -> Toml:
    """Return each field under its trainer's name, nothing dropped and no steps counted.

    Raises InputError (learning rates that train nothing; an unknown LoRA type).
    """
    v24 = version is GuiVersion.V24
    toml: Toml = {key: values.get(key) for key in _SAME_NAME}
    toml |= {key: as_int(values.get(key)) for key in _AS_INT}
    toml["optimizer_type"] = values.get("optimizer")
    toml["resolution"] = values.get("max_resolution")
    toml["optimizer_args"] = words_of(values.get("optimizer_args"))
    toml["lr_scheduler_args"] = words_of(values.get("lr_scheduler_args"))
    cycles = values.get("lr_scheduler_num_cycles")
    toml["lr_scheduler_num_cycles"] = as_int(values.get("epoch") if cycles == "" else cycles)
    toml["sdpa"] = values.get("xformers") == "sdpa"
    toml["xformers"] = values.get("xformers") == "xformers"
    module, arguments = _network_of(str(values.get("LoRA_type") or "Standard"), values, version)
    toml["network_module"], toml["network_args"] = module, arguments + _truthy(values, LORAPLUS)
    folder = str(values.get("output_dir") or "")
    between = "" if not folder or folder.endswith(("/", SEPARATOR)) else SEPARATOR
    toml["sample_prompts"] = folder + between + ("prompt.txt" if v24 else "sample/prompt.txt")
    toml["wandb_run_name"] = values.get("wandb_run_name") or (
        None if v24 else values.get("output_name")
    )
    toml |= _learning_rates(values, v24)
    toml |= _noise(values, v24)
    toml |= _family(values)
    if values.get("train_inpainting") and script in ("train_network", "sdxl_train_network"):
        off = {"cache_latents": False, "cache_latents_to_disk": False}
        toml |= {"train_inpainting": True, **off}
    toml["max_data_loader_n_workers"] = as_int(values.get("max_data_loader_n_workers"))
    return toml


def _learning_rates(values: Values, v24: bool) -> Toml:
    names = ("learning_rate", "unet_lr", "text_encoder_lr", "t5xxl_lr")
    base, unet, text, t5xxl = (as_float(values.get(name)) for name in names)
    if not (base or unet or text):
        raise InputError(
            "LL303",
            "All learning rates are 0, so nothing would be trained.",
            "Set learning_rate, unet_lr or text_encoder_lr.",
        )
    if not text and t5xxl > 0:
        raise InputError(
            "LL303",
            f"t5xxl_lr is {t5xxl:g} while text_encoder_lr is 0, which sd-scripts cannot express.",
            "Set text_encoder_lr too, or t5xxl_lr to 0.",
        )
    rates: Toml = {"text_encoder_lr": [text, t5xxl if t5xxl > 0 else text] if text > 0 else None}
    if v24:
        rates = {"text_encoder_lr": values.get("text_encoder_lr")}
    return {
        "learning_rate": base,
        "unet_lr": values.get("unet_lr") if v24 else unet,
        "network_train_unet_only": not text and bool(unet),
        "network_train_text_encoder_only": bool(text) and not unet,
        **rates,
    }


def _noise(values: Values, v24: bool) -> Toml:
    """Return the noise settings of the chosen kind; v24 sends both kinds."""
    kind = values.get("noise_offset_type")
    original = ("adaptive_noise_scale", "noise_offset", "noise_offset_random_strength")
    multires = ("multires_noise_discount", "multires_noise_iterations")
    chosen = [
        *(original if v24 or kind == "Original" else ()),
        *(multires if v24 or kind == "Multires" else ()),
    ]
    return {key: values.get(key) for key in chosen}


# Model families. A row of the tables is `toml key` or `toml key:json key`; a leading + means an
# int, a leading ~ a float.

_TIMESTEPS = "show_timesteps show_timesteps_resolution"

_FLUX = f"""
    cache_text_encoder_outputs:flux1_cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk:flux1_cache_text_encoder_outputs_to_disk
    clip_l t5xxl ae fp8_base_unet model_prediction_type timestep_sampling split_mode
    +t5xxl_max_token_length ~guidance_scale ~discrete_flow_shift mem_eff_save apply_t5_attn_mask
    cpu_offload_checkpointing blocks_to_swap single_blocks_to_swap double_blocks_to_swap
    {_TIMESTEPS}
"""

_SD3 = f"""
    cache_text_encoder_outputs:sd3_cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk:sd3_cache_text_encoder_outputs_to_disk
    clip_g clip_g_dropout_rate clip_l:sd3_clip_l clip_l_dropout_rate:sd3_clip_l_dropout_rate
    enable_scaled_pos_embed:sd3_enable_scaled_pos_embed fused_backward_pass:sd3_fused_backward_pass
    disable_mmap_load_safetensors:sd3_disable_mmap_load_safetensors logit_mean logit_std
    mode_scale pos_emb_random_crop_rate save_clip save_t5xxl t5_dropout_rate:sd3_t5_dropout_rate
    t5xxl:sd3_t5xxl t5xxl_device t5xxl_dtype text_encoder_batch_size:sd3_text_encoder_batch_size
    weighting_scheme blocks_to_swap {_TIMESTEPS}
"""

_HUNYUAN = """
    cache_text_encoder_outputs:hunyuan_image_cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk:hunyuan_image_cache_text_encoder_outputs_to_disk
    vae:hunyuan_vae text_encoder:hunyuan_text_encoder byt5:hunyuan_byt5
    ~discrete_flow_shift:hunyuan_discrete_flow_shift
    model_prediction_type:hunyuan_model_prediction_type
    timestep_sampling:hunyuan_timestep_sampling ~sigmoid_scale:hunyuan_sigmoid_scale
    attn_mode:hunyuan_attn_mode split_attn:hunyuan_split_attn fp8_scaled:hunyuan_fp8_scaled
    fp8_vl:hunyuan_fp8_vl text_encoder_cpu:hunyuan_text_encoder_cpu
    +vae_chunk_size:hunyuan_vae_chunk_size blocks_to_swap
"""

_ANIMA = f"""
    cache_text_encoder_outputs:anima_cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk:anima_cache_text_encoder_outputs_to_disk
    vae:anima_vae qwen3:anima_qwen3 llm_adapter_path:anima_llm_adapter_path
    t5_tokenizer_path:anima_t5_tokenizer_path ~discrete_flow_shift:anima_discrete_flow_shift
    timestep_sampling:anima_timestep_sampling ~sigmoid_scale:anima_sigmoid_scale
    +qwen3_max_token_length:anima_qwen3_max_token_length
    +t5_max_token_length:anima_t5_max_token_length attn_mode:anima_attn_mode
    split_attn:anima_split_attn +vae_chunk_size:anima_vae_chunk_size
    vae_disable_cache:anima_vae_disable_cache
    unsloth_offload_checkpointing:anima_unsloth_offload_checkpointing
    qwen_image_vae_2d:anima_qwen_image_vae_2d compile:anima_compile
    torch_compile:anima_torch_compile compile_backend:anima_compile_backend
    compile_mode:anima_compile_mode compile_dynamic:anima_compile_dynamic
    compile_fullgraph:anima_compile_fullgraph
    +compile_cache_size_limit:anima_compile_cache_size_limit blocks_to_swap {_TIMESTEPS}
"""

_LUMINA = f"""
    cache_text_encoder_outputs:lumina_cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk:lumina_cache_text_encoder_outputs_to_disk
    gemma2:lumina_gemma2 ae:lumina_ae ~discrete_flow_shift:lumina_discrete_flow_shift
    model_prediction_type:lumina_model_prediction_type
    timestep_sampling:lumina_timestep_sampling ~sigmoid_scale:lumina_sigmoid_scale
    +gemma2_max_token_length:lumina_gemma2_max_token_length system_prompt:lumina_system_prompt
    use_flash_attn:lumina_use_flash_attn use_sage_attn:lumina_use_sage_attn blocks_to_swap
    {_TIMESTEPS}
"""

_SDXL = "cache_text_encoder_outputs:sdxl_cache_text_encoder_outputs no_half_vae:sdxl_no_half_vae"

_FAMILY_ROWS = {
    "sdxl": _SDXL,
    "flux": _FLUX,
    "sd3": _SD3,
    "hunyuan": _HUNYUAN,
    "anima": _ANIMA,
    "lumina": _LUMINA,
}


def family_rows(script: str) -> dict[str, str]:
    """Return the arguments that a family's trainer has under another field's name."""
    rows = _FAMILY_ROWS.get(script.split("_")[0], "")
    pairs = (row.lstrip("+~").partition(":") for row in rows.split())
    return {argument: field or argument for argument, _, field in pairs}


_ANY_OF_THEM = ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")


def _family(values: Values) -> Toml:
    """Return the settings of all families that are switched on; usually that is one.

    Of several the script is the first one's, while each sends its own.
    """
    chosen = [script.split("_")[0] for flag, script in _FAMILIES if values.get(flag)]
    toml: Toml = {}
    for family in chosen:
        for row in _FAMILY_ROWS[family].split():
            key, _, source = row.lstrip("+~").partition(":")
            value = values.get(source or key)
            value = as_int(value) if row[0] == "+" else as_float(value) if row[0] == "~" else value
            if key not in toml or not (key in _ANY_OF_THEM or key == "t5xxl"):
                toml[key] = value
            elif key in _ANY_OF_THEM:
                toml[key] = toml[key] or value
    off: list[str] = []
    if "flux" in chosen:
        off.append("max_token_length")
        if str(values.get("model_type") or "").lower() == "chroma":
            toml |= {"model_type": "chroma", "apply_t5_attn_mask": True}  # its trainer insists
            off += [] if "sd3" in chosen else ["clip_l"]  # Chroma has none
    if {"hunyuan", "anima", "lumina"} & set(chosen):
        off += ["clip_skip", "max_token_length"]
    if "hunyuan" in chosen:  # its text encoders are never trained
        toml |= {"network_train_unet_only": True, "network_train_text_encoder_only": False}
        off.append("v2")
    if not values.get("show_timesteps"):
        off += _TIMESTEPS.split()
    if not toml.get("compile"):
        off += [key for key in toml if key.startswith("compile_")]
    off += [key for key, none in (("attn_mode", "torch"), ("compile_dynamic", "auto"))
            if "anima" in chosen and toml.get(key) == none]  # fmt: skip
    return toml | dict.fromkeys(off)


# The network. A word of the LyCORIS rows is `argument`, `argument:json key` or `argument=constant`.

LORAPLUS = ("loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio")

_LYCORIS: Mapping[str, str] = {
    "LyCORIS/BOFT": "conv_dim conv_alpha module_dropout use_tucker rank_dropout "
    "rank_dropout_scale algo=boft train_norm",
    "LyCORIS/Diag-OFT": "conv_dim conv_alpha module_dropout use_tucker rank_dropout "
    "rank_dropout_scale constraint:constrain rescaled algo=diag-oft train_norm",
    "LyCORIS/DyLoRA": "conv_dim conv_alpha use_tucker block_size:unit rank_dropout "
    "module_dropout algo=dylora train_norm",
    "LyCORIS/GLoRA": "conv_dim conv_alpha use_tucker rank_dropout module_dropout "
    "rank_dropout_scale algo=glora train_norm",
    "LyCORIS/iA3": "conv_dim conv_alpha train_on_input algo=ia3",
    "LyCORIS/LoCon": "conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout use_tucker use_scalar rank_dropout_scale algo=locon train_norm",
    "LyCORIS/LoHa": "conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout use_tucker use_scalar rank_dropout_scale algo=loha train_norm",
    "LyCORIS/LoKr": "conv_dim conv_alpha use_tucker rank_dropout bypass_mode dora_wd "
    "module_dropout factor use_cp use_scalar decompose_both rank_dropout_scale algo=lokr "
    "train_norm",
    "LyCORIS/Native Fine-Tuning": "rank_dropout module_dropout rank_dropout_scale algo=full "
    "train_norm",
}

_LYCORIS_V24: Mapping[str, str] = {
    "LyCORIS/BOFT": "conv_dim conv_alpha module_dropout use_tucker use_scalar rank_dropout "
    "rank_dropout_scale constrain rescaled algo=boft train_norm",
    "LyCORIS/Diag-OFT": "conv_dim conv_alpha module_dropout use_tucker use_scalar rank_dropout "
    "rank_dropout_scale constrain rescaled algo=diag-oft train_norm",
    "LyCORIS/GLoRA": "conv_dim conv_alpha rank_dropout module_dropout rank_dropout_scale "
    "algo=glora train_norm",
    "LyCORIS/LoCon": "conv_dim conv_alpha rank_dropout bypass_mode dora_wd module_dropout "
    "use_tucker use_scalar rank_dropout_scale algo=locon train_norm",
    "LyCORIS/LoHa": "conv_dim conv_alpha rank_dropout bypass_mode dora_wd module_dropout "
    "use_tucker use_scalar rank_dropout_scale algo=loha train_norm",
    "LyCORIS/LoKr": "conv_dim conv_alpha rank_dropout bypass_mode dora_wd module_dropout factor "
    "use_cp use_scalar decompose_both rank_dropout_scale algo=lokr train_norm",
    "LyCORIS/Native Fine-Tuning": "rank_dropout module_dropout use_tucker use_scalar "
    "rank_dropout_scale algo=full train_norm",
}

# In the order of the GUI's own fields, which is the order of what it sends.
_BLOCKS = _names("""
    down_lr_weight mid_lr_weight up_lr_weight block_lr_zero_threshold block_dims block_alphas
    conv_block_dims conv_block_alphas rank_dropout module_dropout
""")

_DYLORA = ("conv_dim", "conv_alpha", *_BLOCKS[:-2], "unit", *_BLOCKS[-2:])

_FLUX_NETWORK = _names("""
    img_attn_dim img_mlp_dim img_mod_dim single_dim txt_attn_dim txt_mlp_dim txt_mod_dim
    single_mod_dim in_dims train_double_block_indices train_single_block_indices
""")

LISTS = (*_BLOCKS[:-2], *_FLUX_NETWORK)
"""Texts that go into the network's arguments as lists."""

_MODULES = {
    "Anima": "networks.lora_anima",
    "Lumina": "networks.lora_lumina",
    "HunyuanImage-2.1": "networks.lora_hunyuan_image",
}

_DROPOUTS = ("rank_dropout", "module_dropout")


def _network_of(kind: str, values: Values, version: GuiVersion) -> tuple[str, list[str]]:
    if kind in _LYCORIS:
        return "lycoris.kohya", _lycoris(kind, values, version)
    if kind in ("Standard", "Kohya LoCon"):
        module = "networks.lora_sd3" if values.get("sd3_checkbox") else "networks.lora"
        conv = ["conv_dim", "conv_alpha"] if kind == "Kohya LoCon" else []
        pairs = [f"{key}={values.get(key)}" for key in conv]
        return module, pairs + _truthy(values, _BLOCKS)
    if kind == "LoRA-FA":
        return "networks.lora_fa", _truthy(values, _BLOCKS)
    if kind == "Kohya DyLoRA":
        return "networks.dylora", _truthy(values, _DYLORA)
    if kind == "Flux1":
        return "networks.lora_flux", _flux_network(values, version)
    if kind == "Flux1 OFT":
        return "networks.oft_flux", _truthy(values, ["enable_all_linear"])
    if kind in ONLY_SDXL_ANIMA:
        return f"networks.{kind.split()[1].lower()}", _native(kind, values)
    if kind in _MODULES:
        return _MODULES[kind], _positive(values, _DROPOUTS)
    raise InputError(
        "LL304",
        f'"{kind}" is not a LoRA type of the Kohya GUI {version.value}.',
        f"Choose one of {', '.join(map(str, keys_of(version)['LoRA_type'].choices))}.",
    )


def _lycoris(kind: str, values: Values, version: GuiVersion) -> list[str]:
    rows = _LYCORIS_V24 if version is GuiVersion.V24 and kind in _LYCORIS_V24 else _LYCORIS
    found = [f"preset={values.get('LyCORIS_preset')}"]
    for word in rows[kind].split():
        name, _, key = word.partition(":")
        found.append(word if "=" in word else f"{name}={values.get(key or name)}")
    return found


def _flux_network(values: Values, version: GuiVersion) -> list[str]:
    ggpo = ["ggpo_sigma", "ggpo_beta"] if values.get("train_lora_ggpo") else []
    found = _truthy(values, [*ggpo, *_FLUX_NETWORK])
    if values.get("split_mode"):
        found.append("train_blocks=single")
    if values.get("split_qkv"):
        found.append("split_qkv=True")
    if values.get("train_t5xxl") and values.get("flux1_checkbox"):
        found.append("train_t5xxl=True")
    return found + (_positive(values, _DROPOUTS) if version is GuiVersion.V26 else [])


def _native(kind: str, values: Values) -> list[str]:
    """Return the arguments of sd-scripts' own LoHa and LoKr: only what is not its default."""
    found = []
    if as_float(values.get("conv_dim")) > 0:
        alpha = values.get("conv_alpha")
        whole = int(alpha) if alpha is not None and float(alpha) == int(alpha) else alpha
        found += [f"conv_dim={as_int(values['conv_dim'])}", f"conv_alpha={whole}"]
    if values.get("use_tucker"):
        found.append("use_tucker=True")
    if kind == "Kohya LoKr" and as_int(values.get("factor", -1)) != -1:
        found.append(f"factor={as_int(values['factor'])}")
    return found + _positive(values, _DROPOUTS)


def _truthy(values: Values, keys: Sequence[str]) -> list[str]:
    return [f"{key}={values[key]}" for key in keys if values.get(key)]


def _positive(values: Values, keys: Sequence[str]) -> list[str]:
    return [f"{key}={values[key]}" for key in keys if as_float(values.get(key)) > 0]


def launch_words(values: Values, extra: Sequence[str]) -> tuple[str, ...]:
    """Return accelerate's own arguments in the GUI's order; `extra` are its free ones."""
    found: list[str] = []
    for key in ("dynamo_backend", "dynamo_mode"):
        if values.get(key):
            found += [f"--{key}", str(values[key])]
    switches = ("dynamo_use_fullgraph", "dynamo_use_dynamic")
    found += [f"--{key}" for key in switches if values.get(key)]
    found += extra
    if values.get("gpu_ids"):
        found += ["--gpu_ids", shlex.quote(str(values["gpu_ids"]))]
    if as_int(values.get("main_process_port")) > 0:
        found += ["--main_process_port", str(as_int(values["main_process_port"]))]
    if values.get("mixed_precision"):
        found += ["--mixed_precision", shlex.quote(str(values["mixed_precision"]))]
    if values.get("multi_gpu"):
        found.append("--multi_gpu")
    for key in ("num_processes", "num_machines", "num_cpu_threads_per_process"):
        if as_int(values.get(key)) > 0:
            found += [f"--{key}", str(as_int(values[key]))]
    return tuple(found)
