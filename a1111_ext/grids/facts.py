"""What is said about a grid: its title, what was not checked, and what drawing it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kohya_ext.project.kept_advice import KeptAdvice, advice_of_grid
from kohya_ext.project.wording import counted

from ..cells.cell_plan import plan_cells
from ..cells.ledger import Ledger
from .axes import Axis
from .grid import Grid
from .plan import EPOCH_AXIS

_BYTES_PER_PIXEL = 1.6
"""A PNG of a photograph-like picture; for the plan's estimate of disk space."""


@dataclass(frozen=True)
class GridFacts:
    """What a grid says about itself: title and badge, and which checks were not made."""

    grid_id: str
    title: str
    subtitle: str = ""
    badge: str = ""
    warnings: tuple[str, ...] = ()
    choice_command: str = ""
    advice: KeptAdvice | None = None


def grid_facts(grid: Grid, *, is_simulated: bool = False) -> GridFacts:
    """Say what a grid shows and which checks were not made."""
    plan, subject = grid.plan, grid.subject
    shown = [one for one in plan.axes if len(one.values) > 1]
    warnings = (
        ()
        if plan.has_control
        else ("whether the LoRA changes the picture (there is no row without the LoRA)",)
    )
    names = " × ".join(one.name for one in shown) or "one picture"
    skipped = f", {plan.skipped} left out" if plan.skipped else ""
    different = len({cell.key for cell in plan.cells})  # a value that is named twice is drawn once
    repeated = f", {different} different" if different < len(plan.places) else ""
    return GridFacts(
        grid_id=grid.grid_id,
        title=f"{subject.trigger_word or subject.files[0].output_name}: {names}",
        subtitle=f"{' × '.join(map(count_values, shown)) or 'one cell'}: "
        f"{counted(len(plan.places), 'picture')}{repeated}{skipped}",
        badge="simulated" if is_simulated else "",
        warnings=warnings,
        advice=advice_of_grid(grid.folder.parent.parent, grid.grid_id),
    )


def count_values(axis: Axis) -> str:
    """Return `6 epochs and no LoRA`, `4 seeds` or `2 values of Sampler`; a control is no epoch."""
    controls = sum(one.is_control for one in axis.values)
    number = len(axis.values) - controls
    noun = {EPOCH_AXIS: "epoch", "Seed": "seed", "LoRA weight": "weight"}.get(axis.name)
    values = counted(number, noun) if noun else f"{counted(number, 'value')} of {axis.name}"
    return f"({values} and no LoRA)" if controls else values


def describe_plan(grid: Grid, ledger: Ledger, loaded: str = "") -> dict[str, Any]:
    """Return what drawing a grid means: cells, loads, swaps, time and disk, for people.

    `loaded` is the title of the checkpoint that the WebUI has loaded.
    """
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
        "checkpoint loads": rest.loads_from(loaded),
        "LoRA swaps": rest.lora_swaps,
        "expected time": "unknown before the first picture"
        if mean is None
        else format_seconds(mean * len(missing)),
        "disk": f"about {pixels * _BYTES_PER_PIXEL / 1e6:.0f} MB",
    }


def format_seconds(seconds: float) -> str:
    """Return `45 s`, `12 min` or `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
