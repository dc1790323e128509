"""Base-model families: one row each, with everything that anyone here asks of a family.

A new model is one member of `Family`. Facts from sd-scripts v0.11.1, the Kohya GUI v26, Forge Neo
2.26 and Civitai's own list; whoever needs one asks here and keeps no table of his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Companion:
    """A file beside the base model: the Kohya GUI's key, sd-scripts' argument, and what it is.

    One that may lie in the checkpoint itself is not `needed`.
    """

    key: str
    argument: str
    title: str
    needed: bool = True


@dataclass(frozen=True)
class FamilyMark:
    """Modules that tell a family: a pattern of their flat names, and their widths where those
    tell more than the name; another width speaks against the family.
    """

    pattern: str
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Training:
    """How sd-scripts trains a family; `flag` is the Kohya GUI's checkbox, empty for SD 1.5.

    `bytes_per_rank` is the size of a LoRA over all its layers in 16 bit, `bucket_step` what the
    script wants bucket_reso_steps to be a multiple of, `zeros` what means something when 0.
    """

    script: str
    flag: str
    module: str
    preset: str
    bytes_per_rank: int
    bucket_step: int
    companions: tuple[Companion, ...] = ()
    zeros: tuple[str, ...] = ()
    fixed: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Drawing:
    """How a WebUI draws with a family: sampler settings of its makers, and what it cannot do.

    `modules` are the files beside the checkpoint that Forge Neo asks for; `preset` is its own
    name for the family, `version` that of A1111 and Forge in a LoRA's user metadata.
    """

    size: int
    steps: int
    cfg: float
    version: str = "Unknown"
    preset: str = ""
    modules: tuple[str, ...] = ()
    shift: float | None = None
    has_negative: bool = True
    on_a1111: bool = False


@dataclass(frozen=True)
class FamilyFacts:
    """One row; `architectures` are ModelSpec's names without the part after the slash.

    `base_versions` are the trainers' names in `ss_base_model_version`, `civitai` the publishing
    site's, the usual one first, each standing for itself and its variants.
    """

    title: str
    architectures: tuple[str, ...]
    implementation: str
    base_versions: tuple[str, ...]
    hub: str
    hub_tag: str
    civitai: tuple[str, ...]
    marks: tuple[FamilyMark, ...]
    never: str
    drawing: Drawing
    training: Training | None = None


_DIFFUSERS = "diffusers"
_UNET = r"^(down_blocks_\d|up_blocks_\d|mid_block)_"
_CROSS = (
    r"^(down_blocks|up_blocks|input_blocks|output_blocks|mid_block|middle_block).*attn2_to_[kv]$"
)
_JOINT = r"^transformer_blocks_\d+_attn_(to_[qkv]|add_[qkv]_proj)$"
_DOUBLE = r"^double_blocks_\d+_(img|txt)_(attn_(qkv|proj)|mod_lin(ear)?|mlp_(0|fc1))$"
_SINGLE = r"^single_blocks_\d+_(linear1|modulation_lin(ear)?)$"
_REFINED = r"^(layers|noise_refiner|context_refiner)_\d+_attention_"
_NOT_FLUX = (
    r"^transformer_blocks_(19|[2-9]\d)_|^double_blocks_(19|[2-9]\d)_|^single_blocks_(3[89]|[4-9]\d)_"
    r"|_(img|txt)_mlp_(fc|net)|^transformer_blocks_\d+_(img|txt)_mod|modulation_linear"
    r"|mod_linear|stream_modulation|mlp_proj$|joint_|^transformer_blocks_\d+_attn[12]_"
    r"|_ff_(context_)?linear_(in|out)$"
)
_FLUX_MARKS = (
    FamilyMark(_DOUBLE, (3072,)),
    FamilyMark(_SINGLE, (3072,)),
    FamilyMark(r"^single_blocks_\d+_linear2$", (15360,)),
    FamilyMark(r"^double_blocks_\d+_img_attn_norm_key_norm"),
    FamilyMark(r"^(double|single)_blocks_\d+_processor(_|$)"),
    FamilyMark(r"^single_transformer_blocks_\d+_(attn_to_[qkv]|proj_mlp|norm_linear)$", (3072,)),
    FamilyMark(_JOINT, (3072,)),
)
_AE = Companion("ae", "ae", "the autoencoder (ae.safetensors)")
_T5 = Companion("t5xxl", "t5xxl", "the text encoder T5-XXL")


class Family(str, Enum):
    """The base-model families, in the order in which the Kohya GUI looks at its checkboxes."""

    facts: FamilyFacts

    def __new__(cls, value: str, facts: FamilyFacts | None = None) -> Family:
        """Make a member of its name in manifests and its row; `Family("sdxl")` finds one."""
        assert facts is not None
        member = str.__new__(cls, value)
        member._value_ = value
        member.facts = facts
        return member

    SD15 = (
        "sd15",
        FamilyFacts(
            title="SD 1.5",
            architectures=("stable-diffusion-v1",),
            implementation=_DIFFUSERS,
            base_versions=("sd_v1", "sd_1.5", "sd1.5", "sd15"),
            hub="stable-diffusion-v1-5/stable-diffusion-v1-5",
            hub_tag="stable-diffusion",
            civitai=("SD 1.5", "SD 1.4"),
            marks=(
                FamilyMark(_CROSS, (768,)),
                FamilyMark(_UNET),
                FamilyMark(r"^te_text_model_", (768, 3072)),
                FamilyMark(r"^cond_stage_model_transformer_"),
            ),
            never=r"_transformer_blocks_[1-9]_|^up_blocks_0_attentions|^te[123]_|^conditioner_|_add_k_proj"
            r"|^cond_stage_model_model_",
            drawing=Drawing(512, 25, 7.0, "SD1", "sd", on_a1111=True),
            training=Training("train_network", "", "networks.lora", "sd15-locon-24", 1_208_000, 64),
        ),
    )
    SD2 = (
        "sd2",
        FamilyFacts(
            title="SD 2",
            architectures=("stable-diffusion-v2-768-v", "stable-diffusion-v2-512"),
            implementation=_DIFFUSERS,
            base_versions=("sd_v2", "sd_v2_v", "sd_2.1", "sd2"),
            hub="stabilityai/stable-diffusion-2-1",
            hub_tag="stable-diffusion",
            civitai=("SD 2.1", "SD 2.0"),
            marks=(
                FamilyMark(_CROSS, (1024,)),
                FamilyMark(_UNET),
                FamilyMark(r"^te_text_model_", (1024, 4096)),
                FamilyMark(r"^cond_stage_model_model_"),
            ),
            never=r"_transformer_blocks_[1-9]_|^up_blocks_0_attentions|^te[123]_|^conditioner_|_add_k_proj"
            r"|^cond_stage_model_transformer_",
            drawing=Drawing(768, 25, 7.0, "SD2", on_a1111=True),
            training=Training("train_network", "v2", "networks.lora", "sd2-lora-32", 1_300_000, 64),
        ),
    )
    SDXL = "sdxl", FamilyFacts(
        title="SDXL",
        architectures=("stable-diffusion-xl-v1-base", "stable-diffusion-xl-v1-refiner"),
        implementation="https://github.com/Stability-AI/generative-models",
        base_versions=("sdxl_base_v1-0", "sdxl", "sdxl_1.0"),
        hub="stabilityai/stable-diffusion-xl-base-1.0",
        hub_tag="stable-diffusion-xl",
        civitai=("SDXL 1.0", "Pony", "Illustrious", "NoobAI"),
        marks=(
            FamilyMark(_CROSS, (2048, 1280)),
            FamilyMark(r"^(in|out)put_blocks_\d+_|^middle_block_"),
            FamilyMark(_UNET),
            FamilyMark(r"^te2_text_model_"),
            FamilyMark(r"^conditioner_"),
        ),
        never=r"^(down_blocks_0|up_blocks_[23])_attentions|^te3_|^cond_stage_model_|_add_k_proj"
        r"|^(joint|double|single|transformer)_blocks_|^single_transformer_|^layers_",
        drawing=Drawing(1024, 25, 6.0, "SDXL", "xl", on_a1111=True),
        training=Training(
            "sdxl_train_network", "sdxl", "networks.lora", "sdxl-lora-12gb",
            7_130_000, 32,
        ),
    )  # fmt: skip
    CHROMA = "chroma", FamilyFacts(
        title="Chroma",
        architectures=("chroma",),
        implementation="https://huggingface.co/lodestones/Chroma",
        base_versions=("chroma",),
        hub="lodestones/Chroma1-HD",
        hub_tag="chroma",
        civitai=("Chroma",),
        marks=(*_FLUX_MARKS, FamilyMark(r"^distilled_guidance_layer_")),
        never=_NOT_FLUX + r"|_mod(ulation)?_lin$|_norm1?(_context)?_linear$|^te1_|^guidance_in_",
        drawing=Drawing(
            1024, 26, 4.0, "Unknown", "flux", ("the VAE ae", "the text encoder T5-XXL")
        ),
        training=Training(
            "flux_train_network", "flux1_checkbox", "networks.lora_flux",
            "chroma-lora-16", 7_000_000, 64, (_AE, _T5),
            ("guidance_scale", "discrete_flow_shift"), (("model_type", "chroma"),),
        ),
    )  # fmt: skip
    FLUX = "flux", FamilyFacts(
        title="Flux",
        architectures=("flux-1-dev", "flux-1-schnell", "flux-1", "flux.1-dev", "flux.1-schnell"),
        implementation="https://github.com/black-forest-labs/flux",
        base_versions=("flux1", "flux", "flux.1"),
        hub="black-forest-labs/FLUX.1-dev",
        hub_tag="flux",
        civitai=("Flux.1 D", "Flux.1 S", "Flux.1 Krea", "Flux.1 Kontext"),
        marks=_FLUX_MARKS,
        never=_NOT_FLUX + r"|^distilled_guidance_layer_",
        drawing=Drawing(
            1024, 20, 1.0, "Flux", "flux",
            ("the VAE ae", "the text encoder CLIP-L", "the text encoder T5-XXL"),
            has_negative=False,
        ),
        training=Training(
            "flux_train_network", "flux1_checkbox", "networks.lora_flux",
            "flux-lora-12gb", 9_570_000, 64,
            (_AE, Companion("clip_l", "clip_l", "the text encoder CLIP-L"), _T5),
            ("guidance_scale", "discrete_flow_shift"),
        ),
    )  # fmt: skip
    SD3 = "sd3", FamilyFacts(
        title="SD 3",
        architectures=(
            "stable-diffusion-3-5-large", "stable-diffusion-3-5-medium",
            "stable-diffusion-3-medium", "stable-diffusion-3", "stable-diffusion-v3",
            "stable-diffusion-3.5-large", "stable-diffusion-3.5-medium",
        ),
        implementation=_DIFFUSERS,
        base_versions=("5-large", "5-medium", "medium", "sd3", "sd3m", "sd3.5"),
        hub="stabilityai/stable-diffusion-3.5-large",
        hub_tag="sd3",
        civitai=("SD 3.5", "SD 3"),
        marks=(
            FamilyMark(r"^joint_blocks_\d+_(x|context)_block_"),
            FamilyMark(_JOINT, (1536, 2432)),
            FamilyMark(r"^x_embedder_proj$"),
        ),
        never=r"^single_transformer_blocks|^transformer_blocks_\d+_(attn1|img|txt)_"
        r"|^transformer_blocks_(3[89]|[4-9]\d)_|_ff_(context_)?linear_(in|out)$",
        drawing=Drawing(
            1024, 28, 4.5, "Unknown", "", ("the text encoders CLIP-L, CLIP-G and T5-XXL",),
            on_a1111=True,
        ),
        training=Training(
            "sd3_train_network", "sd3_checkbox", "networks.lora_sd3",
            "sd35-lora-16", 8_500_000, 32,
            (
                Companion("sd3_clip_l", "clip_l", "the text encoder CLIP-L", needed=False),
                Companion("clip_g", "clip_g", "the text encoder CLIP-G", needed=False),
                Companion("sd3_t5xxl", "t5xxl", "the text encoder T5-XXL", needed=False),
            ),
            ("mode_scale", "logit_std"),
        ),
    )  # fmt: skip
    HUNYUAN_IMAGE = "hunyuan-image", FamilyFacts(
        title="HunyuanImage 2.1",
        architectures=("hunyuan-image-2.1", "hunyuan-image"),
        implementation=_DIFFUSERS,
        base_versions=("hunyuan-image-2.1", "hunyuan_image"),
        hub="tencent/HunyuanImage-2.1",
        hub_tag="hunyuan-image",
        civitai=("Other",),
        marks=(
            FamilyMark(_DOUBLE, (3584,)),
            FamilyMark(_SINGLE, (3584,)),
            FamilyMark(r"^(single_)?transformer_blocks_\d+_attn_to_[qkv]$", (3584,)),
        ),
        never=r"joint_|stream_modulation|^transformer_blocks_\d+_(attn[12]|img_mlp|txt_mlp|img_mod|txt_mod)_",
        drawing=Drawing(2048, 50, 3.5),
        training=Training(
            "hunyuan_image_train_network", "hunyuan_image_checkbox",
            "networks.lora_hunyuan_image", "hunyuan-image-lora-24gb", 11_800_000, 64,
            (
                Companion("hunyuan_vae", "vae", "the VAE of HunyuanImage 2.1"),
                Companion("hunyuan_text_encoder", "text_encoder", "the text encoder Qwen2.5-VL"),
                Companion("hunyuan_byt5", "byt5", "the text encoder ByT5"),
            ),
            ("discrete_flow_shift",),
        ),
    )  # fmt: skip
    ANIMA = "anima", FamilyFacts(
        title="Anima",
        architectures=("anima-preview", "anima-unknown", "anima"),
        implementation="https://huggingface.co/circlestone-labs/Anima",
        base_versions=("anima",),
        hub="circlestone-labs/Anima",
        hub_tag="anima",
        civitai=("Anima",),
        marks=(
            FamilyMark(r"^(net_)?blocks_\d+_self_attn_(q|k|v|output)_proj$", (2048,)),
            FamilyMark(r"^(net_)?blocks_\d+_cross_attn_[kv]_proj$", (1024, 2048)),
            FamilyMark(r"^(net_)?blocks_\d+_mlp_layer[12]$", (2048, 8192)),
            FamilyMark(r"^(net_)?llm_adapter_"),
        ),
        never=r"joint_|double_blocks",
        drawing=Drawing(
            1024, 32, 4.0, "Unknown", "anima",
            ("the Qwen-Image VAE", "the text encoder Qwen3 0.6B"), shift=3.0,
        ),
        training=Training(
            "anima_train_network", "anima_checkbox", "networks.lora_anima",
            "anima-lora-8", 2_870_000, 16,
            (
                Companion("anima_qwen3", "qwen3", "the text encoder Qwen3 0.6B"),
                Companion("anima_vae", "vae", "the Qwen-Image VAE"),
            ),
        ),
    )  # fmt: skip
    LUMINA = "lumina", FamilyFacts(
        title="Lumina 2",
        architectures=("lumina-2", "lumina"),
        implementation="https://github.com/Alpha-VLLM/Lumina-Image-2.0",
        base_versions=("lumina2",),
        hub="Alpha-VLLM/Lumina-Image-2.0",
        hub_tag="lumina",
        civitai=("Lumina",),
        marks=(
            FamilyMark(_REFINED + r"(qkv|out)$", (2304,)),
            FamilyMark(r"^(layers|noise_refiner|context_refiner)_\d+_attn_to_[qkv]$", (2304,)),
            FamilyMark(r"^layers_\d+_adaLN_modulation_1$"),
        ),
        never=r"^layers_\d+_adaLN_modulation_0$|_attention_to_",
        drawing=Drawing(
            1024, 32, 4.0, "Unknown", "lumina", ("the VAE ae", "the text encoder Gemma 2 2B"),
            shift=6.0,
        ),
        training=Training(
            "lumina_train_network", "lumina_checkbox", "networks.lora_lumina",
            "lumina-lora-8", 3_300_000, 64,
            (
                Companion("lumina_gemma2", "gemma2", "the text encoder Gemma 2 2B"),
                Companion("lumina_ae", "ae", "the autoencoder (ae.safetensors)"),
            ),
        ),
    )  # fmt: skip
    QWEN_IMAGE = "qwen-image", FamilyFacts(
        title="Qwen-Image",
        architectures=("qwen-image", "qwen-image-edit", "qwen-image-edit-plus"),
        implementation="https://github.com/QwenLM/Qwen-Image",
        base_versions=("qwen_image", "qwen-image", "qwen_image_edit"),
        hub="Qwen/Qwen-Image",
        hub_tag="qwen-image",
        civitai=("Qwen",),
        marks=(
            FamilyMark(r"^transformer_blocks_\d+_(img|txt)_(mlp_net_\d|mod_1)"),
            FamilyMark(_JOINT, (3072,)),
        ),
        never=r"^single_transformer_blocks|^transformer_blocks_\d+_(ff|norm1)|_attn[12]_|joint_",
        drawing=Drawing(
            1328, 20, 4.0, "Unknown", "qwen",
            ("the Qwen-Image VAE", "the text encoder Qwen2.5-VL 7B"),
        ),
    )  # fmt: skip
    Z_IMAGE = "z-image", FamilyFacts(
        title="Z-Image",
        architectures=("z-image", "z-image-turbo"),
        implementation="https://github.com/Tongyi-MAI/Z-Image",
        base_versions=("z_image", "z-image", "zimage", "z_image_turbo"),
        hub="Tongyi-MAI/Z-Image-Turbo",
        hub_tag="z-image",
        civitai=("ZImageTurbo", "ZImageBase"),
        marks=(
            FamilyMark(_REFINED + r"(qkv|out|to_[qkv]|to_out_0)$", (3840,)),
            FamilyMark(r"^layers_\d+_adaLN_modulation_0$"),
        ),
        never=r"^layers_\d+_adaLN_modulation_1$|_attn_to_",
        drawing=Drawing(
            1024, 9, 1.0, "Unknown", "zit", ("the VAE ae", "the text encoder Qwen3 4B"),
            shift=9.0, has_negative=False,
        ),
    )  # fmt: skip
    FLUX2 = "flux2", FamilyFacts(
        title="Flux.2",
        architectures=("flux.2-dev", "flux.2-klein-4b", "flux.2-klein-9b", "flux-2-dev"),
        implementation="https://github.com/black-forest-labs/flux2",
        base_versions=("flux2", "flux_2_dev", "flux2_klein_4b", "flux2_klein_9b"),
        hub="black-forest-labs/FLUX.2-dev",
        hub_tag="flux2",
        civitai=("Flux.2 D", "Flux.2"),
        marks=(
            FamilyMark(_DOUBLE, (6144, 4096, 3072)),
            FamilyMark(_SINGLE, (6144, 4096, 3072)),
            FamilyMark(r"^single_blocks_\d+_linear2$", (24576, 16384, 12288)),
            FamilyMark(r"^single_transformer_blocks_\d+_attn_to_(qkv_mlp_proj|out)$"),
            FamilyMark(r"^transformer_blocks_\d+_ff_(context_)?linear_in$"),
            FamilyMark(r"^(double|single)_stream_modulation_"),
        ),
        never=r"_blocks_\d+_(img|txt)_mod_lin|^single_blocks_\d+_modulation_lin|_mlp_fc\d|_norm1?_linear$|_proj_mlp$"
        r"|^(double|single)_blocks_\d+_processor_|joint_|distilled_guidance",
        drawing=Drawing(
            1024, 4, 1.0, "Unknown", "klein", ("the Flux.2 VAE", "its text encoder"),
            has_negative=False,
        ),
    )  # fmt: skip


def family_named(text: str) -> Family | None:
    """Return the family that a header names: a ModelSpec architecture or a base model version."""
    plain = text.split("/")[0].strip().casefold().replace("_", "-").strip("-")
    if not plain:
        return None
    for one in Family:
        known = (one.value, *one.facts.architectures, *one.facts.base_versions)
        if plain in {name.casefold().replace("_", "-") for name in known}:
            return one
    starts = ((name, one) for one in Family for name in one.facts.architectures)
    found = [(len(name), one) for name, one in starts if plain.startswith(f"{name}-")]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def trained() -> tuple[Family, ...]:
    """Return the families that sd-scripts trains."""
    return tuple(one for one in Family if one.facts.training is not None)


FLAGS: Mapping[Family, str] = {
    one: one.facts.training.flag
    for one in Family
    if one.facts.training is not None and one.facts.training.flag
}
"""The Kohya GUI's checkbox of each family, in the order in which it looks at them."""


