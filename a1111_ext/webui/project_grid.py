"""The grid of a LoRA project, as its manifest says, drawn by the WebUI that we live in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kohya_ext.project import InputError, Project
from kohya_ext.project.epochs import Run, require_run
from kohya_ext.project.files import link_or_copy

from ..api.capabilities import Capabilities
from ..api.lora_links import plan_links
from ..grids.expansion import make_expand
from ..grids.plan import request_from
from ..grids.reach import require_reachable
from ..grids.runner import Grid, pin_grid, prepare_grid, subject_of
from .capabilities import read_capabilities, refresh_loras


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
    subject = subject_of(project, run, request.epochs)
    has = link_here(project, run, read_capabilities())
    named = project.manifest.showcase.wildcards
    wildcards = project.root / named if named else None
    require_reachable(request, subject, has, wildcards)
    expand = make_expand(wildcards)
    grid = prepare_grid(project, request, subject, session_id=run.session_id, expand=expand)
    return pin_grid(grid, has)


def link_here(project: Project, run: Run, has: Capabilities) -> Capabilities:
    """Put the run's files into this WebUI's LoRA folder; return what it has now."""
    plan = plan_links(run, has, Path(has.lora_dir))
    for link in plan.new:
        project.journal.append("link-loras", url=plan.url, path=str(link.target))
        link_or_copy(link.epoch_file.path, link.target)
    refresh_loras()
    return read_capabilities()
