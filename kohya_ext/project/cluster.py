"""Work on many files, done here or handed to the workers of a Dask scheduler.

Only reading and computing is handed out; what comes back is stored by us, one piece after the
other, so that a worker or a command that dies loses no more than what was in progress.
"""

from __future__ import annotations

import functools
import logging
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

_ANSWER_SECONDS = 2.0
"""How long the scheduler may take to say who its workers are."""
_VERSIONS_SECONDS = 10.0
"""How long its workers may take to say which loraloom they have; one that hangs is found later."""
_DISTRIBUTION = "loraloom"
_TALKERS = ("distributed", "distributed.client", "tornado.application")
"""Loggers of Dask and of what it is built on, which show tracebacks."""
_OUR_CODE = ("kohya_ext", "a1111_ext", "dynprompts")
_log = logging.getLogger(__name__)

_GONE = "its workers or its scheduler are gone"

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def open_executor(
    address: str | None, tell: Callable[[str], object] = lambda sentence: None
) -> Iterator[Executor | None]:
    """Connect to a Dask scheduler and give its executor; None without an address.

    `tell` hears of a worker that hangs while others work. Raises MissingError (Dask is not
    installed) or HostError (no scheduler answers, or one without workers).
    """
    if address is None:
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
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a lost scheduler is told by us
    try:
        if not address.strip():  # Dask would start a cluster of its own
            raise ValueError("the address is empty")
        client = distributed.Client(address, timeout=20)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise HostError(
            "LL457",
            f"No Dask scheduler answers at {address}: {error}.",
            "Start one with `dask scheduler` and workers with `dask worker ADDRESS`.",
        ) from error
    with client:
        if not client.ncores():
            raise HostError(
                "LL182",
                f"The Dask scheduler at {address} has no workers, so nothing would be done.",
                f"Start one on each machine: dask worker {address}",
            )
        _require_loraloom(client)
        executor = _WatchedExecutor(client.get_executor(pure=False))
        with _watched(executor, _Heard(client), tell):
            yield executor


def _require_loraloom(client: Any) -> None:
    """Raise HostError for a machine of the cluster with no loraloom, or with another one.

    A worker ends itself when it is given work that it cannot read, and only its own log says why.
    """
    try:
        asked = functools.partial(client._get_versions, packages=[_DISTRIBUTION])
        found = client.sync(asked, callback_timeout=_VERSIONS_SECONDS)
        has = {"the scheduler": found["scheduler"], **found["workers"], "": found["client"]}
        versions = {one: row["packages"].get(_DISTRIBUTION) for one, row in has.items()}
    except Exception as error:  # noqa: BLE001  # Dask's, or of another shape, by version
        _log.debug("the versions of the cluster are not known: %s", error)
        return
    ours = versions.pop("")
    for one, version in versions.items():
        if ours and version != ours:
            held = f"loraloom {version}" if version else "no loraloom"
            raise _unreadable(f"{one} has {held}, this command has {ours}")


