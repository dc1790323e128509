"""Pieces of work handed to an executor, and what is said when it loses them."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

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
def test_a_lost_cluster_is_told_and_the_rest_is_kept(loss: Exception):
    kept = []
    pool = Elsewhere(dies_after=40, loss=loss)
    with pytest.raises(HostError, match=r"run the same command again.*LL180"):  # noqa: PT012
        for item, _ in spread(operator.neg, range(100), pool):
            kept.append(item)
    assert len(kept) >= 8


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


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch):
    def refuse(address: str, timeout: int) -> None:
        raise OSError("connection refused")

    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=refuse))
    with pytest.raises(ToolError, match="LL457"), open_executor("tcp://127.0.0.1:9"):
        pass


class EmptyCluster:
    """A scheduler that answers and has nobody to work."""

    def __init__(self, address: str, timeout: int) -> None:
        self.closed = False

    def ncores(self) -> dict[str, int]:
        return {}

    def __enter__(self) -> EmptyCluster:
        return self

    def __exit__(self, *details: object) -> None:
        self.closed = True


def test_a_scheduler_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=EmptyCluster))
    with pytest.raises(ToolError, match=r"has no workers.*LL182"), open_executor("tcp://x:1"):
        pass


class DeafExecutor(Executor):
    """Takes work and never does it; cancels it as Dask's executor does."""

    def __init__(self) -> None:
        self.taken: list[Future[object]] = []

    def submit(self, *_: object) -> Future[object]:
        self.taken.append(Future())
        return self.taken[-1]

    def shutdown(self, wait: bool = True) -> None:
        for future in self.taken:
            future.cancel()
            future.set_running_or_notify_cancel()


class DyingCluster(EmptyCluster):
    """Its workers die as soon as they have taken the work."""

    def __init__(self, address: str, timeout: int) -> None:
        super().__init__(address, timeout)
        self.executor = DeafExecutor()

    def ncores(self) -> dict[str, int]:
        return {} if self.executor.taken else {"worker": 1}

    def get_executor(self, pure: bool) -> Executor:
        return self.executor


def test_workers_that_all_die_end_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=DyingCluster))
    monkeypatch.setattr(cluster, "_LOOK_SECONDS", 0.01)
    with open_executor("tcp://x:1") as pool:
        for _ in range(2):  # the second is refused at once
            with pytest.raises(HostError, match=r"its workers or its scheduler are gone.*LL180"):
                list(spread(operator.neg, range(100), pool))
