"""The one loop that draws cells: claims, draws, keeps, verifies; stops and continues.

Each backend works in a thread of its own and stays with what it has loaded; a picture is checked
beside the next request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager, suppress

from ..api.client import ApiError
from .backend import Backend, DrawingStopped
from .cell_plan import CellPlan
from .events import EventHandler
from .ledger import Ledger
from .run import LOOK_SECONDS, CellRun, Patience, RunReport, RunSwitches
from .turns import Turns
from .worker import Worker

_GRACE_SECONDS = 10.0
"""How long an interrupted run waits for its backends."""


def run_cells(
    plan: CellPlan,
    ledger: Ledger,
    backends: Sequence[Backend],
    *,
    on_event: EventHandler = lambda event: None,
    stop: threading.Event | None = None,
    pause: threading.Event | None = None,
    executor: Executor | None = None,
    patience: Patience | None = None,
    n_iter: int = 1,
) -> RunReport:
    """Draw what is not drawn yet; return what happened. Nothing finished is drawn again.

    `executor` draws and checks (Dask's has the same interface); claims and pictures stay here.
    `n_iter` is how many seeds of a row may be asked for in one request. `stop` ends what we are
    drawing at once; so does `pause`, or the ledger's, which gives it back to be drawn afterwards.
    Errors of the disk stop the run; errors of one picture are reported with that cell.
    """
    controls = RunSwitches(stop or threading.Event(), pause or threading.Event(), n_iter)
    turns = Turns()
    run = CellRun(
        plan, ledger, backends, on_event, controls, patience or Patience(), executor, turns
    )
    run.finalize_known()
    workers = [Worker(run, backend) for backend in backends]
    run.look_at_pause()
    if len(backends) == 1 and not controls.stop.is_set():
        backends[0].hand_over(run.missing, controls.stop)
    with closing(turns), _saving_settings(plan, ledger, backends), _interrupting(run, workers):
        if len(workers) == 1:
            try:
                workers[0].work()  # in this thread: a backend inside a WebUI is bound to it
            except DrawingStopped:
                controls.stop.set()
        else:
            _work_together(workers, controls.stop)
    run.finalize_controls()
    return run.report()


@contextmanager
def _saving_settings(plan: CellPlan, ledger: Ledger, backends: Sequence[Backend]) -> Iterator[None]:
    """Give WebUIs their own VAE back at the end, and after a kill at the next run's end.

    A request that names a VAE leaves it loaded, since every change of it costs time.
    """
    vaes = list(dict.fromkeys(cell.vae for cell in plan.cells if cell.vae))
    saved_settings: list[Backend] = []
    for backend in backends:
        earlier = ledger.saved_settings(backend.name)
        if not (vaes or earlier):
            continue
        with suppress(ApiError):  # one that is lost now is waited for when it is to draw
            own = backend.save_settings(earlier)
            if own is not None:
                ledger.forget_saved_settings(backend.name)
                ledger.note_saved_settings(backend.name, {**own, "left": vaes})
                saved_settings.append(backend)
    try:
        yield
    finally:
        for one in saved_settings:
            if one.put_back():
                ledger.forget_saved_settings(one.name)


@contextmanager
def _interrupting(run: CellRun, workers: Sequence[Worker]) -> Iterator[None]:
    """While the block lasts, end our jobs at the WebUIs as soon as the run stops or pauses."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            if run.look_at_pause() or run.stop.is_set():
                for worker in workers:
                    worker.interrupt()

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()  # the ledger is closed soon after


def _work_together(workers: Sequence[Worker], stop: threading.Event) -> None:
    """Run every worker in a thread of its own; raise what the first of them raised."""

    def work(worker: Worker) -> None:
        try:
            worker.work()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            worker.error = error
            stop_others.set()

    stop_others = threading.Event()
    threads = [
        threading.Thread(target=work, args=(worker,), name="backend", daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_SECONDS)
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
