"""A grid drawn by the WebUI's own X/Y/Z plot, and grids drawn in batches."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from loras import save_lora
from until import wait_until

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    Cell,
    CellEvent,
    CellOutcome,
    CheckpointPin,
    HttpBackend,
    Ledger,
    Patience,
    pin_cell,
    plan_cells,
    run_cells,
    with_loras,
)
from a1111_ext.grids.server_side import XyzPlotBackend, plan_plot, script_arguments
from a1111_ext.simulator import SimulatedWebui
from a1111_ext.simulator.refusal import HttpRefusal
from a1111_ext.simulator.xyz import script_info
from kohya_ext.cli import main
from kohya_ext.project import Project, ToolError

BASE = Cell(prompt="a fox", seed=1, width=64, height=64, steps=2)


def table() -> list[Cell]:
    """Epochs (and the control) x seeds x CFG."""
    prompts = ["a fox", '<lora:fox-000001:1> a fox, "red"', "<lora:fox-000002:1> a fox"]
    return [
        with_loras(replace(BASE, prompt=prompt, seed=seed, cfg_scale=cfg), {})
        for cfg in (5.0, 7.0)
        for prompt in prompts
        for seed in (3, 9)
    ]


@pytest.fixture
def backend(webui: SimulatedWebui):
    for epoch in (1, 2):
        save_lora(webui.host.lora_dir, f"fox-{epoch:06d}", epoch=epoch)
    webui.host.refresh_loras()
    opened = HttpBackend(Client(webui.url))
    yield opened
    opened.close()


def test_a_table_becomes_three_axes():
    plot = plan_plot(table())
    assert [(axis.label, len(axis.values)) for axis in plot.axes] == [
        ("Seed", 2),
        ("Prompt S/R", 3),
        ("CFG Scale", 2),
    ]
    assert [cell.seed for cell in plot.cells[:4]] == [3, 9, 3, 9]


@pytest.mark.parametrize(
    "cells",
    [
        table()[1:],
        [replace(BASE, prompt="a", seed=1), replace(BASE, prompt="b", seed=2)],
        [replace(BASE, steps=s, cfg_scale=c) for s in (1, 2) for c in (5.0, 7.0)],
    ],
    ids=["a cell is left out", "another text for each seed", "four things vary"],
)
def test_what_a_plot_cannot_draw(cells: list[Cell]):
    with pytest.raises(ToolError, match="LL515"):
        plan_plot(cells)


def test_axes_are_looked_up(webui: SimulatedWebui):
    info = script_info()
    arguments = script_arguments(plan_plot(table()), info)
    choices = info[0]["args"][0]["choices"]
    assert [choices[arguments[start]] for start in (0, 3, 6)] == [
        "Seed",
        "Prompt S/R",
        "CFG Scale",
    ]
    assert len(arguments) == 18
    assert '<lora:fox-000001:1> a fox, ""red""' in arguments[4]
    sampler = [replace(BASE, sampler=name) for name in ("Euler", "DDIM")]
    arguments = script_arguments(plan_plot(sampler), info)
    assert (arguments[7], arguments[8]) == ("", ["Euler", "DDIM"])


def test_a_webui_without_the_script_or_axis(webui: SimulatedWebui):
    with pytest.raises(ToolError, match="LL516"):
        script_arguments(plan_plot(table()), [])
    vae = [replace(BASE, vae=name) for name in ("a", "b")]
    with pytest.raises(ToolError, match=r"no axis VAE.*LL516"):
        script_arguments(plan_plot(vae), script_info())


def test_the_plot_s_pictures_are_ours(backend, webui, tmp_path: Path):
    cells = [pin_cell(one, backend.capabilities) for one in table()]
    with Ledger(tmp_path / "a.db", tmp_path / "a") as ledger:
        report = run_cells(plan_cells(cells), ledger, [XyzPlotBackend(backend, cells)])
        assert (report.drawn, report.failed) == (12, ())
        theirs = ledger.pixels()
    with Ledger(tmp_path / "b.db", tmp_path / "b") as ledger:
        assert run_cells(plan_cells(cells), ledger, [backend]).drawn == 12
        assert ledger.pixels() == theirs


def test_checkpoints_on_an_axis(backend, webui, tmp_path: Path):
    cells = [
        pin_cell(replace(BASE, checkpoint=CheckpointPin(name), seed=seed), backend.capabilities)
        for name in ("simulated-a", "simulated-b")
        for seed in (1, 2)
    ]
    with Ledger(tmp_path / "a.db", tmp_path / "a") as ledger:
        report = run_cells(plan_cells(cells), ledger, [XyzPlotBackend(backend, cells)])
        assert (report.drawn, report.failed) == (4, ())


def test_a_blank_cell_is_a_failed_one(backend, webui, tmp_path: Path):
    """The real script swallows a cell's error and answers 200 with a black picture."""

    def refuse(body: dict, sources: object) -> None:
        if body.get("seed") == 9:
            raise HttpRefusal(500, "RuntimeError", "no")

    webui.host._refuse_nonsense = refuse  # type: ignore[method-assign]
    cells = [pin_cell(one, backend.capabilities) for one in table()]
    with Ledger(tmp_path / "a.db", tmp_path / "a") as ledger:
        report = run_cells(plan_cells(cells), ledger, [XyzPlotBackend(backend, cells)])
    assert (report.drawn, len(report.failed)) == (6, 6)
    assert "left this cell blank" in report.failed[0][1]
    with pytest.raises(ToolError, match="LL517"):
        XyzPlotBackend(backend, cells).generate(cells[1])


