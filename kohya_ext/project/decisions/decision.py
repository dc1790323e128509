"""What one decision is: its kind, its subject, its value, and how a row of it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from ..json_reader import ShapeError, parse_json
from .roles import Role


class DecisionKind(str, Enum):
    """What a decision is about; by subject: a picture's key, a tag, a file, a grid."""

    ROLE = "role"
    RATING = "rating"
    CAPTION = "caption"
    TAG = "tag"
    VOTES = "votes"
    CHOICE = "choice"
    UPSCALE = "upscale"
    ORDER = "order"
    SELECTION = "selection"
    CONTENT = "content"


@dataclass(frozen=True)
class Decision:
    """One decision and what it replaced; a value of None takes an earlier one back.

    `at` is ISO-8601 in UTC; `way` says by what: "board", "roles.csv", "folder", "rating".
    """

    number: int
    at: str
    way: str
    kind: DecisionKind
    subject: str
    value: Any
    before: Any = None


@dataclass(frozen=True)
class Statement:
    """What one way says of one subject now; `changed_at` (UTC) is when, where that is known."""

    value: Any
    changed_at: datetime | None = None

    def outdates(self, at: datetime | None) -> bool:
        """Tell whether it is newer than a decision of this time, or of none."""
        return self.changed_at is None or at is None or self.changed_at > at


@dataclass(frozen=True)
class Notice:
    """What a way says of its subjects; the `usual` value says nothing at the first look."""

    way: str
    statements: Mapping[str, Statement]
    usual: Any = None


def decision_of(row: tuple[Any, ...]) -> Decision:
    """Read a row. Raises ShapeError for one that no loraloom has written."""
    number, at, way, kind, subject, value, before = row
    try:
        time_of(at)
        known, now = DecisionKind(kind), parse_json(value)
        if now is not None and not _is_right(known, now):
            raise ShapeError(f"{value[:40]} is not of the kind {known.value}")
        return Decision(number, at, way, known, subject, now, parse_json(before))
    except (ValueError, TypeError) as error:
        raise ShapeError(f"the decision {number} is damaged ({error})") from error


_SHAPES: Mapping[DecisionKind, type | tuple[type, ...]] = {
    DecisionKind.RATING: (int, str),
    DecisionKind.CAPTION: dict,
    DecisionKind.TAG: str,
    DecisionKind.VOTES: dict,
    DecisionKind.CHOICE: (dict, str),
    DecisionKind.UPSCALE: bool,
    DecisionKind.SELECTION: dict,
    DecisionKind.CONTENT: dict,
}


def _is_right(kind: DecisionKind, value: Any) -> bool:
    """Tell whether a value is of the form in which its kind is written."""
    if kind is DecisionKind.ROLE:
        return value in list(Role)
    if kind is DecisionKind.ORDER:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, _SHAPES[kind])


def time_of(text: Any) -> datetime:
    """Read when a row was written. Raises ShapeError."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"{text!r} is not a time") from error
    if at.tzinfo is None:
        raise ShapeError(f"{text} has no time zone")
    return at


def value_text(value: Any) -> str:
    """Return a value as the store writes it: equal values are equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def time_text(at: datetime) -> str:
    """Return a time as the store writes it."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds")
