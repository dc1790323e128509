"""The file below the decisions: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..databases import find_refusal, has_all_of
from ..errors import DamagedError
from ..files import explain_os_error
from ..json_reader import ShapeError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS actions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    way TEXT NOT NULL,
    undoes INTEGER,
    undone_by INTEGER
);
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    action INTEGER NOT NULL REFERENCES actions(number),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    value TEXT NOT NULL,
    before TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_by_subject ON decisions (kind, subject, number);
CREATE INDEX IF NOT EXISTS decisions_by_action ON decisions (action);
CREATE TABLE IF NOT EXISTS seen (
    way TEXT NOT NULL,
    subject TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (way, subject)
);
CREATE TABLE IF NOT EXISTS moved_in (
    place TEXT PRIMARY KEY,
    at TEXT NOT NULL
);
"""
FORMAT = 1
"""Kept as SQLite's user_version."""

_WAIT_SECONDS = 30.0
_OPEN_TRIES = 100
_OPEN_PAUSE_SECONDS = 0.05


def connect(path: Path, *, sleep: Callable[[float], None] = time.sleep) -> sqlite3.Connection:
    """Open reviews.db, made with its tables where it is not there; sqlite3.Error as it comes."""
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for attempt in range(_OPEN_TRIES):
            try:
                db.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # two processes that open a new file at once: SQLite does not wait here
                if "locked" not in str(error) or attempt == _OPEN_TRIES - 1:
                    raise
                sleep(_OPEN_PAUSE_SECONDS)
        db.execute("PRAGMA synchronous = FULL")
        (number,) = db.execute("PRAGMA user_version").fetchone()
        if number > FORMAT:
            raise sqlite3.DatabaseError(f"it is of format {number}, this loraloom reads {FORMAT}")
        if number < FORMAT or not has_all_of(db, _SCHEMA):
            db.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of the file, and what a row of it does, into a ToolError."""
    try:
        yield
    except (sqlite3.Error, ShapeError) as error:
        refusal = find_refusal(error, path) if isinstance(error, sqlite3.Error) else None
        if refusal is not None:
            raise explain_os_error(refusal, path) from error
        raise DamagedError(
            "LL140",
            f"The decisions in {path} cannot be used: {error}.",
            "Close other programs that use the file, or restore it from a backup.",
        ) from error
