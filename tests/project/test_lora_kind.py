"""Kind, family and trainer of a file, by names and sizes as each trainer writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from loras import save_tensors

from kohya_ext.project.families import Family
from kohya_ext.project.lora_file import read_header
from kohya_ext.project.lora_kind import LoraFacts, LoraKind, Naming, read_facts

UNET = "down_blocks_0_attentions_0_transformer_blocks_0"


def facts_of(
    folder: Path, shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None
) -> LoraFacts:
    return read_facts(read_header(save_tensors(folder / "a.safetensors", shapes, metadata or {})))


def pair(name: str, width: int, down: str = "lora_down", up: str = "lora_up") -> dict[str, tuple]:
    return {f"{name}.{down}.weight": (4, width), f"{name}.{up}.weight": (8, 4)}


def ab(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return pair(name, width, "lora_A", "lora_B")


KINDS: dict[str, tuple[LoraKind, dict[str, tuple[int, ...]]]] = {
    "linear": (LoraKind.LORA, pair(f"lora_unet_{UNET}_attn2_to_k", 768)),
    "1x1 as linear": (
        LoraKind.LORA,
        {
            "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 320, 1, 1),
            "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (320, 4, 1, 1),
        },
    ),
    "convolutions": (
        LoraKind.LOCON,
        {"lora_unet_mid_block_resnets_0_conv1.lora_down.weight": (4, 320, 3, 3)},
    ),
    "magnitudes": (
        LoraKind.DORA,
        pair(f"lora_unet_{UNET}_attn2_to_k", 768)
        | {f"lora_unet_{UNET}_attn2_to_k.dora_scale": (1, 768)},
    ),
    "peft's magnitudes": (
        LoraKind.DORA,
        ab("transformer.single_transformer_blocks.0.attn.to_q", 3072)
        | {"transformer.single_transformer_blocks.0.attn.to_q.lora_magnitude_vector": (8,)},
    ),
    "hadamard": (
        LoraKind.LOHA,
        {
            f"lora_unet_{UNET}_attn2_to_k.hada_w{one}": (4, 768)
            for one in ("1_a", "1_b", "2_a", "2_b")
        },
    ),
    "kronecker": (
        LoraKind.LOKR,
        {
            "diffusion_model.blocks.0.self_attn.q_proj.lokr_w1": (8, 8),
            "diffusion_model.blocks.0.self_attn.q_proj.lokr_w2": (8, 256),
        },
    ),
    "rotations": (LoraKind.OFT, {f"oft_unet_{UNET}_attn1_to_q.oft_blocks": (4, 8, 8)}),
    "peft's rotations": (
        LoraKind.OFT, {"unet.mid_block.attentions.0.to_q.oft_R.weight": (4, 28)}
    ),
    "butterflies": (LoraKind.BOFT, {f"lora_unet_{UNET}_attn1_to_q.oft_blocks": (2, 4, 8, 8)}),
    "glora": (
        LoraKind.GLORA,
        {f"lora_unet_{UNET}_attn2_to_k.{one}.weight": (4, 8) for one in ("a1", "a2", "b1", "b2")},
    ),
    "ia3": (
        LoraKind.IA3,
        {
            f"lora_unet_{UNET}_attn2_to_k.weight": (8,),
            f"lora_unet_{UNET}_attn2_to_k.on_input": (),
        },
    ),
    "differences": (LoraKind.FULL, {f"lora_unet_{UNET}_attn2_to_k.diff": (8, 768)}),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_is_reported_by_tensor_names(tmp_path: Path, name: str):
    kind, shapes = KINDS[name]
    facts = facts_of(tmp_path, shapes)
    assert (facts.kind, facts.what) == (kind, "")


FAMILIES: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "sd15 by sd-scripts": ("sd15", pair(f"lora_unet_{UNET}_attn2_to_k", 768)),
    "sd15 by diffusers": (
        "sd15", ab("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", 768)
    ),
    "sd15 by old diffusers": (
        "sd15",
        {
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora."
            "down.weight": (4, 768)
        },
    ),
    "sd15 or sd2, self-attention alone": (
        "sd15 sd2", pair(f"lora_unet_{UNET}_attn1_to_k", 320)
    ),
    "sd2": ("sd2", pair(f"lora_unet_{UNET}_attn2_to_k", 1024)),
    "sdxl by sd-scripts": (
        "sdxl", pair("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_k", 640)
    ),
    "sdxl, text encoders alone": (
        "sdxl",
        pair("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768)
        | pair("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", 1280),
    ),
    "sdxl by diffusers, self-attention alone": (
        "sdxl", ab("unet.up_blocks.0.attentions.0.transformer_blocks.3.attn1.to_k", 1280)
    ),
    "sdxl by OneTrainer": (
        "sdxl", pair("unet.output_blocks.5.1.transformer_blocks.1.attn2.to_k", 2048)
    ),
    "sd3 by sd-scripts, with text encoders": (
        "sd3",
        pair("lora_unet_joint_blocks_0_context_block_attn_qkv", 2432)
        | pair("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", 1280),
    ),
    "sd3 by diffusers": ("sd3", ab("transformer.transformer_blocks.3.attn.add_q_proj", 1536)),
    "flux by sd-scripts": ("flux", pair("lora_unet_double_blocks_0_img_mod_lin", 3072)),
    "flux by ai-toolkit": (
        "flux", ab("transformer.single_transformer_blocks.37.norm.linear", 3072)
    ),
    "flux by OneTrainer": (
        "flux", pair("lora_transformer_single_transformer_blocks_0_norm_linear", 3072)
    ),
    "flux by PEFT": (
        "flux chroma", ab("base_model.model.single_transformer_blocks.0.proj_mlp", 3072)
    ),
    "flux of another maker": (
        "flux chroma", {"double_blocks.0.processor.qkv_lora1.down.weight": (4, 3072)}
    ),
    "chroma": (
        "chroma",
        ab("diffusion_model.distilled_guidance_layer.layers.0.in_layer", 5120)
        | ab("diffusion_model.single_blocks.0.linear1", 3072),
    ),
    "lumina by sd-scripts": ("lumina", pair("lora_unet_layers_0_attention_qkv", 2304)),
    "lumina by diffusers": ("lumina", ab("transformer.layers.0.attn.to_q", 2304)),
    "z-image by musubi-tuner": ("z-image", pair("lora_unet_layers_0_attention_to_q", 3840)),
    "z-image by ai-toolkit": (
        "z-image", ab("diffusion_model.layers.0.adaLN_modulation.0", 256)
    ),
    "hunyuan-image by sd-scripts": (
        "hunyuan-image", pair("lora_unet_double_blocks_0_img_mod_linear", 3584)
    ),
    "hunyuan-image for comfy": (
        "hunyuan-image", pair("lora_unet_double_blocks_19_img_attn_qkv", 3584)
    ),
    "anima by sd-scripts": ("anima", pair("lora_unet_blocks_0_self_attn_q_proj", 2048)),
    "anima for comfy": ("anima", ab("diffusion_model.blocks.0.cross_attn.k_proj", 1024)),
    "anima as LoKr": (
        "anima",
        {
            "lora_unet_llm_adapter_blocks_0_self_attn_q_proj.lokr_w1": (8, 8),
            "lora_unet_blocks_0_self_attn_q_proj.lokr_w1": (8, 16),
            "lora_unet_blocks_0_self_attn_q_proj.lokr_w2": (8, 128),
        },
    ),
    "qwen-image by musubi-tuner": (
        "qwen-image", pair("lora_unet_transformer_blocks_59_img_mlp_net_0_proj", 3072)
    ),
    "qwen-image by diffusers": (
        "qwen-image", ab("transformer.transformer_blocks.40.attn.add_q_proj", 3072)
    ),
    "flux2 by diffusers": (
        "flux2", ab("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 6144)
    ),
    "a shrunk model, of which names tell enough": (
        "sdxl", pair("lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k", 32)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_the_family_is_reported_by_names_and_sizes(tmp_path: Path, name: str):
    expected, shapes = FAMILIES[name]
    assert " ".join(facts_of(tmp_path, shapes).families) == expected


@pytest.mark.parametrize(
    ("title", "shapes"),
    [
        ("Wan", ab("diffusion_model.blocks.0.self_attn.q", 5120)),
        ("Wan", ab("transformer.blocks.0.attn1.to_q", 5120)),
        ("HunyuanVideo", pair("lora_unet_double_blocks_0_img_mlp_fc1", 3072)),
        ("HiDream", ab("transformer.double_stream_blocks.0.block.attn1.to_q", 2560)),
        ("AuraFlow", ab("transformer.joint_transformer_blocks.0.attn.to_q", 3072)),
        ("Krea 2", pair("lora_unet_blocks_0_attn_gate", 6144)),
    ],
)
def test_a_model_without_a_row_is_named(
    tmp_path: Path, title: str, shapes: dict[str, tuple[int, ...]]
):
    facts = facts_of(tmp_path, shapes)
    assert (facts.families, facts.family_title) == ((), title)
    assert all(facts.contradicts(one) for one in Family)


def test_a_header_chooses_among_families_of_the_same_layers(tmp_path: Path):
    shapes = pair("lora_unet_single_blocks_0_linear1", 3072)
    said = {"modelspec.architecture": "chroma/lora"}
    assert facts_of(tmp_path, shapes, said).families == (Family.CHROMA,)
    assert facts_of(tmp_path, shapes).families[:1] == (Family.FLUX,)


def test_layers_have_the_word_over_a_header(tmp_path: Path):
    said = {"ss_base_model_version": "sdxl_base_v1-0"}
    facts = facts_of(tmp_path, pair("lora_unet_joint_blocks_0_x_block_attn_qkv", 1536), said)
    assert facts.families == (Family.SD3,)


@pytest.mark.parametrize(
    ("trainer", "metadata"),
    [
        ("sd-scripts", {"ss_network_module": "networks.lora", "ss_base_model_version": "sd_v1"}),
        ("sd-scripts", {"ss_network_module": "lycoris.kohya"}),
        ("musubi-tuner", {"ss_network_module": "networks.lora_qwen_image"}),
        (
            "musubi-tuner",
            {"ss_network_module": "networks.lora", "ss_base_model_version": "hunyuan_video"},
        ),
        ("ai-toolkit", {"software": '{"name": "ai-toolkit"}', "ss_output_name": "fox"}),
        ("ai-toolkit", {"training_info": '{"step": 250, "epoch": 3}'}),
        ("OneTrainer", {"ot_branch": "master", "ss_base_model_version": "sdxl_"}),
        ("diffusers", {"lora_adapter_metadata": "{}"}),
        ("", {"format": "pt"}),
        ("", {"software": "[" * 100_000}),
    ],
)
def test_the_trainer_is_reported_by_the_header(
    tmp_path: Path, trainer: str, metadata: dict[str, str]
):
    shapes = pair(f"lora_unet_{UNET}_attn2_to_k", 768)
    assert facts_of(tmp_path, shapes, metadata).trainer == trainer


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("a whole SDXL model", ["conditioner.embedders.0.transformer.x", "first_stage_model.a"]),
        ("a whole Flux model", ["double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight"]),
        ("a VAE", ["decoder.conv_in.weight", "encoder.conv_in.weight"]),
        ("a text encoder", ["text_model.encoder.layers.0.mlp.fc1.weight"]),
        ("a ControlNet", ["control_model.time_embed.0.weight"]),
        ("a textual inversion", ["emb_params"]),
        ("a file with other tensors", ["landmarks.0.weight"]),
    ],
)
def test_what_is_no_lora_is_named(tmp_path: Path, what: str, names: list[str]):
    facts = facts_of(tmp_path, dict.fromkeys(names, (4,)))
    assert (facts.kind, facts.what) == (None, what)


def test_the_naming_tells_whose_it_is(tmp_path: Path):
    shown = {
        Naming.KOHYA: pair("lora_unet_double_blocks_0_img_attn_qkv", 3072),
        Naming.DIFFUSERS: ab("transformer.single_transformer_blocks.0.proj_mlp", 3072),
        Naming.COMFY: ab("diffusion_model.double_blocks.0.img_attn.qkv", 3072),
    }
    assert [facts_of(tmp_path, shapes).naming for shapes in shown.values()] == list(shown)
