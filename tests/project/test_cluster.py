"""Pieces of work handed to an executor, and what is said when it loses them."""

from __future__ import annotations

import gc
import logging
import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from elsewhere import Elsewhere

from kohya_ext.project import HostError, InputError, ToolError, cluster
from kohya_ext.project.cluster import open_executor, spread


def refuse(number: int) -> int:
    if number == 3:
        raise InputError("LL181", f"{number} cannot be used.")
    return number


def test_every_item_comes_back_with_its_result():
    with ThreadPoolExecutor(4) as pool:
        assert dict(spread(operator.neg, range(200), pool)) == {n: -n for n in range(200)}


def test_without_an_executor_the_order_stays():
    assert list(spread(operator.neg, [3, 1, 2], None)) == [(3, -3), (1, -1), (2, -2)]


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = spread(operator.neg, items(), Elsewhere())
    next(results)
    results.close()
    assert len(taken) < 100


@pytest.mark.parametrize("pool", [None, Elsewhere()], ids=["here", "elsewhere"])
def test_the_error_of_a_piece_is_its_own(pool: Elsewhere | None):
    with pytest.raises(InputError, match=r"3 cannot be used\. \[LL181\]"):
        list(spread(refuse, range(9), pool))


class KilledWorker(Exception):
    """Named as Dask's: a piece has cost several workers their lives."""


@pytest.mark.parametrize(
    "loss",
    [BrokenProcessPool("a child died"), CancelledError(), KilledWorker("piece-7, 3 workers")],
    ids=["broken", "cancelled", "killed"],
)
def test_a_lost_cluster_is_reported_and_the_rest_is_kept(loss: Exception):
    kept = []
    pool = Elsewhere(dies_after=40, loss=loss)
    with pytest.raises(HostError, match=r"run the same command again.*LL180"):  # noqa: PT012
        for item, _ in spread(operator.neg, range(100), pool):
            kept.append(item)
    assert len(kept) >= 8


def refused_by_the_scheduler(cause: Exception) -> Exception:
    """As Dask raises what its scheduler could not load."""
    error = RuntimeError("Error during deserialization of the task graph. This frequently\noccurs")
    error.__cause__ = cause
    return error


LACKS = ModuleNotFoundError("No module named 'a1111_ext'", name="a1111_ext")
OLDER = AttributeError("Can't get attribute 'generate_and_check' on <module 'a1111_ext'>")


@pytest.mark.parametrize(
    "error",
    [LACKS, OLDER, refused_by_the_scheduler(LACKS), refused_by_the_scheduler(OLDER)],
    ids=["worker without", "older worker", "scheduler without", "older scheduler"],
)
def test_a_machine_with_another_loraloom_is_reported(error: Exception):
    said = r"cannot read the work it was given: (No module|Can't get).*\. Install the same.*LL188"
    with pytest.raises(HostError, match=said):
        list(spread(operator.neg, [1], Elsewhere(dies_after=0, loss=error)))


def test_another_missing_package_stays_an_error():
    lacks = ModuleNotFoundError("No module named 'numpy'", name="numpy")
    with pytest.raises(ModuleNotFoundError):
        list(spread(operator.neg, [1], Elsewhere(dies_after=0, loss=lacks)))


def test_a_fault_of_our_own_stays_one():
    with pytest.raises(ZeroDivisionError):
        list(spread(lambda _: 1 // 0, [1], None))
    with ThreadPoolExecutor(1) as pool, pytest.raises(ZeroDivisionError):
        list(spread(lambda _: 1 // 0, [1], pool))


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ToolError, match=r"pip install distributed.*LL456"),
        open_executor("tcp://x:1"),
    ):
        pass


@pytest.mark.parametrize(
    "error",
    [OSError("connection refused"), TypeError("TLS expects an ssl_context"), RuntimeError("ucx")],
)
def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch, error: Exception):
    """For `tls://` without its settings Dask has a TypeError."""

    def refuse(address: str, timeout: int) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=refuse))
    with pytest.raises(ToolError, match="LL457"), open_executor("tcp://127.0.0.1:9"):
        pass


@pytest.mark.parametrize("address", ["", " "])
def test_an_empty_address_is_not_this_machine(monkeypatch: pytest.MonkeyPatch, address: str):
    """It comes from a variable that is not set; the work would be done here, and nobody told."""
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=EmptyCluster))
    with pytest.raises(ToolError, match=r"the address is empty.*LL457"), open_executor(address):
        pass


class EmptyCluster:
    """A scheduler that answers and has nobody to work."""

    def __init__(self, address: str, timeout: int) -> None:
        self.closed = False
        self.scheduler = SimpleNamespace(identity=self.identity)

    def ncores(self) -> dict[str, int]:
        return {}

    def identity(self) -> dict[str, Any]:
        return {"workers": {}}

    def sync(self, asked: Callable[[], dict[str, Any]], *, callback_timeout: float) -> Any:
        return asked()

    def __enter__(self) -> EmptyCluster:
        return self

    def __exit__(self, *details: object) -> None:
        self.closed = True


def test_a_scheduler_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=EmptyCluster))
    with pytest.raises(ToolError, match=r"has no workers.*LL182"), open_executor("tcp://x:1"):
        pass


