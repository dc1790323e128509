"""The choice made on a page, and the small server that takes it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.grids.choice import parse_choice, read_choice, write_choice
from a1111_ext.server.folder_server import GridServer
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
    path = write_choice(drawn, parse_choice(choice_text()))
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


def fetch(url: str, body: bytes | None = None, host: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_served_page_sends_its_choice(tmp_path: Path):
    (tmp_path / "grid.html").write_text("page", encoding="utf-8")
    (tmp_path / "secret.env").write_text("no", encoding="utf-8")
    taken = []
    server = GridServer(tmp_path, "grid.html", taken.append)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        root = server.url.rpartition("/")[0]
        assert fetch(server.url) == (200, b"page")
        assert fetch(f"{root}/choice", choice_text().encode())[0] == 200
        assert fetch(f"{root}/choice", b"{}")[0] == 400
        assert fetch(f"{root}/other", b"{}")[0] == 404
        assert fetch(f"{root}/secret.env")[0] == 404
        assert fetch(f"{root}/../grid.html")[0] == 404
        assert fetch(server.url.replace(root.rpartition("/")[2], "guess"))[0] == 404
        assert fetch(server.url, host="evil.example:80")[0] == 404
        assert [one.epoch for one in taken] == ["fox-000002"]
    finally:
        server.stop()
        thread.join(20)
        server.close()
