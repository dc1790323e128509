"""Pictures come in: only new ones, and never a broken one unnoticed."""

from __future__ import annotations

import builtins
import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.roles import Role, read_roles_csv
from kohya_ext.project import Project, ToolError, apply_init, plan_init
from kohya_ext.project import files as files_module


def draw(path: Path, colour: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw(tmp_path / "collected" / "primary" / "a.png", "red")
    draw(tmp_path / "collected" / "b.JPG", "green")
    draw(tmp_path / "collected" / "deep" / "supporting" / "c.webp", "blue")
    (tmp_path / "collected" / "notes.txt").write_text("x", encoding="utf-8")
    draw(tmp_path / "collected" / ".hidden" / "d.png", "black")
    return tmp_path / "collected"


def test_subfolders_give_the_roles(project: Project, folder: Path):
    plan = plan_import(project, folder)
    assert [(str(one.target), one.role) for one in plan.new] == [
        ("supporting/b.JPG", Role.SUPPORTING),
        ("supporting/c.webp", Role.SUPPORTING),
        ("primary/a.png", Role.PRIMARY),
    ]


def test_a_csv_wins_over_subfolders(project: Project, folder: Path, tmp_path: Path):
    csv = tmp_path / "roles.csv"
    csv.write_text("picture,role\na.png, 2\n\nb.JPG,primary\n", encoding="utf-8")
    plan = plan_import(project, folder, roles=read_roles_csv(csv))
    roles = {one.origin.name: one.role for one in plan.new}
    assert roles == {"a.png": Role.SUPPORTING, "b.JPG": Role.PRIMARY, "c.webp": Role.SUPPORTING}


def test_a_second_import_takes_only_what_is_new(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    draw(folder / "e.png", "white")
    plan = plan_import(project, folder)
    assert [one.origin.name for one in plan.new] == ["e.png"]
    assert len(plan.known) == 3


def test_one_content_under_two_names_comes_once(project: Project, folder: Path):
    (folder / "copy of b.jpg").write_bytes((folder / "b.JPG").read_bytes())
    assert len(plan_import(project, folder).new) == 3


def test_source_files_are_copies(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    taken = project.source_dir / "primary" / "a.png"
    assert taken.read_bytes() == (folder / "primary" / "a.png").read_bytes()
    assert not taken.samefile(folder / "primary" / "a.png")


def test_a_lost_index_is_made_anew(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    before = read_index(project)
    (project.source_dir / ".index.json").write_text("[", encoding="utf-8")
    assert read_index(project) == before


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n1234"])
def test_a_broken_picture_stops_the_import(project: Project, folder: Path, content: bytes):
    (folder / "z.png").write_bytes(content)
    with pytest.raises(ToolError, match=r"z\.png cannot be decoded.*LL202"):
        plan_import(project, folder)


def test_a_cut_picture_is_found_by_decoding(project: Project, folder: Path):
    path = draw(folder / "z.png", size=(400, 400))
    Image.effect_noise((400, 400), 80).save(path)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(ToolError, match="LL202"):
        plan_import(project, folder)
    plan = plan_import(project, folder, skip_broken=True)
    assert [path.name for path, _ in plan.broken] == ["z.png"]
    assert len(plan.new) == 3


def test_a_repeated_stem_is_an_error(project: Project, folder: Path):
    draw(folder / "A.jpeg", "pink")
    with pytest.raises(ToolError, match=r"share one stem.*LL203") as caught:
        plan_import(project, folder)
    assert str(folder / "A.jpeg") in str(caught.value)
    assert str(folder / "primary" / "a.png") in str(caught.value)


def test_a_repeated_stem_can_be_numbered(project: Project, folder: Path):
    draw(folder / "A.jpeg", "pink")
    draw(folder / "other" / "a.bmp", "purple")
    targets = {str(one.target) for one in plan_import(project, folder, rename=True).new}
    assert {"supporting/A.jpeg", "supporting/a-2.bmp", "primary/a-3.png"} <= targets


def test_a_folder_without_pictures(project: Project, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ToolError, match="LL201"):
        plan_import(project, tmp_path / "empty")


def test_a_missing_folder(project: Project, tmp_path: Path):
    with pytest.raises(ToolError, match="LL103"):
        plan_import(project, tmp_path / "nowhere")


def no_entry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the operating system refuse `path`, as it does to anyone but root."""
    real_scandir, real_open = os.scandir, builtins.open

    def scandir(folder="."):
        if Path(folder) == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real_scandir(folder)

    def open_(file, *arguments, **options):
        if not isinstance(file, int) and Path(file) == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return real_open(file, *arguments, **options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(builtins, "open", open_)


@pytest.mark.parametrize("place", ["", "primary"], ids=["the-folder", "a-folder-below"])
def test_an_unreadable_folder(
    project: Project, folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
):
    no_entry(folder / place, monkeypatch)
    with pytest.raises(ToolError, match=r"cannot be read: Permission denied.*LL104"):
        plan_import(project, folder)


def test_an_unreadable_picture(project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch):
    no_entry(folder / "primary" / "a.png", monkeypatch)
    with pytest.raises(ToolError, match=r"a\.png cannot be read: Permission denied.*LL104"):
        plan_import(project, folder)


def test_a_project_inside_the_picture_folder(folder: Path):
    project = apply_init(plan_init(folder / "my quillfox", "Quillfox"))
    apply_import(project, plan_import(project, folder))
    (project.root / "cells").mkdir()
    draw(project.root / "cells" / "drawn.png", "pink")
    plan = plan_import(project, folder)
    assert (plan.new, len(plan.known)) == ((), 3)


def test_a_project_that_cannot_be_written(project: Project, folder: Path):
    plan = plan_import(project, folder)
    project.source_dir.write_bytes(b"a file where a folder must be")
    with pytest.raises(ToolError, match="LL111"):
        apply_import(project, plan)


def test_the_project_is_not_imported_into_itself(project: Project):
    with pytest.raises(ToolError, match="LL204"):
        plan_import(project, project.root)


def test_a_full_disk_stops_before_the_first_copy(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    plan = plan_import(project, folder)
    monkeypatch.setattr(files_module.shutil, "disk_usage", lambda path: (1, 1, 10))
    monkeypatch.setattr("kohya_ext.dataset.intake.free_bytes", lambda path: 10)
    with pytest.raises(ToolError, match="LL110"):
        apply_import(project, plan)
    assert not project.source_dir.exists()


def test_pictures_behind_a_link_come_in_once(project: Project, folder: Path, tmp_path: Path):
    draw(tmp_path / "elsewhere" / "linked.png", "yellow")
    try:
        (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (folder / "round").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system lets us make no links")
    names = sorted(one.origin.name for one in plan_import(project, folder).new)
    assert names == ["a.png", "b.JPG", "c.webp", "linked.png"]


def test_a_phones_pictures_are_named(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "IMG 1.HEIC").write_bytes(b"ftypheic")
    (folder / "deep" / "IMG 2.avif").write_bytes(b"ftypavif")
    assert main(["import", str(project.root), str(folder)]) == 0
    said = capsys.readouterr().err
    assert "not read: IMG 1.HEIC, IMG 2.avif. Convert them to PNG or JPEG" in said


def test_a_name_that_is_no_text(project: Project, tmp_path: Path):
    """As an archive of the DOS age leaves it on Linux; other systems refuse such a name."""
    folder = tmp_path / "old"
    folder.mkdir()
    try:
        draw(folder / "plain.png").rename(folder / os.fsdecode(b"f\x81chsin.png"))
    except OSError:
        pytest.skip("this system has no such names")
    with pytest.raises(ToolError, match=r'"f\?chsin.png" in .*old is no UTF-8 text.*LL208'):
        plan_import(project, folder)


@pytest.mark.parametrize("line", ["a.png", "a.png,star", "a.png,primary,x"])
def test_a_wrong_roles_line_is_named(tmp_path: Path, line: str):
    (tmp_path / "roles.csv").write_text(f"b.png,1\n{line}\n", encoding="utf-8")
    with pytest.raises(ToolError, match=r"roles\.csv:2: .*LL206"):
        read_roles_csv(tmp_path / "roles.csv")


def test_a_missing_roles_file(tmp_path: Path):
    with pytest.raises(ToolError, match="LL206"):
        read_roles_csv(tmp_path / "roles.csv")


def test_a_forgotten_project_is_asked_for(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(project.root)
    assert main(["import", str(folder)]) == 1
    assert "Name the project's folder" in capsys.readouterr().err
    assert main(["import", "--help"]) == 0
    assert "Usage: loraloom import [OPTIONS] PROJECT FOLDER" in capsys.readouterr().out


def test_the_command_imports(project: Project, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["import", str(project.root), str(folder), "--dry-run"]) == 0
    assert "3 pictures would be taken in: 1 primary, 2 supporting" in capsys.readouterr().out
    assert not project.source_dir.exists()
    assert main(["import", str(project.root), str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert '"target": "primary/a.png"' in out
    assert "Next: loraloom stage" in err
