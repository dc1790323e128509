"""`loraloom tryout`: some pictures of the final file, before a grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import dry_run_option, json_option, project_argument

from .grid_options import SHEET_OPTIONS, WILDCARD_OPTIONS, GridArguments, add_all
from .grid_session import TRYOUT, GridSession
from .webui import lora_folder_option, webui_options


@click.command()
@project_argument
@webui_options
@lora_folder_option
@click.option("--count", type=click.IntRange(1, 500), default=20, help="Number of pictures.")
@click.option("--seed", type=int, default=1, help="First seed; the seeds count up.")
@add_all(WILDCARD_OPTIONS)
@add_all(SHEET_OPTIONS)
@dry_run_option
@json_option
def tryout(project: Project, **options: Any) -> None:
    """Draw some pictures of the showcase template with the newest epoch file."""
    showcase = project.manifest.showcase
    count, first = options.pop("count"), options.pop("seed")
    session = GridSession(
        project,
        GridArguments(
            **options,
            prompt=showcase.template or project.manifest.grid.prompt,
            negative_prompt=showcase.negative_prompt,
            weights=f"{showcase.lora_weight:g}",
            seeds=f"{first}-{first + count - 1}",
            epochs="last",
            checkpoint=(*showcase.checkpoints, project.manifest.grid.checkpoint)[0],
            name=TRYOUT,
            no_advice=True,
        ),
    )
    session.request = replace(session.request, picture=showcase.picture)
    session.run()
