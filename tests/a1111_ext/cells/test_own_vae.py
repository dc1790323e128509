"""On a reForge, cells without a VAE are drawn with their checkpoint's own, whatever was before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawing import AT_ONCE, cell, only_reason

from a1111_ext.api.agent_scheduler import find_tasks
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
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
from a1111_ext.cells.own_vae import KEPT_VAE, OwnVae, asks_for_vae
from a1111_ext.cells.scheduler import SchedulerBackend
from a1111_ext.grids.server_side import XyzPlotBackend
from a1111_ext.simulator import SimulatedWebui, start_webui
from a1111_ext.simulator.reforge import SimulatedReforge
from kohya_ext.project import ToolError

OURS = CheckpointPin("simulated-a")
PLAIN = cell(checkpoint=OURS)
SOFT = replace(PLAIN, vae="soft.pt")
OTHER = replace(PLAIN, checkpoint=CheckpointPin("simulated-b"))


@pytest.fixture
def webui(tmp_path: Path) -> Iterator[SimulatedWebui]:
    with start_webui(tmp_path / "webui", kind=SimulatedReforge) as started:
        folder = started.host.folder / "models" / "VAE"
        folder.mkdir(parents=True)
        (folder / "soft.pt").write_text("soft", encoding="utf-8")
        yield started


@pytest.fixture
def truth(tmp_path: Path) -> Any:
    """Tell a cell's pixels on a WebUI that has just been started."""

    def pixels(one: Cell) -> str:
        with (
            start_webui(tmp_path / "fresh", kind=SimulatedReforge) as fresh,
            Ledger(tmp_path / f"{one.seed}.db", tmp_path / f"{one.seed}") as ledger,
        ):
            draw(fresh, ledger, replace(one, vae="")).require_all()
            (found,) = ledger.pixels().values()
            return found

    return pixels


def draw(webui: SimulatedWebui, ledger: Ledger, *cells: Cell) -> RunReport:
    client = Client(webui.url)
    backend = HttpBackend(client, fetch_capabilities(client), startup_seconds=0.0)
    plan = plan_cells(pin_cell(one, backend.capabilities) for one in cells)
    try:
        return run_cells(plan, ledger, [backend], patience=AT_ONCE)
    finally:
        backend.close()


def spoil(webui: SimulatedWebui) -> None:
    """Draw with a VAE as somebody at the page does, and choose none afterwards."""
    client = Client(webui.url)
    for vae in ("soft.pt", "Automatic"):
        client.post("/sdapi/v1/options", {"sd_vae": vae})
        settings = {"sd_model_checkpoint": "simulated-a.safetensors"}
        client.post("/sdapi/v1/txt2img", {"steps": 1, "override_settings": settings})
    client.close()


