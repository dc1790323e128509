"""200 random `kill -9` of processes that decide: what was answered is kept, and whole."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import deciding_process
import pytest

from kohya_ext.project.decisions import DecisionKind, DecisionStore

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

KILLS = 200


def start(path: Path, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, deciding_process.__file__, str(path), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def kill_soon(processes: list[subprocess.Popen[str]], dice: random.Random) -> list[str]:
    """Let both decide a while, kill them at a random instant, and return what they said."""
    first = [one.stdout.readline() for one in processes if one.stdout]
    with suppress(subprocess.TimeoutExpired):
        processes[0].wait(dice.random() * 0.06)
    for one in processes:
        one.kill()
    rest = [one.communicate(timeout=60)[0] for one in processes]
    return [line for text in (*first, *rest) for line in text.splitlines(keepends=True)]


def test_two_hundred_kills_lose_no_decision(tmp_path: Path):
    """Two windows at once on one store; a decision is one row, an action is whole or not there."""
    path, dice = tmp_path / "reviews.db", random.Random(7)
    kept: set[tuple[int, str, str]] = set()
    kills = 0
    while kills < KILLS:
        said = kill_soon([start(path, 1000 + kills), start(path, 5000 + kills)], dice)
        kills += 2
        for line in said:
            if line.startswith("kept ") and line.endswith("\n"):
                for word in line.split()[1:]:
                    number, kind, subject = word.split(":")
                    kept.add((int(number), kind, subject))
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = set(db.execute("SELECT number, kind, subject FROM decisions"))
            orphans = (
                "SELECT COUNT(*) FROM decisions WHERE action NOT IN (SELECT number FROM actions)"
            )
            assert db.execute(orphans).fetchone() == (0,)
        assert kept <= rows
    with DecisionStore(path) as store:
        held = store.current(DecisionKind.ROLE)
        changes = store.decide(DecisionKind.ROLE, {deciding_process.KEYS[0]: "primary"}, "board")
        assert set(held) <= set(deciding_process.KEYS)
        assert len(changes) <= 1
    print(f"{kills} kills, {len(kept)} decisions answered, none lost")
    assert len(kept) > KILLS
