"""Keys in a Windows console, and a command that ends at once: what was done stays."""

from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from console_driver import press
from loras import save_lora

from a1111_ext.simulator import start_webui
from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.training.run.job import runs_dir_of
from kohya_ext.training.run.record import find_runs_in

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="keys of a Windows console"),
    pytest.mark.timeout(300),
]
SWITCH = "LORALOOM_SIMULATED_TRAINER"
KEYS = pytest.mark.parametrize("key", ["0", "1"], ids=["ctrl-c", "ctrl-break"])


@KEYS
def test_a_key_stops_the_training_which_is_trained_afterwards(
    trainable: Project, key: str, monkeypatch: pytest.MonkeyPatch
):
    words = ("train", str(trainable.root), "--trainer", "simulated", "--save-states")
    monkeypatch.setenv(SWITCH, "hang@8")
    code, said = press(key, "step 7 of 18", *words)
    assert code == 130, said
    assert "Stopped at step 7." in said
    assert not find_runs_in(runs_dir_of(trainable))[0].is_running
    monkeypatch.delenv(SWITCH)
    assert main([*words, "--resume"]) == 0


def test_a_command_that_ends_at_once_leaves_a_training_to_resume(
    trainable: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = ("train", str(trainable.root), "--trainer", "simulated", "--save-states")
    monkeypatch.setenv(SWITCH, "hang@8")
    press("kill", "step 7 of 18", *words)
    main(["train", str(trainable.root), "--stop"])
    main(["train", str(trainable.root), "--attach"])
    monkeypatch.delenv(SWITCH)
    assert main([*words, "--resume"]) == 0
    assert "continuing after epoch 1" in capsys.readouterr().err


@KEYS
def test_a_key_stops_the_queue_which_continues(
    trainable: Project,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert main(["queue", "add", str(trainable.root)]) == 0
    monkeypatch.setenv(SWITCH, "hang@8")
    code, said = press(key, "step 7 of 18", "queue", "run", "--trainer", "simulated")
    assert code == 1, said
    assert "stopped, 1 epoch file" in said
    monkeypatch.delenv(SWITCH)
    assert main(["queue", "add", str(trainable.root)]) == 0
    assert main(["queue", "run", "--trainer", "simulated"]) == 0
    assert "1 of 1 trained and verified" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["0", "1", "close", "kill"])
def test_a_grid_is_drawn_to_its_end_afterwards(
    project: Project, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_lora(project.model_dir, "Quillfox-000001", epoch=1)
    small = "grid:\n  picture: {width: 64, height: 64, steps: 2}\n"
    text = project.manifest_path.read_text(encoding="utf-8").replace("grid:\n", small)
    project.manifest_path.write_text(text, encoding="utf-8")
    with start_webui(tmp_path / "webui") as webui:
        words = ("grid", str(project.root), "--webui", webui.url, "--seeds", "1-6")
        begun, asked, held = tmp_path / "begun", itertools.count(1), threading.Event()

        def hold(body: dict[str, Any]) -> None:
            if next(asked) == 3:
                begun.touch()
                held.wait(5)

        webui.host.faults.before = hold
        code, said = press(key, str(begun), *words)
        assert code == (1 if key == "kill" else 130), said
        held.set()
        assert main([*words, "--json"]) == 0
    assert capsys.readouterr().out.count('"event": "known"') >= 2, "two were drawn before"
    assert (next(project.grids_dir.iterdir()) / "grid.html").is_file()
