"""`loraloom grid`: compare epochs, seeds and anything else, and choose."""

from __future__ import annotations

from typing import Any

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import (
    RelatedOption,
    TypedPath,
    dry_run_option,
    json_option,
    project_argument,
    serve_options,
)

from ..grids.choice import read_choice
from .choosing import serve_newest, take_choice
from .following import Following
from .grid_options import (
    FOLLOW_OPTIONS,
    REQUEST_OPTIONS,
    SHEET_OPTIONS,
    GridArguments,
    add_all,
    follow_of,
)
from .grid_session import GridSession
from .webui import lora_folder_option, webui_options


@click.command()
@project_argument
@webui_options
@lora_folder_option
@add_all(REQUEST_OPTIONS)
@add_all(SHEET_OPTIONS)
@add_all(FOLLOW_OPTIONS)
@click.option(
    "--choice",
    cls=RelatedOption,
    only_with=(),
    type=TypedPath(exists=True, dir_okay=False),
    help="Write a choice that a grid's page saved into the project.",
)
@click.option(
    "--server-side",
    cls=RelatedOption,
    excludes=("--cluster", "--follow"),
    is_flag=True,
    help="Let the WebUI's own X/Y/Z plot draw it, in one request.",
)
@click.option(
    "--cluster", metavar="ADDRESS", help="A Dask scheduler whose workers call the WebUIs."
)
@serve_options("Show the newest grid; its choice is written into the project.")
@dry_run_option
@json_option
def grid(project: Project, **given: Any) -> None:
    """Draw epochs x seeds (x other settings) and recommend an epoch."""
    options = GridArguments(**given)
    if options.choice:
        take_choice(project, read_choice(options.choice))
    elif options.serve or options.lan:
        serve_newest(project, lan=options.lan)
    else:
        session = GridSession(project, options)
        follow = follow_of(options)
        if follow is None or options.dry_run:
            session.run()
        else:
            Following(session, follow).run()
