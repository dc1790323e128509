"""Pictures painted and checked by an executor: threads, processes, a local Dask cluster."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.cells import Cell, HttpBackend, Ledger, pin_cell, plan_cells, run_cells
from a1111_ext.cli.cluster import open_executor
from a1111_ext.simulator import SimulatedWebui, start_webui
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError


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
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = str(cluster.scheduler_address)
        arguments = ["grid", str(project.root), "--webui", webui.url, "--cluster", address]
        assert main([*arguments, "--seeds", "1,2,3"]) == 0
    assert webui.host.counters.pictures == 6
    assert "Next: loraloom promote" in capsys.readouterr().err


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ToolError, match=r"pip install distributed.*LL456"),
        open_executor("tcp://x:1"),
    ):
        pass


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch):
    import types

    def refuse(address: str, timeout: int) -> None:
        raise OSError("connection refused")

    stub = types.ModuleType("distributed")
    stub.Client = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", stub)
    with pytest.raises(ToolError, match="LL457"), open_executor("tcp://127.0.0.1:9"):
        pass
