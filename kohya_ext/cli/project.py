"""`loraloom init` and `loraloom show`: a project begins, and where it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ..dataset.ratio import read_ratio
from ..dataset.trigger import lora_folders_of, trigger_report
from ..project import Project, apply_init, plan_init
from ..project.cli import (
    RelatedOption,
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    project_argument,
    say,
)
from ..project.manifest import SubjectKind
from ..project.shell import (
    shell_path,
)
from ..project.status import read_status


@click.command()
@click.argument("folder", type=TypedPath())
@click.option("--trigger", "trigger_word", required=True, help="The trigger word.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in SubjectKind]),
    default=SubjectKind.CHARACTER.value,
    show_default=True,
    help="What the LoRA is of.",
)
@click.option("--description", default="", help="One sentence about the subject.")
@dry_run_option
def init(folder: Path, trigger_word: str, kind: str, description: str, dry_run: bool) -> None:
    """Make a new LoRA project in FOLDER."""
    plan = plan_init(folder, trigger_word, SubjectKind(kind), description)
    if dry_run:
        emit(plan.manifest_text)
        next_step()
        return
    project = apply_init(plan)
    emit(str(project.manifest_path))
    for one in trigger_report(project, "", lora_folders_of(project)).findings:
        say(f"trigger: {one.text}")
    if kind == SubjectKind.PERSON.value:
        say(f"A real person: fill in subject.consent in {project.manifest_path} before staging.")
    next_step(f"loraloom import {shell_path(project.root)} FOLDER-WITH-PICTURES")


@click.command()
@project_argument
@click.option("--verify", is_flag=True, help="Read every file and report damaged ones.")
@click.option(
    "--cluster", cls=RelatedOption, needs="--verify", metavar="ADDRESS",
    help="Use the workers of this Dask scheduler.",
)  # fmt: skip
@json_option
def show(project: Project, verify: bool, cluster: str | None, as_json: bool) -> None:
    """Show the status of PROJECT: pictures, captions, epochs, grids, showcase."""
    if verify:
        from ..project.cluster import open_executor
        from ..project.proof import prove_project

        with open_executor(cluster, say) as executor:
            proofs = prove_project(project, executor=executor)
        if as_json:
            emit_json([one.as_dict() for one in proofs])
        else:
            for line in (line for one in proofs for line in one.lines()):
                emit(line)
        if any(one.lost for one in proofs):
            raise click.exceptions.Exit(1)
        next_step(f"loraloom show {shell_path(project.root)}")
        return
    ratio = read_ratio(project)
    status = replace(read_status(project), ratio=str(ratio) if ratio else "")
    if as_json:
        emit_json(status.as_dict())
        return
    for line in status.lines():
        emit(line)
    next_step(status.next_command(shell_path(project.root)))
