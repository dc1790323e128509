"""The project's journal: what happened, when, with which facts; one JSON object a line.

Appended and flushed to the disk before the act it announces; never rewritten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import DamagedError
from .files import explain_os_error
from .json_reader import ShapeError, parse_json, read_lines
from .limits import limits


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class JournalEntry:
    """One thing that happened: `at` is ISO-8601 in UTC."""

    at: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Append to and read `journal.jsonl`."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._clock = clock

    def append(self, kind: str, **facts: Any) -> JournalEntry:
        """Write one entry, flushed to the disk. Raises MachineError."""
        entry = JournalEntry(self._clock().isoformat(timespec="milliseconds"), kind, facts)
        line = json.dumps({"at": entry.at, "kind": kind, **facts}, ensure_ascii=False)
        try:
            with self.path.open("ab+") as stream:
                stream.write(_fix_torn_line(stream) + line.encode("utf-8") + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        return entry

    def entries(self, kind: str | None = None) -> list[JournalEntry]:
        """Return the entries in order, all or of one kind; a torn last line does not count.

        Raises DamagedError for a damaged line before the last.
        """
        found: list[JournalEntry] = []
        torn = 0
        try:
            for number, line in enumerate(read_lines(self.path, limits().text_bytes), start=1):
                if not line.strip():
                    continue
                if torn:
                    raise _damaged(f"Line {torn} of {self.path} is not a journal entry.")
                try:
                    entry = _entry_of(line)
                except ValueError:  # the last one may be: a power cut in the middle of a write
                    torn = number
                    continue
                if kind is None or entry.kind == kind:
                    found.append(entry)
        except FileNotFoundError:
            return []
        except (ShapeError, OSError) as error:
            raise _damaged(f"The journal {self.path} cannot be read: {error}.") from error
        return found

    def last(self, kind: str) -> JournalEntry | None:
        """Return the newest entry of `kind`, or None."""
        found = self.entries(kind)
        return found[-1] if found else None


def _damaged(problem: str) -> DamagedError:
    cure = "Restore the file from a backup, or delete that line."
    return DamagedError("LL115", problem, cure)


def _entry_of(line: bytes) -> JournalEntry:
    """Read one line. Raises ShapeError."""
    data = parse_json(line)
    if not isinstance(data, dict):
        raise ShapeError("it is not an object")
    at, kind = data.pop("at", None), data.pop("kind", None)
    if not isinstance(at, str) or not isinstance(kind, str):
        raise ShapeError("it does not say what happened and when")
    return JournalEntry(at, kind, data)


def _fix_torn_line(stream: Any) -> bytes:
    """Cut away what a power cut left of a last line, so that the next entry is readable.

    What is no beginning of an entry stays: it may be all that is left of a damaged journal.
    """
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return b""
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return b""
    keep, tail = _last_line(stream, end)
    is_begun = tail[: len(_BEGIN)] == _BEGIN[: len(tail)] or not tail.strip(b"\0")
    try:
        parse_json(tail)
    except ValueError:
        if is_begun:
            stream.truncate(keep)
            return b""
    return b"\n"


_BEGIN = b'{"at": "'
"""Of every line that we write."""


def _last_line(stream: Any, end: int) -> tuple[int, bytes]:
    """Return where the last line begins and what it holds, read from the end."""
    size = 4096
    while True:
        start = max(0, end - size)
        stream.seek(start)
        content: bytes = stream.read(end - start)
        newline = content.rfind(b"\n")
        if newline >= 0 or not start:
            return start + newline + 1, content[newline + 1 :]
        size *= 16
