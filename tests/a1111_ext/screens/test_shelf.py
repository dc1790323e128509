"""The projects and their grids, as the tab and the routes list them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.screens import markup
from a1111_ext.screens.projects import find_projects
from a1111_ext.screens.shelf import OWN_LABEL, choose, read_shelf
from kohya_ext.project import Project, apply_init, plan_init

WHERE = "Choose it in Settings."


def add_grid(root: Path, name: str, *, at: int = 1_700_000_000, sheet: bool = True) -> Path:
    """Keep a page, and a sheet beside it, that are as old as `at` says."""
    folder = root / "grids" / name
    folder.mkdir(parents=True)
    page = folder / "grid.html"
    page.write_text("<p>a page</p>", encoding="utf-8")
    os.utime(page, (at, at))
    if sheet:
        (folder / "sheet.png").write_bytes(b"\x89PNG")
    return page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two projects, one with epochs and two grids, and a folder that is none."""
    root = tmp_path / "my loras"
    fox = apply_init(plan_init(root / "fox", "Quillfox"))
    apply_init(plan_init(root / "Heron", "Heron"))
    (root / "notes").mkdir()
    save_lora(fox.model_dir, "Quillfox-000001", epoch=1)
    save_lora(fox.model_dir, "Quillfox-000002", epoch=2)
    fox.journal.append("promote", name="Quillfox-v1")
    add_grid(fox.root, "old", at=1_700_000_000)
    add_grid(fox.root, "new", at=1_800_000_000, sheet=False)
    return root


def test_projects_are_found_by_name(folder: Path):
    fox, heron = find_projects([folder, folder / "fox", folder / "gone"])
    assert (fox.name, heron.name) == ("fox", "Heron")
    assert (fox.trigger_word, fox.epoch_files, fox.promoted) == ("Quillfox", 2, "Quillfox-v1")
    assert [one.name for one in fox.grids] == ["new", "old"]
    assert (heron.epoch_files, heron.promoted, heron.grids) == (0, "", ())


def test_projects_are_plain_values(folder: Path):
    (fox, _) = find_projects([folder])
    values = json.loads(json.dumps(fox.as_dict()))
    assert values["root"] == str(fox.root)
    assert [bool(one["sheet"]) for one in values["grids"]] == [False, True]


def test_a_damaged_project_is_a_row_that_says_why(folder: Path):
    (folder / "fox" / "lora-project.yaml").write_text("trigger_word: [", encoding="utf-8")
    row = find_projects([folder])[0]
    assert "LL102" in row.problem
    choice = choose(read_shelf([folder]), "fox", None)
    assert 'role="alert"' in markup.facts(choice, WHERE)


@pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")
def test_a_link_out_of_the_folders_is_reported_and_not_followed(folder: Path, tmp_path: Path):
    secret = apply_init(plan_init(tmp_path / "secret", "Secret")).root
    add_grid(secret, "new")
    (folder / "a link").symlink_to(secret)
    (folder / "same").symlink_to(folder / "fox")
    row, *others = find_projects([folder])
    assert (row.name, row.trigger_word, row.grids) == ("a link", "", ())
    assert "a link" in row.problem
    assert str(secret) in row.problem
    assert [one.name for one in others] == ["fox", "Heron"]
    assert [len(one.grids) for one in read_shelf([folder]).entries] == [0, 2, 0]
    assert read_shelf([secret]).entries[0].grids


def test_the_newest_grid_is_shown_first(folder: Path, tmp_path: Path):
    shelf = read_shelf([folder], tmp_path / "own")
    assert shelf.labels == ("fox", "Heron", OWN_LABEL)
    choice = choose(shelf, None, None)
    assert choice.label == "fox"
    assert choice.grid is not None
    assert choice.grid.name == "new"
    assert choice.grid_labels == tuple(one.label for one in choice.entry.grids)


def test_another_grid_can_be_chosen(folder: Path):
    shelf = read_shelf([folder])
    old = choose(shelf, "fox", None).grid_labels[1]
    chosen = choose(shelf, "fox", old)
    assert chosen.grid is not None
    assert chosen.grid.name == "old"
    assert choose(shelf, "Heron", old).grid is None


def test_a_word_that_is_gone_leads_to_the_first(folder: Path):
    assert choose(read_shelf([folder]), "no such project", "no such grid").label == "fox"


def test_a_chosen_project_that_is_gone_is_named(folder: Path):
    for there in (None, "", "fox", "Heron"):
        assert markup.gone(choose(read_shelf([folder]), there, None)) == ""
    (folder / "fox").rename(folder / "vixen")
    said = markup.gone(choose(read_shelf([folder]), "fox", None))
    assert "The project &quot;fox&quot; is no longer in these folders" in said
    assert "Heron is shown instead." in said


def test_projects_of_one_name_have_their_folder_in_the_label(folder: Path, tmp_path: Path):
    other = tmp_path / "other"
    apply_init(plan_init(other / "fox", "Quillfox"))
    labels = read_shelf([folder, other]).labels
    assert labels == (f"fox ({folder})", f"fox ({other})", "Heron") or labels == (
        f"fox ({other})",
        f"fox ({folder})",
        "Heron",
    )


def test_an_empty_shelf_tells_how_to_fill_it(tmp_path: Path):
    choice = choose(read_shelf([tmp_path / "gone"]), None, None)
    assert (choice.labels, choice.grid_labels, choice.grid) == ((), (), None)
    assert (
        markup.facts(choice, WHERE) == f"<p>There is no project in these folders yet. {WHERE}</p>"
    )
    assert markup.frame(choice, "", "") == ""


def test_a_webui_without_projects_tells_both_ways(tmp_path: Path):
    text = markup.facts(choose(read_shelf([], tmp_path), None, None), WHERE)
    assert "<b>LoRA epoch grid</b>" in text
    assert WHERE in text


def test_facts_of_a_project(folder: Path):
    shelf = read_shelf([folder])
    text = markup.facts(choose(shelf, "fox", None), WHERE)
    assert "<b>Trigger word</b></td>" in text
    assert ">Quillfox-v1</td>" in text
    assert "none yet; train first" in markup.facts(choose(shelf, "Heron", None), WHERE)


def test_names_of_files_cannot_become_markup(project: Project):
    add_grid(project.root, "a&b'c")
    choice = choose(read_shelf([project.root]), None, None)
    text = markup.frame(choice, '/x?a=1&b="2"', "/sheet")
    assert "a&amp;b&#x27;c" in text
    assert '"/x?a=1&amp;b=&quot;2&quot;"' in text
    assert "&lt;script&gt;" in markup.problem("<script>")
