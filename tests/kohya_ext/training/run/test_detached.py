"""Runs that nobody watches: detached, killed, found again, and judged by their files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from trainings import SWITCH, plan, stopped_after_an_epoch

from kohya_ext.project import Project, ToolError
from kohya_ext.training.run.events import Event, StepFinished
from kohya_ext.training.run.follow import RunFollower
from kohya_ext.training.run.job import TrainingJob, job_of_project, runs_dir_of
from kohya_ext.training.run.record import (
    Result,
    RunOutcome,
    StopRequest,
    find_process,
    find_runs_in,
    read_result,
)
from kohya_ext.training.run.runner import launch, run_training
from kohya_ext.training.run.session import (
    apply_training,
    attach,
    find_training,
    require_training,
    start_detached,
    stop_training,
    watcher_command,
    write_inputs,
)

ROOT = Path(__file__).resolve().parents[4]


def test_a_handler_that_unwinds_ends_the_trainer(trainable: Project, monkeypatch):
    class Unwound(Exception):
        pass

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, StepFinished) and event.step:
            raise Unwound

    monkeypatch.setenv(SWITCH, "hang@2")
    planned = plan(trainable)
    with pytest.raises(Unwound):
        apply_training(planned, handle)
    (status,) = find_runs_in(planned.job.runs_dir)
    assert status.result is not None
    assert status.result.outcome is RunOutcome.STOPPED
    assert not status.is_running


def job_of(project: Project) -> TrainingJob:
    return job_of_project(project)


def test_a_detached_run_continues_and_is_found_again(trainable: Project):
    run = start_detached(plan(trainable))
    result = attach(run)
    assert result.outcome is RunOutcome.FINISHED
    assert find_training(job_of(trainable)) is None


def test_a_watcher_takes_only_our_packages(trainable: Project, tmp_path: Path):
    """As in the Kohya GUI: ours lie in another Python's folder, beside what would not load."""
    for package in ("kohya_ext", "dynprompts", "a1111_ext"):
        shutil.copytree(ROOT / package, tmp_path / "other" / package)
    for foreign in ("yaml", "jsonschema", "psutil", "struct"):
        text = "raise ImportError('compiled for another Python')"
        (tmp_path / "other" / f"{foreign}.py").write_text(text, encoding="utf-8")
    planned = plan(trainable)
    write_inputs(planned)
    words = watcher_command(tmp_path / "other", planned.run.folder)
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert answer.stderr == ""
    result = read_result(planned.run.folder)
    assert result is not None
    assert result.outcome is RunOutcome.FINISHED


def test_two_trainings_of_one_project_are_refused(trainable: Project, monkeypatch):
    monkeypatch.setenv(SWITCH, "hang@2")
    run = start_detached(plan(trainable))
    with pytest.raises(ToolError, match="LL394"):
        plan(trainable)
    stop_training(require_training(job_of(trainable)))
    assert attach(run).outcome is RunOutcome.STOPPED


def test_nothing_is_running(trainable: Project):
    with pytest.raises(ToolError, match="LL395"):
        require_training(job_of(trainable))


def killed(trainable: Project, monkeypatch, *, whom: str) -> Result:
    """Start a hanging detached run, kill one process of it, and say how it was finalized."""
    monkeypatch.setenv(SWITCH, "hang@2")
    planned = plan(trainable, save_states=True)
    run = start_detached(planned)
    follow = RunFollower(run)
    tree = None
    while follow.step is None or follow.step.step < 1:
        follow.poll()
        tree = find_process(run.folder)
    assert tree is not None
    watcher = psutil.Process(tree.pid).parent()
    assert watcher is not None
    family = [one for one in tree.members() if one.pid != watcher.pid]
    victim = watcher if whom == "watcher" else psutil.Process(tree.pid)
    victim.kill()
    victim.wait(30)
    if whom == "watcher":
        stop_training(run)
    result = attach(run)
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]
    return result


def test_a_killed_trainer_is_reported(trainable: Project, monkeypatch):
    result = killed(trainable, monkeypatch, whom="trainer")
    assert (result.outcome, result.code) == (RunOutcome.FAILED, "LL390")
    assert "signal 9" in result.problem or os.name == "nt"


def test_a_killed_watcher_is_replaced(trainable: Project, monkeypatch):
    assert killed(trainable, monkeypatch, whom="watcher").outcome is RunOutcome.STOPPED


def test_a_late_watcher_lets_the_verdict_stand(trainable: Project, monkeypatch):
    """Two watchers are started for an unwatched run; the second comes when all is over."""
    stopped = stopped_after_an_epoch(trainable, monkeypatch, StopRequest.AFTER_EPOCH)
    (status,) = find_runs_in(runs_dir_of(trainable))
    assert run_training(status.plan) == stopped
    (status,) = find_runs_in(runs_dir_of(trainable))
    assert status.result == stopped


def test_a_run_that_ended_unseen_is_judged_by_its_files(trainable: Project):
    planned = plan(trainable)
    write_inputs(planned)
    launch(planned.run).wait(60)
    assert find_training(job_of(trainable)) is None
    (status,) = find_runs_in(planned.job.runs_dir)
    assert status.result is not None
    assert status.result.outcome is RunOutcome.FINISHED


def test_a_watcher_that_cannot_begin_is_reported(trainable: Project, monkeypatch):
    planned = plan(trainable)
    failing = (sys.executable, "-c", "raise SystemExit(1)")
    monkeypatch.setattr(
        "kohya_ext.training.run.session.watcher_command", lambda root, folder: failing
    )
    with pytest.raises(ToolError, match="LL398"):
        start_detached(planned)


def test_a_trainer_that_cannot_be_started_is_written_down(trainable: Project):
    planned = plan(trainable)
    broken = replace(planned.run, command=(str(trainable.root / "no-python"),))
    with pytest.raises(ToolError, match="LL116"):
        apply_training(replace(planned, run=broken))
    (status,) = find_runs_in(planned.job.runs_dir)
    assert status.result is not None
    assert status.result.code == "LL116"
