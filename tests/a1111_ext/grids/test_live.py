"""A grid that grows: complete files only, one GPU for two refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.grids.live import (
    EpochWatch,
    count_gpus,
    is_this_machine,
    is_training_over,
    require_spare_gpu,
)
from kohya_ext.project import Project, ToolError
from kohya_ext.project.epochs import require_run


def test_a_file_counts_when_it_rests(tmp_path: Path):
    watch = EpochWatch(tmp_path / "model")
    assert watch.look() is None
    save_lora(tmp_path / "model", "fox-000001", epoch=1)
    assert watch.look() is None
    run = watch.look()
    assert run is not None
    assert [one.name for one in run.files] == ["fox-000001"]


def test_a_half_written_file_does_not_count(tmp_path: Path):
    whole = save_lora(tmp_path / "done", "fox-000002", epoch=2).read_bytes()
    save_lora(tmp_path / "model", "fox-000001", epoch=1)
    path = tmp_path / "model" / "fox-000002.safetensors"
    path.write_bytes(whole[:-5])
    watch = EpochWatch(tmp_path / "model")
    watch.look()
    run = watch.look()
    assert run is not None
    assert [one.name for one in run.files] == ["fox-000001"]
    path.write_bytes(whole)
    watch.look()
    run = watch.look()
    assert run is not None
    assert [one.name for one in run.files] == ["fox-000001", "fox-000002"]


def test_a_training_is_over(project: Project):
    save_lora(project.model_dir, "fox-000001", epoch=1)
    run = require_run(project.model_dir)
    assert not is_training_over(None, project.journal, since="")
    assert not is_training_over(run, project.journal, since="")
    project.journal.append("train-end", outcome="stopped")
    assert is_training_over(run, project.journal, since="2000")
    assert not is_training_over(run, project.journal, since="9999")
    save_lora(project.model_dir, "fox", epoch=2)
    assert is_training_over(require_run(project.model_dir), project.journal, since="9999")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:7860", True),
        ("http://localhost:7860", True),
        ("http://[::1]:7860", True),
        ("http://192.168.1.7:7860", False),
        ("http://gpu-box:7860", False),
    ],
)
def test_this_machine_or_another(url: str, here: bool):
    assert is_this_machine(url) is here


@pytest.mark.parametrize(("gpus", "words"), [(1, "has 1 GPU"), (None, "no second GPU was found")])
def test_one_gpu_for_two_is_refused(gpus: int | None, words: str):
    with pytest.raises(ToolError, match=rf"{words}.*LL511"):
        require_spare_gpu(["http://127.0.0.1:7860"], count=lambda: gpus)


def test_two_gpus_or_machines_are_fine():
    require_spare_gpu(["http://127.0.0.1:7860"], count=lambda: 2)
    require_spare_gpu(["http://127.0.0.1:7860", "http://gpu-box:7860"], count=lambda: 1)


def test_gpus_are_counted_without_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert count_gpus() is None
