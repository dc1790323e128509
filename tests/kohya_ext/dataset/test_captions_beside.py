"""Captions beside pictures are imported; numbered folders give roles and repeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from kohya_ext.captions.edits import CaptionEdit, EditBook
from kohya_ext.cli import main
from kohya_ext.dataset.captions_beside import CaptionFinder, as_line
from kohya_ext.dataset.intake import apply_import, plan_import, read_index
from kohya_ext.dataset.roles_csv import Role
from kohya_ext.project import Project


def draw(path: Path, colour: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, colour in enumerate(("red", "green", "blue", "white")):
        draw(tmp_path / "collected" / f"p{number}.png", colour)
    return tmp_path / "collected"


def edits(project: Project) -> dict[str, str]:
    book = EditBook(project)
    stems = sorted(place.stem for place in read_index(project).values())
    found = {stem: book.find(stem) for stem in stems}
    return {stem: edit.text for stem, edit in found.items() if edit}


def take_in(project: Project, folder: Path) -> dict[str, str]:
    apply_import(project, plan_import(project, folder))
    return edits(project)


@pytest.mark.parametrize("suffix", [".txt", ".caption", ".cap", ".TXT", ".png.txt"])
def test_a_caption_file_comes_in(project: Project, folder: Path, suffix: str):
    write(folder / f"p0{suffix}", "\ufeffphoto of Quillfox, sky\n")
    assert take_in(project, folder) == {"p0": "photo of Quillfox, sky"}


def test_a_metadata_csv_comes_in(project: Project, folder: Path):
    draw(folder / "deep" / "q.png", "black")
    write(folder / "metadata.csv", 'file_name,text\r\np0.png,"a fox, asleep"\r\ndeep/q.png,two\r\n')
    assert take_in(project, folder) == {"p0": "a fox, asleep", "q": "two"}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "p0.png", "text": "a fox"}\n{"file',
            "in line 2, it is not",
        ),
        ("meta_cap.json", '{"p0": {"caption": ', "it is not valid JSON"),
        ("metadata.csv", 'file_name,text\np0.png,"a fox', "it is not valid CSV"),
    ],
)
def test_a_damaged_list_is_named(project: Project, folder: Path, name: str, text: str, why: str):
    write(folder / name, text)
    ((path, reported),) = plan_import(project, folder).captions.unread
    assert path.name == name
    assert reported.startswith(why)


def test_a_metadata_jsonl_comes_in(project: Project, folder: Path):
    draw(folder / "deep" / "q.png", "black")
    rows = [{"file_name": "p0.png", "text": "a fox"}, {"file_name": "deep/q.png", "prompt": "two"}]
    write(folder / "metadata.jsonl", "\n".join(map(json.dumps, rows)) + "\nnot json\n")
    assert take_in(project, folder) == {"p0": "a fox", "q": "two"}


def test_a_metadata_json_of_the_trainer_comes_in(project: Project, folder: Path):
    data = {
        "C:\\pictures\\p0": {"caption": "a fox", "tags": "red, sky"},
        "p1": {"tags": "green"},
        "p2": {"train_resolution": [512, 512]},
    }
    write(folder / "meta_cap.json", json.dumps(data))
    write(folder / "training.json", json.dumps({"network_dim": 8, "list": [1]}))
    assert take_in(project, folder) == {"p0": "a fox, red, sky", "p1": "green"}


def test_a_file_beside_takes_precedence_over_a_list(project: Project, folder: Path):
    write(folder / "metadata.jsonl", json.dumps({"file_name": "p0.png", "text": "list"}))
    write(folder / "p0.txt", "file")
    assert take_in(project, folder) == {"p0": "file"}


def test_an_edit_made_here_is_never_overwritten(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
):
    take_in(project, folder)
    EditBook(project).save({"p0": CaptionEdit(text="mine")}, "board")
    write(folder / "p0.txt", "theirs")
    plan = plan_import(project, folder)
    assert [one.text for one in plan.captions.kept_out.values()] == ["theirs"]
    assert main(["import", str(project.root), str(folder)]) == 0
    assert "theirs" in capsys.readouterr().err
    assert edits(project) == {"p0": "mine"}


def test_a_changed_file_changes_what_came_from_it(project: Project, folder: Path):
    write(folder / "p0.txt", "before")
    take_in(project, folder)
    write(folder / "p0.txt", "after")
    assert take_in(project, folder) == {"p0": "after"}
    assert plan_import(project, folder).captions.new == {}


def test_captions_that_cannot_be_read_are_named(
    project: Project, folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "p0.txt").write_bytes(b"\xff\xff\xe4")
    write(folder / "p1.txt", "wide", "utf-16")
    write(folder / "p2.txt", " \n")
    assert main(["import", str(project.root), str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)["captions"]
    assert (list(found["new"].values()), found["unread"]) == (["wide"], [str(folder / "p0.txt")])
    assert "not UTF-8 or UTF-16 text" in err
    assert edits(project) == {"p1": "wide"}


def test_import_counts_captions(project: Project, folder: Path, capsys: pytest.CaptureFixture[str]):
    write(folder / "p0.txt", "a fox")
    assert main(["import", str(project.root), str(folder), "--dry-run"]) == 0
    assert "1 caption would be imported as written by hand" in capsys.readouterr().out
    assert edits(project) == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a fox\n", "a fox"),
        ("fox\nred\n\nsky", "fox, red, sky"),
        ("A fox runs.\nIt is red,\nand small", "A fox runs. It is red, and small"),
        ("", ""),
    ],
)
def test_several_lines_become_one(text: str, line: str):
    assert as_line(text) == line


def test_a_list_above_is_found_from_below(tmp_path: Path):
    picture = draw(tmp_path / "a" / "b" / "c.png", "red")
    write(tmp_path / "metadata.jsonl", json.dumps({"file_name": "a/b/c.png", "text": "deep"}))
    found = CaptionFinder(tmp_path, ".txt").find(picture)
    assert found is not None
    assert found.text == "deep"


def test_numbered_folders_give_roles(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "train"
    draw(folder / "10_quillfox" / "a.png", "red")
    draw(folder / "10_quillfox" / "b.png", "green")
    draw(folder / "3_quillfox fox" / "c.png", "blue")
    draw(folder / "0_left out" / "d.png", "white")
    draw(folder / "supporting" / "9_x" / "e.png", "black")
    draw(folder / "2026_holiday" / "f.png", "yellow")
    plan = plan_import(project, folder)
    roles = {one.origin.name: one.role for one in plan.new}
    assert roles == {
        "a.png": Role.PRIMARY,
        "b.png": Role.PRIMARY,
        "c.png": Role.SUPPORTING,
        "d.png": Role.OUT,
        "e.png": Role.SUPPORTING,
        "f.png": Role.SUPPORTING,
    }
    assert main(["import", str(project.root), str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    rows = {one["name"]: one for one in json.loads(out)["folders"]}
    assert (rows["10_quillfox"]["repeats"], rows["10_quillfox"]["pictures"]) == (10, 2)
    assert "here 5: write dataset.repeats.primary: 10" in err


@pytest.mark.parametrize(("repeats", "role"), [(2, Role.SUPPORTING), (7, Role.PRIMARY)])
def test_one_number_alone(project: Project, tmp_path: Path, repeats: int, role: Role):
    draw(tmp_path / "train" / f"{repeats}_fox" / "a.png", "red")
    plan = plan_import(project, tmp_path / "train")
    assert [one.role for one in plan.new] == [role]
