"""The base model and its companions: what they really are, before anything is loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from kohya_ext.project.lora_file import Tensor, write_lora
from kohya_ext.training.checks.base_model import check_base_model, no_model
from kohya_ext.training.checks.findings import Finding, Level
from kohya_ext.training.checks.images import check_caches
from kohya_ext.training.config.arguments import TrainerCall

HALF = Tensor("F16", (1,), b"\0\0")
SD15 = {"cond_stage_model.transformer.x": HALF, "model.diffusion_model.x": HALF}
SDXL = {"conditioner.embedders.0.x": HALF, "model.diffusion_model.x": HALF}
FLUX = {"double_blocks.0.img_attn.norm.key_norm.scale": HALF}


class Desk:
    """A folder with a base model, and the call that trains it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = root / "base.safetensors"

    def write(self, tensors: dict[str, Tensor], name: str = "base", **metadata: str) -> Path:
        path = self.root / f"{name}.safetensors"
        write_lora(path, tensors, metadata)
        return path

    def check(self, script: str = "train_network", **values: Any) -> list[Finding]:
        given = {"pretrained_model_name_or_path": str(self.base), **values}
        return list(check_base_model(TrainerCall(script, given, (), (), ""), given))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_whole_checkpoint_is_fine(desk: Desk):
    desk.write(SD15)
    assert desk.check() == []


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"lora_unet_down_blocks_0_x.lora_down.weight": HALF,
          "lora_unet_down_blocks_0_x.lora_up.weight": HALF}, "is a LoRA"),
        ({"first_stage_model.encoder.conv_in.weight": HALF}, "is a VAE"),
        ({"text_model.x": HALF}, "is a text encoder"),
        ({"cond_stage_model.transformer.x": HALF}, "contains no U-Net"),
        ({"down_blocks.0.x.weight": HALF}, "in the form of diffusers"),
        (SDXL, "is a SDXL model"),
        ({}, "contains no U-Net"),
    ],
    ids=["LoRA", "VAE", "text encoder", "no U-Net", "diffusers", "another family", "empty"],
)  # fmt: skip
def test_what_is_no_base_model_is_named(desk: Desk, tensors: dict[str, Tensor], said: str):
    desk.write(tensors)
    (one,) = desk.check()
    assert (one.code, one.level) == ("LL384", Level.ERROR)
    assert said in one.problem


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"<HTML><head>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b'{"error":"Unauthorized"}', "error message"),
        (b"", "is empty"),
    ],
    ids=["html", "HTML", "LFS", "error", "nothing"],
)
def test_what_came_instead_of_a_model_is_named(desk: Desk, begin: bytes, said: str):
    desk.base.write_bytes(begin)
    assert said in desk.check()[0].problem
    other = desk.root / "vae.safetensors"
    desk.base.rename(other)
    desk.write(SD15)
    assert said in desk.check(vae=str(other))[0].problem


def test_a_folder_cannot_be_read_as_a_model(desk: Desk):
    assert "cannot be read" in no_model(desk.root)


def test_an_inpainting_model_is_found(desk: Desk):
    first = Tensor("F16", (1, 9, 1, 1), bytes(18))
    desk.write({**SD15, "model.diffusion_model.input_blocks.0.0.weight": first})
    (one,) = desk.check()
    assert "inpainting" in one.problem
    assert desk.check(train_inpainting=True) == []


@pytest.mark.parametrize(
    ("name", "tensors", "metadata", "chosen", "level"),
    [
        ("base", {"v_pred": HALF}, {}, False, Level.ERROR),
        ("base", {}, {"modelspec.prediction_type": "v"}, False, Level.ERROR),
        ("noobai-vpred-1", {}, {}, False, Level.WARNING),
        ("base", {}, {"modelspec.prediction_type": "epsilon"}, True, Level.ERROR),
        ("base", {}, {}, True, Level.WARNING),
    ],
    ids=["its keys", "its header", "its name", "the reverse", "no sign"],
)
def test_a_wrong_prediction_is_found(desk: Desk, name, tensors, metadata, chosen, level):
    desk.base = desk.write({**SDXL, **tensors}, name, **metadata)
    (one,) = desk.check("sdxl_train_network", v_parameterization=chosen)
    assert (one.code, one.level) == ("LL359", level)
    assert "v_parameterization" in one.problem


