"""`loraloom trigger`: is the trigger word free, and which others are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..dataset.trigger import TriggerReport, lora_folders_of, trigger_report
from ..project import Project
from ..project.cli import (
    TypedPath,
    emit,
    emit_json,
    json_option,
    named_project_argument,
    next_step,
    say,
)
from ..project.settings import write_setting
from ..project.shell import (
    shell_path,
)
from ..project.wording import counted


@click.command()
@named_project_argument
@click.argument("word", default="")
@click.option(
    "--loras",
    "folders",
    type=TypedPath(file_okay=False),
    multiple=True,
    help="A folder with other LoRAs, whose headers are read. Can be given several times and is "
    "remembered.",
)
@json_option
def trigger(project: Project, word: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Check the trigger word of PROJECT, or another WORD, and suggest free ones.

    The word is compared with every LoRA in the given folders (names, trigger phrases and tags in
    their headers), with the vocabularies of CLIP and the tagger if they are on this machine, with
    words that every base model knows, and with the set's tags and captions. Exit code 1: a
    problem was found.
    """
    if folders:
        report = trigger_report(project, word, folders)
        write_setting("lora_folders", tuple(str(one.absolute()) for one in folders))
    else:
        report = trigger_report(project, word, lora_folders_of(project))
    if as_json:
        emit_json(report.as_dict())
    else:
        _show(report, folders)
    next_step(f"loraloom stage {shell_path(project.root)}")
    if report.findings:
        raise click.exceptions.Exit(1)


def _show(report: TriggerReport, folders: Sequence[Path]) -> None:
    for one in report.findings:
        emit(f"{one.kind}: {one.text}")
    about = "" if report.is_exact else "about "
    many = counted(report.loras, "LoRA")
    if not report.findings:
        tokens = counted(report.tokens, "token")
        emit(f'"{report.word}" is free: {about}{tokens}, compared with {many}.')
    if report.suggestions:
        emit(f"free: {', '.join(report.suggestions)}")
    if not report.loras:
        named = " and ".join(map(str, folders))
        why = f"{named} contains none" if named else "give the folder of your LoRAs with --loras"
        say(f"No LoRA was compared: {why}.")
    if not report.is_exact:
        say("CLIP's vocabulary is not on this machine, so the number of tokens is an estimate.")
