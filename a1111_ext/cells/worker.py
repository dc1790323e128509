"""One backend at work: draws in its thread, checks in another beside the next request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

from kohya_ext.project import HostError, ToolError
from kohya_ext.project.cluster import explain_loss

from ..api.client import SERVER_ERROR, ApiError, ConnectionLost, OutOfMemory
from .backend import Backend
from .cell import BATCH_SIZE, Cell
from .ledger import Ledger
from .model_files import NO_FILE, SETTINGS
from .run import LOOK_SECONDS, CellRun
from .verify import Checked, Generated, check_picture, generated_from_png
from .waiting import Group, group_of, turn_of

_TRIES = 2
_UNLISTED_SECONDS = 1.0
"""How long a WebUI may not list a request yet that was just sent."""

Answer = tuple[Cell, Generated, Checked | None]
"""A picture that came back; it is still to be checked when the last one is None."""


class _Lost(Exception):
    """The backend's cells were given back; it may return."""


class _Useless(Exception):
    """The backend's cells were given back; it can do no more."""


class _ClusterLost(Exception):
    """The executor has lost what it was given, and would lose everything else."""

    def __init__(self, told: HostError) -> None:
        self.told = told


class Worker:
    """A thread's work for one backend, until nothing waits or it is of no more use."""

    def __init__(self, run: CellRun, backend: Backend) -> None:
        self._run, self._backend = run, backend
        self._asking: tuple[Cell, ...] = ()
        self._interrupted = False
        self._ending = threading.Lock()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Draw until nothing waits, or until this backend is of no more use."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="check") as checker:
                self._work(checker)
        finally:
            self._run.turns.leave(self._backend.turn_name)
            self._run.leave(self._backend)

    def _work(self, checker: Executor) -> None:
        checking: Future[None] | None = None
        near: Group | None = None
        if self._backend.takes_turns:  # another command may have loaded what we need
            name, turns = self._backend.turn_name, self._run.turns
            loaded = turns.loaded(name) if turns.has_others(name) else self._backend.loaded
            self._run.begin_with(self._backend, loaded)
            near = self._run.group_with(loaded)
        while taken := self._run.take(self._backend, near):
            near = group_of(taken[0][0])
            answers: list[Answer] | None = None
            try:
                if not self._has_turn(taken[0][0]):
                    cells = [cell for cell, _ in taken]
                    self._run.give_back(cells, "not its turn", is_loss=False)
                    continue
                answers = self._draw(taken)
            except _Lost:
                pass  # waited for below: what we asked for must not count as in progress meanwhile
            except _Useless:
                break
            finally:
                self._run.landed()
            if answers is None:
                self._run.turns.leave(self._backend.turn_name)
                if not self._comes_back():
                    break
                near = None
                continue
            if checking is not None:
                checking.result()
            checking = checker.submit(self._finalize, answers)
            if not self._backend.is_remote:
                checking.result()  # a host's own thread and progress bar go step by step
        if checking is not None:
            checking.result()

    def _has_turn(self, cell: Cell) -> bool:
        """Wait while other commands of this machine draw with another checkpoint there."""
        if not self._backend.takes_turns:
            return True
        run, name, is_told = self._run, self._backend.turn_name, False
        while run.may_draw:
            other = run.turns.ask(name, turn_of(cell))
            if not other:
                return True
            if not is_told:
                where = self._backend.name
                reason = f"another command is drawing with {other} at {where}; this command is next"
                run.tell_waiting(cell, self._backend, reason)
                self._backend.lose_sight()
                is_told = True
            run.stop.wait(LOOK_SECONDS)
        return False

    def _draw(self, taken: Sequence[tuple[Cell, str]]) -> list[Answer]:
        """Take up pictures of an earlier run, or have them drawn, and keep them."""
        try:
            answers, cells = [], []
            for cell, earlier in taken:
                found = _adopted(self._run.ledger, cell)
                if found is not None:
                    answers.append(found)
                    continue
                cells.append(cell)
                if earlier == self._backend.name:
                    self._backend.await_earlier(cell, self._run.stop)
            if cells:
                answers += self._request(cells)
            for cell, generated, _ in answers:
                self._run.ledger.keep(cell.key, generated.png)
        except (_Lost, _Useless):
            raise
        except BaseException as error:
            try:
                if isinstance(error, KeyboardInterrupt):
                    self._end([cell for cell, _ in taken])
            finally:
                for cell, _ in taken:
                    self._run.ledger.release(cell.key)
            raise
        return answers

    def _request(self, cells: list[Cell]) -> list[Answer]:
        """Ask for one request's pictures, again where that helps; [] when they failed."""
        run, backend, earlier = self._run, self._backend, self._run.earlier_files
        for attempt in range(_TRIES):
            is_last = attempt == _TRIES - 1
            if self._fail_replaced(cells):
                return []
            try:
                run.asked(cells, backend)
                if earlier.may_be_kept(backend, cells):
                    backend.forget_loras(cells[0].checkpoint.title)
                if earlier.may_keep_vae(backend, cells):
                    backend.forget_vae(cells[0].checkpoint.title)
                title = cells[0].checkpoint.title
                if earlier.has_replaced_embedding(backend, cells):
                    backend.forget_embeddings(title)
                if reason := backend.prepare_vae(cells[0]):
                    self._fail(cells, reason)
                    return []
                answers = self._ask(cells)
                if earlier.holds_earlier_checkpoint(backend, answers) and backend.forget_checkpoint(
                    title
                ):
                    answers = self._ask(cells)
                if earlier.may_be_earlier(backend, answers):
                    backend.forget_loras(title)  # and the same once more, as the proof
                    has_embeddings = any(cell.embeddings for cell in cells)
                    can_read = not has_embeddings or backend.forget_embeddings(title)
                    answers = self._ask(cells)
                    if not can_read and earlier.may_be_earlier(backend, answers):
                        self._fail(cells, _KEPT_EMBEDDING)
                        return []
                return [] if self._fail_replaced(cells) else answers
            except ConnectionLost as error:
                run.give_back(cells, error.problem)
                again = ""
                if backend.is_remote:
                    wait = run.patience.return_seconds
                    again = f" Waiting up to {wait:.0f} s for it to come back."
                run.tell_waiting(cells[0], backend, f"{error.problem}{again}")
                raise _Lost from error
            except _ClusterLost as lost:
                run.lose_cluster(cells, lost.told)
                raise _Useless from lost
            except OutOfMemory as error:
                if is_last:
                    run.give_back(cells, error.problem, is_loss=False)
                    raise _Useless from error
                run.tell_waiting(
                    cells[0],
                    backend,
                    f"{error.problem} Trying again after unloading the checkpoint.",
                )
                backend.free_memory()
            except ToolError as error:
                status = error.status if isinstance(error, ApiError) else 0
                if status < SERVER_ERROR or is_last:
                    self._fail(cells, error.problem)
                    return []
                run.tell_waiting(cells[0], backend, f"{error.problem} Trying again.")
                run.stop.wait(run.patience.pause_seconds)
        raise AssertionError("the loop returns or raises")

    def _fail_replaced(self, cells: Sequence[Cell]) -> bool:
        """Fail cells one of whose files is not any more the one that they were pinned to."""
        changed = next(filter(None, map(self._backend.replaced, cells)), "")
        if changed:
            self._fail(cells, f"the {changed} was replaced while this command ran")
        return bool(changed)

    def _fail(self, cells: Iterable[Cell], reason: str) -> None:
        for cell in cells:
            self._run.fail(cell, reason, self._backend.name)

    def _ask(self, cells: list[Cell]) -> list[Answer]:
        self._interrupted = False
        self._asking = tuple(cells)
        try:
            if self._run.executor is None:
                generated = _generate(self._backend, cells)
                answers: list[Answer] = [
                    (cell, one, None) for cell, one in zip(cells, generated, strict=True)
                ]
            else:
                try:
                    future = self._run.executor.submit(generate_and_check, self._backend, cells)
                    answers = future.result()
                except Exception as error:
                    loss = explain_loss(error)
                    if loss is None:
                        raise
                    raise _ClusterLost(loss) from error
        finally:
            with self._ending:  # an interrupt on its way tells first whether it was one
                self._asking = ()
        if self._interrupted:  # a half-drawn picture looks like any other
            self._run.give_back(cells, "interrupted", is_loss=False)
            return []
        return answers

    def _finalize(self, answers: list[Answer]) -> None:
        for cell, generated, checked in answers:
            known = checked or check_picture(cell, generated)
            self._run.finalize(cell, generated, known, self._backend.name)

    def _comes_back(self) -> bool:
        """Wait for a lost backend as long as there is something to do for it."""
        if not self._backend.is_remote:
            return False
        patience = self._run.patience
        until = time.monotonic() + patience.return_seconds
        while not self._run.stop.is_set() and self._run.has_work:
            if self._backend.is_back():
                return True
            if time.monotonic() >= until:
                return False
            self._run.stop.wait(patience.pause_seconds)
        return False

    def interrupt(self) -> None:
        """End what this backend is drawing for us; a picture that cannot be ended is kept.

        To be called again, as long as it should end: a request may only now have begun.
        """
        with self._ending:
            if self._asking:
                self._interrupted |= self._backend.interrupt(self._asking)

    def _end(self, cells: Sequence[Cell]) -> None:
        """Interrupt our job until the backend has none of ours; say so when it keeps it.

        A job that still waits there hears nothing: a plot would then be drawn for nobody.
        """
        backend, began, is_listed = self._backend, time.monotonic(), False
        while (passed := time.monotonic() - began) < self._run.patience.end_seconds:
            backend.interrupt(cells)
            if backend.has_task(cells):
                is_listed = True
            elif is_listed or passed >= _UNLISTED_SECONDS:
                return
            time.sleep(LOOK_SECONDS)
        self._run.tell_waiting(cells[0], backend, _NOT_ENDED)


