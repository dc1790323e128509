"""`loraloom pause`: pause or resume drawing for a project."""

from __future__ import annotations

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import (
    next_step,
    project_argument,
    say,
)
from kohya_ext.project.shell import (
    shell_path,
)

from ..cells.ledger import Ledger


@click.command()
@project_argument
@click.option("--resume", is_flag=True, help="Resume drawing.")
def pause(project: Project, resume: bool) -> None:
    """Pause or resume every grid, tryout, showcase and upscale of PROJECT, in any window.

    A picture that loraloom is drawing is interrupted and drawn again later.
    """
    root = shell_path(project.root)
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        ledger.set_paused(not resume)
    if resume:
        say("drawing is resumed; finished pictures are kept")
        next_step(f"loraloom show {root}")
    else:
        say("drawing for this project is paused; commands wait until you resume it")
        next_step(f"loraloom pause {root} --resume")
