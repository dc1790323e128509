"""The choice made on a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.grids.choice import parse_choice, read_choice, write_choice
from kohya_ext.project import Project, ToolError


def choice_text(**changes) -> str:
    data = {
        "kind": "loraloom-grid-choice",
        "format": 1,
        "grid": "epochs-1",
        "epoch": "fox-000002",
        "epoch_file": "fox-000002.safetensors",
        "cell": "abc",
        "values": {"Seed": "1"},
        "votes": [{"value": "fox-000002", "better": 3, "draw": 1, "worse": 0, "wilson_lower": 0.4}],
    }
    return json.dumps(data | changes)


@pytest.fixture
def drawn(project: Project) -> Project:
    save_lora(project.model_dir, "fox-000002", epoch=2)
    (project.grids_dir / "epochs-1").mkdir(parents=True)
    (project.grids_dir / "epochs-1" / "grid.json").write_text("{}", encoding="utf-8")
    return project


def test_a_choice_reaches_the_journal(drawn: Project):
    path = write_choice(drawn, parse_choice(choice_text())).path
    assert path.name == "fox-000002.safetensors"
    entry = drawn.journal.last("grid-choice")
    assert entry is not None
    assert entry.facts["votes"][0]["better"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"},
        {"format": 2},
        {"epoch": 5},
        {"votes": [{"value": "x", "better": -1, "draw": 0, "worse": 0, "wilson_lower": 0}]},
        {"votes": [{}]},
        {"values": []},
    ],
)
def test_files_that_hold_no_choice(tmp_path: Path, changes: dict):
    path = tmp_path / "choice.json"
    path.write_text(choice_text(**changes), encoding="utf-8")
    with pytest.raises(ToolError, match="LL510"):
        read_choice(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe\x00", b"{"])
def test_files_that_are_no_json(tmp_path: Path, content: bytes):
    (tmp_path / "choice.json").write_bytes(content)
    with pytest.raises(ToolError, match="LL510"):
        read_choice(tmp_path / "choice.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": "other"},
        {"grid": ""},
        {"epoch_file": "gone.safetensors"},
        {"epoch_file": "../fox-000002.safetensors"},
    ],
)
def test_a_choice_of_something_else(drawn: Project, changes: dict):
    with pytest.raises(ToolError, match="LL510"):
        write_choice(drawn, parse_choice(choice_text(**changes)))
    assert drawn.journal.last("grid-choice") is None