def family_of_values(values: Mapping[str, Any]) -> Family:
    """Return the family that a Kohya json trains; SD 1.5 has no checkbox."""
    for one, flag in sorted(FLAGS.items(), key=lambda pair: pair[0] is Family.SD2):
        if values.get(flag) and _has_fixed(one, values):
            return one
    return Family.SD15


def _has_fixed(family: Family, values: Mapping[str, Any]) -> bool:
    training = family.facts.training
    fixed = training.fixed if training else ()
    return all(str(values.get(key)).casefold() == str(value) for key, value in fixed)


def family_of_script(script: str, values: Mapping[str, Any]) -> Family | None:
    """Return the family that a trainer's script (without .py) trains with sd-scripts' `values`."""
    ways = [one for one in trained() if _script_of(one) == script]
    ways.sort(key=lambda one: one is Family.SD15)
    for one in ways:
        if _has_fixed(one, values) and (one is not Family.SD2 or values.get("v2")):
            return one
    return None


def _script_of(family: Family) -> str:
    return family.facts.training.script if family.facts.training else ""


def zeros_of_script(script: str) -> tuple[str, ...]:
    """Return the arguments of a script of which 0 is not the same as leaving them out."""
    rows = (one.facts.training for one in trained() if _script_of(one) == script)
    return tuple(dict.fromkeys(key for row in rows if row for key in row.zeros))
