"""How loraloom gets into the WebUI, and that no part of it can keep the WebUI from starting."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from asgi import ask
from fake_gradio import FakeGradio

from a1111_ext.webui import extension
from a1111_ext.webui.dynamic import BOXES as PROMPT_BOXES
from a1111_ext.webui.request import GRID_BOXES, SHOWCASE_BOXES

ROOT = Path(extension.__file__).resolve().parents[2]
ENTRY = ROOT / "scripts" / "loraloom_entry.py"


@pytest.fixture
def gradio(monkeypatch: pytest.MonkeyPatch) -> FakeGradio:
    made = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", made.module)
    return made


def start(host: Any) -> tuple[list[type], Any, Any]:
    """Play the host's start: scripts, settings, tabs, application."""
    from fastapi import FastAPI

    names = runpy.run_path(str(ENTRY))
    base = host.scripts.Script
    made = [one for one in names.values() if isinstance(one, type) and issubclass(one, base)]
    callbacks = host.script_callbacks.callback_map
    for one in callbacks["callbacks_ui_settings"]:
        one()
    (tab,) = (found for one in callbacks["callbacks_ui_tabs"] for found in one())
    app = FastAPI()
    for one in callbacks["callbacks_app_started"]:
        one(None, app)
    return made, tab, app


def routes_of(app: Any) -> set[str]:
    return {one.path for one in app.routes if one.path.startswith("/loraloom")}


def test_everything_is_there_once(host: Any, gradio: FakeGradio):
    made, (blocks, label, name), app = start(host)
    assert [one.__name__ for one in made] == [
        "EpochGridScript",
        "ShowcaseScript",
        "DynamicPromptsScript",
    ]
    assert (label, name) == ("loraloom", "loraloom")
    assert "loraloom_project_folders" in host.shared.opts.data_labels
    assert ask(app, "GET", "/loraloom/v1/projects").json == {"projects": []}
    assert gradio.labels(blocks) == [
        "Folder",
        "Project",
        "Grid",
        "Project folder to open or make",
        "Trigger word (for a new project)",
    ]


def test_an_older_host_is_entered_by_its_own_functions(
    host: Any, gradio: FakeGradio, monkeypatch: pytest.MonkeyPatch
):
    """Before v1.9 add_callback took two arguments."""
    callbacks = host.script_callbacks
    monkeypatch.setattr(callbacks, "add_callback", lambda callbacks, fun: callbacks.append(fun))
    start(host)
    assert [len(one) for one in callbacks.callback_map.values()] == [1, 1, 1]


def test_the_boxes_of_the_scripts_come_in_the_order_in_which_they_are_read(
    host: Any, gradio: FakeGradio
):
    scripts = start(host)[0]
    known = (GRID_BOXES, SHOWCASE_BOXES, PROMPT_BOXES)
    for made, expected in zip(scripts, known, strict=True):
        with gradio.module.Blocks():
            boxes = [one.options for one in made().ui(False)]
        labels = [one["label"].partition(":")[0].partition(" (")[0] for one in boxes]
        assert labels == [one.label for one in expected]
        assert [one["value"] or () for one in boxes] == [one.usual or () for one in expected]


def test_the_api_cannot_open_further_folders(host: Any, gradio: FakeGradio):
    start(host)
    name = "loraloom_project_folders"
    assert host.shared.opts.set(name, "/", is_api=True) is False
    assert host.shared.opts.data[name] == ""


BREAKS = {
    "script": "a1111_ext.webui.script",
    "dynamic prompts": "a1111_ext.webui.dynamic_script",
    "settings": "a1111_ext.webui.settings",
    "routes": "a1111_ext.webui.routes",
    "tab": "a1111_ext.webui.tab",
}


@pytest.mark.parametrize("part", BREAKS)
def test_a_broken_part_is_reported_and_the_others_live(
    host: Any,
    gradio: FakeGradio,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    """The module of the part raises when it is imported, as after a bad update."""
    broken = types.ModuleType(BREAKS[part])

    def fail(name: str) -> Any:
        raise RuntimeError(f"the disk ate {name}")

    broken.__getattr__ = fail  # type: ignore[method-assign]  # a module without its names
    for name in BREAKS.values():  # imported once more, as at the start of a host
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, BREAKS[part], broken)
    made, (blocks, label, _), app = start(host)
    sentence = f"The {part} of loraloom could not be built: RuntimeError: the disk ate "
    assert label == "loraloom"
    assert sentence in gradio.text(blocks)
    assert sentence in caplog.text
    assert "Traceback" in caplog.text
    names = {"EpochGridScript", "ShowcaseScript", "DynamicPromptsScript"}
    if part == "script":
        names = {"DynamicPromptsScript"}
    elif part == "dynamic prompts":
        names = {"EpochGridScript", "ShowcaseScript"}
    assert {one.__name__ for one in made} == names
    assert ("loraloom_project_folders" in host.shared.opts.data_labels) is (part != "settings")
    if part in ("script", "tab"):
        assert len(routes_of(app)) == 9


def test_a_tab_that_breaks_half_way_leaves_nothing_behind(
    host: Any, gradio: FakeGradio, monkeypatch: pytest.MonkeyPatch
):
    page = importlib.import_module("a1111_ext.screens.page")
    monkeypatch.setattr(page, "_connect", lambda *parts: 1 // 0)
    _, (blocks, _, _), _ = start(host)
    assert gradio.labels(blocks) == []
    assert "The tab of loraloom could not be built: ZeroDivisionError" in gradio.text(blocks)


def test_the_entry_imports_nothing_heavy():
    program = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; before = set(sys.modules);"
        "import runpy; runpy.run_path(sys.argv[3]);"
        "print(*{one.partition('.')[0] for one in set(sys.modules) - before})"
    )
    stub = str(Path(__file__).resolve().parents[2] / "fixtures" / "stub_webui")
    words = [sys.executable, "-S", "-c", program, stub, str(ROOT), str(ENTRY)]
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    ours = {"dynprompts", "kohya_ext", "a1111_ext", "modules"}
    assert set(result.stdout.split()) - ours <= set(sys.stdlib_module_names)


def test_later_imports_work_when_the_host_took_the_folder_off_the_path():
    program = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]];"
        "import runpy; runpy.run_path(sys.argv[3]); sys.path.remove(sys.argv[2]);"
        "import dynprompts.wildcards, kohya_ext.project.lora_file, a1111_ext.webui.access"
    )
    stub = str(Path(__file__).resolve().parents[2] / "fixtures" / "stub_webui")
    words = [sys.executable, "-S", "-c", program, stub, str(ROOT), str(ENTRY)]
    result = subprocess.run(words, capture_output=True, encoding="utf-8", check=False, cwd=stub)
    assert (result.returncode, result.stderr) == (0, "")
