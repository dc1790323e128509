"""`loraloom board`: the pictures of a project on one page, to sort and caption by keys."""

from __future__ import annotations

import click

from ..captions.desk import CaptionDesk
from ..project import Project
from ..project.cli import (
    next_step,
    page_options,
    project_argument,
    serve_until_interrupted,
)
from ..project.decisions.board import PAGE_NAME, BoardShare
from ..project.decisions.pictures_view import PicturesView
from ..project.shell import (
    shell_path,
)


@click.command()
@project_argument
@page_options
def board(project: Project, port: int, browse: bool, lan: bool) -> None:
    """Set roles and captions of PROJECT's pictures on one page, with the keyboard.

    Every decision is saved immediately. You can close the page, or open it twice. Only this
    machine can open it; with --lan also your network.
    """
    share = BoardShare(PicturesView(project), lambda: CaptionDesk(project))
    try:
        serve_until_interrupted(
            share, PAGE_NAME, port=port, browse=browse, lan=lan, name=f"board {project.root}"
        )
    finally:
        share.close()
    next_step(f"loraloom stage {shell_path(project.root)}")
