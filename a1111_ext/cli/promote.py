"""`loraloom promote`: the chosen epoch under a simple name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kohya_ext.project import Project, read_settings
from kohya_ext.project.cli import (
    dry_run_option,
    emit,
    emit_json,
    json_option,
    named_project_argument,
    next_step,
    path_argument,
    say,
)
from kohya_ext.project.epochs import EpochFile, find_runs, read_epoch_file, require_run
from kohya_ext.project.shell import (
    shell_path,
)

from ..api.client import ConnectionLost
from ..publish.promote import (
    PromotePlan,
    Promotion,
    apply_promotion,
    find_epoch,
    hand_over,
    plan_promotion,
    require_free_name,
)
from .webui import lora_folder_option, open_webuis, webui_options


@click.command()
@named_project_argument
@click.argument("epoch")
@click.argument("name")
@webui_options
@lora_folder_option
@dry_run_option
@json_option
def promote(
    project: Project,
    epoch: str,
    name: str,
    urls: tuple[str, ...],
    auth: str,
    lora_folder: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy the chosen EPOCH as NAME, with a corrected header.

    EPOCH is a number, "last", a file name or a path. The file is copied to publish/ and, if a
    WebUI is known, into its LoRA folder.
    """
    plan = plan_promotion(project, _source(project, epoch), name)
    if dry_run:
        rows: dict[str, Any] = {
            "from": plan.source.path,
            "to": plan.target,
            "epoch": plan.source.epoch,
            "steps": plan.source.step,
            **plan.changes,
        }
        if as_json:
            emit_json(rows)
        else:
            for key, value in rows.items():
                emit(f"{key}: {'(removed)' if value is None else value}")
        say("nothing was written (--dry-run)")
        next_step()
        return
    promotion, seen = _promote(project, plan, urls, auth, lora_folder)
    _tell(promotion, seen, as_json)
    next_step(f"loraloom showcase {shell_path(project.root)}")


def _source(project: Project, word: str) -> EpochFile:
    """Find the epoch that is named, by a path or within the project's own training."""
    path = path_argument(word)
    if path.is_file():
        return read_epoch_file(path)
    require_run(project.model_dir)
    return find_epoch(find_runs(project.model_dir), word)


def _promote(
    project: Project, plan: PromotePlan, urls: tuple[str, ...], auth: str, folder: Path | None
) -> tuple[Promotion, list[Path]]:
    """Promote and hand over to every WebUI that is named; a remembered one may be off."""
    if not urls and not read_settings().webuis_of(project.root):
        say("no WebUI is given, so none was notified; give it with --webui URL")
        return apply_promotion(project, plan), []
    try:
        with open_webuis(urls, auth, project.root) as webuis:
            for _, capabilities in webuis:
                require_free_name(capabilities, plan.name, plan.hash)
            promotion = apply_promotion(project, plan)
            return promotion, [hand_over(promotion, *one, folder)[0] for one in webuis]
    except ConnectionLost as error:
        if urls or plan.target.exists():
            raise
        say(
            f"{error.problem} The file is promoted anyway; start the WebUI and copy the file to it."
        )
        return apply_promotion(project, plan), []


def _tell(promotion: Promotion, seen: list[Path], as_json: bool) -> None:
    if promotion.change:
        say(promotion.change)
    if as_json:
        emit_json(
            {
                "name": promotion.name,
                "file": promotion.path,
                "epoch": promotion.epoch,
                "steps": promotion.steps,
                "hash": promotion.hash,
                "source": promotion.source,
                "webui_files": seen,
            }
        )
        return
    emit(f"{promotion.source} is now {shell_path(promotion.path)}")
    emit(f"epochs: {_known(promotion.epoch)}, steps: {_known(promotion.steps)}, of this file")
    emit(f"hash: {promotion.hash[:12]}, as the WebUI and publishing sites show it")
    for path in seen:
        emit(f"the WebUI sees it: {path}")
    emit(f"in prompts: <lora:{promotion.name}:1>")


def _known(number: int | None) -> str:
    return "not in its header" if number is None else str(number)
