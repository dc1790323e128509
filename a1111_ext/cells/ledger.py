"""The ledger: which cells are done, in SQLite with write-ahead log, and their pictures as files.

A picture is on the disk, whole, before any row speaks of it, byte for byte as the WebUI sent it.
A picture without its row, as after a kill or a power cut, is taken up again, not drawn again.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from kohya_ext.project import DamagedError
from kohya_ext.project.files import sha256_of
from kohya_ext.project.json_reader import parse_json

from .cell import Cell, FileUse, cell_from_dict, without_hashes
from .ledger_file import LedgerFile
from .owners import holds, this_owner
from .picture_store import DAMAGED, REJECTED, PictureStore

_MANY = 500


class CellState(str, Enum):
    """The state of a cell."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class CellRecord:
    """What the ledger knows of one cell; `pixels` is the hash of the picture's pixels."""

    request: str
    state: CellState
    infotext: str
    pixels: str
    server: str
    seconds: float
    reason: str

    @property
    def cell(self) -> Cell:
        """The cell as it was written down. Raises DamagedError."""
        try:
            return cell_from_dict(parse_json(self.request))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DamagedError(
                "LL450",
                f"A cell of the ledger is damaged: {error}.",
                "Move cells.db away: the pictures in cells/ are kept and recorded again.",
            ) from error


@dataclass(frozen=True)
class Claim:
    """A cell taken for this process; `left_at` is the WebUI that an earlier one asked for it."""

    left_at: str = ""


