"""`loraloom wildcards`: the page of wildcards, without a WebUI."""

from __future__ import annotations

from pathlib import Path

import click

from kohya_ext.project import MANIFEST_NAME, MissingError, open_project
from kohya_ext.project.cli import (
    TypedPath,
    emit,
    next_step,
    serve_until_interrupted,
)
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted


@click.command()
@click.argument("folders", nargs=-1, type=TypedPath())
@click.option("--follow-links", is_flag=True, help="Follow links that lead outside the folders.")
@click.option("--no-serve", is_flag=True, help="Only print the number of wildcards.")
def wildcards(folders: tuple[Path, ...], follow_links: bool, no_serve: bool) -> None:
    """Search, preview and edit wildcard files on a page in your browser.

    FOLDERS are wildcard folders, or projects, whose showcase wildcards are opened. Files outside
    of these folders are never written, even if a link leads there.
    """
    from dynprompts import WildcardLibrary

    from ..screens.wildcards import PAGE_NAME, WildcardShare

    roots = tuple(map(_root, folders or (Path(),)))
    if no_serve:
        count = len(WildcardLibrary(*roots, follow_links=follow_links).names)
        emit(f"{counted(count, 'wildcard')} in {', '.join(map(str, roots))}")
        next_step(f"loraloom wildcards {' '.join(map(shell_path, roots))}")
        return
    serve_until_interrupted(WildcardShare(lambda: roots, lambda: follow_links), PAGE_NAME)


def _root(folder: Path) -> Path:
    """Return a folder of wildcards: itself, or what the project in it names."""
    if (folder / MANIFEST_NAME).is_file():
        project = open_project(folder)
        folder = project.wildcards_dir or project.root / "wildcards"
    if not folder.is_dir():
        raise MissingError(
            "LL161",
            f"There is no wildcard folder {folder}.",
            "Give an existing one: loraloom wildcards FOLDER",
        )
    return folder.absolute()
