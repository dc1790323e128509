"""`loraloom publish`: everything that a post needs, checked, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kohya_ext.project import Project
from kohya_ext.project.cli import (
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
    shell_path,
)
from kohya_ext.project.manifest import SubjectKind

from ..publish.checklist import to_do
from ..publish.checks import Check, CheckState, check_material, require_all
from ..publish.contents import Material, gather
from ..publish.header import refresh_header
from ..publish.pack import PackPlan, apply_pack, plan_pack
from ..publish.tag_scores import find_tagger, look_at


@click.command()
@project_argument
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A WD14 tagger's folder, to look at the pictures; else captions.model is used.",
)
@dry_run_option
@json_option
def publish(project: Project, model: Path | None, dry_run: bool, as_json: bool) -> None:
    """Make the publish pack: LoRA, sidecars, pictures, description, card and a checklist.

    Nothing is sent anywhere. It stops when something is wrong or not allowed.
    """
    material = gather(project)
    checks = _check(project, material, model)
    _tell_refusals(checks)
    require_all(checks)
    if not dry_run and refresh_header(project, material.promoted.path, material.promoted.name):
        say(f"the header of {material.promoted.path.name} says what the manifest says now")
        material = gather(project)
        checks = _check(project, material, model)
        require_all(checks)
    plan = plan_pack(project, material, checks)
    if not dry_run:
        with progress_bar() as progress:
            apply_pack(project, plan, on_progress=progress)
    _tell(plan, checks, as_json)
    if dry_run:
        say("nothing was written (--dry-run)")
        next_step(f"loraloom publish {shell_path(project.root)}")
        return
    if project.manifest.subject.kind is SubjectKind.PERSON:
        say("A real person: Civitai takes no such LoRA; the checklist says what to mind.")
    next_step(f"open {shell_path(plan.checklist)} and go through it")


def _check(project: Project, material: Material, model: Path | None) -> tuple[Check, ...]:
    tagger, note = find_tagger(project, model)
    with progress_bar() as progress:
        seen = look_at(project, material.pictures, tagger, on_progress=progress)
    return check_material(material, seen, tagger_note=note)


def _tell_refusals(checks: tuple[Check, ...]) -> None:
    """Name every refusal but the first, which ends the command as its error."""
    for one in [one for one in checks if one.state is CheckState.REFUSED][1:]:
        say(f"also refused: {one.detail} {one.cure} [{one.code}]")


def _tell(plan: PackPlan, checks: tuple[Check, ...], as_json: bool) -> None:
    left = to_do(checks)
    if as_json:
        rows: dict[str, Any] = {
            "folder": plan.folder,
            "files": [str(one.place) for one in plan.files],
            **plan.facts,
        }
        emit_json(rows)
        return
    emit(str(plan.folder))
    for one in plan.files:
        emit(f"  {one.place}")
    say(f"{len(checks) - len(left)} checks passed")
    for check in left:
        say(f"{check.state.value}: {check.what}: {check.detail}")
