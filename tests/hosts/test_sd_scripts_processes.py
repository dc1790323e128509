"""Runs of a real sd-scripts that are stopped, killed, resumed, or shared by several processes.

Variables as in test_sd_scripts.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import open_project
from kohya_ext.project.epochs import read_epoch_file
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.run.follow import RunFollower
from kohya_ext.training.run.launch import commands_elsewhere
from kohya_ext.training.run.record import RunOutcome, StopRequest, ask, find_process
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import (
    TrainingPlan,
    apply_training,
    attach,
    start_detached,
    write_inputs,
)
from kohya_ext.training.run.states import require_state

from .sd_desk import Desk, files_of, until_training

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def test_paused_and_resumed_twice_no_epoch_repeats(desk: Desk, monkeypatch):
    monkeypatch.setenv("TINY_TRAINER_SLOW", "1")
    desk.write(epochs=4)
    assert desk.pause().outcome is RunOutcome.STOPPED
    first = require_state(desk.project.model_dir, "Quillfox")
    assert desk.pause(resume=first).outcome is RunOutcome.STOPPED
    second = require_state(desk.project.model_dir, "Quillfox")
    assert (first.epoch, second.epoch) == (1, 2)
    result = desk.train(resume=second)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert [one.name for one in result.files] == ["Quillfox-000003", "Quillfox"]
    found = {read_epoch_file(path).epoch for path in desk.project.model_dir.glob("*.safetensors")}
    assert found == {1, 2, 3, 4}


def test_the_launcher_trains_as_well(desk: Desk):
    desk.write(launch="--cpu --num_processes 1 --num_machines 1")
    planned = desk.plan()
    assert "accelerate.commands.launch" in planned.run.command
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem


def test_the_launchers_failure_is_the_trainers(desk: Desk):
    desk.write(launch="--cpu")
    planned = desk.plan()
    write_inputs(planned)
    planned.run.config_path.write_text("max_train_epochs = 1", encoding="utf-8")
    result = run_training(planned.run)
    assert (result.code, result.exit_code) == ("LL390", 1)
    assert "CalledProcessError" not in result.problem


TWO = "multi_gpu: true\n    num_processes: 2\n    main_process_port: {port}\n    network_dim: 4"
"""As for two cards: the launcher starts two processes, which meet through gloo on a processor."""


def for_two(desk: Desk, further: str = "num_machines: 1") -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        more = f"{further}\n    {TWO.format(port=free.getsockname()[1])}"
    text = desk.project.manifest_path.read_text(encoding="utf-8")
    desk.project.manifest_path.write_text(text.replace("network_dim: 4", more), encoding="utf-8")
    desk.project = open_project(desk.project.root)


@pytest.fixture(autouse=True)
def _on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate 1.15 lets processes without a GPU meet only where it is told to; 1.6 always."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")


def test_two_processes_share_the_steps(desk: Desk):
    write_pictures(desk.project.source_dir, recipes(5))
    apply_layout(desk.project, plan_layout(desk.project))
    one = desk.plan().run
    for_two(desk)
    planned = desk.plan()
    assert "accelerate.commands.launch" in planned.run.command
    assert planned.run.steps_per_epoch == -(-one.steps_per_epoch // 2)
    result = apply_training(planned)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert (result.trainer_steps, result.trainer_epochs) == (planned.run.steps, 2)
    assert files_of(desk) == [("Quillfox-000001", 1), ("Quillfox", 2)]


@pytest.mark.parametrize("whom", ["launcher", "first", "second", "nobody"])
def test_nothing_is_left_of_two_processes(desk: Desk, whom: str):
    desk.write(epochs=500, workers=1)
    for_two(desk)
    run = start_detached(desk.plan(save_states=True))
    until_training(run)
    tree = find_process(run.folder)
    assert tree is not None
    launcher = psutil.Process(tree.pid)
    first, second = (one for one in launcher.children() if "train_network.py" in str(one.cmdline()))
    family = [launcher, *launcher.children(recursive=True)]
    assert len(family) >= 5  # each has a loader worker
    victims = {"launcher": launcher, "first": first, "second": second}
    if whom == "nobody":
        ask(run.folder, StopRequest.NOW)
    else:
        victims[whom].kill()
    result = attach(run)
    assert result.outcome is (RunOutcome.STOPPED if whom == "nobody" else RunOutcome.FAILED)
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]


def lose(machine: subprocess.Popen[bytes]) -> None:
    """Kill a launcher and its workers, which have sessions of their own."""
    if machine.poll() is None:
        launcher = psutil.Process(machine.pid)
        for one in (*launcher.children(recursive=True), launcher):
            one.kill()


@contextmanager
def second_machine(plan: TrainingPlan) -> Iterator[subprocess.Popen[bytes]]:
    """Run what the plan says for machine 1, as a process of its own."""
    (command,) = commands_elsewhere(plan.run.command)
    environment = {**os.environ, **dict(plan.run.environment)}
    log = plan.run.folder / "machine-1.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, env=environment, stdout=stream, stderr=stream) as process,
    ):
        try:
            yield process
        finally:
            lose(process)


TWO_MACHINES = "--machine_rank 0 --main_process_ip 127.0.0.1"


def for_two_machines(desk: Desk, epochs: int) -> None:
    desk.write(epochs=epochs, launch=TWO_MACHINES)
    for_two(desk, "num_machines: 2")


def test_two_machines_train_together(desk: Desk):
    for_two_machines(desk, 2)
    planned = desk.plan()
    with second_machine(planned) as other:
        result = apply_training(planned)
        assert result.outcome is RunOutcome.FINISHED, result.problem
        assert other.wait(60) == 0
    assert (result.trainer_steps, result.trainer_epochs) == (planned.run.steps, 2)
    assert files_of(desk) == [("Quillfox-000001", 1), ("Quillfox", 2)]


def test_a_lost_machine_costs_no_finished_epoch(desk: Desk):
    write_pictures(desk.project.source_dir, recipes(8))  # several steps in an epoch
    apply_layout(desk.project, plan_layout(desk.project))
    for_two_machines(desk, 12)
    planned = desk.plan(save_states=True)
    with second_machine(planned) as other:
        run = start_detached(planned)
        follow = RunFollower(run)
        while follow.step is None or follow.step.step < 2 * run.steps_per_epoch:
            follow.poll()
        lose(other)
        assert attach(run).outcome is RunOutcome.FAILED
    state = require_state(run.output_dir, run.name)
    kept = dict(files_of(desk))
    times = {one: one.stat().st_mtime_ns for one in desk.project.model_dir.glob("*.safetensors")}
    assert state.epoch >= 1
    again = desk.plan(resume=state, save_states=True, epochs=state.epoch + 1)
    with second_machine(again):
        result = apply_training(again)
    assert result.outcome is RunOutcome.FINISHED, result.problem
    assert kept.items() <= dict(files_of(desk)).items()
    assert {one: one.stat().st_mtime_ns for one in times} == times


@pytest.mark.parametrize("whom", ["trainer", "loader worker", "watcher", "launcher"])
def test_a_killed_process_leaves_nothing_running(desk: Desk, whom: str):
    desk.write(epochs=500, workers=1, launch="--cpu" if whom == "launcher" else "")
    run = start_detached(desk.plan(save_states=True))
    until_training(run)
    tree = find_process(run.folder)
    assert tree is not None
    first = psutil.Process(tree.pid)
    watcher = first.parent()
    assert watcher is not None
    family = [first, *first.children(recursive=True)]
    victims = {"trainer": first, "launcher": first, "watcher": watcher, "loader worker": family[-1]}
    victims[whom].kill()
    if whom == "watcher":
        ask(run.folder, StopRequest.NOW)
    result = attach(run)
    wanted = RunOutcome.STOPPED if whom == "watcher" else RunOutcome.FAILED
    assert (result.outcome, bool(result.problem)) == (wanted, whom != "watcher")
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]
