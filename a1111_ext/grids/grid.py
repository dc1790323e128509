"""A grid of a project: its folder `grids/NAME/`, its seeds, and what `grid.json` keeps of it.

grid.json holds what was asked for and the number that the seeds were drawn with, so that the same
command continues where it was.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohya_ext.project.consent import Use
from kohya_ext.project.epochs import EpochFile, Run, require_family
from kohya_ext.project.errors import DamagedError, ToolError
from kohya_ext.project.files import write_json_atomic
from kohya_ext.project.json_reader import read_json
from kohya_ext.project.project import Project

from ..api.capabilities import Capabilities
from ..api.lora_links import linked_names
from ..cells.cell_plan import pin_cell
from ..cells.ledger import Ledger
from ..cells.model_files import know_first_files
from .page.votes import PAGE_NAME
from .plan import Expand, GridPlan, GridRequest, GridSubject, plan_grid, select_epochs

if TYPE_CHECKING:
    from dynprompts import WildcardLibrary

_ABOUT_NAME = "grid.json"


@dataclass(frozen=True)
class Grid:
    """One grid of a project: where it lies, what was asked for, and its plan."""

    grid_id: str
    folder: Path
    request: GridRequest
    subject: GridSubject
    draw: int
    plan: GridPlan
    hints: tuple[str, ...] = ()
    """What in its prompts is probably not intended."""

    @property
    def page_path(self) -> Path:
        return self.folder / PAGE_NAME


@dataclass(frozen=True)
class GridStore:
    """Where grids are kept: a project, or a WebUI's own folder; and the wildcards to use."""

    root: Path
    library: WildcardLibrary | None = field(default=None, compare=False)

    def open_ledger(self) -> Ledger:
        """Open the ledger of this place. Raises DamagedError or MachineError."""
        return Ledger(self.root / "cells.db", self.root / "cells")

    def know_files(self, has: Capabilities) -> Capabilities:
        """Add with which model files pictures were drawn here so far.

        What is wrong with a ledger says whoever draws.
        """
        if not (self.root / "cells.db").is_file():
            return has
        try:
            with self.open_ledger() as ledger:
                return know_first_files(has, ledger)
        except ToolError:
            return has


def subject_of(project: Project, run: Run, epochs: str) -> GridSubject:
    """Return the chosen epoch files of a run, named as WebUIs see them once they are linked.

    Raises InputError (no such epochs; a LoRA of another base model family).
    """
    names = {one.name: name for one, name in linked_names(run.files).items()}
    files = select_epochs(run, epochs)
    require_family(files, project.manifest.base_model.family)
    return GridSubject(files, names, project.manifest.trigger_word)


def prepare_grid(
    project: Project,
    request: GridRequest,
    subject: GridSubject,
    *,
    name: str = "epochs",
    session_id: str = "",
    new_seeds: bool = False,
    expand: Expand | None = None,
    draw_number: Callable[[], int] = lambda: secrets.randbits(32),
) -> Grid:
    """Plan a grid; the same request keeps the seeds that it drew the first time.

    Raises RuleError (consent: comparing epochs belongs to the training) and as `plan_grid` does.
    """
    project.require_consent(Use.TRAINING)
    tail = session_id[-4:] if session_id else ""
    grid_id = "-".join(filter(None, (name, request.digest, tail)))
    folder = project.grids_dir / grid_id
    known = None if new_seeds else _known_draw(folder / _ABOUT_NAME)
    draw = draw_number() if known is None else known
    plan = plan_grid(request, subject, rng=random.Random(draw), expand=expand)
    return Grid(grid_id, folder, request, subject, draw, plan)


def _known_draw(path: Path) -> int | None:
    try:
        return int(read_about(path.parent)["draw"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            "LL512",
            f"{path} is damaged: {error}.",
            "Delete it to draw new seeds; finished pictures stay in cells/.",
        ) from error


def with_epochs(grid: Grid, files: Iterable[EpochFile], expand: Expand | None = None) -> Grid:
    """Return the grid with other epoch files and the same seeds, for one that grows."""
    subject = replace(grid.subject, files=tuple(files))
    plan = plan_grid(grid.request, subject, rng=random.Random(grid.draw), expand=expand)
    return replace(grid, subject=subject, plan=plan)


def pin_grid(grid: Grid, has: Capabilities) -> Grid:
    """Pin checkpoints and LoRAs to what a WebUI has. Raises InputError for what it lacks."""
    return replace(grid, plan=grid.plan.with_cells(lambda cell: pin_cell(cell, has)))


def read_about(folder: Path) -> dict[str, Any]:
    """Read what `write_about` wrote. OSError or ValueError when there is no such thing."""
    about = read_json(folder / _ABOUT_NAME)
    if not isinstance(about, dict):
        raise ValueError(f"{_ABOUT_NAME} contains no object")
    return about


def write_about(grid: Grid) -> None:
    """Write grid.json: request, the number of the seeds, axes, and the key of every cell."""
    about: dict[str, Any] = {
        "format": 1,
        "grid": grid.grid_id,
        "draw": grid.draw,
        "request": asdict(grid.request),
        "axes": [
            {
                "name": axis.name,
                "values": [
                    {"label": one.label, "note": one.note, "file": one.file} for one in axis.values
                ],
            }
            for axis in grid.plan.axes
        ],
        "judged": grid.plan.judged,
        "cells": [{"at": one.at, "key": one.cell.key} for one in grid.plan.places],
    }
    write_json_atomic(grid.folder / _ABOUT_NAME, about)
