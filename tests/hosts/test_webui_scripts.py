"""Always-on scripts on a real WebUI: LORALOOM_WEBUI_DIR names its folder, as for the door's checks.

Two small scripts of our own write what reached them into the infotext; they are put into the
WebUI's data folder for the length of the checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a1111_server import make_data, named, serving

from a1111_ext.api.client import ApiError, Client
from a1111_ext.api.infotext import parse_infotext
from a1111_ext.cells import Cell, Ledger, SourcePicture, WebuiPainter, pin_cell, plan_cells
from a1111_ext.cells import run_cells as run
from a1111_ext.cells.cell import script_uses
from kohya_ext.project import ToolError

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

SCRIPT = """
import gradio as gr
from modules import scripts

class Stamp(scripts.Script):
    def title(self):
        return "Test {name}"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        box = gr.Checkbox(False, label="Enable")
        return [box, gr.Textbox("plain", label="Word"), gr.Number(3, label="Number")]

    def process(self, p, enabled, word, number):
        if enabled:
            p.extra_generation_params["{name} word"] = word
            p.extra_generation_params["{name} number"] = number
"""


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebuiPainter]:
    checkpoint, folder = named("LORALOOM_BASE_MODEL"), named("LORALOOM_WEBUI_DIR")
    data = make_data(tmp_path_factory.mktemp("data"), checkpoint)
    for name in ("Stamp", "Seal"):
        path = data / "extensions" / f"test-{name.lower()}" / "scripts" / f"{name.lower()}.py"
        path.parent.mkdir(parents=True)
        path.write_text(SCRIPT.replace("{name}", name), encoding="utf-8")
    with serving(folder, data) as server:
        opened = WebuiPainter(Client(server.url))
        yield opened
        opened.close()


def cell(scripts: dict[str, list[Any]], **changes: Any) -> Cell:
    asked = {"prompt": "a fox", "seed": 1, "width": 128, "height": 128, "steps": 2}
    return Cell(**{**asked, "sampler": "Euler", "scripts": script_uses(scripts), **changes})


def fields_of(painter: WebuiPainter, folder: Path, one: Cell) -> dict[str, str]:
    """Draw a cell as the engine does and return what its infotext says of the scripts."""
    pinned = pin_cell(one, painter.capabilities)
    with Ledger(folder / "cells.db", folder / "cells") as ledger:
        run(plan_cells([pinned]), ledger, [painter]).require_all()
        record = ledger.record(pinned.key)
    assert record is not None
    fields = parse_infotext(record.infotext).fields
    return {name: value for name, value in fields.items() if name.startswith(("Stamp", "Seal"))}


@pytest.mark.parametrize(
    ("scripts", "fields"),
    [
        ({}, {}),
        ({"Test Stamp": [False, "red", 1]}, {}),
        ({"test stamp": [True]}, {"Stamp word": "plain", "Stamp number": "3.0"}),
        ({"Test Stamp": [True, "a, b: c", 7]}, {"Stamp word": "a, b: c", "Stamp number": "7"}),
        (
            {"Test Stamp": [True, "one", 1], "Test Seal": [True, "two", 2]},
            {"Stamp word": "one", "Stamp number": "1", "Seal word": "two", "Seal number": "2"},
        ),
    ],
    ids=["none", "off", "defaults", "quoted", "two"],
)
def test_arguments_reach_their_script(painter, tmp_path: Path, scripts, fields):
    assert fields_of(painter, tmp_path, cell(scripts)) == fields


def test_scripts_reach_img2img_and_rows(painter, tmp_path: Path):
    png = painter.paint(pin_cell(cell({}), painter.capabilities)).png
    (tmp_path / "a.png").write_bytes(png)
    source = SourcePicture(str(tmp_path / "a.png"), hashlib.sha256(png).hexdigest(), 0.5)
    asked = {"Test Seal": [True, "two", 2]}
    expected = {"Seal word": "two", "Seal number": "2"}
    assert fields_of(painter, tmp_path, cell(asked, source=source)) == expected
    row = [pin_cell(cell(asked, seed=seed), painter.capabilities) for seed in (5, 6)]
    for painted in painter.paint_row(row):
        assert parse_infotext(painted.infotext).fields["Seal word"] == "two"


@pytest.mark.parametrize("name", ["ADetailer of nobody", "x/y/z plot"])
def test_a_missing_script_is_noticed_before(painter, name: str):
    """The WebUI itself refuses, with the first picture."""
    wrong = cell({name: [True]})
    with pytest.raises(ToolError, match="LL415"):
        pin_cell(wrong, painter.capabilities)
    with pytest.raises(ApiError, match=r"not found|selectable script") as caught:
        painter.paint(wrong)
    assert caught.value.status == 422
    assert "always-on script" in painter.lacks(wrong)


def test_too_many_arguments_are_noticed_before(painter):
    """The WebUI itself leaves out the rest without a word."""
    wrong = cell({"Test Stamp": [True, "one", 1, "more"]})
    with pytest.raises(ToolError, match=r"takes 3 arguments, 4 are given.*LL415"):
        pin_cell(wrong, painter.capabilities)
    assert "Stamp word: one" in painter.paint(wrong).infotext
