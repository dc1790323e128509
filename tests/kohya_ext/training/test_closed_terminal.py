"""A terminal, or a Windows console, that closes while a training runs: it is trained to its end."""

from __future__ import annotations

import signal
import subprocess
import sys

import console_driver
import pytest

from kohya_ext.cli import main
from kohya_ext.cli.closing import CLOSED
from kohya_ext.project import Project
from kohya_ext.training.queue import QueueState, read_queue
from kohya_ext.training.run.job import runs_dir_of
from kohya_ext.training.run.record import RunOutcome, find_runs_in
from kohya_ext.training.run.session import attach, stop_training

pytestmark = [pytest.mark.usefixtures("heard_signals"), pytest.mark.timeout(300)]
SWITCH = "LORALOOM_SIMULATED_TRAINER"
STEP = "step 7 of 18"


def close_terminal(*words: str) -> int:
    """Run `loraloom WORDS`, close its terminal when the second epoch began; return its code."""
    if sys.platform == "win32":
        return console_driver.press("close", STEP, *words, "--trainer", "simulated")[0]
    return send(signal.SIGHUP, *words)


def send(number: int, *words: str) -> int:
    """Run `loraloom WORDS`, send a signal when the second epoch began; return its code."""
    words = (*words, "--trainer", "simulated")
    command = [sys.executable, "-m", "kohya_ext", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while STEP.encode() not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        return process.wait(60)


def test_a_closed_terminal_leaves_the_training_to_a_watcher(
    trainable: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(SWITCH, "hang@8")
    assert close_terminal("train", str(trainable.root)) == CLOSED
    run = find_runs_in(runs_dir_of(trainable))[0]
    assert run.is_running
    stop_training(run.plan)
    assert attach(run.plan).outcome is RunOutcome.STOPPED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize(("words", "code"), [(("train",), 130), (("queue", "run"), 1)])
def test_sigterm_stops_the_training_as_ctrl_c_does(
    trainable: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
):
    if words[0] == "queue":
        assert main(["queue", "add", str(trainable.root)]) == 0
    else:
        words = (*words, str(trainable.root))
    monkeypatch.setenv(SWITCH, "hang@8")
    assert send(signal.SIGTERM, *words) == code
    (run,) = find_runs_in(runs_dir_of(trainable))
    assert not run.is_running, "no trainer is left without a watcher"
    assert run.result is not None
    assert run.result.outcome is RunOutcome.STOPPED


def test_a_queue_continues_with_the_training_that_went_on(
    trainable: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(["queue", "add", str(trainable.root)]) == 0
    monkeypatch.setenv(SWITCH, "slow@1")
    assert close_terminal("queue", "run") == CLOSED
    (run,) = find_runs_in(runs_dir_of(trainable))
    assert run.is_running
    assert main(["queue", "run", "--trainer", "simulated"]) == 0
    assert "1 of 1 trained and verified" in capsys.readouterr().out
    assert len(find_runs_in(runs_dir_of(trainable))) == 1, "nothing was trained twice"


def test_ctrl_c_stops_a_training_that_a_watcher_continued(
    trainable: Project, monkeypatch: pytest.MonkeyPatch
):
    assert main(["queue", "add", str(trainable.root)]) == 0
    monkeypatch.setenv(SWITCH, "hang@8")
    assert close_terminal("queue", "run") == CLOSED
    (run,) = find_runs_in(runs_dir_of(trainable))

    def interrupt(*asked: object) -> None:
        raise KeyboardInterrupt

    follow = attach
    monkeypatch.setattr("kohya_ext.training.queue.attach", interrupt)
    monkeypatch.setattr(
        "kohya_ext.training.queue.stop_training",
        lambda plan: (
            stop_training(plan),
            monkeypatch.setattr("kohya_ext.training.queue.attach", follow),
        ),
    )
    while not find_runs_in(runs_dir_of(trainable))[0].is_watched:
        assert run.is_running
    assert main(["queue", "run", "--trainer", "simulated"]) == 1
    assert read_queue().entries[0].state is QueueState.STOPPED
    assert find_runs_in(runs_dir_of(trainable))[0].result is not None
