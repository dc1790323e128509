"""Pictures come in: only new ones, and never a broken one unnoticed."""

from __future__ import annotations

import builtins
import errno
import json
import os
from pathlib import Path

import pytest
from PIL import Image, ImageCms, features

from kohya_ext.cli import main
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.dataset.roles_csv import Role, read_roles_csv
from kohya_ext.project import Project, ToolError, apply_init, plan_init
from kohya_ext.project import files as files_module
from kohya_ext.project.decisions import DecisionKind, DecisionStore
from kohya_ext.project.files import sha256_of
from kohya_ext.project.pictures import can_read
from kohya_ext.project.pictures.ratings import read_rating, write_rating
from kohya_ext.project.tagging import Scores, read_scores, write_scores


def draw(path: Path, colour: object = "red", size: tuple[int, int] = (40, 30)) -> Path:
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
    assert len(plan_import(project, folder).new) == 3


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


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n1234"])
def test_a_broken_picture_stops_nothing(project: Project, folder: Path, content: bytes):
    (folder / "z.png").write_bytes(content)
    plan = plan_import(project, folder)
    assert [path.name for path, _ in plan.broken] == ["z.png"]
    assert "z.png cannot be decoded" in plan.broken[0][1]
    assert len(plan.new) == 3


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
    with pytest.raises(ToolError, match=r"share one stem.*LL203"):
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


# -- roles are kept -------------------------------------------------------------------------------


def roles_of(project: Project) -> dict[str, str]:
    plan = plan_layout(project)
    found = {one.source.name: one.role.value for one in plan.pictures}
    return {**found, **{path.name: "out" for path in plan.out}}


def take_in(project: Project, folder: Path, **options: object) -> tuple[str, ...]:
    plan = plan_import(project, folder, **options)
    apply_import(project, plan)
    return plan.role_sentences


def test_ratings_of_a_viewer_give_roles(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    write_rating(draw(folder / "e.png", "white"), -1)
    write_rating(draw(folder / "f.png", "gold"), 4)
    plan = plan_import(project, folder)
    assert {one.origin.name: one.role for one in plan.new} == {
        "a.png": Role.PRIMARY,
        "b.JPG": Role.PRIMARY,
        "c.webp": Role.SUPPORTING,
        "e.png": Role.OUT,
        "f.png": Role.SUPPORTING,
    }
    apply_import(project, plan)
    assert roles_of(project)["e.png"] == "out"
    with DecisionStore(project.reviews_db) as store:
        assert sorted(store.values(DecisionKind.RATING).values()) == [-1, 1, 4]


def test_a_new_rating_changes_the_role(project: Project, folder: Path):
    take_in(project, folder)
    write_rating(folder / "b.JPG", 1)
    assert take_in(project, folder) == (
        "supporting/b.JPG: undecided -> primary (rating in the file)",
    )
    assert take_in(project, folder) == ()
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_rated_file_is_still_the_same_picture(project: Project, folder: Path):
    take_in(project, folder)
    for name in ("b.JPG", "primary/a.png", "deep/supporting/c.webp"):
        write_rating(folder / name, 2)
    plan = plan_import(project, folder)
    assert (plan.new, len(plan.known)) == ((), 3)


def test_roles_hold_without_the_option(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.PRIMARY, "a.png": Role.OUT}))
    assert roles_of(project) == {"b.JPG": "primary", "c.webp": "supporting", "a.png": "out"}


def test_a_moved_picture_changes_its_role(project: Project, folder: Path):
    take_in(project, folder)
    (project.source_dir / "supporting" / "b.JPG").rename(project.source_dir / "primary" / "b.JPG")
    plan = plan_layout(project)
    assert plan.role_sentences == ("b.JPG: undecided -> primary (folder in source/)",)
    apply_layout(project, plan)
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_move_in_the_collection_changes_the_role(project: Project, folder: Path):
    take_in(project, folder)
    (folder / "primary" / "a.png").rename(folder / "deep" / "supporting" / "a.png")
    assert take_in(project, folder) == (
        "primary/a.png: primary -> supporting (folder of the import)",
    )


def test_the_board_takes_precedence_over_older_words(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    take_in(project, folder)
    keys = {place.name: key for key, place in read_index(project).items()}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {keys["b.JPG"]: "out", keys["a.png"]: "out"}, "board")
    assert take_in(project, folder) == ()
    assert roles_of(project) == {"a.png": "out", "b.JPG": "out", "c.webp": "supporting"}


