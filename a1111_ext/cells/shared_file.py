"""The file in which the commands of this machine share what they do at their WebUIs."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kohya_ext.project.databases import require_declared_types
from kohya_ext.project.files import set_aside
from kohya_ext.project.settings import user_folder

from .owners import this_owner

_SCHEMA = """
CREATE TABLE IF NOT EXISTS wants (
    number INTEGER PRIMARY KEY,
    server TEXT NOT NULL,
    owner TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    UNIQUE (server, owner)
);
CREATE TABLE IF NOT EXISTS loaded (server TEXT PRIMARY KEY, checkpoint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS drawers (server TEXT, owner TEXT, UNIQUE (server, owner));
CREATE TABLE IF NOT EXISTS own_settings (
    server TEXT, name TEXT, value TEXT NOT NULL, UNIQUE (server, name)
);
CREATE TABLE IF NOT EXISTS own_vaes (
    server TEXT NOT NULL, checkpoint TEXT NOT NULL, pixels TEXT NOT NULL,
    UNIQUE (server, checkpoint)
);
"""
_log = logging.getLogger(__name__)
_BUSY_SECONDS = 5.0


class SharedFile:
    """One run's view of the file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_folder() / "webui-turns.db"
        self._owner = this_owner()
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._db is None:
                self._db = self._open()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA synchronous=OFF")  # what is there is worth nothing after a crash
            db.executescript(_SCHEMA)
            require_declared_types(db)
        except sqlite3.OperationalError:  # held, or its folder cannot be written
            db.close()
            raise
        except sqlite3.DatabaseError as error:
            db.close()
            aside = set_aside(self._path)
            _log.warning("%s is damaged (%s); it is kept as %s.", self._path, error, aside.name)
            return self._open()
        return db


def server_name(server: str) -> str:
    """Return one name for the ways in which this machine's WebUI is named."""
    return server.replace("//localhost", "//127.0.0.1").rstrip("/")
