"""The state of one run: what waits, who draws what, what became of each cell, how it ended."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from kohya_ext.project import HostError, StoppedError
from kohya_ext.project.wording import counted

from .backend import Backend
from .cell import BATCH_SIZE, Cell
from .cell_plan import CellPlan
from .earlier_files import EarlierFiles
from .events import CellEvent, CellOutcome, EventHandler
from .ledger import Claim, Ledger
from .picture_store import DAMAGED
from .turns import Turns
from .verify import Checked, Generated
from .waiting import AND_VAE, Group, Waiting, group_of

LOOK_SECONDS = 0.2
"""How soon a waiting thread notices that the run was stopped, or another process is done."""

_RECENT = 50
CHANGED_NOTHING = "the LoRA changed nothing: it may be of another architecture"


@dataclass(frozen=True)
class Patience:
    """How often a picture is asked for, how long between, how long a lost WebUI is waited for."""

    tries: int = 3
    pause_seconds: float = 2.0
    return_seconds: float = 180.0
    end_seconds: float = 10.0
    """How long a command waits after Ctrl-C for the WebUI to end what it was asked for."""


@dataclass(frozen=True)
class RunReport:
    """How a run ended; failed cells with their reasons."""

    drawn: int
    known: int
    failed: tuple[tuple[Cell, str], ...]
    stopped: bool
    unchecked: int = 0
    """Cells whose no-LoRA control has no picture, so that nothing says that the LoRA worked."""
    cluster_loss: HostError | None = None
    """What became of the executor, if that ended the run."""

    def require_all(self) -> None:
        """Raise HostError when a cell failed, StoppedError when the run was stopped."""
        if self.cluster_loss is not None and self.failed:
            loss = self.cluster_loss
            left = f"{len(self.failed)} of {counted(self.total, 'picture')} were not drawn."
            raise HostError(loss.code, f"{loss.problem} {left}", loss.cure)
        if self.failed:
            cell, reason = self.failed[0]
            more = f" {len(self.failed) - 1} more failed." if len(self.failed) > 1 else ""
            raise HostError(
                "LL452",
                f"{len(self.failed)} of {counted(self.total, 'picture')} failed; {cell.called}: "
                f"{reason.rstrip('.')}.{more}",
                "Fix the cause and run the same command again: finished pictures are kept.",
            )
        if self.stopped:
            raise StoppedError(
                "LL453",
                f"Stopped after {counted(self.drawn + self.known, 'picture')}.",
                "Run the same command again to continue.",
            )

    @property
    def total(self) -> int:
        """All cells that are finished or given up."""
        return self.drawn + self.known + len(self.failed)


@dataclass(frozen=True)
class RunSwitches:
    """What the caller may do while a run continues, and how many seeds go into one request."""

    stop: threading.Event
    pause: threading.Event
    n_iter: int


class CellRun:
    """The state of one run, shared by its backends' threads under one lock."""

    def __init__(
        self,
        plan: CellPlan,
        ledger: Ledger,
        backends: Sequence[Backend],
        on_event: EventHandler,
        switches: RunSwitches,
        patience: Patience,
        executor: Executor | None,
        turns: Turns,
    ) -> None:
        self.turns = turns
        self.ledger, self.switches, self.patience = ledger, switches, patience
        self.stop, self.executor = switches.stop, executor
        self._plan, self._backends, self._on_event = plan, backends, on_event
        self._changed = threading.Condition()
        self._waiting = Waiting(())
        self._elsewhere: list[Cell] = []
        self._at: dict[int, Group] = {}
        self._has_loaded: dict[int, str] = {}
        self._in_flight = 0
        self._loads = 0
        self._drawn: set[str] = set()
        self._known: set[str] = set()
        self._failed: dict[str, tuple[Cell, str]] = {}
        self._losses: dict[str, int] = {}
        self._asked: dict[str, str] = {}
        self._last_loss = "no WebUI was left to draw it"
        self._cluster_loss: HostError | None = None
        self._pixels: dict[str, str] = {}
        self.earlier_files = EarlierFiles(ledger)
        self._seconds: list[float] = []
        self._is_paused = False

    def finalize_known(self) -> None:
        """Count what is done already; everything else waits."""
        self.ledger.add(self._plan.cells)
        self.ledger.meet_files({use for cell in self._plan.cells for use in cell.files})
        done = self.ledger.done_among([cell.key for cell in self._plan.cells])
        self._waiting = Waiting(self._missing_of(self._plan.cells, done))
        if done and self._plan.controls:
            self._pixels = dict(self.ledger.pixels())

    def _missing_of(self, cells: Sequence[Cell], done: Collection[str]) -> list[Cell]:
        """Count the cells that are done; return the others, damaged ones among them."""
        missing = []
        for cell in cells:
            if cell.key in done:
                self._known.add(cell.key)
                self._tell(CellOutcome.KNOWN, cell)
                continue
            if cell.key in self.ledger.damaged:
                aside = self.ledger.pictures.aside(cell.key, DAMAGED)
                self._tell(
                    CellOutcome.DAMAGED, cell, reason=f"its picture was changed; see {aside}"
                )
            missing.append(cell)
        return missing

    # -- taking cells ---------------------------------------------------------------------

    def take(self, backend: Backend, near: Group | None) -> list[tuple[Cell, str]]:
        """Claim cells for one request, each with where it was asked for before; [] at the end.

        While others still draw, wait for what they may give back.
        """
        with self._changed:
            while not self.stop.is_set() and self._cluster_loss is None:
                if self._is_paused:
                    self._changed.wait(LOOK_SECONDS)
                    continue
                taken = self._claim_next(backend, near)
                if taken:
                    self._in_flight += 1
                    return taken
                if not self._in_flight and not self._elsewhere:
                    return []
                self._changed.wait(LOOK_SECONDS)
                # Another process may have finished some; what it left is ours.
                cells, self._elsewhere = self._elsewhere, []
                done = self.ledger.done_among([cell.key for cell in cells])
                self._waiting.put_back(self._missing_of(cells, done))
        return []

    def look_at_pause(self) -> bool:
        """See whether the run is to pause, by its caller or by the ledger; tell when it changes."""
        is_paused = self.switches.pause.is_set() or self.ledger.is_paused
        with self._changed:
            if is_paused != self._is_paused:
                self._is_paused = is_paused
                if is_paused:
                    self.turns.leave()  # others need not wait for this run
                cell = self._waiting.first() or self._in_hand()
                if cell is not None:
                    self._tell(CellOutcome.PAUSED if is_paused else CellOutcome.RESUMED, cell)
                self._changed.notify_all()
        return is_paused

    def _in_hand(self) -> Cell | None:
        """Return a cell that is neither finished nor waiting: somebody draws it."""
        finalized = self._drawn | self._known | self._failed.keys()
        return next((cell for cell in self._plan.cells if cell.key not in finalized), None)

    def _claim_next(self, backend: Backend, near: Group | None) -> list[tuple[Cell, str]]:
        others = [group for who, group in self._at.items() if who != id(backend)]
        while True:
            first = self._waiting.take(near, others, lambda cell: not backend.lacks(cell))
            if first is None:
                return []
            taken = [
                (cell, claim.left_at or self._asked.get(cell.key, ""))
                for cell in [first, *self._row_of(first, backend)]
                if (claim := self._claim(cell, backend)) is not None
            ]
            if taken:
                self._note_load(backend, first)
                return taken

    def _row_of(self, first: Cell, backend: Backend) -> list[Cell]:
        if first.batch.kind == BATCH_SIZE:
            return self._waiting.take_batch(first)
        if self.switches.n_iter > 1 and backend.draws_rows:
            return self._waiting.take_row(first, self.switches.n_iter - 1)
        return []

    def _claim(self, cell: Cell, backend: Backend) -> Claim | None:
        claim = self.ledger.claim(cell.key, backend.name)
        if claim is None:
            self._elsewhere.append(cell)  # another process draws it; it may give up
        return claim

    def begin_with(self, backend: Backend, loaded: str) -> None:
        """Hear which checkpoint a backend has loaded, as a turn names it."""
        with self._changed:
            self._has_loaded[id(backend)] = loaded.partition(AND_VAE)[0]

    def _note_load(self, backend: Backend, cell: Cell) -> None:
        title = cell.checkpoint.title
        self._loads += self._has_loaded.get(id(backend)) != title
        self._has_loaded[id(backend)] = title
        self._at[id(backend)] = group_of(cell)

    @property
    def missing(self) -> list[Cell]:
        """The cells that wait, in order."""
        with self._changed:
            return self._waiting.cells()

    @property
    def may_draw(self) -> bool:
        """Whether the run is neither stopped nor paused."""
        return not (self.stop.is_set() or self._is_paused)

    def group_with(self, loaded: str) -> Group | None:
        """Return a group that waits for what is loaded, as a turn names it."""
        with self._changed:
            return self._waiting.find_group(loaded)

    def landed(self) -> None:
        """A request's cells are finished or given back."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def leave(self, backend: Backend) -> None:
        """A backend has gone; others may take what it had loaded."""
        with self._changed:
            self._at.pop(id(backend), None)
            self._changed.notify_all()

    @property
    def has_work(self) -> bool:
        """Whether a backend that comes back would have something to do."""
        with self._changed:
            is_left = bool(len(self._waiting) or self._in_flight or self._elsewhere)
            return is_left and self._cluster_loss is None

    # -- what became of them --------------------------------------------------------------

    def asked(self, cells: Iterable[Cell], backend: Backend) -> None:
        """Remember where cells were asked for, in case that the answer is lost."""
        with self._changed:
            for cell in cells:
                self._asked[cell.key] = backend.name

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

    def lose_cluster(self, cells: Sequence[Cell], loss: HostError) -> None:
        """Let cells wait for another run, and end this one: what draws them is gone."""
        self.give_back(cells, loss.problem, is_loss=False)
        with self._changed:
            self._cluster_loss = self._cluster_loss or loss
            self._changed.notify_all()

    def fail(self, cell: Cell, reason: str, server: str = "") -> None:
        """Mark a cell failed, with its reason."""
        self.ledger.fail(cell.key, reason)
        with self._changed:
            self._failed[cell.key] = (cell, reason)
            self._tell(CellOutcome.FAILED, cell, server, reason=reason)

    def tell_waiting(self, cell: Cell, backend: Backend, reason: str) -> None:
        """Tell that a cell will be asked for once more."""
        with self._changed:
            self._tell(CellOutcome.WAITING, cell, backend.name, reason=reason)

    def finalize(self, cell: Cell, generated: Generated, checked: Checked, server: str) -> None:
        """Finish or fail a cell whose picture was kept and checked."""
        reason = (
            "; ".join(map(str, checked.mismatches))
            or self._other_checkpoint(cell, generated)
            or self._unchanged(cell, checked.pixels)
        )
        if reason:
            self.fail(cell, reason, server)
            return
        self.ledger.finish(
            cell.key,
            infotext=generated.infotext,
            pixels=checked.pixels,
            server=server,
            seconds=generated.seconds,
        )
        self.ledger.note_drawn_with(cell.files)
        with self._changed:
            self._drawn.add(cell.key)
            self._pixels[cell.key] = checked.pixels
            if generated.seconds:
                self._seconds.append(generated.seconds)
            self._tell(CellOutcome.DRAWN, cell, server, generated.seconds)

    def _unchanged(self, cell: Cell, pixels: str) -> str:
        control = self._pixels.get(self._plan.controls.get(cell.key, ""), "")
        return CHANGED_NOTHING if control and control == pixels else ""

    def _other_checkpoint(self, cell: Cell, generated: Generated) -> str:
        """The first answer pins a checkpoint's hash; later answers must agree.

        One that is known by its file's hash was compared with that, whatever was here before.
        """
        title = cell.checkpoint.title
        if not generated.checkpoint_hash or not title:
            return ""
        is_known = cell.checkpoint.sha256.startswith(generated.checkpoint_hash)
        pinned = self.ledger.pin(title, generated.checkpoint_hash, replace=is_known)
        if pinned == generated.checkpoint_hash:
            return ""
        return (
            f"checkpoint hash: {title} was {pinned} before, the WebUI now answers with "
            f"{generated.checkpoint_hash}"
        )

    def finalize_controls(self) -> None:
        """Fail cells whose picture is that of a control that was drawn after them."""
        if not self._plan.controls:
            return
        self._pixels = dict(self.ledger.pixels())
        for cell in self._plan.cells:
            reason = self._unchanged(cell, self._pixels.get(cell.key, ""))
            if reason:
                self._drawn.discard(cell.key)
                self._known.discard(cell.key)
                self.fail(cell, reason)

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
        return RunReport(
            len(self._drawn),
            len(self._known),
            failed,
            stopped,
            unchecked=len(unchecked),
            cluster_loss=self._cluster_loss,
        )

    def _why_not(self, cell: Cell) -> str:
        """Say why nobody draws a cell: what the WebUIs lack, or how the last one was lost."""
        lacks = [one.lacks(cell) for one in self._backends]
        return next(filter(None, lacks), self._last_loss)

    def _tell(
        self,
        outcome: CellOutcome,
        cell: Cell,
        server: str = "",
        seconds: float = 0.0,
        reason: str = "",
    ) -> None:
        done = len(self._drawn) + len(self._known) + len(self._failed)
        total = len(self._plan.cells)
        left = None
        if self._seconds and outcome is not CellOutcome.KNOWN:
            recent = self._seconds[-_RECENT:]
            left = sum(recent) / len(recent) * (total - done) / max(1, len(self._at))
        event = CellEvent(outcome, cell, done, total, server, seconds, reason, self._loads, left)
        self._on_event(event)
