"""Pictures come in: only new ones, and never a broken one unnoticed."""

from __future__ import annotations

import builtins
import errno
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from drawn import draw
from PIL import Image, ImageCms, UnidentifiedImageError, features

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.roles_csv import Role, read_roles_csv
from kohya_ext.project import Project, ToolError, apply_init, plan_init
from kohya_ext.project import files as files_module
from kohya_ext.project.pictures import can_read


def test_subfolders_give_the_roles(project: Project, folder: Path):
    plan = plan_import(project, folder)
    assert [(str(one.target), one.role) for one in plan.new] == [
        ("supporting/b.JPG", Role.SUPPORTING),
        ("supporting/c.webp", Role.SUPPORTING),
        ("primary/a.png", Role.PRIMARY),
    ]


def test_a_csv_takes_precedence_over_subfolders(project: Project, folder: Path, tmp_path: Path):
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
    plan = plan_import(project, folder)
    assert len(plan.new) == 3
    assert plan.known_sentences == (f"left out: 1 exact copy of another in {folder}",)
    apply_import(project, plan)
    assert plan_import(project, folder).known_sentences == ("4 already imported",)


def test_thumbnails_come_with_the_import(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    assert len(list((project.cache_dir / "thumbs").glob("*/*.jpg"))) == 3


def test_source_files_are_copies(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    taken = project.source_dir / "primary" / "a.png"
    assert taken.read_bytes() == (folder / "primary" / "a.png").read_bytes()
    assert not taken.samefile(folder / "primary" / "a.png")


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_lost_memory_is_made_again(project: Project, folder: Path, content: bytes | None):
    apply_import(project, plan_import(project, folder))
    before = read_index(project)
    memory = project.cache_dir / "pictures.db"
    memory.unlink() if content is None else memory.write_bytes(content)
    assert read_index(project) == before
    apply_import(project, plan_import(project, folder))
    assert len(plan_import(project, folder).known) == 3


def test_to_look_into_the_memory_writes_nothing(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    memory = project.cache_dir / "pictures.db"
    read_index(project)
    os.utime(memory, (1, 1))
    assert read_index(project)
    assert memory.stat().st_mtime == 1


def test_a_table_of_the_memory_that_is_gone_is_made_again(project: Project, folder: Path):
    apply_import(project, plan_import(project, folder))
    before = read_index(project)
    with closing(sqlite3.connect(project.cache_dir / "pictures.db")) as db, db:
        db.execute("DROP TABLE files")
    assert read_index(project) == before
    with closing(sqlite3.connect(project.cache_dir / "pictures.db")) as db:
        assert db.execute("SELECT path FROM files").fetchall() == []


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n1234"])
def test_a_broken_picture_stops_nothing(project: Project, folder: Path, content: bytes):
    (folder / "z.png").write_bytes(content)
    plan = plan_import(project, folder)
    assert [path.name for path, _ in plan.broken] == ["z.png"]
    assert "z.png cannot be decoded" in plan.broken[0][1]
    assert len(plan.new) == 3


_ENTRY = b"II*\0\x08\0\0\0\x01\0\x12\x01"
DAMAGED_EXIF = {
    "no-tiff": b"garbage!!",
    "cut-short": b"II*\0",
    "a-word": _ENTRY + b"\x02\0\x04\0\0\0abc\0\0\0\0\0",
    "a-fraction-of-nothing": _ENTRY + b"\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0" + b"\0" * 8,
    "several": _ENTRY + b"\x03\0\x02\0\0\0\x06\0\x01\0\0\0\0\0",
    "outside": _ENTRY + b"\x02\0\x05\0\0\0\xff\xff\xff\x7f\0\0\0\0",
}


@pytest.mark.parametrize("exif", DAMAGED_EXIF.values(), ids=DAMAGED_EXIF)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_damaged_exif_stops_nothing(project: Project, folder: Path, exif: bytes, suffix: str):
    """The picture itself is sound, and other programs show it."""
    picture = Image.new("RGB", (40, 30), "orange")
    picture.save(folder / f"e{suffix}", exif=b"Exif\0\0" + exif)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.open(folder / f"e{suffix}").close()
        except UnidentifiedImageError:
            pytest.skip("this Pillow opens no such picture, as 9.5 does not")
    apply_import(project, plan_import(project, folder))
    assert len(list(project.source_dir.rglob("*.*"))) == 4
    apply_layout(project, plan_layout(project))
    assert len(list(project.images_dir.glob("*/*.*"))) == 4


@pytest.mark.parametrize("name", ["e.jxl", "e.heic", "e.avif", "e.jp2", "e.png"])
def test_what_a_plugin_stumbles_over_stops_nothing(
    project: Project, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    """Decoders of other languages raise what they like, over several lines."""
    opened = Image.open

    def open_or_stumble(path: Path, *words: object) -> Image.Image:
        if Path(path).name == name:
            raise RuntimeError("Generic Error. Build it in debug mode.\nSee stderr.")
        return opened(path, *words)

    (folder / name).write_bytes(b"\xff\x0a")
    monkeypatch.setattr(Image, "open", open_or_stumble)
    plan = plan_import(project, folder)
    assert len(plan.new) == 3
    if can_read(Path(name).suffix):
        ((path, problem),) = plan.broken
        assert path.name == name
        assert "cannot be decoded: Generic Error." in problem


def test_nothing_but_broken_pictures_is_an_error(project: Project, tmp_path: Path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "z.png").write_bytes(b"no picture")
    with pytest.raises(ToolError, match=r"z\.png cannot be decoded.*LL202"):
        plan_import(project, tmp_path / "bad")


def test_a_cut_picture_is_found_by_decoding(project: Project, folder: Path):
    path = folder / "z.png"
    Image.effect_noise((400, 400), 80).save(path)
    path.write_bytes(path.read_bytes()[:-9000])
    plan = plan_import(project, folder)
    assert [path.name for path, _ in plan.broken] == ["z.png"]


def test_a_repeated_stem_stops_nothing_else(project: Project, folder: Path):
    draw(folder / "A.jpeg", "pink")
    count = len(plan_import(project, folder, rename=True).new)
    plan = plan_import(project, folder)
    assert len(plan.new) == count - 1
    ((left, why),) = plan.broken
    assert left in (folder / "A.jpeg", folder / "primary" / "a.png")
    assert str(folder / "A.jpeg") in why
    assert str(folder / "primary" / "a.png") in why
    assert "--rename" in why
    apply_import(project, plan)
    assert len(plan_import(project, folder, rename=True).new) == 1


def test_nothing_but_a_repeated_stem_is_an_error(project: Project, tmp_path: Path):
    for name, colour in (("one", "red"), ("two", "blue")):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / "a.png", colour)
    apply_import(project, plan_import(project, tmp_path / "one"))
    with pytest.raises(ToolError, match=r"differ only in their suffix.*LL203"):
        plan_import(project, tmp_path / "two")


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
    plan = plan_import(project, folder)
    assert [(path.name, len(plan.new)) for path, _ in plan.broken] == [("a.png", 2)]
    assert "a.png cannot be read: Permission denied" in plan.broken[0][1]


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
    if not (folder / "linked").is_symlink():
        pytest.skip("Wine says that it made a link, and made none")
    names = sorted(one.origin.name for one in plan_import(project, folder).new)
    assert names == ["a.png", "b.JPG", "c.webp", "linked.png"]


def test_a_phones_pictures_are_named(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "IMG 1.HEIC").write_bytes(b"ftypheic")
    for number in range(2, 9):
        (folder / "deep" / f"IMG {number}.cr2").write_bytes(b"II*")
    assert main(["import", str(project.root), str(folder)]) == 0
    said = capsys.readouterr().err
    cameras = ", ".join(f"IMG {number}.cr2" for number in range(2, 9))
    if not can_read(".heic"):
        assert f"not read: IMG 1.HEIC, {cameras}. Convert them to PNG or JPEG" in said
        assert 'pip install "loraloom[pictures]"' in said
    assert cameras in said


@pytest.mark.parametrize(
    "name", ["a.raw", "A.RAW", "fox.x3f", "fox.ora", "fox.clip", "fox.j2c", "fox.apng", "fox.svgz"]
)
def test_pictures_of_rare_kinds_are_named(project: Project, folder: Path, name: str):
    (folder / name).write_bytes(b"x")
    (folder / "notes.md").write_text("no picture", "utf-8")
    plan = plan_import(project, folder)
    assert plan.unread_sentence.startswith(f"not read: {name}. Convert")


def test_a_name_that_is_not_text(project: Project, tmp_path: Path):
    """As an archive of the DOS age leaves it on Linux; other systems refuse such a name."""
    folder = tmp_path / "old"
    folder.mkdir()
    try:
        draw(folder / "plain.png").rename(folder / os.fsdecode(b"f\x81chsin.png"))
    except (OSError, UnicodeDecodeError):
        pytest.skip("this system has no such names")
    with pytest.raises(ToolError, match=r'"f\?chsin.png" in .*old is not UTF-8 text.*LL208'):
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
    assert "Give the project's folder" in capsys.readouterr().err
    assert main(["import", "--help"]) == 0
    assert "Usage: loraloom import [OPTIONS] PROJECT FOLDER" in capsys.readouterr().out


def test_the_command_imports(project: Project, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["import", str(project.root), str(folder), "--dry-run"]) == 0
    assert "3 pictures would be imported: 1 primary, 2 supporting" in capsys.readouterr().out
    assert not project.source_dir.exists()
    assert main(["import", str(project.root), str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert '"target": "primary/a.png"' in out
    assert "Next: loraloom stage" in err


def test_near_duplicates_are_named(project: Project, folder: Path, capsys):
    noise = Image.effect_noise((64, 48), 120).resize((640, 480))
    noise.save(folder / "large.png")
    noise.resize((320, 240)).save(folder / "small.jpg")
    noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "turned.png")
    assert main(["import", str(project.root), str(folder)]) == 0
    said = capsys.readouterr().err
    assert "near-duplicate: small.jpg looks like a copy of large.png" in said
    assert "turned.png looks like a mirror of large.png" in said or (
        "large.png looks like a mirror of turned.png" in said
    )


def test_other_colours_are_staged_as_rgb(project: Project, tmp_path: Path):
    folder = tmp_path / "press"
    red = draw(folder / "plain.png", (200, 60, 30))
    with Image.open(red) as opened:
        opened.convert("CMYK").save(folder / "cmyk.tif")
        opened.convert("CMYK").save(folder / "cmyk-too.jpg", quality=95)
        opened.quantize(8).save(folder / "palette.tif")
        lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        ImageCms.applyTransform(opened, lab).save(folder / "lab.tif")
    (folder / "broken.tif").write_bytes(b"II*\0broken")
    apply_import(project, plan_import(project, folder))
    apply_layout(project, plan_layout(project))
    staged = sorted(project.images_dir.glob("*/*.*"))
    assert [path.name for path in staged] == [
        "cmyk-too.jpg",
        "cmyk.png",
        "lab.png",
        "palette.png",
        "plain.png",
    ]
    for path in staged:
        with Image.open(path) as opened:
            assert opened.mode in ("RGB", "P")
            shown = opened.convert("RGB").getpixel((5, 5))
        assert all(abs(a - b) <= 4 for a, b in zip(shown, (200, 60, 30), strict=True)), path


def test_rare_kinds_are_taken_in(project: Project, tmp_path: Path):
    folder = tmp_path / "rare"
    folder.mkdir()
    names = ["a.jpe", "b.mpo", "c.ico", "d.tga", "e.pcx", "f.ppm"]
    if features.check("jpg_2000"):
        names.append("g.jp2")
    if can_read(".avif"):
        names.append("h.avif")
    for number, name in enumerate(names):
        draw(folder / name, (200 - 20 * number, 60, 30))
    apply_import(project, plan_import(project, folder))
    apply_layout(project, plan_layout(project))
    found = sorted(path.name for path in project.images_dir.glob("*/*.png"))
    assert found == [f"{name[0]}.png" for name in names]
