"""What is said about a grid before and after it is drawn: cells, loads, time, disk, axes."""

from __future__ import annotations

from typing import Any

from kohya_ext.project import Project
from kohya_ext.project.cli import shell_path

from ..cells.ledger import Ledger
from ..cells.plan import plan_cells
from ..grids.axes import Axis
from ..grids.plan import EPOCH_AXIS, GridPlan
from ..grids.runner import Grid
from ..grids.views import GridFacts
from .drawing import format_seconds

_BYTES_PER_PIXEL = 1.6
"""A PNG of a photograph-like picture; for the plan's estimate of disk space."""


def grid_facts(project: Project, grid: Grid, is_simulated: bool) -> GridFacts:
    """Say what a grid shows and which checks were not made."""
    plan = grid.plan
    shown = [one for one in plan.axes if len(one.values) > 1]
    warnings = [] if plan.has_control else ["whether the LoRA changes the picture (no control row)"]
    names = " × ".join(one.name for one in shown) or "one picture"
    command = f"loraloom grid {shell_path(project.root)} --choice {grid.grid_id}-choice.json"
    return GridFacts(
        grid_id=grid.grid_id,
        title=f"{project.manifest.trigger_word}: {names}",
        subtitle=f"{' × '.join(map(count_values, shown)) or 'one cell'}: {_pictures(plan)}",
        badge="simulated" if is_simulated else "",
        warnings=tuple(warnings),
        choice_command=command,
    )


def count_values(axis: Axis) -> str:
    """Return `6 epochs and no LoRA`, `4 seeds` or `2 values of Sampler`; a control is no epoch."""
    controls = sum(one.is_control for one in axis.values)
    number = len(axis.values) - controls
    noun = {EPOCH_AXIS: "epoch", "Seed": "seed", "LoRA weight": "weight"}.get(axis.name)
    plural = "" if number == 1 else "s"
    counted = f"{number} {noun}{plural}" if noun else f"{number} value{plural} of {axis.name}"
    return f"({counted} and no LoRA)" if controls else counted


def _pictures(plan: GridPlan) -> str:
    skipped = f", {plan.skipped} left out" if plan.skipped else ""
    return f"{len(plan.places)} pictures{skipped}"


def describe_plan(grid: Grid, ledger: Ledger) -> dict[str, Any]:
    """Return what drawing a grid means: cells, loads, swaps, time and disk, for people."""
    cells = plan_cells(grid.plan.cells, grid.plan.controls)
    missing = [cell for cell in cells.cells if not ledger.is_done(cell.key)]
    mean = ledger.mean_seconds()
    pixels = sum(cell.final_size[0] * cell.final_size[1] for cell in missing)
    rest = plan_cells(missing)
    return {
        "grid": grid.grid_id,
        "axes": "; ".join(
            f"{one.name}: {', '.join(value.label for value in one.values)}"
            for one in grid.plan.axes
        ),
        "cells": len(cells.cells),
        "skipped": grid.plan.skipped,
        "to draw": len(missing),
        "checkpoint loads": rest.checkpoint_loads,
        "LoRA swaps": rest.lora_swaps,
        "expected time": "unknown before the first picture"
        if mean is None
        else format_seconds(mean * len(missing)),
        "disk": f"about {pixels * _BYTES_PER_PIXEL / 1e6:.0f} MB",
    }
