"""`kill -9` at random instants: the fast version of tests/bench/test_grid_kills.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import drawing_process
import pytest
from killing import kill_often

from a1111_ext.simulator import SimulatedWebui


def test_kills_lose_nothing(webui: SimulatedWebui, tmp_path: Path):
    webui.host.seconds_per_picture = 0.01
    damage = kill_often(webui, tmp_path, cells=30, kills=8, seed=1)
    assert (damage.lost, damage.wrong) == (0, 0)
    assert damage.again <= damage.kills


@pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl-C cannot be sent to one process")
@pytest.mark.usefixtures("heard_signals")
def test_ctrl_c_ends_our_picture_at_the_webui(webui: SimulatedWebui, tmp_path: Path):
    webui.host.seconds_per_picture = 600
    before, began = webui.host.options(), threading.Event()
    webui.host.faults.before = lambda body: began.set()
    process = subprocess.Popen(
        [sys.executable, drawing_process.__file__, webui.url, str(tmp_path), "3"],
        stderr=subprocess.PIPE,
    )
    assert began.wait(60)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in error
    assert webui.host.counters.interrupts == 1
    assert webui.host.options() == before
