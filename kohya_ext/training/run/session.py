"""One training from start to end: plan it, run it, watch one that runs, ask it to stop.

What the command line, the tab and the demo call: `plan_training`, then `apply_training`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ...dataset.ratio import read_ratio
from ...project import ConflictError, HostError, MissingError, ProgressHandler, ToolError, silent
from ...project.epochs import read_epoch_file
from ...project.files import link_or_copy, write_json_atomic
from ...project.process import Child, start
from ..checks.machine import ALWAYS_NEEDED, find_gpus
from ..checks.preflight import Preflight, run_preflight
from ..config.call_values import effective, processes_of
from ..config.toml import format_toml
from ..config.validation import AS_IT_SAYS, Validation, with_validation
from ..dataset.expected import save_every
from ..dataset.folders import dataset_hash, dataset_rows
from ..trainer import Trainer, probe, scripts_version
from .continuation import find_last
from .earlier import Move, apply_moves, numbered_state, plan_moves
from .follow import EventHandler, RunFollower, unheard
from .job import TrainingJob, write_project_config, write_prompts
from .launch import command_of, environment_of
from .record import (
    Result,
    RunPlan,
    StopRequest,
    ask,
    find_process,
    find_runs_in,
    new_run_id,
    read_run_status,
    write_plan,
)
from .runner import POLL_SECONDS, finalize, find_current, run_training
from .states import SavedState, state_at


@dataclass(frozen=True)
class RunOptions:
    """What may be asked beside the config.

    `weights` is a LoRA file to continue from without a state: an undercooked one gets more epochs.
    """

    resume: SavedState | None = None
    epochs: int | None = None
    save_states: bool = False
    keep_states: int = 1
    move_old: bool = False
    weights: Path | None = None
    validation: Validation = AS_IT_SAYS


def adjust(job: TrainingJob, options: RunOptions) -> TrainingJob:
    """Put the options into the call: states to save, a state to continue from, other epochs."""
    toml = dict(job.call.toml)
    if options.epochs:
        toml["max_train_epochs"] = options.epochs
        toml.pop("max_train_steps", None)
    if options.save_states:
        toml["save_state"] = True
        toml["save_last_n_epochs_state"] = options.keep_states
    if options.resume is not None:
        toml |= options.resume.arguments
    if options.weights is not None:
        toml |= {"network_weights": str(options.weights.absolute()), "dim_from_weights": True}
        done = epochs_done(job, options)
        toml |= {"initial_epoch": done + 1} if done else {}
    call = replace(job.call, toml=toml)
    return replace(job, call=with_validation(call, options.validation))


def epochs_done(job: TrainingJob, options: RunOptions) -> int:
    """Return how many epochs lie before the run: those of its state, or of its own weights.

    A LoRA of another folder or name, or one that is moved aside, is a beginning.
    """
    if options.resume is not None:
        return options.resume.epoch
    weights = options.weights
    if weights is None or options.move_old or not weights.is_file():
        return 0
    if weights.suffix != ".safetensors" or weights.resolve().parent != job.output_dir.resolve():
        return 0
    try:
        found = read_epoch_file(weights)
    except ToolError:
        return 0
    return found.epoch or 0 if found.output_name == job.name else 0


@dataclass(frozen=True)
class TrainingPlan:
    """A training that passed its preflight: what it would do, and the run that would do it."""

    job: TrainingJob
    trainer: Trainer
    options: RunOptions
    preflight: Preflight
    run: RunPlan
    moves: tuple[Move, ...] = ()


def plan_training(
    job: TrainingJob,
    trainer: Trainer,
    options: RunOptions = RunOptions(),
    *,
    progress: ProgressHandler = silent,
) -> TrainingPlan:
    """Check a job and plan its run; nothing is written or started.

    The same job that was cut off continues from its last state. Raises the preflight's first error
    as ToolError, ConflictError while the job runs, or AlreadyTrained.
    """
    options = _with_own_state(job, options)
    require_idle(job)
    is_asked = options.resume is not None or options.move_old or options.weights is not None
    last = None if is_asked else find_last(job, adjust(job, options))
    if last is not None:
        options = replace(options, resume=last.state)
    adjusted = adjust(job, options)
    allowed = bool(options.move_old or last or epochs_done(job, options))
    preflight = run_preflight(
        adjusted.call,
        trainer,
        resuming=allowed,
        scores_dir=job.scores_dir,
        project=job.project,
        may_be_freed=job.frees_card,
        progress=progress,
    )
    if last is not None:
        epochs = preflight.steps.epochs if preflight.steps else 0
        last.require_continuable(epochs, _data_hash(adjusted, preflight))
    preflight.require_ok()
    options = _with_numbered_state(job, options)
    adjusted = _with_first_step(adjust(job, options), preflight)
    run = plan_run(adjusted, trainer, preflight, options)
    moves = plan_moves(run, aside=options.move_old)
    return TrainingPlan(adjusted, trainer, options, preflight, run, moves)


def _with_first_step(job: TrainingJob, preflight: Preflight) -> TrainingJob:
    """Name the first step where several processes continue after an epoch.

    train_network.py takes the batches of one process for those of all, so that `initial_epoch`
    alone begins an epoch too early; `initial_step` overrides it.
    """
    toml = job.call.toml
    first = toml.get("initial_epoch")
    is_one = processes_of(job.call.launch) < 2
    if is_one or not isinstance(first, int) or preflight.steps is None or "initial_step" in toml:
        return job
    step = (first - 1) * preflight.steps.steps_per_epoch
    return replace(job, call=replace(job.call, toml={**toml, "initial_step": step}))


def _with_numbered_state(job: TrainingJob, options: RunOptions) -> RunOptions:
    """Name the state of a last epoch as it will be called when the run begins."""
    state = options.resume
    if state is None or options.move_old or state.path != job.output_dir / f"{job.name}-state":
        return options
    numbered = numbered_state(state.path, job.name)
    return replace(options, resume=replace(state, path=numbered)) if numbered else options


def _data_hash(job: TrainingJob, preflight: Preflight) -> str:
    extension = str(effective(job.call).get("caption_extension", ".caption"))
    return dataset_hash(preflight.pictures, extension)


def apply_training(plan: TrainingPlan, handler: EventHandler = unheard) -> Result:
    """Start the planned run, watch it to its end and verify what it left.

    `handler` gets every event with how far the run is; `progress_of` makes one of a progress
    handler. The result's outcome is FINISHED only when all epoch files are there, open, and say
    the expected epochs and steps; else its `problem` and `cure` say why. From another thread or
    program `stop_training` ends it; Ctrl-C stops it at once.
    """
    write_inputs(plan)
    return run_training(plan.run, handler)


def start_detached(plan: TrainingPlan) -> RunPlan:
    """Start the planned run with a watcher of its own, which outlives us; `attach` watches.

    Raises HostError when the watcher ends before it has begun.
    """
    write_inputs(plan)
    watcher = start_watcher(plan.run)
    while True:
        status = read_run_status(plan.run.folder)
        if status.is_watched or status.result is not None:
            return plan.run
        if watcher.poll() is not None:
            raise HostError(
                "LL398",
                f"The watcher of run {plan.run.run_id} ended at once.",
                f"{plan.run.folder / 'watcher.txt'} contains the reason; train without --detach.",
            )
        time.sleep(POLL_SECONDS)


def start_watcher(run: RunPlan) -> Child:
    """Start a watcher that nobody needs to look at; it waits a moment for another one's end."""
    log = run.folder / "watcher.txt"
    watcher = start(
        watcher_command(Path(__file__).resolve().parents[3], run.folder),
        folder=run.folder,
        environment={**os.environ, "PYTHONUTF8": "1"},
        stdout=log,
        stderr=log,
    )
    watcher.leave()
    return watcher


