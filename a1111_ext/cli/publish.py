"""`loraloom publish`: everything that a post needs, checked, in one folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from kohya_ext.project import InputError, MissingError, Project
from kohya_ext.project.cli import (
    RelatedOption,
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    project_argument,
    say,
    serve_options,
    serve_until_interrupted,
)
from kohya_ext.project.content import ContentLevel
from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.server import FolderShare
from kohya_ext.project.shell import (
    shell_path,
)
from kohya_ext.project.wording import counted

from ..publish.check import Check
from ..publish.checklist import to_do
from ..publish.checks import require_all
from ..publish.hub import (
    apply_upload,
    open_hub,
    places_for_hub,
    plan_upload,
    require_repository,
)
from ..publish.pack import CHECKLIST_NAME, PackPlan
from ..publish.publishing import (
    PublishOptions,
    apply_publishing,
    plan_publishing,
    require_sendable,
)
from ..showcase.album import repair_showcase

NOT_CHECKED = 3
"""Exit code of a pack whose pictures no tagger has rated."""


_sending_option = partial(click.option, cls=RelatedOption, needs="--to")


@click.command()
@project_argument
@click.option(
    "--model",
    type=TypedPath(exists=True, file_okay=False),
    help="Folder of a WD14 tagger that checks the pictures; default: captions.model.",
)
@click.option(
    "--content",
    type=click.Choice([one.value for one in ContentLevel]),
    help="Your content rating after looking at the pictures; it is kept for these pictures.",
)
@click.option(
    "--ai-label/--no-ai-label",
    default=None,
    help="Label the copies as made with AI (IPTC digital source type); by default for real "
    "persons.",
)
@click.option(
    "--to",
    nargs=2,
    metavar="hub OWNER/NAME",
    help="Send the pack to this repository of the model hub, private unless --public.",
)
@_sending_option("--public", is_flag=True, help="With --to: allow a public repository.")
@_sending_option("--replace", is_flag=True, help="With --to: overwrite files with other content.")
@serve_options("Show the newest pack's checklist until Ctrl-C.")
@dry_run_option
@json_option
@click.pass_context
def publish(
    context: click.Context,
    project: Project,
    model: Path | None,
    content: str | None,
    ai_label: bool | None,
    to: tuple[str, str] | None,
    public: bool,
    replace: bool,
    serve: bool,
    lan: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the publish pack: LoRA, sidecars, pictures, description, card and a checklist.

    Nothing is uploaded without --to. Exit code 1: something is wrong or not allowed. Exit code 3:
    the pack is made, but without a tagger the content of the pictures was not checked.
    """
    if serve or lan:
        _serve_checklist(project, lan)
        return
    repository = _repository(to)
    options = PublishOptions(model, ContentLevel(content) if content else None, ai_label)
    for line in () if dry_run else repair_showcase(project):
        say(line)
    with progress_bar() as progress:
        plan = plan_publishing(project, options, on_progress=progress)
    for one in plan.refusals[1:]:  # the first ends the command as its error
        say(f"also refused: {one.detail} {one.cure} [{one.code}]")
    require_all(plan.checks)
    if repository:
        require_sendable(plan)
    if plan.header_news:
        verb = "would be updated" if dry_run else "is updated"
        say(
            f"the header of {plan.material.promoted.path.name} {verb} from the manifest: "
            f"{', '.join(sorted(plan.header_news))}"
        )
    if dry_run:
        pack = plan.pack(project)
    else:
        with progress_bar() as progress:
            pack = apply_publishing(project, plan, on_progress=progress)
    _tell(pack, plan.checks, as_json)
    if repository and dry_run:
        say(f"{repository} would get LoRA, pictures and card of this pack")
    elif repository:
        _send(pack.folder, repository, public, replace)
    if not plan.is_checked:
        say("The content of the pictures was not checked: give a tagger with --model FOLDER.")
    if dry_run:
        say("nothing was written (--dry-run)")
        next_step(f"loraloom publish {shell_path(project.root)}")
    else:
        if project.manifest.subject.kind is SubjectKind.PERSON:
            say("A real person: Civitai accepts no such LoRA; see the checklist.")
        next_step(f"open {shell_path(pack.checklist)} and go through it")
    if not plan.is_checked:
        context.exit(NOT_CHECKED)


def _repository(to: tuple[str, str] | None) -> str:
    """Return the repository that --to names, or ""."""
    if not to:
        return ""
    if to[0] != "hub":
        raise InputError(
            "LL676",
            f'Cannot upload to "{to[0]}".',
            "Only the Hugging Face hub has an upload API: --to hub OWNER/NAME",
        )
    return require_repository(to[1])


def _send(folder: Path, repository: str, is_public: bool, replace: bool) -> None:
    hub = open_hub()
    plan = plan_upload(hub, folder, places_for_hub(folder), repository, is_public=is_public)
    kind = "private" if plan.is_private else "public"
    say(
        f"{repository} ({kind}): {counted(len(plan.to_send), 'file')} to send, "
        f"{len(plan.same)} already there"
    )
    with progress_bar() as progress:
        address = apply_upload(hub, plan, replace=replace, on_progress=progress)
    say(f"sent: {address}")


def _serve_checklist(project: Project, lan: bool) -> None:
    """Show the newest checklist; its folder holds nothing but the pack."""
    found = sorted(
        project.publish_dir.glob(f"*/{CHECKLIST_NAME}"), key=lambda page: page.stat().st_mtime
    )
    if not found:
        raise MissingError(
            "LL185",
            f"{project.publish_dir} has no pack yet.",
            f"Make one: loraloom publish {shell_path(project.root)}",
        )
    serve_until_interrupted(FolderShare(found[-1].parent), CHECKLIST_NAME, lan=lan)
    next_step(f"open {shell_path(found[-1])} and go through it")


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
    say(f"{counted(len(checks) - len(left), 'check')} passed")
    for check in left:
        say(f"{check.state.value}: {check.what}: {check.detail}")
