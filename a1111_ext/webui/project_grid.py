"""The grid of a LoRA project, as its manifest says, drawn by the WebUI that we live in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, Project
from kohya_ext.project.epochs import Run, require_run
from kohya_ext.project.files import link_or_copy

from ..api.capabilities import Capabilities
from ..api.lora_links import linked_name, plan_links
from ..cells.plan import pin_cell
from ..grids.expansion import make_expand
from ..grids.plan import Subject, request_from, select_epochs
from ..grids.runner import Grid, prepare_grid
from .capabilities import read_capabilities, refresh_loras
from .grid import DrawnGrid


def prepare_project_grid(project: Project, changes: Mapping[str, Any]) -> Grid:
    """Lend the project's epoch files to this WebUI and plan the manifest's grid.

    `changes` are fields of the request that are asked for otherwise. Raises MissingError (no epoch
    files) or InputError (names that the WebUI lacks; the request).
    """
    run = require_run(project.model_dir)
    request = request_from(project.manifest, **changes)
    if request.picture.scripts:
        raise InputError(
            "LL767",
            f"The grid of {project.root.name} asks for always-on scripts "
            f"({', '.join(request.picture.scripts)}), which the tab and its routes do not run.",
            "Draw it with `loraloom grid`, or take grid.picture.scripts out of the manifest.",
        )
    files = select_epochs(run, request.epochs)
    has = link_here(project, run, read_capabilities())
    names = {one.name: linked_name(one) for one in run.files}
    subject = Subject(files, names, project.manifest.trigger_word)
    named = project.manifest.showcase.wildcards
    expand = make_expand(project.root / named if named else None)
    grid = prepare_grid(project, request, subject, session_id=run.session_id, expand=expand)
    return replace(grid, plan=grid.plan.with_cells(lambda cell: pin_cell(cell, has)))


def link_here(project: Project, run: Run, has: Capabilities) -> Capabilities:
    """Put the run's files into this WebUI's LoRA folder; return what it has now."""
    plan = plan_links(run, has, Path(has.lora_dir))
    for link in plan.new:
        project.journal.append("link-loras", url=plan.url, path=str(link.target))
        link_or_copy(link.epoch_file.path, link.target)
    refresh_loras()
    return read_capabilities()


def note_grid(project: Project, drawn: DrawnGrid) -> None:
    """Write into the project's journal what was drawn."""
    project.journal.append(
        "grid",
        grid=drawn.grid.grid_id,
        epochs=[one.name for one in drawn.grid.subject.files],
        drawn=len(drawn.finished),
        failed=len(drawn.failures),
        stopped=drawn.stopped,
    )
