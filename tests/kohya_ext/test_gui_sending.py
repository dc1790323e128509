"""Sending values to the LoRA tab of the Kohya GUI, which may undo them."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from fake_gradio_page import Component, FakePage, Handler
from filled_manifest import fill_manifest

from kohya_ext.gui import tab
from kohya_ext.project import Project
from kohya_ext.training.config.kohya_json import GuiVersion, keys_of


def add_lora_tab(page: FakePage, monkeypatch: pytest.MonkeyPatch) -> dict[str, Component]:
    """Put Kohya's own LoRA tab beside ours: each field as the GUI starts it."""
    fields = {
        key: Component("Field", {"value": fact.default})
        for key, fact in keys_of(GuiVersion.V26).items()
        if key != "save_as_bool"
    }
    module = types.ModuleType("kohya_gui.lora_gui")
    module.last_built_field_registry = list(fields.items())  # type: ignore[attr-defined]
    module.__file__ = str(Path("kohya_ss", "kohya_gui", "lora_gui.py"))
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
    assert "287 values are in the LoRA tab" in page.text
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
