"""Names, paths and files as Windows treats them: what it refuses is said, and nothing is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import
from kohya_ext.project import MachineError, Project, apply_init, open_project, plan_init
from kohya_ext.project.files import write_text_atomic

only_windows = pytest.mark.skipif(sys.platform != "win32", reason="as Windows treats files")
ROOT = Path(__file__).resolve().parents[3]


def draw(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed).randbytes(8 * 6 * 3)
    Image.frombytes("RGB", (8, 6), noise).resize((64, 48)).save(path)
    return path


def has_long_paths(folder: Path) -> bool:
    """Tell whether this system takes paths over 260 letters without a prefix."""
    long = folder.joinpath(*["y" * 100] * 3)
    try:
        long.mkdir(parents=True)
    except OSError:
        return False
    try:
        long.resolve()
    except OSError:
        pytest.skip("long paths are made here, but not resolved (Wine)")
    return True


def imported(project: Project, folder: Path) -> list[str]:
    apply_import(project, plan_import(project, folder))
    return sorted(one.name for one in project.source_dir.rglob("*.png"))


def test_names_that_differ_in_capitals_keep_both_pictures(project: Project, tmp_path: Path):
    for folder, name, seed in (("a", "Foo.png", 1), ("b", "foo.PNG", 2)):
        draw(tmp_path / "collected" / folder / name, seed)
    ((left_out, why),) = plan_import(project, tmp_path / "collected").broken
    assert left_out.name == "foo.PNG"
    assert "differ only in their suffix" in why
    apply_import(project, plan_import(project, tmp_path / "collected", rename=True))
    kept = [one for one in project.source_dir.rglob("*") if one.suffix.lower() == ".png"]
    assert len(kept) == 2
    assert len({one.relative_to(project.source_dir).as_posix().casefold() for one in kept}) == 2
    assert len({one.read_bytes() for one in kept}) == 2


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "cp936"])
def test_names_beyond_the_code_page_are_shown_all_the_same(tmp_path: Path, encoding: str):
    made = apply_init(plan_init(tmp_path / "Füchse 狐 ķ", "Quillfox"))
    done = subprocess.run(
        [sys.executable, "-m", "kohya_ext", "show", str(made.root)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert b"Quillfox" in done.stdout


def test_a_project_with_windows_line_ends_is_the_same(project: Project):
    before = open_project(project.root).manifest
    text = project.manifest_path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    project.manifest_path.write_bytes(text)
    assert open_project(project.root).manifest == before


def test_a_project_deeper_than_260_letters_is_used_or_refused(tmp_path: Path):
    deep = tmp_path.joinpath(*["long name " + "x" * 30] * 6)
    assert len(str(deep)) > 260
    if has_long_paths(tmp_path):
        made = apply_init(plan_init(deep / "fox", "Quillfox"))
        assert imported(made, draw(tmp_path / "in" / "a.png").parent) == ["a.png"]
        assert main(["show", str(made.root)]) == 0
    else:
        with pytest.raises(MachineError, match="too long for Windows"):
            apply_init(plan_init(deep / "fox", "Quillfox"))


@only_windows
def test_the_prefix_for_long_paths_may_be_given(tmp_path: Path):
    made = apply_init(plan_init(Path("\\\\?\\" + str(tmp_path / "fox")), "Quillfox"))
    assert imported(made, draw(tmp_path / "in" / "a.png").parent) == ["a.png"]
    assert main(["show", str(tmp_path / "fox")]) == 0


@only_windows
def test_a_file_that_another_program_holds_stays_as_it_is(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")
    with path.open("rb"), pytest.raises(MachineError, match="no other program is using the file"):
        write_text_atomic(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    write_text_atomic(path, "new")


@only_windows
def test_a_junction_is_followed_as_a_folder(project: Project, tmp_path: Path):
    import _winapi

    draw(tmp_path / "elsewhere" / "a.png")
    try:
        _winapi.CreateJunction(str(tmp_path / "elsewhere"), str(tmp_path / "linked"))
    except OSError:
        pytest.skip("no junctions can be made here (Wine)")
    assert imported(project, tmp_path / "linked") == ["a.png"]


@only_windows
def test_a_project_is_reached_by_its_share(tmp_path: Path):
    made = apply_init(plan_init(tmp_path / "fox", "Quillfox"))
    drive, rest = made.root.drive, str(made.root)[2:]
    share = Path(f"\\\\localhost\\{drive[0]}${rest}")
    if not share.exists():
        pytest.skip("this machine does not share its drives (Wine)")
    assert main(["show", str(share)]) == 0
