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
from .json_reader import parse_json


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class JournalEntry:
    """One thing that happened: `at` is ISO-8601 in UTC."""

    at: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Append to and read `journal.jsonl`."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = _now) -> None:
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
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        parsed = [
            self._parse(line, number, last=number >= len(lines) - 1)
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        return [entry for entry in parsed if entry and (kind is None or entry.kind == kind)]

    def last(self, kind: str) -> JournalEntry | None:
        """Return the newest entry of `kind`, or None."""
        found = self.entries(kind)
        return found[-1] if found else None

    def _parse(self, line: bytes, number: int, *, last: bool) -> JournalEntry | None:
        try:
            data = parse_json(line)
            return JournalEntry(data.pop("at"), data.pop("kind"), data)
        except (ValueError, KeyError, AttributeError) as error:
            if last:  # a power cut in the middle of a write
                return None
            raise DamagedError(
                "LL115",
                f"Line {number} of {self.path} is not a journal entry.",
                "Restore the file from a backup, or delete that line.",
            ) from error


def _fix_torn_line(stream: Any) -> bytes:
    """Cut away what a power cut left of a last line, so that the next entry is readable."""
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return b""
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return b""
    stream.seek(0)
    content = stream.read()
    keep = content.rfind(b"\n") + 1
    tail = content[keep:]
    try:
        parse_json(tail)
    except ValueError:
        stream.truncate(keep)
        return b""
    return b"\n"
