"""`loraloom epochs`: the epoch files of a run, from their headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..project import MissingError, ToolError
from ..project.cli import (
    TypedPath,
    emit,
    emit_json,
    json_option,
    next_step,
    say,
)
from ..project.epochs import EpochFile, Run, find_epoch_files, require_run
from ..project.manifest import MANIFEST_NAME
from ..project.shell import (
    shell_path,
)


@click.command()
@click.argument("folder", type=TypedPath(), default=Path())
@json_option
def epochs(folder: Path, as_json: bool) -> None:
    """List the epoch files of a project, or of any FOLDER with LoRA files, newest run last.

    Run, epoch and step are read from the files' headers: the last epoch has no number in its name.
    """
    is_project = (folder / MANIFEST_NAME).is_file()
    place = folder / "model" if is_project else folder
    if is_project and not place.is_dir():
        raise MissingError(
            "LL133",
            f"{folder} has no epoch files yet.",
            f"Train first: loraloom train {shell_path(folder)}",
        )
    found = find_epoch_files(place)
    if as_json:
        emit_json(
            {
                "runs": [_run(run) for run in found.runs],
                "unreadable": [
                    {"path": str(one.path), "problem": str(one.error)} for one in found.unreadable
                ],
                "copies": [{"path": str(one), "of": str(other)} for one, other in found.copies],
            }
        )
    else:
        losses = _validations(folder) if is_project else {}
        for run in found.runs:
            emit(f"{run.output_name} (session {run.session_id or 'unknown'})")
            for one in run.files:
                loss = losses.get((one.name, one.step))
                emit(f"  {_line(one)}" + (f", validation {loss:.3g}" if loss is not None else ""))
    for copy, original in found.copies:
        say(f"left out: {copy.name} is a copy of {original.name}")
    for damaged in found.unreadable:
        say(f"unreadable: {damaged.error}")
    if not found.runs and not as_json:
        require_run(place)
    if is_project:
        next_step(f"loraloom grid {shell_path(folder)}")
    else:
        next_step("put them into the model folder of a project, then: loraloom grid PROJECT")


def _validations(folder: Path) -> dict[tuple[str, int | None], float]:
    """Return the validation losses of the newest training by file and step, where there are any."""
    from ..project import open_project
    from ..training.run.job import runs_dir_of
    from ..training.run.report import read_report

    try:
        report = read_report(runs_dir_of(open_project(folder)))
    except ToolError:  # e.g. files that came from another machine
        return {}
    losses = report.validations
    return {(one.name, one.step): losses[one.step] for one in report.files if one.step in losses}


def _line(one: EpochFile) -> str:
    epoch = f"epoch {one.epoch}" if one.epoch is not None else "no epoch in its header"
    step = f", step {one.step}" if one.step is not None else ""
    kind = ", final" if one.is_final else ", step save" if one.is_step_save else ""
    trainer = f", by {one.facts.trainer}" if one.facts.trainer else ""
    what = f"{one.facts.kind.value if one.facts.kind else ''} for {one.facts.family_title}"
    return f"{one.path.name}: {epoch}{step}{kind} ({what}{trainer})"


def _run(run: Run) -> dict[str, Any]:
    return {
        "session_id": run.session_id,
        "output_name": run.output_name,
        "files": [
            {
                "name": one.name,
                "path": str(one.path),
                "epoch": one.epoch,
                "step": one.step,
                "final": one.is_final,
                "step_save": one.is_step_save,
                "kind": one.facts.kind.value if one.facts.kind else None,
                "families": [family.value for family in one.facts.families],
                "model": one.facts.family_title,
                "trainer": one.facts.trainer,
            }
            for one in run.files
        ],
    }
