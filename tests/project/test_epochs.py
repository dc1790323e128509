"""Epoch files are known by their headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loras import save_tensors

from kohya_ext.cli import main
from kohya_ext.project import ToolError
from kohya_ext.project.epochs import (
    find_epoch_files,
    find_runs,
    read_epoch_file,
    require_family,
    require_run,
)
from kohya_ext.project.families import Family
from kohya_ext.project.lora_file import Tensor, write_lora


def save(
    folder: Path,
    name: str,
    epoch: int | None,
    step: int | None,
    *,
    session: str = "1",
    finished: float = 0.0,
) -> None:
    metadata = {"ss_session_id": session, "ss_output_name": "fox"}
    metadata |= {"ss_training_finished_at": str(finished)}
    metadata |= {} if epoch is None else {"ss_epoch": str(epoch)}
    metadata |= {} if step is None else {"ss_steps": str(step)}
    write_lora(folder / f"{name}.safetensors", {"a": Tensor("U8", (1,), b"1")}, metadata)


def names(folder: Path) -> list[list[str]]:
    return [[one.name for one in run.files] for run in find_runs(folder)]


def test_the_last_epoch_file_has_no_number(tmp_path: Path):
    save(tmp_path, "fox", 6, 60)
    save(tmp_path, "fox-000002", 2, 20)
    save(tmp_path, "fox-000004", 4, 40)
    assert names(tmp_path) == [["fox-000002", "fox-000004", "fox"]]
    run = find_runs(tmp_path)[0]
    assert run.final is not None
    assert (run.final.epoch, run.final.step, run.final.number) == (6, 60, None)
    assert run.files[0].number == 2


def test_renamed_files_keep_their_place(tmp_path: Path):
    save(tmp_path, "z winner", 2, 20)
    save(tmp_path, "a", 4, 40)
    assert names(tmp_path) == [["z winner", "a"]]


def test_two_sessions_are_two_runs(tmp_path: Path):
    save(tmp_path, "fox-000001", 1, 10, session="new", finished=5)
    save(tmp_path, "fox-000002", 2, 20, session="old", finished=1)
    assert names(tmp_path) == [["fox-000002"], ["fox-000001"]]
    assert require_run(tmp_path).session_id == "new"


def test_a_step_save_counts_epochs_from_zero(tmp_path: Path):
    save(tmp_path, "fox-step00000005", 0, 5)
    save(tmp_path, "fox-000001", 1, 10)
    save(tmp_path, "fox-step00000015", 1, 15)
    save(tmp_path, "fox", 2, 20)
    assert names(tmp_path) == [["fox-step00000005", "fox-000001", "fox-step00000015", "fox"]]
    assert [one.name for one in find_runs(tmp_path)[0].epochs] == ["fox-000001", "fox"]
    assert read_epoch_file(tmp_path / "fox-step00000005.safetensors").epoch == 1


def test_files_without_metadata_go_by_name(tmp_path: Path):
    for name in ("wolf-000002", "wolf", "wolf-000001"):
        write_lora(tmp_path / f"{name}.safetensors", {}, {})
    assert names(tmp_path) == [["wolf-000001", "wolf-000002", "wolf"]]
    assert find_runs(tmp_path)[0].output_name == "wolf"


def test_nonsense_numbers_count_as_absent(tmp_path: Path):
    metadata = {"ss_epoch": "None", "ss_steps": "x", "ss_training_finished_at": "?"}
    write_lora(tmp_path / "x.safetensors", {}, metadata)
    one = read_epoch_file(tmp_path / "x.safetensors")
    assert (one.epoch, one.step, one.finished_at) == (None, None, 0.0)


def test_damaged_files_are_reported_beside(tmp_path: Path):
    save(tmp_path, "fox-000001", 1, 10)
    (tmp_path / "fox.safetensors").write_bytes(b"half")
    findings = find_epoch_files(tmp_path)
    assert [run.files[0].name for run in findings.runs] == ["fox-000001"]
    assert [(bad.path.name, bad.error.code) for bad in findings.unreadable] == [
        ("fox.safetensors", "LL130")
    ]


def test_an_empty_folder_has_no_run(tmp_path: Path):
    with pytest.raises(ToolError, match=r"contains no readable LoRA file\. .*LL133"):
        require_run(tmp_path)


def test_only_damaged_files_say_so(tmp_path: Path):
    (tmp_path / "fox.safetensors").write_bytes(b"half")
    with pytest.raises(ToolError, match=r"not a safetensors file.*LL133"):
        require_run(tmp_path)


def save_session(
    folder: Path, epochs: tuple[int, ...], done: int, *, session: str, of: int = 6
) -> None:
    """Save epochs of 8 steps as a session that was resumed after `done` epochs."""
    for epoch in epochs:
        write_lora(
            folder / ("fox.safetensors" if epoch == of else f"fox-{epoch:06d}.safetensors"),
            {"a": Tensor("U8", (1,), b"1")},
            {
                "ss_session_id": session,
                "ss_output_name": "fox",
                "ss_epoch": str(epoch),
                "ss_steps": str((epoch - done) * 8),
                "ss_num_batches_per_epoch": "15",
                "ss_gradient_accumulation_steps": "2",
                "ss_max_train_steps": str(of * 8),
                "ss_training_finished_at": str(float(epoch)),
            },
        )


def test_a_resumed_session_belongs_to_its_run(tmp_path: Path):
    save_session(tmp_path, (1, 2), 0, session="first")
    save_session(tmp_path, (3, 4), 2, session="second")
    save_session(tmp_path, (5, 6), 4, session="third")
    (run,) = find_runs(tmp_path)
    assert run.session_id == "third"
    assert [one.epoch for one in run.epochs] == [1, 2, 3, 4, 5, 6]


def test_steps_continue_counting_over_a_resume(tmp_path: Path):
    save_session(tmp_path, (1, 2), 0, session="first")
    save_session(tmp_path, (3, 6), 2, session="second")
    (run,) = find_runs(tmp_path)
    assert [one.step for one in run.epochs] == [8, 16, 24, 48]
    assert [one.is_resumed for one in run.epochs] == [False, False, True, True]


def test_a_training_begun_again_is_a_run_of_its_own(tmp_path: Path):
    save_session(tmp_path, (1, 2), 0, session="first", of=2)
    save_session(tmp_path, (3,), 0, session="another", of=9)
    assert [len(run.files) for run in find_runs(tmp_path)] == [2, 1]


def test_a_last_epoch_cut_by_max_train_steps_is_not_resumed(tmp_path: Path):
    write_lora(
        tmp_path / "fox.safetensors",
        {"a": Tensor("U8", (1,), b"1")},
        {
            "ss_epoch": "3",
            "ss_steps": "20",
            "ss_num_batches_per_epoch": "8",
            "ss_max_train_steps": "20",
        },
    )
    one = read_epoch_file(tmp_path / "fox.safetensors")
    assert (one.step, one.is_resumed) == (20, False)


def test_before_the_first_training_the_next_step_is_named(tmp_path: Path):
    with pytest.raises(ToolError, match=r"no epoch files yet.*Train first"):
        require_run(tmp_path / "model")


LORA = {
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768)
}


def test_ai_toolkit_counts_steps_in_names(tmp_path: Path):
    saves = [("fox_000000500", 500, 6), ("fox_000000250", 250, 3), ("fox", 750, 9)]
    for name, step, epoch in saves:
        info = {"training_info": json.dumps({"step": step, "epoch": epoch}), "name": "fox"}
        save_tensors(tmp_path / f"{name}.safetensors", LORA, info)
    run = find_runs(tmp_path)[0]
    assert [(one.step, one.epoch, one.is_final) for one in run.epochs] == [
        (250, 3, False), (500, 6, False), (750, 9, True),
    ]  # fmt: skip
    assert run.output_name == "fox"


def test_ai_toolkit_names_count_without_their_header(tmp_path: Path):
    software = {"software": '{"name": "ai-toolkit"}'}
    path = save_tensors(tmp_path / "fox_LoRA_000000250.safetensors", LORA, software)
    one = read_epoch_file(path)
    assert (one.output_name, one.step, one.epoch, one.is_final) == ("fox", 250, None, False)


def test_nine_digits_are_no_steps_of_another_trainer(tmp_path: Path):
    one = read_epoch_file(save_tensors(tmp_path / "fox_000000250.safetensors", LORA, {}))
    assert (one.step, one.is_final) == (None, True)


def test_onetrainer_counts_in_names_and_ends_with_any(tmp_path: Path):
    own = {"ot_branch": "master"}
    for name in (
        "fox-2026-08-01_10-30-00-save-200-4-0", "fox-2026-08-01_10-20-00-save-75-1-25",
        "fox-2026-08-01_10-25-00-save-100-2-0", "aaa final",
    ):  # fmt: skip
        save_tensors(tmp_path / f"{name}.safetensors", LORA, own)
    (run,) = find_runs(tmp_path)
    assert run.output_name == "aaa final"
    assert [(one.step, one.epoch, one.is_step_save) for one in run.files] == [
        (75, 2, True), (100, 2, False), (200, 4, False), (None, None, False),
    ]  # fmt: skip
    assert run.files[-1].is_final
    assert len(run.epochs) == 3


def test_the_final_file_stands_last_whatever_its_header_says(tmp_path: Path):
    save(tmp_path, "fox", 2, 20)
    save(tmp_path, "fox-000004", 4, 40)
    assert names(tmp_path) == [["fox-000004", "fox"]]


def test_a_run_that_saved_by_steps_alone_has_epochs_to_compare(tmp_path: Path):
    save(tmp_path, "fox-step00000005", 0, 5)
    save(tmp_path, "fox", 1, 10)
    assert [one.name for one in find_runs(tmp_path)[0].epochs] == ["fox-step00000005", "fox"]


def test_a_file_that_is_no_lora_is_refused(tmp_path: Path):
    path = save_tensors(tmp_path / "base.safetensors", {"conditioner.embedders.0.a": (1,)}, {})
    with pytest.raises(ToolError, match=r"base.safetensors is not a LoRA: .* SDXL model.*LL134"):
        read_epoch_file(path)
    assert [one.path for one in find_epoch_files(tmp_path).unreadable] == [path]


def test_a_lora_of_another_family_is_an_error(tmp_path: Path):
    path = save_tensors(
        tmp_path / "fox.safetensors",
        {"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 1536)},
        {},
    )
    files = [read_epoch_file(path)]
    require_family(files, Family.SD3)
    with pytest.raises(ToolError, match=r"is a LoRA for SD 3, but the project is for SDXL.*LL135"):
        require_family(files, Family.SDXL)


def test_copies_of_an_epoch_file_are_no_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A cloud drive's "fox-000002 (1)" was listed, and drawn in grids, as one more last epoch."""
    save(tmp_path, "fox-000002", 2, 20)
    save(tmp_path, "fox", 4, 40)
    for name, copy in (("fox-000002", "fox-000002 (1)"), ("fox", "best"), ("fox", "fox-DESKTOP")):
        (tmp_path / f"{copy}.safetensors").write_bytes(
            (tmp_path / f"{name}.safetensors").read_bytes()
        )
    assert names(tmp_path) == [["fox-000002", "fox"]]
    assert main(["epochs", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    for copy in (
        "fox-000002 (1).safetensors is a copy of fox-000002",
        "best.safetensors is a copy",
    ):
        assert f"left out: {copy}" in said