@pytest.mark.parametrize(
    "plain", [PLAIN, replace(PLAIN, vae="None"), replace(PLAIN, vae="Automatic")]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_vae_of_the_same_run_is_left_out(webui, ledger, truth, plain: Cell, is_first: bool):
    cells = (plain, SOFT) if is_first else (SOFT, plain)
    draw(webui, ledger, *cells).require_all()
    pixels = ledger.pixels()
    assert len(set(pixels.values())) == 2
    assert truth(PLAIN) in pixels.values()


def test_a_vae_of_somebody_else_is_left_out(webui, ledger, truth):
    for seed in (1, 2):  # unknown the first time, known by its small picture the second
        spoil(webui)
        one = replace(PLAIN, seed=seed)
        draw(webui, ledger, one).require_all()
        assert truth(one) in ledger.pixels().values()


def test_a_checkpoint_that_has_its_own_is_not_loaded_again(webui, ledger):
    draw(webui, ledger, PLAIN).require_all()
    loads = webui.host.counters.checkpoint_loads
    assert loads == 2  # another one, and it again: nobody knew
    draw(webui, ledger, *(replace(PLAIN, seed=seed) for seed in (2, 3))).require_all()
    assert webui.host.counters.checkpoint_loads == loads
    spoil(webui)
    draw(webui, ledger, replace(PLAIN, seed=4)).require_all()
    assert webui.host.counters.checkpoint_loads == loads + 2


def test_a_checkpoint_that_follows_another_has_its_own(webui, ledger, truth):
    draw(webui, ledger, SOFT, OTHER).require_all()
    assert webui.host.counters.checkpoint_loads == 1
    assert truth(OTHER) in ledger.pixels().values()
    draw(webui, ledger, replace(OTHER, seed=2)).require_all()
    assert webui.host.counters.checkpoint_loads == 1  # known since


def test_the_only_checkpoint_is_not_drawn_with_a_vae_of_before(webui, ledger, caplog):
    webui.host.checkpoints = ("simulated-a",)
    with caplog.at_level(logging.WARNING):
        draw(webui, ledger, PLAIN).require_all()
    assert (
        f"Whether {OURS.title}.safetensors is drawn with its own VAE was not checked" in caplog.text
    )
    first = replace(PLAIN, seed=2)
    assert only_reason(draw(webui, ledger, replace(SOFT, seed=2), replace(first, vae="None"))) == (
        KEPT_VAE
    )


def test_the_webui_s_own_setting_counts(webui, ledger):
    """Whoever has set a VAE there wants it."""
    webui.host._data["sd_vae"] = "soft.pt"
    draw(webui, ledger, PLAIN).require_all()
    assert webui.host.counters.checkpoint_loads == 0
    draw(webui, ledger, replace(PLAIN, vae="None")).require_all()
    assert len(set(ledger.pixels().values())) == 2


def test_an_a1111_is_left_alone(tmp_path: Path, ledger):
    with start_webui(tmp_path / "webui") as webui:
        draw(webui, ledger, SOFT, PLAIN).require_all()
        assert webui.host.counters.checkpoint_loads == 0


def test_its_own_plot_draws_with_one_kind_only(webui, ledger):
    backend = HttpBackend(Client(webui.url), startup_seconds=0.0)
    cells = [pin_cell(one, backend.capabilities) for one in (PLAIN, SOFT)]
    with pytest.raises(ToolError, match="with that of others"):
        XyzPlotBackend(backend, cells)
    spoil(webui)
    run_cells(plan_cells(cells[:1]), ledger, [XyzPlotBackend(backend, cells[:1])]).require_all()
    backend.close()
    assert webui.host.counters.checkpoint_loads == 2


def test_a_queue_gets_each_cell_in_its_turn(webui):
    client = Client(webui.url)
    has = replace(fetch_capabilities(client), has_agent_scheduler=True)
    assert has.keeps_vae
    queue = SchedulerBackend(client, has)
    added: list[Cell] = []
    queue._add = lambda one: added.append(one) or "1"  # type: ignore[func-returns-value]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{SchedulerBackend.__module__}.{find_tasks.__name__}", lambda client: [])
        queue.hand_over([SOFT, PLAIN], threading.Event())
        assert added == []
        queue.capabilities = replace(has, keeps_vae=False)
        queue.hand_over([SOFT, PLAIN], threading.Event())
    assert added == [SOFT, PLAIN]
    queue.close()


class Host:
    """One whose checkpoints have their own VAE, as far as somebody asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.vaes = OwnVae(self.has_own, lambda title: False, lambda one: None)

    def has_own(self, one: Cell) -> bool:
        self.asked.append(one.checkpoint.title)
        return True

    def prepare(self, *cells: Cell, has_one: bool = False) -> list[str]:
        for one in cells:
            assert self.vaes.prepare(one, {}, has_one=has_one) == ""
        asked, self.asked = self.asked, []
        return asked


def test_a_checkpoint_is_looked_at_once_until_something_else_is_drawn():
    host, ours, other = Host(), OURS.title, OTHER.checkpoint.title
    assert host.prepare(PLAIN, PLAIN) == [ours]
    assert host.prepare(OTHER, PLAIN, OTHER) == [other, ours, other]
    assert host.prepare(PLAIN, SOFT, PLAIN, PLAIN) == [ours, ours]
    assert host.prepare(OTHER, PLAIN, PLAIN, OTHER, has_one=True) == []
    host.vaes.forget()
    assert host.prepare(OTHER, OTHER, has_one=True) == [other]


def test_the_loaded_checkpoint_that_is_not_named_is_looked_at():
    host, unnamed = Host(), replace(PLAIN, checkpoint=CheckpointPin(""))
    assert host.prepare(unnamed, unnamed) == [""]
    host.vaes.forget()
    assert host.prepare(unnamed) == [""]
    assert host.prepare(SOFT, unnamed, has_one=True) == [""]  # it may be the same one


@pytest.mark.parametrize(
    ("one", "setting", "asks"),
    [
        (PLAIN, "Automatic", False),
        (PLAIN, "soft.pt", True),
        (replace(PLAIN, vae="None"), "soft.pt", False),
        (SOFT, "Automatic", True),
        (replace(PLAIN, override_settings_json='{"sd_vae": "soft.pt"}'), None, True),
    ],
)
def test_what_asks_for_a_vae(one: Cell, setting: Any, asks: bool):
    assert asks_for_vae(one, {"sd_vae": setting}) is asks
