"""Where a project stands, and what comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.project import Project
from kohya_ext.project.lora_file import write_lora
from kohya_ext.project.manifest_edit import edit_manifest
from kohya_ext.project.status import read_status


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def next_word(project: Project) -> str:
    return read_status(project).next_command("fox").rpartition("loraloom ")[2].split()[0]


def test_every_step_is_named_in_its_turn(project: Project):
    steps = []
    for act in (
        lambda: touch(project.source_dir / "a.PNG"),
        lambda: touch(project.images_dir / "5_Quillfox" / "a.png"),
        lambda: touch(project.images_dir / "5_Quillfox" / "a.txt"),
        lambda: touch(project.config_dir / "kohya.json"),
        lambda: write_lora(project.model_dir / "Quillfox.safetensors", {}, {}),
        lambda: touch(project.grids_dir / "1" / "index.html"),
        lambda: project.journal.append("promote", name="Quillfox"),
        lambda: touch(project.showcase_dir / "a.png"),
        lambda: project.journal.append("select", pictures=1),
    ):
        steps.append(next_word(project))
        act()
    steps.append(next_word(project))
    assert steps == [
        "import", "stage", "caption", "config", "train", "grid", "promote", "showcase", "select",
        "publish",
    ]  # fmt: skip


def test_the_next_step_can_be_run_as_it_stands(project: Project):
    """`loraloom caption fox` without a tagger, and `config` without a base model, are errors."""
    touch(project.source_dir / "a.png")
    touch(project.images_dir / "5_Quillfox" / "a.png")
    caption = "loraloom caption fox --model FOLDER-OF-A-WD14-TAGGER"
    assert read_status(project).next_command("fox") == caption
    touch(project.scores_dir / "a.json")
    assert read_status(project).next_command("fox") == "loraloom caption fox"
    touch(project.images_dir / "5_Quillfox" / "a.txt")
    config = "set base_model.path in lora-project.yaml, then: loraloom config fox"
    assert read_status(project).next_command("fox") == config
    named = edit_manifest(project, {("base_model", "path"): "base.safetensors"})
    assert read_status(named).next_command("fox") == "loraloom config fox"


def test_lines_count_what_is_there(project: Project):
    touch(project.source_dir / "a.png")
    touch(project.images_dir / "5_Quillfox" / "a.png")
    touch(project.images_dir / "not a picture.txt")
    lines = "\n".join(read_status(project).lines())
    assert "imported       1 picture\n" in lines
    assert "5_Quillfox     1 picture, 0 captions" in lines


def test_copies_of_a_cloud_drive_are_named(project: Project):
    """What was changed on the other machine is in them, and nobody reads them."""
    for name in ("lora-project-DESKTOP.yaml", "reviews (1).db", "reviews.db", "reviews.db-wal"):
        touch(project.root / name)
    lines = [one for one in read_status(project).lines() if one.startswith("not read")]
    assert len(lines) == 2
    assert "lora-project-DESKTOP.yaml: a copy" in lines[0]
    assert "reviews (1).db: a copy" in lines[1]


def test_gif_and_tiff_count_as_imported(project: Project):
    for name in ("a.gif", "b.tiff", "c.tif", "d.jfif"):
        touch(project.source_dir / name)
    status = read_status(project)
    assert status.imported == 4
    assert status.next_command("fox") == "loraloom stage fox"


def test_a_damaged_epoch_file_does_not_count(project: Project):
    touch(project.model_dir / "Quillfox.safetensors")
    assert read_status(project).epoch_files == 0


@pytest.mark.parametrize("key", ["root", "imported", "staged", "promoted"])
def test_the_json_has_its_keys(project: Project, key: str):
    assert key in read_status(project).as_dict()


def test_a_running_training_comes_before_the_grid(project: Project):
    project.journal.append("train-start", run="one")
    status = read_status(project)
    assert status.training == "one"
    assert "run one is in progress" in "\n".join(status.lines())
    project.journal.append("train-end", run="one")
    assert read_status(project).training == ""
