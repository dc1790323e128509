"""`loraloom check`: everything that would fail late, found before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..project.cli import emit, emit_json, json_option, next_step, progress_bar, say
from .training_options import (
    job_options,
    job_words,
    named_trainer,
    read_job,
    trainer_option,
    validation_options,
)

if TYPE_CHECKING:
    from ..training.checks.preflight import Preflight
    from ..training.run.job import TrainingJob


@click.command()
@job_options
@trainer_option
@validation_options
@json_option
def check(
    project: str | None,
    config: Path | None,
    version: str,
    trainer: str | None,
    validation_split: float | None,
    validate_every: int | None,
    as_json: bool,
) -> int:
    """Check PROJECT, or any config, without starting anything.

    Pictures are decoded completely, captions and folders read as the trainer reads them, every
    argument compared with what the trainer on this machine accepts. Exit code 1: it would fail.
    """
    from ..training.checks.preflight import run_preflight
    from ..training.config.validation import Validation, with_validation
    from ..training.trainer import find_trainer

    job = read_job(project, config, version)
    call = with_validation(job.call, Validation(validation_split, validate_every))
    found = named_trainer(trainer) or find_trainer()
    with progress_bar() as progress:
        preflight = run_preflight(
            call,
            found,
            scores_dir=job.scores_dir,
            project=job.project,
            may_be_freed=job.frees_card,
            progress=progress,
        )
    if found is None:
        say("No trainer was found on this machine, so its packages were not checked.")
    if as_json:
        emit_json(_as_dict(job, preflight))
    else:
        _show(job, preflight)
    if preflight.errors:
        next_step(f"fix that, then: loraloom check {job_words(job, config)}")
        return 1
    if found is None:
        next_step("loraloom trainer use FOLDER, or: loraloom trainer install")
    else:
        named = f" --trainer {trainer}" if trainer else ""
        next_step(f"loraloom train {job_words(job, config)}{named}")
    return 0


def _show(job: TrainingJob, preflight: Preflight) -> None:
    for note in job.notes:
        say(f"note: {note}")
    for one in preflight.findings:
        emit(f"{one.level.value}: {one}")
    if preflight.steps:
        emit(preflight.length)
    if not preflight.errors:
        emit("No problems found.")


def _as_dict(job: TrainingJob, preflight: Preflight) -> dict[str, Any]:
    steps = preflight.steps
    return {
        "name": job.name,
        "ok": not preflight.errors,
        "findings": [
            {"level": one.level.value, "code": one.code, "problem": one.problem, "cure": one.cure}
            for one in preflight.findings
        ],
        "notes": list(job.notes),
        "pictures": len(preflight.pictures),
        "draws": steps.draws if steps else None,
        "steps": steps.steps if steps else None,
        "epochs": steps.epochs if steps else None,
        "steps_per_epoch": steps.steps_per_epoch if steps else None,
        "epoch_file_bytes": preflight.file_bytes,
    }
