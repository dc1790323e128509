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
from PIL import Image

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities, fetch_hashed
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HiresFix,
    HttpBackend,
    Ledger,
    RunReport,
    pin_cell,
    plan_cells,
    run_cells,
)
from a1111_ext.cells.cell import SourcePicture
from a1111_ext.cells.model_files import know_first_files
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError
from kohya_ext.project.files import sha256_of

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


# -- files that requests go by the names of ---------------------------------------------------


VAE = cell(vae="soft.pt")
NET = cell(prompt="a fox <hypernet:moss:1>")
HIRES = cell(hires_fix=HiresFix("R-ESRGAN 4x+", 2.0, 0.5))
UPSCALED = cell(
    source=SourcePicture("", "", 0.4),
    override_settings_json='{"upscaler_for_img2img": "R-ESRGAN 4x+"}',
)
NAMED = {
    "VAE": ("VAE/soft.pt", VAE),
    "hypernetwork": ("hypernetworks/moss.pt", NET),
    "upscaler": ("ESRGAN/R-ESRGAN 4x+.pth", HIRES),
    "upscaler of a finished picture": ("ESRGAN/R-ESRGAN 4x+.pth", UPSCALED),
}


def put_model(webui: SimulatedWebui, place: str, content: str) -> Path:
    path = webui.host.folder / "models" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def draw_again(webui: SimulatedWebui, ledger: Ledger, *cells: Cell) -> RunReport:
    """Draw as another command does, with what the ledger knows of files."""
    client = Client(webui.url)
    backend = HttpBackend(client, know_first_files(fetch_capabilities(client), ledger))
    plan = plan_cells(pin_cell(one, backend.capabilities) for one in cells)
    try:
        return run_cells(plan, ledger, [backend], patience=AT_ONCE)
    finally:
        backend.close()


@pytest.fixture
def source(tmp_path: Path) -> SourcePicture:
    path = tmp_path / "small.png"
    Image.effect_noise((64, 64), 50).save(path)
    return SourcePicture(str(path), "", 0.4)


@pytest.mark.parametrize("kind", NAMED)
def test_what_a_replaced_file_changes_is_drawn_again(webui, ledger, kind: str, source):
    """Only that; and the file of before brings its pictures back."""
    place, one = NAMED[kind]
    one = replace(one, source=source) if one.source else one
    put_model(webui, place, "old")
    other = cell(seed=9)
    assert counts(draw_again(webui, ledger, one, other)) == (2, 0, 0)
    before = set(ledger.pixels().values())
    put_model(webui, place, "new")
    assert counts(draw_again(webui, ledger, one, other)) == (1, 1, 0)
    assert len(set(ledger.pixels().values()) - before) == 1
    assert counts(draw_again(webui, ledger, one, replace(one, seed=2), other)) == (1, 2, 0)
    put_model(webui, place, "old")
    assert counts(draw_again(webui, ledger, one, other)) == (0, 2, 0)


@pytest.mark.parametrize("kind", NAMED)
def test_keys_of_before_stay(webui, ledger, kind: str, source):
    """A file that a ledger meets first is in no key: older versions knew the name only."""
    place, one = NAMED[kind]
    one = replace(one, source=source) if one.source else one
    put_model(webui, place, "old")
    draw_again(webui, ledger, one)
    found = fetch_capabilities(Client(webui.url))
    assert ledger.done_keys() == {replace(pin_cell(one, found), files=()).key}


@pytest.mark.parametrize("kind", NAMED)
def test_a_file_that_is_replaced_while_it_is_drawn_with(webui, ledger, kind: str, source):
    """The picture is of the one or of the other, and says nothing of it."""
    place, one = NAMED[kind]
    one = replace(one, source=source) if one.source else one
    put_model(webui, place, "old")
    webui.host.faults.before = lambda body: (
        put_model(webui, place, "newer") if body.get("send_images") else None
    )
    report = draw_again(webui, ledger, one, replace(one, seed=2))
    assert counts(report) == (0, 0, 2)
    name = f"{kind.partition(' ')[0]} {Path(place).stem}"
    reasons = {reason for _, reason in report.failed}
    assert len(reasons) == 1
    assert name in reasons.pop()
    webui.host.faults.before = lambda body: None
    assert counts(draw_again(webui, ledger, one, replace(one, seed=2))) == (2, 0, 0)


