"""`loraloom webui` and `loraloom link-loras`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from loras import save_lora

from a1111_ext.simulator import SimulatedWebui, start_webui
from kohya_ext.cli import main
from kohya_ext.project import Project, read_settings, remember_webuis
from kohya_ext.project.server import FolderShare, PageServer


def test_webui_shows_exact_names(webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]):
    assert main(["webui", "--webui", webui.url]) == 0
    out, err = capsys.readouterr()
    assert "simulated-b.safetensors [" in out
    assert "is a simulated WebUI" in err
    assert read_settings().webui_urls == (webui.url,)
    assert main(["webui", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["is_simulated"] is True


def test_a_mistyped_address_is_not_remembered(webui: SimulatedWebui):
    assert main(["webui", "--webui", webui.url.removeprefix("http://")]) == 0
    assert main(["webui", "--webui", "http://127.0.0.1:9"]) == 1
    assert read_settings().webui_urls == (webui.url,)


def test_a_projects_webui_is_its_own(
    project: Project,
    webui: SimulatedWebui,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    remember_webuis(["http://127.0.0.1:9"], None)
    assert main(["webui", str(project.root), "--webui", webui.url]) == 0
    assert read_settings().webui_urls == ("http://127.0.0.1:9",)
    assert read_settings().webuis_of(project.root) == (webui.url,)
    monkeypatch.chdir(project.root)
    assert main(["webui"]) == 0  # the current folder is the project
    monkeypatch.chdir(project.root.parent)
    assert main(["webui"]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_the_first_webui_of_a_project_serves_others_too(
    project: Project, webui: SimulatedWebui, tmp_path: Path
):
    assert main(["webui", str(project.root), "--webui", webui.url]) == 0
    assert read_settings().webuis_of(tmp_path / "another") == (webui.url,)
    remember_webuis(["http://127.0.0.1:9"], tmp_path / "another")
    assert read_settings().webuis_of(project.root) == (webui.url,)
    assert read_settings().webui_urls == (webui.url,)


def test_without_epochs_no_webui_is_asked_for(project: Project, capsys: pytest.CaptureFixture[str]):
    for command in ("link-loras", "grid"):
        assert main([command, str(project.root)]) == 1
        assert "LL133" in capsys.readouterr().err


def test_no_webui_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["webui"]) == 1
    assert "LL413" in capsys.readouterr().err


def port_of(url: str) -> str:
    return url.removeprefix("http://").partition(":")[2].partition("/")[0]


@pytest.fixture
def page_port(tmp_path: Path) -> Iterator[str]:
    """The port of a page that knows nothing of the WebUI's routes, as the Kohya GUI's."""
    with PageServer() as server:
        yield port_of(server.url_of(FolderShare(tmp_path)))


@pytest.mark.parametrize("auth", ["", "fox:den"], ids=["open", "with a password"])
def test_a_webui_that_runs_here_is_found(
    auth: str,
    page_port: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    with start_webui(tmp_path / "webui", auth=auth) as webui:
        monkeypatch.setenv("LORALOOM_WEBUI_PORTS", f"9 {page_port} {port_of(webui.url)}")
        assert main(["webui", "--auth", auth]) == 0
    out, err = capsys.readouterr()
    assert f"Using the WebUI at {webui.url};" in err
    assert webui.url in out
    assert read_settings().webui_urls == ()  # looked for again the next time


def test_a_page_without_an_api_is_no_webui(
    page_port: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LORALOOM_WEBUI_PORTS", page_port)
    assert main(["webui"]) == 1
    assert "LL413" in capsys.readouterr().err


def test_link_and_remove(
    project: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    save_lora(project.model_dir, "Quillfox")
    assert main(["link-loras", str(project.root), "--webui", webui.url, "--dry-run"]) == 0
    assert webui.host.loras() == []
    assert main(["link-loras", str(project.root), "--json"]) == 0
    assert [one["name"] for one in webui.host.loras()] == ["Quillfox-123456-000001"]
    assert "Next: loraloom grid" in capsys.readouterr().err
    assert main(["link-loras", str(project.root), "--remove"]) == 0
    assert webui.host.loras() == []


def test_a_port_in_use_is_one_sentence(
    webui: SimulatedWebui, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    port = webui.url.rpartition(":")[2]
    assert main(["simulator", str(tmp_path / "web"), "--port", port]) == 1
    assert f"Port {port} cannot be used" in capsys.readouterr().err


def test_a_grid_is_drawn_without_the_webui_that_is_off(
    project: Project, webui: SimulatedWebui, capsys: pytest.CaptureFixture[str]
):
    save_lora(project.model_dir, "Quillfox-000001", epoch=1)
    off = "http://127.0.0.1:9"
    grid = ["grid", str(project.root), "--seeds", "1", "--webui", off]
    assert main(grid) == 1
    assert main([*grid, "--webui", webui.url]) == 0
    printed = capsys.readouterr().err
    assert f"No WebUI answers at {off}: connection refused. The others draw without it." in printed
    assert read_settings().webuis_of(project.root) == (webui.url,)  # off, or mistyped
    remember_webuis([off, webui.url], project.root)
    assert main(["grid", str(project.root), "--seeds", "2"]) == 0
    assert main([*grid, "--webui", webui.url]) == 0
    assert read_settings().webuis_of(project.root) == (off, webui.url)


def test_links_go_into_each_webui_that_is_named(
    project: Project, webui: SimulatedWebui, tmp_path: Path
):
    save_lora(project.model_dir, "Quillfox")
    off = "http://127.0.0.1:9"
    assert main(["link-loras", str(project.root), "--webui", webui.url, "--webui", off]) == 1
    with start_webui(tmp_path / "second webui") as second:
        both = ["--webui", webui.url, "--webui", second.url]
        for words, count in ((both, 1), (["--remove"], 0)):
            assert main(["link-loras", str(project.root), *words]) == 0
            assert [len(one.host.loras()) for one in (webui, second)] == [count, count]
