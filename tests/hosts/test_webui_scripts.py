"""Always-on scripts on a real WebUI: LORALOOM_WEBUI_DIR names its folder.

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
from a1111_ext.cells import Cell, HttpBackend, Ledger, SourcePicture, pin_cell, plan_cells
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
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpBackend]:
    checkpoint, folder = named("LORALOOM_BASE_MODEL"), named("LORALOOM_WEBUI_DIR")
    data = make_data(tmp_path_factory.mktemp("data"), checkpoint)
    for name in ("Stamp", "Seal"):
        path = data / "extensions" / f"test-{name.lower()}" / "scripts" / f"{name.lower()}.py"
        path.parent.mkdir(parents=True)
        path.write_text(SCRIPT.replace("{name}", name), encoding="utf-8")
    with serving(folder, data) as server:
        opened = HttpBackend(Client(server.url))
        yield opened
        opened.close()


def cell(scripts: dict[str, list[Any]], **changes: Any) -> Cell:
    asked = {"prompt": "a fox", "seed": 1, "width": 128, "height": 128, "steps": 2}
    return Cell(**{**asked, "sampler": "Euler", "scripts": script_uses(scripts), **changes})


def fields_of(backend: HttpBackend, folder: Path, one: Cell) -> dict[str, str]:
    """Draw a cell as the engine does and return what its infotext says of the scripts."""
    pinned = pin_cell(one, backend.capabilities)
    with Ledger(folder / "cells.db", folder / "cells") as ledger:
        run(plan_cells([pinned]), ledger, [backend]).require_all()
        record = ledger.record(pinned.key)
    assert record is not None
    fields = parse_infotext(record.infotext).fields
    return {name: value for name, value in fields.items() if name.startswith(("Stamp", "Seal"))}


@pytest.mark.parametrize(
    ("scripts", "fields"),
    [
        ({}, {}),
        ({"Test Stamp": [False, "red", 1]}, {}),
        ({"test stamp": [True]}, {"Stamp word": "plain", "Stamp number": "3"}),
        ({"Test Stamp": [True, "a, b: c", 7]}, {"Stamp word": "a, b: c", "Stamp number": "7"}),
        (
            {"Test Stamp": [True, "one", 1], "Test Seal": [True, "two", 2]},
            {"Stamp word": "one", "Stamp number": "1", "Seal word": "two", "Seal number": "2"},
        ),
    ],
    ids=["none", "off", "defaults", "quoted", "two"],
)
def test_arguments_reach_their_script(backend, tmp_path: Path, scripts, fields):
    """A number that a script has by itself is 3.0 for gradio 3, and 3 for gradio 4."""
    found = fields_of(backend, tmp_path, cell(scripts))
    assert {name: text.removesuffix(".0") for name, text in found.items()} == fields


def test_scripts_reach_img2img_and_rows(backend, tmp_path: Path):
    png = backend.generate(pin_cell(cell({}), backend.capabilities)).png
    (tmp_path / "a.png").write_bytes(png)
    source = SourcePicture(str(tmp_path / "a.png"), hashlib.sha256(png).hexdigest(), 0.5)
    asked = {"Test Seal": [True, "two", 2]}
    expected = {"Seal word": "two", "Seal number": "2"}
    assert fields_of(backend, tmp_path, cell(asked, source=source)) == expected
    row = [pin_cell(cell(asked, seed=seed), backend.capabilities) for seed in (5, 6)]
    for generated in backend.generate_row(row):
        assert parse_infotext(generated.infotext).fields["Seal word"] == "two"


@pytest.mark.parametrize("name", ["ADetailer of nobody", "x/y/z plot"])
def test_a_missing_script_is_noticed_before(backend, name: str):
    """The WebUI itself refuses, with the first picture."""
    wrong = cell({name: [True]})
    with pytest.raises(ToolError, match="LL415"):
        pin_cell(wrong, backend.capabilities)
    with pytest.raises(ApiError, match=r"not found|selectable script") as caught:
        backend.generate(wrong)
    assert caught.value.status == 422
    assert "always-on script" in backend.lacks(wrong)


def test_too_many_arguments_are_noticed_before(backend):
    """The WebUI itself leaves out the rest without a word."""
    wrong = cell({"Test Stamp": [True, "one", 1, "more"]})
    with pytest.raises(ToolError, match=r"takes 3 arguments, 4 are given.*LL415"):
        pin_cell(wrong, backend.capabilities)
    assert "Stamp word: one" in backend.generate(wrong).infotext
