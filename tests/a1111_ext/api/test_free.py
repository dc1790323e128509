"""A running WebUI gives the graphics card free for a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from a1111_ext.api.free import AUTH_VARIABLE, before_training
from a1111_ext.simulator import SimulatedWebui
from a1111_ext.simulator.host import SimulatedHost
from kohya_ext.project import ToolError, write_setting


def test_remembered_webuis_unload_over_http(webui: SimulatedWebui):
    write_setting("webui_urls", (webui.url, "http://127.0.0.1:9"))
    undo = before_training(Path())
    assert webui.host.counters.unloads == 1
    undo()


def test_credentials_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    running = SimulatedWebui(SimulatedHost(tmp_path / "webui"), auth="me:secret")
    running.start()
    try:
        with pytest.raises(ToolError, match="LL403"):
            before_training(Path(), urls=[running.url])
        monkeypatch.setenv(AUTH_VARIABLE, "me:secret")
        before_training(Path(), urls=[running.url])()
    finally:
        running.stop()
    assert running.host.counters.unloads == 1
