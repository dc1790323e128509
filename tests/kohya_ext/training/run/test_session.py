"""One training from start to end, by the simulated trainer: verified, stopped, resumed, refused."""

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

from kohya_ext.project import Progress, Project, ToolError
from kohya_ext.project.epochs import find_epoch_files
from kohya_ext.training.config.of_project import plan_config
from kohya_ext.training.run.continuation import AlreadyTrained
from kohya_ext.training.run.events import EpochBegan, Event, SampleSaved, Saving, StepFinished
from kohya_ext.training.run.follow import RunFollower, progress_of
from kohya_ext.training.run.job import TrainingJob, job_of_config, job_of_project, runs_dir_of
from kohya_ext.training.run.record import (
    Result,
    RunOutcome,
    StopRequest,
    ask,
    find_process,
    find_runs_in,
    read_plan,
    read_result,
)
from kohya_ext.training.run.runner import launch, run_training
from kohya_ext.training.run.session import (
    RunOptions,
    apply_training,
    attach,
    find_training,
    plan_training,
    require_training,
    start_detached,
    stop_training,
    watcher_command,
    write_inputs,
)
from kohya_ext.training.run.states import find_states, require_state
from kohya_ext.training.trainer import simulated_trainer

SWITCH = "LORALOOM_SIMULATED_TRAINER"
ROOT = Path(__file__).resolve().parents[4]


def plan(project: Project, **options):
    return plan_training(job_of_project(project), simulated_trainer(), RunOptions(**options))


def epochs_of(project: Project) -> list[tuple[str, int | None, int | None]]:
    runs = find_epoch_files(project.model_dir).runs
    return [(one.name, one.epoch, one.step) for run in runs for one in run.files]


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


def test_progress_is_told_in_plain_values(trainable: Project):
    told: list[Progress] = []
    planned = plan(trainable)
    apply_training(planned, progress_of(told.append))
    last = [one for one in told if one.phase == "Training"][-1]
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


def stopped_after_an_epoch(project: Project, monkeypatch, what: StopRequest, **options) -> Result:
    """Ask before the start; the trainer would hang in its second epoch."""
    planned = plan(project, **options)
    monkeypatch.setenv(SWITCH, f"hang@{planned.run.steps_per_epoch + 2}")
    write_inputs(planned)
    ask(planned.run.folder, what)
    result = run_training(planned.run)
    monkeypatch.delenv(SWITCH)
    return result


def test_stop_after_the_epoch_keeps_its_file(trainable: Project, monkeypatch):
    result = stopped_after_an_epoch(trainable, monkeypatch, StopRequest.AFTER_EPOCH)
    assert result.outcome is RunOutcome.STOPPED
    assert [one.name for one in result.files] == ["Quillfox-000001"]


def pause(project: Project, monkeypatch, **options) -> Result:
    return stopped_after_an_epoch(
        project, monkeypatch, StopRequest.PAUSE, save_states=True, **options
    )


def test_resumed_twice_the_epochs_are_right(trainable: Project, monkeypatch, change):
    """sd-scripts' own second resume starts too early and repeats epochs."""
    project = change(trainable, ("epochs: 3", "epochs: 5"))
    assert "--resume" in pause(project, monkeypatch).cure
    first = require_state(project.model_dir, "Quillfox")
    pause(project, monkeypatch, resume=first)
    second = require_state(project.model_dir, "Quillfox")
    assert (first.epoch, second.epoch) == (1, 2)
    planned = plan(project, resume=second)
    result = apply_training(planned)
    steps = planned.run.steps_per_epoch
    assert result.outcome is RunOutcome.FINISHED
    assert [(one.name, one.epoch, one.steps) for one in result.files] == [
        ("Quillfox-000003", 3, steps),
        ("Quillfox-000004", 4, 2 * steps),
        ("Quillfox", 5, 3 * steps),
    ]
    assert planned.run.steps == 5 * steps


def test_progress_of_a_resumed_run_counts_what_was_done(trainable: Project, monkeypatch):
    pause(trainable, monkeypatch)
    state = require_state(trainable.model_dir, "Quillfox")
    told: list[Progress] = []
    planned = plan(trainable, resume=state)
    apply_training(planned, progress_of(told.append))
    done = [one.done for one in told if one.phase == "Training"]
    assert (done[0], done[-1]) == (planned.run.steps_per_epoch, planned.run.steps)