def test_a_right_prediction_is_fine(desk: Desk):
    desk.base = desk.write({**SDXL, "v_pred": HALF}, "noob-v-pred")
    assert desk.check("sdxl_train_network", v_parameterization=True) == []


def test_zero_terminal_snr_is_named(desk: Desk):
    desk.base = desk.write({**SDXL, "v_pred": HALF, "ztsnr": HALF})
    (one,) = desk.check("sdxl_train_network", v_parameterization=True)
    assert "zero_terminal_snr" in one.cure


def test_flux_needs_its_companions(desk: Desk):
    desk.write(FLUX)
    ae = desk.write({"encoder.x": HALF}, "ae")
    found = desk.check("flux_train_network", ae=str(ae), t5xxl=str(desk.root / "t5.safetensors"))
    assert [one.code for one in found] == ["LL381", "LL381"]
    assert "clip_l is empty" in found[0].problem
    assert "t5.safetensors, which does not exist" in found[1].problem


def test_an_empty_companion_is_found(desk: Desk):
    desk.write(FLUX)
    paths = {}
    for key in ("ae", "clip_l", "t5xxl"):
        paths[key] = str(desk.write({"x": HALF}, key))
    (desk.root / "clip_l.safetensors").write_bytes(b"")
    (one,) = desk.check("flux_train_network", **paths)
    assert "clip_l.safetensors is empty" in one.problem


def test_sd3_may_hold_its_text_encoders(desk: Desk):
    inside = {f"text_encoders.{one}.x": HALF for one in ("clip_l", "clip_g", "t5xxl")}
    own = {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": HALF}
    desk.write({**own, **inside})
    assert desk.check("sd3_train_network") == []
    desk.write(own)
    assert len(desk.check("sd3_train_network")) == 3


def test_a_damaged_cache_is_found(tmp_path: Path):
    picture = tmp_path / "a_b.png"
    good, bad, other = (tmp_path / name for name in (
        "a_b.npz", "a_b_0064x0064_sd.npz", "zz_0064x0064_sd.npz"))  # fmt: skip
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("latents.npy", bytes(100))
    values = {"cache_latents_to_disk": True}
    assert list(check_caches([picture], values)) == []
    bad.write_bytes(good.read_bytes()[:60])
    other.write_bytes(b"not of this picture")
    (one,) = check_caches([picture], values)
    assert bad.name in one.problem
    damaged = bytearray(good.read_bytes())
    damaged[60] ^= 255
    bad.write_bytes(damaged)
    assert len(list(check_caches([picture], values))) == 1
    assert list(check_caches([picture], {})) == []


SD2 = {"cond_stage_model.model.x": HALF, "model.diffusion_model.x": HALF}


@pytest.mark.parametrize(("tensors", "v2", "said"), [(SD15, True, "SD 1.5"), (SD2, False, "SD 2")])
def test_v2_of_the_wrong_base_is_found(desk: Desk, tensors, v2: bool, said: str):
    """The text encoder's name tells, also where a shrunken model's sizes tell nothing."""
    narrow = Tensor("F16", (8, 64), bytes(1024))
    name = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    desk.write({**tensors, name: narrow})
    (one,) = desk.check(v2=v2)
    assert (one.code, one.level) == ("LL384", Level.ERROR)
    assert f"is a {said} model, but v2 is {v2}" in one.problem


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("v2-1_768-ema-pruned", False, "predicts v by its name"),
        ("768-v-ema", False, "predicts v by its name"),
        ("512-base-ema", True, "predicts noise by its name"),
        ("v2-1_512-ema-pruned", True, "predicts noise by its name"),
        ("v2-1_768-ema-pruned", True, ""),
        ("v2-1_512-ema-pruned", False, ""),
        ("fox2_768", False, ""),
    ],
)
def test_what_an_sd2_predicts_stands_in_its_name(desk: Desk, name: str, given: bool, said: str):
    desk.base = desk.write(SD2, name)
    found = desk.check(v2=True, v_parameterization=given)
    assert [one.level for one in found] == [Level.WARNING] * bool(said)
    assert all(said in one.problem for one in found)


def test_an_sd2_that_says_768_v_predicts_v(desk: Desk):
    desk.write(SD2, **{"modelspec.architecture": "stable-diffusion-v2-768-v"})
    (one,) = desk.check(v2=True)
    assert (one.code, one.level) == ("LL359", Level.ERROR)
    assert desk.check(v2=True, v_parameterization=True) == []
