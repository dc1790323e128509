"""Long work that continues while nobody looks: one thread each, followed from any browser window.

A page that is reloaded finds its job again; a job ends by itself or when it is stopped.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from .errors import ConflictError, ToolError
from .progress import Progress, ProgressHandler

_log = logging.getLogger(__name__)
_KEPT_LINES = 200

Say = Callable[[str], None]
Work = Callable[[ProgressHandler, Say, threading.Event], None]
"""A step: it reports progress, says lines, and looks at the event to learn that it is to stop."""


def sentence_of(error: Exception) -> str:
    """Return what the user reads of an error; one that nobody foresaw also goes to the log."""
    if isinstance(error, ToolError):
        return str(error)
    _log.error("%s", error, exc_info=error)
    return f"{type(error).__name__}: {error}. See the console for details."


class StepStopped(Exception):  # not an error: the user asked for it
    """Raised inside a step to unwind it after `stop`; its text tells how to continue."""


def stoppable(progress: ProgressHandler, stop: threading.Event) -> ProgressHandler:
    """Return a handler that ends the step at its next report once `stop` is set."""

    def handle(report: Progress) -> None:
        if stop.is_set():
            raise StepStopped("Stopped. Run the step again to continue.")
        progress(report)

    return handle


@dataclass(frozen=True)
class JobView:
    """One job as it stands now; `error` is a whole sentence or empty.

    One that is waiting has its turn after others.
    """

    name: str
    progress: Progress | None
    lines: tuple[str, ...]
    error: str
    is_finished: bool
    is_stopped: bool
    version: int
    is_waiting: bool = False


class BackgroundJob:
    """One run of a step in a thread of its own; jobs that share a `turn` run one at a time."""

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        turn: threading.Lock | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._turn, self._on_end = turn, on_end
        self._is_waiting = turn is not None
        self._work = work
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._progress: Progress | None = None
        self._error = ""
        self._is_finished = False
        self._is_stopped = False
        self._version = 0
        self._thread = threading.Thread(target=self._run, name=f"loraloom-{name}", daemon=True)

    def start(self) -> None:
        """Begin; called once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the step to stop; it ends when it has looked at the event."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def view(self) -> JobView:
        """Return how it stands."""
        with self._changed:
            return self._view()

    def wait(self, version: int, seconds: float) -> JobView:
        """Return the next state after `version`, or the present one when `seconds` have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version, timeout=seconds)
            return self._view()

    def follow(self, seconds: float = 1.0) -> Iterator[JobView]:
        """Yield a state at most every so often while it changes, the finished one last."""
        view = self.view()
        while not view.is_finished:
            yield view
            view = self.wait(view.version, seconds)
        yield view

    def _view(self) -> JobView:
        return JobView(
            self.name,
            self._progress,
            tuple(self._lines),
            self._error,
            self._is_finished,
            self._is_stopped,
            self._version,
            self._is_waiting,
        )

    def _run(self) -> None:
        with self._turn or nullcontext():
            with self._changed:
                self._is_waiting = False
                self._tell()
            error = ""
            try:
                self._work(self._report, self._say, self._stop)
            except StepStopped as end:
                self._say(str(end))
                self._is_stopped = True
            except Exception as problem:  # noqa: BLE001  # a host callback: the host must live on
                error = sentence_of(problem)
            with self._changed:
                self._error, self._is_finished = error, True
                self._tell()
            self._on_end()

    def _report(self, progress: Progress) -> None:
        with self._changed:
            self._progress = progress
            self._tell()

    def _say(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._tell()

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()


class BackgroundJobs:
    """The jobs of this process: the last one of each project."""

    def __init__(self) -> None:
        self._jobs: dict[Path, BackgroundJob] = {}
        self._lock = threading.Lock()

    def start(self, root: Path, name: str, work: Work) -> BackgroundJob:
        """Begin a step of the project in `root`; raises ConflictError while another continues."""
        with self._lock:
            running = self._jobs.get(root)
            if running is not None and not running.view().is_finished:
                raise ConflictError(
                    "LL707",
                    f'"{running.name}" is still running for {root}.',
                    "Wait until it has finished, or stop it.",
                )
            job = self._jobs[root] = BackgroundJob(name, work)
            job.start()
        return job

    def find(self, root: Path) -> BackgroundJob | None:
        """Return the project's last job, running or finished."""
        with self._lock:
            return self._jobs.get(root)
