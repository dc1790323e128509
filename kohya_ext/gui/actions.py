"""The steps of the workflow that the tab's buttons run: the same plans that the commands apply."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..captions.captioning import apply_captions, plan_captions, read_rules, score_pictures
from ..captions.lint import lint_project
from ..dataset.advice import advise
from ..dataset.intake import apply_import, plan_import
from ..dataset.layout import apply_layout, plan_layout
from ..dataset.roles_csv import Role
from ..project import ProgressHandler, Project, ToolError, read_settings
from ..project.background_jobs import Say, StepStopped, Work, stoppable
from ..project.manifest_edit import edit_manifest
from ..project.tagging import Tagger, open_tagger
from ..project.tagging.fetch import apply_fetch, plan_fetch
from ..project.wording import counted
from ..training.checks.preflight import Preflight, run_preflight
from ..training.config.of_project import apply_config, plan_config
from ..training.queue import QueueEntry, run_queue
from ..training.run.events import ErrorLogged, Event, Saving, Warned
from ..training.run.follow import RunFollower, progress_of
from ..training.run.job import job_of_project
from ..training.run.record import Result, RunOutcome, RunPlan, StopRequest
from ..training.run.runner import find_current
from ..training.run.session import RunOptions, attach, plan_training, start_detached, stop_training
from ..training.run.states import require_state
from ..training.trainer import Trainer, TrainerSource, find_trainer, require_trainer, trainer_at
from .bridge import find_host_folder
from .live import LIVE
from .places import taggers_folder

Step = Callable[[Project, ProgressHandler, Say, threading.Event], None]


def work_of(step: Step, project: Project) -> Work:
    """Bind a step to a project, as a job runs it."""
    return lambda progress, say, stop: step(project, progress, say, stop)


def importing(folder: Path, *, rename: bool = False) -> Step:
    """Return the step that takes in the pictures of `folder`."""

    def run(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        progress = stoppable(progress, stop)
        plan = plan_import(project, folder, rename=rename, progress=progress)
        apply_import(project, plan, progress=progress)
        primary, supporting = plan.count(Role.PRIMARY), plan.count(Role.SUPPORTING)
        say(
            f"{counted(len(plan.new), 'picture')} imported: {primary} primary, {supporting} "
            "supporting."
        )
        for sentence in plan.known_sentences:
            say(f"{sentence[0].upper()}{sentence[1:]}.")
        for path, why in plan.broken:
            say(f"Left out: {path.name}. {why}")
        if plan.unread:
            say(plan.unread_sentence[0].upper() + plan.unread_sentence[1:])
        for sentence in plan.role_sentences:
            say(f"Role: {sentence}")
        for sentence in plan.alike_sentences:
            say(f"Near-duplicate: {sentence}")

    return run


def stage(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Make images/5_Trigger and images/2_Trigger."""
    progress = stoppable(progress, stop)
    plan = plan_layout(project, progress=progress)
    apply_layout(project, plan, progress=progress)
    for folder in plan.folders:
        say(f"{folder.name}: {counted(len(folder.pictures), 'picture')}, {folder.draws} per epoch")
    if plan.out:
        say(f"{len(plan.out)} left out.")
    for sentence in plan.role_sentences:
        say(f"Role: {sentence}")
    say(f"Ratio: {plan.ratio}")
    for sentence in advise(project, plan):
        say(f"Advice: {sentence}")


