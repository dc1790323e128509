"""`loraloom ratings`: the ratings of picture viewers, read into the project or written for them."""

from __future__ import annotations

from pathlib import Path

import click

from ..dataset.viewer_ratings import apply_writing, plan_reading, plan_writing
from ..project import Project
from ..project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    project_argument,
    say,
)
from ..project.decisions import DecisionStore
from ..project.decisions.role_plan import apply_roles
from ..project.shell import (
    shell_path,
)
from ..project.wording import counted


@click.command()
@project_argument
@click.argument("folder", required=False, type=TypedPath(readable=False))
@click.option("--write", is_flag=True, help="Write the roles into the files as ratings instead.")
@dry_run_option
@json_option
def ratings(
    project: Project, folder: Path | None, write: bool, dry_run: bool, as_json: bool
) -> None:
    """Read the ratings that a viewer wrote into PROJECT's pictures, or those in FOLDER.

    dataset.ratings in the manifest maps ratings to roles. With --write, the roles are written as
    ratings; pixels and all other metadata are not changed.
    """
    where = folder or project.source_dir
    if write:
        plan = plan_writing(project, where)
        changed: list[Path] = []
        if not dry_run:
            changed, errors = apply_writing(project, plan)
            for error in errors:
                say(str(error))
        if as_json:
            emit_json(
                {
                    "planned": [{"path": str(one.path), "rating": one.rating} for one in plan],
                    "changed": [str(path) for path in changed],
                }
            )
        elif dry_run:
            emit(f"{counted(len(plan), 'rating')} would be written")
        else:
            emit(f"{counted(len(changed), 'rating')} written")
    else:
        _read(project, where, dry_run, as_json)
    next_step(f"loraloom stage {shell_path(project.root)}")


def _read(project: Project, folder: Path, dry_run: bool, as_json: bool) -> None:
    found = plan_reading(project, folder)
    if not dry_run:
        with DecisionStore(project.reviews_db) as store:
            apply_roles(store, found.roles)
    if as_json:
        emit_json({"rated": found.rated, "changed": list(found.sentences)})
        return
    emit(
        f"{counted(found.rated, 'picture is', 'pictures are')} rated, "
        f"{counted(len(found.sentences), 'role changes', 'roles change')}"
    )
    for sentence in found.sentences:
        say(f"role: {sentence}")
