"""The one loop that draws cells: claims, paints, verifies, keeps; stops and goes on.

Each painter works in a thread of its own and stays with the checkpoint that it has loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from kohya_ext.project import ToolError

from ..api.client import ConnectionLost, OutOfMemory
from .cell import Cell
from .ledger import Ledger
from .painters import Painter
from .plan import CellPlan
from .verify import Mismatch, Painted, pixels_digest, verify_picture


class Outcome(str, Enum):
    """What became of a cell."""

    DRAWN = "drawn"
    KNOWN = "known"
    FAILED = "failed"


@dataclass(frozen=True)
class CellEvent:
    """One cell is settled: `done` of `total` so far, at `server`, after `seconds`."""

    outcome: Outcome
    cell: Cell
    done: int
    total: int
    server: str = ""
    seconds: float = 0.0
    reason: str = ""


EventHandler = Callable[[CellEvent], None]
_LOOK_SECONDS = 0.5
"""How soon a waiting painter notices that the run was stopped."""


@dataclass(frozen=True)
class RunReport:
    """How a run ended; failed cells with their reasons."""

    drawn: int
    known: int
    failed: tuple[tuple[Cell, str], ...]
    stopped: bool

    def require_all(self) -> None:
        """Raise ToolError LL452 when a cell failed, LL453 when the run was stopped."""
        if self.failed:
            cell, reason = self.failed[0]
            more = f" {len(self.failed) - 1} more failed." if len(self.failed) > 1 else ""
            raise ToolError(
                "LL452",
                f"{len(self.failed)} of {self.total} pictures failed; seed {cell.seed}: "
                f"{reason}.{more}",
                "Mend the cause and run the same command again: finished pictures are kept.",
            )
        if self.stopped:
            raise ToolError(
                "LL453",
                f"Stopped after {self.drawn + self.known} pictures.",
                "Run the same command again to go on.",
            )

    @property
    def total(self) -> int:
        """All cells that were settled."""
        return self.drawn + self.known + len(self.failed)


def run_cells(
    plan: CellPlan,
    ledger: Ledger,
    painters: Sequence[Painter],
    *,
    on_event: EventHandler = lambda event: None,
    stop: threading.Event | None = None,
    executor: Executor | None = None,
) -> RunReport:
    """Draw what is not drawn yet; return what happened. Nothing finished is drawn again.

    Errors of the disk stop the run; errors of one picture are reported with that cell.
    """
    ledger.add(plan.cells)
    run = _Run(plan, ledger, on_event, stop or threading.Event())
    run.settle_known()
    if executor is not None:
        list(executor.map(run.work, painters))
    elif len(painters) == 1:
        run.work(painters[0])
    else:
        with ThreadPoolExecutor(max_workers=max(1, len(painters))) as pool:
            list(pool.map(run.work, painters))
    run.settle_controls()
    return run.report()


class _Run:
    """The state of one run, shared by its painters' threads under one lock."""

    def __init__(
        self, plan: CellPlan, ledger: Ledger, on_event: EventHandler, stop: threading.Event
    ) -> None:
        self._plan, self._ledger, self._on_event, self._stop = plan, ledger, on_event, stop
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[Cell] = []
        self._in_flight = 0
        self._drawn = 0
        self._known = 0
        self._failed: dict[str, tuple[Cell, str]] = {}
        self._pins: dict[str, str] = {}
        self._last_loss = "no WebUI was left to draw it"

    def settle_known(self) -> None:
        for cell in self._plan.cells:
            if self._ledger.is_done(cell.key):
                self._known += 1
                self._tell(Outcome.KNOWN, cell)
            else:
                self._waiting.append(cell)

    def work(self, painter: Painter) -> None:
        """Draw cells until none waits, near the checkpoint that this painter has loaded."""
        checkpoint = ""
        while not self._stop.is_set():
            cell = self._next(checkpoint)
            if cell is None:
                return
            checkpoint = cell.checkpoint.title
            try:
                if not self._draw(painter, cell):
                    return
            finally:
                self._landed()

    def _next(self, checkpoint: str) -> Cell | None:
        """Claim a cell; while others still draw, wait for one that they may give back."""
        with self._changed:
            while not self._stop.is_set():
                while self._waiting:
                    cell = self._waiting.pop(self._nearest(checkpoint))
                    if self._ledger.claim(cell.key):
                        self._in_flight += 1
                        return cell
                if not self._in_flight:
                    return None
                self._changed.wait(_LOOK_SECONDS)
            return None

    def _landed(self) -> None:
        """A claimed cell is settled or given back."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def _nearest(self, checkpoint: str) -> int:
        titles = (one.checkpoint.title for one in self._waiting)
        return next((i for i, title in enumerate(titles) if title == checkpoint), 0)

    def _draw(self, painter: Painter, cell: Cell) -> bool:
        """Draw one cell; False when this painter is of no more use."""
        try:
            painted = self._paint(painter, cell)
        except ConnectionLost as error:
            self._give_back(cell, error.problem)
            return False
        except ToolError as error:
            self._fail(painter, cell, error.problem)
            return not isinstance(error, OutOfMemory)
        except BaseException:
            self._ledger.release(cell.key)
            raise
        mismatches = [*verify_picture(cell, painted), *self._other_checkpoint(cell, painted)]
        if mismatches:
            self._fail(painter, cell, "; ".join(map(str, mismatches)))
            return True
        self._ledger.finish(
            cell.key,
            painted.png,
            infotext=painted.infotext,
            pixels=pixels_digest(painted.png),
            server=painter.name,
            seconds=painted.seconds,
        )
        with self._lock:
            self._drawn += 1
            self._tell(Outcome.DRAWN, cell, painter.name, painted.seconds)
        return True

    def _other_checkpoint(self, cell: Cell, painted: Painted) -> list[Mismatch]:
        """The first answer pins a checkpoint's hash; later answers must agree."""
        with self._lock:
            pinned = self._pins.setdefault(cell.checkpoint.title, painted.checkpoint_hash)
        if pinned == painted.checkpoint_hash:
            return []
        return [Mismatch("checkpoint hash", pinned, painted.checkpoint_hash)]

    def _paint(self, painter: Painter, cell: Cell) -> Painted:
        """Paint, and once more after an out-of-memory error."""
        try:
            return painter.paint(cell)
        except OutOfMemory:
            return painter.paint(cell)

    def _give_back(self, cell: Cell, reason: str) -> None:
        """A server is gone: its cell waits again, for whoever is left."""
        self._ledger.release(cell.key)
        with self._lock:
            self._waiting.insert(0, cell)
            self._last_loss = reason

    def _fail(self, painter: Painter, cell: Cell, reason: str) -> None:
        self._ledger.fail(cell.key, reason)
        with self._lock:
            self._failed[cell.key] = (cell, reason)
            self._tell(Outcome.FAILED, cell, painter.name, reason=reason)

    def settle_controls(self) -> None:
        """Fail cells whose picture is that of their no-LoRA control: the LoRA did nothing."""
        cells = {cell.key: cell for cell in self._plan.cells}
        for key, control in self._plan.controls.items():
            mine, theirs = self._ledger.record(key), self._ledger.record(control)
            if key not in cells or not mine or not theirs or not mine.pixels:
                continue
            if mine.state.value == "done" and mine.pixels == theirs.pixels:
                reason = "the LoRA changed nothing: it may be of another architecture"
                self._ledger.fail(key, reason)
                self._failed[key] = (cells[key], reason)

    def report(self) -> RunReport:
        failed = tuple(self._failed.values())
        stopped = self._stop.is_set()
        if not stopped:
            failed += tuple((cell, self._last_loss) for cell in self._waiting)
        return RunReport(self._drawn, self._known, failed, stopped)

    def _tell(
        self, outcome: Outcome, cell: Cell, server: str = "", seconds: float = 0.0, reason: str = ""
    ) -> None:
        done = self._drawn + self._known + len(self._failed)
        total = len(self._plan.cells)
        self._on_event(CellEvent(outcome, cell, done, total, server, seconds, reason))
