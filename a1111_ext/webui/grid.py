"""An epoch grid of this WebUI: planned from a page and its prompt, drawn in-process, kept."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from kohya_ext.project.journal import Journal
from kohya_ext.project.manifest import PictureSettings

from ..api.capabilities import Capabilities
from ..api.lora_tags import LoraTag, lora_tags, replace_lora
from ..cells.backend import Backend
from ..cells.cell import Cell, with_loras
from ..cells.events import CellEvent
from ..cells.ledger import Ledger
from ..cells.plan import plan_cells
from ..grids.expansion import make_expand
from ..grids.facts import grid_facts
from ..grids.plan import GridPlan, GridRequest, GridSubject, Place, plan_grid, select_epochs
from ..grids.reach import require_reachable
from ..grids.runner import Grid, GridFiles, GridStore, draw_grid, write_views
from ..quality.giving import advise_quietly
from .grid_options import GridOptions
from .prompt_lora import EpochsOfPrompt
from .seeds import read_seeds


def plan_page_grid(
    page: Cell,
    found: EpochsOfPrompt,
    options: GridOptions,
    store: GridStore,
    has: Capabilities,
    rng: random.Random,
) -> Grid:
    """Plan epochs x seeds for `page`, whose prompt names one of the epochs.

    Raises InputError (for epochs; for seeds; for a template).
    """
    files = select_epochs(found.run, options.epochs)
    hashes = {one.name: one.metadata.get("sshs_model_hash", "")[:12] for one in files}
    names = {one.name: one.name for one in found.run.files} | {found.tag.name: found.tag.name}
    subject = GridSubject(files, names, "")
    request = _request(page, options, found.tag, rng)
    require_reachable(request, subject, has, store.wildcards)

    def on_page(cell: Cell) -> Cell:
        prompt = _as_weighted(cell.prompt, found.tag, hashes)
        negative = cell.negative_prompt
        made = replace(page, seed=cell.seed, prompt=prompt, negative_prompt=negative)
        return with_loras(made, hashes)

    plan = plan_grid(request, subject, rng=rng, expand=make_expand(store.wildcards))
    pinned = plan.with_cells(on_page)
    grid_id = f"{found.run.output_name}-{_digest(pinned)}"
    return Grid(grid_id, store.root / "grids" / grid_id, request, subject, 0, pinned)


def _request(page: Cell, options: GridOptions, tag: LoraTag, rng: random.Random) -> GridRequest:
    """Return the page as a request, its seeds drawn already."""
    return GridRequest(
        prompt=page.prompt,
        negative_prompt=page.negative_prompt,
        seeds=read_seeds(options.seeds, rng),
        lora_weights=(_weight(tag),),
        checkpoint=page.checkpoint.title,
        picture=PictureSettings(
            width=page.width,
            height=page.height,
            steps=page.steps,
            sampler=page.sampler,
            scheduler=page.scheduler,
            cfg_scale=page.cfg_scale,
            clip_skip=page.clip_skip,
        ),
        epochs=options.epochs,
        control=options.control,
    )


def _weight(tag: LoraTag) -> float:
    """Return the tag's weight as the label of the axis; 1 for one that is not a single number."""
    try:
        return float(tag.weight)
    except ValueError:
        return 1.0


def _as_weighted(prompt: str, tag: LoraTag, names: Collection[str]) -> str:
    """Return the prompt with the weight as the user wrote it, for example `0.8:0.6`."""
    for one in lora_tags(prompt):
        if one.name in names:
            prompt = replace_lora(prompt, one.name, f"<lora:{one.name}:{tag.weight}>")
    return prompt


def _digest(plan: GridPlan) -> str:
    """Name a plan by its cells: the same pictures are the same grid."""
    keys = "".join(cell.key for cell in plan.cells)
    return hashlib.sha256(keys.encode("ascii")).hexdigest()[:8]


def label(grid: Grid, place: Place) -> str:
    """Return the epoch that a place stands for."""
    return grid.plan.axes[grid.plan.judged].values[place.at[grid.plan.judged]].label


@dataclass(frozen=True)
class DrawnCell:
    """One place after the run: its picture, or why there is none ("" when it was not drawn)."""

    place: Place
    infotext: str
    path: Path | None
    reason: str

    @property
    def cell(self) -> Cell:
        return self.place.cell


@dataclass(frozen=True)
class DrawnGrid:
    """What came of a grid, and its page and contact sheet."""

    grid: Grid
    cells: tuple[DrawnCell, ...]
    files: GridFiles
    stopped: bool

    @property
    def finished(self) -> tuple[DrawnCell, ...]:
        """The cells that have a picture."""
        return tuple(one for one in self.cells if one.path is not None)

    @property
    def failures(self) -> tuple[str, ...]:
        """Whole sentences, one for each cell that failed."""
        return tuple(
            f"{label(self.grid, one.place)}, seed {one.cell.seed}: {one.reason}."
            for one in self.cells
            if one.reason
        )


def draw_here(
    grid: Grid,
    ledger: Ledger,
    backend: Backend,
    on_event: Callable[[CellEvent], None],
    stop: threading.Event | None = None,
    pause: threading.Event | None = None,
    journal: Journal | None = None,
) -> DrawnGrid:
    """Draw what the ledger does not have, and write sheet and page.

    An interrupted run keeps what is finished. Raises MachineError or DamagedError of the disk.
    """
    report = draw_grid(
        grid, ledger, [backend], on_event=on_event, stop=stop, pause=pause, journal=journal
    )
    advise_quietly(grid.folder, ledger)
    files = write_views(grid, ledger, grid_facts(grid))
    cells = tuple(_read(ledger, place) for place in grid.plan.places)
    return DrawnGrid(grid, cells, files, report.stopped)


def _read(ledger: Ledger, place: Place) -> DrawnCell:
    key = place.cell.key
    record = ledger.record(key)
    path = ledger.picture_path(key) if ledger.is_done(key) else None
    return DrawnCell(
        place,
        infotext=record.infotext if record and path else "",
        path=path,
        reason=record.reason if record and path is None else "",
    )


def count_missing(grid: Grid, ledger: Ledger) -> int:
    """Return how many pictures are still to be drawn."""
    return sum(1 for cell in plan_cells(grid.plan.cells).cells if not ledger.is_done(cell.key))
