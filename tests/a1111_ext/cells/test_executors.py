"""Pictures painted and checked by an executor: threads, processes, a local Dask cluster."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from elsewhere import Elsewhere
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells
from a1111_ext.cells.events import CellEvent, CellOutcome
from a1111_ext.simulator import SimulatedWebui, start_webui
from kohya_ext.cli import main
from kohya_ext.project import HostError, Project


def cells(backend: HttpBackend, count: int = 6) -> list[Cell]:
    made = [Cell(prompt="a fox", seed=seed, width=64, height=64, steps=2) for seed in range(count)]
    return [pin_cell(one, backend.capabilities) for one in made]


def test_threads_draw_for_two_webuis(webui: SimulatedWebui, tmp_path: Path):
    with start_webui(tmp_path / "two") as second, ThreadPoolExecutor(2) as pool:
        backends = [HttpBackend(Client(one.url)) for one in (webui, second)]
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
            plan = plan_cells(cells(backends[0]))
            assert run_cells(plan, ledger, backends, executor=pool).drawn == 6
        for one in backends:
            one.close()


def test_a_dask_cluster_of_processes(project: Project, webui: SimulatedWebui, capsys):
    """Two workers in processes of their own; claims and pictures stay with us."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    save_lora(project.model_dir, "Quillfox-000001")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        address = str(cluster.scheduler_address)
        arguments = ["grid", str(project.root), "--webui", webui.url, "--cluster", address]
        assert main([*arguments, "--seeds", "1,2,3"]) == 0
    assert webui.host.counters.pictures == 6
    assert "Next: loraloom promote" in capsys.readouterr().err


def test_what_a_lost_cluster_left_is_drawn_next(webui: SimulatedWebui, tmp_path: Path):
    backend = HttpBackend(Client(webui.url))
    plan = plan_cells(cells(backend))
    lost = Elsewhere(dies_after=2, loss=BrokenProcessPool("a child died"))
    outcomes: list[CellOutcome] = []

    def note(event: CellEvent) -> None:
        outcomes.append(event.outcome)

    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        first = run_cells(
            plan,
            ledger,
            [backend],
            executor=lost,
            on_event=lambda event: outcomes.append(event.outcome),
        )
        assert (first.drawn, len(first.failed)) == (2, 4)
        assert outcomes == [CellOutcome.DRAWN] * 2  # nothing is wrong with the other pictures
        with pytest.raises(
            HostError, match=r"died\. 4 of 6 pictures were not drawn\. Check.*LL180"
        ):
            first.require_all()
        assert run_cells(plan, ledger, [backend], executor=Elsewhere()).drawn == 4
    backend.close()
    assert webui.host.counters.pictures == 6


def test_a_lost_cluster_ends_every_webui(webui: SimulatedWebui, tmp_path: Path):
    with start_webui(tmp_path / "two") as second:
        backends = [HttpBackend(Client(one.url)) for one in (webui, second)]
        lost = Elsewhere(dies_after=3)
        lost.loss = BrokenExecutor("its workers or its scheduler are gone")
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
            report = run_cells(plan_cells(cells(backends[0], 40)), ledger, backends, executor=lost)
        for one in backends:
            one.close()
    assert report.drawn == 3
    with pytest.raises(HostError, match=r"its scheduler are gone\. 37 of 40"):
        report.require_all()