def test_a_lost_ledger_takes_up_no_picture_of_another_file(webui, tmp_path):
    """Its pictures are there, but nobody knows which of them are of which file."""
    put_model(webui, "VAE/soft.pt", "old")
    with Ledger(tmp_path / "one.db", tmp_path / "cells") as ledger:
        draw_again(webui, ledger, VAE, cell())
    put_model(webui, "VAE/soft.pt", "new")
    with Ledger(tmp_path / "two.db", tmp_path / "cells") as ledger:
        draw_again(webui, ledger, VAE, cell())
        assert webui.host.counters.pictures == 3
        assert len(set(ledger.pixels().values())) == 2


def forget_files(ledger: Ledger) -> None:
    """Make it a ledger of before, which knew names only."""
    ledger._db.execute("DELETE FROM files")


def test_a_vae_that_was_replaced_before_ledgers_remembered_files(webui, ledger):
    """The infotext of its pictures has the hash."""
    put_model(webui, "VAE/soft.pt", "old")
    draw_again(webui, ledger, VAE)
    forget_files(ledger)
    assert counts(draw_again(webui, ledger, VAE)) == (0, 1, 0)
    forget_files(ledger)
    put_model(webui, "VAE/soft.pt", "new")
    assert counts(draw_again(webui, ledger, VAE)) == (1, 0, 0)


def test_the_hash_of_another_vae_says_nothing(webui, ledger, monkeypatch):
    """A1111 keeps one hash for all VAEs, going by dates."""
    put_model(webui, "VAE/soft.pt", "old")
    hard = put_model(webui, "VAE/hard.pt", "hard")
    draw_again(webui, ledger, VAE)
    (key,) = ledger.done_keys()
    own = sha256_of(hard.with_name("soft.pt"))[:10]
    said = ledger.record(key).infotext.replace(own, sha256_of(hard)[:10])
    ledger._db.execute("UPDATE cells SET infotext = ?", (said,))
    forget_files(ledger)
    assert counts(draw_again(webui, ledger, VAE)) == (0, 1, 0)


def test_another_vae_in_the_webui_s_settings_draws_again(webui, ledger):
    """A picture that names no VAE is drawn with the one that is set."""
    put_model(webui, "VAE/soft.pt", "soft")
    put_model(webui, "VAE/hard.pt", "hard")
    webui.host._data["sd_vae"] = "soft.pt"
    assert counts(draw_again(webui, ledger, cell())) == (1, 0, 0)
    assert counts(draw_again(webui, ledger, cell())) == (0, 1, 0)
    webui.host._data["sd_vae"] = "hard.pt"
    assert counts(draw_again(webui, ledger, cell())) == (1, 0, 0)
    forget_files(ledger)
    webui.host._data["sd_vae"] = "Automatic"
    assert counts(draw_again(webui, ledger, cell(seed=2))) == (1, 0, 0)


def test_a_run_without_a_vae_is_not_drawn_with_another_run_s(webui, tmp_path):
    """That run leaves its VAE set until its last picture."""
    put_model(webui, "VAE/soft.pt", "soft")
    other, ours = (HttpBackend(Client(webui.url), startup_seconds=0.0) for _ in range(2))
    other.generate(pin_cell(VAE, other.capabilities))
    said = ours.generate(pin_cell(cell(), ours.capabilities)).infotext
    ours.close()
    other.close()
    assert "VAE" not in said
    assert webui.host._data["sd_vae"] == "Automatic"
