"""Epoch files are known by their headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.project import ToolError
from kohya_ext.project.epochs import find_epoch_files, find_runs, read_epoch_file, require_run
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
    with pytest.raises(ToolError, match=r"holds no readable LoRA file\. .*LL133"):
        require_run(tmp_path)


def test_only_damaged_files_say_so(tmp_path: Path):
    (tmp_path / "fox.safetensors").write_bytes(b"half")
    with pytest.raises(ToolError, match=r"no safetensors file.*LL133"):
        require_run(tmp_path)
