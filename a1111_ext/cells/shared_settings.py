"""A WebUI's own settings, which all runs of this machine that draw there share and put back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kohya_ext.project import ToolError
from kohya_ext.project.json_reader import parse_json

from .owners import holds
from .shared_file import SharedFile, server_name


class SharedSettings(SharedFile):
    """One run's share; where the file cannot be used, a run knows its own settings only."""

    def share(
        self, server: str, now: Mapping[str, Any], *, is_drawing: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a WebUI's own settings of these names, and those of them that are new here.

        While another run draws, what the WebUI tells can be what that run set for one picture,
        and what is written there can change a picture that it draws. So can a killed run's last
        picture, while the WebUI still `is_drawing`.
        """
        server, known, new = server_name(server), dict(now), dict(now)
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

    def peek(self, server: str) -> dict[str, Any]:
        """Return a WebUI's own settings while a run draws there: {} where none does."""
        server = server_name(server)
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            return dict(self._settings(db, server)) if self._drawers(db, server) else {}
        return {}

    def to_put_back(self, server: str, own: Mapping[str, Any]) -> dict[str, Any]:
        """End this run's share in a WebUI's settings: {} while others draw there, else all."""
        server, left = server_name(server), dict(own)
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