def test_a_state_named_by_the_config_counts_right(trainable: Project, monkeypatch, change):
    pause(trainable, monkeypatch)
    state = require_state(trainable.model_dir, "Quillfox")
    project = change(
        trainable,
        ("save_every_n_epochs: 1", f'overrides: {{resume: "{state.path.as_posix()}"}}'),
    )
    assert plan(project).run.epochs_done == 1


@pytest.mark.parametrize("kept", [1, 2])
def test_as_many_states_stay_as_asked(trainable: Project, monkeypatch, kept: int):
    def epochs() -> list[int]:
        return [one.epoch for one in find_states(trainable.model_dir, "Quillfox")]

    apply_training(plan(trainable, save_states=True, keep_states=kept))
    assert epochs() == [1, 2, 3][-kept:]
    state = require_state(trainable.model_dir, "Quillfox")
    apply_training(plan(trainable, save_states=True, keep_states=kept, epochs=5, resume=state))
    assert epochs() == [1, 2, 3, 4, 5][-kept:]


def test_no_finished_epoch_is_lost_when_more_follow(trainable: Project):
    apply_training(plan(trainable, save_states=True))
    third = (trainable.model_dir / "Quillfox.safetensors").read_bytes()
    state = require_state(trainable.model_dir, "Quillfox")
    planned = plan(trainable, save_states=True, epochs=5, resume=state)
    assert [one.target.name for one in planned.moves] == [
        "Quillfox-000003.safetensors", "Quillfox-000003-state"]  # fmt: skip
    assert (trainable.model_dir / "Quillfox.safetensors").exists()  # a plan moves nothing
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    steps = planned.run.steps_per_epoch
    assert [(epoch, step) for _, epoch, step in epochs_of(trainable)] == [
        (epoch, epoch * steps) for epoch in (1, 2, 3, 4, 5)]  # fmt: skip
    assert (trainable.model_dir / "Quillfox-000003.safetensors").read_bytes() == third


def test_steps_of_a_resumed_run_count_from_the_first(trainable: Project):
    apply_training(plan(trainable, save_states=True))
    state = require_state(trainable.model_dir, "Quillfox")
    result = apply_training(plan(trainable, save_states=True, epochs=5, resume=state))
    listed = {name: step for name, _, step in epochs_of(trainable)}
    assert {one.name: one.step for one in result.files}.items() <= listed.items()
    assert result.last_step == listed["Quillfox"]


def test_its_own_lora_continues_with_the_next_number(trainable: Project):
    apply_training(plan(trainable))
    weights = trainable.model_dir / "Quillfox.safetensors"
    planned = plan(trainable, weights=weights, epochs=5)
    assert planned.run.epochs_done == 3
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    assert [epoch for _, epoch, _ in epochs_of(trainable)] == [1, 2, 3, 4, 5]
    with pytest.raises(ToolError, match="at epoch 5 already"):
        plan(trainable, weights=weights, epochs=5)


def test_a_lora_of_elsewhere_is_a_beginning(trainable: Project, tmp_path: Path):
    apply_training(plan(trainable))
    other = tmp_path / "other.safetensors"
    other.write_bytes((trainable.model_dir / "Quillfox.safetensors").read_bytes())
    with pytest.raises(ToolError, match="LL385"):
        plan(trainable, weights=other)
    assert plan(trainable, weights=other, move_old=True).run.epochs_done == 0


def test_a_repeated_epoch_is_kept_aside(trainable: Project):
    """Its state was lost, so that an older one continues: the files of later epochs stay."""
    apply_training(plan(trainable, save_states=True, keep_states=3))
    first = next(one for one in find_states(trainable.model_dir, "Quillfox") if one.epoch == 1)
    planned = plan(trainable, save_states=True, keep_states=3, resume=first)
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    aside = sorted(one.name for one in (trainable.model_dir / "earlier-1").iterdir())
    assert aside == ["Quillfox-000002.safetensors", "Quillfox.safetensors"]


def test_states_of_an_earlier_run_are_moved_with_its_files(trainable: Project):
    apply_training(plan(trainable, save_states=True, keep_states=3))
    planned = plan(trainable, move_old=True)
    write_inputs(planned)
    assert find_states(trainable.model_dir, "Quillfox") == ()
    assert len(find_states(trainable.model_dir / "earlier-1", "Quillfox")) == 3


