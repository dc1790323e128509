"""Model files that are replaced under their names: what they change is drawn again, and only that.

The simulated WebUI knows checkpoints as A1111 does: by their dates, and as long as they are loaded.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from drawing import AT_ONCE, cell, only_reason

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HttpBackend,
    Ledger,
    RunReport,
    pin_cell,
    plan_cells,
    run_cells,
)
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError

NAME = "simulated-a"
FOX = cell(checkpoint=CheckpointPin(f"{NAME}.safetensors"))


def put(webui: SimulatedWebui, content: str, days_ago: float = 0.0) -> Path:
    """Put a checkpoint in the place of another: its date is now, or that of an older file."""
    path = webui.host.files.path(NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name("beside")
    beside.write_text(content, encoding="utf-8")
    date = time.time() - days_ago * 86400
    os.utime(beside, (date, date))
    beside.replace(path)
    return path


@pytest.fixture
def on_disk(webui: SimulatedWebui) -> SimulatedWebui:
    """A WebUI whose loaded checkpoint is a file, a day old."""
    put(webui, "old", days_ago=1)
    webui.host.files.load(NAME)
    webui.host._data["sd_model_checkpoint"] = webui.host._title(NAME)
    return webui


def draw(webui: SimulatedWebui, ledger: Ledger, *cells: Cell) -> RunReport:
    """Draw as a command does: it asks the WebUI what it has, and pins the cells to that."""
    client = Client(webui.url)
    found = fetch_hashed(client, fetch_capabilities(client), *(c.checkpoint.title for c in cells))
    backend = HttpBackend(client, found, startup_seconds=0.0)
    plan = plan_cells(pin_cell(one, found) for one in cells)
    try:
        return run_cells(plan, ledger, [backend], patience=AT_ONCE)
    finally:
        backend.close()


def counts(report: RunReport) -> tuple[int, int, int]:
    return report.drawn, report.known, len(report.failed)


@pytest.mark.parametrize("title", ["", f"{NAME}.safetensors"], ids=["loaded", "named"])
def test_a_replaced_checkpoint_is_drawn_again(on_disk, ledger, title: str):
    """Its WebUI has the earlier file loaded, and has not looked at its folder since."""
    one = replace(FOX, checkpoint=CheckpointPin(title))
    assert counts(draw(on_disk, ledger, one)) == (1, 0, 0)
    put(on_disk, "new")
    assert counts(draw(on_disk, ledger, one)) == (1, 0, 0)
    assert len(set(ledger.pixels().values())) == 2
    assert counts(draw(on_disk, ledger, one, replace(one, seed=2))) == (1, 1, 0)
    put(on_disk, "old")
    assert counts(draw(on_disk, ledger, one)) == (0, 1, 0)


def test_other_checkpoints_are_kept(on_disk, ledger):
    other = replace(FOX, checkpoint=CheckpointPin("simulated-b"))
    draw(on_disk, ledger, FOX, other)
    put(on_disk, "new")
    assert counts(draw(on_disk, ledger, FOX, other)) == (1, 1, 0)


def test_settings_are_put_back_under_the_new_hash(on_disk, ledger):
    """A1111 refuses to be set to a title with the earlier hash, which its own setting still has."""
    draw(on_disk, ledger, FOX)
    put(on_disk, "new")
    draw(on_disk, ledger, FOX)
    assert on_disk.host.options()["sd_model_checkpoint"].startswith(f"{NAME}.safetensors")
    assert on_disk.host._loaded == NAME


def test_an_older_date_is_refused(on_disk, ledger):
    """A1111 goes by dates: it would write the hash of the file before."""
    draw(on_disk, ledger, FOX)
    put(on_disk, "older", days_ago=30)
    with pytest.raises(ToolError, match=r"simulated-a\.safetensors is another one .*LL427"):
        draw(on_disk, ledger, FOX)
    put(on_disk, "older")
    assert counts(draw(on_disk, ledger, FOX)) == (1, 0, 0)


def test_the_only_checkpoint_stays_loaded(on_disk, ledger):
    on_disk.host.checkpoints = (NAME,)
    draw(on_disk, ledger, FOX)
    put(on_disk, "new")
    reason = only_reason(draw(on_disk, ledger, FOX))
    assert "which the WebUI keeps loaded; restart the WebUI" in reason
    assert len(ledger.done_keys()) == 1
