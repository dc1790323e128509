"""The ledger's file: damaged, locked, of an older loraloom, or on a full disk."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from drawing import cell

from a1111_ext.cells import Ledger
from a1111_ext.cells.ledger_file import _prepare
from a1111_ext.cells.picture_store import PictureStore
from kohya_ext.project import DamagedError, ToolError


class LockedFor:
    """A database that is locked for so many tries."""

    def __init__(self, tries: int, words: str = "database is locked") -> None:
        self.tries, self.words = tries, words
        self.changes: list[str] = []

    def execute(self, text: str) -> LockedFor:
        if self.tries:
            self.tries -= 1
            raise sqlite3.OperationalError(self.words)
        self.changes.append(text)
        return self

    def executescript(self, text: str) -> None:
        self.changes.append("schema")

    def fetchone(self) -> tuple[str]:
        return ("wal" if any("=WAL" in one for one in self.changes) else "delete",)

    def fetchall(self) -> list[tuple[str, ...]]:
        return []

    def __iter__(self):
        return iter([])


def test_a_locked_ledger_is_tried_a_hundred_times():
    waits: list[float] = []
    database = LockedFor(99)
    _prepare(database, sleep=waits.append)  # type: ignore[arg-type]
    assert len(waits) == 99
    assert 4 < sum(waits) < 6  # seconds
    assert "PRAGMA journal_mode=WAL" in database.changes
    with pytest.raises(sqlite3.OperationalError):
        _prepare(LockedFor(101), sleep=waits.append)  # type: ignore[arg-type]
    assert len(waits) == 99 + 99
    with pytest.raises(sqlite3.OperationalError):
        _prepare(LockedFor(1, "disk I/O error"), sleep=waits.append)  # type: ignore[arg-type]
    assert len(waits) == 99 + 99


def test_a_damaged_ledger_is_kept_aside_and_made_again(tmp_path: Path):
    damaged = b"no database at all, but long enough to be one" * 100
    (tmp_path / "a.db").write_bytes(damaged)
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        assert ledger.set_aside is not None
        assert ledger.set_aside.read_bytes() == damaged
        ledger.add([cell()])
        assert ledger.done_keys() == set()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("database or disk is full", "LL110"),
        ("attempt to write a readonly database", "LL111"),
    ],
)
def test_a_full_or_locked_disk_is_no_damaged_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, code: str
):
    def refuse(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError(words)

    monkeypatch.setattr("a1111_ext.cells.ledger_file._prepare", refuse)
    with pytest.raises(ToolError, match=code):
        Ledger(tmp_path / "a.db", tmp_path / "cells")


def test_many_open_a_new_ledger_at_once(tmp_path: Path):
    """SQLite says "locked" while another one switches to the write-ahead log."""
    errors: list[BaseException] = []
    gate = threading.Barrier(8)

    def open_one(number: int) -> None:
        try:
            gate.wait(30)
            with Ledger(tmp_path / "a.db", tmp_path / "cells") as opened:
                opened.add([cell(seed=number)])
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def test_a_folder_where_no_ledger_can_be(tmp_path: Path):
    (tmp_path / "a.db").mkdir()
    with pytest.raises(ToolError, match="LL450"):
        Ledger(tmp_path / "a.db", tmp_path / "cells")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ToolError, match="LL111"):
        Ledger(tmp_path / "file" / "a.db", tmp_path / "cells")


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
    PictureStore(tmp_path / "cells").write("ab12", b"whatever")
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as ledger:
        assert ledger.done_among(["ab12"]) == {"ab12"}
        ledger.finish("ab12", infotext="", pixels="", server="", seconds=0)
        assert ledger.hashes(["ab12"]) == {"ab12": sha256(b"whatever")}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("words", "code"), [("database or disk is full", "LL110"), ("the disk hums", "LL450")]
)
def test_a_write_that_fails_leaves_the_ledger_usable(tmp_path: Path, words: str, code: str):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        with closing(sqlite3.connect(tmp_path / "a.db")) as db:
            db.execute(
                "CREATE TRIGGER t BEFORE INSERT ON pins WHEN NEW.title = 'fox' "
                f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )
        with pytest.raises(ToolError, match=code):
            ledger.pin("fox", "aa")
        assert ledger.pin("owl", "bb") == "bb"
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as other:
            assert other.pin("owl", "cc") == "bb"


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be moved there")
def test_a_damaged_ledger_is_kept_with_what_stands_beside_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        ledger.add([cell()])
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:  # keeps the log of what it wrote
        other.execute("UPDATE cells SET seconds = 'a while'")
        other.commit()
        written = (tmp_path / "a.db-wal").read_bytes()
        with Ledger(tmp_path / "a.db", tmp_path / "cells") as again:
            aside = again.set_aside
            assert aside is not None
            assert aside.with_name(aside.name + "-wal").read_bytes() == written
            assert aside.with_name(aside.name + "-shm").exists()
    assert aside.name in caplog.text


def test_whichever_page_is_torn_the_ledger_is_made_again(tmp_path: Path):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        ledger.add([cell(seed=seed) for seed in range(30)])
    whole = (tmp_path / "a.db").read_bytes()
    for begin in range(0, len(whole), 4096):
        torn = tmp_path / str(begin) / "a.db"
        torn.parent.mkdir()
        torn.write_bytes(whole[:begin] + b"?" * 4096 + whole[begin + 4096 :])
        with Ledger(torn, tmp_path / "cells") as again:
            assert again.set_aside is not None
            assert again.record(cell(seed=1).key) is None


def test_a_value_of_another_type_is_damage(tmp_path: Path):
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as ledger:
        ledger.add([cell()])
    mistype(tmp_path / "a.db")
    with Ledger(tmp_path / "a.db", tmp_path / "cells") as again:
        assert again.set_aside is not None


def mistype(db: Path) -> None:
    with closing(sqlite3.connect(db)) as opened, opened:
        opened.execute("UPDATE cells SET seconds = 'a while'")


def test_a_new_ledger_stands_in_folders_that_are_made(tmp_path: Path):
    with Ledger(tmp_path / "a" / "b" / "a.db", tmp_path / "cells") as ledger:
        assert ledger.set_aside is None
        assert ledger.damaged == []
    with closing(sqlite3.connect(tmp_path / "a" / "b" / "a.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_ledger_that_stays_locked_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("a1111_ext.cells.ledger_file._prepare", refuse)
    with pytest.raises(DamagedError, match="database is locked"):
        Ledger(tmp_path / "a.db", tmp_path / "cells")
    assert (tmp_path / "a.db").exists()
