"""SHA-256 of model files on this machine, remembered by path, size and time for every project.

Hashing a checkpoint takes seconds to a minute, so each content is read once.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from kohya_ext.project import ToolError
from kohya_ext.project.addresses import is_this_machine
from kohya_ext.project.files import sha256_of, write_json_atomic
from kohya_ext.project.json_reader import read_json
from kohya_ext.project.settings import user_folder

_NAME = "file-hashes.json"
_MOST = 2000
_lock = threading.Lock()
_known: dict[tuple[str, int, int], str] = {}


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as it is now. Raises OSError."""
    known = known_hash(path)
    if not known:
        known = sha256_of(path)
        _note(path, known)
    return known


def is_here(path: Path, url: str) -> bool:
    """Tell whether the file of a WebUI at `url` is on this machine."""
    return is_this_machine(url) and path.is_absolute() and path.is_file()


def known_hash(path: Path) -> str:
    """Return the hash of a file where it is known and has not changed since; "" otherwise.

    Raises OSError.
    """
    key = _key(path)
    with _lock:
        if key not in _known and (row := _read().get(key[0])) and row[:2] == list(key[1:]):
            _known[key] = str(row[2])
        return _known.get(key, "")


def _note(path: Path, digest: str) -> None:
    """Remember the hash of a file as it is now; a folder that cannot be written forgets it."""
    key = _key(path)
    with _lock, suppress(OSError, ToolError):
        _known[key] = digest
        rows = _read()
        rows.pop(key[0], None)
        rows[key[0]] = [*key[1:], digest]
        write_json_atomic(user_folder() / _NAME, dict(list(rows.items())[-_MOST:]))


def _key(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _read() -> dict[str, list[Any]]:
    """Return what is remembered, by path: size in bytes, time in ns, SHA-256."""
    with suppress(OSError, ValueError, ToolError):
        rows = read_json(user_folder() / _NAME)
        if isinstance(rows, dict):
            return {path: row for path, row in rows.items() if _is_row(row)}
    return {}


def _is_row(row: object) -> bool:
    return isinstance(row, list) and [type(one) for one in row] == [int, int, str]
