"""The steps of the road that the tab's buttons run: the same plans that the commands apply."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..captions.captioning import apply_captions, plan_captions, read_rules, score_pictures
from ..dataset.advice import advise
from ..dataset.intake import apply_import, plan_import
from ..dataset.layout import apply_layout, plan_layout
from ..dataset.roles import Role
from ..project import ProgressHandler, Project, read_settings
from ..project.tagging import Tagger, open_tagger
from ..training.config import apply_config, plan_config
from .jobs import Say, Work, stoppable

Step = Callable[[Project, ProgressHandler, Say, threading.Event], None]


def work_of(step: Step, project: Project) -> Work:
    """Bind a step to a project, as a job runs it."""
    return lambda progress, say, stop: step(project, progress, say, stop)


def importing(folder: Path) -> Step:
    """Return the step that takes in the pictures of `folder`."""

    def run(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
        progress = stoppable(progress, stop)
        plan = plan_import(project, folder, progress=progress)
        apply_import(project, plan, progress=progress)
        primary, supporting = plan.count(Role.PRIMARY), plan.count(Role.SUPPORTING)
        say(f"{len(plan.new)} pictures taken in: {primary} primary, {supporting} supporting.")
        if plan.known:
            say(f"{len(plan.known)} were known already.")

    return run


def stage(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Make images/5_Trigger and images/2_Trigger."""
    progress = stoppable(progress, stop)
    plan = plan_layout(project, progress=progress)
    apply_layout(project, plan, progress=progress)
    for folder in plan.folders:
        say(f"{folder.name}: {len(folder.pictures)} pictures, {folder.draws} per epoch")
    for sentence in advise(plan):
        say(f"Advice: {sentence}")


def caption(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Tag the staged pictures and write a caption beside each."""
    progress = stoppable(progress, stop)
    scores = score_pictures(project, _tagger(project), progress=progress)
    plan = plan_captions(project, scores, read_rules(project))
    apply_captions(project, plan)
    say(f"{len(plan.captions)} captions, {plan.changed} changed, {plan.edits} edited by hand.")


def _tagger(project: Project) -> Tagger | None:
    named = project.manifest.captions.model
    if named:
        return open_tagger(project.root / named)
    remembered = read_settings().tagger_model
    return open_tagger(Path(remembered)) if remembered else None


def config(project: Project, progress: ProgressHandler, say: Say, stop: threading.Event) -> None:
    """Write the Kohya json and the trainer's toml."""
    plan = plan_config(project, progress=stoppable(progress, stop))
    apply_config(project, plan)
    steps = plan.steps
    say(f"{plan.json_path.name} and {plan.toml_path.name} are written.")
    say(
        f"{steps.draws} draws in {steps.batches_per_epoch} batches make "
        f"{steps.steps_per_epoch} steps per epoch; {steps.epochs} epochs make {steps.steps} steps."
    )
    for sentence in plan.advice:
        say(f"Advice: {sentence}")
