"""`loraloom pause`: let whatever draws for a project wait, and go on."""

from __future__ import annotations

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import next_step, project_argument, say, shell_path

from ..cells.ledger import Ledger


@click.command()
@project_argument
@click.option("--go-on", is_flag=True, help="End the pause.")
def pause(project: Project, go_on: bool) -> None:
    """Let every grid, tryout, showcase and upscale of PROJECT wait, in whichever window it runs.

    The picture that is being drawn is ended at once, if it is ours, and drawn again afterwards.
    """
    root = shell_path(project.root)
    with Ledger(project.cells_db, project.cells_dir) as ledger:
        ledger.set_paused(not go_on)
    if go_on:
        say("what was paused goes on; finished pictures are kept")
        next_step(f"loraloom show {root}")
    else:
        say("nothing is drawn for this project until the pause ends; commands wait meanwhile")
        next_step(f"loraloom pause {root} --go-on")
