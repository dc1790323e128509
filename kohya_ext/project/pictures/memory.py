"""What is remembered of picture files, so that an unchanged one is never read a second time.

A cache in cache/pictures.db: it may be deleted at any time, and is made again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..databases import has_all_of, require_declared_types
from ..errors import ToolError
from ..files import make_folder
from ..json_reader import read_picture_bytes
from ..printable import is_text
from .facts import PictureFacts
from .identity import key_of
from .ratings import FileRating

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, mark TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ratings (
    path TEXT PRIMARY KEY, mark TEXT NOT NULL, rating TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (
    key TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, sharpness REAL NOT NULL,
    small_width INTEGER NOT NULL, small_height INTEGER NOT NULL, small BLOB NOT NULL
);
"""
_FORMAT = 1


@dataclass(frozen=True)
class KnownFile:
    """One file as it was read last: `mark` tells whether it changed since."""

    mark: str
    key: str


def mark_of(path: Path) -> str:
    """Return what changes when a file's pixels do."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


class PictureMemory:
    """Remembers keys by path and facts by key; what is new is written by `save`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._files: dict[str, KnownFile] | None = None
        self._facts: dict[str, PictureFacts] | None = None
        self._sizes: dict[str, tuple[int, int, float]] | None = None
        self._ratings: dict[str, tuple[str, str]] | None = None
        self._new_ratings: dict[str, tuple[str, str]] = {}
        self._new_files: dict[str, KnownFile] = {}
        self._new_facts: dict[str, PictureFacts] = {}

    def key_of(self, path: Path) -> str:
        """Return a file's key, reading it only when it is new or changed. OSError as `open`."""
        name, mark = _name_of(path), mark_of(path)
        with self._lock:
            known = self._new_files.get(name) or self._known_files().get(name)
        if known is not None and known.mark == mark:
            return known.key
        key = key_of(read_picture_bytes(path))
        with self._lock:
            self._new_files[name] = KnownFile(mark, key)
        return key

    def rating_of(self, path: Path, read: Callable[[Path], FileRating | None]) -> FileRating | None:
        """Return a file's rating, read only when it, or a sidecar, is new or changed."""
        name = _name_of(path)
        files = (name, f"{name}.xmp", f"{name.removesuffix(path.suffix)}.xmp")
        mark = "|".join(_mark_if_there(one) for one in files)
        with self._lock:
            known = self._new_ratings.get(name) or self._known_ratings().get(name)
        if known is not None and known[0] == mark:
            return _rating_from(known[1])
        found = read(path)
        with self._lock:
            self._new_ratings[name] = (mark, _rating_text(found))
        return found

    def keys_of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the keys of files; those that cannot be read are left out."""
        found = {}
        for path in paths:
            with suppress(OSError):
                found[path] = self.key_of(path)
        return found

    def remember(self, path: Path, key: str) -> None:
        """Note a file whose key is known, as a fresh copy's is."""
        with self._lock:
            self._new_files[_name_of(path)] = KnownFile(mark_of(path), key)

    def sizes(self) -> Mapping[str, tuple[int, int, float]]:
        """Return width, height and sharpness by key, without the small pictures on the disk."""
        with self._lock:
            if self._sizes is None:
                rows = self._rows("SELECT key, width, height, sharpness FROM facts")
                self._sizes = {row[0]: tuple(row[1:]) for row in rows}
                for key, one in self._new_facts.items():
                    self._sizes[key] = (one.width, one.height, one.sharpness)
            return self._sizes

    def add_facts(self, key: str, facts: PictureFacts) -> None:
        """Note the facts of a picture."""
        with self._lock:
            self._new_facts[key] = facts
            if self._sizes is not None:
                self._sizes[key] = (facts.width, facts.height, facts.sharpness)

    def all_facts(self) -> Mapping[str, PictureFacts]:
        """Return the facts of all pictures by key."""
        with self._lock:
            return {**self._known_facts(), **self._new_facts}

    def save(self) -> None:
        """Write what is new, but for names that are not UTF-8. Errors of the cache are ignored."""
        with self._lock:
            files, facts = self._new_files, self._new_facts
            ratings = self._new_ratings
            if not files and not facts and not ratings:
                return
            with suppress(sqlite3.Error, ToolError), closing(self._connect()) as db, db:
                db.executemany(
                    "INSERT OR REPLACE INTO ratings VALUES (?, ?, ?)",
                    [(path, *one) for path, one in ratings.items() if is_text(path + one[1])],
                )
                db.executemany(
                    "INSERT OR REPLACE INTO files (path, mark, key) VALUES (?, ?, ?)",
                    [(path, one.mark, one.key) for path, one in files.items() if is_text(path)],
                )
                db.executemany(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [(key, *vars(one).values()) for key, one in facts.items()],
                )
            self._known_files().update(files)
            self._known_facts().update(facts)
            self._known_ratings().update(ratings)
            self._new_files, self._new_facts, self._new_ratings = {}, {}, {}

    def _connect(self) -> sqlite3.Connection:
        make_folder(self._path.parent)
        try:
            return _prepared(self._path)
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            return _prepared(self._path)

    def _known_files(self) -> dict[str, KnownFile]:
        if self._files is None:
            rows = self._rows("SELECT path, mark, key FROM files")
            self._files = {path: KnownFile(mark, key) for path, mark, key in rows}
        return self._files

    def _known_ratings(self) -> dict[str, tuple[str, str]]:
        if self._ratings is None:
            rows = self._rows("SELECT path, mark, rating FROM ratings")
            self._ratings = {path: (mark, rating) for path, mark, rating in rows}
        return self._ratings

    def _known_facts(self) -> dict[str, PictureFacts]:
        if self._facts is None:
            rows = self._rows("SELECT * FROM facts")
            self._facts = {row[0]: PictureFacts(*row[1:]) for row in rows}
        return self._facts

    def _rows(self, query: str) -> list[tuple]:  # type: ignore[type-arg]
        if not self._path.exists():
            return []
        try:
            with closing(self._connect()) as db:
                return db.execute(query).fetchall()
        except (sqlite3.Error, OSError):  # it is only a memory
            return []


def _name_of(path: Path) -> str:
    """Return the absolute path as text: `absolute` itself asks for the current folder each time."""
    return str(path if path.is_absolute() else path.absolute())


def _mark_if_there(path: str) -> str:
    """A rating may be written within the same size and time: ctime (not on Windows) tells."""
    try:
        status = os.stat(path)  # noqa: PTH116 - three for each of 10,000 files; a Path costs more
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _rating_text(found: FileRating | None) -> str:
    if found is None:
        return ""
    return f"{found.rating} {found.changed_at.isoformat()} {found.path}"


def _rating_from(text: str) -> FileRating | None:
    if not text:
        return None
    rating, at, path = text.split(" ", 2)
    return FileRating(int(rating), Path(path), datetime.fromisoformat(at))


def _prepared(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10)
    try:
        (number,) = db.execute("PRAGMA user_version").fetchone()
        if number not in (0, _FORMAT):
            raise sqlite3.DatabaseError("of another format")
        if number < _FORMAT or not has_all_of(db, _SCHEMA):
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_FORMAT}")
        require_declared_types(db)
    except BaseException:
        db.close()
        raise
    return db
