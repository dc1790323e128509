"""What every SQLite file of ours must be, whoever wrote it last."""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

from .files import free_bytes

_TYPES = {"TEXT": ("text",), "BLOB": ("blob",)}
_NUMBERS = ("integer", "real")
_NAMED = re.compile(r"CREATE (?:TABLE|INDEX) IF NOT EXISTS (\w+)")


def require_declared_types(db: sqlite3.Connection) -> None:
    """Raise DatabaseError for a value of another type than its column's; SQLite keeps any.

    Some milliseconds for 10,000 rows.
    """
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if table.startswith("sqlite_"):
            continue
        tests = [
            f'("{name}" IS NOT NULL AND typeof("{name}") NOT IN {_listed(kind)})'
            for _, name, kind, *_ in db.execute(f'PRAGMA table_info("{table}")').fetchall()
        ]
        if db.execute(f'SELECT 1 FROM "{table}" WHERE {" OR ".join(tests)} LIMIT 1').fetchone():
            raise sqlite3.DatabaseError(f"a row of {table} is damaged")


def has_all_of(db: sqlite3.Connection, schema: str) -> bool:
    """Tell whether a file has each table and index of a schema; to make them again would write."""
    found = {name for (name,) in db.execute("SELECT name FROM sqlite_master").fetchall()}
    return found.issuperset(_NAMED.findall(schema))


def _listed(kind: str) -> str:
    return "(" + ", ".join(f"'{one}'" for one in _TYPES.get(kind.upper(), _NUMBERS)) + ")"


_LEAST_BYTES = 65_536
"""What SQLite takes beside a file before it writes; without room it says "disk I/O error"."""


def find_refusal(error: sqlite3.Error, path: Path) -> OSError | None:
    """Return what the disk refused, a write into a full or read-only one; None: another fault."""
    said = str(error)
    if "full" in said or ("disk I/O" in said and free_bytes(path) < _LEAST_BYTES):
        return OSError(errno.ENOSPC, "disk full")
    if "readonly" in said or "read-only" in said:
        return OSError(errno.EROFS, "it is read-only")
    return None
