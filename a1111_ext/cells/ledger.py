"""The ledger: which cells are done, in SQLite with write-ahead log, and their pictures as files.

A picture is written and flushed before its row says done, so a kill at any instant loses at most
the one in flight. Pictures are kept byte for byte as the WebUI sent them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from kohya_ext.project import ToolError
from kohya_ext.project.files import explain_os_error, write_bytes_atomic

from .cell import Cell, cell_from_dict

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'planned',
    owner TEXT NOT NULL DEFAULT '',
    claimed_at REAL NOT NULL DEFAULT 0,
    infotext TEXT NOT NULL DEFAULT '',
    pixels TEXT NOT NULL DEFAULT '',
    server TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
)
"""
CLAIM_SECONDS = 3600.0
"""A claim of a process that died without a word is void after this time."""


class State(str, Enum):
    """Where a cell stands."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """What the ledger knows of one cell; `pixels` is the hash of the picture's pixels."""

    cell: Cell
    state: State
    infotext: str
    pixels: str
    server: str
    seconds: float
    reason: str


class Ledger:
    """Open the ledger `db` with its pictures in `folder`; made when it is not there."""

    def __init__(self, db: Path, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._owner = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._lock = threading.RLock()  # one connection, used by every painter's thread
        db.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(db, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ToolError(
                "LL450",
                f"The ledger {db} cannot be used: {error}.",
                "Move it away; the pictures in cells/ stay, and what is missing is drawn again.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def picture_path(self, key: str) -> Path:
        """Return where the picture of a cell is kept."""
        return self._folder / key[:2] / f"{key}.png"

    def add(self, cells: Iterable[Cell]) -> None:
        """Write down cells to be drawn; those known already stay as they are."""
        rows = [(cell.key, json.dumps(cell.as_dict(), ensure_ascii=False)) for cell in cells]
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO cells (key, request) VALUES (?, ?)", rows)

    def claim(self, key: str) -> bool:
        """Take a cell for this process; False when it is done or another process draws it."""
        now = self._clock()
        with self._transaction():
            taken = self._db.execute(
                "UPDATE cells SET state = 'claimed', owner = ?, claimed_at = ? WHERE key = ? AND "
                "(state IN ('planned', 'failed') OR (state = 'claimed' AND "
                "(owner = ? OR claimed_at < ? OR claimed_at > ?)))",
                (self._owner, now, key, self._owner, now - CLAIM_SECONDS, now + CLAIM_SECONDS),
            )
        if taken.rowcount == 1:
            return True
        return self._take_over(key, now)

    def _take_over(self, key: str, now: float) -> bool:
        """Take a claim whose process is gone from this machine."""
        row = self._row("SELECT owner FROM cells WHERE key = ? AND state = 'claimed'", key)
        if row is None or _is_alive(str(row[0])):
            return False
        with self._transaction():
            taken = self._db.execute(
                "UPDATE cells SET owner = ?, claimed_at = ? WHERE key = ? AND owner = ?",
                (self._owner, now, key, row[0]),
            )
        return taken.rowcount == 1

    def release(self, key: str) -> None:
        """Give a claimed cell back, undrawn."""
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'planned', owner = '' WHERE key = ? AND owner = ? "
                "AND state = 'claimed'",
                (key, self._owner),
            )

    def finish(
        self, key: str, png: bytes, *, infotext: str, pixels: str, server: str, seconds: float
    ) -> Path:
        """Keep a verified picture and mark its cell done. Raises ToolError LL110 or LL111."""
        path = self.picture_path(key)
        write_bytes_atomic(path, png)
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'done', owner = '', infotext = ?, pixels = ?, "
                "server = ?, seconds = ?, reason = '' WHERE key = ?",
                (infotext, pixels, server, seconds, key),
            )
        return path

    def fail(self, key: str, reason: str) -> None:
        """Mark a cell failed, with its reason; the next run tries it again."""
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'failed', owner = '', reason = ? WHERE key = ?",
                (reason, key),
            )

    def is_done(self, key: str) -> bool:
        """Whether a cell is done and its picture is still there."""
        row = self._row("SELECT state FROM cells WHERE key = ?", key)
        if row is None or row[0] != State.DONE.value:
            return False
        if self.picture_path(key).exists():
            return True
        with self._transaction():
            self._db.execute("UPDATE cells SET state = 'planned' WHERE key = ?", (key,))
        return False

    def record(self, key: str) -> Record | None:
        """Return what is known of a cell."""
        row = self._row(
            "SELECT request, state, infotext, pixels, server, seconds, reason FROM cells "
            "WHERE key = ?",
            key,
        )
        return _record(row) if row else None

    def done_keys(self) -> set[str]:
        """Return the keys of all cells marked done."""
        with self._lock:
            rows = self._db.execute("SELECT key FROM cells WHERE state = 'done'").fetchall()
        return {str(row[0]) for row in rows}

    def mean_seconds(self) -> float | None:
        """Return how long a picture took on average, or None before the first."""
        row = self._row("SELECT AVG(seconds) FROM cells WHERE state = 'done' AND seconds > 0")
        return None if row is None or row[0] is None else float(row[0])

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise explain_os_error(OSError(28, "disk full"), self._folder) from error
            raise ToolError(
                "LL450",
                f"The ledger cannot be written: {error}.",
                "Check that no other program holds it, and run the same command again.",
            ) from error


def _record(row: tuple[Any, ...]) -> Record:
    request, state, infotext, pixels, server, seconds, reason = row
    return Record(
        cell_from_dict(json.loads(request)), State(state), infotext, pixels, server, seconds, reason
    )


def _is_alive(owner: str) -> bool:
    """Whether the process of a claim still runs on this machine."""
    import psutil

    pid = owner.partition("-")[0]
    return pid.isdigit() and psutil.pid_exists(int(pid))
