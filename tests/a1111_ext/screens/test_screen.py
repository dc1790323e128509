"""The page of the A1111 half, with a gradio that takes only what 3.41, 4, 5 and 6 all know."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_gradio import Component, FakeGradio

from a1111_ext.screens import page as screen
from a1111_ext.screens.shelf import read_shelf
from kohya_ext.project import apply_init, open_project, plan_init


@pytest.fixture
def gradio(monkeypatch: pytest.MonkeyPatch) -> FakeGradio:
    made = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", made.module)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two grids."""
    made = apply_init(plan_init(tmp_path / "fox", "Quillfox")).root
    for number, name in enumerate(("old", "new")):
        page = made / "grids" / name / "grid.html"
        page.parent.mkdir(parents=True)
        page.write_text("", encoding="utf-8")
        os.utime(page, (1_700_000_000 + number, 1_700_000_000 + number))
    return made


def by_label(gradio: FakeGradio, blocks: Component, label: str) -> Component:
    (found,) = (one for one in gradio.every(blocks) if one.options.get("label") == label)
    return found


def test_the_standalone_page_opens_the_project(gradio: FakeGradio, root: Path):
    with gradio.module.Blocks() as blocks:
        screen.build_page(str(root))
    assert by_label(gradio, blocks, "Folder").options["value"] == str(root)
    assert by_label(gradio, blocks, "Project").options["value"] == "fox"
    assert by_label(gradio, blocks, "Grid").options["value"].startswith("new (")
    assert '<iframe src="http://127.0.0.1:' in gradio.text(blocks)


def test_the_standalone_page_without_a_project_asks_for_one(gradio: FakeGradio):
    with gradio.module.Blocks() as blocks:
        screen.build_page("")
    assert by_label(gradio, blocks, "Project").options["value"] is None
    assert "Type the folder of a project" in gradio.text(blocks)


def in_host(gradio: FakeGradio, read: Any) -> Component:
    place = screen.ScreenHost(
        read, lambda file: f"/pages/{file.parent.name}/{file.name}", "Do this."
    )
    with gradio.module.Blocks() as blocks:
        screen.build(place)(blocks)
    return blocks


def test_inside_a_host_nothing_is_read_at_its_start(gradio: FakeGradio):
    def read(folder: str) -> Any:
        raise AssertionError("the disk was read")

    blocks = in_host(gradio, read)
    assert by_label(gradio, blocks, "Folder").options["visible"] is False
    assert by_label(gradio, blocks, "Project").options["choices"] == []
    assert gradio.text(blocks).strip() == ""


def test_loading_the_hosts_page_fills_ours(gradio: FakeGradio, root: Path):
    blocks = in_host(gradio, lambda folder: read_shelf([root]))
    (load,) = blocks.handlers
    project, grid, facts, frame = load.function("", None, None)
    assert (project["value"], project["choices"]) == ("fox", ["fox"])
    assert grid["value"].startswith("new (")
    assert "Quillfox" in facts
    assert '<iframe src="/pages/new/grid.html"' in frame


def test_a_slow_browser_shows_no_error_at_the_first_opening(gradio: FakeGradio, root: Path):
    """Past 5 seconds gradio's queue hangs up; seen in A1111 with a processor slowed sixfold."""
    (load,) = in_host(gradio, lambda folder: read_shelf([root])).handlers
    assert load.queue is False


def test_choosing_another_grid_shows_it(gradio: FakeGradio, root: Path):
    blocks = in_host(gradio, lambda folder: read_shelf([root]))
    (chosen,) = by_label(gradio, blocks, "Project").handlers
    old = chosen.function("", "fox", None)[0]["choices"][1]
    (chosen,) = by_label(gradio, blocks, "Grid").handlers
    facts, frame = chosen.function("", "fox", old)
    assert "Quillfox" in facts
    assert '<iframe src="/pages/old/grid.html"' in frame


def test_a_list_is_let_go_before_it_is_filled_again(gradio: FakeGradio, root: Path):
    """gradio 4 marks a line by its number in the old list: the new one there cannot be chosen."""
    blocks = in_host(gradio, lambda folder: read_shelf([root]))
    (button,) = (one for one in gradio.every(blocks) if one.kind == "Button")
    let_go, fill = button.handlers
    assert let_go.function("fox", "old (1)") == ["fox", "old (1)", {"value": None}, {"value": None}]
    assert let_go.outputs[:2] == fill.inputs[1:]
    assert let_go.outputs[2:] == fill.outputs[:2] == let_go.inputs
    for label in ("Project", "Grid"):
        box = by_label(gradio, blocks, label)
        assert all(one is not box for handler in box.handlers for one in handler.outputs)


def test_an_empty_list_says_so(gradio: FakeGradio, tmp_path: Path):
    """gradio 6 continues showing the old choice when a list becomes empty."""
    blocks = in_host(gradio, lambda folder: read_shelf([], tmp_path))
    (load,) = blocks.handlers
    _, grid, _, frame = load.function("", "gone", "gone")
    assert (grid["choices"], grid["value"], frame) == (["none yet"], "none yet", "")


def test_what_goes_wrong_is_shown_in_its_place(
    gradio: FakeGradio, caplog: pytest.LogCaptureFixture
):
    def read(folder: str) -> Any:
        raise PermissionError("the shelf is locked")

    blocks = in_host(gradio, read)
    (load,) = blocks.handlers
    facts = load.function("", None, None)[2]
    assert 'role="alert"' in facts
    assert "PermissionError: the shelf is locked" in facts
    assert "the projects could not be shown" in caplog.text


def test_a1111_keeps_none_of_our_boxes_as_default(gradio: FakeGradio, root: Path):
    """Its ui-config.json would show the first grid it ever saw, for ever."""
    blocks = in_host(gradio, lambda folder: read_shelf([root]))
    kinds = ("Textbox", "Dropdown", "Button")
    boxes = [one for one in gradio.every(blocks) if one.kind in kinds]
    assert len(boxes) == 4
    assert all(one.do_not_save_to_config for one in boxes)


def test_a_promoted_project_has_its_review_in_the_page(gradio: FakeGradio, root: Path):
    with gradio.module.Blocks() as blocks:
        screen.build_page(str(root))
    assert "Draw, review, upscale, select and publish" not in gradio.text(blocks)
    open_project(root).journal.append("promote", name="quillfox-v1", hash="")
    with gradio.module.Blocks() as blocks:
        screen.build_page(str(root))
    shown = gradio.text(blocks)
    assert "Draw, review, upscale, select and publish the showcase" in shown
    assert 'title="Review"' in shown


def test_the_board_of_a_project_is_in_the_page(gradio: FakeGradio, root: Path):
    (root / "source").mkdir()
    with gradio.module.Blocks() as blocks:
        screen.build_page(str(root))
    shown = gradio.text(blocks)
    assert "Sort and caption the training pictures" in shown
    assert re.search(r'<iframe src="http://127\.0\.0\.1:\d+/[\w-]+/board\.html"', shown)