_NOT_ENDED = (
    "the WebUI has not ended what this command asked for, and draws it to its end unless you press "
    "Interrupt on its page"
)

_KEPT_EMBEDDING = (
    "an embedding was replaced, and this WebUI, which reads it when it loads a checkpoint, has no "
    "second one to load: restart it, then run this again"
)


def _adopted(ledger: Ledger, cell: Cell) -> Answer | None:
    """Return a picture that an earlier run kept without finishing its cell, if it is right.

    With a ledger that was lost, nobody knows with which VAE or upscaler of that name it was drawn.
    """
    named = (use for use in cell.files if use.kind != SETTINGS)
    if not ledger.knows_files and any(use.hash != NO_FILE for use in named):
        return None
    png = ledger.kept(cell.key)
    generated = generated_from_png(png) if png is not None else None
    if generated is None:
        return None
    checked = check_picture(cell, generated)
    return None if checked.mismatches else (cell, generated, checked)


def _generate(backend: Backend, cells: Sequence[Cell]) -> Sequence[Generated]:
    if len(cells) == 1 and cells[0].batch.kind != BATCH_SIZE:
        return [backend.generate(cells[0])]
    return backend.generate_row(cells)


def generate_and_check(backend: Backend, cells: Sequence[Cell]) -> list[Answer]:
    """Draw and check in one go, wherever an executor runs it."""
    generated = _generate(backend, cells)
    return [
        (cell, one, check_picture(cell, one)) for cell, one in zip(cells, generated, strict=True)
    ]
