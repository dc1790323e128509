"""The tab itself, built and pressed on a page without a browser."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest
import requests
from fake_gradio_page import Component, FakePage, Handler

from kohya_ext.gui import tab
from kohya_ext.project import Project, open_project
from kohya_ext.simulator.base_model import write_base_model
from kohya_ext.simulator.creature import recipes, write_pictures
from kohya_ext.simulator.tagger_model import write_tagger_model
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of
from kohya_ext.training.trainer import simulated_trainer, use_trainer


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> FakePage:
    fake = FakePage()
    monkeypatch.setitem(sys.modules, "gradio", fake.module)
    monkeypatch.setitem(sys.modules, "gradio.context", fake.context)
    return fake


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "collected", recipes(4))
    return tmp_path / "collected"


def fill_manifest(project: Project) -> Project:
    """Name a base model and a tagger, and train one epoch only."""
    base = write_base_model(project.root / "base.safetensors")
    model = write_tagger_model(project.root / "tagger")
    text = project.manifest_path.read_text(encoding="utf-8")
    text = text.replace("  path: ''", f"  path: {json.dumps(base.as_posix())}")
    text = text.replace("  model: ''", f"  model: {json.dumps(model.as_posix())}")
    text = text.replace("max_train_epochs: 10", "max_train_epochs: 1")
    project.manifest_path.write_text(text, encoding="utf-8")
    return open_project(project.root)


def test_empty_page_says_what_to_do(page: FakePage):
    tab.build_page()
    assert "press <b>Open project</b>" in page.text
    assert page.find("Button", "Send to LoRA tab").options["visible"] is False


def test_road_is_walked_with_the_buttons(page: FakePage, tmp_path: Path, collected: Path):
    tab.build_page()
    root = tmp_path / "my quillfox"
    page.write("Project folder", str(root))
    page.write("Trigger word", "Quillfox")
    page.press("Make a project in the folder above")
    assert "Next: press <b>Import</b>" in page.text
    fill_manifest(open_project(root))
    use_trainer(simulated_trainer().folder)
    page.write("Folder with pictures", str(collected))
    for name, following in (
        ("Import", "press <b>Stage</b>"),
        ("Stage", "press <b>Caption</b>"),
        ("Caption", "press <b>Config</b>"),
        ("Config", "press <b>Train</b>"),
        ("Check", "press <b>Train</b>"),
        ("Train", "loraloom grid"),
    ):
        page.press(name)
        assert f"<b>{name}</b>: finished" in page.text
        assert f"Next: <code>{following}" in page.text or f"Next: {following}" in page.text
    assert "<b>Train</b> is running" in page.ever()
    assert "photo of Quillfox," in page.text
    assert (root / "model" / "Quillfox.safetensors").is_file()


def test_earlier_files_are_moved_aside_when_ticked(
    page: FakePage, project: Project, collected: Path
):
    fill_manifest(project)
    use_trainer(simulated_trainer().folder)
    tab.build_page(str(project.root))
    page.write("Folder with pictures", str(collected))
    for name in ("Import", "Stage", "Train"):
        page.press(name)
    page.press("Train")
    assert "[LL345]" in page.text
    box = next(one for one in page.components if "--move-old" in str(one.options.get("label")))
    box.shown = True
    page.press("Train")
    assert "<b>Train</b>: finished" in page.text
    assert (project.model_dir / "earlier-1" / "Quillfox.safetensors").is_file()


def test_broken_pictures_are_left_out_and_named(page: FakePage, project: Project, collected: Path):
    (collected / "broken.png").write_bytes(b"no picture")
    tab.build_page(str(project.root))
    page.write("Folder with pictures", str(collected))
    page.press("Import")
    assert "Left out: broken.png" in page.text


def test_wrong_folders_become_sentences(page: FakePage, tmp_path: Path):
    tab.build_page()
    page.press("Stage")
    assert "[LL708]" in page.text
    page.write("Project folder", str(tmp_path))
    for button in ("Open project", "Check", "Train", "Stop"):
        page.press(button)
        assert "[LL101]" in page.text
    page.write("Project folder", str(tmp_path / "new"))
    page.write("Trigger word", None)
    page.press("Make a project in the folder above")
    assert "[LL105]" in page.text


def test_stop_with_nothing_to_stop(page: FakePage, project: Project):
    tab.build_page(str(project.root))
    page.press("Stop")
    assert "Nothing is running." in page.text


def add_lora_tab(page: FakePage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Component]:
    """Put Kohya's own LoRA tab beside ours: each field as the GUI starts it."""
    fields = {
        key: Component("Field", {"value": fact.default})
        for key, fact in keys_of(GuiVersion.V26).items()
        if key != "save_as_bool"
    }
    module = types.ModuleType("kohya_gui.lora_gui")
    module.last_built_field_registry = list(fields.items())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(tab, "PAUSE_SECONDS", 0.0)
    return fields


@pytest.fixture
def staged(page: FakePage, project: Project, collected: Path) -> Project:
    filled = fill_manifest(project)
    tab.build_page(str(project.root))
    page.write("Folder with pictures", str(collected))
    page.press("Import")
    page.press("Stage")
    page.components.clear()
    return filled


@pytest.mark.parametrize("undone_after", [1, 2, 3], ids=["at-once", "late", "later"])
def test_values_that_kohya_undoes_are_sent_again(
    page: FakePage, staged: Project, monkeypatch: pytest.MonkeyPatch, undone_after: int
):
    fields = add_lora_tab(page, monkeypatch)
    runs: list[Handler] = []

    def undo(handler: Handler) -> None:
        """Kohya's change handlers bring back what stood there, some moments after the sending."""
        runs.append(handler)
        if len(runs) == undone_after:
            fields["network_dim"].shown = 8

    page.after_each = undo
    tab.build_page(str(staged.root))
    page.press("Send to LoRA tab")
    assert "All 287 values are in the LoRA tab" in page.text
    assert fields["network_dim"].shown != 8
    assert fields["output_name"].shown == "Quillfox"
    assert fields["network_weights"].shown == ""


def test_values_that_kohya_keeps_undoing_are_named(
    page: FakePage, staged: Project, monkeypatch: pytest.MonkeyPatch
):
    fields = add_lora_tab(page, monkeypatch)

    def undo(handler: Handler) -> None:
        fields["network_dim"].shown = 8

    page.after_each = undo
    tab.build_page(str(staged.root))
    page.press("Send to LoRA tab")
    assert "1 of 287 values did not arrive" in page.text
    assert "Network Rank (Dimension)" in page.text


def test_project_that_cannot_be_sent_says_why(
    page: FakePage, project: Project, monkeypatch: pytest.MonkeyPatch
):
    fields = add_lora_tab(page, monkeypatch)
    before = {key: field.shown for key, field in fields.items()}
    tab.build_page(str(project.root))
    page.press("Send to LoRA tab")
    assert "[LL307]" in page.text
    assert {key: field.shown for key, field in fields.items()} == before


def test_the_board_is_in_the_tab(page: FakePage, project: Project):
    tab.build_page()
    page.write("Project folder", str(project.root))
    assert "<iframe" not in page.text
    page.press("Open project")
    assert "Judge and caption the pictures" in page.text
    (address,) = re.findall(r'<iframe src="([^"]+)"', page.text)
    answer = requests.get(address, timeout=30)
    assert answer.status_code == 200
    assert "Board" in answer.text
    assert requests.get(address.replace("board.html", "state.json"), timeout=30).ok
