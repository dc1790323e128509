"""200 random `kill -9` of a drawing process: nothing lost, nothing wrong accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import kill_often

from a1111_ext.simulator import start_webui

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]


def test_two_hundred_kills(tmp_path: Path):
    kills = again = 0
    for number in range(1000):
        folder = tmp_path / f"run-{number}"
        with start_webui(folder / "webui", seconds_per_picture=0.01) as webui:
            damage = kill_often(webui, folder, cells=40, kills=200 - kills, seed=number)
        assert (damage.lost, damage.wrong) == (0, 0)
        assert damage.again <= damage.kills
        kills, again = kills + damage.kills, again + damage.again
        if kills >= 200:
            break
    print(f"{kills} kills, {again} pictures drawn twice, none lost, none wrong")
    assert kills >= 200