# The same command once more.


def test_what_was_cut_off_continues_by_itself(trainable: Project, monkeypatch):
    pause(trainable, monkeypatch)
    planned = plan(trainable, save_states=True)
    assert planned.run.epochs_done == 1
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    with pytest.raises(AlreadyTrained, match="holds epochs 1, 2, 3 of Quillfox") as done:
        plan(trainable, save_states=True)
    assert done.value.result.outcome is RunOutcome.FINISHED
    assert plan(trainable, save_states=True, epochs=4).run.epochs_done == 3


def test_what_was_cut_off_without_a_state_is_told(trainable: Project, monkeypatch):
    stopped_after_an_epoch(trainable, monkeypatch, StopRequest.AFTER_EPOCH)
    with pytest.raises(ToolError, match=r"holds epoch 1 of Quillfox; .* No state was saved"):
        plan(trainable)


def test_what_left_nothing_begins_again(trainable: Project, monkeypatch):
    planned = plan(trainable)
    monkeypatch.setenv(SWITCH, "hang@2")
    write_inputs(planned)
    ask(planned.run.folder, StopRequest.NOW)
    assert run_training(planned.run).outcome is RunOutcome.STOPPED
    assert plan(trainable).run.epochs_done == 0


def test_another_config_does_not_continue(trainable: Project, monkeypatch, change):
    pause(trainable, monkeypatch)
    project = change(trainable, ("save_every_n_epochs: 1", "overrides: {learning_rate: 0.0003}"))
    with pytest.raises(ToolError, match="would silently be overwritten"):
        plan(project)


def test_other_captions_do_not_continue(trainable: Project, monkeypatch):
    pause(trainable, monkeypatch)
    picture = next(trainable.images_dir.rglob("*.png"))
    picture.with_suffix(".txt").write_text("Quillfox, night", encoding="utf-8")
    with pytest.raises(ToolError, match="captions changed since"):
        plan(trainable)


def test_no_state_to_resume(trainable: Project):
    with pytest.raises(ToolError, match="LL396"):
        require_state(trainable.model_dir, "Quillfox")


@pytest.mark.parametrize("name", ["Quillfox", "Quillfox [v2]"])
def test_half_a_state_does_not_count(trainable: Project, name: str):
    half = trainable.model_dir / f"{name}-000001-state"
    half.mkdir(parents=True)
    with pytest.raises(ToolError, match=r"optimizer\.bin is missing"):
        require_state(trainable.model_dir, name)


def test_a_run_without_states_cannot_be_paused(trainable: Project):
    with pytest.raises(ToolError, match="LL397"):
        stop_training(plan(trainable).run, StopRequest.PAUSE)


def test_earlier_files_are_moved_aside_on_request(trainable: Project):
    apply_training(plan(trainable))
    with pytest.raises(AlreadyTrained):
        plan(trainable)
    assert apply_training(plan(trainable, move_old=True)).outcome is RunOutcome.FINISHED
    assert len(list((trainable.model_dir / "earlier-1").glob("*.safetensors"))) == 3


def test_an_undercooked_lora_gets_more_epochs(trainable: Project):
    apply_training(plan(trainable))
    weights = trainable.model_dir / "Quillfox.safetensors"
    before = weights.read_bytes()
    planned = plan(trainable, weights=weights, move_old=True)
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    kept = planned.run.folder / "weights.safetensors"
    assert kept.read_bytes() == before
    assert f'network_weights = "{kept}"' in planned.run.config_text or os.name == "nt"
    assert "dim_from_weights = true" in planned.run.config_text


def test_weights_that_do_not_exist(trainable: Project):
    with pytest.raises(ToolError, match="LL381"):
        plan(trainable, weights=Path("no.safetensors"))


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


# Runs that nobody watches.


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


def test_no_secret_of_a_json_is_written_or_told(trainable: Project, tmp_path: Path, monkeypatch):
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


def test_saving_is_told_before_the_next_epoch(trainable: Project):
    events: list[Event] = []
    apply_training(plan(trainable), lambda event, follow: events.append(event))
    told = [type(one) for one in events if isinstance(one, (EpochBegan, Saving))]
    assert told == [EpochBegan, Saving] * 3


@pytest.mark.parametrize("name", ["Quillfox", "Quillfox [v2]"])
def test_sample_pictures_are_told_once(trainable: Project, name: str):
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
