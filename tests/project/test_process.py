"""Child processes: started apart, found again, ended with everything they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kohya_ext.project import ToolError
from kohya_ext.project.process import Child, ProcessTree, holding, is_held, start

_SPAWNS = """
import subprocess, sys
child = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
subprocess.Popen(child, start_new_session={apart}).wait()
"""


def _start(tmp_path: Path, code: str, *arguments: str) -> Child:
    return start(
        [sys.executable, "-c", code, *arguments],
        folder=tmp_path,
        environment=dict(os.environ),
        stdout=tmp_path / "out.txt",
        stderr=tmp_path / "err.txt",
    )


def _wait_until_ready(tmp_path: Path) -> None:
    deadline = time.monotonic() + 30
    while b"ready" not in (tmp_path / "out.txt").read_bytes():
        assert time.monotonic() < deadline, (tmp_path / "err.txt").read_text(encoding="utf-8")
        time.sleep(0.01)


@pytest.mark.parametrize("apart", [False, True], ids=["same session", "session of its own"])
def test_ending_takes_the_whole_tree(tmp_path, apart):
    child = _start(tmp_path, _SPAWNS.format(apart=apart))
    _wait_until_ready(tmp_path)
    processes = child.tree.members()
    assert child.tree.end() == 2
    assert not any(one.is_running() and one.status() != "zombie" for one in processes)
    assert child.wait(10) != 0


def test_orphans_of_a_killed_parent_are_found(tmp_path):
    child = _start(tmp_path, _SPAWNS.format(apart=True))
    _wait_until_ready(tmp_path)
    psutil.Process(child.tree.pid).kill()
    child.wait(10)
    assert not child.tree.is_running
    assert child.tree.end() == 1
    assert child.tree.members() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking")
def test_a_deaf_process_is_killed(tmp_path):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)\n"
    child = _start(tmp_path, code + "time.sleep(600)")
    _wait_until_ready(tmp_path)
    assert child.tree.end(grace_seconds=0.2) == 1
    assert child.wait(10) == -9


def test_streams_go_to_files_and_rc_comes_back(tmp_path):
    child = _start(tmp_path, "import sys; print('a'); sys.stderr.write('b'); sys.exit(7)")
    assert child.wait(30) == 7
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").split() == ["a"]
    assert (tmp_path / "err.txt").read_text(encoding="utf-8") == "b"


def test_a_reused_pid_is_not_the_tree():
    own = psutil.Process()
    assert ProcessTree(own.pid, own.create_time(), "x").is_running
    assert not ProcessTree(own.pid, own.create_time() - 60, "x").is_running


def test_a_clock_that_was_set_does_not_lose_it(tmp_path):
    """A start time counts from the boot, which moves with the clock: seen on resumed machines."""
    child = _start(tmp_path, "import time; print('ready', flush=True); time.sleep(600)")
    _wait_until_ready(tmp_path)
    tree = child.tree
    assert ProcessTree(tree.pid, tree.created - 3600, tree.mark).is_running
    assert not ProcessTree(tree.pid, tree.created - 3600, "another").is_running
    tree.end(grace_seconds=0)
    child.wait(10)


def test_a_missing_program_is_a_sentence(tmp_path):
    with pytest.raises(ToolError, match="cannot be started") as caught:
        start(
            [str(tmp_path / "no-python")],
            folder=tmp_path,
            environment=dict(os.environ),
            stdout=tmp_path / "out.txt",
            stderr=tmp_path / "err.txt",
        )
    assert caught.value.code == "LL116"


def test_a_lock_ends_with_its_holder(tmp_path):
    lock = tmp_path / "a lock"
    code = (
        "import sys; from pathlib import Path\n"
        "from kohya_ext.project.process import holding\n"
        "with holding(Path(sys.argv[1])) as got:\n"
        "    print(got, flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"True"
        with holding(lock) as got:
            assert not got
        assert is_held(lock)
        other.kill()
    assert not is_held(lock)
