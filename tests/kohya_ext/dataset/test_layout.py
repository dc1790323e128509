"""Staging makes the folders that sd-scripts reads."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from kohya_ext.cli import main
from kohya_ext.dataset.advice import advise
from kohya_ext.dataset.layout import apply_layout, folder_name, plan_layout
from kohya_ext.dataset.roles_csv import Role, read_roles_csv
from kohya_ext.dataset.staged import STAGED_NAME
from kohya_ext.project import DamagedError, Project, ToolError, open_project
from kohya_ext.project.manifest import Consent, Subject, SubjectKind


def draw(path: Path, size: tuple[int, int] = (40, 30), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (len(path.stem) * 20, 90, 90)).save(path, **options)
    return path


def with_repeats(project: Project, primary: int, supporting: int) -> Project:
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("primary: 5", f"primary: {primary}")
    text = text.replace("supporting: 2", f"supporting: {supporting}")
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


def staged(project: Project) -> list[str]:
    root = project.images_dir
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.name[0] != "."
    )


@pytest.fixture
def filled(project: Project) -> Project:
    draw(project.source_dir / "primary" / "a.png")
    draw(project.source_dir / "supporting" / "bb.jpg")
    draw(project.source_dir / "supporting" / "ccc.png")
    return project


def test_folders_are_named_after_repeats(filled: Project):
    apply_layout(filled, plan_layout(filled))
    assert staged(filled) == [
        "2_Quillfox",
        "2_Quillfox/bb.jpg",
        "2_Quillfox/ccc.png",
        "5_Quillfox",
        "5_Quillfox/a.png",
    ]


def test_the_class_word_follows_the_trigger():
    assert folder_name(5, "Quillfox", "creature") == "5_Quillfox creature"


def test_equal_repeats_share_one_folder(filled: Project):
    project = with_repeats(filled, 3, 3)
    plan = plan_layout(project)
    assert [(one.name, one.draws) for one in plan.folders] == [("3_Quillfox", 9)]


def test_staging_twice_changes_nothing(filled: Project):
    apply_layout(filled, plan_layout(filled))
    assert apply_layout(filled, plan_layout(filled)) == {
        "linked": 0, "copied": 0, "changed": 0, "kept": 3,
    }  # fmt: skip


def test_captions_travel_with_their_picture(filled: Project):
    apply_layout(filled, plan_layout(filled))
    caption = filled.images_dir / "5_Quillfox" / "a.txt"
    caption.write_text("by hand", encoding="utf-8")
    project = with_repeats(filled, 4, 2)
    apply_layout(project, plan_layout(project))
    assert staged(project)[3:] == ["4_Quillfox", "4_Quillfox/a.png", "4_Quillfox/a.txt"]
    moved = project.images_dir / "4_Quillfox" / "a.txt"
    assert moved.read_text(encoding="utf-8") == "by hand"


def test_a_name_that_changes_its_case_keeps_its_caption(filled: Project):
    """Where the file system does not tell the two names apart, the new one is not removed."""
    apply_layout(filled, plan_layout(filled))
    (filled.images_dir / "5_Quillfox" / "a.txt").write_text("by hand", encoding="utf-8")
    probe = filled.root / "probe"
    probe.write_bytes(b"")
    probe.replace(probe.with_name("Probe"))
    if "Probe" not in [one.name for one in filled.root.iterdir()]:
        pytest.skip("Wine says that it changed a name's case, and left it")
    source = filled.source_dir / "primary" / "a.png"
    source.rename(source.with_name("passing")).rename(source.with_name("A.png"))
    apply_layout(filled, plan_layout(filled))
    assert [name for name in staged(filled) if "5_" in name] == [
        "5_Quillfox",
        "5_Quillfox/A.png",
        "5_Quillfox/A.txt",
    ]


def test_a_picture_taken_out_leaves_the_stage(filled: Project):
    apply_layout(filled, plan_layout(filled))
    (filled.source_dir / "primary" / "a.png").unlink()
    plan = plan_layout(filled)
    assert [str(place) for place in plan.dropped] == ["5_Quillfox/a.png"]
    apply_layout(filled, plan)
    assert "5_Quillfox" not in staged(filled)


def test_a_replaced_picture_is_staged_again(filled: Project):
    apply_layout(filled, plan_layout(filled))
    source = filled.source_dir / "primary" / "a.png"
    source.unlink()
    draw(source, (80, 80))
    apply_layout(filled, plan_layout(filled))
    with Image.open(filled.images_dir / "5_Quillfox" / "a.png") as picture:
        assert picture.size == (80, 80)


def test_roles_move_pictures(filled: Project):
    plan = plan_layout(filled, roles={"bb.jpg": Role.PRIMARY})
    assert [one.target.name for one in plan.folders[0].pictures] == ["a.png", "bb.jpg"]


def test_a_role_may_name_the_subfolder_as_windows_does(filled: Project, tmp_path: Path):
    (tmp_path / "roles.csv").write_text("collected\\bb.jpg,primary\n", encoding="utf-8")
    plan = plan_layout(filled, roles=read_roles_csv(tmp_path / "roles.csv"))
    assert [folder.name for folder in plan.folders if len(folder.pictures) == 2] == ["5_Quillfox"]


def test_a_role_for_an_unknown_picture(filled: Project):
    with pytest.raises(ToolError, match="LL205"):
        plan_layout(filled, roles={"zebra.png": Role.PRIMARY})


def test_sideways_pictures_are_turned_upright(filled: Project, monkeypatch: pytest.MonkeyPatch):
    turn = ImageOps.exif_transpose
    one_word = lambda picture: turn(picture)  # noqa: E731  # no more in the Pillow 9.5 of A1111
    monkeypatch.setattr(ImageOps, "exif_transpose", one_word)
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(filled.source_dir / "primary" / "side.jpg", (60, 20), exif=exif)
    plan = plan_layout(filled)
    (one,) = [one for one in plan.pictures if one.target.stem == "side"]
    assert (one.change.value, one.width, one.height) == ("turned upright", 20, 60)
    apply_layout(filled, plan)
    with Image.open(filled.images_dir / one.target) as picture:
        assert (picture.size, picture.getexif().get(0x0112, 1)) == ((20, 60), 1)


@pytest.mark.parametrize(
    ("name", "staged_name"),
    [
        ("x.GiF", "x.png"),
        ("x.tiff", "x.png"),
        ("x.PnG", "x.png"),
        ("x.JPEG", "x.jpeg"),
        ("x.jfif", "x.png"),
    ],
)
def test_what_the_trainer_skips_is_made_readable(filled: Project, name: str, staged_name: str):
    draw(filled.source_dir / "primary" / name)
    plan = plan_layout(filled)
    apply_layout(filled, plan)
    path = filled.images_dir / "5_Quillfox" / staged_name
    with Image.open(path) as picture:
        assert picture.size == (40, 30)


def test_deep_grey_is_not_trained_white(filled: Project):
    """sd-scripts' `convert("RGB")` would make every value above 255 of 65535 white."""
    path = filled.source_dir / "primary" / "deep.png"
    Image.new("I;16", (40, 30), 128 * 257).save(path)
    plan = plan_layout(filled)
    apply_layout(filled, plan)
    with Image.open(filled.images_dir / "5_Quillfox" / "deep.png") as seen:
        assert seen.convert("RGB").getpixel((5, 5)) == (128, 128, 128)
    assert any("8 bits" in sentence for sentence in advise(filled, plan))


