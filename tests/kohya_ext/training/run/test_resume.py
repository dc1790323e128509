"""A training is continued: from a state, from a LoRA file, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trainings import SWITCH, epochs_of, plan, stopped_after_an_epoch

from kohya_ext.project import Progress, Project, ToolError
from kohya_ext.training.run.continuation import AlreadyTrained
from kohya_ext.training.run.follow import progress_of
from kohya_ext.training.run.record import (
    Result,
    RunOutcome,
    StopRequest,
    ask,
)
from kohya_ext.training.run.runner import run_training
from kohya_ext.training.run.session import (
    apply_training,
    stop_training,
    write_inputs,
)
from kohya_ext.training.run.states import find_states, require_state


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


def test_several_processes_continue_at_the_right_step(trainable: Project, monkeypatch, change):
    """sd-scripts divides the steps before `initial_epoch` by the processes twice: see session."""
    pause(trainable, monkeypatch)
    state = require_state(trainable.model_dir, "Quillfox")
    assert "initial_step" not in plan(trainable, resume=state).job.call.toml
    two = "  overrides: {multi_gpu: true, num_processes: 2}\n"
    project = change(trainable, ("training:\n", f"training:\n{two}"))
    planned = plan(project, resume=state)
    assert planned.run.steps_per_epoch > 1
    toml = planned.job.call.toml
    assert (toml["initial_epoch"], toml["initial_step"]) == (2, planned.run.steps_per_epoch)


def test_progress_of_a_resumed_run_counts_what_was_done(trainable: Project, monkeypatch):
    pause(trainable, monkeypatch)
    state = require_state(trainable.model_dir, "Quillfox")
    progress: list[Progress] = []
    planned = plan(trainable, resume=state)
    apply_training(planned, progress_of(progress.append))
    done = [one.done for one in progress if one.phase == "Training"]
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
    with pytest.raises(ToolError, match="is already at epoch 5"):
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


def test_what_was_cut_off_continues_by_itself(trainable: Project, monkeypatch):
    pause(trainable, monkeypatch)
    planned = plan(trainable, save_states=True)
    assert planned.run.epochs_done == 1
    assert apply_training(planned).outcome is RunOutcome.FINISHED
    with pytest.raises(AlreadyTrained, match="contains epochs 1, 2, 3 of Quillfox") as done:
        plan(trainable, save_states=True)
    assert done.value.result.outcome is RunOutcome.FINISHED
    assert plan(trainable, save_states=True, epochs=4).run.epochs_done == 3


def test_what_was_cut_off_without_a_state_is_reported(trainable: Project, monkeypatch):
    stopped_after_an_epoch(trainable, monkeypatch, StopRequest.AFTER_EPOCH)
    with pytest.raises(ToolError, match=r"contains epoch 1 of Quillfox; .* No state was saved"):
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