class MixedCluster(EmptyCluster):
    """Some of its machines have no loraloom, or another one; Dask says which."""

    has: ClassVar[dict[str, str | None]] = {}
    ours: ClassVar[str | None] = "1.2"

    def ncores(self) -> dict[str, int]:
        return {"worker": 1}

    def _get_versions(self, packages: list[str]) -> dict[str, Any]:
        scheduler, *workers = (
            {"packages": dict.fromkeys(packages, one)} for one in self.has.values()
        )
        named = dict(zip(list(self.has)[1:], workers, strict=True))
        client = {"packages": dict.fromkeys(packages, self.ours)}
        return {"scheduler": scheduler, "workers": named, "client": client}

    def get_executor(self, pure: bool) -> Executor:
        return DeafExecutor()


@pytest.mark.parametrize(
    ("has", "said"),
    [
        ({"s": "1.2", "a": "1.2", "b": None}, r"b has no loraloom, this command has 1\.2"),
        ({"s": "1.2", "a": "1.1"}, r"a has loraloom 1\.1, this command has 1\.2"),
        ({"s": None, "a": "1.2"}, "the scheduler has no loraloom"),
    ],
)
def test_a_machine_without_our_loraloom_is_named_before_work_is_sent(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, str | None], said: str
):
    """Such a worker would end itself with its first piece, and so would all of that kind."""
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=MixedCluster))
    monkeypatch.setattr(MixedCluster, "has", has)
    with pytest.raises(HostError, match=f"{said}.*LL188"), open_executor("tcp://x:1"):
        pass
    monkeypatch.setattr(MixedCluster, "ours", None)  # run from a clone: nothing to compare with
    with open_executor("tcp://x:1") as executor:
        assert executor is not None


class DeafExecutor(Executor):
    """Takes work and never does it; nobody hears that it should be cancelled, either."""

    def __init__(self) -> None:
        self.taken: list[Future[object]] = []

    def submit(self, *_: object) -> Future[object]:
        self.taken.append(Future())
        return self.taken[-1]


class DyingCluster(EmptyCluster):
    """Its only worker takes the work and ends: it is gone, hangs, or so does its scheduler."""

    end: ClassVar[str] = "gone"

    def __init__(self, address: str, timeout: int) -> None:
        super().__init__(address, timeout)
        self.executor = DeafExecutor()
        self.looks = 0

    def ncores(self) -> dict[str, int]:
        return {"worker": 1}

    def identity(self) -> dict[str, Any]:
        self.looks += not self.executor.taken
        workers = {"worker": {"last_seen": float(self.looks)}}
        if not self.executor.taken or self.end == "hangs":
            return {"workers": workers}
        if self.end == "no scheduler":
            raise TimeoutError
        return {"workers": {}}

    def get_executor(self, pure: bool) -> Executor:
        return self.executor


@pytest.mark.parametrize("end", ["gone", "hangs", "no scheduler"])
def test_workers_that_all_die_end_the_work(end: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=DyingCluster))
    monkeypatch.setattr(DyingCluster, "end", end)
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.01)
    with open_executor("tcp://x:1") as pool:
        for _ in range(2):  # the second is refused at once
            gone = r"The cluster lost its work: its workers or its scheduler are gone\..*LL180"
            with pytest.raises(HostError, match=gone):
                list(spread(operator.neg, range(100), pool))


class HoldingCluster(DyingCluster):
    """Finishes its work when it is told to; knows which of its futures somebody still holds."""

    def __init__(self, address: str, timeout: int) -> None:
        super().__init__(address, timeout)
        self.held: weakref.WeakSet[Future[object]] = weakref.WeakSet()

    def finish(self) -> None:
        self.held = weakref.WeakSet(self.executor.taken)
        for number, one in enumerate(self.executor.taken):
            one.set_result(number)
        self.executor.taken.clear()


def test_no_finished_piece_is_kept_by_a_worker(monkeypatch: pytest.MonkeyPatch):
    """Dask computes what is held again when its worker dies: pictures were drawn twice."""
    made: list[HoldingCluster] = []

    def connect(address: str, timeout: int) -> HoldingCluster:
        made.append(HoldingCluster(address, timeout))
        return made[0]

    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=connect))
    gc.disable()
    try:
        with open_executor("tcp://x:1") as pool:
            assert pool is not None
            pieces = [pool.submit(operator.neg, one) for one in range(9)]
            made[0].finish()
            assert [one.result() for one in pieces] == [*range(9)]
            assert len(made[0].held) == 9
            del pieces
            assert len(made[0].held) == 0
    finally:
        gc.enable()


class BusyCluster(DyingCluster):
    """One worker hangs, the other works."""

    def identity(self) -> dict[str, Any]:
        self.looks += 1
        if self.looks == 3 * cluster._LOOKS:
            self.executor.taken[0].set_result(7)
        seen = {"hangs": 1.0, "works": float(self.looks)}
        return {"workers": {name: {"last_seen": when} for name, when in seen.items()}}


def test_a_worker_that_hangs_is_reported_once(monkeypatch: pytest.MonkeyPatch):
    messages: list[str] = []
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=BusyCluster))
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.01)
    with open_executor("tcp://x:1", messages.append) as pool:
        assert list(spread(operator.neg, [3], pool)) == [(3, 7)]  # what the other does is awaited
    assert [one.partition(" for ")[0] for one in messages] == ["the worker hangs has not answered"]


def test_dask_itself_says_nothing(monkeypatch: pytest.MonkeyPatch, caplog: Any):
    """Its tracebacks would stand above our one sentence."""
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=BusyCluster))
    with open_executor("tcp://x:1"):
        for name in ("distributed.client", "distributed.core", "tornado.application"):
            logging.getLogger(name).error("the connection is closed")
    assert caplog.text == ""
