"""Grids that were started through a route are drawn one after the other."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from a1111_ext.cells import CellOutcome
from a1111_ext.webui.drawn import GridPlace
from a1111_ext.webui.grid_jobs import GridJobs, GridState, GridSwitches
from kohya_ext.project import ToolError


def drawn(*, finished: int = 2, stopped: bool = False, failures: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(finished=(None,) * finished, stopped=stopped, failures=failures)


def wait_for(grid_id: str) -> None:
    """Wait until the thread of a grid has ended."""
    for one in threading.enumerate():
        if one.name == f"loraloom-{grid_id}":
            one.join(timeout=60)


def run(work: Any) -> Any:
    jobs = GridJobs()
    grid_id = jobs.start(work, 4).grid_id
    wait_for(grid_id)
    return jobs.find(grid_id)


def test_a_grid_comes_to_its_end():
    def work(tell: Any, switches: GridSwitches) -> Any:
        tell(SimpleNamespace(outcome=CellOutcome.DRAWN, done=1))
        return drawn(finished=4)

    view = run(work)
    assert (view.state, view.done, view.total, view.message) == (GridState.DONE, 4, 4, "")


def test_failed_pictures_are_reported():
    view = run(lambda tell, switches: drawn(failures=("Quillfox, seed 5: no picture.",)))
    assert view.message == "A picture failed: Quillfox, seed 5: no picture."


def test_a_stopped_grid_says_so():
    assert run(lambda tell, switches: drawn(stopped=True)).state is GridState.STOPPED


def test_an_error_is_a_sentence_of_the_grid():
    def work(tell: Any, switches: GridSwitches) -> Any:
        raise ToolError("LL110", "The disk is full.", "Free some space.")

    view = run(work)
    assert view.state is GridState.FAILED
    assert view.message == "The disk is full. Free some space. [LL110]"


def test_a_bug_is_reported_too(caplog: pytest.LogCaptureFixture):
    view = run(lambda tell, switches: 1 // 0)
    assert view.state is GridState.FAILED
    assert view.message.startswith("ZeroDivisionError: ")
    assert "ZeroDivisionError" in caplog.text


def test_the_second_grid_waits_for_the_first():
    jobs = GridJobs()
    begun, resume = threading.Event(), threading.Event()

    def first(tell: Any, switches: GridSwitches) -> Any:
        begun.set()
        assert resume.wait(60)
        return drawn()

    one = jobs.start(first, 4).grid_id
    assert begun.wait(60)
    two = jobs.start(lambda tell, switches: drawn(), 4).grid_id
    assert [view.state for view in jobs.all()] == [GridState.RUNNING, GridState.WAITING]
    resume.set()
    wait_for(one)
    wait_for(two)
    assert jobs.find(two).state is GridState.DONE


def test_stop_reaches_the_work():
    jobs = GridJobs()

    def work(tell: Any, switches: GridSwitches) -> Any:
        return drawn(stopped=switches.stop.wait(60))

    grid_id = jobs.start(work, 4).grid_id
    jobs.stop(grid_id)
    wait_for(grid_id)
    assert jobs.find(grid_id).state is GridState.STOPPED


def test_a_pause_is_reported_until_it_ends():
    jobs = GridJobs()
    messages, seen = threading.Event(), threading.Event()

    def work(tell: Any, switches: GridSwitches) -> Any:
        assert switches.pause.wait(60)
        tell(SimpleNamespace(outcome=CellOutcome.PAUSED, done=1))
        messages.set()
        assert seen.wait(60)
        return drawn(stopped=switches.pause.is_set())

    grid_id = jobs.start(work, 4).grid_id
    jobs.pause(grid_id)
    assert messages.wait(60)
    assert jobs.find(grid_id).state is GridState.PAUSED
    jobs.resume(grid_id)
    seen.set()
    wait_for(grid_id)
    assert jobs.find(grid_id).state is GridState.DONE


def test_an_unknown_id_is_refused():
    with pytest.raises(ToolError, match='There is no grid "abc"') as caught:
        GridJobs().find("abc")
    assert caught.value.code == "LL762"


def test_only_the_last_hundred_are_remembered():
    jobs = GridJobs()
    for _ in range(103):
        wait_for(jobs.start(lambda tell, switches: drawn(), 1).grid_id)
    assert len(jobs.all()) == 100


# -- after a restart --------------------------------------------------------------------------


def test_a_restart_forgets_no_grid(tmp_path: Path):
    book, place = tmp_path / "a b" / "started.json", GridPlace(tmp_path / "fox", "epochs-1")
    before = GridJobs(book)
    begun, resume = threading.Event(), threading.Event()
    done = before.start(lambda tell, switches: drawn(finished=4), 4, place).grid_id
    wait_for(done)

    def slow(tell: Any, switches: GridSwitches) -> Any:
        begun.set()
        assert resume.wait(60)
        return drawn()

    running = before.start(slow, 4, place).grid_id
    assert begun.wait(60)
    waiting = before.start(lambda tell, switches: drawn(), 4, place).grid_id
    after = GridJobs(book)  # the WebUI was killed here
    resume.set()
    wait_for(running)
    wait_for(waiting)
    assert after.find(done) == before.find(done)
    for grid_id in (running, waiting):
        view = after.find(grid_id)
        assert view.state is GridState.STOPPED
        assert view.message.startswith("The WebUI stopped before this grid was finished.")
        assert after.stop(grid_id) == view


@pytest.mark.parametrize("text", ["{", "[1]", '[{"grid": "a"}]', "7"])
def test_a_damaged_book_is_begun_again(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture):
    book = tmp_path / "started.json"
    book.write_text(text, encoding="utf-8")
    jobs = GridJobs(book)
    assert jobs.all() == ()
    (aside,) = tmp_path.glob("started.damaged-*.json")
    assert aside.read_text(encoding="utf-8") == text
    assert f"it is kept as {aside.name}" in caplog.text
    wait_for(jobs.start(lambda tell, switches: drawn(), 1).grid_id)
    assert len(GridJobs(book).all()) == 1


def test_a_grid_that_cannot_be_written_down_is_not_begun(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    jobs = GridJobs(tmp_path / "file" / "started.json")
    with pytest.raises(ToolError):
        jobs.start(lambda tell, switches: drawn(), 1)
    assert jobs.all() == ()
