"""Grids that a caller of our routes started: one after the other, followed by their number.

They are written down, so that a number still leads to its grid after the WebUI was restarted.
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
from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import read_json

from ..cells.events import CellEvent, Outcome
from .grid import DrawnGrid
from .kept_grid import GridPlace

_log = logging.getLogger(__name__)
_KEPT = 100
"""So many grids are remembered; the oldest finished ones are forgotten first."""

_CUT_OFF = (
    "The WebUI ended before this grid was finished. Start it again: finished pictures are kept."
)


class JobState(str, Enum):
    """How far a grid is."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


_STATE_AFTER = {Outcome.PAUSED: JobState.PAUSED, Outcome.RESUMED: JobState.RUNNING}
FINISHED = (JobState.DONE, JobState.STOPPED, JobState.FAILED)


@dataclass(frozen=True)
class JobView:
    """One grid as it stands; `message` is a whole sentence when something went wrong."""

    number: str
    state: JobState
    done: int = 0
    total: int = 0
    message: str = ""
    place: GridPlace | None = None

    @property
    def has_result(self) -> bool:
        return self.state in (JobState.DONE, JobState.STOPPED)


@dataclass(frozen=True)
class Switches:
    """What a caller may do to a grid that is drawn."""

    stop: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)


Work = Callable[[Callable[[CellEvent], None], Switches], DrawnGrid]
"""Draws one grid: tells each settled cell, looks at the switches to learn what it is to do."""


class GridJobs:
    """The grids that were started here; with a `book` also those of before a restart."""

    def __init__(self, book: Path | None = None) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._views: dict[str, JobView] = _read_book(book) if book else {}
        self._switches: dict[str, Switches] = {one: Switches() for one in self._views}

    def start(self, work: Work, total: int, place: GridPlace | None = None) -> JobView:
        """Begin a grid in a thread of its own; it waits for those before it.

        Raises MachineError (when it cannot be written down).
        """
        number = secrets.token_hex(8)
        view = JobView(number, JobState.WAITING, total=total, place=place)
        with self._lock:
            self._forget_oldest()
            self._views[number], self._switches[number] = view, Switches()
            try:
                self._write_book()
            except ToolError:
                del self._views[number], self._switches[number]
                raise
        threading.Thread(
            target=self._run, args=(number, work), name=f"loraloom-{number}", daemon=True
        ).start()
        return view

    def view(self, number: str) -> JobView:
        """Return how a grid stands; raises MissingError for a number that there is not."""
        with self._lock:
            found = self._views.get(number)
        if found is None:
            raise MissingError(
                "LL762",
                f'There is no grid "{number}".',
                f"See GET /loraloom/v1/grids: the last {_KEPT} are remembered.",
            )
        return found

    def views(self) -> tuple[JobView, ...]:
        """Return all grids, the oldest first."""
        with self._lock:
            return tuple(self._views.values())

    def stop(self, number: str) -> JobView:
        """Ask a grid to stop after the picture that is being drawn."""
        self.view(number)
        self._switches[number].stop.set()
        return self.view(number)

    def pause(self, number: str, is_paused: bool) -> JobView:
        """Let a grid wait after the picture that is being drawn, or go on."""
        self.view(number)
        switch = self._switches[number].pause
        (switch.set if is_paused else switch.clear)()
        return self.view(number)

    def _forget_oldest(self) -> None:
        finished = [one for one, view in self._views.items() if view.state in FINISHED]
        for number in finished[: max(0, len(self._views) - _KEPT + 1)]:
            del self._views[number], self._switches[number]

    def _change(self, number: str, **changes: object) -> None:
        with self._lock:
            self._views[number] = replace(self._views[number], **changes)  # type: ignore[arg-type]

    def _run(self, number: str, work: Work) -> None:
        def tell(event: CellEvent) -> None:
            new = _STATE_AFTER.get(event.outcome)
            self._change(number, done=event.done, **({"state": new} if new else {}))

        with self._one_at_a_time:
            self._change(number, state=JobState.RUNNING)
            try:
                result = work(tell, self._switches[number])
            except ToolError as error:
                self._change(number, state=JobState.FAILED, message=str(error))
            except Exception as error:  # noqa: BLE001  # a thread's end: nobody above can show it
                _log.error("loraloom: a grid failed", exc_info=error)
                message = f"{type(error).__name__}: {error}. The console shows where."
                self._change(number, state=JobState.FAILED, message=message)
            else:
                self._finish(number, result)
            self._note_end()

    def _note_end(self) -> None:
        try:
            with self._lock:
                self._write_book()
        except ToolError as error:  # the grid is drawn all the same
            _log.error("loraloom: %s", error)

    def _write_book(self) -> None:
        if self._book is not None:
            write_json_atomic(self._book, [_as_dict(one) for one in self._views.values()])

    def _finish(self, number: str, drawn: DrawnGrid) -> None:
        state = JobState.STOPPED if drawn.stopped else JobState.DONE
        failures = drawn.failures
        message = _say_failures(failures)
        self._change(number, state=state, done=len(drawn.finished), message=message)


def _say_failures(failures: tuple[str, ...]) -> str:
    if len(failures) < 2:
        return "".join(f"A picture failed: {one}" for one in failures)
    return f"{len(failures)} pictures failed, the first: {failures[0]}"


def _as_dict(view: JobView) -> dict[str, object]:
    place = view.place
    return {
        "grid": view.number,
        "state": view.state.value,
        "done": view.done,
        "total": view.total,
        "message": view.message,
        "root": str(place.root) if place else "",
        "name": place.grid_id if place else "",
    }


def _read_book(book: Path) -> dict[str, JobView]:
    """Read the grids of before; those that were not at their end were cut off."""
    try:
        rows = read_json(book)
        views = [_view_of(row) for row in rows]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        _log.warning("loraloom: %s is damaged and begun again: %s", book, error)
        return {}
    return {one.number: one for one in views}


def _view_of(row: dict[str, str]) -> JobView:
    view = JobView(
        row["grid"],
        JobState(row["state"]),
        int(row["done"]),
        int(row["total"]),
        row["message"],
        GridPlace(Path(row["root"]), row["name"]) if row["name"] else None,
    )
    if view.state in FINISHED:
        return view
    return replace(view, state=JobState.STOPPED, message=_CUT_OFF)
