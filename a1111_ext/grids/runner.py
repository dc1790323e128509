"""Draws a grid and writes what people look at: sheet.png, grid.html and pictures/."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from kohya_ext.project.journal import Journal
from kohya_ext.project.progress import ProgressHandler, silent

from ..cells.backend import Backend
from ..cells.cell_plan import plan_cells
from ..cells.engine import run_cells
from ..cells.events import EventHandler
from ..cells.ledger import Ledger
from ..cells.run import RunReport
from .facts import GridFacts
from .grid import Grid, write_about
from .page.document import LiveState, write_page
from .sheet.contact_sheet import SheetFormat, write_sheet
from .views import link_pictures, make_page, make_sheet, read_records

SHEET_NAME = "sheet"


@dataclass(frozen=True)
class GridFiles:
    """What people look at: the page and the contact sheet's files."""

    page: Path
    sheets: tuple[Path, ...]


def draw_grid(
    grid: Grid,
    ledger: Ledger,
    backends: Sequence[Backend],
    *,
    on_event: EventHandler,
    journal: Journal | None = None,
    stop: threading.Event | None = None,
    pause: threading.Event | None = None,
    executor: Executor | None = None,
) -> RunReport:
    """Draw what is missing of a pinned grid; finished cells are kept whatever happens.

    A project's `journal` notes the run.
    """
    write_about(grid)
    report = run_cells(
        plan_cells(grid.plan.cells, grid.plan.controls),
        ledger,
        backends,
        on_event=on_event,
        stop=stop,
        pause=pause,
        executor=executor,
        n_iter=grid.request.batch_count,
    )
    if journal is not None:
        journal.append(
            "grid",
            grid=grid.grid_id,
            epochs=[one.name for one in grid.subject.files],
            drawn=report.drawn,
            known=report.known,
            failed=len(report.failed),
            stopped=report.stopped,
        )
    return report


def write_views(
    grid: Grid,
    ledger: Ledger,
    facts: GridFacts,
    *,
    form: SheetFormat = SheetFormat.PNG,
    cell_pixels: int | None = None,
    single_file_bytes: int | None = None,
    live: LiveState | None = None,
    with_sheet: bool = True,
    on_progress: ProgressHandler = silent,
) -> GridFiles:
    """Write the page, and the contact sheet unless the grid still grows."""
    records = read_records(grid.plan, ledger)
    page = make_page(grid.plan, ledger, records, facts, live)
    links = link_pictures(grid.plan, page, grid.folder)
    write_page(
        page,
        grid.page_path,
        href=lambda cell: links.get(cell.key, ""),
        thumbnails=grid.folder / "thumbnails",
        single_file_bytes=single_file_bytes,
        on_progress=on_progress,
    )
    if not with_sheet:
        return GridFiles(grid.page_path, ())
    sheets = write_sheet(
        make_sheet(grid.plan, ledger, records, facts),
        grid.folder / f"{SHEET_NAME}.png",
        form=form,
        max_cell_pixels=cell_pixels,
        on_progress=on_progress,
    )
    return GridFiles(grid.page_path, sheets)
