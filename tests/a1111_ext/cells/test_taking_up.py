"""What an earlier run left is taken up: pictures, tasks, claims, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawing import cell, draw, pinned

from a1111_ext.cells import (
    Backend,
    Cell,
    Ledger,
    plan_cells,
    run_cells,
    verify_picture,
)
from a1111_ext.cells.cell import Batch
from a1111_ext.cells.verify import generated_from_png


def test_seeds_of_a_row_in_one_request(backend, ledger, webui):
    """n_iter: the same pictures, bit for bit, with a third of the requests."""
    asked: list[int] = []
    webui.host.faults.before = lambda body: asked.append(body["n_iter"])
    cells = [cell(seed=seed) for seed in (5, 6, 7, 20, 21)]
    assert draw(backend, ledger, *cells, n_iter=8).drawn == 5
    assert asked == [3, 2]
    single = backend.generate(pinned(backend, cell(seed=6))[0])
    kept = ledger.picture_path(pinned(backend, cell(seed=6))[0].key).read_bytes()
    assert kept == single.png


def test_a_backend_for_single_pictures_draws_no_batch(ledger):
    class Single(Backend):
        name = "single"

        def generate(self, one: Cell) -> Any:
            raise AssertionError("not asked for")

    batch = [cell(seed=i, batch=Batch("batch_size", 2, i)) for i in range(2)]
    report = run_cells(plan_cells(batch), ledger, [Single()])
    assert len(report.failed) == 2
    assert "draws single pictures only" in report.failed[0][1]  # LL454


def test_a_batch_is_another_cell(backend, ledger, webui):
    batch = [cell(seed=5 + i, batch=Batch("batch_size", 3, i)) for i in range(3)]
    asked: list[int] = []
    webui.host.faults.before = lambda body: asked.append(body["batch_size"])
    assert draw(backend, ledger, *batch).drawn == 3
    assert draw(backend, ledger, *(cell(seed=5 + i) for i in range(3))).drawn == 3
    assert asked == [3, 1, 1, 1]
    one = pinned(backend, batch[1])[0]
    ledger.picture_path(one.key).unlink()
    assert draw(backend, ledger, *batch).drawn == 1
    assert asked == [3, 1, 1, 1, 3]


def test_a_kept_picture_without_its_row_is_taken_up(backend, ledger, webui):
    (one,) = pinned(backend, cell())
    ledger.add([one])
    ledger.keep(one.key, backend.generate(one).png)
    assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert webui.host.counters.pictures == 1


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\ncut", b"other"])
def test_a_kept_picture_that_is_wrong_is_drawn_again(backend, ledger, webui, content: bytes):
    (one,) = pinned(backend, cell())
    ledger.keep(one.key, content)
    assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert verify_picture(one, generated_from_png(ledger.picture_path(one.key).read_bytes())) == ()


def test_the_picture_of_another_cell_is_not_taken_up(backend, ledger, webui):
    first, second = pinned(backend, cell(seed=1), cell(seed=2))
    ledger.keep(second.key, backend.generate(first).png)
    assert run_cells(plan_cells([second]), ledger, [backend]).drawn == 1
    assert webui.host.counters.pictures == 2


def test_a_lost_ledger_costs_no_picture(backend, tmp_path: Path, webui):
    cells = [cell(seed=seed) for seed in range(4)]
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as first:
        draw(backend, first, *cells)
    (tmp_path / "a.db").unlink()
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as second:
        assert draw(backend, second, *cells).drawn == 4
    assert webui.host.counters.pictures == 4


def test_our_earlier_task_is_waited_for(backend, tmp_path: Path, webui):
    """A killed run left its request with the WebUI: it is not asked for again until it is done."""
    (one,) = pinned(backend, cell())
    states = [{"active": True}, {"queued": True}, {"completed": True}]
    asked: list[str] = []

    def progress(task: str) -> dict[str, Any]:
        asked.append(task)
        return states.pop(0)

    webui.host.tasks.state_of = progress  # type: ignore[method-assign]
    with Ledger(tmp_path / "a.db", tmp_path / "kept") as ledger:
        ledger.add([one])
        dead = ledger._owner.rpartition("|")[0].replace("|", "|9", 1)
        ledger._owner, mine = f"{dead}|dead", ledger._owner
        assert ledger.claim(one.key, backend.name)
        ledger._owner = mine
        assert run_cells(plan_cells([one]), ledger, [backend]).drawn == 1
    assert len(asked) == 3
    assert set(asked) == {f"loraloom-{one.key[:32]}"}


@pytest.mark.parametrize("jump", [-10_000_000.0, 10_000_000.0])
def test_the_clock_may_jump(tmp_path: Path, jump: float):
    """A living process keeps its claim, whatever the clock says."""
    now = [1000.0]
    first = Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0])
    second = Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0])
    first.add([cell()])
    assert first.claim(cell().key)
    now[0] += jump
    assert second.claim(cell().key) is None
    first.close()
    assert second.claim(cell().key)
    second.close()


def test_a_claim_from_another_machine_ends_by_age(tmp_path: Path):
    now = [0.0]
    with Ledger(tmp_path / "a.db", tmp_path / "c", clock=lambda: now[0]) as ledger:
        ledger.add([cell()])
        mine, ledger._owner = ledger._owner, "gpu-box|1|1|x"
        assert ledger.claim(cell().key)
        ledger._owner = mine
        now[0] = 60.0
        assert ledger.claim(cell().key) is None
        now[0] = 4000.0
        assert ledger.claim(cell().key)
