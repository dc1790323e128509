"""`loraloom webui` and `loraloom lend`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.simulator import RehearsalWebui
from kohya_ext.cli import main
from kohya_ext.project import Project, read_settings


def test_webui_shows_exact_names(webui: RehearsalWebui, capsys: pytest.CaptureFixture[str]):
    assert main(["webui", "--webui", webui.url]) == 0
    out, err = capsys.readouterr()
    assert "rehearsal-b.safetensors [" in out
    assert "is a rehearsal WebUI" in err
    assert read_settings().webui_urls == (webui.url,)
    assert main(["webui", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["is_rehearsal"] is True


def test_a_mistyped_address_is_not_remembered(webui: RehearsalWebui):
    assert main(["webui", "--webui", webui.url.removeprefix("http://")]) == 0
    assert main(["webui", "--webui", "http://127.0.0.1:9"]) == 1
    assert read_settings().webui_urls == (webui.url,)


def test_without_epochs_no_webui_is_asked_for(project: Project, capsys: pytest.CaptureFixture[str]):
    for command in ("lend", "grid"):
        assert main([command, str(project.root)]) == 1
        assert "LL133" in capsys.readouterr().err


def test_no_webui_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["webui"]) == 1
    assert "LL413" in capsys.readouterr().err


def test_lend_and_take_back(
    project: Project, webui: RehearsalWebui, capsys: pytest.CaptureFixture[str]
):
    save_lora(project.model_dir, "Quillfox")
    assert main(["lend", str(project.root), "--webui", webui.url, "--dry-run"]) == 0
    assert webui.host.loras() == []
    assert main(["lend", str(project.root), "--json"]) == 0
    assert [one["name"] for one in webui.host.loras()] == ["Quillfox-123456-000001"]
    assert "Next: loraloom grid" in capsys.readouterr().err
    assert main(["lend", str(project.root), "--take-back"]) == 0
    assert webui.host.loras() == []


def test_a_port_in_use_is_one_sentence(
    webui: RehearsalWebui, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    port = webui.url.rpartition(":")[2]
    assert main(["rehearse", str(tmp_path / "web"), "--port", port]) == 1
    assert f"Port {port} cannot be used" in capsys.readouterr().err
