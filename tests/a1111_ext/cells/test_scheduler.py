"""Cells through the queue of the Agent Scheduler: handed over, collected, verified."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from a1111_ext.api.agent_scheduler import V1, find_tasks
from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities
from a1111_ext.cells import Cell, Ledger, plan_cells, run_cells
from a1111_ext.cells.cell import CheckpointPin
from a1111_ext.cells.scheduler import SchedulerBackend
from a1111_ext.simulator import SimulatedWebui
from kohya_ext.project import ToolError


class QueueClient(Client):
    """A client of a WebUI with the extension, as a337533 answers: tasks are drawn when asked for.

    The simulated WebUI itself does not have the extension.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.tasks: dict[str, dict[str, Any]] = {}
        self.fails: set[int] = set()
        self.is_held = False

    def get(self, path: str, **options: Any) -> Any:
        if not path.startswith(V1):
            return super().get(path, **options)
        route, query = urlsplit(path).path.removeprefix(V1), parse_qs(urlsplit(path).query)
        if route in ("/queue", "/history"):
            is_queue = route == "/queue"
            rows = [one for one in self.tasks.values() if (one["status"] == "pending") is is_queue]
            shown = rows[int(query.get("offset", ["0"])[0]) :][: int(query["limit"][0])]
            return {"pending_tasks" if is_queue else "tasks": shown, "paused": self.is_held}
        task = self.tasks.get(route.split("/")[2])
        if task is None:
            return {"success": False, "message": "Task not found"}
        if not self.is_held:
            self._draw(task)
        return {"success": True, "data": task}

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        if not path.startswith(V1):
            return super().post(path, body, **options)
        parts = urlsplit(path).path.removeprefix(f"{V1}/").split("/")
        if parts[0] == "queue":
            number = str(len(self.tasks))
            self.tasks[number] = {"id": number, "status": "pending", "body": body, "type": parts[1]}
            return {"task_id": number}
        self.tasks[parts[1]]["name"] = unquote(parse_qs(urlsplit(path).query)["name"][0])
        return {"success": True}

    def get_bytes(self, path: str, **options: Any) -> bytes:
        task = self.tasks[path.split("/")[4]]
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            for number, png in enumerate(task["files"]):
                packed.writestr(f"{number:05}.png", png)
        return content.getvalue()

    def _draw(self, task: dict[str, Any]) -> None:
        if task["status"] != "pending":
            return
        if int(task["id"]) in self.fails:
            task["status"] = "failed"
            return
        body = {key: one for key, one in task["body"].items() if key not in ("vae", "callback_url")}
        settings = {**body["override_settings"], "sd_model_checkpoint": body.pop("checkpoint")}
        answer = super().post(f"/sdapi/v1/{task['type']}", {**body, "override_settings": settings})
        task["files"] = [base64.b64decode(one) for one in answer["images"]]
        task["status"] = "done"


@pytest.fixture
def queue(webui: SimulatedWebui) -> Iterator[QueueClient]:
    with QueueClient(webui.url) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


def cells() -> list[Cell]:
    base = Cell("a fox", 1, width=64, height=72, steps=2)
    names = ("simulated-b", "simulated-a", "simulated-b")
    return [
        replace(base, seed=number, checkpoint=CheckpointPin(name))
        for number, name in enumerate(names)
    ]


def backend(queue: QueueClient) -> SchedulerBackend:
    return SchedulerBackend(queue, fetch_capabilities(queue))


def test_each_picture_is_a_task_with_its_checkpoint(queue: QueueClient, ledger: Ledger):
    plan = plan_cells(cells())
    report = run_cells(plan, ledger, [backend(queue)])
    assert (report.drawn, report.failed) == (3, ())
    titles = [one["body"]["checkpoint"].split(".")[0] for one in queue.tasks.values()]
    assert titles == ["simulated-b", "simulated-b", "simulated-a"]
    assert all(one["name"].startswith("loraloom-") for one in queue.tasks.values())
    assert "force_task_id" not in json.dumps([one["body"] for one in queue.tasks.values()])
    record = ledger.record(plan.cells[0].key)
    assert record is not None
    assert "Model: simulated-b" in record.infotext


def test_what_was_handed_over_is_collected(queue: QueueClient, ledger: Ledger):
    """A run that ends leaves its tasks in the queue; the next one queues nothing twice."""
    plan, queue.is_held, stop = plan_cells(cells()), True, threading.Event()
    first = backend(queue)
    first.hand_over(plan.cells, stop)
    stop.set()
    assert run_cells(plan, ledger, [first], stop=stop).stopped
    assert len(queue.tasks) == 3
    queue.is_held = False
    assert run_cells(plan, ledger, [backend(queue)]).drawn == 3
    assert len(queue.tasks) == 3


def test_a_task_that_was_begun_before_it_was_named_has_its_name_at_its_end(
    queue: QueueClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    draw = queue._draw

    def draw_as_it_was(task: dict[str, Any]) -> None:
        if task["status"] != "done":
            task["name"] = None
        draw(task)

    monkeypatch.setattr(queue, "_draw", draw_as_it_was)
    plan = plan_cells(cells())
    run_cells(plan, ledger, [backend(queue)]).require_all()
    names = [one["name"] for one in queue.tasks.values()]
    assert None not in names
    assert len(set(names)) == len(plan.cells)


def test_a_failed_task_is_reported_and_queued_again(queue: QueueClient, ledger: Ledger):
    plan = plan_cells(cells())
    queue.fails = {1}
    report = run_cells(plan, ledger, [backend(queue)])
    assert report.drawn == 2
    assert "its task is failed" in report.failed[0][1]
    queue.fails = set()
    assert run_cells(plan, ledger, [backend(queue)]).drawn == 1
    assert len(queue.tasks) == 4


def test_a_deleted_task_is_reported(queue: QueueClient, ledger: Ledger):
    made = backend(queue)
    (first, *_) = cells()
    made.hand_over([first], threading.Event())
    queue.tasks.clear()
    report = run_cells(plan_cells([first]), ledger, [_Kept(made)])
    assert "its task is deleted" in report.failed[0][1]


class _Kept(SchedulerBackend):
    """One that was handed its cells already."""

    def __init__(self, made: SchedulerBackend) -> None:
        self.__dict__.update(made.__dict__)

    def hand_over(self, cells: Any, stop: threading.Event) -> None:
        pass


def test_a_wrong_picture_is_not_taken(queue: QueueClient, ledger: Ledger):
    """Somebody's task of that name with another checkpoint, or with two pictures."""
    plan = plan_cells(cells()[:2])
    made = backend(queue)
    made.hand_over(plan.cells, threading.Event())
    queue.tasks["0"]["body"]["checkpoint"] = "simulated-a"
    report = run_cells(plan, ledger, [made])
    assert report.drawn == 1
    assert "checkpoint" in report.failed[0][1]
    queue.tasks["1"]["files"] = queue.tasks["1"]["files"] * 2
    with pytest.raises(ToolError, match="LL451"):
        made.generate(plan.cells[1])


def test_a_webui_without_the_extension_is_refused(webui: SimulatedWebui):
    with Client(webui.url) as client, pytest.raises(ToolError, match="LL661"):
        SchedulerBackend(client, fetch_capabilities(client))


@pytest.mark.parametrize("answer", [[], {"pending_tasks": 3}, {"pending_tasks": [7]}, "text"])
def test_odd_answers_are_refused(queue: QueueClient, monkeypatch: pytest.MonkeyPatch, answer: Any):
    monkeypatch.setattr(queue, "get", lambda path, **options: answer)
    with pytest.raises(ToolError, match="LL660"):
        list(find_tasks(queue))
