"""`loraloom train`: start a training, watch it, stop it, continue with it."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..project import ToolError
from ..project.cli import (
    RelatedOption,
    TypedPath,
    dry_run_option,
    emit,
    emit_json,
    json_option,
    next_step,
    progress_bar,
    say,
)
from ..project.shell import (
    shell_path,
    shell_words,
)
from .closing import when_closed
from .training_options import (
    duration,
    job_options,
    job_words,
    named_trainer,
    read_job,
    trainer_option,
    training_bar,
    validation_options,
)

if TYPE_CHECKING:
    from ..training.run.job import TrainingJob
    from ..training.run.record import Result, RunPlan
    from ..training.run.session import TrainingPlan

_STOPPED = 130


@dataclass(frozen=True)
class TrainOptions:
    """The options of `train`; `act` is what is asked of a running training instead."""

    epochs: int | None
    save_states: bool
    keep_states: int
    resume: bool
    weights: Path | None
    validation_split: float | None
    validate_every: int | None
    move_old: bool
    detach: bool
    act: str | None
    dry_run: bool
    as_json: bool


_act_option = partial(
    click.option, cls=RelatedOption, only_with=("--config", "--gui", "--json", "--trainer")
)


@click.command()
@job_options
@trainer_option
@click.option("--epochs", type=click.IntRange(min=1), help="Total number of epochs.")
@click.option("--save-states", is_flag=True, help="Save states, to resume the training later.")
@click.option(
    "--keep-states",
    cls=RelatedOption,
    needs="--save-states",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of newest states to keep on disk.",
)
@click.option("--resume", is_flag=True, help="Resume from the newest complete state.")
@click.option(
    "--weights",
    type=TypedPath(),
    help="Continue from this LoRA file, without a state: an undertrained one gets more epochs.",
)
@validation_options
@click.option("--move-old", is_flag=True, help="Move an earlier run's epoch files aside first.")
@click.option("--detach", is_flag=True, help="Keep training after this terminal closes.")
@_act_option("--attach", "act", flag_value="attach", help="Follow a running training.")
@_act_option("--stop", "act", flag_value="stop", help="Stop a running training now.")
@_act_option(
    "--stop-after-epoch",
    "act",
    flag_value="after-epoch",
    help="Stop after the next saved epoch.",
)
@_act_option("--pause", "act", flag_value="pause", help="Stop after the next saved state.")
@dry_run_option
@json_option
def train(
    project: str | None, config: Path | None, version: str, trainer: str | None, **given: Any
) -> int:
    """Train the LoRA of PROJECT, or of any config, and verify the result.

    `loraloom check` runs first. Ctrl-C stops the training; whole epoch
    files stay. Success means: every epoch file is there, opens, and has the expected steps.
    """
    from ..training.config.validation import Validation
    from ..training.run.continuation import AlreadyTrained
    from ..training.run.session import (
        RunOptions,
        apply_training,
        finalize_unseen,
        plan_training,
        start_detached,
        start_watcher,
    )
    from ..training.run.states import require_state
    from ..training.trainer import require_trainer

    asked = TrainOptions(**given)
    job = read_job(project, config, version)
    if asked.act is not None:
        return _act(asked.act, job, config, asked.as_json)
    chosen = named_trainer(trainer) or require_trainer()
    for ended in finalize_unseen(job):
        say(
            f"the last run ended in the meantime: {ended.problem or ended.outcome.value} "
            f"{ended.cure}"
        )
    state = require_state(job.output_dir, job.name) if asked.resume else None
    options = RunOptions(
        state,
        asked.epochs,
        asked.save_states,
        asked.keep_states,
        asked.move_old,
        asked.weights,
        Validation(asked.validation_split, asked.validate_every),
    )
    try:
        with progress_bar() as progress:
            plan = plan_training(job, chosen, options, progress=progress)
    except AlreadyTrained as done:
        say(str(done))
        return _end(job, config, done.result, asked.as_json, is_new=False)
    _tell(plan)
    if asked.dry_run:
        _show(plan, asked.as_json)
        next_step()
        return 0
    _tell_others(plan.run)
    if chosen.is_simulated:
        say("simulated trainer: it trains nothing; its LoRA files are only for practice")
    if asked.detach:
        run = start_detached(plan)
        emit(str(run.folder))
        next_step(f"loraloom train {job_words(job, config)} --attach")
        return 0
    with when_closed(partial(start_watcher, plan.run)), training_bar() as handler:
        result = apply_training(plan, handler)
    return _end(job, config, result, asked.as_json)


def _tell(plan: TrainingPlan) -> None:
    from ..training.dataset.steps import length_line

    for note in plan.job.notes:
        say(f"note: {note}")
    for one in plan.preflight.warnings:
        say(f"warning: {one}")
    run = plan.run
    for move in plan.moves:
        say(f"kept: {move.source.name} as {move.target.relative_to(run.output_dir)}")
    if run.epochs_done:
        say(f"continuing after epoch {run.epochs_done}, from {run.resumed_from}")
    if run.epochs:
        length = length_line(
            run.steps, run.epochs, run.steps_per_epoch, pictures=run.pictures, draws=run.draws
        )
        say(f"{run.name}: {length}")


def _tell_others(run: RunPlan) -> None:
    """Say what must be started on the further machines: the training waits for them."""
    from ..training.run.launch import commands_elsewhere

    for rank, command in enumerate(commands_elsewhere(run.command), start=1):
        say(f"run this on machine {rank}; the training waits for it: {shell_words(command)}")


def _show(plan: TrainingPlan, as_json: bool) -> None:
    from ..training.run.launch import commands_elsewhere

    run = plan.run
    if as_json:
        emit_json(
            {
                "command": list(run.command),
                "elsewhere": [list(one) for one in commands_elsewhere(run.command)],
                "environment": dict(run.environment),
                "config": plan.job.call.toml,
                "steps": run.steps,
                "epochs": run.epochs,
                "files": [vars(one) for one in run.expected],
            }
        )
    else:
        emit(shell_words(run.command))
        for rank, command in enumerate(commands_elsewhere(run.command), start=1):
            emit(f"on machine {rank}: {shell_words(command)}")
        emit(run.config_text.rstrip())
    say("nothing was done (--dry-run)")


def _act(act: str, job: TrainingJob, config: Path | None, as_json: bool) -> int:
    from ..training.run.record import StopRequest
    from ..training.run.session import attach, require_training, stop_training

    run = require_training(job)
    if act == "attach":
        try:
            with training_bar() as handler:
                result = attach(run, handler)
        except KeyboardInterrupt:
            say(f"The training continues. To follow it: loraloom train {job_words(job, config)} "
                "--attach")  # fmt: skip
            return _STOPPED
        return _end(job, config, result, as_json)
    asked = {
        "stop": StopRequest.NOW,
        "after-epoch": StopRequest.AFTER_EPOCH,
        "pause": StopRequest.PAUSE,
    }[act]
    stop_training(run, asked)
    when = "now" if asked is StopRequest.NOW else "when its next epoch is saved"
    emit(f"{run.name} stops {when}.")
    next_step(f"loraloom train {job_words(job, config)} --attach")
    return 0


def _end(
    job: TrainingJob, config: Path | None, result: Result, as_json: bool, *, is_new: bool = True
) -> int:
    from ..training.run.record import RunOutcome

    if as_json:
        emit_json(
            {
                "outcome": result.outcome.value,
                "code": result.code,
                "problem": result.problem,
                "cure": result.cure,
                "exit_code": result.exit_code,
                "files": [vars(one) for one in result.files],
                "last_step": result.last_step,
                "last_loss": result.last_loss,
                "seconds": result.seconds,
            }
        )
    if result.outcome is RunOutcome.FINISHED:
        if not as_json:
            for one in result.files:
                emit(f"{one.name}: epoch {one.epoch}, step {one.step or one.steps}")
        if is_new:
            say(f"trained and verified in {duration(result.seconds)}")
        place = job.project.root if job.project else job.output_dir
        next_step(f"loraloom epochs {shell_path(place)}")
        return 0
    if result.outcome is RunOutcome.STOPPED:
        say(f"Stopped at step {result.last_step}. {result.cure}")
        next_step(f"loraloom train {job_words(job, config)}{_way_on(job)}")
        return _STOPPED
    raise ToolError(result.code, result.problem, result.cure)


def _way_on(job: TrainingJob) -> str:
    """Return the option that a stopped training continues with: its state, or else again."""
    from ..training.run.states import find_states

    if find_states(job.output_dir, job.name):
        return " --resume"
    saved = any(job.output_dir.glob(f"{glob.escape(job.name)}*.safetensors"))
    return " --move-old" if saved else ""