class _WatchedExecutor(Executor):
    """Dask's executor, which can be given up: then nobody waits for it any more."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._waited_for: dict[Future[Any], Future[Any]] = {}
        """Ours by theirs. A future that nobody holds is what tells Dask to forget its result; one
        that a cycle keeps would be computed again when the worker that has it dies."""
        self._is_given_up = False

    def submit(
        self, work: Callable[..., Result], /, *arguments: Any, **options: Any
    ) -> Future[Result]:
        if self._is_given_up:
            raise BrokenExecutor(_GONE)
        theirs = self._executor.submit(work, *arguments, **options)
        ours: Future[Result] = Future()
        with self._lock:
            self._waited_for[theirs] = ours
        ours.add_done_callback(lambda done: theirs.cancel() if done.cancelled() else None)
        theirs.add_done_callback(self._pass_on)
        if self._is_given_up:
            self._settle(theirs, BrokenExecutor(_GONE))
        return ours

    def _pass_on(self, theirs: Future[Any]) -> None:
        if theirs.cancelled():
            self._settle(theirs, BrokenExecutor(_GONE))
        elif error := theirs.exception():
            self._settle(theirs, error)
        else:
            self._settle(theirs, None, theirs.result())

    def _settle(
        self, theirs: Future[Any], error: BaseException | None, result: object = None
    ) -> None:
        """End our future of theirs once: by its result, or by what became of it."""
        with self._lock:
            ours = self._waited_for.pop(theirs, None)
        if ours is None or not ours.set_running_or_notify_cancel():
            return
        if error is None:
            ours.set_result(result)
        else:
            ours.set_exception(error)

    def give_up(self) -> None:
        """End every future; Dask, whose scheduler may not answer, is told in the background."""
        self._is_given_up = True
        with self._lock:
            waited_for = [*self._waited_for]
        for theirs in waited_for:
            self._settle(theirs, BrokenExecutor(_GONE))
        cancel = functools.partial(self._executor.shutdown, wait=False)
        threading.Thread(target=cancel, name="cluster end", daemon=True).start()


@contextmanager
def _watched(
    executor: _WatchedExecutor, heard: _Heard, tell: Callable[[str], object]
) -> Iterator[None]:
    """Give the executor up when no worker is left: Dask itself would wait for one for ever."""
    over = threading.Event()

    def watch() -> None:
        told: set[str] = set()
        looks = 0
        while looks < _LOOKS:
            if over.wait(_LOOK_SECONDS):
                return
            looks = 0 if heard.from_any() else looks + 1
            for worker in heard.silent() - told if looks == 0 else ():
                told.add(worker)
                tell(
                    f"the worker {worker} has not answered for {_LOOKS * _LOOK_SECONDS:.0f} s; "
                    "end it, and another does its work at once, otherwise in 5 to 10 minutes"
                )
        executor.give_up()

    watcher = threading.Thread(target=watch, name="cluster", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=_LOOK_SECONDS)


class _Heard:
    """When the scheduler last heard from each worker, by the scheduler's own clock.

    One that hangs, or has lost its network, stays in its list for 5 to 10 minutes (`worker-ttl`).
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._last: dict[str, float] = {}
        self._silences: dict[str, int] = {}

    def from_any(self) -> bool:
        """Tell whether the scheduler answers and has heard from a worker since the last time."""
        try:
            asked = self._client.scheduler.identity
            found = self._client.sync(asked, callback_timeout=_ANSWER_SECONDS)["workers"]
        except Exception as error:  # noqa: BLE001  # Dask's, asyncio's or tornado's, by version
            _log.debug("the scheduler does not answer: %s", error)
            return False
        before, self._last = self._last, {one: row["last_seen"] for one, row in found.items()}
        self._silences = {
            one: self._silences.get(one, 0) + 1 if before.get(one) == seen else 0
            for one, seen in self._last.items()
        }
        return 0 in self._silences.values()

    def silent(self) -> set[str]:
        """Return the workers that have said nothing for so many looks."""
        return {one for one, looks in self._silences.items() if looks >= _LOOKS}


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
    """Return the HostError for a cluster that has lost our work, or cannot read it; else None."""
    name = type(error).__name__
    if unread := _why_unread(error):
        return _unreadable(unread)
    lost = ("KilledWorker", "FutureCancelledError", "CommClosedError")  # of distributed
    if not isinstance(error, (BrokenExecutor, CancelledError)) and name not in lost:
        return None
    is_ours = not str(error) or str(error) == _GONE
    reason = _GONE if is_ours else f"{name}: {error}".rstrip(".")
    return HostError(
        "LL180",
        f"The cluster lost its work: {reason}.",
        "Check the output of its workers, start them again, and run the same command again: "
        "finished work is kept.",
    )


def _unreadable(reason: str) -> HostError:
    return HostError(
        "LL188",
        f"A machine of the cluster cannot read the work it was given: {reason}.",
        "Install the same version of loraloom for the scheduler and for every worker, start "
        "them again, and run the same command again.",
    )


def _why_unread(error: BaseException) -> str:
    """Say what a worker or scheduler lacks of our code; empty where it is something else."""
    cause = error.__cause__ or error
    lacks = isinstance(cause, ModuleNotFoundError) and str(cause.name).startswith(_OUR_CODE)
    differs = isinstance(cause, AttributeError) and "Can't get attribute" in str(cause)
    is_refused = isinstance(error, RuntimeError) and "deserialization" in str(error)
    return str(cause).split(". ")[0].rstrip(".") if lacks or differs or is_refused else ""