def test_what_lies_beneath_a_transparent_picture_is_reported(filled: Project):
    """sd-scripts' `convert("RGB")` drops the transparency."""
    folder = filled.source_dir / "primary"
    Image.new("RGBA", (40, 30), (0, 0, 0, 255)).save(folder / "solid.png")
    assert not any("transparent" in sentence for sentence in advise(filled, plan_layout(filled)))
    Image.new("RGBA", (40, 30), (0, 0, 0, 128)).save(folder / "glass.png")
    Image.new("P", (40, 30), 0).save(folder / "palette.png", transparency=0)
    advice = " ".join(advise(filled, plan_layout(filled)))
    assert "Partly transparent: 2 of 6 pictures" in advice


@pytest.mark.parametrize(("value", "seen"), [(0.5, 127), (64.0, 64), (32896.0, 128)])
def test_a_picture_of_floats_is_staged_grey(filled: Project, value: float, seen: int):
    Image.new("F", (40, 30), value).save(filled.source_dir / "primary" / "float.tiff")
    apply_layout(filled, plan_layout(filled))
    with Image.open(filled.images_dir / "5_Quillfox" / "float.png") as picture:
        assert picture.convert("RGB").getpixel((5, 5)) == (seen, seen, seen)


def test_nothing_imported_yet(project: Project):
    with pytest.raises(ToolError, match="LL201"):
        plan_layout(project)


def test_a_broken_source_is_named(filled: Project):
    (filled.source_dir / "primary" / "a.png").write_bytes(b"")
    with pytest.raises(ToolError, match=r"the file is empty.*LL202"):
        plan_layout(filled)


