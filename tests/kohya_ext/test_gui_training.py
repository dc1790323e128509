"""The tab's buttons Check and Train, on the simulated trainer and without gradio."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kohya_ext.dataset.layout import apply_layout, plan_layout
from kohya_ext.gui import actions
from kohya_ext.gui.panels import JOBS, read_panels
from kohya_ext.gui.tab import find_running
from kohya_ext.project import Project, open_project
from kohya_ext.project.background_jobs import BackgroundJob, JobView
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.training.run.job import job_of_project
from kohya_ext.training.run.session import plan_training, start_detached
from kohya_ext.training.trainer import TrainerSource, simulated_trainer, use_trainer

WAIT = 60.0
"""Seconds until a test gives up on a thread; never slept."""
SWITCH = "LORALOOM_SIMULATED_TRAINER"


@pytest.fixture
def trainable(project: Project) -> Project:
    """Four staged pictures, a base model, three epochs, and the simulated trainer remembered."""
    write_pictures(project.source_dir, recipes(4))
    apply_layout(project, plan_layout(project))
    base = write_base_model(project.root / "base.safetensors")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("path: ''", f'path: "{base.as_posix()}"')
    text = text.replace("max_train_epochs: 10", "max_train_epochs: 3")
    project.manifest_path.write_text(text, encoding="utf-8")
    use_trainer(simulated_trainer().folder)
    return open_project(project.root)


def begin(project: Project, step: actions.Step) -> BackgroundJob:
    job = BackgroundJob("Train", actions.work_of(step, project))
    job.start()
    return job


def finish(project: Project, step: actions.Step) -> JobView:
    return list(begin(project, step).follow(WAIT))[-1]


def views_until_step(job: BackgroundJob) -> Iterator[JobView]:
    """Follow a training until its first step is made."""
    for view in job.follow(WAIT):
        yield view
        if view.progress and view.progress.phase == "Training" and view.progress.done:
            return


def test_check_counts_the_steps(trainable: Project):
    view = finish(trainable, actions.check)
    assert view.error == ""
    assert any(line.startswith("4 pictures, ") and "3 epochs" in line for line in view.lines)
    assert view.lines[-1] == "No problems found: the training can start."


def test_check_names_every_error(trainable: Project):
    (trainable.root / "base.safetensors").unlink()
    picture = next(trainable.images_dir.glob("*/*.png"))
    picture.with_suffix(".txt").write_bytes(b"caf\xe9")
    view = finish(trainable, actions.check)
    reported = "\n".join((view.error, *view.lines))
    assert "base.safetensors" in reported
    assert picture.with_suffix(".txt").name in reported
    assert "No problems found" not in reported


def test_train_shows_progress_and_verifies(trainable: Project):
    job = begin(trainable, actions.training())
    views = list(job.follow(WAIT))
    assert views[-1].error == ""
    assert any(view.progress and view.progress.phase == "Training" for view in views)
    reported = "\n".join(views[-1].lines)
    assert "SIMULATED" in reported
    assert "Quillfox: epoch 3" in reported
    assert views[-1].lines[-1] == "Training finished; every epoch file is verified."
    assert "epoch files" in read_panels(str(trainable.root)).overview


def test_stop_ends_the_training_itself(trainable: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "hang@9")
    job = begin(trainable, actions.training())
    assert list(views_until_step(job))
    job.stop()
    view = list(job.follow(WAIT))[-1]
    assert (view.error, view.is_stopped) == ("", True)
    assert view.lines[-1].startswith("Stopped at step")
    assert actions.find_training_of(trainable) is None


def test_failed_training_says_why(trainable: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "nan@5")
    assert "[LL391]" in finish(trainable, actions.training()).error


def test_training_continues_after_a_stop(trainable: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "hang@17")
    job = begin(trainable, actions.training(save_states=True))
    for view in job.follow(WAIT):
        if any("-000001" in line for line in view.lines) and view.progress.done > 12:
            break
    job.stop()
    assert list(job.follow(WAIT))[-1].is_stopped
    monkeypatch.delenv(SWITCH)
    view = finish(trainable, actions.training(resume=True))
    assert view.lines[-1] == "Training finished; every epoch file is verified."


def test_training_of_a_closed_gui_is_found(trainable: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "hang@9")
    start_detached(plan_training(job_of_project(trainable), simulated_trainer()))
    job = find_running(trainable)
    assert job is not None
    assert list(views_until_step(job))
    assert find_running(trainable) is job
    JOBS.find(trainable.root).stop()
    view = list(job.follow(WAIT))[-1]
    assert "started elsewhere" in view.lines[0]
    assert view.is_stopped
    assert find_running(trainable) is None


def test_trainer_is_that_of_the_gui_around_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scripts = tmp_path / "kohya_ss" / "sd-scripts"
    scripts.mkdir(parents=True)
    (scripts / "train_network.py").write_text("", encoding="utf-8")
    module = ModuleType("kohya_gui.lora_gui")
    module.__file__ = str(tmp_path / "kohya_ss" / "kohya_gui" / "lora_gui.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = actions.find_own_trainer()
    assert found is not None
    assert (found.folder, found.python) == (scripts, Path(sys.executable))
    assert found.origin is TrainerSource.KOHYA_GUI
    use_trainer(simulated_trainer().folder)
    assert actions.find_own_trainer().is_simulated
