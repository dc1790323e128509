"""Start a run, watch it to its end, and write down how it ended; finalize one that ended unseen.

The trainer writes its streams to files in a session of its own, so it outlives whoever watches,
and anyone may continue watching from the first line.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ...project import ConflictError, Project, ToolError, open_project
from ...project.process import Child, ProcessTree, holding, new_mark, start
from .before_training import free_for_training
from .earlier import drop_old_states
from .follow import EventHandler, RunFollower, unheard
from .keychain import with_stored_secrets
from .record import (
    Result,
    RunOutcome,
    RunPlan,
    RunStatus,
    StopRequest,
    find_process,
    find_runs_in,
    read_ask,
    read_result,
    read_run_status,
    write_process,
    write_result,
)
from .verify import judge

POLL_SECONDS = 0.25
"""How often the streams are read: an error is on screen within a second, at next to no cost."""

_EXIT_SECONDS = 10.0


def launch(plan: RunPlan, environment: Mapping[str, str] = os.environ) -> Child:
    """Start the planned process and write down which one it is, also if we die in between."""
    mark = new_mark()
    write_process(plan, ProcessTree(0, 0.0, mark))
    own = with_stored_secrets(environment, plan.config_text)
    child = start(
        plan.command,
        folder=plan.work_folder,
        environment={**own, **dict(plan.environment)},
        stdout=plan.stdout,
        stderr=plan.stderr,
        mark=mark,
    )
    write_process(plan, child.tree)
    return child


def watch(
    follow: RunFollower,
    tree: ProcessTree,
    exit_code: Callable[[], int | None],
    handler: EventHandler = unheard,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> RunOutcome | None:
    """Follow a running process to its end, ending it on NaN, no data or when asked to.

    Returns why we ended it; None: it ended itself. `exit_code` returns None while it runs, and
    always for a process that is not our child.
    """
    saves_when_asked: int | None = None
    while True:
        ended = not tree.is_running
        code = exit_code()
        asked = read_ask(follow.plan.folder)
        if asked in (StopRequest.AFTER_EPOCH, StopRequest.PAUSE) and saves_when_asked is None:
            saves_when_asked = len(follow.saved)
        for event in follow.events():
            handler(event, follow)
        if follow.no_data or follow.first_nan is not None:
            tree.end()
            return RunOutcome.NO_DATA if follow.no_data else RunOutcome.NAN
        if code is not None or ended:
            tree.end()  # loader workers may outlive their parent
            return None
        # An epoch file that was begun since is whole once the next epoch began, too.
        if asked is StopRequest.NOW or (
            saves_when_asked is not None and follow.epochs_begun_after_save > saves_when_asked
        ):
            tree.end()
            return RunOutcome.STOPPED
        sleep(POLL_SECONDS)


def run_training(plan: RunPlan, handler: EventHandler = unheard) -> Result:
    """Start a planned run, or continue watching it, and finalize it. One watcher at a time.

    Raises ConflictError when another program watches it.
    """
    with holding(plan.lock) as got:
        if not got:
            raise ConflictError(
                "LL394",
                f"Run {plan.run_id} of {plan.name} is followed by another program.",
                "Follow it with `loraloom train --attach`.",
            )
        ended = read_result(plan.folder)  # another watcher was quicker: how it ended stands
        return ended or _watch_to_the_end(plan, handler)


def _watch_to_the_end(plan: RunPlan, handler: EventHandler) -> Result:
    project = open_project(Path(plan.project)) if plan.project else None
    tree = find_process(plan.folder)
    try:
        with _freed(plan, project, started=tree is not None):
            child: Child | None = None
            if tree is None:
                _journal_start(project, plan)
                child = launch(plan)
            result, interruption = _see_through(plan, child, child.tree if child else tree, handler)
    except ToolError as error:  # a plugin or the start itself failed: nothing was trained
        if read_result(plan.folder) is None:
            failed = Result(RunOutcome.FAILED, error.code, error.problem, error.cure)
            _write_down(plan, project, failed)
        raise
    if interruption is not None and not isinstance(interruption, KeyboardInterrupt):
        raise interruption
    return result


def _see_through(
    plan: RunPlan, child: Child | None, tree: ProcessTree | None, handler: EventHandler
) -> tuple[Result, BaseException | None]:
    """Watch a process to its end and write down how it ended, also when watching is broken off."""
    assert tree is not None
    began, follow = (plan.folder / "plan.json").stat().st_mtime, RunFollower(plan)
    interruption: BaseException | None = None
    why: RunOutcome | None = RunOutcome.STOPPED
    try:
        why = watch(follow, tree, child.poll if child else lambda: None, handler)
    except BaseException as stop:  # noqa: BLE001  # Ctrl-C, or a handler that unwinds its step
        tree.end()
        interruption = stop
    follow.poll()
    result = judge(follow, why, _exit_code(child) if child else None)
    seconds = round(time.time() - began, 1)
    project = open_project(Path(plan.project)) if plan.project else None
    return _write_down(plan, project, replace(result, seconds=seconds)), interruption


def _exit_code(child: Child) -> int | None:
    """Return the exit code of an ended child; its last threads may take a moment to go."""
    try:
        return child.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def _freed(plan: RunPlan, project: Project | None, *, started: bool) -> Iterator[None]:
    """Free the graphics card through plugins when the project says so, and give it back."""
    wanted = project is not None and project.manifest.training.free_webui and not started
    with free_for_training(Path(plan.project) if wanted else None):
        yield


def _journal_start(project: Project | None, plan: RunPlan) -> None:
    if project is None:
        return
    project.journal.append(
        "train-start",
        run=plan.run_id,
        trainer=plan.trainer_version,
        script=plan.script,
        base_model=Path(plan.base_model).name,
        data=plan.data_hash,
        pictures=plan.pictures,
        epochs=plan.epochs,
        steps=plan.steps,
        resumed_from=Path(plan.resumed_from).name,
    )


def _write_down(plan: RunPlan, project: Project | None, result: Result) -> Result:
    write_result(plan, result)
    if result.outcome is not RunOutcome.NAN:  # the newest states would hold NaN as well
        drop_old_states(plan)
    if project is not None:
        project.journal.append(
            "train-end",
            run=plan.run_id,
            outcome=result.outcome.value,
            code=result.code,
            problem=result.problem,
            files={one.name: [one.epoch, one.steps] for one in result.files},
            trainer_steps=result.trainer_steps,
            last_loss=result.last_loss,
            seconds=result.seconds,
        )
    return result


def finalize(status: RunStatus) -> Result:
    """Judge a run that ended unseen, by its streams and files, and write it down."""
    with holding(status.plan.lock) as got:
        again = read_run_status(status.folder)
        if not got or again.result is not None or again.is_running:
            return again.result or Result(RunOutcome.LOST)
        plan = again.plan
        tree = find_process(plan.folder)
        if tree is not None:
            tree.end()  # workers of a trainer that was killed
        follow = RunFollower(plan)
        follow.poll()
        project = open_project(Path(plan.project)) if plan.project else None
        return _write_down(plan, project, judge(follow, None, None, unseen=True))


def find_current(runs_dir: Path) -> RunStatus | None:
    """Return the run that is in progress, if any, after finalizing those that ended unseen."""
    current = None
    for status in find_runs_in(runs_dir):
        if status.needs_finalizing:
            finalize(status)
        elif status.result is None:
            current = status
    return current