def test_two_sources_with_one_stem(filled: Project):
    """Both are named, every pair at once, and the cure costs nobody's caption."""
    apply_layout(filled, plan_layout(filled))
    caption = filled.images_dir / "5_Quillfox" / "a.txt"
    caption.write_text("photo of Quillfox, by hand", encoding="utf-8")
    new = draw(filled.source_dir / "supporting" / "A.webp")
    draw(filled.source_dir / "primary" / "A-2.png")
    others = [draw(filled.source_dir / "supporting" / name) for name in ("twin.png", "twin.jpg")]
    with pytest.raises(ToolError, match="LL203") as caught:
        plan_layout(filled)
    said = str(caught.value)
    for name in ("primary/a.png and source/supporting/A.webp", "twin.jpg", "twin.png"):
        assert name in said
    assert '"A.webp" to "A-3.webp"' in said
    new.rename(new.with_name("A-3.webp"))
    others[0].unlink()
    apply_layout(filled, plan_layout(filled))
    assert caption.read_text(encoding="utf-8") == "photo of Quillfox, by hand"


def test_a_foreign_picture_is_not_trained_unseen(filled: Project):
    apply_layout(filled, plan_layout(filled))
    draw(filled.images_dir / "5_Quillfox" / "foreign.png")
    with pytest.raises(ToolError, match=r"foreign\.png.*LL207"):
        plan_layout(filled)


def test_a_full_disk_leaves_no_half_stage(filled: Project, monkeypatch: pytest.MonkeyPatch):
    draw(filled.source_dir / "primary" / "converted.gif")
    plan = plan_layout(filled)
    flushed: list[int] = []

    def full(descriptor: int) -> None:
        """The list of what is about to come still fits, the first new picture does not."""
        flushed.append(descriptor)
        if len(flushed) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("kohya_ext.project.files.os.fsync", full)
        with pytest.raises(ToolError, match="LL110"):
            apply_layout(filled, plan)
    assert not [path for path in filled.root.rglob("*") if path.suffix == ".part"]
    apply_layout(filled, plan_layout(filled))
    assert len(staged(filled)) == 2 + 4


def test_a_stage_that_cannot_be_made(filled: Project):
    plan = plan_layout(filled)
    filled.images_dir.write_bytes(b"a file where a folder must be")
    with pytest.raises(ToolError, match="LL111"):
        apply_layout(filled, plan)


def test_a_person_without_consent_is_not_staged(filled: Project):
    person = Subject(SubjectKind.PERSON)
    manifest = dataclasses.replace(filled.manifest, subject=person)
    with pytest.raises(ToolError, match="LL113"):
        plan_layout(dataclasses.replace(filled, manifest=manifest))


def test_a_person_who_agreed_is_staged(filled: Project):
    consent = Consent("Mira", "2026-01-31", "training")
    manifest = dataclasses.replace(
        filled.manifest, subject=Subject(SubjectKind.PERSON, "", consent)
    )
    assert plan_layout(dataclasses.replace(filled, manifest=manifest)).folders


def test_advice_on_balance(filled: Project):
    sentences = " ".join(advise(filled, plan_layout(filled)))
    assert "3 pictures are few" in sentences
    project = with_repeats(filled, 1, 5)
    assert "0.1 to 1 instead of about 2 to 1" in " ".join(advise(project, plan_layout(project)))


def test_advice_without_primaries(filled: Project):
    (filled.source_dir / "primary" / "a.png").unlink()
    assert "No picture is primary" in " ".join(advise(filled, plan_layout(filled)))


def test_the_command_stages(filled: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["stage", str(filled.root), "--dry-run"]) == 0
    assert "5_Quillfox: 1 picture, 5 per epoch" in capsys.readouterr().out
    assert not filled.images_dir.exists()
    assert main(["stage", str(filled.root), "--json"]) == 0
    out, err = capsys.readouterr()
    assert '"name": "2_Quillfox"' in out
    assert "Next: loraloom caption" in err


@pytest.mark.parametrize("content", [b"null", b"[]", b'"a"', b"[" * 100_000, b"\xff\xfe", b""])
def test_a_damaged_record_is_named_and_stays(filled: Project, content: bytes):
    apply_layout(filled, plan_layout(filled))
    record = filled.images_dir / STAGED_NAME
    record.write_bytes(content)
    with pytest.raises(DamagedError, match=r"staged\.json is damaged.*\[LL260\]"):
        plan_layout(filled)
    assert record.read_bytes() == content
