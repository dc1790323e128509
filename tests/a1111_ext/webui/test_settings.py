"""Our setting: who may change it."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from fake_gradio import FakeGradio

from a1111_ext.webui.settings import FOLDERS, add_settings, project_folders


def set_by(host: Any, file: str, folder: str) -> None:
    """Set the folders as Forge does, for its page and its API alike, from a file of its own."""
    caller = types.ModuleType("caller")
    code = "def change(opts, name, value):\n    opts.set(name, value)\n"
    exec(compile(code, file, "exec"), caller.__dict__)
    caller.change(host.shared.opts, FOLDERS, folder)


def test_the_page_may_open_folders_and_the_api_may_not(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Forge's API forgets to say that it is the API, so `restrict_api` alone is no lock there."""
    monkeypatch.setitem(sys.modules, "gradio", FakeGradio().module)
    add_settings()
    set_by(host, "webui/modules/ui_settings.py", str(tmp_path))
    assert tmp_path in project_folders()
    set_by(host, str(Path("webui", "modules", "api", "api.py")), "/")
    assert project_folders()[0] == tmp_path
    assert len(project_folders()) == 2
