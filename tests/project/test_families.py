"""One row per base-model family: every reader of the table is walked for every row."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from loras import save_tensors

from a1111_ext.publish.card import hub_card, user_metadata
from a1111_ext.publish.promote import header_changes
from a1111_ext.publish.site import base_model_problem, default_base_model, is_listed
from kohya_ext.dataset.staged import STAGED_NAME
from kohya_ext.project import ToolError, apply_init, plan_init
from kohya_ext.project.families import (
    Family,
    family_named,
    family_of_script,
    family_of_values,
    trained,
)
from kohya_ext.project.lora_file import read_header
from kohya_ext.project.lora_kind import read_facts
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.manifest_reader import parse_manifest, read_manifest
from kohya_ext.training.checks.base_model import check_base_model
from kohya_ext.training.checks.files import estimated_file_bytes
from kohya_ext.training.config.arguments import TrainerCall, arguments_of
from kohya_ext.training.config.gui_emulation import script_of
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of
from kohya_ext.training.config.of_project import plan_project_call
from kohya_ext.training.config.presets import require_preset

V26 = GuiVersion.V26
every_family = pytest.mark.parametrize("family", list(Family), ids=str.__str__)
every_trained = pytest.mark.parametrize("family", trained(), ids=str.__str__)

LAYERS: dict[Family, dict[str, int]] = {
    Family.SD15: {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k": 768},
    Family.SD2: {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k": 1024},
    Family.SDXL: {"lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k": 2048},
    Family.SD3: {"lora_unet_joint_blocks_0_x_block_attn_qkv": 1536},
    Family.FLUX: {
        "lora_unet_double_blocks_0_img_mod_lin": 3072,
        "lora_unet_single_blocks_0_linear2": 15360,
    },
    Family.CHROMA: {
        "lora_unet_distilled_guidance_layer_in_proj": 64,
        "lora_unet_single_blocks_0_linear2": 15360,
    },
    Family.LUMINA: {"lora_unet_layers_0_attention_qkv": 2304},
    Family.HUNYUAN_IMAGE: {"lora_unet_double_blocks_0_img_attn_qkv": 3584},
    Family.ANIMA: {"lora_unet_blocks_0_cross_attn_k_proj": 1024},
    Family.QWEN_IMAGE: {"lora_unet_transformer_blocks_0_img_mlp_net_0_proj": 3072},
    Family.Z_IMAGE: {"lora_unet_layers_0_attention_to_q": 3840},
    Family.FLUX2: {"lora_unet_single_blocks_0_linear2": 24576},
}


def lora(folder: Path, family: Family, metadata: dict[str, str] | None = None) -> Path:
    tensors = {}
    for name, width in LAYERS[family].items():
        tensors |= {f"{name}.lora_down.weight": (4, width), f"{name}.lora_up.weight": (8, 4)}
    return save_tensors(folder / f"{family.value}.safetensors", tensors, metadata or {})


def project_of(folder: Path, family: Family) -> Any:
    """A project of this family whose model and companion files are named, though not there."""
    project = apply_init(plan_init(folder, "Quillfox", SubjectKind.CREATURE))
    training = family.facts.training
    manifest = yaml.safe_load(project.manifest_path.read_text(encoding="utf-8"))
    manifest["base_model"] = {"family": family.value, "path": str(folder / "base.safetensors")}
    manifest["training"] |= {
        "kohya_version": "v26",
        "overrides": {
            one.key: str(folder / f"{one.key}.safetensors")
            for one in (training.companions if training else ())
        },
    }
    project.manifest_path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    staged = project.images_dir / "5_Quillfox"
    staged.mkdir(parents=True)
    (staged / "a.png").write_bytes(b"")
    (project.images_dir / STAGED_NAME).write_text(
        json.dumps({"5_Quillfox/a.png": "1"}), encoding="utf-8"
    )
    return project.__class__(project.root, read_manifest(project.manifest_path))


@every_family
def test_a_manifest_may_name_it(family: Family):
    text = f"trigger_word: Quillfox\nbase_model:\n  family: {family.value}\n"
    assert parse_manifest(text, Path("lora-project.yaml")).base_model.family is family


def test_editors_are_reported_of_every_family():
    schema = json.loads(
        (resources.files("kohya_ext.project") / "manifest.schema.json").read_text("utf-8")
    )
    assert schema["properties"]["base_model"]["properties"]["family"]["enum"] == list(Family)


@every_family
def test_a_lora_tells_it(tmp_path: Path, family: Family):
    facts = read_facts(read_header(lora(tmp_path, family)))
    assert facts.families == (family,)
    assert [one for one in Family if not facts.contradicts(one)] == [family]


@every_family
@pytest.mark.parametrize("suffix", ["/lora", ""])
def test_its_own_names_lead_back_to_it(family: Family, suffix: str):
    for name in (*family.facts.architectures, *family.facts.base_versions):
        assert family_named(name + suffix) is family


@every_family
def test_promotion_writes_its_architecture(tmp_path: Path, family: Family):
    manifest = parse_manifest(
        f"trigger_word: Quillfox\nbase_model:\n  family: {family.value}\n", Path("m.yaml")
    )
    changes = header_changes(lora(tmp_path, family), "Quillfox-v1", manifest)
    assert family_named(str(changes["modelspec.architecture"])) is family
    assert changes["modelspec.implementation"] == family.facts.implementation


@every_family
def test_the_site_lists_its_usual_name(family: Family):
    name = default_base_model(family)
    assert is_listed(name)
    assert base_model_problem(name, family) is None
    others = [one for one in Family if name not in one.facts.civitai and name != "Other"]
    assert all(base_model_problem(name, one) is not None for one in others)


@every_family
def test_cards_name_it(family: Family):
    manifest = parse_manifest(
        f"trigger_word: Quillfox\nbase_model:\n  family: {family.value}\n", Path("m.yaml")
    )
    material: Any = SimpleNamespace(
        manifest=manifest, promoted=SimpleNamespace(name="Quillfox-v1", path=Path("a.safetensors")),
        pictures=(), title="Quillfox", description="", content=None, weight=1.0, weights=(1.0,),
        is_simulated=False, base_model=default_base_model(family),
    )  # fmt: skip
    for name in ("epoch", "steps", "hash"):
        setattr(material.promoted, name, None)
    import a1111_ext.publish.card as card

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card, "facts", lambda material: [])
        assert f"base_model: {family.facts.hub}\n" in hub_card(material, ())
        assert f"- {family.facts.hub_tag}\n" in hub_card(material, ())
        shown = json.loads(user_metadata(material))["sd version"]
    assert shown == family.facts.drawing.version


@every_trained
def test_a_project_of_it_becomes_a_call_of_its_script(tmp_path: Path, family: Family):
    training = family.facts.training
    assert training is not None
    plan = plan_project_call(project_of(tmp_path, family))
    assert (plan.call.script, family_of_values(plan.values)) == (training.script, family)
    assert script_of(plan.values) == training.script
    assert family_of_script(plan.call.script, plan.call.toml) is family
    for one in training.companions:
        assert Path(str(plan.call.toml[one.argument])).name == f"{one.key}.safetensors"
    assert plan.call.toml["network_module"].startswith(("networks.", "lycoris"))
    assert plan.call.toml["bucket_reso_steps"] % training.bucket_step == 0
    size = max(map(int, str(plan.call.toml["resolution"]).split(",")))
    assert size == family.facts.drawing.size


@every_trained
def test_a_missing_companion_file_is_named(tmp_path: Path, family: Family):
    training = family.facts.training
    project = project_of(tmp_path, family)
    needed = [one for one in (training.companions if training else ()) if one.needed]
    for one in needed:
        without = dict(project.manifest.training.overrides)
        del without[one.key]
        from dataclasses import replace

        manifest = replace(
            project.manifest, training=replace(project.manifest.training, overrides=without)
        )
        with pytest.raises(ToolError, match=rf"{family.facts.title}.*{one.key}.*LL307"):
            plan_project_call(project.__class__(project.root, manifest))


@every_trained
def test_its_row_speaks_the_words_of_gui_and_trainer(family: Family):
    training = family.facts.training
    assert training is not None
    keys = keys_of(V26)
    assert not training.flag or training.flag in keys
    assert {one.key for one in training.companions} <= set(keys)
    known = arguments_of(training.script)
    assert {one.argument for one in training.companions} <= set(known)
    assert set(training.zeros) <= set(known)
    assert require_preset("", family).family is family


@every_family
def test_a_base_model_of_another_family_is_an_error(tmp_path: Path, family: Family):
    shapes = {
        f"model.diffusion_model.{name.removeprefix('lora_unet_')}.weight": (8, width)
        for name, width in LAYERS[family].items()
    }
    path = save_tensors(tmp_path / "base.safetensors", shapes, {})
    for other in trained():
        training = other.facts.training
        assert training is not None
        values = {
            "pretrained_model_name_or_path": str(path),
            "v2": other is Family.SD2,
            **dict(training.fixed),
        }
        found = check_base_model(TrainerCall(training.script, values, (), (), ""), values)
        wrong = [one for one in found if one.code == "LL384"]
        assert len(wrong) == (0 if other is family else 1)


@every_trained
def test_a_file_of_it_is_estimated_by_its_own_size(family: Family):
    training = family.facts.training
    assert training is not None
    values = {"network_dim": 16, "save_precision": "fp16", "v2": family is Family.SD2}
    values |= dict(training.fixed)
    assert estimated_file_bytes(training.script, values) == training.bytes_per_rank * 16


def test_families_without_a_trainer_say_so(tmp_path: Path):
    for family in sorted(set(Family) - set(trained())):
        with pytest.raises(ToolError, match=rf"does not train {family.facts.title}.*LL30"):
            plan_project_call(project_of(tmp_path / family.value, family))
