"""A backend whose pictures go through the queue of the Agent Scheduler extension.

One task for each picture, with its checkpoint, under the name of its cell: all are handed over
first, and what an earlier run left there is collected instead of drawn twice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from kohya_ext.project import HostError, MissingError

from ..api.agent_scheduler import (
    add_task,
    find_task,
    find_tasks,
    is_paused,
    name_task,
    read_picture,
)
from ..api.capabilities import Capabilities
from ..api.client import Client
from ..api.infotext import read_infotext
from ..api.payloads import task_id
from .backend import DrawingStopped, HttpBackend
from .cell import Cell
from .verify import Generated

_POLL_SECONDS = 0.5
_USABLE = ("pending", "running", "done")


class SchedulerBackend(HttpBackend):
    """Draws by the queue's own order; people may move, pause and delete tasks in its tab."""

    takes_turns = draws_rows = False

    def __init__(
        self, client: Client, capabilities: Capabilities, *, stop: threading.Event | None = None
    ) -> None:
        if not capabilities.has_agent_scheduler:
            raise MissingError(
                "LL661",
                f"The WebUI at {client.url} has no Agent Scheduler.",
                "Install that extension, or leave out --agent-scheduler.",
            )
        super().__init__(client, capabilities)
        self._stopping = stop or threading.Event()
        self._tasks: dict[str, str] = {}

    def hand_over(self, cells: Iterable[Cell], stop: threading.Event) -> None:
        """Queue every cell that is not there yet, in the order in which they are drawn best.

        Where cells without a VAE would be drawn with that of others, each is queued in its turn.
        """
        self._stopping = stop
        self.hold_settings()
        earlier = reversed(list(find_tasks(self.client)))  # the newest of each name counts
        left = {one.name: one.id for one in earlier if one.status in _USABLE}
        for cell in cells:
            if stop.is_set():
                return
            if task := left.get(task_id(cell)):
                self._tasks[cell.key] = task
            elif not self.capabilities.keeps_vae:
                self._tasks[cell.key] = self._add(cell)

    def _add(self, cell: Cell) -> str:
        route, body = self.request_of(cell)
        found = self.capabilities.find_checkpoint(cell.checkpoint.title)
        checkpoint = found.title if found else cell.checkpoint.title
        return add_task(self.client, route, body, checkpoint, cell.vae)

    def generate_row(self, cells: Sequence[Cell]) -> Sequence[Generated]:
        """Wait for a cell's task and collect its picture.

        Raises HostError (the task failed, or was deleted) or DrawingStopped.
        """
        (cell,) = cells
        self.hold_settings()
        task = self._tasks.get(cell.key) or self._add(cell)
        self._tasks[cell.key] = task
        started = self._clock()
        status = self._await(task, task_id(cell))
        if status != "done":
            del self._tasks[cell.key]
            raise HostError(
                "LL662",
                f"The Agent Scheduler did not draw it: its task is {status}.",
                "Its tab says why; run the same command again to queue it again.",
            )
        png = read_picture(self.client, task)
        return [Generated(png, _text_of(png), "", self._clock() - started)]

    def _await(self, task: str, name: str) -> str:
        """Wait for the end of a task, which has its name then, for a later run to find it by."""
        while True:
            found = find_task(self.client, task)
            if found is None:
                return "deleted"
            if found.name != name:
                name_task(self.client, task, name)
            if found.has_ended:
                return found.status
            if self._stopping.wait(_POLL_SECONDS):
                raise DrawingStopped  # it stays in the queue, and is collected the next time

    def interrupt(self, cells: Sequence[Cell]) -> bool:
        """End nothing: what was handed over belongs to the queue."""
        return False

    @property
    def is_paused(self) -> bool:
        """Whether somebody has paused the queue."""
        return is_paused(self.client)


def _text_of(png: bytes) -> str:
    try:
        return read_infotext(png)
    except (OSError, SyntaxError, ValueError):
        return ""