def test_a_touched_file_says_nothing_new(project: Project, folder: Path):
    write_rating(folder / "b.JPG", 1)
    take_in(project, folder)
    keys = {place.name: key for key, place in read_index(project).items()}
    with DecisionStore(project.reviews_db) as store:
        store.decide(DecisionKind.ROLE, {keys["b.JPG"]: "out"}, "board")
    later = (folder / "b.JPG").stat().st_mtime + 10_000
    os.utime(folder / "b.JPG", (later, later))
    assert take_in(project, folder) == ()
    assert roles_of(project)["b.JPG"] == "out"


def test_a_roles_file_counts_for_known_pictures(project: Project, folder: Path):
    take_in(project, folder)
    said = take_in(project, folder, roles={"primary/a.png": Role.OUT})
    assert said == ("primary/a.png: primary -> out (roles file)",)


def test_roles_of_an_earlier_loraloom_stay(project: Project):
    draw(project.source_dir / "primary" / "a.png", "red")
    draw(project.source_dir / "supporting" / "b.png", "blue")
    assert roles_of(project) == {"a.png": "primary", "b.png": "supporting"}


def test_an_unchanged_file_is_not_read_again(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    take_in(project, folder)
    opened: list[str] = []
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, *rest, **more: opened.append(path.name) or real(path, *rest, **more),
    )
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert len(plan_import(project, folder).known) == 3
    assert [name for name in opened if name.endswith((".png", ".JPG", ".webp"))] == []


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
    take_in(project, folder)
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
    take_in(project, folder)
    apply_layout(project, plan_layout(project))
    found = sorted(path.name for path in project.images_dir.glob("*/*.png"))
    assert found == [f"{name[0]}.png" for name in names]


def test_a_caption_waits_for_a_picture_that_is_out(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project))
    (staged,) = project.images_dir.glob("*/b.jpg")
    staged.with_suffix(".txt").write_text("my own words", encoding="utf-8")
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.OUT}))
    assert list(project.images_dir.glob("*/b.*")) == []
    apply_layout(project, plan_layout(project, roles={"b.JPG": Role.PRIMARY}))
    (caption,) = project.images_dir.glob("*/b.txt")
    assert caption.read_text(encoding="utf-8") == "my own words"


def test_roles_are_written_for_viewers(project: Project, folder: Path, capsys):
    take_in(project, folder, roles={"b.JPG": Role.OUT})
    assert main(["ratings", str(project.root), str(folder), "--write", "--dry-run"]) == 0
    assert read_rating(folder / "b.JPG") is None
    assert main(["ratings", str(project.root), str(folder), "--write"]) == 0
    assert "3 ratings written" in capsys.readouterr().out
    found = {path.name: read_rating(path) for path in sorted(folder.rglob("*.*")) if path.is_file()}
    rated = {name: one.rating for name, one in found.items() if one}
    assert rated == {"a.png": 1, "b.JPG": -1, "c.webp": 2}
    assert take_in(project, folder) == ()


def test_ratings_are_read_when_asked(project: Project, folder: Path, capsys):
    take_in(project, folder)
    write_rating(project.source_dir / "supporting" / "b.JPG", 1)
    assert main(["ratings", str(project.root), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["changed"] == ["b.JPG: undecided -> primary (rating in the file)"]
    assert roles_of(project)["b.JPG"] == "primary"


def test_a_rating_that_cannot_be_written_stops_nothing(project: Project, folder: Path, capsys):
    take_in(project, folder, roles={"b.JPG": Role.OUT})
    path = folder / "b.JPG"
    bad = b"http://ns.adobe.com/xap/1.0/\0<damaged"
    content = path.read_bytes()
    segment = b"\xff\xe1" + (len(bad) + 2).to_bytes(2, "big") + bad
    path.write_bytes(content[:2] + segment + content[2:])
    assert main(["ratings", str(project.root), str(folder), "--write"]) == 0
    said = capsys.readouterr()
    assert "b.JPG" in said.err
    assert "LL209" in said.err


def test_scores_outlive_a_written_rating(project: Project, folder: Path):
    take_in(project, folder)
    apply_layout(project, plan_layout(project))
    (staged,) = project.images_dir.glob("*/a.png")
    write_scores(project.scores_dir, Scores(sha256_of(staged), "m", {}, {"solo": 0.9}, {}))
    write_rating(project.source_dir / "primary" / "a.png", 2)
    apply_layout(project, plan_layout(project, roles={"a.png": Role.SUPPORTING}))
    (again,) = project.images_dir.glob("*/a.png")
    assert again.parent.name == "2_Quillfox"
    found = read_scores(project.scores_dir, sha256_of(again))
    assert found is not None
    assert found.general == {"solo": 0.9}
