"""Model files replaced under their names on a real WebUI: LORALOOM_WEBUI_URL names it, here.

LORALOOM_BASE_MODEL is a checkpoint in its folder; another one lies beside it. Files are put into
its folders for a moment, and taken out again.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from a1111_ext.api.client import ApiError, Client
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
    with_loras,
)
from kohya_ext.project import ToolError

from .conftest import named

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
NAME = "loraloom-live-check"
SMALL = Cell("a fox", 1, width=64, height=64, steps=1, sampler="Euler")


@pytest.fixture
def base() -> Path:
    return Path(named("LORALOOM_BASE_MODEL"))


@pytest.fixture
def other(live_webui: Client, base: Path) -> Path:
    """Another checkpoint of the same folder."""
    rows = fetch_capabilities(live_webui).checkpoints
    paths = [Path(one.path) for one in rows if Path(one.path).name != base.name]
    if not paths or not paths[0].is_file():
        pytest.skip("it has no second checkpoint on this machine")
    return paths[0]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


def put(source: Path, target: Path, days_ago: float = 0.0) -> None:
    """Put a file in the place of another, as a download does."""
    beside = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, beside)
    date = time.time() - days_ago * 86400
    os.utime(beside, (date, date))
    beside.replace(target)


def refresh(client: Client) -> None:
    for what in ("checkpoints", "vae", "loras", "embeddings"):
        with suppress(ApiError):  # Forge has no route for VAEs
            client.post(f"/sdapi/v1/refresh-{what}", seconds=120)


def draw(client: Client, ledger: Ledger, *cells: Cell) -> RunReport:
    """Draw as a command does: it asks the WebUI what it has, and pins the cells to that."""
    titles = dict.fromkeys(one.checkpoint.title for one in cells)
    found = fetch_hashed(client, fetch_capabilities(client), *titles)
    backend = HttpBackend(client.another(), found)
    try:
        plan = plan_cells(pin_cell(with_loras(one, {}), found) for one in cells)
        return run_cells(plan, ledger, [backend])
    finally:
        backend.close()


def counts(report: RunReport) -> tuple[int, int, int]:
    assert not report.failed, report.failed
    return report.drawn, report.known, len(report.failed)


def pixels(client: Client, folder: Path, cell: Cell) -> set[str]:
    """Draw without any ledger of before: what the picture is in truth."""
    with Ledger(folder / "truth.db", folder / "truth") as ledger:
        draw(client, ledger, cell).require_all()
        return set(ledger.pixels().values())


@pytest.fixture
def swapped(live_webui: Client, base: Path, other: Path) -> Iterator[Path]:
    """A checkpoint of our own that is the WebUI's own setting, and loaded.

    Its name is new, since the WebUI remembers hashes by names and dates.
    """
    path = other.with_name(f"{NAME}-{secrets.token_hex(4)}.safetensors")
    before = fetch_capabilities(live_webui).loaded
    put(base, path, days_ago=2)
    for one in (base, other):
        if one.with_suffix(".yaml").is_file():
            shutil.copyfile(one.with_suffix(".yaml"), path.with_suffix(".yaml"))
    refresh(live_webui)
    live_webui.post("/sdapi/v1/options", {"sd_model_checkpoint": path.name}, seconds=600)
    try:
        yield path
    finally:
        live_webui.post("/sdapi/v1/options", {"sd_model_checkpoint": before}, seconds=600)
        path.unlink()
        path.with_suffix(".yaml").unlink(missing_ok=True)
        refresh(live_webui)


@pytest.mark.parametrize("is_named", [False, True], ids=["loaded", "named"])
@pytest.mark.parametrize("seen", [False, True], ids=["not refreshed", "refreshed"])
def test_a_replaced_checkpoint_is_drawn_again(
    live_webui: Client,
    ledger: Ledger,
    swapped: Path,
    other: Path,
    is_named: bool,
    seen: bool,
    tmp_path: Path,
):
    """It is loaded, and stays so: the WebUI itself would continue drawing with the earlier file."""
    cell = replace(SMALL, checkpoint=CheckpointPin(swapped.name if is_named else ""))
    beside = replace(SMALL, checkpoint=CheckpointPin(other.name))
    assert counts(draw(live_webui, ledger, cell, beside)) == (2, 0, 0)
    put(other, swapped, days_ago=1)
    if seen:
        refresh(live_webui)
    assert counts(draw(live_webui, ledger, cell, beside)) == (1, 1, 0)
    truth = pixels(live_webui, tmp_path, beside)
    assert truth < set(ledger.pixels().values())
    assert len(set(ledger.pixels().values())) == 2
    assert counts(draw(live_webui, ledger, cell, replace(cell, seed=2))) == (1, 1, 0)
    loaded = live_webui.get("/sdapi/v1/options")["sd_model_checkpoint"]
    assert loaded.startswith(swapped.name)


def test_a_checkpoint_with_an_older_date_is_refused(
    live_webui: Client, ledger: Ledger, swapped: Path, base: Path, other: Path
):
    """A1111 keeps the hash of the file before, and would write it into every picture."""
    if fetch_capabilities(live_webui).is_forge:
        pytest.skip("Forge's list is hashed here")
    cell = replace(SMALL, checkpoint=CheckpointPin(swapped.name))
    draw(live_webui, ledger, cell).require_all()
    put(other, swapped, days_ago=30)
    with pytest.raises(ToolError, match="LL427"):
        draw(live_webui, ledger, cell)
    put(other, swapped)
    assert counts(draw(live_webui, ledger, cell)) == (1, 0, 0)
