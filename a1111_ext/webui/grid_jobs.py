"""Grids that a caller of our routes started: one after the other, followed by their id.

They are written down, so that an id still leads to its grid after the WebUI was restarted.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from kohya_ext.project import MissingError, ToolError
from kohya_ext.project.background_jobs import BackgroundJob, Say, StepStopped
from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import read_or_set_aside
from kohya_ext.project.printable import shortened
from kohya_ext.project.progress import Progress, ProgressHandler
from kohya_ext.project.wording import counted

from ..cells.events import CellEvent, CellOutcome
from .drawn import GridPlace, GridResult

_log = logging.getLogger(__name__)
_KEPT = 100
"""So many grids are remembered; the oldest finished ones are forgotten first."""

_CUT_OFF = (
    "The WebUI stopped before this grid was finished. Start it again: finished pictures are kept."
)


class GridState(str, Enum):
    """How far a grid is."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


FINISHED = (GridState.DONE, GridState.STOPPED, GridState.FAILED)


@dataclass(frozen=True)
class GridStatus:
    """The state of one grid; `message` is a whole sentence when something went wrong."""

    grid_id: str
    state: GridState
    done: int = 0
    total: int = 0
    message: str = ""
    place: GridPlace | None = None

    @property
    def has_result(self) -> bool:
        return self.state in (GridState.DONE, GridState.STOPPED)


@dataclass(frozen=True)
class GridSwitches:
    """What a caller may do to a grid that is drawn."""

    stop: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)


Work = Callable[[Callable[[CellEvent], None], GridSwitches], GridResult]
"""Draws one grid: reports each finished cell, looks at the switches to learn what it is to do."""


class _Started:
    """A grid whose job runs, or has run, in this process."""

    def __init__(self, work: Work, total: int, place: GridPlace | None) -> None:
        self.grid_id = secrets.token_hex(8)
        self.switches = GridSwitches()
        self._work, self._total, self._place = work, total, place
        self._is_paused = False
        self.job: BackgroundJob

    def draw(self, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        """Draw it, as a job's work."""

        def tell(event: CellEvent) -> None:
            if event.outcome in (CellOutcome.PAUSED, CellOutcome.RESUMED):
                self._is_paused = event.outcome is CellOutcome.PAUSED
            progress(Progress("Pictures", event.done, self._total))

        drawn = self._work(tell, self.switches)
        progress(Progress("Pictures", len(drawn.finished), self._total))
        said = _say_failures(drawn.failures)
        if drawn.stopped:
            raise StepStopped(said)
        say(said)

    @property
    def status(self) -> GridStatus:
        """The current state."""
        view = self.job.view()
        done = view.progress.done if view.progress else 0
        message = view.error or "".join(view.lines)
        state = GridState.PAUSED if self._is_paused else GridState.RUNNING
        if view.is_waiting:
            state = GridState.WAITING
        elif view.is_finished:
            state = GridState.STOPPED if view.is_stopped else GridState.DONE
            state = GridState.FAILED if view.error else state
        return GridStatus(self.grid_id, state, done, self._total, message, self._place)


class GridJobs:
    """The grids that were started here; with a `book` also those of before a restart."""

    def __init__(self, book: Path | None = None) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._grids: dict[str, _Started | GridStatus] = dict(_read_book(book)) if book else {}

    def start(self, work: Work, total: int, place: GridPlace | None = None) -> GridStatus:
        """Begin a grid in a thread of its own; it waits for those before it.

        Raises MachineError when it cannot be written down.
        """
        grid = _Started(work, total, place)
        grid.job = BackgroundJob(grid.grid_id, grid.draw, turn=self._turn, on_end=self._note_end)
        with self._lock:
            statuses = {one: self._status(one) for one in self._grids}
            finished = [one for one, status in statuses.items() if status.state in FINISHED]
            for old in finished[: max(0, len(self._grids) - _KEPT + 1)]:
                del self._grids[old]
            self._grids[grid.grid_id] = grid
            try:
                self._write_book()
            except ToolError:
                del self._grids[grid.grid_id]
                raise
        status = grid.status
        grid.job.start()
        return status

    def _status(self, grid_id: str) -> GridStatus:
        found = self._grids[grid_id]
        return found.status if isinstance(found, _Started) else found

    def find(self, grid_id: str) -> GridStatus:
        """Return the state of a grid; raises MissingError for an id that there is not."""
        with self._lock:
            if grid_id in self._grids:
                return self._status(grid_id)
        raise MissingError(
            "LL762",
            f'There is no grid "{shortened(grid_id)}".',
            f"See GET /loraloom/v1/grids: it lists the last {_KEPT}.",
        )

    def all(self) -> tuple[GridStatus, ...]:
        """Return all grids, the oldest first."""
        with self._lock:
            return tuple(map(self._status, self._grids))

    def stop(self, grid_id: str) -> GridStatus:
        """Ask a grid to stop after the picture that is being drawn."""
        return self._switch(grid_id, lambda switches: switches.stop.set())

    def pause(self, grid_id: str) -> GridStatus:
        """Let a grid wait after the picture that is being drawn."""
        return self._switch(grid_id, lambda switches: switches.pause.set())

    def resume(self, grid_id: str) -> GridStatus:
        """Let a paused grid continue."""
        return self._switch(grid_id, lambda switches: switches.pause.clear())

    def _switch(self, grid_id: str, change: Callable[[GridSwitches], None]) -> GridStatus:
        self.find(grid_id)
        grid = self._grids[grid_id]
        if isinstance(grid, _Started):
            change(grid.switches)
        return self.find(grid_id)

    def _note_end(self) -> None:
        try:
            with self._lock:
                self._write_book()
        except ToolError as error:  # the grid is drawn anyway
            _log.error("loraloom: %s", error)

    def _write_book(self) -> None:
        if self._book is not None:
            write_json_atomic(self._book, [_as_dict(self._status(one)) for one in self._grids])


def _say_failures(failures: tuple[str, ...]) -> str:
    if len(failures) < 2:
        return "".join(f"A picture failed: {one}" for one in failures)
    return f"{counted(len(failures), 'picture')} failed, the first: {failures[0]}"


def _as_dict(status: GridStatus) -> dict[str, object]:
    place = status.place
    return {
        "grid": status.grid_id,
        "state": status.state.value,
        "done": status.done,
        "total": status.total,
        "message": status.message,
        "root": str(place.root) if place else "",
        "name": place.grid_id if place else "",
    }


def _read_book(book: Path) -> dict[str, GridStatus]:
    """Read the grids of before; those that were not at their end were cut off."""

    def parse(rows: list[dict[str, str]]) -> dict[str, GridStatus]:
        return {one.grid_id: one for one in map(_status_of, rows)}

    return read_or_set_aside(book, parse, {})


def _status_of(row: dict[str, str]) -> GridStatus:
    status = GridStatus(
        row["grid"],
        GridState(row["state"]),
        int(row["done"]),
        int(row["total"]),
        row["message"],
        GridPlace(Path(row["root"]), row["name"]) if row["name"] else None,
    )
    if status.state in FINISHED:
        return status
    return replace(status, state=GridState.STOPPED, message=_CUT_OFF)
