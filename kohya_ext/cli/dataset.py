"""`loraloom import`, `loraloom stage`: pictures come in and become the trainer's folders."""

from __future__ import annotations

from pathlib import Path

import click

from ..dataset.advice import advise
from ..dataset.intake import apply_import, plan_import
from ..dataset.layout import LayoutPlan, apply_layout, plan_layout
from ..dataset.roles_csv import Role, read_roles_csv
from ..dataset.trigger import lora_folders_of, trigger_report
from ..project import Project
from ..project.cli import (
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    named_project_argument,
    next_step,
    progress_bar,
    project_argument,
    say,
)
from ..project.shell import (
    shell_path,
)
from ..project.status import caption_step, finds_tagger
from ..project.wording import counted

_SHOWN_PAIRS = 50

_roles_option = click.option(
    "--roles",
    type=TypedPath(readable=False),
    help="A csv file with lines `picture,role`.",
)


@click.command("import")
@named_project_argument
@click.argument("folder", type=TypedPath(readable=False))
@_roles_option
@click.option("--rename", is_flag=True, help="Rename pictures whose name already exists.")
@dry_run_option
@json_option
def import_(
    project: Project,
    folder: Path,
    roles: Path | None,
    rename: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import the pictures of FOLDER into PROJECT; those already imported are skipped.

    Captions beside them (.txt, .caption, .cap, metadata lists) are imported as written by hand.
    Roles come from subfolders called primary, supporting and out, or with numbers such as 5_fox,
    from the ratings of a picture viewer (1, 2, -1), or from a csv file. Skipped files are listed.
    """
    with progress_bar() as progress:
        plan = plan_import(
            project,
            folder,
            roles=read_roles_csv(roles) if roles else None,
            rename=rename,
            progress=progress,
        )
        if not dry_run:
            apply_import(project, plan, progress=progress)
    for path, why in plan.broken:
        say(f"left out: {path} ({why})")
    if plan.unread:
        say(plan.unread_sentence)
    for sentence in plan.folder_sentences(project.manifest.dataset.repeats):
        say(f"folder: {sentence}")
    for sentence in plan.caption_sentences:
        say(f"caption: {sentence}")
    for sentence in plan.role_sentences:
        say(f"role: {sentence}")
    alike = plan.alike_sentences
    for sentence in alike[:_SHOWN_PAIRS]:
        say(f"near-duplicate: {sentence}")
    if len(alike) > _SHOWN_PAIRS:
        say(f"near-duplicates: {len(alike) - _SHOWN_PAIRS} more; --json and the board show all")
    if as_json:
        emit_json(
            {
                "new": [
                    {"origin": str(one.origin), "target": str(one.target), "role": one.role.value}
                    for one in plan.new
                ],
                "known": [str(path) for path in plan.known],
                "broken": [str(path) for path, _ in plan.broken],
                "roles": list(plan.role_sentences),
                "near_duplicates": [
                    {
                        "first": plan.names.get(one.first, one.first),
                        "second": plan.names.get(one.second, one.second),
                        "kind": one.kind.value,
                        "likeness": one.likeness,
                    }
                    for one in plan.alike
                ],
                "unread": [str(path) for path in plan.unread],
                "captions": {
                    "new": {
                        plan.names.get(key, key): one.text for key, one in plan.captions.new.items()
                    },
                    "kept_out": {
                        plan.names.get(key, key): one.text
                        for key, one in plan.captions.kept_out.items()
                    },
                    "unread": [str(path) for path, _ in plan.captions.unread],
                },
                "folders": [
                    {
                        "name": one.name,
                        "repeats": one.repeats,
                        "role": one.role.value,
                        "pictures": one.pictures,
                    }
                    for one in plan.numbered
                ],
            }
        )
    else:
        verb = "would be imported" if dry_run else "imported"
        primary, supporting = plan.count(Role.PRIMARY), plan.count(Role.SUPPORTING)
        out = f", {plan.count(Role.OUT)} out" if plan.count(Role.OUT) else ""
        emit(
            f"{counted(len(plan.new), 'picture')} {verb}: {primary} primary, {supporting} "
            f"supporting{out}"
        )
        for sentence in plan.known_sentences:
            emit(sentence)
        if plan.captions.new:
            verb = "would be imported" if dry_run else "imported"
            emit(f"{counted(len(plan.captions.new), 'caption')} {verb} as written by hand")
    next_step(f"loraloom stage {shell_path(project.root)}")


@click.command()
@project_argument
@_roles_option
@click.option("--out", multiple=True, metavar="NAME", help="Set this picture to Out.")
@dry_run_option
@json_option
def stage(
    project: Project, roles: Path | None, out: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Make the folders that the trainer reads: images/5_Trigger, images/2_Trigger.

    The number is the repeats per epoch. Roles are not changed, except by the options below.
    """
    with progress_bar() as progress:
        chosen = {**(read_roles_csv(roles) if roles else {}), **dict.fromkeys(out, Role.OUT)}
        plan = plan_layout(project, roles=chosen, progress=progress)
        counts = {} if dry_run else apply_layout(project, plan, progress=progress)
    if as_json:
        emit_json(_as_dict(plan, project))
    else:
        for folder in plan.folders:
            emit(
                f"{folder.name}: {counted(len(folder.pictures), 'picture')}, {folder.draws} per "
                "epoch"
            )
        emit(f"ratio: {plan.ratio}")
    if plan.out:
        say(f"{len(plan.out)} left out")
    for sentence in plan.role_sentences:
        say(f"role: {sentence}")
    for sentence in advise(project, plan):
        say(f"advice: {sentence}")
    for one in trigger_report(project, "", lora_folders_of(project)).findings:
        say(f"trigger: {one.text}")
    if dry_run:
        say("nothing was done (--dry-run)")
    else:
        say(", ".join(f"{number} {how}" for how, number in counts.items() if number))
    next_step(caption_step(shell_path(project.root), finds_tagger(project)))


def _as_dict(plan: LayoutPlan, project: Project) -> dict[str, object]:
    reached = plan.ratio.reached
    return {
        "folders": [
            {
                "name": folder.name,
                "repeats": folder.repeats,
                "draws": folder.draws,
                "pictures": [
                    {
                        "source": str(one.source),
                        "target": str(one.target),
                        "role": one.role.value,
                        "change": one.change.value,
                        "width": one.width,
                        "height": one.height,
                    }
                    for one in folder.pictures
                ],
            }
            for folder in plan.folders
        ],
        "dropped": [str(place) for place in plan.dropped],
        "out": [str(path) for path in plan.out],
        "roles": list(plan.role_sentences),
        "ratio": str(plan.ratio),
        "ratio_reached": None if reached is None else round(float(reached), 4),
        "advice": list(advise(project, plan)),
    }
