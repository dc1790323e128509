"""Connections fail, WebUIs start again, memory and disks are full: no picture is lost.

The simulated WebUI plays the faults.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawing import cell, draw, once, only_reason, pinned
from PIL import Image

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    CellEvent,
    CellOutcome,
    HttpBackend,
    Ledger,
    Patience,
    RunReport,
    plan_cells,
    run_cells,
    verify_picture,
)
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.refusal import Dropped, HttpRefusal
from kohya_ext.project import HostError, ToolError


def reset(body: dict[str, Any]) -> None:
    raise Dropped


def test_a_reset_is_asked_for_again(backend, ledger, webui):
    events: list[CellEvent] = []
    webui.host.faults.before = once(reset)
    assert draw(backend, ledger, cell(), cell(seed=2), on_event=events.append).drawn == 2
    (waiting,) = [one for one in events if one.outcome is CellOutcome.WAITING]
    assert "No WebUI answers" in waiting.reason


def test_a_cell_that_always_kills_the_connection_fails(backend, ledger, webui):
    def refuse(body: dict[str, Any]) -> None:
        if body["seed"] == 1:
            raise Dropped

    webui.host.faults.before = refuse
    report = draw(backend, ledger, cell(), cell(seed=2))
    assert (report.drawn, len(report.failed)) == (1, 1)


@pytest.mark.parametrize(("status", "asked"), [(500, 2), (503, 2), (400, 1), (404, 1), (422, 1)])
def test_only_errors_of_the_server_are_tried_again(backend, ledger, webui, status, asked):
    seen: list[int] = []

    def refuse(body: dict[str, Any]) -> None:
        seen.append(body["seed"])
        raise HttpRefusal(status, "NansException", "a tensor with NaNs was produced")

    webui.host.faults.before = refuse
    assert "NaNs" in only_reason(draw(backend, ledger, cell()))
    assert len(seen) == asked


def out_of_memory(body: dict[str, Any]) -> None:
    raise HttpRefusal(500, "OutOfMemoryError", "CUDA out of memory. Tried to allocate 9 GiB")


def test_out_of_memory_unloads_and_asks_once_more(backend, ledger, webui):
    webui.host.faults.before = once(out_of_memory)
    assert draw(backend, ledger, cell()).drawn == 1
    assert webui.host.counters.unloads == 1


def test_memory_that_stays_full_ends_the_run(backend, ledger, webui):
    webui.host.faults.before = out_of_memory
    report = draw(backend, ledger, cell(), cell(seed=2), cell(seed=3))
    assert len(report.failed) == 3
    assert "out of GPU memory" in report.failed[0][1]
    assert webui.host.counters.unloads == 1
    webui.host.faults.before = lambda body: None
    assert draw(backend, ledger, cell(), cell(seed=2), cell(seed=3)).drawn == 3


def test_a_webui_that_is_started_again_continues(tmp_path: Path, ledger: Ledger):
    """It dies in the middle; the same address answers again later."""
    with start_webui(tmp_path / "a") as first:
        backend = HttpBackend(Client(first.url), startup_seconds=0.0)
        port = int(first.url.rpartition(":")[2])
        died = threading.Event()

        def die(body: dict[str, Any]) -> None:
            if body["seed"] == 2:
                died.set()
                raise Dropped

        first.host.faults.before = die
        reports: list[RunReport] = []
        cells = pinned(backend, *(cell(seed=seed) for seed in (1, 2, 3)))
        patience = Patience(tries=10_000, pause_seconds=0.01, return_seconds=60)
        run = threading.Thread(
            target=lambda: reports.append(
                run_cells(plan_cells(cells), ledger, [backend], patience=patience)
            )
        )
        run.start()
        assert died.wait(60)
    from a1111_ext.simulator.host import SimulatedHost

    second = SimulatedWebui(SimulatedHost(tmp_path / "a"), port=port)
    second.start()
    run.join(60)
    backend.close()
    second.stop()
    assert [(one.drawn, one.failed) for one in reports] == [(3, ())]


def test_a_port_that_opens_is_left_alone_first(tmp_path: Path):
    """A request between port and API makes a WebUI start without API permanently."""
    slept: list[float] = []
    with start_webui(tmp_path) as webui:
        backend = HttpBackend(Client(webui.url), sleep=slept.append)
        assert backend.is_back()
        assert slept == []
        port = int(webui.url.rpartition(":")[2])
    assert not backend.is_back()
    from a1111_ext.simulator.host import SimulatedHost

    again = SimulatedWebui(SimulatedHost(tmp_path), port=port)
    again.start()
    assert backend.is_back()
    assert slept == [15.0]
    backend.close()
    again.stop()


def test_a_dead_webui_is_closed_in_peace(tmp_path: Path, ledger: Ledger):
    with start_webui(tmp_path / "a") as webui:
        backend = HttpBackend(Client(webui.url))
        draw(backend, ledger, cell())
    backend.close()


def test_a_run_under_api_auth(tmp_path: Path, ledger: Ledger):
    from a1111_ext.api.client import Credentials

    with start_webui(tmp_path / "locked", auth="mira:geheim") as webui:
        backend = HttpBackend(Client(webui.url, Credentials("mira", "geheim")))
        assert draw(backend, ledger, cell()).drawn == 1
        backend.interrupt([cell()])
        backend.close()


def test_a_webui_without_pages_tells_no_progress(backend, webui, monkeypatch):
    """Under --nowebui the /internal routes are not there."""
    from a1111_ext.simulator import server

    for route in ("/internal/progress", "/internal/pending-tasks"):
        monkeypatch.delitem(server._POST, route, raising=False)
        monkeypatch.delitem(server._GET, route, raising=False)
    backend.interrupt([cell()])
    backend.await_earlier(cell(), threading.Event())
    assert webui.host.counters.interrupts == 0


def test_a_full_disk_stops_and_loses_nothing(backend, ledger, webui, monkeypatch):
    import errno

    from kohya_ext.project import files

    cells = [cell(seed=seed) for seed in range(4)]
    fsync, count = files.os.fsync, []

    def full(handle: int) -> None:
        count.append(handle)
        if len(count) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(ToolError, match="LL110"):
        draw(backend, ledger, *cells)
    monkeypatch.setattr(files.os, "fsync", fsync)
    assert not list(ledger.picture_path(cells[0].key).parent.parent.rglob("*.part"))
    before = webui.host.counters.pictures
    report = draw(backend, ledger, *cells)
    assert report.known + report.drawn == 4
    assert webui.host.counters.pictures - before <= 3


def test_a_full_ledger_is_a_full_disk(backend, ledger):
    pages = ledger._row("PRAGMA page_count")[0]
    ledger._rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ToolError, match="LL110"):
        draw(backend, ledger, *(cell(seed=seed, prompt="x" * 3000) for seed in range(50)))


def test_a_changed_source_picture_is_not_used(backend, ledger, tmp_path: Path):
    import hashlib

    from a1111_ext.cells import SourcePicture

    path = tmp_path / "from.png"
    Image.new("RGB", (64, 64), (9, 99, 200)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = SourcePicture(str(path), digest, 0.4)
    assert draw(backend, ledger, cell(source=source)).drawn == 1
    Image.new("RGB", (64, 64), (200, 9, 9)).save(path)
    assert "has changed" in only_reason(draw(backend, ledger, cell(source=source, seed=2)))
    path.unlink()
    with pytest.raises(ToolError, match="LL455"):
        backend.generate(cell(source=source, seed=3))


def test_always_on_scripts_are_part_of_the_request(backend, webui):
    from a1111_ext.cells.cell import ScriptUse

    webui.host.always_on["adetailer"] = 3
    webui.host.always_on["adetailer"] = 3
    sent: list[dict[str, Any]] = []
    webui.host.faults.before = sent.append
    detail = ScriptUse("ADetailer", json.dumps([True, {"ad_model": "face_yolov8n.pt"}]))
    backend.generate(cell(scripts=(detail,)))
    assert sent[0]["alwayson_scripts"]["ADetailer"]["args"][1]["ad_model"] == "face_yolov8n.pt"
    assert cell(scripts=(detail,)).key != cell().key


def test_pictures_are_sent_as_data_uris_too(backend, webui):
    webui.host.faults.answer = lambda data: {
        **data,
        "images": ["data:image/png;base64," + one for one in data["images"]],
    }
    assert verify_picture(cell(), replace(backend.generate(cell()), png=b"")) != ()
    assert base64.b64encode(backend.generate(cell()).png)[:4] == b"iVBO"


def test_pictures_are_the_same_without_the_quick_decoder(backend, webui, monkeypatch):
    quick = backend.generate(cell()).png
    monkeypatch.setitem(sys.modules, "pybase64", None)
    assert backend.generate(cell()).png == quick
    webui.host.faults.answer = lambda data: {**data, "images": ["abc"]}
    with pytest.raises(HostError) as reported:
        backend.generate(cell())
    assert reported.value.code == "LL451"
