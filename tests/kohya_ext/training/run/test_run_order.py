"""Runs are in the order in which they began, whatever the clock says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from kohya_ext.training.run.record import new_run_id

NOON = datetime(2026, 1, 31, 12, 0, 0)


@pytest.mark.parametrize(
    ("there", "made"),
    [
        ([], "20260131-120000"),
        (["20260130-235959"], "20260131-120000"),
        (["20260131-120000"], "20260131-120000-2"),
        (["20260131-120000", "20260131-120000-9", "20260131-120000-10"], "20260131-120000-11"),
        (["20260131-130000"], "20260131-130000-2"),
        (["20300101-000000-2", "my backup"], "20300101-000000-3"),
    ],
)
def test_a_new_run_comes_last(tmp_path: Path, there: list[str], made: str):
    """With the clock set back, `report` and `--attach` took an earlier run for the newest."""
    for name in there:
        (tmp_path / name).mkdir()
    assert new_run_id(NOON, tmp_path) == made
