"""What the tests of the checks share: a folder that would train."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_desk import HALF, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.model.mkdir()
    for name in ("5_fox/a.png", "5_fox/b.png", "2_fox/c.png"):
        desk.picture(name)
    base = desk.weights(
        "base.safetensors",
        {"cond_stage_model.transformer.x": HALF, "model.diffusion_model.x": HALF},
    )
    desk.toml = {
        "pretrained_model_name_or_path": str(base),
        "train_data_dir": str(desk.images),
        "output_dir": str(desk.model),
        "output_name": "fox",
        "resolution": "64,64",
        "enable_bucket": True,
        "min_bucket_reso": 64,
        "max_bucket_reso": 128,
        "train_batch_size": 2,
        "max_train_epochs": 3,
        "save_every_n_epochs": 1,
        "caption_extension": ".txt",
        "network_module": "networks.lora",
        "learning_rate": 1e-4,
        "network_dim": 4,
    }
    return desk