class Ledger(LedgerFile):
    """Open the ledger `db` with its pictures in `folder`; made when it is not there.

    Any number of threads and processes of this machine may use it at the same time.
    """

    def __init__(self, db: Path, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(db, folder)
        self.pictures = PictureStore(folder)
        self.damaged: list[str] = []
        """Keys of finished cells whose picture was found to be another one, oldest first."""
        self._digests: dict[str, str] = {}
        self._clock = clock
        self._owner = this_owner()
        self.knows_files = bool(self.first_files())
        """Whether it was there before, and tells which pictures are of which model files."""

    def close(self) -> None:
        """Give claimed cells back and close the file."""
        with self._lock:
            with suppress(sqlite3.Error):  # a full disk: the claim ends with this process
                self._db.execute(
                    "UPDATE cells SET state = 'planned', owner = '' "
                    "WHERE owner = ? AND state = 'claimed'",
                    (self._owner,),
                )
            self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    # -- pictures -------------------------------------------------------------------------

    def picture_path(self, key: str) -> Path:
        """Return where the picture of a cell is kept."""
        return self.pictures.path(key)

    def keep(self, key: str, png: bytes) -> Path:
        """Write a picture that came back, whole or not at all. Raises MachineError."""
        self._digests[key] = self.pictures.write(key, png)
        return self.pictures.path(key)

    def kept(self, key: str) -> bytes | None:
        """Return a picture that an earlier run kept, whether it was checked or not."""
        return self.pictures.read(key)

    def pixels_by_request(self) -> dict[str, set[str]]:
        """Return the pixels of finished pictures by their request without the hashes of its LoRAs.

        A request with several pixels was drawn with different files under one name.
        """
        with self._lock:
            rows = self._db.execute(
                "SELECT request, pixels FROM cells WHERE state = 'done' AND pixels != ''"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for request, pixels in rows:
            found.setdefault(without_hashes(request), set()).add(pixels)
        return found

    def last_hash(self, name: str) -> str:
        """Return the hash of the file that was last drawn with under a LoRA's or embedding's name.

        "" where there was none.
        """
        named = f'"name":{json.dumps(name, ensure_ascii=False)}'
        with self._lock:
            row = self._db.execute(
                "SELECT request FROM cells WHERE state = 'done' AND instr(request, ?)"
                " ORDER BY claimed_at DESC LIMIT 1",
                (named,),
            ).fetchone()
        found = re.search(rf'"hash":"([0-9a-f]+)",{re.escape(named)}', row[0]) if row else None
        return found[1] if found else ""

    # -- cells ----------------------------------------------------------------------------

    def add(self, cells: Collection[Cell]) -> None:
        """Write down cells to be drawn; those known already stay as they are."""
        known = {str(row[0]) for row in self._rows("SELECT key FROM cells")}
        rows = [(cell.key, cell.as_json()) for cell in cells if cell.key not in known]
        if rows:
            with self._transaction():
                self._db.executemany(
                    "INSERT OR IGNORE INTO cells (key, request) VALUES (?, ?)", rows
                )

    def claim(self, key: str, server: str = "") -> Claim | None:
        """Take a cell for this process; None when it is done or another process draws it."""
        now = self._clock()
        with self._transaction():
            row = self._row("SELECT state, owner, claimed_at, server FROM cells WHERE key = ?", key)
            if row is None or not self._may_take(str(row[0]), str(row[1]), float(row[2]), now):
                return None
            self._db.execute(
                "UPDATE cells SET state = 'claimed', owner = ?, claimed_at = ?, server = ? "
                "WHERE key = ?",
                (self._owner, now, server, key),
            )
        was_claimed = row[0] == CellState.CLAIMED.value and row[1] != self._owner
        return Claim(str(row[3]) if was_claimed else "")

    def _may_take(self, state: str, owner: str, claimed_at: float, now: float) -> bool:
        if state in (CellState.PLANNED.value, CellState.FAILED.value):
            return True
        if state != CellState.CLAIMED.value:
            return False
        return owner == self._owner or not holds(owner, abs(now - claimed_at))

    def release(self, key: str) -> None:
        """Give a claimed cell back, undrawn."""
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'planned', owner = '' WHERE key = ? AND owner = ? "
                "AND state = 'claimed'",
                (key, self._owner),
            )

    def finish(self, key: str, *, infotext: str, pixels: str, server: str, seconds: float) -> None:
        """Mark a cell done whose picture was kept and verified."""
        digest, size = self._digests.pop(key, ""), 0
        with suppress(FileNotFoundError):
            path = self.pictures.path(key)
            size = path.stat().st_size
            digest = digest or sha256_of(path)  # kept by a run that was killed
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'done', owner = '', infotext = ?, pixels = ?, "
                "server = ?, seconds = ?, reason = '', file = ?, bytes = ? WHERE key = ?",
                (infotext, pixels, server, seconds, digest, size, key),
            )

    def fail(self, key: str, reason: str) -> None:
        """Mark a cell failed, with its reason, and its picture rejected; the next run tries it."""
        with self._transaction():
            self._db.execute(
                "UPDATE cells SET state = 'failed', owner = '', reason = ? WHERE key = ?",
                (reason, key),
            )
        self.pictures.move_aside(key, REJECTED)

    def is_done(self, key: str) -> bool:
        """Whether a cell is done and its picture is still there."""
        return bool(self.done_among([key]))

    def done_among(self, keys: Collection[str], *, whole: bool = False) -> set[str]:
        """Return which of these cells are done and have the very picture that was checked.

        A cell whose picture is gone is planned again. So is one whose picture is another one: that
        picture is moved aside, and the key is added to `damaged`.
        """
        known = self._done_files(keys)
        gone, differs = self.pictures.wrong_among(known, whole=whole)
        for key in differs:
            self.pictures.move_aside(key, DAMAGED)
        self.damaged += sorted(differs)
        if gone or differs:
            with self._transaction():
                self._db.executemany(
                    "UPDATE cells SET state = 'planned' WHERE key = ?",
                    [(key,) for key in gone | differs],
                )
        return known.keys() - gone - differs

    def _done_files(self, keys: Collection[str]) -> dict[str, tuple[str, int]]:
        """Return hash and size of the picture of every finished cell among `keys`."""
        query = "SELECT key, file, bytes FROM cells WHERE state = 'done'"
        if len(keys) > _MANY:
            wanted, rows = set(keys), self._rows(query)
            return {str(key): (str(file), int(size)) for key, file, size in rows if key in wanted}
        found = (self._row(f"{query} AND key = ?", key) for key in keys)
        return {str(row[0]): (str(row[1]), int(row[2])) for row in found if row is not None}

    def record(self, key: str) -> CellRecord | None:
        """Return what is known of a cell."""
        row = self._row(f"SELECT {_RECORD} FROM cells WHERE key = ?", key)
        return _record(row) if row else None

    def records(self, keys: Collection[str]) -> dict[str, CellRecord]:
        """Return what is known of many cells, by key."""
        wanted = set(keys)
        if len(wanted) <= _MANY:
            found = {key: self.record(key) for key in wanted}
            return {key: record for key, record in found.items() if record is not None}
        rows = self._rows(f"SELECT key, {_RECORD} FROM cells")
        return {str(row[0]): _record(row[1:]) for row in rows if row[0] in wanted}

    def pixels(self) -> Mapping[str, str]:
        """Return the hash of the pixels of every finished cell, by key."""
        rows = self._rows("SELECT key, pixels FROM cells WHERE state = 'done'")
        return {str(key): str(pixels) for key, pixels in rows}

    def hashes(self, keys: Collection[str]) -> dict[str, str]:
        """Return the SHA-256 of these cells' pictures as they were when they were checked."""
        rows = self._rows("SELECT key, file FROM cells")
        return {str(key): str(file) for key, file in rows if key in keys and file}

    def drawn_keys(self) -> set[str]:
        """Return the keys of all cells that have ever had a picture."""
        return {str(row[0]) for row in self._rows("SELECT key FROM cells WHERE file != ''")}

    def done_keys(self) -> set[str]:
        """Return the keys of all cells marked done."""
        return {str(row[0]) for row in self._rows("SELECT key FROM cells WHERE state = 'done'")}

    def mean_seconds(self) -> float | None:
        """Return how long a picture took on average, or None before the first."""
        row = self._row("SELECT AVG(seconds) FROM cells WHERE state = 'done' AND seconds > 0")
        return None if row is None or row[0] is None else float(row[0])

    def pin(self, title: str, checkpoint_hash: str, *, replace: bool = False) -> str:
        """Return the hash that `title` is pinned to: the first that was given; `replace`: this."""
        way = "REPLACE" if replace else "INSERT OR IGNORE"
        with self._transaction():
            self._db.execute(
                f"{way} INTO pins (title, hash) VALUES (?, ?)", (title, checkpoint_hash)
            )
            row = self._row("SELECT hash FROM pins WHERE title = ?", title)
        return str(row[0]) if row else checkpoint_hash

    # -- files that requests go by the names of -----------------------------------------------

    def first_files(self) -> dict[str, dict[str, str]]:
        """Return the hashes of the files with which each name was first met, by kind and name."""
        found: dict[str, dict[str, str]] = {}
        for kind, name, first in self._rows("SELECT kind, name, first FROM files"):
            found.setdefault(str(kind), {})[str(name)] = str(first)
        return found

    def meet_files(self, uses: Collection[FileUse]) -> None:
        """Remember the first file that was met under each name."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO files (kind, name, first) VALUES (?, ?, ?)",
                [(one.kind, one.name, one.hash) for one in uses],
            )

    def note_drawn_with(self, uses: Collection[FileUse]) -> None:
        """Remember the files that were last drawn with."""
        with self._transaction():
            self._db.executemany(
                "UPDATE files SET last = ? WHERE kind = ? AND name = ?",
                [(one.hash, one.kind, one.name) for one in uses],
            )

    def last_file(self, kind: str, name: str) -> str:
        """Return the hash of the file that was last drawn with under a name; "" for none."""
        row = self._row("SELECT last FROM files WHERE kind = ? AND name = ?", kind, name)
        return str(row[0]) if row else ""

    def last_infotext(self, part: str) -> str | None:
        """Return the infotext of the newest finished picture whose request has a part."""
        row = self._row(
            "SELECT infotext FROM cells WHERE state = 'done' AND instr(request, ?)"
            " ORDER BY claimed_at DESC LIMIT 1",
            part,
        )
        return str(row[0]) if row else None

    # -- settings of a WebUI that a run leaves changed while it continues ---------------------

    def saved_settings(self, server: str) -> dict[str, Any]:
        """Return a WebUI's own settings as they were before a run that never put them back."""
        row = self._row("SELECT settings FROM saved_settings WHERE server = ?", server)
        found: dict[str, Any] = parse_json(row[0]) if row else {}
        return found

    def note_saved_settings(self, server: str, settings: Mapping[str, Any]) -> None:
        """Note a WebUI's own settings before they are changed; an earlier note stays."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO saved_settings VALUES (?, ?)", (server, json.dumps(settings))
            )

    def forget_saved_settings(self, server: str) -> None:
        """Note that a WebUI has its own settings again."""
        with self._transaction():
            self._db.execute("DELETE FROM saved_settings WHERE server = ?", (server,))

    # -- the pause ------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        """Whether nothing is to be drawn for now, in whichever process."""
        with suppress(sqlite3.Error):  # whoever writes next says what is wrong with the disk
            return self._row("SELECT 1 FROM switches WHERE name = 'paused' AND is_on") is not None
        return False

    def set_paused(self, is_paused: bool) -> None:
        """Pause every run on this ledger, those to come included, or let them continue."""
        with self._transaction():
            self._db.execute("REPLACE INTO switches VALUES ('paused', ?)", (is_paused,))


_RECORD = "request, state, infotext, pixels, server, seconds, reason"


def _record(row: tuple[Any, ...]) -> CellRecord:
    request, state, infotext, pixels, server, seconds, reason = row
    return CellRecord(request, CellState(state), infotext, pixels, server, seconds, reason)
