"""The question to a real sd-scripts: every script that it has is walked to its first step.

LORALOOM_SD_SCRIPTS names the checkout, LORALOOM_SD_PYTHON its Python. No model is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_trainer import python_of

from kohya_ext.project.families import trained
from kohya_ext.training.checks.ask_trainer import TrainerAnswer, ask_trainer
from kohya_ext.training.checks.findings import Level
from kohya_ext.training.config.arguments import TrainerCall
from kohya_ext.training.trainer import Trainer, trainer_at

from .conftest import named

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

CACHED = {
    "cache_text_encoder_outputs": True,
    "cache_text_encoder_outputs_to_disk": True,
    "network_train_unet_only": True,
}
ROWS = [one.facts.training for one in trained() if one.facts.training]
SCRIPTS = {one.script: one for one in ROWS}


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    scripts = Path(named("LORALOOM_SD_SCRIPTS"))
    return trainer_at(scripts, python_of(scripts))


class Desk:
    """Three pictures, and a call for any script."""

    def __init__(self, root: Path, trainer: Trainer) -> None:
        self.root, self.trainer = root, trainer
        folder = root / "images" / "5_fox"
        folder.mkdir(parents=True)
        for name, size in (("a", (128, 128)), ("b", (128, 192)), ("c", (192, 128))):
            Image.new("RGB", size).save(folder / f"{name}.png")
            (folder / f"{name}.txt").write_text("a fox", encoding="utf-8")

    def ask(self, script: str, **changes: Any) -> TrainerAnswer:
        if not (self.trainer.folder / f"{script}.py").is_file():
            pytest.skip(f"this sd-scripts has no {script}")
        row = SCRIPTS[script]
        toml = {
            "train_data_dir": str(self.root / "images"), "output_dir": str(self.root / "model"),
            "output_name": "fox", "resolution": "128,128", "enable_bucket": True,
            "bucket_reso_steps": 64, "min_bucket_reso": 64, "max_bucket_reso": 256,
            "caption_extension": ".txt", "train_batch_size": 2, "max_train_epochs": 2,
            "learning_rate": 1e-4, "optimizer_type": "AdamW", "lr_scheduler": "cosine",
            "network_module": row.module, "network_dim": 4, "mixed_precision": "bf16",
            "cache_latents": True, "cache_latents_to_disk": True, "gradient_checkpointing": True,
            "pretrained_model_name_or_path": "none.safetensors", **dict(row.fixed),
            **(CACHED if script != "train_network" else {}), **changes,
        }  # fmt: skip
        return ask_trainer(TrainerCall(script, toml, (), (), ""), self.trainer)


@pytest.fixture
def desk(tmp_path: Path, trainer: Trainer) -> Desk:
    return Desk(tmp_path, trainer)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_good_config_reaches_the_first_step(desk: Desk, script: str):
    before = sorted(desk.root.rglob("*"))
    answer = desk.ask(script)
    assert answer.findings == ()
    assert answer.figures is not None
    assert (answer.figures.epochs, answer.figures.batches_per_epoch) == (2, 8)
    assert sorted(desk.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("script", "changes", "said"),
    [
        ("train_network", {"optimizer_args": ["weight_decays=0.1"]}, "weight_decays"),
        ("train_network", {"optimizer_type": "Adafactor", "optimizer_args": ["betas=0.9,0.99"]},
         "betas"),
        ("train_network", {"lr_scheduler": "adafactor"}, "Adafactor optimizer"),
        ("train_network", {"lr_scheduler": "constant", "lr_warmup_steps": 5}, "num_warmup_steps"),
        ("train_network", {"full_bf16": True, "mixed_precision": "fp16"}, "full_bf16"),
        ("train_network", {"network_args": ["conv_dims=4"]}, "conv_dims"),
        ("train_network", {"color_aug": True}, "color_aug"),
        ("train_network", {"adaptive_noise_scale": 0.1}, "adaptive_noise_scale"),
        ("sdxl_train_network", {"bucket_reso_steps": 16}, "bucket_reso_steps"),
        ("sdxl_train_network", {"v2": True}, "v2"),
        ("sdxl_train_network", {"network_train_unet_only": False}, "cannot be trained"),
        ("flux_train_network", {"blocks_to_swap": 60}, "Cannot swap"),
        ("flux_train_network", {"shuffle_caption": True}, "shuffle_caption"),
        ("anima_train_network", {"bucket_reso_steps": 8}, "bucket_reso_steps"),
    ],
)  # fmt: skip
def test_what_it_refuses_is_found(desk: Desk, script: str, changes: dict[str, Any], said: str):
    found = desk.ask(script, **changes).findings
    (refused,) = (one.problem for one in found if one.level is Level.ERROR)  # beside its warnings
    assert said in refused


def test_a_damaged_cache_is_found(desk: Desk):
    for name in ("a.npz", "a_0128x0128_sd.npz"):
        (desk.root / "images" / "5_fox" / name).write_bytes(b"PK\x03\x04 cut short")
    found = desk.ask("train_network").findings
    assert "BadZipFile" in found[0].problem
