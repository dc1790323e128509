"""The queue of the Agent Scheduler extension: tasks by name, their state, their pictures.

Measured with a337533 on A1111 v1.10.1: results as JSON are encoded again, as zip they are the
files; a task is `running` only where the WebUI says so, and unknown ids are answered with 200.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from kohya_ext.project import HostError
from kohya_ext.project.wording import counted

from .client import Client

V1 = "/agent-scheduler/v1"
_PAGE = 200
_MOST_BYTES = 400_000_000
ENDED = ("done", "failed", "interrupted")


@dataclass(frozen=True)
class Task:
    """One task of the queue; `result` is its own JSON text, or why it failed."""

    id: str
    name: str
    status: str
    result: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.status in ENDED


def add_task(client: Client, route: str, body: Mapping[str, Any], checkpoint: str, vae: str) -> str:
    """Queue one picture under the name that its body carries as `force_task_id`; return its id.

    Raises HostError (no queue, or it refused).
    """
    kind = route.rpartition("/")[2]
    name = str(body["force_task_id"])
    named: dict[str, Any] = {"checkpoint": checkpoint or None, "vae": vae or None}
    wanted = {key: value for key, value in body.items() if key != "force_task_id"}
    answer = client.post(f"{V1}/queue/{kind}", {**wanted, **named})
    task_id = answer.get("task_id") if isinstance(answer, dict) else None
    if not isinstance(task_id, str):
        raise _odd(client, "queue")
    name_task(client, task_id, name)
    return task_id


def name_task(client: Client, task_id: str, name: str) -> None:
    """Name a task. One that was begun before loses its name at its end: it is written as it was."""
    client.post(f"{V1}/task/{task_id}/rename?name={quote(name)}")


def find_tasks(client: Client) -> Iterator[Task]:
    """Yield what is queued, then what has ended, the newest first."""
    yield from _tasks(client, "queue?", "pending_tasks")
    yield from _tasks(client, "history?", "tasks")


def _tasks(client: Client, route: str, field: str) -> Iterator[Task]:
    offset = 0
    while True:
        answer = client.get(f"{V1}/{route}limit={_PAGE}&offset={offset}")
        rows = answer.get(field) if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise _odd(client, route.rstrip("?"))
        yield from (_task(client, row) for row in rows)
        if len(rows) < _PAGE:
            return
        offset += _PAGE


def find_task(client: Client, task_id: str) -> Task | None:
    """Return the state of a task; None when the queue does not know it any more."""
    answer = client.get(f"{V1}/task/{task_id}")
    if not isinstance(answer, dict):
        raise _odd(client, "task")
    return _task(client, answer["data"]) if answer.get("success") else None


def _task(client: Client, row: Any) -> Task:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise _odd(client, "task")
    texts = (str(row.get(name) or "") for name in ("name", "status", "result"))
    return Task(row["id"], *texts)


def read_picture(client: Client, task_id: str) -> bytes:
    """Return the file that a task made, byte for byte. Raises HostError unless it is one."""
    content = client.get_bytes(f"{V1}/task/{task_id}/results?zip=true", most_bytes=_MOST_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = packed.namelist()
            if len(names) == 1 and packed.getinfo(names[0]).file_size <= _MOST_BYTES:
                return packed.read(names[0])
    except zipfile.BadZipFile:
        names = []
    raise HostError(
        "LL451",
        f"The Agent Scheduler of {client.url} contains {counted(len(names), 'picture')} of a task "
        "of one.",
        "See its tab; deleted pictures are drawn again.",
    )


def is_paused(client: Client) -> bool:
    """Tell whether somebody has paused the queue."""
    answer = client.get(f"{V1}/queue?limit=1")
    return bool(isinstance(answer, dict) and answer.get("paused"))


def _odd(client: Client, route: str) -> HostError:
    return HostError(
        "LL660",
        f"The Agent Scheduler of {client.url} answers {route} not as expected.",
        "Update the extension, or draw without --agent-scheduler.",
    )
