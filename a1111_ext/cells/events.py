"""What a run tells of each cell: events for bars, screens and `--json`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .cell import Cell


class CellOutcome(str, Enum):
    """What became of a cell; WAITING means that it will be asked for once more.

    DAMAGED: its kept picture is not the one that was checked; it is drawn again.
    PAUSED and RESUMED are about the whole run; their cell is one that waits.
    """

    DRAWN = "drawn"
    KNOWN = "known"
    FAILED = "failed"
    DAMAGED = "damaged"
    WAITING = "waiting"
    PAUSED = "paused"
    RESUMED = "resumed"

    @property
    def has_picture(self) -> bool:
        """Whether the cell's picture is there now."""
        return self in (CellOutcome.DRAWN, CellOutcome.KNOWN)


@dataclass(frozen=True)
class CellEvent:
    """One cell is finished or given up: `done` of `total` so far, at `server`, after `seconds`.

    `loads` counts checkpoint loads so far; `left_seconds` is None before the first picture.
    """

    outcome: CellOutcome
    cell: Cell
    done: int
    total: int
    server: str = ""
    seconds: float = 0.0
    reason: str = ""
    loads: int = 0
    left_seconds: float | None = None


EventHandler = Callable[[CellEvent], None]
