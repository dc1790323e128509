"""Work on many files, done here or handed to the workers of a Dask scheduler.

Only reading and computing is handed out; what comes back is stored by us, one piece after the
other, so that a worker or a command that dies loses no more than what was in progress.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

from .addresses import require_no_password
from .errors import HostError, PackageMissing, ToolError

_AT_ONCE = 32
"""So many pieces are handed out at once: enough for the workers, little to hold in memory."""
_LOOK_SECONDS = 2.0
_LOOKS = 15
"""So often in a row no worker may be there: one that starts again takes some seconds."""

_GONE = "its workers or its scheduler are gone"

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def open_executor(address: str | None) -> Iterator[Executor | None]:
    """Connect to a Dask scheduler and give its executor; None without an address.

    Raises MissingError (Dask is not installed) or HostError (no scheduler answers, or one without
    workers).
    """
    if not address:
        yield None
        return
    require_no_password(address, "of the cluster", "Write it without: tcp://HOST:8786")
    try:
        distributed: Any = import_module("distributed")  # an extra that has no types
    except ImportError as error:
        raise PackageMissing(
            "LL456",
            "--cluster needs Dask, which is not installed.",
            "Install it here and on every machine of the cluster: "
            f'"{sys.executable}" -m pip install distributed',
        ) from error
    try:
        client = distributed.Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise HostError(
            "LL457",
            f"No Dask scheduler answers at {address}: {error}.",
            "Start one with `dask scheduler` and workers with `dask worker ADDRESS`.",
        ) from error
    with client:
        if not client.ncores():
            raise HostError(
                "LL182",
                f"The Dask scheduler at {address} has no workers: nothing would ever be done.",
                f"Start one on each machine: dask worker {address}",
            )
        with _watched(client, _WatchedExecutor(client.get_executor(pure=False))) as executor:
            yield executor


class _WatchedExecutor(Executor):
    """Dask's executor, which refuses further work once it has been given up."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._is_given_up = False

    def submit(
        self, work: Callable[..., Result], /, *arguments: Any, **options: Any
    ) -> Future[Result]:
        if self._is_given_up:
            raise BrokenExecutor(_GONE)
        return self._executor.submit(work, *arguments, **options)

    def give_up(self) -> None:
        """Cancel what was handed out, so that nobody waits for it."""
        self._is_given_up = True
        self._executor.shutdown(wait=False)


@contextmanager
def _watched(client: Any, executor: _WatchedExecutor) -> Iterator[Executor]:
    """Give the executor up when no worker is left: Dask itself would wait for one for ever."""
    over = threading.Event()

    def watch() -> None:
        looks = 0
        while looks < _LOOKS:
            if over.wait(_LOOK_SECONDS):
                return
            looks = 0 if _has_workers(client) else looks + 1
        executor.give_up()

    watcher = threading.Thread(target=watch, name="cluster", daemon=True)
    watcher.start()
    try:
        yield executor
    finally:
        over.set()
        watcher.join(timeout=_LOOK_SECONDS)


def _has_workers(client: Any) -> bool:
    try:
        return bool(client.ncores())
    except (OSError, ValueError, RuntimeError):  # the scheduler is gone, too
        return False


def spread(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    executor: Executor | None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result, as they come; without an executor one after the other.

    Dask repeats what a dead worker had. The first failure ends it; raises HostError when the
    cluster itself fails.
    """
    if executor is None:
        for item in items:
            yield item, work(item)
        return
    waiting = iter(items)
    running: dict[Future[Result], Item] = {}
    try:
        running |= {executor.submit(work, item): item for item in islice(waiting, _AT_ONCE)}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=_has_failed):  # what came is kept before one ends it
                item = running.pop(future)
                yield item, future.result()
                running |= {executor.submit(work, one): one for one in islice(waiting, 1)}
    except (ToolError, GeneratorExit):
        raise
    except Exception as error:
        loss = explain_loss(error)
        if loss is None:
            raise
        raise loss from error
    finally:
        for future in running:
            future.cancel()


def _has_failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def explain_loss(error: BaseException) -> HostError | None:
    """Return the HostError for a cluster that has lost our work; None for any other error."""
    name = type(error).__name__
    lost = ("KilledWorker", "FutureCancelledError", "CommClosedError")  # of distributed
    if not isinstance(error, (BrokenExecutor, CancelledError)) and name not in lost:
        return None
    reason = f"{name}: {error}".rstrip(".") if str(error) else _GONE
    return HostError(
        "LL180",
        f"The cluster has lost the work it was given: {reason}.",
        "Look at its workers' own messages, start them again, and run the same command again: "
        "what was finished is kept.",
    )
