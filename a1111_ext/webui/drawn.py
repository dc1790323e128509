"""Grids as they are drawn here and kept on disk: what a gallery shows, what a route tells."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project import MissingError
from kohya_ext.project.journal import Journal

from ..cells.backend import Backend
from ..cells.cell import Cell
from ..cells.events import EventHandler
from ..cells.ledger import Ledger
from ..grids.facts import grid_facts
from ..grids.grid import Grid, GridStore, read_about
from ..grids.runner import SHEET_NAME, draw_grid, write_views
from ..quality.project_advice import advise_quietly


@dataclass(frozen=True)
class GridPlace:
    """Where a grid is: the project or own folder that it belongs to, and its name there."""

    root: Path
    grid_id: str

    @property
    def folder(self) -> Path:
        return self.root / "grids" / self.grid_id


@dataclass(frozen=True)
class CellResult:
    """One place of a grid: its picture, or why there is none ("" when it was not drawn).

    `cell` is None where the ledger has lost it.
    """

    epoch: str
    key: str
    cell: Cell | None
    path: Path | None
    infotext: str
    reason: str


@dataclass(frozen=True)
class GridResult:
    """What is on disk of a grid; `sheet` is None until one was written."""

    place: GridPlace
    sheet: Path | None
    cells: tuple[CellResult, ...]
    stopped: bool = False

    @property
    def finished(self) -> tuple[CellResult, ...]:
        """The cells that have a picture."""
        return tuple(one for one in self.cells if one.path is not None)

    @property
    def failures(self) -> tuple[str, ...]:
        """Whole sentences, one for each cell that failed."""
        return tuple(
            f"{one.epoch}, seed {one.cell.seed}: {one.reason}."
            for one in self.cells
            if one.reason and one.cell
        )

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that a caller may have, by the name in the address."""
        sheets = {"sheet.png": self.sheet} if self.sheet else {}
        return sheets | {f"cells/{one.key}.png": one.path for one in self.cells if one.path}


def draw_here(
    grid: Grid,
    ledger: Ledger,
    backend: Backend,
    on_event: EventHandler,
    stop: threading.Event | None = None,
    pause: threading.Event | None = None,
    journal: Journal | None = None,
) -> GridResult:
    """Draw what the ledger does not have, and write sheet and page.

    An interrupted run keeps what is finished. Raises MachineError or DamagedError of the disk.
    """
    report = draw_grid(
        grid, ledger, [backend], on_event=on_event, stop=stop, pause=pause, journal=journal
    )
    advise_quietly(grid.folder, ledger)
    write_views(grid, ledger, grid_facts(grid))
    place = GridPlace(grid.folder.parents[1], grid.grid_id)
    return read_drawn(place, ledger, stopped=report.stopped)


def read_drawn(
    place: GridPlace, ledger: Ledger | None = None, *, stopped: bool = False
) -> GridResult:
    """Read a grid from disk; raises MissingError when it is gone or damaged."""
    try:
        about = read_about(place.folder)
        judged = about.get("judged", 0)
        labels = [one["label"] for one in about["axes"][judged]["values"]]
        named = [(labels[one["at"][judged]], str(one["key"])) for one in about["cells"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MissingError(
            "LL766",
            f"The grid in {place.folder} cannot be read: {error}.",
            "Start it again; finished pictures are not drawn again.",
        ) from error
    sheet = place.folder / f"{SHEET_NAME}.png"
    if ledger is None:
        with GridStore(place.root).open_ledger() as opened:
            cells = _read_cells(opened, named)
    else:
        cells = _read_cells(ledger, named)
    return GridResult(place, sheet if sheet.is_file() else None, cells, stopped)


def _read_cells(ledger: Ledger, named: list[tuple[str, str]]) -> tuple[CellResult, ...]:
    keys = {key for _, key in named}
    records, done = ledger.records(keys), ledger.done_among(keys)

    def read(epoch: str, key: str) -> CellResult:
        record = records.get(key)
        path = ledger.picture_path(key) if key in done else None
        if record is None:
            return CellResult(epoch, key, None, path, "", "")
        outcome = (record.infotext, "") if path else ("", record.reason)
        return CellResult(epoch, key, record.cell, path, *outcome)

    return tuple(read(epoch, key) for epoch, key in named)
