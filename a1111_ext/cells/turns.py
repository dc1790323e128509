"""Whose turn it is at a WebUI: the order of checkpoints that the commands of this machine share.

Whoever wants the checkpoint that is loaded draws at once. One that wants another waits until
nobody wants the loaded one any more; of several that wait, the first goes first.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from kohya_ext.project import ToolError

from .owners import holds
from .shared_file import SharedFile, server_name


class Turns(SharedFile):
    """The turns of one run; a file that cannot be used gives everybody the turn."""

    def ask(self, server: str, checkpoint: str) -> str:
        """Ask for the turn: "" when it is ours, else the checkpoint that is waited for."""
        server = server_name(server)
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
            return self._loaded(db, server_name(server))
        return ""

    def has_others(self, server: str) -> bool:
        """Tell whether another command wants something there now."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            owners = db.execute(
                "SELECT owner FROM wants WHERE server = ? AND owner != ?",
                (server_name(server), self._owner),
            ).fetchall()
            return any(holds(str(owner), 0.0) for (owner,) in owners)
        return False

    def leave(self, server: str = "") -> None:
        """Want nothing any more, at one server or at all of them."""
        with suppress(sqlite3.Error, OSError, ToolError, ValueError), self._transaction() as db:
            if server:
                values = (self._owner, server_name(server))
                db.execute("DELETE FROM wants WHERE owner = ? AND server = ?", values)
            else:
                db.execute("DELETE FROM wants WHERE owner = ?", (self._owner,))

    def close(self) -> None:
        """Want nothing any more, and close the file."""
        if self._db is not None:
            self.leave()
        super().close()