_WATCH = """
import importlib.machinery, sys
root = sys.argv.pop(1)
class OurPackages:
    @staticmethod
    def find_spec(name, path=None, target=None):
        ours = name in ("kohya_ext", "dynprompts", "a1111_ext")
        return importlib.machinery.PathFinder.find_spec(name, [root]) if ours else None
sys.meta_path.insert(0, OurPackages)
from kohya_ext.training.run.watcher import main
sys.exit(main(sys.argv[1:]))
"""


def watcher_command(root: Path, folder: Path) -> tuple[str, ...]:
    """Return the words that start a watcher of the run in `folder`, with our packages in `root`.

    Nothing else is taken from `root`: inside the Kohya GUI it may be the site-packages of another
    Python, whose compiled packages would break ours and the trainer's.
    """
    return (sys.executable, "-c", _WATCH, str(root), str(folder))


def attach(
    run: RunPlan, handler: EventHandler = unheard, *, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Follow a run to its end, whoever watches it; take it over when its watcher dies.

    Interrupting this leaves a watched run alone.
    """
    follow = RunFollower(run)
    watcher: Child | None = None
    while True:
        status = read_run_status(run.folder)
        for event in follow.events():
            handler(event, follow)
        if status.result is not None:
            return status.result
        if status.needs_finalizing and find_process(run.folder) is not None:
            return finalize(status)
        alone = status.is_running and not status.is_watched
        if alone and (watcher is None or watcher.poll() is not None):
            watcher = start_watcher(run)
        sleep(POLL_SECONDS)


def find_training(job: TrainingJob) -> RunPlan | None:
    """Return the run of a job that is in progress, if any."""
    status = find_current(job.runs_dir)
    return status.plan if status else None


def require_training(job: TrainingJob) -> RunPlan:
    """Return the run that is in progress. Raises MissingError."""
    run = find_training(job)
    if run is None:
        raise MissingError(
            "LL395",
            f"{job.name} is not being trained.",
            "Start it with `loraloom train`; `loraloom report` shows how the last one ended.",
        )
    return run


def stop_training(run: RunPlan, what: StopRequest = StopRequest.NOW) -> None:
    """Ask a run to end, now or after its next saved epoch; whoever watches it does so.

    A run that nobody watches any more gets a watcher, which does. Raises ConflictError when a
    pause is asked of a run that saves no states.
    """
    if what is StopRequest.PAUSE and not run.saves_states:
        raise ConflictError(
            "LL397",
            f"Run {run.run_id} of {run.name} saves no states, so it cannot be resumed after a "
            "pause.",
            "Stop it with --stop-after-epoch and continue from its last epoch file, or start it "
            "with --save-states next time.",
        )
    ask(run.folder, what)
    if not read_run_status(run.folder).is_watched:
        start_watcher(run)


def _with_own_state(job: TrainingJob, options: RunOptions) -> RunOptions:
    """Take a state that the config itself names as one to resume, with its right epoch number."""
    named = str(job.call.toml.get("resume") or "")
    if options.resume is not None or not named:
        return options
    return replace(options, resume=state_at(Path(named)))


def plan_run(
    job: TrainingJob,
    trainer: Trainer,
    preflight: Preflight,
    options: RunOptions = RunOptions(),
    *,
    now: Callable[[], datetime] = datetime.now,
) -> RunPlan:
    """Plan a run of an adjusted job that passed its preflight.

    Raises MissingError or ConflictError.
    """
    require_idle(job)
    values = effective(job.call)
    run_id = new_run_id(now(), job.runs_dir)
    folder = job.runs_dir / run_id
    steps = preflight.steps
    from_weights = options.weights if options.resume is None and epochs_done(job, options) else None
    return RunPlan(
        run_id=run_id,
        name=str(values.get("output_name") or "last"),
        folder=folder,
        project=str(job.project.root) if job.project else "",
        trainer=str(trainer.folder),
        trainer_version=scripts_version(trainer.folder),
        script=job.call.script_name,
        command=command_of(job, trainer, folder / "config.toml"),
        work_folder=trainer.folder,
        environment=environment_of(job, trainer),
        config_text=format_toml(_with_own_weights(job, options, folder)),
        output_dir=job.output_dir,
        suffix=f".{values.get('save_model_as') or 'safetensors'}",
        has_metadata=not values.get("no_metadata"),
        epochs_done=epochs_done(job, options),
        epochs=steps.epochs if steps else 0,
        steps_per_epoch=steps.steps_per_epoch if steps else 0,
        max_steps=steps.max_steps if steps else 0,
        save_every=save_every(values, steps.epochs if steps else 0),
        keep_last=int(values.get("save_last_n_epochs") or 0),
        saves_states=bool(values.get("save_state")),
        resumed_from=str(options.resume.path if options.resume else from_weights or ""),
        logging_dir=str(values.get("logging_dir") or ""),
        base_model=str(values.get("pretrained_model_name_or_path") or ""),
        data_hash=_data_hash(job, preflight),
        pictures=len(preflight.pictures),
        draws=steps.draws if steps else 0,
        keep_states=int(values.get("save_last_n_epochs_state") or 0),
        saves_steps=bool(values.get("save_every_n_steps")),
    )


def _own_weights(weights: Path, folder: Path) -> Path:
    """Return where a run keeps the weights it continues from; they may be moved aside meanwhile."""
    return folder / f"weights{weights.suffix}"


def _with_own_weights(job: TrainingJob, options: RunOptions, folder: Path) -> Mapping[str, Any]:
    if options.weights is None:
        return job.call.toml
    return {**job.call.toml, "network_weights": str(_own_weights(options.weights, folder))}


def finalize_unseen(job: TrainingJob) -> tuple[Result, ...]:
    """Judge runs of this job that ended while nobody watched; return how they ended."""
    unseen = [one for one in find_runs_in(job.runs_dir) if one.needs_finalizing]
    return tuple(finalize(one) for one in unseen)


def require_idle(job: TrainingJob) -> None:
    """Raise ConflictError while a run of this job is in progress; finalize those that ended."""
    for status in find_runs_in(job.runs_dir):
        if status.result is None and (status.is_running or status.is_watched):
            raise ConflictError(
                "LL394",
                f"{job.name} is being trained already (run {status.plan.run_id}).",
                "Follow it with `loraloom train --attach` or stop it with `loraloom train --stop`.",
            )
    finalize_unseen(job)


def write_inputs(plan: TrainingPlan) -> None:
    """Write all that the trainer reads, and make room for what it writes."""
    job, run = plan.job, plan.run
    if job.project is not None:
        write_project_config(job.project)
    run.output_dir.mkdir(parents=True, exist_ok=True)
    weights = plan.options.weights
    if weights is not None:
        link_or_copy(weights, _own_weights(weights, run.folder))
    apply_moves(plan.moves)
    write_prompts(job.call)
    write_plan(run)
    extension = str(effective(job.call).get("caption_extension", ".caption"))
    rows = dataset_rows(plan.preflight.pictures, extension)
    ratio = read_ratio(job.project) if job.project else None
    facts = {"pictures": rows, **({"ratio": str(ratio)} if ratio else {})}
    write_json_atomic(run.folder / "data.json", facts)
    write_json_atomic(run.folder / "environment.json", _surroundings(plan.trainer))


def _surroundings(trainer: Trainer) -> dict[str, Any]:
    """Return which versions a run is made with; a simulation has none that matter."""
    if trainer.is_simulated:
        return {"sd_scripts": scripts_version(trainer.folder)}
    found = probe(trainer, ALWAYS_NEEDED)
    return {
        "sd_scripts": found.sd_scripts_version,
        "python": found.python_version,
        "packages": dict(found.packages),
        "gpus": [asdict(card) for card in find_gpus()],
    }
