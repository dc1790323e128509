"""The tab inside the WebUI: projects are opened and made by their folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_gradio import FakeGradio

from a1111_ext.webui.settings import FOLDERS, add_settings, own_folder
from a1111_ext.webui.tab import fill_tab, open_project_here, read_host_shelf
from kohya_ext.project import ToolError, apply_init, open_project, plan_init


@pytest.fixture
def gradio(host: Any, monkeypatch: pytest.MonkeyPatch) -> FakeGradio:
    made = FakeGradio()
    monkeypatch.setitem(sys.modules, "gradio", made.module)
    add_settings()
    return made


@pytest.mark.usefixtures("gradio")
def test_a_project_is_made_and_seen_after_a_restart(host: Any, tmp_path: Path):
    root = tmp_path / "my loras" / "fox"
    assert open_project_here(f" {root} ", "Quillfox") == "fox"
    assert open_project(root).manifest.trigger_word == "Quillfox"
    assert "fox" in read_host_shelf().labels
    kept = json.loads(Path(host.shared.config_filename).read_text(encoding="utf-8"))
    assert kept[FOLDERS] == str(root)
    assert open_project_here(str(root), "") == "fox"  # once more adds nothing
    assert open_project_here(f'"{root}"', "") == "fox"  # as Explorer copies it
    assert host.shared.opts.data[FOLDERS] == str(root)


@pytest.mark.usefixtures("gradio")
def test_a_folder_beside_the_named_ones_is_added(host: Any, tmp_path: Path):
    host.shared.opts.data[FOLDERS] = str(tmp_path / "others")
    apply_init(plan_init(tmp_path / "others" / "hen", "Hen"))
    apply_init(plan_init(tmp_path / "fox", "Quillfox"))
    open_project_here(str(tmp_path / "others" / "hen"), "")
    assert host.shared.opts.data[FOLDERS] == str(tmp_path / "others")
    open_project_here(str(tmp_path / "fox"), "")
    assert read_host_shelf().labels[:2] == ("fox", "hen")


TOO_LONG = "LL186" if sys.platform == "win32" else "LL111"
"""Windows has a limit of its own; elsewhere the system refuses the name."""


@pytest.mark.usefixtures("gradio")
@pytest.mark.parametrize(
    ("folder", "word", "code"),
    [
        ("", "Fox", "LL769"),
        ("fox", "Fox", "LL769"),
        ("{}/x", "", "LL769"),
        ("{}/file", "Fox", "LL103"),
        ("{}/file/x", "Fox", "LL111"),
        ("{}/" + "x" * 10_000, "Fox", TOO_LONG),
        ("x" * 10_000, "Fox", "LL769"),
        ("{}/x", "x" * 10_000, "LL105"),
    ],
    ids=["nothing", "part", "no-word", "file", "below-a-file", "long", "long-part", "long-word"],
)
def test_folders_that_are_no_projects(host: Any, tmp_path: Path, folder: str, word: str, code: str):
    """Each is one sentence, and none of them is added to the settings."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ToolError) as caught:
        open_project_here(folder.format(tmp_path), word)
    assert caught.value.code == code
    assert len(str(caught.value)) < 400
    assert not host.shared.opts.data.get(FOLDERS)


@pytest.mark.usefixtures("gradio")
@pytest.mark.parametrize("flag", ["freeze_settings", "hide_ui_dir_config"])
def test_a_host_with_frozen_folders_opens_no_others(
    host: Any, tmp_path: Path, flag: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(host.shared.cmd_opts, flag, True, raising=False)
    with pytest.raises(ToolError, match=flag.replace("_", "-")) as caught:
        open_project_here(str(tmp_path / "fox"), "Quillfox")
    assert caught.value.code == "LL770"
    assert not (tmp_path / "fox").exists()


def test_the_button_opens_and_shows_the_project(gradio: FakeGradio, tmp_path: Path):
    with gradio.module.Blocks() as blocks:
        fill_tab(blocks)
    (button,) = [one for one in gradio.every(blocks) if one.options.get("value") == "Open or make"]
    opening, filling = button.handlers
    said, label, name, *_ = opening.function(str(tmp_path / "fox"), "Quillfox")
    assert ("fox is open." in said, label, name) == (True, "fox", None)
    project, _, facts, _ = filling.function("", label, name)
    assert (project["value"], "Quillfox" in facts) == ("fox", True)
    assert 'role="alert"' in opening.function("nowhere", "")[0]


@pytest.mark.usefixtures("gradio")
def test_the_tab_knows_where_wildcards_are_edited(host: Any):
    from a1111_ext.webui.addresses import SHARES, wildcards_address

    found = wildcards_address()
    assert wildcards_address() == found
    target = found.partition("/loraloom/pages/")[2]
    assert SHARES.answer(target).status == 200
    token = target.partition("/")[0]
    sent = b'{"file": "fox.txt", "text": "red\\n", "stamp": ""}'
    assert SHARES.answer(f"{token}/save", sent, "application/json").status == 200
    assert (own_folder() / "wildcards" / "fox.txt").read_text(encoding="utf-8") == "red\n"