def test_an_answer_without_cells(backend, webui, tmp_path: Path):
    webui.host.faults.answer = lambda data: {**data, "images": data["images"][:1]}
    with pytest.raises(ToolError, match=r"0 pictures for 12 cells.*LL451"):
        XyzPlotBackend(backend, table()).generate(table()[0])


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def trained(project: Project) -> Project:
    for epoch in (1, 2):
        save_lora(project.model_dir, f"Quillfox-{epoch:06d}", epoch=epoch)
    text = project.manifest_path.read_text(encoding="utf-8")
    small = "grid:\n  picture: {width: 64, height: 64, steps: 2}\n"
    project.manifest_path.write_text(text.replace("grid:\n", small), encoding="utf-8")
    return project


def test_the_command_draws_server_side(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--server-side"]
    assert main([*arguments, "--seeds", "1,2"]) == 0
    assert "X/Y/Z plot: the plot was one request" in capsys.readouterr().err
    (folder,) = trained.grids_dir.iterdir()
    assert "left blank has no reason" in (folder / "grid.html").read_text(encoding="utf-8")
    assert main([*arguments, "--seeds", "1,2"]) == 0
    assert "drawn by" not in capsys.readouterr().err  # all were there
    assert main([*arguments, "--prompt", "{lora} {a|b|c}", "--seeds", "1-9"]) == 1
    assert "LL515" in capsys.readouterr().err


def test_batches_are_their_own_cells(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--seeds", "-1,-1,-1,-1"]
    asked: list[tuple[int, int]] = []
    webui.host.faults.before = lambda body: asked.append((body["n_iter"], body["batch_size"]))
    assert main([*arguments, "--batch-size", "2", "--json"]) == 0
    assert asked == [(1, 2)] * 6
    asked.clear()
    assert main([*arguments, "--batch-count", "4", "--json"]) == 0
    assert asked == [(4, 1)] * 3
    lines = capsys.readouterr().out.splitlines()
    ends = [one for one in map(json.loads, lines) if one["event"] == "grid"]
    assert [one["drawn"] for one in ends] == [12, 12]
    assert len(list(trained.grids_dir.iterdir())) == 2


def test_seeds_that_fill_no_batch(trained: Project, webui: SimulatedWebui, capsys):
    arguments = ["grid", str(trained.root), "--webui", webui.url, "--batch-size", "2"]
    assert main([*arguments, "--seeds", "1,2,3"]) == 1
    assert "LL518" in capsys.readouterr().err
    assert main([*arguments, "--seeds", "1,5"]) == 1
    assert "LL518" in capsys.readouterr().err


def test_a_failed_plot_is_not_asked_for_again_by_each_cell(webui, backend, tmp_path: Path):
    asked = []

    def refuse(body):
        asked.append(body)
        raise HttpRefusal(500, "NansException", "nothing but NaN")

    webui.host.faults.before = refuse
    cells = table()
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        patience = Patience(pause_seconds=0.0)
        report = run_cells(
            plan_cells(cells), ledger, [XyzPlotBackend(backend, cells)], patience=patience
        )
    assert len(report.failed) == len(cells)
    assert len([one for one in asked if one.get("script_name")]) == 1


def test_a_stop_ends_the_plot_at_the_webui(webui, backend, tmp_path: Path):
    """It is one task, whichever of its cells is waited for."""
    webui.host.seconds_per_picture = 0.5
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    cells = table()
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        report = run_cells(plan_cells(cells), ledger, [XyzPlotBackend(backend, cells)], stop=stop)
        assert ledger.done_keys() == set()
    assert (report.stopped, webui.host.counters.interrupts) == (True, 1)


@dataclass
class CtrlC:
    """Ctrl-C as soon as the plot was sent; what happens `before` and `after` it was."""

    webui: SimulatedWebui
    backend: HttpBackend
    folder: Path
    events: list[CellEvent] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def post(self, path: str, body: Any = None, **named: Any) -> Any:
        with self.backend.client.another() as client:
            return client.post(path, body, **named)

    def __call__(self, path: str, body: Any = None, **named: Any) -> Any:
        if not (body or {}).get("script_name"):
            return self.post(path, body, **named)
        self.before()
        self.start(path, body, **named)
        self.after()
        raise KeyboardInterrupt

    def start(self, path: str, body: Any, **named: Any) -> None:
        thread = threading.Thread(target=self.post, args=(path, body), kwargs=named)
        thread.start()
        self.threads.append(thread)

    def run(self, patience: Patience | None = None) -> XyzPlotBackend:
        cells = table()
        plot = XyzPlotBackend(self.backend, cells)
        with (
            Ledger(self.folder / "cells.db", self.folder / "cells") as ledger,
            pytest.raises(KeyboardInterrupt),
        ):
            run_cells(
                plan_cells(cells), ledger, [plot], on_event=self.events.append, patience=patience
            )
        return plot


@pytest.fixture
def ctrl_c(webui, backend, tmp_path: Path, monkeypatch):
    """The plot would draw for hours, if it were not ended."""
    webui.host.seconds_per_picture = 600
    forget = backend.forget_loras

    def forget_quickly(checkpoint: str) -> None:
        webui.host.seconds_per_picture = 0
        forget(checkpoint)
        webui.host.seconds_per_picture = 600

    monkeypatch.setattr(backend, "forget_loras", forget_quickly)
    made = CtrlC(webui, backend, tmp_path)
    monkeypatch.setattr(backend.client, "post", made)
    yield made
    webui.host.seconds_per_picture = 0
    webui.host.interrupt()
    for thread in made.threads:
        thread.join(60)


def test_ctrl_c_waits_until_the_plot_has_ended(webui, ctrl_c):
    """A WebUI hears an interrupt at the next step of what it draws."""
    webui.host.seconds_to_interrupt = 0.5
    plot = ctrl_c.run()
    assert not ctrl_c.events
    assert not plot.has_task(table())
    assert webui.host.counters.interrupts >= 1
    assert webui.host.counters.pictures <= 1


def test_ctrl_c_ends_a_plot_that_waits_for_its_turn(webui, ctrl_c):
    """Somebody's job is drawn then; it is not interrupted, and the plot draws no 12 pictures."""
    theirs, begun = threading.Event(), threading.Event()

    def draw_theirs() -> None:
        with webui.host.tasks.taking_turn("theirs"):
            begun.set()
            theirs.wait(60)

    def occupy() -> None:
        ctrl_c.threads.append(threading.Thread(target=draw_theirs))
        ctrl_c.threads[-1].start()
        assert begun.wait(60)
        threading.Timer(1.5, lambda: seen.append(webui.host.counters.interrupts)).start()
        threading.Timer(1.6, theirs.set).start()

    seen: list[int] = []
    ctrl_c.before = occupy
    plot = ctrl_c.run()
    assert seen == [0]
    assert not plot.has_task(table())
    assert webui.host.counters.interrupts >= 1
    assert webui.host.counters.pictures <= 1


def test_a_plot_is_ended_although_somebody_waits(webui, ctrl_c):
    """It has pictures to come, so that an interrupt cannot hit the job that begins after it."""

    def let_wait() -> None:
        wait_until(lambda: webui.host.progress()["state"]["job_count"] == len(table()))
        body = {"prompt": "theirs", "width": 64, "height": 64, "steps": 2, "force_task_id": "b"}
        ctrl_c.start("/sdapi/v1/txt2img", body)
        wait_until(lambda: webui.host.tasks.pending()["size"] == 1)

    ctrl_c.after = let_wait
    plot = ctrl_c.run()
    assert not plot.has_task(table())
    assert webui.host.counters.interrupts == 1


def test_a_plot_that_does_not_end_is_told(webui, ctrl_c):
    webui.host.seconds_to_interrupt = 2
    plot = ctrl_c.run(Patience(end_seconds=0.5))
    assert plot.has_task(table())
    assert [one.outcome for one in ctrl_c.events] == [CellOutcome.WAITING]
    assert "has not ended" in ctrl_c.events[0].reason
