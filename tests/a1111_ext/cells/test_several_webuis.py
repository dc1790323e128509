"""Several WebUIs and several runs share the work; what one loses another draws."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawing import AT_ONCE, cell, draw, pinned, with_hash
from loras import save_lora

from a1111_ext.api.client import Client, ConnectionLost
from a1111_ext.cells import (
    CheckpointPin,
    HttpBackend,
    Ledger,
    Patience,
    RunReport,
    pin_cell,
    plan_cells,
    run_cells,
)
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.refusal import Dropped


def reset(body: dict[str, Any]) -> None:
    raise Dropped


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SimulatedWebui, SimulatedWebui]]:
    with start_webui(tmp_path / "one") as one, start_webui(tmp_path / "two") as two:
        yield one, two


def painters_of(*webuis: SimulatedWebui) -> list[HttpBackend]:
    return [HttpBackend(Client(one.url), startup_seconds=0.0) for one in webuis]


def test_each_checkpoint_stays_with_one_webui(two, ledger: Ledger):
    both = painters_of(*two)
    for one in two:
        one.host.seconds_per_picture = 0.01
    cells = pinned(
        both[0],
        *(
            cell(seed=seed, checkpoint=CheckpointPin(name))
            for seed in range(6)
            for name in ("simulated-a", "simulated-b")
        ),
    )
    assert run_cells(plan_cells(cells), ledger, both).drawn == 12
    assert sum(one.host.counters.pictures for one in two) == 12
    loads = sum(one.host.counters.checkpoint_loads for one in two)
    assert loads <= 2  # one load at the start; the last cells may be shared
    for one in both:
        one.close()


def test_a_webui_without_the_lora_gets_none_of_it(two, ledger: Ledger):
    save_lora(two[1].host.lora_dir, "fox-000001")
    two[1].host.refresh_loras()
    both = painters_of(*two)
    cells = pinned(both[1], *(cell(prompt="<lora:fox-000001:1> x", seed=s) for s in range(4)))
    report = run_cells(plan_cells(cells), ledger, both)
    assert (report.drawn, report.failed) == (4, ())
    assert two[0].host.counters.pictures == 0
    for one in both:
        one.close()


def test_a_webui_with_another_file_of_that_name(two, ledger: Ledger):
    save_lora(two[0].host.lora_dir, "fox", epoch=1)
    save_lora(two[1].host.lora_dir, "fox", epoch=2)
    for one in two:
        path = one.host.lora_dir / "fox.safetensors"
        with_hash(path)
        one.host.refresh_loras()
    both = painters_of(*two)
    (one,) = pinned(both[0], cell(prompt="<lora:fox:1> x"))
    assert "is another file" in both[1].lacks(one)
    assert both[0].lacks(one) == ""
    assert run_cells(plan_cells([one]), ledger, both[::-1]).drawn == 1
    assert two[1].host.counters.pictures == 0
    for backend in both:
        backend.close()


def test_a_dying_webui_loses_nothing(two, ledger: Ledger):
    both = painters_of(*two)
    two[0].host.faults.before = reset
    two[1].host.seconds_per_picture = 0.01
    cells = pinned(both[1], *(cell(seed=seed) for seed in range(8)))
    patience = Patience(tries=10_000, pause_seconds=0.01, return_seconds=1)
    report = run_cells(plan_cells(cells), ledger, both, patience=patience)
    assert (report.drawn, report.failed) == (8, ())
    for backend in both:
        backend.close()


def test_two_runs_share_the_work(backend, tmp_path: Path, webui):
    """Two processes on one project: nothing is drawn twice, both end with everything."""
    webui.host.seconds_per_picture = 0.005
    cells = pinned(backend, *(cell(seed=seed) for seed in range(20)))
    other = HttpBackend(Client(webui.url))
    reports: list[RunReport] = []

    def run(one: HttpBackend) -> None:
        with Ledger(tmp_path / "a.db", tmp_path / "kept") as ledger:
            reports.append(run_cells(plan_cells(cells), ledger, [one]))

    threads = [threading.Thread(target=run, args=(one,)) for one in (backend, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert webui.host.counters.pictures == 20
    assert sum(one.drawn for one in reports) == 20
    assert [one.drawn + one.known for one in reports] == [20, 20]


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_lost_cell_is_asked_for_as_often_as_promised(backend, ledger, monkeypatch, tries: int):
    asked: list[str] = []

    def lose(*arguments: Any, **named: Any) -> None:
        asked.append("again")
        raise ConnectionLost("LL401", "No WebUI answers.", "")

    monkeypatch.setattr(backend, "generate", lose)
    monkeypatch.setattr(backend, "generate_row", lose)
    monkeypatch.setattr(backend, "is_back", lambda: True)
    patience = Patience(tries=tries, pause_seconds=0.0, return_seconds=5.0)
    report = draw(backend, ledger, cell(), patience=patience)
    assert (len(asked), len(report.failed)) == (tries, 1)


class Gone(HttpBackend):
    """A WebUI that does not come back."""

    def is_back(self) -> bool:
        return False


def test_a_lost_webui_is_not_waited_for_once_all_is_drawn(ledger: Ledger, tmp_path: Path):
    asked = threading.Event()

    def drop(body: dict[str, Any]) -> None:
        asked.set()
        raise Dropped

    with start_webui(tmp_path / "one") as one, start_webui(tmp_path / "two") as two:
        one.host.faults.before = drop
        two.host.faults.before = lambda body: asked.wait(30) or None
        backends = [Gone(Client(one.url)), HttpBackend(Client(two.url))]
        cells = [pin_cell(cell(seed=seed), backends[1].capabilities) for seed in range(4)]
        for_ever = replace(AT_ONCE, pause_seconds=0.05, return_seconds=1e6)
        report = run_cells(plan_cells(cells), ledger, backends, patience=for_ever)
        for backend in backends:
            backend.close()
    assert asked.is_set()
    assert report.drawn == 4