def caption(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Tag the staged pictures and write a caption beside each."""
    progress = stoppable(progress, stop)
    scores = score_pictures(project, _tagger(project), progress=progress)
    plan = plan_captions(project, scores, read_rules(project))
    apply_captions(project, plan)
    say(
        f"{counted(len(plan.captions), 'caption')}, {plan.changed} changed, {plan.edits} edited "
        "by hand."
    )
    if plan.frozen_sentence:
        say(f"By hand: {plan.frozen_sentence}")
    for slip in lint_project(project, {one.place.name: one.text for one in plan.captions}):
        say(f"Lint: {slip.problem} {slip.cure}")


def _tagger(project: Project) -> Tagger | None:
    settings = project.manifest.captions
    named = settings.model or read_settings().tagger_model
    if not named:
        return None
    return open_tagger(project.root / named, is_exact=settings.exact_pictures)


def fetching(repository: str) -> Step:
    """Return the step that fetches a tagger from the hub and gives it to the project."""

    def run(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        plan = plan_fetch(repository.strip(), taggers_folder())
        say(f"{plan.repository}: {plan.size_bytes / 1e6:.0f} MB.")
        folder = apply_fetch(plan, progress=stoppable(progress, stop))
        edit_manifest(project, {("captions", "model"): str(folder)})
        say(f"Fetched; every file matches its hash on the hub. The project now uses {folder}.")

    return run


def run_the_queue(
    project: Project | None, progress: ProgressHandler, say: Say, stop: threading.Event
) -> None:
    """Train what waits in the queue, one after the other."""
    report = progress_of(progress)

    def tell(entry: QueueEntry) -> None:
        problem = f" {entry.problem}" if entry.problem else ""
        say(f"{entry.number} {entry.name}: {entry.state.value}.{problem}")

    def handle(event: Event, follow: RunFollower) -> None:
        report(event, follow)
        if stop.is_set():
            stop_training(follow.plan)

    ended = run_queue(find_own_trainer() or require_trainer(), tell=tell, handler=handle)
    say(
        f"{counted(len(ended), 'training')} ended; the queue is empty."
        if ended
        else "The queue is empty."
    )


def config(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Write the Kohya json and the trainer's toml."""
    plan = plan_config(project, progress=stoppable(progress, stop))
    apply_config(project, plan)
    steps = plan.steps
    say(f"{plan.json_path.name} and {plan.toml_path.name} are written.")
    say(
        f"{counted(steps.draws, 'draw')} in "
        f"{counted(steps.batches_per_epoch, 'batch', 'batches')} = "
        f"{counted(steps.steps_per_epoch, 'step')} per epoch; {counted(steps.epochs, 'epoch')} "
        f"= {counted(steps.steps, 'step')}."
    )
    for sentence in plan.advice:
        say(f"Advice: {sentence}")


def check(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Find everything that would fail late, before a model is loaded."""
    progress = stoppable(progress, stop)
    job = job_of_project(project)
    trainer = find_own_trainer()
    if trainer is None:
        say("No trainer was found on this machine, so its packages were not checked.")
    preflight = run_preflight(
        job.call,
        trainer,
        may_be_freed=job.frees_card,
        scores_dir=job.scores_dir,
        project=project,
        progress=progress,
    )
    _tell(preflight, say)
    if preflight.errors:
        first = preflight.errors[0]
        raise ToolError(first.code, first.problem, first.cure)
    say("No problems found: the training can start.")


def _tell(preflight: Preflight, say: Say) -> None:
    for one in (*preflight.errors[1:], *preflight.warnings):
        say(f"{one.level.value.capitalize()}: {one}")
    if preflight.steps:
        say(f"{preflight.length}.")


def find_own_trainer() -> Trainer | None:
    """Find the trainer: the one remembered, that of the GUI that we live in, or another."""
    root = find_host_folder()
    if root is None or read_settings().trainer:
        return find_trainer()
    try:
        return trainer_at(root, Path(sys.executable), TrainerSource.KOHYA_GUI)
    except ToolError:  # its sd-scripts folder is empty, as in a clone without submodules
        return find_trainer()


def training(*, save_states: bool = False, resume: bool = False, move_old: bool = False) -> Step:
    """Return the step that trains and watches; the training outlives this program."""

    def run(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        checking = stoppable(progress, stop)
        job = job_of_project(project)
        trainer = find_own_trainer() or require_trainer()
        state = require_state(job.output_dir, job.name) if resume else None
        options = RunOptions(state, save_states=save_states, move_old=move_old)
        plan = plan_training(job, trainer, options, progress=checking)
        if trainer.is_simulated:
            say("SIMULATED trainer: it trains nothing; its LoRA files are only for practice.")
        _tell(plan.preflight, say)
        _follow(project, start_detached(plan), progress, say, stop)

    return run


def find_training_of(project: Project) -> RunPlan | None:
    """Return the project's training that is running, whoever started it."""
    current = find_current(project.log_dir / "runs")
    return current.plan if current else None


def follow_training(running: RunPlan) -> Step:
    """Return the step that watches a training which somebody else started."""

    def run(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        say(f"Run {running.run_id} was started elsewhere; its progress is shown here.")
        _follow(project, running, progress, say, stop)

    return run


def stop_after_epoch(project: Project) -> str:
    """Ask the project's training to end after its next saved epoch; say what happens now."""
    running = find_training_of(project)
    if running is None:
        return "No training is running."
    stop_training(running, StopRequest.AFTER_EPOCH)
    return "The training ends after its next saved epoch."


def _follow(
    project: Project,
    running: RunPlan,
    progress: ProgressHandler,
    say: Say,
    stop: threading.Event,
) -> None:
    """Follow a run to its end; `stop` ends the training itself, not only the following."""
    report = progress_of(progress)
    LIVE.begin(project.root)
    asked: list[StopRequest] = []

    def handle(event: Event, follow: RunFollower) -> None:
        report(event, follow)
        LIVE.take(project.root, event, follow)
        if isinstance(event, Saving):
            say(f"Saving {Path(event.path).name}")
        elif isinstance(event, Warned | ErrorLogged):
            say(f"The trainer says: {event.text}")

    def pause(seconds: float) -> None:
        if stop.is_set() and not asked:
            asked.append(StopRequest.NOW)
            stop_training(running)
        time.sleep(seconds)

    _tell_end(attach(running, handle, sleep=pause), say)


def _tell_end(result: Result, say: Say) -> None:
    for one in result.files:
        say(f"{one.name}: epoch {one.epoch}, step {one.step or one.steps}")
    if result.outcome is RunOutcome.FINISHED:
        say("Training finished; every epoch file is verified.")
    elif result.outcome is RunOutcome.STOPPED:
        raise StepStopped(f"Stopped at step {result.last_step}. {result.cure}")
    else:
        raise ToolError(result.code, result.problem, result.cure)
