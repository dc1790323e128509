"""The least that our tab must do in a real Kohya GUI of any version; quick enough for each of them.

Variables as in test_kohya_launcher.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kohya_ext.project import open_project
from kohya_ext.training.config.kohya_json import GuiVersion

from .kohya_window import open_tab, press, shoot, top_tabs

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


def test_tab_stands_beside_the_lora_tab(window, version: GuiVersion):
    names = top_tabs(window)
    assert names[names.index("LoRA") + 1] == "loraloom"
    for name in names:
        open_tab(window, name)
        assert window.get_by_role("tab", name=name, exact=True).first.is_visible()
    open_tab(window, "loraloom")
    shoot(window, version, "empty")


def test_wrong_folder_is_a_sentence(window, tmp_path: Path):
    open_tab(window, "loraloom")
    window.get_by_label("Project folder", exact=True).fill(str(tmp_path))
    window.get_by_role("button", name="Open project").click()
    window.get_by_text("LL101").wait_for()


def test_project_is_made_from_nothing(window, tmp_path: Path):
    open_tab(window, "loraloom")
    window.get_by_label("Project folder", exact=True).fill(str(tmp_path / "new fox"))
    window.get_by_role("button", name="New project").click()
    press(window, "Make a project in the folder above")
    window.get_by_text("LL105").wait_for()
    press(window, "Import")
    window.get_by_text("LL101").wait_for()
    window.get_by_role("textbox", name="Trigger word", exact=True).fill("Newfox")
    press(window, "Make a project in the folder above")
    window.get_by_text("is open. Next: choose a base model").wait_for()
    press(window, "Import")
    window.get_by_text("LL708").wait_for()
    assert open_project(tmp_path / "new fox").manifest.trigger_word == "Newfox"
