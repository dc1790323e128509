"""The file of a ledger: opening, healing, and writing all or nothing."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kohya_ext.project import DamagedError
from kohya_ext.project.databases import find_refusal, require_declared_types
from kohya_ext.project.files import explain_os_error, explained, replace_file, set_aside

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
    reason TEXT NOT NULL DEFAULT '',
    file TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS pins (
    title TEXT PRIMARY KEY,
    hash TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS saved_settings (
    server TEXT PRIMARY KEY,
    settings TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS switches (
    name TEXT PRIMARY KEY,
    is_on INTEGER NOT NULL
);
"""
_log = logging.getLogger(__name__)
_OPEN_TRIES = 100
_OPEN_PAUSE_SECONDS = 0.05


class LedgerFile:
    """An open file, for any number of threads and processes; a damaged one is moved away."""

    def __init__(self, db: Path, folder: Path) -> None:
        self._folder = folder
        self.set_aside: Path | None = None
        """Where a damaged ledger was moved: the pictures in `folder` are taken up again."""
        self._lock = threading.RLock()  # one connection, used by every backend's thread
        self._db = _connect(db)
        try:
            _prepare(self._db)
            # A look at its pages: some milliseconds for 10,000 cells.
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("its file is damaged")
            require_declared_types(self._db)
        except sqlite3.OperationalError as error:
            self._db.close()
            refusal = find_refusal(error, db)
            if refusal is not None:
                raise explain_os_error(refusal, db) from error
            raise DamagedError(
                "LL450",
                f"The ledger {db} cannot be used: {error}.",
                "Close other programs that use it, and run the same command again.",
            ) from error
        except sqlite3.DatabaseError:
            self._db.close()
            self.set_aside = _set_aside(db)
            self._db = _connect(db)
            _prepare(self._db)

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        return row

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except sqlite3.DatabaseError as error:
            refusal = find_refusal(error, self._folder)
            if refusal is not None:
                raise explain_os_error(refusal, self._folder) from error
            raise DamagedError(
                "LL450",
                f"The ledger cannot be written: {error}.",
                "Check that no other program is using it, and run the same command again.",
            ) from error


def _connect(db: Path) -> sqlite3.Connection:
    """Open or make the file.

    Raises MachineError (for the folder) or DamagedError (for the file).
    """
    try:
        db.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, db.parent) from error
    try:
        return sqlite3.connect(db, timeout=30, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise DamagedError(
            "LL450",
            f"The ledger {db} cannot be opened: {error}.",
            "Check that you can write to its folder, and that nothing else has that name.",
        ) from error


def _prepare(db: sqlite3.Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Set the file up; two processes that begin at once may find it locked for an instant.

    SQLite does not wait by itself while another connection changes the journal's mode.
    """
    for attempt in range(_OPEN_TRIES):
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode=WAL")
            # a row lost in a power cut is found again by its picture, so it need not be flushed
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_SCHEMA)
            _add_columns(db)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _OPEN_TRIES - 1:
                raise
            sleep(_OPEN_PAUSE_SECONDS)
        else:
            return


def _set_aside(db: Path) -> Path:
    """Move a damaged ledger away, with what SQLite keeps beside it. Raises MachineError."""
    aside = set_aside(db)
    for suffix in ("-wal", "-shm"):
        with explained(db), suppress(FileNotFoundError):
            replace_file(db.with_name(db.name + suffix), aside.with_name(aside.name + suffix))
    _log.warning("The ledger %s was damaged; it is kept as %s and made again.", db, aside.name)
    return aside


def _add_columns(db: sqlite3.Connection) -> None:
    """Bring a ledger of an older loraloom to today's columns; what it holds stays."""
    there = {str(row[1]) for row in db.execute("PRAGMA table_info(cells)")}
    for name, kind in (
        ("file", "TEXT NOT NULL DEFAULT ''"),
        ("bytes", "INTEGER NOT NULL DEFAULT 0"),
    ):
        if name not in there:
            db.execute(f"ALTER TABLE cells ADD COLUMN {name} {kind}")
