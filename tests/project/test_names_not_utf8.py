"""Names of bytes that are not UTF-8, as old archives leave them on Linux, end in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loras import save_lora
from PIL import Image

from a1111_ext.showcase.album import read_album, repair_showcase
from kohya_ext.dataset.viewer_ratings import plan_reading
from kohya_ext.project import Project, ToolError, open_project, plan_init
from kohya_ext.project.epochs import find_epoch_files

BAD = os.fsdecode(b"f\x81chsin") if os.name == "posix" else "\udc81"


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A folder with such a name, where this system has them."""
    folder = tmp_path / BAD
    try:
        folder.mkdir()
    except (OSError, UnicodeEncodeError):
        pytest.skip("this system has no such names")
    return folder


def test_a_project_below_such_a_folder_is_refused_by_name(named: Path, project: Project):
    with pytest.raises(ToolError, match=r'"f\?chsin" in .* is not UTF-8 text.*LL208'):
        plan_init(named / "fox", "Quillfox")
    moved = project.root.rename(named / "fox")
    with pytest.raises(ToolError, match=r'"f\?chsin" in .* is not UTF-8 text.*LL208'):
        open_project(moved)


def test_ratings_of_other_pictures_are_read_and_remembered(named: Path, project: Project):
    Image.new("RGB", (8, 8)).save(named / "plain.png")
    assert plan_reading(project, named) is not None
    assert plan_reading(project, named) is not None


def test_an_epoch_file_is_reported_and_the_others_count(named: Path):
    save_lora(named.parent, "fox-000001")
    save_lora(named.parent, BAD)
    found = find_epoch_files(named.parent)
    assert [one.path.name for run in found.runs for one in run.files] == ["fox-000001.safetensors"]
    assert [one.error.code for one in found.unreadable] == ["LL208"]


def test_a_picture_in_showcase_is_named_and_the_others_join(named: Path, project: Project):
    project.showcase_dir.mkdir()
    for name in ("by hand", BAD):
        Image.new("RGB", (8, 8)).save(project.showcase_dir / f"{name}.png")
    assert [one.file for one in read_album(project)] == ["by hand.png"]
    (line,) = repair_showcase(project)
    assert "is not UTF-8 text; rename it" in line
