"""The store of what people decided: reviews.db, append-only, and the newest row counts.

Each row says what, when and by which way. SQLite with a write-ahead log: a power cut loses
nothing that was answered, and any number of windows and commands may write at once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ..files import make_folder
from ..journal import utc_now
from ..json_reader import parse_json
from .decision import (
    Decision,
    DecisionKind,
    Notice,
    Statement,
    decision_of,
    time_of,
    time_text,
    value_text,
)
from .reviews_db import connect, explained

_CURRENT = """
    SELECT d.number, a.at, a.way, d.kind, d.subject, d.value, d.before
    FROM decisions d JOIN actions a ON a.number = d.action
    WHERE d.number IN (SELECT MAX(number) FROM decisions WHERE kind = ? GROUP BY subject)
    ORDER BY d.number
"""


class DecisionStore:
    """Open the decisions in `path`, made with the first one; threads may share one store."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def __enter__(self) -> DecisionStore:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    # -- reading ------------------------------------------------------------------------------

    def current(self, kind: DecisionKind) -> dict[str, Decision]:
        """Return the decisions of a kind that hold, by subject; taken back ones are left out."""
        found = self._read(_CURRENT, (kind.value,))
        return {one.subject: one for one in found if one.value is not None}

    def values(self, kind: DecisionKind) -> dict[str, Any]:
        """Return only the values of the decisions that hold, by subject."""
        return {subject: one.value for subject, one in self.current(kind).items()}

    def find(self, kind: DecisionKind, subject: str) -> Decision | None:
        """Return the decision that holds for one subject, or None."""
        found = self._read(
            _DECISIONS + "WHERE d.kind = ? AND d.subject = ? ORDER BY d.number DESC LIMIT 1",
            (kind.value, subject),
        )
        return found[0] if found and found[0].value is not None else None

    def history(self, kind: DecisionKind, subject: str) -> tuple[Decision, ...]:
        """Return everything that was decided on one subject, the oldest first."""
        return tuple(
            self._read(
                _DECISIONS + "WHERE d.kind = ? AND d.subject = ? ORDER BY d.number",
                (kind.value, subject),
            )
        )

    def since(self, number: int) -> tuple[Decision, ...]:
        """Return all decisions after the one of this number, for a window that watches."""
        return tuple(self._read(_DECISIONS + "WHERE d.number > ? ORDER BY d.number", (number,)))

    def last_number(self) -> int:
        """Return the number of the newest decision; 0 when there is none."""
        if not self.path.exists():
            return 0
        with self._open() as db:
            (number,) = db.execute("SELECT COALESCE(MAX(number), 0) FROM decisions").fetchone()
            return int(number)

    # -- deciding -----------------------------------------------------------------------------

    def decide(
        self, kind: DecisionKind, values: Mapping[str, Any], way: str, *, at: datetime | None = None
    ) -> tuple[Decision, ...]:
        """Record what differs from the decisions that hold, as one action; return those changes.

        `at` is for decisions that were made earlier. Raises MachineError or DamagedError.
        """
        return self.decide_together({kind: values}, way, at=at)

    def decide_together(
        self,
        values: Mapping[DecisionKind, Mapping[str, Any]],
        way: str,
        *,
        at: datetime | None = None,
    ) -> tuple[Decision, ...]:
        """Record decisions of several kinds as one action, which is undone as one."""
        if not any(values.values()):
            return ()
        with self._writing() as db:
            changed = [
                (kind, subject, value, before)
                for kind, subjects in values.items()
                for subject, value, before in _changed(db, kind, subjects)
            ]
            return self._record(db, changed, way, at or self._clock())

    def seen(self, way: str) -> dict[str, Any]:
        """Return what a way said at the last look, by subject."""
        if not self.path.exists():
            return {}
        with self._open() as db:
            return {subject: parse_json(value) for subject, value in _seen_by(db, way).items()}

    def notice(
        self,
        kind: DecisionKind,
        way: str,
        statements: Mapping[str, Statement],
        *,
        usual: Any = None,
    ) -> tuple[Decision, ...]:
        """Take what a folder or a file says as a decision where it changed since the last look.

        A value of None says nothing, and takes nothing back; neither does the `usual` one at the
        first look. A statement that is older than the decision that holds does not replace it:
        the newest wins. Returns the changes.
        """
        return self.notice_together(kind, [Notice(way, statements, usual)])

    def notice_together(
        self, kind: DecisionKind, notices: Iterable[Notice]
    ) -> tuple[Decision, ...]:
        """Notice several ways, the last one last: none is older for being heard after another."""
        heard = [one for one in notices if one.statements]
        if not heard:
            return ()
        made: list[Decision] = []
        with self._writing() as db:
            held = _times(db, kind, {subject for one in heard for subject in one.statements})
            for one in heard:
                seen = _seen_by(db, one.way)
                newer = {
                    subject: statement.value
                    for subject, statement in one.statements.items()
                    if _see(db, seen, one.way, subject, statement.value, one.usual)
                    and statement.value is not None
                    and statement.outdates(held.get(subject))
                }
                changed = [(kind, *each) for each in _changed(db, kind, newer)]
                made += self._record(db, changed, one.way, self._clock())
        return tuple(made)

    def note_seen(self, way: str, values: Mapping[str, Any]) -> None:
        """Remember what a way says without deciding: only a later change will count."""
        if not values:
            return
        with self._writing() as db:
            seen = _seen_by(db, way)
            for subject, value in values.items():
                _see(db, seen, way, subject, value)

    def move_in(
        self, place: str, kinds: Iterable[tuple[DecisionKind, Mapping[str, Any]]], at: datetime
    ) -> tuple[Decision, ...]:
        """Take over the decisions of an earlier store, once; those made since then win."""
        with self._writing() as db:
            if db.execute("SELECT 1 FROM moved_in WHERE place = ?", (place,)).fetchone():
                return ()
            db.execute("INSERT INTO moved_in VALUES (?, ?)", (place, time_text(self._clock())))
            changed = []
            for kind, values in kinds:
                held = _times(db, kind, values)
                older = {
                    subject: value
                    for subject, value in values.items()
                    if subject not in held or held[subject] < at
                }
                changed += [(kind, *one) for one in _changed(db, kind, older)]
            return self._record(db, changed, place, at)

    # -- undo ---------------------------------------------------------------------------------

    def undo(self, way: str, *, request: str = "") -> tuple[Decision, ...]:
        """Take back the newest action of a way that still stands; return what changed.

        What was decided by another way since then stays. Nothing left to undo, or a `request`
        that was heard before: an empty tuple.
        """
        with self._writing() as db:
            if _is_repeated(db, request):
                return ()
            target = db.execute(
                "SELECT MAX(number) FROM actions "
                "WHERE way = ? AND undoes IS NULL AND undone_by IS NULL",
                (way,),
            ).fetchone()[0]
            if target is None:
                return ()
            return self._reverse(db, target, way, back=True)

    def redo(self, way: str, *, request: str = "") -> tuple[Decision, ...]:
        """Do again what the newest undo took back, unless something was decided since."""
        with self._writing() as db:
            if _is_repeated(db, request):
                return ()
            newest = db.execute(
                "SELECT COALESCE(MAX(number), 0) FROM actions WHERE way = ? AND undoes IS NULL",
                (way,),
            ).fetchone()[0]
            found = db.execute(
                "SELECT u.number, u.undoes FROM actions u JOIN actions a ON a.number = u.undoes "
                "WHERE u.way = ? AND u.undone_by IS NULL AND a.undoes IS NULL AND u.number > ? "
                "ORDER BY u.number DESC LIMIT 1",
                (way, newest),
            ).fetchone()
            if found is None:
                return ()
            undo, target = found
            changes = self._reverse(db, target, way, back=False, undoes=undo)
            db.execute("UPDATE actions SET undone_by = NULL WHERE number = ?", (target,))
            return changes

    def _reverse(
        self,
        db: sqlite3.Connection,
        target: int,
        way: str,
        *,
        back: bool,
        undoes: int | None = None,
    ) -> tuple[Decision, ...]:
        """Record an action's earlier (`back`) or later values where it is still the last word."""
        rows = db.execute(
            "SELECT kind, subject, value, before FROM decisions WHERE action = ? ORDER BY number",
            (target,),
        ).fetchall()
        changed = []
        for kind, subject, value, before in rows:
            present, wanted = (value, before) if back else (before, value)
            if _held(db, kind, subject) == present:
                changed.append(
                    (DecisionKind(kind), subject, parse_json(wanted), parse_json(present))
                )
        reversed_by = self._start(db, way, self._clock(), undoes=undoes or target)
        db.execute(
            "UPDATE actions SET undone_by = ? WHERE number = ?", (reversed_by, undoes or target)
        )
        return self._add(db, reversed_by, changed, way)

    # -- below --------------------------------------------------------------------------------

    def _record(
        self,
        db: sqlite3.Connection,
        changed: list[tuple[DecisionKind, str, Any, Any]],
        way: str,
        at: datetime,
    ) -> tuple[Decision, ...]:
        if not changed:
            return ()
        return self._add(db, self._start(db, way, at), changed, way)

    def _start(
        self, db: sqlite3.Connection, way: str, at: datetime, *, undoes: int | None = None
    ) -> int:
        made = db.execute(
            "INSERT INTO actions (at, way, undoes) VALUES (?, ?, ?)", (time_text(at), way, undoes)
        )
        return int(made.lastrowid or 0)

    def _add(
        self,
        db: sqlite3.Connection,
        action: int,
        changed: list[tuple[DecisionKind, str, Any, Any]],
        way: str,
    ) -> tuple[Decision, ...]:
        (at,) = db.execute("SELECT at FROM actions WHERE number = ?", (action,)).fetchone()
        made = []
        for kind, subject, value, before in changed:
            row = db.execute(
                "INSERT INTO decisions (action, kind, subject, value, before) "
                "VALUES (?, ?, ?, ?, ?)",
                (action, kind.value, subject, value_text(value), value_text(before)),
            )
            number = int(row.lastrowid or 0)
            made.append(Decision(number, at, way, kind, subject, value, before))
        return tuple(made)

    def _read(self, query: str, values: tuple[Any, ...]) -> list[Decision]:
        if not self.path.exists():
            return []
        with self._open() as db:
            return [decision_of(row) for row in db.execute(query, values)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self.path):
            if self._db is None:
                make_folder(self.path.parent)
                self._db = connect(self.path)
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Begin at once: two windows that read before they write would refuse each other."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


