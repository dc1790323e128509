"""Commands of one machine share the order of checkpoints at a WebUI."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    Cell,
    CheckpointPin,
    HttpBackend,
    Ledger,
    pin_cell,
    plan_cells,
    run_cells,
)
from a1111_ext.cells.events import CellEvent, CellOutcome
from a1111_ext.cells.turns import Turns
from a1111_ext.simulator import SimulatedWebui

URL = "http://127.0.0.1:7860"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Turns, Turns]]:
    path = tmp_path / "home" / "turns.db"
    first, second = Turns(path), Turns(path)
    yield first, second
    first.close()
    second.close()


def test_who_wants_what_is_loaded_joins(two: tuple[Turns, Turns]):
    first, second = two
    assert first.ask(URL, "a") == ""
    assert second.ask("http://localhost:7860/", "a") == ""
    assert second.loaded(URL) == "a"


def test_another_checkpoint_waits_until_nobody_wants_the_loaded_one(two: tuple[Turns, Turns]):
    first, second = two
    assert first.ask(URL, "a") == ""
    assert second.ask(URL, "b") == "a"
    assert first.ask(URL, "a") == ""
    assert first.ask(URL, "c") == "b"  # the other one has waited longer
    assert second.ask(URL, "b") == ""
    second.leave(URL)
    assert first.ask(URL, "c") == ""


def test_each_webui_has_its_own_order(two: tuple[Turns, Turns]):
    first, second = two
    assert first.ask(URL, "a") == ""
    assert second.ask("http://127.0.0.1:7861", "b") == ""


def test_a_killed_command_keeps_nobody_waiting(
    two: tuple[Turns, Turns], monkeypatch: pytest.MonkeyPatch
):
    first, second = two
    assert first.ask(URL, "a") == ""
    assert second.ask(URL, "b") == "a"
    monkeypatch.setattr("a1111_ext.cells.turns.holds", lambda owner, age: False)
    assert second.ask(URL, "b") == ""


def test_a_file_that_cannot_be_used_keeps_nobody_waiting(tmp_path: Path):
    (tmp_path / "turns.db").mkdir()
    broken = Turns(tmp_path / "turns.db")
    assert (broken.ask(URL, "a"), broken.loaded(URL)) == ("", "")
    broken.leave()
    broken.close()


def cells_of(backend: HttpBackend, title: str, seeds: range) -> list[Cell]:
    pin = CheckpointPin(title)
    made = (Cell("a fox", seed, width=64, height=64, steps=2, checkpoint=pin) for seed in seeds)
    return [pin_cell(one, backend.capabilities) for one in made]


def draw(webui: SimulatedWebui, folder: Path, wanted: Any, on_event: Any) -> None:
    with Ledger(folder / "cells.db", folder / "cells") as ledger, Client(webui.url) as client:
        backend = HttpBackend(client)
        cells = [one for title, seeds in wanted for one in cells_of(backend, title, seeds)]
        report = run_cells(plan_cells(cells), ledger, [backend], on_event=on_event)
        assert (report.failed, report.drawn) == ((), len(cells))


@pytest.mark.parametrize("at", ["first", "second"])
def test_an_upscale_joins_behind_the_batch_of_its_checkpoint(
    webui: SimulatedWebui, tmp_path: Path, at: str
):
    """A showcase draws the first checkpoint, then the second; another command wants one of them."""
    first, second = webui.host.checkpoints[:2]
    begun, messages = threading.Event(), []

    def showcase(event: CellEvent) -> None:
        is_there = event.cell.checkpoint.title.startswith(first if at == "first" else second)
        if event.outcome is CellOutcome.DRAWN and is_there:
            begun.set()
            joined.wait(30)

    def upscale(event: CellEvent) -> None:
        messages.append(event)
        joined.set()

    joined = threading.Event()
    batch = [(first, range(1, 5)), (second, range(1, 5))]
    other = threading.Thread(target=draw, args=(webui, tmp_path / "a", batch, showcase))
    before = webui.host.counters.checkpoint_loads
    other.start()
    assert begun.wait(30)
    draw(webui, tmp_path / "b", [(first, range(11, 14))], upscale)
    other.join(60)
    loads = webui.host.counters.checkpoint_loads - before
    waits = [one.reason for one in messages if one.outcome is CellOutcome.WAITING]
    if at == "first":
        assert (loads, waits) == (1, [])  # the first one was loaded at the start
    else:
        assert loads == 2
        assert waits == [
            f"another command is drawing with {second}.safetensors at {webui.url}; this command "
            "is next"
        ]


@pytest.mark.parametrize("content", [b"null", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_kept_aside(tmp_path: Path, content: bytes):
    path = tmp_path / "turns.db"
    path.write_bytes(content)
    turns = Turns(path)
    assert turns.ask("http://one", "a") == ""
    turns.close()
    (aside,) = tmp_path.glob("turns.damaged-*")
    assert aside.read_bytes() == content
    assert Turns(path).loaded("http://one") == "a"


def test_values_of_another_kind_are_damage(tmp_path: Path):
    turns = Turns(tmp_path / "turns.db")
    turns.ask("http://one", "a")
    turns.close()
    with closing(sqlite3.connect(tmp_path / "turns.db")) as db, db:
        db.execute("UPDATE loaded SET checkpoint = x'ff'")
    assert Turns(tmp_path / "turns.db").loaded("http://one") == ""
    assert list(tmp_path.glob("turns.damaged-*"))


def test_the_loads_that_are_told_are_the_webui_s(webui: SimulatedWebui, tmp_path: Path):
    """The loaded checkpoint comes first and is not loaded; another VAE loads no checkpoint."""
    first, second = webui.host.checkpoints[:2]
    told: list[tuple[int, int]] = []
    before = webui.host.counters.checkpoint_loads
    backend = HttpBackend(Client(webui.url), startup_seconds=0.0)

    def hear(event: CellEvent) -> None:
        told.append((event.loads, webui.host.counters.checkpoint_loads - before))

    cells = [
        Cell("a fox", seed, width=64, height=64, steps=2, checkpoint=CheckpointPin(title), vae=vae)
        for title in (second, first)
        for vae in ("", "None")
        for seed in (1, 2)
    ]
    plan = plan_cells(pin_cell(one, backend.capabilities) for one in cells)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        run_cells(plan, ledger, [backend], on_event=hear)
    assert max(told) == (1, 1)
    assert plan.loads_from(backend.capabilities.loaded) == 1
    backend.close()
