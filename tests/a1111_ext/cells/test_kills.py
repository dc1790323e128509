"""`kill -9` at random instants: the fast version of tests/bench/test_grid_kills.py."""

from __future__ import annotations

from pathlib import Path

from killing import kill_often

from a1111_ext.rehearsal import RehearsalWebui


def test_kills_lose_nothing(webui: RehearsalWebui, tmp_path: Path):
    webui.host.seconds_per_picture = 0.01
    damage = kill_often(webui, tmp_path, cells=30, kills=8, seed=1)
    assert (damage.lost, damage.wrong) == (0, 0)
    assert damage.again <= damage.kills
