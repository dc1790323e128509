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
from kohya_ext.project.content import ContentLevel
from kohya_ext.project.manifest import SubjectKind

from ..publish.check import Check
from ..publish.checklist import to_do
from ..publish.checks import require_all
from ..publish.pack import PackPlan
from ..publish.publishing import PublishOptions, PublishPlan, apply_publishing, plan_publishing

NOT_CHECKED = 3
"""Exit code of a pack whose pictures no tagger has rated."""


@click.command()
@project_argument
@click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A WD14 tagger's folder, to look at the pictures; else captions.model is used.",
)
@click.option(
    "--content",
    type=click.Choice([one.value for one in ContentLevel]),
    help="Your word on what the pictures show, after looking at them; it is kept for these "
    "pictures.",
)
@click.option(
    "--ai-label/--no-ai-label",
    default=None,
    help="Label the copies as made with AI (IPTC digital source type); by default for real "
    "persons.",
)
@dry_run_option
@json_option
@click.pass_context
def publish(
    context: click.Context,
    project: Project,
    model: Path | None,
    content: str | None,
    ai_label: bool | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the publish pack: LoRA, sidecars, pictures, description, card and a checklist.

    Nothing is sent anywhere. It stops when something is wrong or not allowed. Exit code 3: made,
    but no tagger has rated the pictures, so nobody has checked their content.
    """
    options = PublishOptions(model, ContentLevel(content) if content else None, ai_label)
    with progress_bar() as progress:
        plan = plan_publishing(project, options, on_progress=progress)
    _tell_refusals(plan.refusals)
    require_all(plan.checks)
    _tell_header(plan, dry_run)
    if dry_run:
        pack = plan.pack(project)
    else:
        with progress_bar() as progress:
            pack = apply_publishing(project, plan, on_progress=progress)
    _tell(pack, plan.checks, as_json)
    if not plan.is_checked:
        say("The content of the pictures was not checked: name a tagger with --model FOLDER.")
    if dry_run:
        say("nothing was written (--dry-run)")
        next_step(f"loraloom publish {shell_path(project.root)}")
    else:
        if project.manifest.subject.kind is SubjectKind.PERSON:
            say("A real person: Civitai takes no such LoRA; the checklist says what to mind.")
        next_step(f"open {shell_path(pack.checklist)} and go through it")
    if not plan.is_checked:
        context.exit(NOT_CHECKED)


def _tell_header(plan: PublishPlan, dry_run: bool) -> None:
    """Name the keys of the header that the manifest changes."""
    if plan.header_news:
        verb = "would be" if dry_run else "are"
        say(
            f"in the header of {plan.material.promoted.path.name} {verb} written again, as the "
            f"manifest says now: {', '.join(sorted(plan.header_news))}"
        )


def _tell_refusals(refusals: tuple[Check, ...]) -> None:
    """Name every refusal but the first, which ends the command as its error."""
    for one in refusals[1:]:
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
