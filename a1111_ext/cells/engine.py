"""The one loop that draws cells: claims, paints, keeps, verifies; stops and goes on.

Each painter works in a thread of its own and stays with what it has loaded; a picture is checked
beside the next request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from kohya_ext.project import ToolError

from ..api.client import ApiError, ConnectionLost, OutOfMemory
from .cell import BATCH_SIZE, Cell
from .ledger import Claim, Ledger
from .painters import Painter
from .plan import CellPlan
from .verify import Checked, Painted, check_picture, painted_from_png
from .waiting import Group, Waiting, group_of

_LOOK_SECONDS = 0.2
"""How soon a waiting thread notices that the run was stopped, or another process is done."""

_GRACE_SECONDS = 10.0
"""How long an interrupted run waits for its painters."""

_TRIES = 2
_SERVER_ERROR = 500
_RECENT = 50
CHANGED_NOTHING = "the LoRA changed nothing: it may be of another architecture"


class Outcome(str, Enum):
    """What became of a cell; WAITING means that it will be asked for once more."""

    DRAWN = "drawn"
    KNOWN = "known"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class CellEvent:
    """One cell is settled: `done` of `total` so far, at `server`, after `seconds`.

    `loads` counts checkpoint loads so far; `left_seconds` is None before the first picture.
    """

    outcome: Outcome
    cell: Cell
    done: int
    total: int
    server: str = ""
    seconds: float = 0.0
    reason: str = ""
    loads: int = 0
    left_seconds: float | None = None


EventHandler = Callable[[CellEvent], None]


@dataclass(frozen=True)
class Patience:
    """How often a picture is asked for, how long between, how long a lost WebUI is waited for."""

    tries: int = 3
    pause_seconds: float = 2.0
    return_seconds: float = 180.0


@dataclass(frozen=True)
class RunReport:
    """How a run ended; failed cells with their reasons."""

    drawn: int
    known: int
    failed: tuple[tuple[Cell, str], ...]
    stopped: bool
    unchecked: int = 0
    """Cells whose no-LoRA control has no picture, so that nothing says that the LoRA worked."""

    def require_all(self) -> None:
        """Raise ToolError LL452 when a cell failed, LL453 when the run was stopped."""
        if self.failed:
            cell, reason = self.failed[0]
            more = f" {len(self.failed) - 1} more failed." if len(self.failed) > 1 else ""
            raise ToolError(
                "LL452",
                f"{len(self.failed)} of {self.total} pictures failed; seed {cell.seed}: "
                f"{reason.rstrip('.')}.{more}",
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
    pause: threading.Event | None = None,
    executor: Executor | None = None,
    patience: Patience | None = None,
    n_iter: int = 1,
) -> RunReport:
    """Draw what is not drawn yet; return what happened. Nothing finished is drawn again.

    `executor` paints and checks (Dask's has the same interface); claims and pictures stay here.
    `n_iter` is how many seeds of a row may be asked for in one request. Errors of the disk stop
    the run; errors of one picture are reported with that cell.
    """
    controls = _Switches(stop or threading.Event(), pause or threading.Event(), n_iter)
    run = _Run(plan, ledger, painters, on_event, controls, patience or Patience(), executor)
    run.settle_known()
    workers = [_Worker(run, painter) for painter in painters]
    with _interrupting(controls.stop, workers):
        if len(workers) == 1:
            workers[0].work()  # in this thread: a painter inside a WebUI is bound to it
        else:
            _work_together(workers, controls.stop)
    run.settle_controls()
    return run.report()


@dataclass(frozen=True)
class _Switches:
    """What the caller may do while a run goes on, and how many seeds go into one request."""

    stop: threading.Event
    pause: threading.Event
    n_iter: int


@runtime_checkable
class Interruptible(Protocol):
    """A painter whose running job can be ended, if it is ours."""

    def interrupt(self, cells: Sequence[Cell]) -> None:
        """End the job of these cells; never that of somebody else."""
        ...


@runtime_checkable
class Returning(Protocol):
    """A painter that may come back after it was lost."""

    def is_back(self) -> bool:
        """Tell whether it answers again."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A painter that cannot draw everything."""

    def lacks(self, cell: Cell) -> str:
        """Say what it lacks for a cell; "" when it has everything."""
        ...


@runtime_checkable
class RowPainter(Protocol):
    """A painter that draws several seeds of one row in one request."""

    def paint_row(self, cells: Sequence[Cell]) -> Sequence[Painted]:
        """Draw cells that differ in seed only."""
        ...


@runtime_checkable
class Rememberer(Protocol):
    """A painter that can wait for what was asked of it before."""

    def await_earlier(self, cell: Cell, stop: threading.Event) -> None:
        """Wait until an earlier request for this cell is no longer worked on."""
        ...


@runtime_checkable
class Remote(Protocol):
    """A painter that draws elsewhere, so that its last picture is checked beside the next."""

    is_remote: bool


@runtime_checkable
class Unloading(Protocol):
    """A painter that can free GPU memory."""

    def free_memory(self) -> None:
        """Unload what is loaded; the next picture loads it again."""
        ...


class _Run:
    """The state of one run, shared by its painters' threads under one lock."""

    def __init__(
        self,
        plan: CellPlan,
        ledger: Ledger,
        painters: Sequence[Painter],
        on_event: EventHandler,
        switches: _Switches,
        patience: Patience,
        executor: Executor | None,
    ) -> None:
        self.ledger, self.switches, self.patience = ledger, switches, patience
        self.stop, self.executor = switches.stop, executor
        self._plan, self._painters, self._on_event = plan, painters, on_event
        self._changed = threading.Condition()
        self._waiting = Waiting(())
        self._elsewhere: list[Cell] = []
        self._at: dict[int, Group] = {}
        self._in_flight = 0
        self._loads = 0
        self._drawn: set[str] = set()
        self._known: set[str] = set()
        self._failed: dict[str, tuple[Cell, str]] = {}
        self._losses: dict[str, int] = {}
        self._asked: dict[str, str] = {}
        self._last_loss = "no WebUI was left to draw it"
        self._pixels: dict[str, str] = {}
        self._seconds: list[float] = []

    def settle_known(self) -> None:
        """Count what is done already; everything else waits."""
        self.ledger.add(self._plan.cells)
        done = self.ledger.done_among([cell.key for cell in self._plan.cells])
        waiting = []
        for cell in self._plan.cells:
            if cell.key in done:
                self._known.add(cell.key)
                self._tell(Outcome.KNOWN, cell)
            else:
                waiting.append(cell)
        self._waiting = Waiting(waiting)
        if done and self._plan.controls:
            self._pixels = dict(self.ledger.pixels())

    # -- taking cells ---------------------------------------------------------------------

    def take(self, painter: Painter, near: Group | None) -> list[tuple[Cell, str]]:
        """Claim cells for one request, each with where it was asked for before; [] at the end.

        While others still draw, wait for what they may give back.
        """
        with self._changed:
            while not self.stop.is_set():
                if self.switches.pause.is_set():
                    self._changed.wait(_LOOK_SECONDS)
                    continue
                taken = self._claim_next(painter, near)
                if taken:
                    self._in_flight += 1
                    return taken
                if not self._in_flight and not self._elsewhere:
                    return []
                self._changed.wait(_LOOK_SECONDS)
                self._look_elsewhere()
        return []

    def _claim_next(self, painter: Painter, near: Group | None) -> list[tuple[Cell, str]]:
        may = _may(painter)
        others = [group for who, group in self._at.items() if who != id(painter)]
        while True:
            first = self._waiting.take(near, others, may)
            if first is None:
                return []
            taken = [
                (cell, claim.left_at or self._asked.get(cell.key, ""))
                for cell in [first, *self._row_of(first, painter)]
                if (claim := self._claim(cell, painter)) is not None
            ]
            if taken:
                self._note_load(painter, group_of(first))
                return taken

    def _row_of(self, first: Cell, painter: Painter) -> list[Cell]:
        if first.batch.kind == BATCH_SIZE:
            return self._waiting.take_batch(first)
        if self.switches.n_iter > 1 and isinstance(painter, RowPainter):
            return self._waiting.take_row(first, self.switches.n_iter - 1)
        return []

    def _claim(self, cell: Cell, painter: Painter) -> Claim | None:
        claim = self.ledger.claim(cell.key, painter.name)
        if claim is None:
            self._elsewhere.append(cell)  # another process draws it; it may give up
        return claim

    def _note_load(self, painter: Painter, group: Group) -> None:
        before = self._at.get(id(painter))
        if before is None or before[0] != group[0]:
            self._loads += 1
        self._at[id(painter)] = group

    def _look_elsewhere(self) -> None:
        """See what another process has finished, and take over what it left."""
        cells, self._elsewhere = self._elsewhere, []
        done = self.ledger.done_among([cell.key for cell in cells])
        for cell in cells:
            if cell.key in done:
                self._known.add(cell.key)
                self._tell(Outcome.KNOWN, cell)
            else:
                self._waiting.put_back([cell])

    def landed(self) -> None:
        """A request's cells are settled or given back."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def leave(self, painter: Painter) -> None:
        """A painter has gone; others may take what it had loaded."""
        with self._changed:
            self._at.pop(id(painter), None)
            self._changed.notify_all()

    @property
    def has_work(self) -> bool:
        """Whether a painter that comes back would have something to do."""
        with self._changed:
            return bool(len(self._waiting) or self._in_flight or self._elsewhere)

    # -- what became of them --------------------------------------------------------------

    def asked(self, cells: Iterable[Cell], painter: Painter) -> None:
        """Remember where cells were asked for, in case that the answer is lost."""
        with self._changed:
            for cell in cells:
                self._asked[cell.key] = painter.name

    def give_back(self, cells: Sequence[Cell], reason: str, *, is_loss: bool = True) -> None:
        """Let cells wait again; one that was lost too often fails."""
        waiting = []
        for cell in cells:
            losses = self._losses.get(cell.key, 0) + is_loss
            self._losses[cell.key] = losses
            if losses >= self.patience.tries:
                self.fail(cell, reason)
            else:
                self.ledger.release(cell.key)
                waiting.append(cell)
        with self._changed:
            self._waiting.put_back(waiting)
            self._last_loss = reason

    def fail(self, cell: Cell, reason: str, server: str = "") -> None:
        """Mark a cell failed, with its reason."""
        self.ledger.fail(cell.key, reason)
        with self._changed:
            self._failed[cell.key] = (cell, reason)
            self._tell(Outcome.FAILED, cell, server, reason=reason)

    def tell_waiting(self, cell: Cell, painter: Painter, reason: str) -> None:
        """Tell that a cell will be asked for once more."""
        with self._changed:
            self._tell(Outcome.WAITING, cell, painter.name, reason=reason)

    def settle(self, cell: Cell, painted: Painted, checked: Checked, server: str) -> None:
        """Finish or fail a cell whose picture was kept and checked."""
        reason = (
            "; ".join(map(str, checked.mismatches))
            or self._other_checkpoint(cell, painted)
            or self._unchanged(cell.key, checked.pixels)
        )
        if reason:
            self.fail(cell, reason, server)
            return
        self.ledger.finish(
            cell.key,
            infotext=painted.infotext,
            pixels=checked.pixels,
            server=server,
            seconds=painted.seconds,
        )
        with self._changed:
            self._drawn.add(cell.key)
            self._pixels[cell.key] = checked.pixels
            if painted.seconds:
                self._seconds.append(painted.seconds)
            self._tell(Outcome.DRAWN, cell, server, painted.seconds)

    def _unchanged(self, key: str, pixels: str) -> str:
        control = self._pixels.get(self._plan.controls.get(key, ""), "")
        return CHANGED_NOTHING if control and control == pixels else ""

    def _other_checkpoint(self, cell: Cell, painted: Painted) -> str:
        """The first answer pins a checkpoint's hash; later answers must agree."""
        title = cell.checkpoint.title
        if not painted.checkpoint_hash or not title:
            return ""
        pinned = self.ledger.pin(title, painted.checkpoint_hash)
        if pinned == painted.checkpoint_hash:
            return ""
        return (
            f"checkpoint hash: {title} was {pinned} before, the WebUI now answers with "
            f"{painted.checkpoint_hash}"
        )

    def settle_controls(self) -> None:
        """Fail cells whose picture is that of a control that was drawn after them."""
        if not self._plan.controls:
            return
        self._pixels = dict(self.ledger.pixels())
        for cell in self._plan.cells:
            if self._unchanged(cell.key, self._pixels.get(cell.key, "")):
                self._drawn.discard(cell.key)
                self._known.discard(cell.key)
                self.fail(cell, CHANGED_NOTHING)

    def report(self) -> RunReport:
        """Say how the run ended."""
        failed = tuple(self._failed.values())
        stopped = self.stop.is_set()
        if not stopped:
            failed += tuple((cell, self._why_not(cell)) for cell in self._waiting.cells())
        unchecked = [
            key
            for key, control in self._plan.controls.items()
            if key in self._pixels and control not in self._pixels
        ]
        return RunReport(len(self._drawn), len(self._known), failed, stopped, len(unchecked))

    def _why_not(self, cell: Cell) -> str:
        """Say why nobody draws a cell: what the WebUIs lack, or how the last one was lost."""
        lacks = [one.lacks(cell) for one in self._painters if isinstance(one, Selective)]
        return next(filter(None, lacks), self._last_loss)

    def _tell(
        self, outcome: Outcome, cell: Cell, server: str = "", seconds: float = 0.0, reason: str = ""
    ) -> None:
        done = len(self._drawn) + len(self._known) + len(self._failed)
        total = len(self._plan.cells)
        left = None
        if self._seconds and outcome is not Outcome.KNOWN:
            recent = self._seconds[-_RECENT:]
            left = sum(recent) / len(recent) * (total - done) / max(1, len(self._at))
        event = CellEvent(outcome, cell, done, total, server, seconds, reason, self._loads, left)
        self._on_event(event)


Answer = tuple[Cell, Painted, Checked | None]
"""A picture that came back; it is still to be checked when the last one is None."""


class _Lost(Exception):
    """The painter's cells were given back; it may return."""


class _Useless(Exception):
    """The painter's cells were given back; it can do no more."""


class _Worker:
    """One painter at work: paints in this thread, checks in another beside the next request."""

    def __init__(self, run: _Run, painter: Painter) -> None:
        self._run, self._painter = run, painter
        self._asking: tuple[Cell, ...] = ()
        self._interrupted = False
        self.error: BaseException | None = None

    def work(self) -> None:
        """Draw until nothing waits, or until this painter is of no more use."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="check") as checker:
                self._work(checker)
        finally:
            self._run.leave(self._painter)

    def _work(self, checker: Executor) -> None:
        checking: Future[None] | None = None
        near: Group | None = None
        while taken := self._run.take(self._painter, near):
            near = group_of(taken[0][0])
            try:
                answers = self._draw(taken)
            except _Lost:
                if not self._comes_back():
                    break
                near = None
                continue
            except _Useless:
                break
            finally:
                self._run.landed()
            if checking is not None:
                checking.result()
            checking = checker.submit(self._settle, answers)
            if not isinstance(self._painter, Remote):
                checking.result()  # a host's own thread and progress bar go step by step
        if checking is not None:
            checking.result()

    def _draw(self, taken: Sequence[tuple[Cell, str]]) -> list[Answer]:
        """Take up pictures of an earlier run, or have them painted, and keep them."""
        try:
            answers, cells = [], []
            for cell, earlier in taken:
                found = _adopted(self._run.ledger, cell)
                if found is not None:
                    answers.append(found)
                    continue
                cells.append(cell)
                if earlier == self._painter.name and isinstance(self._painter, Rememberer):
                    self._painter.await_earlier(cell, self._run.stop)
            if cells:
                answers += self._request(cells)
            for cell, painted, _ in answers:
                self._run.ledger.keep(cell.key, painted.png)
        except (_Lost, _Useless):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._end_job([cell for cell, _ in taken])
            for cell, _ in taken:
                self._run.ledger.release(cell.key)
            raise
        return answers

    def _request(self, cells: list[Cell]) -> list[Answer]:
        """Ask for one request's pictures, again where that helps; [] when they failed."""
        run, painter = self._run, self._painter
        for attempt in range(_TRIES):
            is_last = attempt == _TRIES - 1
            try:
                run.asked(cells, painter)
                return self._ask(cells)
            except ConnectionLost as error:
                run.give_back(cells, error.problem)
                run.tell_waiting(cells[0], painter, error.problem)
                raise _Lost from error
            except OutOfMemory as error:
                if is_last:
                    run.give_back(cells, error.problem, is_loss=False)
                    raise _Useless from error
                run.tell_waiting(cells[0], painter, f"{error.problem} Asking once more, unloaded.")
                if isinstance(painter, Unloading):
                    painter.free_memory()
            except ToolError as error:
                status = error.status if isinstance(error, ApiError) else 0
                if status < _SERVER_ERROR or is_last:
                    for cell in cells:
                        run.fail(cell, error.problem, painter.name)
                    return []
                run.tell_waiting(cells[0], painter, f"{error.problem} Asking once more.")
                run.stop.wait(run.patience.pause_seconds)
        raise AssertionError("the loop returns or raises")

    def _ask(self, cells: list[Cell]) -> list[Answer]:
        self._interrupted = False
        self._asking = tuple(cells)
        try:
            if self._run.executor is None:
                painted = _paint(self._painter, cells)
                answers: list[Answer] = [
                    (cell, one, None) for cell, one in zip(cells, painted, strict=True)
                ]
            else:
                answers = self._run.executor.submit(paint_and_check, self._painter, cells).result()
        finally:
            self._asking = ()
        if self._interrupted:  # a half-drawn picture looks like any other
            self._run.give_back(cells, "stopped", is_loss=False)
            return []
        return answers

    def _settle(self, answers: list[Answer]) -> None:
        for cell, painted, checked in answers:
            known = checked or check_picture(cell, painted)
            self._run.settle(cell, painted, known, self._painter.name)

    def _comes_back(self) -> bool:
        """Wait for a lost painter as long as there is something to do for it."""
        if not isinstance(self._painter, Returning):
            return False
        patience = self._run.patience
        until = time.monotonic() + patience.return_seconds
        while not self._run.stop.is_set() and self._run.has_work:
            if self._painter.is_back():
                return True
            if time.monotonic() >= until:
                return False
            self._run.stop.wait(patience.pause_seconds)
        return False

    def interrupt(self) -> None:
        """End what this painter is drawing for us."""
        cells = self._asking
        if cells:
            self._interrupted = True
            self._end_job(cells)

    def _end_job(self, cells: Sequence[Cell]) -> None:
        if isinstance(self._painter, Interruptible):
            self._painter.interrupt(cells)


def _adopted(ledger: Ledger, cell: Cell) -> Answer | None:
    """Return a picture that an earlier run kept without finishing its cell, if it is right."""
    png = ledger.kept(cell.key)
    painted = painted_from_png(png) if png is not None else None
    if painted is None:
        return None
    checked = check_picture(cell, painted)
    return None if checked.mismatches else (cell, painted, checked)


def _paint(painter: Painter, cells: Sequence[Cell]) -> Sequence[Painted]:
    if len(cells) == 1 and cells[0].batch.kind != BATCH_SIZE:
        return [painter.paint(cells[0])]
    if isinstance(painter, RowPainter):
        return painter.paint_row(cells)
    raise ToolError("LL454", f"{painter.name} draws single pictures only.", "Draw without batches.")


def paint_and_check(painter: Painter, cells: Sequence[Cell]) -> list[Answer]:
    """Paint and check in one go, wherever an executor runs it."""
    painted = _paint(painter, cells)
    return [(cell, one, check_picture(cell, one)) for cell, one in zip(cells, painted, strict=True)]


def _may(painter: Painter) -> Callable[[Cell], bool]:
    if isinstance(painter, Selective):
        return lambda cell: not painter.lacks(cell)
    return lambda cell: True


# -- threads --------------------------------------------------------------------------------------


@contextmanager
def _interrupting(stop: threading.Event, workers: Sequence[_Worker]) -> Iterator[None]:
    """While the block lasts, end our jobs at the WebUIs as soon as the run is stopped."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if stop.wait(_LOOK_SECONDS):
                for worker in workers:
                    worker.interrupt()
                return

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()


def _work_together(workers: Sequence[_Worker], stop: threading.Event) -> None:
    """Run every worker in a thread of its own; raise what the first of them raised."""

    def work(worker: _Worker) -> None:
        try:
            worker.work()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            worker.error = error
            stop_others.set()

    stop_others = threading.Event()
    threads = [
        threading.Thread(target=work, args=(worker,), name="painter", daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
                if stop_others.is_set():
                    stop.set()
    except KeyboardInterrupt:
        stop.set()
        for thread in threads:
            thread.join(_GRACE_SECONDS)
        raise
    error = next((one.error for one in workers if one.error is not None), None)
    if error is not None:
        raise error
