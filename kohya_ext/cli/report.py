"""`loraloom report`: which data, config and versions made a LoRA, and how its loss went."""

from __future__ import annotations

from pathlib import Path

import click

from ..project.cli import emit, emit_json, json_option, next_step
from .training_options import job_options, read_runs


@click.command()
@job_options
@click.option(
    "--run", "run_id", default="", metavar="ID", help="Report on this run instead of the newest."
)
@json_option
def report(
    project: str | None, config: Path | None, version: str, run_id: str, as_json: bool
) -> None:
    """Write the report on a training: data with hashes, config, versions, loss curve, files.

    It is written next to the run's own files, as report.md, report.json and loss.png.
    """
    from ..training.run.report import as_dict, format_report, read_report, write_report

    runs_dir, name = read_runs(project, config, version)
    found = read_report(runs_dir, run_id)
    places = write_report(found, found.last.run.folder)
    if as_json:
        emit_json(as_dict(found))
    else:
        emit(format_report(found).split("![loss]")[0].rstrip())
        for place in places:
            emit(str(place))
    next_step(f"loraloom epochs {name}")
