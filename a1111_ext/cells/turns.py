"""What the commands of this machine share at a WebUI: its order of checkpoints, its own settings.

Whoever wants the checkpoint that is loaded draws at once. One that wants another waits until
nobody wants the loaded one any more; of several that wait, the first goes first.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kohya_ext.project import ToolError
from kohya_ext.project.databases import require_declared_types
from kohya_ext.project.files import set_aside
from kohya_ext.project.json_reader import parse_json
from kohya_ext.project.settings import user_folder

from .owners import holds, this_owner

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
"""
_log = logging.getLogger(__name__)
_BUSY_SECONDS = 5.0


class Turns:
    """The turns of one run; a file that cannot be used gives everybody the turn."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_folder() / "webui-turns.db"
        self._owner = this_owner()
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def ask(self, server: str, checkpoint: str) -> str:
        """Ask for the turn: "" when it is ours, else the checkpoint that is waited for."""
        server = _one_name(server)
        blocking = ""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            mine = db.execute(
                "SELECT checkpoint FROM wants WHERE server = ? AND owner = ?",
                (server, self._owner),
            ).fetchone()
            if mine is None or mine[0] != checkpoint:  # a new request goes to the end
                db.execute(
                    "REPLACE INTO wants (server, owner, checkpoint) VALUES (?, ?, ?)",
                    (server, self._owner, checkpoint),
                )
            blocking = self._blocking(db, server, checkpoint)
            if not blocking:
                db.execute("REPLACE INTO loaded VALUES (?, ?)", (server, checkpoint))
        return blocking

    def _blocking(self, db: sqlite3.Connection, server: str, checkpoint: str) -> str:
        loaded = self._loaded(db, server)
        if checkpoint == loaded:
            return ""
        earlier: list[str] = []
        for owner, wanted in db.execute(
            "SELECT owner, checkpoint FROM wants WHERE server = ? ORDER BY number", (server,)
        ).fetchall():
            if owner == self._owner:
                return earlier[0] if earlier else self._others_with(db, server, loaded)
            if holds(owner, 0.0):
                earlier.append(str(wanted))
            else:  # it was killed
                db.execute("DELETE FROM wants WHERE server = ? AND owner = ?", (server, owner))
        return ""

    def _others_with(self, db: sqlite3.Connection, server: str, loaded: str) -> str:
        """Return the loaded checkpoint while somebody else wants it; "" otherwise."""
        owners = db.execute(
            "SELECT owner FROM wants WHERE server = ? AND checkpoint = ? AND owner != ?",
            (server, loaded, self._owner),
        ).fetchall()
        return loaded if any(holds(str(owner), 0.0) for (owner,) in owners) else ""

    @staticmethod
    def _loaded(db: sqlite3.Connection, server: str) -> str:
        row = db.execute("SELECT checkpoint FROM loaded WHERE server = ?", (server,)).fetchone()
        return str(row[0]) if row else ""

    def loaded(self, server: str) -> str:
        """Return the checkpoint that a command had loaded last; "" when none is known."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            return self._loaded(db, _one_name(server))
        return ""

    def leave(self, server: str = "") -> None:
        """Want nothing any more, at one server or at all of them."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            if server:
                values = (self._owner, _one_name(server))
                db.execute("DELETE FROM wants WHERE owner = ? AND server = ?", values)
            else:
                db.execute("DELETE FROM wants WHERE owner = ?", (self._owner,))

    def share_settings(
        self, server: str, now: Mapping[str, Any], *, is_drawing: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a WebUI's own settings of these names, and those of them that are new here.

        While another run draws, what the WebUI tells can be what that run set for one picture,
        and what is written there can change a picture that it draws. So can a killed run's last
        picture, while the WebUI still `is_drawing`.
        """
        server, known, new = _one_name(server), dict(now), dict(now)
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            if not self._drawers(db, server) and not is_drawing:
                db.execute("DELETE FROM own_settings WHERE server = ?", (server,))
            db.execute("INSERT OR IGNORE INTO drawers VALUES (?, ?)", (server, self._owner))
            shared = dict(self._settings(db, server))
            new = {name: value for name, value in now.items() if name not in shared}
            db.executemany(
                "INSERT INTO own_settings VALUES (?, ?, ?)",
                [(server, name, json.dumps(value)) for name, value in new.items()],
            )
            known = {name: shared.get(name, value) for name, value in now.items()}
        return known, new

    def settings_to_put_back(self, server: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """End this run's share in a WebUI's settings: {} while others draw there, else all."""
        server, left = _one_name(server), dict(own)
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            db.execute("DELETE FROM drawers WHERE owner = ? AND server = ?", (self._owner, server))
            if self._drawers(db, server):
                return {}
            left = {**dict(self._settings(db, server)), **own}
            db.execute("DELETE FROM own_settings WHERE server = ?", (server,))
        return left

    @staticmethod
    def _drawers(db: sqlite3.Connection, server: str) -> list[str]:
        """Return the runs that draw there and live; those that were killed are taken out."""
        rows = db.execute("SELECT owner FROM drawers WHERE server = ?", (server,)).fetchall()
        dead = [(owner,) for (owner,) in rows if not holds(owner, 0.0)]
        db.executemany("DELETE FROM drawers WHERE owner = ?", dead)
        return [owner for (owner,) in rows if (owner,) not in dead]

    @staticmethod
    def _settings(db: sqlite3.Connection, server: str) -> list[tuple[str, Any]]:
        rows = db.execute("SELECT name, value FROM own_settings WHERE server = ?", (server,))
        return [(name, parse_json(value)) for name, value in rows]

    def close(self) -> None:
        """Want nothing any more, and close the file."""
        if self._db is not None:
            self.leave()
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


def _one_name(server: str) -> str:
    """Return one name for the ways in which this machine's WebUI is named."""
    return server.replace("//localhost", "//127.0.0.1").rstrip("/")