_DECISIONS = """
    SELECT d.number, a.at, a.way, d.kind, d.subject, d.value, d.before
    FROM decisions d JOIN actions a ON a.number = d.action
"""


def _held(db: sqlite3.Connection, kind: str, subject: str) -> str:
    row = db.execute(
        "SELECT value FROM decisions WHERE kind = ? AND subject = ? ORDER BY number DESC LIMIT 1",
        (kind, subject),
    ).fetchone()
    return str(row[0]) if row else "null"


def _changed(
    db: sqlite3.Connection, kind: DecisionKind, values: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Return subject, value and value before of what differs from the decisions that hold."""
    found = []
    for subject, value in values.items():
        before = _held(db, kind.value, subject)
        if before != value_text(value):
            found.append((subject, value, parse_json(before)))
    return found


def _times(
    db: sqlite3.Connection, kind: DecisionKind, subjects: Iterable[str]
) -> dict[str, datetime]:
    """Return when the decisions that hold were made."""
    found = {}
    for subject in subjects:
        row = db.execute(
            "SELECT a.at FROM decisions d JOIN actions a ON a.number = d.action "
            "WHERE d.kind = ? AND d.subject = ? ORDER BY d.number DESC LIMIT 1",
            (kind.value, subject),
        ).fetchone()
        if row:
            found[subject] = time_of(row[0])
    return found


def _is_repeated(db: sqlite3.Connection, request: str) -> bool:
    """Tell whether a page has sent this request before, and note it."""
    values = ("request", request, "null")
    return (
        bool(request)
        and not db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", values).rowcount
    )


def _seen_by(db: sqlite3.Connection, way: str) -> dict[str, str]:
    return dict(db.execute("SELECT subject, value FROM seen WHERE way = ?", (way,)).fetchall())


def _see(
    db: sqlite3.Connection,
    seen: Mapping[str, str],
    way: str,
    subject: str,
    value: Any,
    usual: Any = None,
) -> bool:
    """Remember what a way says of a subject; tell whether that is news."""
    text = value_text(value)
    if seen.get(subject) == text:
        return False
    db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (way, subject, text))
    return subject in seen or value != usual
