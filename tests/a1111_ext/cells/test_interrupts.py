"""A stop and a pause end our job at once, and nobody else's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from drawing import cell, draw, pinned
from until import wait_until

from a1111_ext.api.client import Client
from a1111_ext.cells import (
    CellEvent,
    CellOutcome,
    Ledger,
    RunReport,
)


def test_a_stop_ends_our_job_at_once(backend, ledger, webui):
    webui.host.seconds_per_picture = 600
    stop = threading.Event()
    webui.host.faults.before = lambda body: stop.set()
    report = draw(backend, ledger, cell(), cell(seed=2), stop=stop)
    assert (report.drawn, report.stopped, report.failed) == (0, True, ())
    assert webui.host.counters.interrupts == 1
    webui.host.seconds_per_picture = 0
    webui.host.faults.before = lambda body: None
    assert draw(backend, ledger, cell(), cell(seed=2)).drawn == 2


def test_an_interrupt_that_was_lost_is_sent_again(backend, ledger, webui, monkeypatch):
    """A job of the page sets A1111's and Forge's switch back after it has given up its turn."""
    webui.host.seconds_per_picture = 600
    stop, sent, interrupt = threading.Event(), [], webui.host.interrupt

    def lose_the_first() -> dict[str, Any]:
        sent.append(1)
        return {} if len(sent) == 1 else interrupt()

    monkeypatch.setattr(webui.host, "interrupt", lose_the_first)
    webui.host.faults.before = lambda body: stop.set()
    report = draw(backend, ledger, cell(), stop=stop)
    assert (report.drawn, report.stopped, report.failed) == (0, True, ())
    assert len(sent) == 2


def test_the_job_of_somebody_else_continues(backend, webui):
    """Theirs is drawn while ours waits, or waits while ours is drawn: no interrupt then."""
    webui.host.seconds_per_picture = 600
    ours = pinned(backend, cell())[0]
    theirs = Client(webui.url)
    began = threading.Event()
    webui.host.faults.before = lambda body: began.set()
    body = {"prompt": "theirs", "width": 64, "height": 64, "steps": 2, "force_task_id": "theirs"}
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(theirs.post("/sdapi/v1/txt2img", body, seconds=60))
    )
    thread.start()
    assert began.wait(60)
    backend.interrupt([ours])
    assert webui.host.counters.interrupts == 0
    webui.host.interrupt()
    thread.join(60)
    theirs.close()
    assert len(answers[0]["images"]) == 1


def test_no_interrupt_while_somebody_waits(backend, webui, monkeypatch):
    monkeypatch.setattr(webui.host.tasks, "pending", lambda: {"size": 1, "tasks": ["theirs"]})
    monkeypatch.setattr(
        webui.host.tasks, "state_of", lambda task: {"active": True, "queued": False}
    )
    backend.interrupt(pinned(backend, cell()))
    assert webui.host.counters.interrupts == 0


def test_a_pause_draws_nothing_until_it_ends(backend, ledger, webui):
    pause, reports = threading.Event(), []
    pause.set()
    run = threading.Thread(
        target=lambda: reports.append(draw(backend, ledger, cell(), pause=pause))
    )
    run.start()
    run.join(0.5)
    assert run.is_alive()
    assert webui.host.counters.pictures == 0
    pause.clear()
    run.join(60)
    assert reports[0].drawn == 1


@pytest.mark.parametrize("count", [1, 2])
def test_a_pause_of_another_process_ends_our_job(backend, ledger, webui, tmp_path: Path, count):
    """The graphics card is free at once; the picture is drawn when the pause is over."""
    webui.host.seconds_per_picture = 600
    events: list[CellEvent] = []
    reports: list[RunReport] = []
    began = threading.Event()
    webui.host.faults.before = lambda body: began.set()

    def run() -> None:
        cells = (cell(seed=seed) for seed in range(count))
        reports.append(draw(backend, ledger, *cells, on_event=events.append))

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(60)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as other:
        other.set_paused(True)
        wait_until(lambda: webui.host.counters.interrupts == 1)
        webui.host.seconds_per_picture = 0
        wait_until(lambda: webui.host.tasks.state_of("any")["active"] is False)
        assert thread.is_alive()
        assert ledger.done_keys() == set()
        other.set_paused(False)
    thread.join(60)
    assert (reports[0].drawn, reports[0].failed) == (count, ())
    outcomes = [one.outcome for one in events]
    assert outcomes == [CellOutcome.PAUSED, CellOutcome.RESUMED, *[CellOutcome.DRAWN] * count]


def test_a_paused_run_can_be_stopped(backend, ledger, webui):
    ledger.set_paused(True)
    stop = threading.Event()

    def on_event(event: CellEvent) -> None:
        assert event.outcome is CellOutcome.PAUSED
        stop.set()

    report = draw(backend, ledger, cell(), stop=stop, on_event=on_event)
    assert (report.drawn, report.stopped, webui.host.counters.pictures) == (0, True, 0)
    ledger.set_paused(False)
    assert draw(backend, ledger, cell()).drawn == 1


def test_a_picture_that_may_not_be_ended_is_kept(backend, ledger, webui, monkeypatch):
    """Somebody else waits at the WebUI: ours is drawn to its end, and is none the worse."""
    monkeypatch.setattr(webui.host.tasks, "pending", lambda: {"size": 1, "tasks": ["theirs"]})
    webui.host.seconds_per_picture = 1
    stop = threading.Event()
    webui.host.faults.before = lambda body: stop.set()
    report = draw(backend, ledger, cell(), cell(seed=2), stop=stop)
    assert (report.drawn, report.stopped, webui.host.counters.interrupts) == (1, True, 0)
