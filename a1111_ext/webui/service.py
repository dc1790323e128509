"""What our routes do: list projects, draw epoch grids in this process, hand out what was drawn."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from kohya_ext.project import ConflictError, MissingError, open_project
from kohya_ext.project.home import expand_home
from kohya_ext.project.journal import Journal
from kohya_ext.project.printable import shortened

from ..cells.cell import Cell
from ..cells.events import CellEvent
from ..grids.grid import Grid, GridStore
from ..screens.projects import find_projects
from .access import require_inside
from .alone import AloneBackend
from .backend import read_capabilities
from .drawn import GridPlace, GridResult, draw_here, read_drawn
from .grid import find_epochs, plan_page_grid, prepare_project_grid, read_seeds
from .grid_jobs import FINISHED, GridJobs, GridStatus, GridSwitches
from .request import Call, DrawRequest, GridOptions, parse_request
from .settings import lora_folders, own_folder, project_folders, prompt_library
from .txt2img import with_host_settings, without_comments

V1 = "/loraloom/v1"
Tell = Callable[[CellEvent], None]


class GridService:
    """The grids of this WebUI, started and followed through our routes."""

    def __init__(self) -> None:
        self._jobs = GridJobs(own_folder() / "started-grids.json")

    def list_projects(self, call: Call) -> Any:
        """Return the LoRA projects in the configured folders with their grids."""
        return {"projects": [one.as_dict() for one in find_projects(project_folders())]}

    def list_grids(self, call: Call) -> Any:
        """Return the grids that were started here, before restarts, too."""
        return {"grids": [describe(one) for one in self._jobs.all()]}

    def start(self, call: Call) -> Any:
        """Plan the grid that the body asks for, and begin it; every error of the plan is raised."""
        request = parse_request(call.body)
        if request.project:
            folder = require_inside(expand_home(request.project), project_folders())
            project = open_project(folder)
            grid = prepare_project_grid(project, changes_of(request))
            store, journal = GridStore(project.root), project.journal
        else:
            store, journal = GridStore(own_folder(), prompt_library()), None
            grid = plan_request(request, store)
        status = self._jobs.start(
            lambda tell, switches: _draw(grid, store, tell, switches, journal),
            len(grid.plan.cells),
            GridPlace(store.root, grid.grid_id),
        )
        return {**describe(status), "hints": list(grid.hints)}

    def status(self, call: Call) -> Any:
        """Return the state of a grid; raises MissingError."""
        return describe(self._jobs.find(call.names["grid_id"]))

    def stop(self, call: Call) -> Any:
        """Stop a grid after the picture that is being drawn; raises MissingError."""
        return describe(self._jobs.stop(call.names["grid_id"]))

    def pause(self, call: Call) -> Any:
        """Let a grid wait after the picture that is being drawn; raises MissingError."""
        return describe(self._jobs.pause(call.names["grid_id"]))

    def resume(self, call: Call) -> Any:
        """End a grid's pause; raises MissingError."""
        return describe(self._jobs.resume(call.names["grid_id"]))

    def result(self, call: Call) -> Any:
        """Return sheet, page and cells of a finished grid; raises MissingError."""
        status = self._jobs.find(call.names["grid_id"])
        return {**describe(status), **describe_result(status.grid_id, require_kept(status))}

    def send_file(self, call: Call) -> Any:
        """Send the sheet or a cell's picture of a grid.

        Raises MissingError, or InputError for a link out of the folders.
        """
        from fastapi.responses import FileResponse

        status = self._jobs.find(call.names["grid_id"])
        path = require_kept(status).files.get(call.names["path"])
        if path is None:
            raise MissingError(
                "LL765",
                f'The grid {status.grid_id} has no file "{shortened(call.names["path"])}".',
                "Its result lists the files.",
            )
        return FileResponse(require_inside(path, project_folders()))


def require_kept(status: GridStatus) -> GridResult:
    """Return what is on disk of a grid that is at its end.

    Raises ConflictError without a result, RuleError when its project may no longer be entered,
    MissingError when it is gone.
    """
    if status.place is None or not status.has_result:
        raise ConflictError(
            "LL763",
            f"The grid {status.grid_id} is {status.state.value}, so it has no result."
            + (f" {status.message}" if status.message else ""),
            "Start it again." if status.state in FINISHED else "Ask again when its state is done.",
        )
    require_inside(status.place.root, project_folders())
    return read_drawn(status.place)


def describe(status: GridStatus) -> dict[str, Any]:
    """Return the state of a grid as plain values."""
    return {
        "grid": status.grid_id,
        "state": status.state.value,
        "done": status.done,
        "total": status.total,
        "message": status.message,
        "status": f"{V1}/grids/{status.grid_id}",
        "result": f"{V1}/grids/{status.grid_id}/result",
    }


def describe_result(grid_id: str, kept: GridResult) -> dict[str, Any]:
    """Return the cells of a drawn grid as plain values, with the addresses of their pictures."""
    files = f"{V1}/grids/{grid_id}/files"
    cells = [
        {
            "epoch": one.epoch,
            "seed": one.cell.seed if one.cell else None,
            "key": one.key,
            "picture": f"{files}/cells/{one.key}.png" if one.path else None,
            "infotext": one.infotext,
            "problem": one.reason,
        }
        for one in kept.cells
    ]
    sheet = f"{files}/sheet.png" if kept.sheet else None
    return {"sheet": sheet, "folder": str(kept.place.folder), "cells": cells}


def plan_request(request: DrawRequest, store: GridStore) -> Grid:
    """Plan the grid of a request; raises InputError or what `plan_page_grid` does."""
    has = read_capabilities()
    has.require_names(sampler=request.sampler, scheduler=request.scheduler, upscaler=None)
    prompt = without_comments(request.prompt)
    found = find_epochs(prompt, lora_folders(), request.lora)
    given: dict[str, Any] = {}
    if request.checkpoint:
        given["sd_model_checkpoint"] = request.checkpoint
    if request.clip_skip:
        given["CLIP_stop_at_last_layers"] = request.clip_skip
    page = Cell(
        prompt=prompt,
        negative_prompt=without_comments(request.negative_prompt),
        seed=0,
        width=request.width,
        height=request.height,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        sampler=request.sampler,
        scheduler=request.scheduler,
    )
    page = with_host_settings(page, given)
    options = GridOptions(request.epochs, request.seeds, request.control, request.axes)
    return plan_page_grid(page, found, options, store, has, random.Random())


def changes_of(request: DrawRequest) -> dict[str, Any]:
    """Return what the caller wants otherwise than the manifest says, for `request_from`."""
    changes = {name: getattr(request, name) for name in request.given}
    if "seeds" in changes:
        changes["seeds"] = read_seeds(request.seeds, random.Random())
    if "axes" in changes:
        changes["axes"] = GridOptions(axes=request.axes).axis_lines
    return changes


def _draw(
    grid: Grid,
    store: GridStore,
    tell: Tell,
    switches: GridSwitches,
    journal: Journal | None = None,
) -> GridResult:
    with store.open_ledger() as ledger:
        backend = AloneBackend()
        return draw_here(grid, ledger, backend, tell, switches.stop, switches.pause, journal)
