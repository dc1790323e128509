"""Several trainings overnight: order, failures, reboots, one runner per card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kohya_ext.cli import main
from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.project import Project, ToolError, apply_init, open_project, plan_init
from kohya_ext.project.epochs import find_epoch_files
from kohya_ext.project.process import holding
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training import queue as queues
from kohya_ext.training.config.of_project import plan_config
from kohya_ext.training.queue import (
    QueueState,
    add,
    clear,
    halt,
    move,
    queue_path,
    read_queue,
    remove,
    run_queue,
)
from kohya_ext.training.run.events import EpochBegan, Event, StepFinished
from kohya_ext.training.run.follow import RunFollower
from kohya_ext.training.run.record import StopRequest, find_process, find_runs_in
from kohya_ext.training.run.session import stop_training
from kohya_ext.training.trainer import simulated_trainer

SWITCH = "LORALOOM_SIMULATED_TRAINER"
Capture = pytest.CaptureFixture[str]


WORDS = ("Fox", "Owl", "Elk")


@pytest.fixture(scope="module")
def first_projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queue")
    for word in WORDS:
        project = apply_init(plan_init(folder / f"my {word}", word))
        write_pictures(project.source_dir, recipes(2))
        apply_layout(project, plan_layout(project))
    return folder


@pytest.fixture
def projects(first_projects: Path, tmp_path: Path) -> list[Project]:
    base = tmp_path / "base.ckpt"
    base.write_bytes(b"\x80simulated")
    shutil.copytree(first_projects, tmp_path, dirs_exist_ok=True)
    found = []
    for word in WORDS:
        project = open_project(tmp_path / f"my {word}")
        text = project.manifest_path.read_text(encoding="utf-8")
        text = text.replace("path: ''", f'path: "{base.as_posix()}"', 1)
        text = text.replace("epochs: 10", "epochs: 2", 1)
        project.manifest_path.write_text(text, encoding="utf-8")
        found.append(open_project(project.root))
    return found


def names() -> list[str]:
    return [one.name for one in read_queue().entries]


def states() -> list[QueueState]:
    return [one.state for one in read_queue().entries]


def test_all_are_trained_in_order(projects: list[Project]):
    for project in projects:
        add(project.root)
    begun: list[str] = []
    ended = run_queue(simulated_trainer(), tell=lambda one: begun.append(one.name))
    assert [one.name for one in ended] == ["my Fox", "my Owl", "my Elk"]
    assert begun == ["my Fox", "my Fox", "my Owl", "my Owl", "my Elk", "my Elk"]
    assert states() == [QueueState.DONE] * 3
    assert all(one.files == 2 for one in ended)


def test_a_failure_does_not_hold_up_the_next(projects: list[Project]):
    for project in projects[:2]:
        add(project.root)
    next(projects[0].images_dir.rglob("*.png")).write_bytes(b"no picture")
    first, second = run_queue(simulated_trainer())
    assert (first.state, second.state) == (QueueState.FAILED, QueueState.DONE)
    assert "LL202" in first.problem


def test_the_order_may_change_while_it_runs(projects: list[Project]):
    for project in projects:
        add(project.root)
    moved = False

    def tell(entry) -> None:
        nonlocal moved
        if not moved:
            moved = True
            move(3, 1)

    ended = run_queue(simulated_trainer(), tell=tell)
    assert [one.name for one in ended] == ["my Fox", "my Elk", "my Owl"]


def test_what_is_added_meanwhile_is_trained_too(projects: list[Project]):
    add(projects[0].root)

    def tell(entry) -> None:
        if entry.state is QueueState.DONE and len(names()) == 1:
            add(projects[1].root)

    assert len(run_queue(simulated_trainer(), tell=tell)) == 2


def test_a_halted_queue_ends_after_the_present_one(projects: list[Project]):
    for project in projects:
        add(project.root)
    ended = run_queue(simulated_trainer(), tell=lambda entry: halt())
    assert [one.name for one in ended] == ["my Fox"]
    assert states() == [QueueState.DONE, QueueState.WAITING, QueueState.WAITING]


def test_a_stopped_training_ends_the_queue(projects: list[Project], monkeypatch):
    monkeypatch.setenv(SWITCH, "hang@2")
    for project in projects[:2]:
        add(project.root)

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, StepFinished) and event.step == 1:
            stop_training(follow.plan, StopRequest.NOW)

    (ended,) = run_queue(simulated_trainer(), handler=handle)
    assert (ended.state, states()[1]) == (QueueState.STOPPED, QueueState.WAITING)


def test_a_stopped_one_is_queued_again_to_continue(projects: list[Project], monkeypatch):
    """Stopped after its first epoch, it waits for its second."""
    project = projects[0]
    add(project.root)
    monkeypatch.setenv(SWITCH, f"hang@{plan_config(project).steps.steps_per_epoch + 2}")

    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, EpochBegan) and event.epoch == 2:
            stop_training(follow.plan, StopRequest.NOW)

    (stopped,) = run_queue(simulated_trainer(), handler=handle)
    assert "Continue from epoch 1 with --resume" in stopped.problem
    monkeypatch.delenv(SWITCH)
    add(project.root, resume=True)
    (ended,) = run_queue(simulated_trainer())
    assert (ended.state, ended.problem) == (QueueState.DONE, "")
    (run,) = find_epoch_files(project.model_dir).runs
    assert [one.epoch for one in run.files] == [1, 2]


def killed_runner(project: Project, monkeypatch, mistake: str, *, trainer_too: bool) -> RunFollower:
    """Run the queue in another program, and kill that (and its trainer) once it hangs."""
    monkeypatch.setenv(SWITCH, mistake)
    add(project.root)
    command = [sys.executable, "-m", "kohya_ext", "queue", "run", "--trainer", "simulated"]
    step = int(mistake.partition("@")[2]) - 1
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        follow = None
        while follow is None or follow.step is None or follow.step.step < step:
            with pytest.raises(subprocess.TimeoutExpired):  # it must not end by itself
                other.wait(0.05)
            runs = find_runs_in(project.log_dir / "runs")
            follow = follow or (RunFollower(runs[0].plan) if runs else None)
            if follow is not None:
                follow.poll()
        other.kill()
    tree = find_process(follow.plan.folder)
    assert tree is not None
    if trainer_too:
        tree.end(grace_seconds=0)
    monkeypatch.delenv(SWITCH)
    return follow


def test_after_a_reboot_it_continues_from_the_state(projects: list[Project], monkeypatch):
    project = projects[0]
    steps = plan_config(project).steps.steps_per_epoch
    follow = killed_runner(project, monkeypatch, f"hang@{steps + 2}", trainer_too=True)
    assert follow.epoch == 2
    assert states() == [QueueState.RUNNING]
    (ended,) = run_queue(simulated_trainer())
    assert (ended.state, ended.problem) == (QueueState.DONE, "")
    (run,) = find_epoch_files(project.model_dir).runs
    assert [one.epoch for one in run.files] == [1, 2]
    start = project.journal.last("train-start")
    assert start is not None
    assert start.facts["resumed_from"] == "Fox-000001-state"


def test_without_a_state_it_begins_again(projects: list[Project], monkeypatch):
    killed_runner(projects[0], monkeypatch, "hang@2", trainer_too=True)
    (ended,) = run_queue(simulated_trainer())
    assert (ended.state, ended.files) == (QueueState.DONE, 2)


@pytest.mark.skipif(os.name == "nt", reason="a killed runner takes its child along there")
def test_a_trainer_that_still_runs_is_taken_over(projects: list[Project], monkeypatch):
    follow = killed_runner(projects[0], monkeypatch, "hang@2", trainer_too=False)
    tree = find_process(follow.plan.folder)
    assert tree is not None
    assert tree.is_running

    def tell(entry) -> None:
        if entry.state is QueueState.RUNNING:
            stop_training(replace(follow.plan), StopRequest.NOW)

    (ended,) = run_queue(simulated_trainer(), tell=tell)
    assert ended.state is QueueState.STOPPED
    assert not psutil.pid_exists(tree.pid) or not tree.is_running


def test_one_runner_per_card(projects: list[Project], tmp_path: Path):
    from kohya_ext.project import user_folder

    with (
        holding(user_folder() / "queue-gpu-0.lock"),
        pytest.raises(ToolError, match="LL343"),
    ):
        run_queue(simulated_trainer(), gpu="0")
    assert run_queue(simulated_trainer(), gpu="1") == ()


def test_a_card_takes_only_what_is_meant_for_it(projects: list[Project]):
    add(projects[0].root, gpu="0")
    add(projects[1].root)
    (ended,) = run_queue(simulated_trainer(), gpu="1")
    assert ended.name == "my Owl"


def test_unknown_and_running_entries_are_refused(projects: list[Project]):
    add(projects[0].root)
    with pytest.raises(ToolError, match="LL340"):
        move(7, 1)
    with queues.changing() as box:
        entry = replace(box[0].entries[0], state=QueueState.RUNNING)
        box[0] = replace(box[0], entries=(entry,))
    for refused in (lambda: move(1, 1), lambda: remove(1)):
        with pytest.raises(ToolError, match="LL342"):
            refused()


def test_ended_entries_can_be_cleared(projects: list[Project]):
    add(projects[0].root)
    run_queue(simulated_trainer())
    add(projects[1].root)
    assert clear() == 1
    assert names() == ["my Owl"]
    assert add(projects[2].root).number == 3
    assert remove(2).name == "my Owl"


def test_what_cannot_be_planned_is_not_added(tmp_path: Path):
    with pytest.raises(ToolError, match="LL101"):
        add(tmp_path)
    assert names() == []


def test_nothing_waits_twice(projects: list[Project], tmp_path: Path, monkeypatch):
    """Whichever way leads there; what is over may wait again."""
    add(projects[0].root)
    monkeypatch.chdir(tmp_path)
    for again in (projects[0].root, Path("my Fox"), tmp_path / "my Owl" / ".." / "my Fox"):
        with pytest.raises(ToolError, match="my Fox is already waiting in the queue, as entry 1"):
            add(again)
    run_queue(simulated_trainer())
    assert add(projects[0].root).number == 2
    shutil.rmtree(projects[0].root)
    assert add(projects[1].root).number == 3


def test_all_are_added_or_none(projects: list[Project], tmp_path: Path, capsys: Capture):
    first, second = str(projects[0].root), str(projects[1].root)
    for wrong in (str(tmp_path), first):
        assert main(["queue", "add", first, wrong, second]) != 0
        assert names() == []
    assert main(["queue", "add", first, second]) == 0
    assert names() == ["my Fox", "my Owl"]


def test_a_damaged_queue_is_named():
    queue_path().parent.mkdir(parents=True, exist_ok=True)
    queue_path().write_text("{", encoding="utf-8")
    with pytest.raises(ToolError, match="LL341"):
        read_queue()


def test_the_commands(projects: list[Project], capsys: Capture):
    sources = [str(project.root) for project in projects[:2]]
    assert main(["queue", "add", *sources]) == 0
    assert main(["queue", "move", "2", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["2. my Owl: waiting", "1. my Fox: waiting"]
    assert main(["queue", "run", "--trainer", "simulated"]) == 0
    out = capsys.readouterr().out
    assert "2. my Owl: done, 2 epoch files, in" in out
    assert "2 of 2 trained and verified" in out
    assert main(["queue", "list", "--json"]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == ["done", "done"]
    assert main(["queue", "stop"]) == 0
    assert main(["queue", "clear"]) == 0
    assert main(["queue", "list"]) == 0
    assert "The queue is empty." in capsys.readouterr().out


def test_what_was_trained_before_says_so(projects: list[Project], capsys: Capture):
    """It was "done, 2 epoch files, in 0 s" although nothing had been trained."""
    for _ in range(2):
        assert main(["queue", "add", str(projects[0].root)]) == 0
        assert main(["queue", "run", "--trainer", "simulated"]) == 0
    before, after = capsys.readouterr().out.split("Fox: waiting")[1:]
    assert "already trained" not in before
    assert "Fox is already trained." in after
    assert "--move-old" in after


def test_a_toml_waits_in_the_queue(projects: list[Project], capsys: Capture):
    assert main(["config", str(projects[0].root)]) == 0
    path = projects[0].config_dir / "Fox.toml"
    assert main(["queue", "add", str(path)]) == 0
    assert f"{path.stem}: waiting" in capsys.readouterr().out
    assert main(["queue", "run", "--trainer", "simulated"]) == 0
    assert "done, 2 epoch files" in capsys.readouterr().out


def test_the_summary_says_what_failed(projects: list[Project], capsys: Capture, monkeypatch):
    monkeypatch.setenv(SWITCH, "crash@2")
    main(["queue", "add", str(projects[0].root)])
    assert main(["queue", "run", "--trainer", "simulated"]) == 1
    out = capsys.readouterr().out
    assert "1. my Fox: failed" in out
    assert "asked to fail at step 2" in out
    assert "0 of 1 trained" in out
