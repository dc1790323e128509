"""A kept picture is proved before it is used: damage is moved aside and drawn again."""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from a1111_ext.api.client import Client
from a1111_ext.cells import Cell, CellOutcome, Ledger, run_cells
from a1111_ext.cells.backend import HttpBackend
from a1111_ext.cells.cell import CheckpointPin
from a1111_ext.cells.cell_plan import plan_cells
from a1111_ext.cells.picture_store import DAMAGED, PROVE_AT_MOST, PictureStore


def cells(backend: HttpBackend, count: int = 3) -> list[Cell]:
    title = backend.capabilities.checkpoints[0].title
    base = Cell(
        checkpoint=CheckpointPin(title), prompt="a fox", seed=1, width=64, height=64, steps=1
    )
    return [replace(base, seed=seed) for seed in range(1, count + 1)]


def other_picture(key: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "PNG")
    return stream.getvalue()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another": lambda path: path.write_bytes(other_picture("")),
    "one bit": lambda path: path.write_bytes(
        path.read_bytes()[:-20] + bytes([path.read_bytes()[-20] ^ 1]) + path.read_bytes()[-19:]
    ),
}


@pytest.fixture
def backend(client: Client):
    opened = HttpBackend(client)
    yield opened
    opened.close()


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_picture_is_kept_aside_and_drawn_again(
    backend: HttpBackend, tmp_path: Path, damage: Callable[[Path], None]
):
    wanted = cells(backend)
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as first:
        run_cells(plan_cells(wanted), first, [backend])
        path = first.picture_path(wanted[1].key)
        right = path.read_bytes()
    damage(path)
    events = []
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as again:
        report = run_cells(plan_cells(wanted), again, [backend], on_event=events.append)
        assert again.pictures.aside(wanted[1].key, DAMAGED).exists()
    assert [one.outcome for one in events].count(CellOutcome.DAMAGED) == 1
    assert report.failed == ()
    assert path.read_bytes() == right


def test_a_picture_that_only_got_a_new_time_is_right(ledger: Ledger, backend: HttpBackend):
    wanted = cells(backend, 1)
    run_cells(plan_cells(wanted), ledger, [backend])
    os.utime(ledger.picture_path(wanted[0].key), (1, 1))
    assert ledger.done_among([wanted[0].key]) == {wanted[0].key}
    assert ledger.damaged == []


def test_of_very_many_only_the_size_is_compared(tmp_path: Path):
    store = PictureStore(tmp_path)
    digest = store.write("ab12", b"right")
    known = {"ab12": (digest, 5), **{f"zz{n}": ("x", 1) for n in range(PROVE_AT_MOST)}}
    gone, differs = store.wrong_among(known)
    assert (len(gone), differs) == (PROVE_AT_MOST, set())
    store.path("ab12").write_bytes(b"longer")
    assert store.wrong_among(known)[1] == {"ab12"}
    known.pop("zz0")
    store.path("ab12").write_bytes(b"wrong")
    assert store.wrong_among(known)[1] == {"ab12"}


def test_pictures_rebuild_a_damaged_ledger(tmp_path: Path, backend: HttpBackend):
    wanted = cells(backend)
    db = tmp_path / "cells.db"
    with Ledger(db, tmp_path / "cells") as first:
        run_cells(plan_cells(wanted), first, [backend])
    content = bytearray(db.read_bytes())
    content[4096:8192] = os.urandom(4096)
    db.write_bytes(content)
    drawn = backend.client.get("/sdapi/v1/progress")  # the server is there, and is not asked
    assert drawn
    events = []
    with Ledger(db, tmp_path / "cells") as again:
        assert again.set_aside is not None
        report = run_cells(plan_cells(wanted), again, [backend], on_event=events.append)
        assert again.done_among([one.key for one in wanted]) == {one.key for one in wanted}
    assert report.failed == ()
    assert {one.seconds for one in events if one.outcome is CellOutcome.DRAWN} == {0.0}


def test_a_ledger_without_hashes_is_brought_to_today(tmp_path: Path):
    db = sqlite3.connect(tmp_path / "cells.db")
    db.executescript(
        "CREATE TABLE cells (key TEXT PRIMARY KEY, request TEXT NOT NULL, "
        "state TEXT NOT NULL DEFAULT 'planned', owner TEXT NOT NULL DEFAULT '', "
        "claimed_at REAL NOT NULL DEFAULT 0, infotext TEXT NOT NULL DEFAULT '', "
        "pixels TEXT NOT NULL DEFAULT '', server TEXT NOT NULL DEFAULT '', "
        "seconds REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '');"
        "INSERT INTO cells (key, request, state) VALUES ('ab12', '{}', 'done');"
    )
    db.close()
    store = PictureStore(tmp_path / "cells")
    store.write("ab12", b"whatever")
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        assert ledger.done_among(["ab12"]) == {"ab12"}
