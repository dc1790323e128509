"""`loraloom check`, `train`, `epochs`: what a user types and reads."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.cli.training_options import duration
from kohya_ext.project import Project
from kohya_ext.training.config.of_project import apply_config, plan_config
from kohya_ext.training.run.follow import RunFollower
from kohya_ext.training.run.job import job_of_project
from kohya_ext.training.run.runner import launch
from kohya_ext.training.run.session import (
    RunOptions,
    plan_training,
    write_inputs,
)
from kohya_ext.training.trainer import simulated_trainer

SWITCH = "LORALOOM_SIMULATED_TRAINER"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def train(project: Project, *words: str) -> int:
    return main(["train", str(project.root), "--trainer", "simulated", *words])


def test_check_says_that_nothing_was_found(trainable: Project, capsys: Capture):
    assert main(["check", str(trainable.root)]) == 0
    out, err = capsys.readouterr()
    assert "4 pictures, 11 draws: 18 steps in 3 epochs of 6" in out
    assert "warning: 4 of 4 pictures without a caption" in out
    assert "No trainer was found" in err
    assert "Next: loraloom train" in err


def test_check_exits_1_when_it_would_fail(trainable: Project, capsys: Capture):
    broken = next((trainable.images_dir / "5_Quillfox").glob("*.png"))
    broken.unlink()
    broken.write_bytes(b"no picture")
    assert main(["check", str(trainable.root)]) == 1
    out, err = capsys.readouterr()
    assert broken.name in out
    assert "[LL202]" in out
    assert "Next: fix that, then: loraloom check" in err


def test_check_takes_any_json(trainable: Project, tmp_path: Path, capsys: Capture):
    apply_config(trainable, plan_config(trainable))
    config = trainable.config_dir / "Quillfox.json"
    assert main(["check", "--config", str(config), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["steps"], found["epochs"]) == (True, 18, 3)
    values = json.loads(config.read_text(encoding="utf-8"))
    assert main(["check", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    bad = tmp_path / "bad.json"
    values |= {"train_data_dir": str(tmp_path / "nowhere"), "save_every_n_epochs": 0}
    bad.write_text(json.dumps(values), encoding="utf-8")
    assert main(["check", "--config", str(bad), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in found["findings"] if one["level"] == "error"] == ["LL360"]


def test_a_project_and_a_json_are_too_much(trainable: Project, capsys: Capture):
    assert main(["check", str(trainable.root), "--config", "x.json"]) == 2
    assert "not both" in capsys.readouterr().err


def test_train_shows_and_names_the_next_step(trainable: Project, capsys: Capture):
    assert train(trainable) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Quillfox-000001: epoch 1, step 6",
        "Quillfox-000002: epoch 2, step 12",
        "Quillfox: epoch 3, step 18",
    ]
    assert "simulated trainer: it trains nothing" in err
    assert "saving Quillfox-000001.safetensors" in err
    assert "trained and verified" in err
    assert "Next: loraloom epochs" in err


def test_a_terminal_sees_one_bar(trainable: Project, capsys: Capture, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    assert train(trainable) == 0
    err = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "saving Quillfox-000001.safetensors" in err
    bars = [line for line in re.split(r"[\r\n]+", err) if line.startswith("Training ")]
    bar = bars[-1]
    assert "18/18" in bar
    assert "epoch 3/3, loss 0." in bar


def test_a_dry_run_prints_the_command(trainable: Project, capsys: Capture):
    assert train(trainable, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "train_network.py" in out
    assert "max_train_epochs = 3" in out
    assert "nothing was done" in err
    assert not trainable.model_dir.exists()
    assert train(trainable, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 18


def test_any_json_trains_without_a_project(trainable: Project, tmp_path: Path, capsys: Capture):
    values = dict(plan_config(trainable).values)
    config = tmp_path / "any.json"
    config.write_text(json.dumps(values | {"output_dir": str(tmp_path / "out")}), encoding="utf-8")
    assert main(["train", "--config", str(config), "--trainer", "simulated", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["outcome"] == "finished"
    assert main(["epochs", str(tmp_path / "out")]) == 0
    assert "Quillfox.safetensors: epoch 3, step 18, final" in capsys.readouterr().out


def test_a_failed_training_says_why_and_exits_1(trainable: Project, capsys: Capture, monkeypatch):
    monkeypatch.setenv(SWITCH, "crash@3")
    assert train(trainable) == 1
    err = capsys.readouterr().err
    assert "Error: The trainer failed: RuntimeError: simulated: asked to fail at step 3" in err
    assert "[LL390]" in err


def test_epochs_as_data(trainable: Project, capsys: Capture):
    train(trainable)
    capsys.readouterr()
    assert main(["epochs", str(trainable.root), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert [(one["epoch"], one["final"]) for one in run["files"]] == [
        (1, False), (2, False), (3, True),
    ]  # fmt: skip


def test_epochs_of_a_folder_without_a_project(trainable: Project, capsys: Capture):
    train(trainable)
    capsys.readouterr()
    assert main(["epochs", str(trainable.model_dir)]) == 0
    assert "Next: put them into the model folder of a project" in capsys.readouterr().err


def test_epochs_before_the_training(trainable: Project, capsys: Capture):
    assert main(["epochs", str(trainable.root)]) == 1
    assert "[LL133]" in capsys.readouterr().err


def test_resume_and_stop_without_anything(trainable: Project, capsys: Capture):
    assert train(trainable, "--resume") == 1
    assert "[LL396]" in capsys.readouterr().err
    assert train(trainable, "--stop") == 1
    assert "[LL395]" in capsys.readouterr().err


def test_detach_stop_attach(trainable: Project, capsys: Capture, monkeypatch):
    monkeypatch.setenv(SWITCH, "hang@2")
    assert train(trainable, "--detach") == 0
    assert "--attach" in capsys.readouterr().err
    assert train(trainable, "--pause") == 1
    assert "[LL397]" in capsys.readouterr().err
    assert train(trainable, "--stop") == 0
    assert train(trainable, "--attach") in (1, 130)  # 1: it had ended before we looked


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.usefixtures("heard_signals")
def test_ctrl_c_stops_the_trainer_and_says_what_is_left(trainable: Project, monkeypatch):
    monkeypatch.setenv(SWITCH, "hang@2")
    command = [sys.executable, "-m", "kohya_ext", "train", str(trainable.root)]
    with subprocess.Popen(
        [*command, "--trainer", "simulated"], stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        said = ""
        while "step 1 of 18" not in said:
            said = process.stderr.readline()
            assert said, "it ended before its first step"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Stopped at step 1." in rest
    assert "Next: loraloom train " in rest
    assert "No state was saved" in rest


def test_after_a_power_cut_it_says_what_can_be_resumed(
    trainable: Project, capsys: Capture, monkeypatch
):
    """Both the trainer and its watcher are gone; the first epoch and its state are whole."""
    monkeypatch.setenv(SWITCH, "hang@8")
    plan = plan_training(
        job_of_project(trainable), simulated_trainer(), RunOptions(save_states=True)
    )
    write_inputs(plan)
    child = launch(plan.run)
    follow = RunFollower(plan.run)
    while follow.epoch < 2:
        follow.poll()
        assert child.poll() is None
    child.tree.end(grace_seconds=0)
    child.wait(30)
    monkeypatch.delenv(SWITCH)
    assert train(trainable, "--save-states") == 0
    err = capsys.readouterr().err
    assert "Complete epoch files: Quillfox-000001. Continue from epoch 1 with --resume." in err
    assert "continuing after epoch 1" in err
    assert train(trainable) == 0
    printed = capsys.readouterr()
    assert "Quillfox is already trained." in printed.err
    assert "trained and verified in" not in printed.err
    assert "Quillfox: epoch 3, step 18" in printed.out


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (600, "10 min"), (9000, "2.5 h")], ids=str
)
def test_durations_are_short(seconds: float, words: str):
    assert duration(seconds) == words
