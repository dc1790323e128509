"""Files that a run reads and writes: weights, states, the base model, room on the disk."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from training_desk import HALF, Desk, codes

from kohya_ext.project.lora_file import write_lora

ON_WINDOWS = pytest.mark.skipif(sys.platform != "win32", reason="names that Windows refuses")


def test_another_rank_than_the_network_weights(desk: Desk):
    weights = desk.weights("old.safetensors", {"x": HALF}, ss_network_dim="16")
    desk.toml["network_weights"] = str(weights)
    assert codes(desk.check()) == ["LL379"]
    desk.toml["dim_from_weights"] = True
    assert codes(desk.check()) == []


def make_state(folder: Path, epoch: int) -> Path:
    import json
    import zipfile

    folder.mkdir(parents=True)
    for part in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        with zipfile.ZipFile(folder / part, "w") as archive:
            archive.writestr("x", "x")
    write_lora(folder / "model.safetensors", {"x": HALF}, {})
    facts = {"current_epoch": epoch, "current_step": 1}
    (folder / "train_state.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_a_state_cut_short_is_named(desk: Desk):
    state = make_state(desk.model / "fox-000001-state", 1)
    (state / "optimizer.bin").write_bytes(b"PK half")
    desk.toml["resume"] = str(state)
    (error,) = desk.check().errors
    assert (error.code, "optimizer.bin is incomplete" in error.problem) == ("LL382", True)


def test_a_state_at_the_end_cannot_be_resumed(desk: Desk):
    desk.toml["resume"] = str(make_state(desk.model / "fox-000003-state", 3))
    assert codes(desk.check()) == ["LL383"]


@pytest.mark.parametrize(
    ("tensor", "family"),
    [
        ("conditioner.embedders.0.x", "SDXL"),
        ("double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
        ("model.diffusion_model.x_embedder.proj.weight", "SD 3"),
        ("cond_stage_model.model.x", "SD 2"),
    ],
)
def test_another_family_than_the_script(desk: Desk, tensor: str, family: str):
    desk.weights("base.safetensors", {tensor: HALF})
    (error,) = desk.check().errors
    assert (error.code, family in error.problem) == ("LL384", True)


def test_a_damaged_base_model_is_found(desk: Desk):
    (desk.root / "base.safetensors").write_bytes(b"12345678 no header")
    assert codes(desk.check())[0].startswith("LL13")


@pytest.mark.parametrize(
    "name",
    [
        "sets/fox",
        pytest.param("con", marks=ON_WINDOWS),
        pytest.param("fox: v1", marks=ON_WINDOWS),
        pytest.param("lora\\fox", marks=ON_WINDOWS),
    ],
)
def test_an_output_name_that_no_file_can_have_is_refused(desk: Desk, name: str):
    desk.toml["output_name"] = name
    assert "LL331" in codes(desk.check())


def test_earlier_files_are_not_overwritten(desk: Desk):
    (desk.model / "fox-000002.safetensors").write_bytes(b"precious")
    assert codes(desk.check()) == ["LL385"]
    desk.resuming = True
    assert codes(desk.check()) == []


@pytest.mark.parametrize(("epoch", "offered"), [(2, True), (3, False)])
def test_resuming_is_offered_where_epochs_are_left(desk: Desk, epoch: int, offered: bool):
    (desk.model / "fox-000002.safetensors").write_bytes(b"precious")
    make_state(desk.model / f"fox-00000{epoch}-state", epoch)
    (error,) = desk.check().errors
    assert ("--resume" in error.cure) is offered


def test_a_full_disk_is_foreseen(desk: Desk):
    desk.free = 1 << 20
    (error,) = desk.check().errors
    assert error.code == "LL386"
    assert "3 epoch files" in error.problem


def test_a_drive_that_is_not_there_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def refuse(folder: Path) -> None:
        raise FileNotFoundError(folder)

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    desk.free = None
    (error,) = desk.check().errors
    assert error.code == "LL103"
    assert error.problem == f"The drive of {desk.model} does not exist."
    assert error.cure == "Connect it, or correct output_dir."


def test_states_need_room_too(desk: Desk):
    desk.toml |= {"save_state": True, "network_dim": 32, "max_train_epochs": 9}
    desk.free = 2 << 30
    assert codes(desk.check()) == ["LL386"]
    desk.toml["save_last_n_epochs_state"] = 1
    assert codes(desk.check()) == []


def test_the_size_of_an_epoch_file_is_expected(desk: Desk):
    """A real rank 4 of SD 1.5 has 4,832,272 bytes in fp16."""
    desk.toml["save_precision"] = "fp16"
    assert abs(desk.check().file_bytes / 4_832_272 - 1) < 0.01
    del desk.toml["save_precision"]
    assert abs(desk.check().file_bytes / 9_550_000 - 1) < 0.02
