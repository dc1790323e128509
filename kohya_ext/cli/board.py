"""`loraloom board`: the pictures of a project on one page, to judge and caption by keys."""

from __future__ import annotations

import threading

import click

from ..captions.desk import CaptionDesk
from ..project import Project
from ..project.cli import emit, next_step, project_argument, say, shell_path
from ..project.decisions.board import PAGE_NAME, BoardShare
from ..project.decisions.pictures_view import PicturesView
from ..project.server import PageServer


@click.command()
@project_argument
@click.option("--port", type=int, default=0, help="Port to listen on; 0: any free one.")
@click.option("--open/--no-open", "browse", default=True, help="Open the page in the browser.")
def board(project: Project, port: int, browse: bool) -> None:
    """Set roles and captions of PROJECT's pictures on one page, with the keyboard.

    Every decision is kept at once; the page may be closed, and opened twice. It answers on this
    machine only.
    """
    ended = threading.Event()
    view = PicturesView(project)
    share = BoardShare(view, lambda: CaptionDesk(project))
    with PageServer(port=port) as server:
        url = server.url_of(share, PAGE_NAME)
        emit(url)
        say("the board answers until Ctrl-C")
        if browse:
            click.launch(url)
        try:
            while not ended.wait(0.5):  # Windows hears Ctrl-C only between waits
                pass
        except KeyboardInterrupt:
            pass
        finally:
            share.close()
    next_step(f"loraloom stage {shell_path(project.root)}")
