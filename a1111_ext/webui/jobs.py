"""Grids that a caller of our routes started: one after the other, followed by their number."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from kohya_ext.project import ToolError

from ..cells.events import CellEvent
from .grid import DrawnGrid

_log = logging.getLogger(__name__)
_KEPT = 100
"""So many grids are remembered; the oldest finished ones are forgotten first."""


class JobState(str, Enum):
    """How far a grid is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


FINISHED = (JobState.DONE, JobState.STOPPED, JobState.FAILED)


@dataclass(frozen=True)
class JobView:
    """One grid as it stands; `message` is a whole sentence when something went wrong."""

    number: str
    state: JobState
    done: int = 0
    total: int = 0
    message: str = ""
    result: DrawnGrid | None = None


Work = Callable[[Callable[[CellEvent], None], threading.Event], DrawnGrid]
"""Draws one grid: tells each settled cell, looks at the event to learn that it is to stop."""


class GridJobs:
    """The grids of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._views: dict[str, JobView] = {}
        self._stops: dict[str, threading.Event] = {}

    def start(self, work: Work, total: int) -> JobView:
        """Begin a grid in a thread of its own; it waits for those before it."""
        number = secrets.token_hex(8)
        view = JobView(number, JobState.WAITING, total=total)
        with self._lock:
            self._forget_oldest()
            self._views[number], self._stops[number] = view, threading.Event()
        threading.Thread(
            target=self._run, args=(number, work), name=f"loraloom-{number}", daemon=True
        ).start()
        return view

    def view(self, number: str) -> JobView:
        """Return how a grid stands; raises ToolError LL762 for a number that there is not."""
        with self._lock:
            found = self._views.get(number)
        if found is None:
            raise ToolError(
                "LL762",
                f'There is no grid "{number}".',
                "Numbers last until the WebUI is restarted; see GET /loraloom/v1/grids.",
            )
        return found

    def views(self) -> tuple[JobView, ...]:
        """Return all grids, the oldest first."""
        with self._lock:
            return tuple(self._views.values())

    def stop(self, number: str) -> JobView:
        """Ask a grid to stop after the picture that is being drawn."""
        self.view(number)
        self._stops[number].set()
        return self.view(number)

    def _forget_oldest(self) -> None:
        finished = [one for one, view in self._views.items() if view.state in FINISHED]
        for number in finished[: max(0, len(self._views) - _KEPT + 1)]:
            del self._views[number], self._stops[number]

    def _change(self, number: str, **changes: object) -> None:
        with self._lock:
            self._views[number] = replace(self._views[number], **changes)  # type: ignore[arg-type]

    def _run(self, number: str, work: Work) -> None:
        def tell(event: CellEvent) -> None:
            self._change(number, done=event.done)

        with self._one_at_a_time:
            self._change(number, state=JobState.RUNNING)
            try:
                result = work(tell, self._stops[number])
            except ToolError as error:
                self._change(number, state=JobState.FAILED, message=str(error))
            except Exception as error:  # noqa: BLE001  # a thread's end: nobody above can show it
                _log.error("loraloom: a grid failed", exc_info=error)
                message = f"{type(error).__name__}: {error}. The console shows where."
                self._change(number, state=JobState.FAILED, message=message)
            else:
                self._finish(number, result)

    def _finish(self, number: str, drawn: DrawnGrid) -> None:
        state = JobState.STOPPED if drawn.stopped else JobState.DONE
        failures = drawn.failures
        message = _say_failures(failures)
        done = len(drawn.finished)
        self._change(number, state=state, done=done, message=message, result=drawn)


def _say_failures(failures: tuple[str, ...]) -> str:
    if len(failures) < 2:
        return "".join(f"A picture failed: {one}" for one in failures)
    return f"{len(failures)} pictures failed, the first: {failures[0]}"
