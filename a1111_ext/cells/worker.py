"""One painter at work: paints in its thread, checks in another beside the next request."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from kohya_ext.project import ToolError

from ..api.client import ApiError, ConnectionLost, OutOfMemory
from .abilities import Interruptible, Rememberer, Remote, Returning, RowPainter, Unloading
from .backend import Painter
from .cell import BATCH_SIZE, Cell
from .ledger import Ledger
from .run import Run
from .verify import Checked, Painted, check_picture, painted_from_png
from .waiting import Group, group_of

_TRIES = 2
_SERVER_ERROR = 500

Answer = tuple[Cell, Painted, Checked | None]
"""A picture that came back; it is still to be checked when the last one is None."""


class _Lost(Exception):
    """The painter's cells were given back; it may return."""


class _Useless(Exception):
    """The painter's cells were given back; it can do no more."""


class Worker:
    """A thread's work for one painter, until nothing waits or it is of no more use."""

    def __init__(self, run: Run, painter: Painter) -> None:
        self._run, self._painter = run, painter
        self._asking: tuple[Cell, ...] = ()
        self._interrupted = False
        self._ending = threading.Lock()
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
            with self._ending:  # an interrupt on its way tells first whether it was one
                self._asking = ()
        if self._interrupted:  # a half-drawn picture looks like any other
            self._run.give_back(cells, "interrupted", is_loss=False)
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
        """End what this painter is drawing for us; a picture that cannot be ended is kept.

        To be called again, as long as it should end: a request may only now have begun.
        """
        with self._ending:
            if self._asking and not self._interrupted:
                self._interrupted = self._end_job(self._asking)

    def _end_job(self, cells: Sequence[Cell]) -> bool:
        return isinstance(self._painter, Interruptible) and self._painter.interrupt(cells)


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
