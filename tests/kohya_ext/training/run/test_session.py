"""One training from start to end, by the simulated trainer: verified, stopped, resumed, refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from trainings import SWITCH, epochs_of, plan, stopped_after_an_epoch

from kohya_ext.project import Progress, Project, ToolError
from kohya_ext.training.config.of_project import plan_config
from kohya_ext.training.run.events import EpochBegan, Event, SampleSaved, Saving, StepFinished
from kohya_ext.training.run.follow import RunFollower, progress_of
from kohya_ext.training.run.job import job_of_config
from kohya_ext.training.run.record import (
    RunOutcome,
    StopRequest,
    read_plan,
)
from kohya_ext.training.run.session import (
    apply_training,
    plan_training,
    stop_training,
    write_inputs,
)
from kohya_ext.training.trainer import simulated_trainer


def test_a_training_ends_verified(trainable: Project):
    planned = plan(trainable)
    events: list[Event] = []
    result = apply_training(planned, lambda event, follow: events.append(event))
    steps = planned.run.steps_per_epoch
    assert result.outcome is RunOutcome.FINISHED
    assert [(one.name, one.steps) for one in result.files] == [
        ("Quillfox-000001", steps),
        ("Quillfox-000002", 2 * steps),
        ("Quillfox", 3 * steps),
    ]
    assert epochs_of(trainable) == [(one.name, one.epoch, one.steps) for one in result.files]
    assert result.trainer_steps == planned.run.steps
    assert [one for one in events if isinstance(one, EpochBegan)][-1] == EpochBegan(3, 3)
    assert isinstance([one for one in events if isinstance(one, StepFinished)][-1].loss, float)


def test_planning_writes_nothing(trainable: Project):
    before = sorted(trainable.root.rglob("*"))
    plan(trainable)
    assert sorted(trainable.root.rglob("*")) == before


def test_the_journal_keeps_what_publishing_needs(trainable: Project):
    planned = plan(trainable)
    apply_training(planned)
    start = trainable.journal.last("train-start")
    end = trainable.journal.last("train-end")
    assert start is not None
    assert end is not None
    assert start.facts["data"] == planned.run.data_hash
    assert (start.facts["trainer"], start.facts["pictures"]) == ("simulated", 4)
    assert end.facts["outcome"] == "finished"
    assert end.facts["files"]["Quillfox"] == [3, planned.run.steps]


def test_persistent_workers_are_no_mistake(trainable: Project, change):
    """The GUI writes a 1 where sd-scripts has a switch."""
    workers = "overrides: {persistent_data_loader_workers: true, max_data_loader_n_workers: 1}"
    planned = plan(change(trainable, ("save_every_n_epochs: 1", workers)))
    assert planned.job.call.toml["persistent_data_loader_workers"] is True


def test_progress_is_reported_in_plain_values(trainable: Project):
    progress: list[Progress] = []
    planned = plan(trainable)
    apply_training(planned, progress_of(progress.append))
    last = [one for one in progress if one.phase == "Training"][-1]
    assert (last.done, last.total) == (planned.run.steps, planned.run.steps)
    assert last.message.startswith("epoch 3/3, loss 0.")


def test_nan_ends_the_run_and_keeps_whole_files(trainable: Project, monkeypatch):
    planned = plan(trainable)
    first = planned.run.steps_per_epoch
    monkeypatch.setenv(SWITCH, f"nan@{first + 2},hang@{first + 3}")
    result = apply_training(planned)
    assert (result.outcome, result.code) == (RunOutcome.NAN, "LL391")
    assert [one.name for one in result.files] == ["Quillfox-000001"]
    assert result.last_step == first + 2


def test_no_data_is_no_success(trainable: Project, monkeypatch):
    monkeypatch.setenv(SWITCH, "no-data")
    result = apply_training(plan(trainable))
    assert (result.outcome, result.code) == (RunOutcome.NO_DATA, "LL392")


def test_a_crash_shows_the_trainers_own_error(trainable: Project, monkeypatch):
    monkeypatch.setenv(SWITCH, "crash@3")
    result = apply_training(plan(trainable))
    assert (result.outcome, result.code, result.exit_code) == (RunOutcome.FAILED, "LL390", 1)
    assert "RuntimeError: simulated: asked to fail at step 3" in result.problem


def test_exit_code_0_with_a_cut_file_is_not_success(trainable: Project, monkeypatch):
    monkeypatch.setenv(SWITCH, "short")
    result = apply_training(plan(trainable))
    assert (result.outcome, result.code) == (RunOutcome.UNVERIFIED, "LL393")
    assert "Quillfox.safetensors" in result.problem
    assert [one.name for one in result.files] == ["Quillfox-000001", "Quillfox-000002"]


def test_stop_now_ends_it_within_the_epoch(trainable: Project, monkeypatch):
    def handle(event: Event, follow: RunFollower) -> None:
        if isinstance(event, StepFinished) and event.step == 1:
            stop_training(follow.plan, StopRequest.NOW)

    monkeypatch.setenv(SWITCH, "hang@2")
    result = apply_training(plan(trainable), handle)
    assert (result.outcome, result.last_step) == (RunOutcome.STOPPED, 1)
    assert "No state was saved" in result.cure


def test_stop_after_the_epoch_keeps_its_file(trainable: Project, monkeypatch):
    result = stopped_after_an_epoch(trainable, monkeypatch, StopRequest.AFTER_EPOCH)
    assert result.outcome is RunOutcome.STOPPED
    assert [one.name for one in result.files] == ["Quillfox-000001"]


# The same command once more.


# Runs that nobody watches.


def test_a_plan_survives_the_disk(trainable: Project):
    planned = plan(trainable)
    write_inputs(planned)
    assert read_plan(planned.run.folder) == planned.run


def test_a_run_of_another_loraloom_is_still_read(trainable: Project):
    planned = plan(trainable)
    write_inputs(planned)
    path = planned.run.folder / "plan.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["logging_dir"]
    path.write_text(json.dumps({**data, "of_the_future": 1}), encoding="utf-8")
    assert read_plan(planned.run.folder) == planned.run


@pytest.mark.parametrize("text", ["{", "{}"], ids=["no json", "nothing in it"])
def test_a_damaged_record_is_named(trainable: Project, text: str):
    planned = plan(trainable)
    write_inputs(planned)
    (planned.run.folder / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(ToolError, match=r"LL344"):
        plan(trainable)


def test_a_secret_does_not_belong_into_the_manifest(trainable: Project, change):
    secret = ("save_every_n_epochs: 1", "overrides: {wandb_api_key: sekrit}")
    with pytest.raises(ToolError, match=r"WANDB_API_KEY.*LL310"):
        plan(change(trainable, secret))


def test_no_secret_of_a_json_is_written_or_reported(
    trainable: Project, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "sekrit-of-the-environment")
    values = plan_config(trainable).values
    config = tmp_path / "any.json"
    config.write_text(json.dumps({**values, "wandb_api_key": "sekrit"}), encoding="utf-8")
    job = job_of_config(config)
    assert "sekrit" not in "".join(job.notes)
    assert "WANDB_API_KEY" in "".join(job.notes)
    planned = plan_training(job, simulated_trainer())
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    written = [path for path in trainable.root.rglob("*") if path.is_file()]
    assert [path for path in written if b"sekrit" in path.read_bytes()] == []


def test_saving_is_reported_before_the_next_epoch(trainable: Project):
    events: list[Event] = []
    apply_training(plan(trainable), lambda event, follow: events.append(event))
    reported = [type(one) for one in events if isinstance(one, (EpochBegan, Saving))]
    assert reported == [EpochBegan, Saving] * 3


@pytest.mark.parametrize("name", ["Quillfox", "Quillfox [v2]"])
def test_sample_pictures_are_reported_once(trainable: Project, name: str):
    """Brackets in an output name are no pattern."""
    planned = plan(trainable)
    planned = replace(planned, run=replace(planned.run, name=name))
    write_inputs(planned)
    folder = planned.run.output_dir / "sample"
    folder.mkdir()
    old = folder / f"{name}_e000001_00_20200101.png"
    new = folder / f"{name}_e000002_00_20260101.png"
    for path in (old, new, folder / "Other_e000001.png"):
        path.write_bytes(b"")
    os.utime(old, (1000, 1000))
    line = "2026-11-23 09:14:37 INFO     generating sample images at step: 2    train_util.py:1\n"
    planned.run.stderr.write_text(line, encoding="utf-8")
    follow = RunFollower(planned.run)
    assert [one for one in follow.poll() if isinstance(one, SampleSaved)] == [SampleSaved(str(new))]
    assert follow.poll() == []


def test_the_run_folder_holds_all_that_was_said(trainable: Project):
    planned = plan(trainable)
    apply_training(planned)
    names = {path.name for path in planned.run.folder.iterdir()}
    assert {"plan.json", "config.toml", "stdout.txt", "stderr.txt", "result.json"} <= names
    result = json.loads((planned.run.folder / "result.json").read_text(encoding="utf-8"))
    assert result["outcome"] == "finished"
