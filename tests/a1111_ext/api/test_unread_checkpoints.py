"""A large checkpoint is read for its hash once, and that is said before."""

from __future__ import annotations

import pytest

from a1111_ext.api.client import Client
from a1111_ext.api.inventory import fetch_capabilities, look_at_checkpoints, unread_checkpoints
from a1111_ext.cli import drawing
from a1111_ext.simulator import SimulatedWebui


def test_a_large_file_is_named_until_it_was_read(
    webui: SimulatedWebui, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = webui.host.files.path("simulated-a")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 1000)
    with Client(webui.url) as client:
        found = fetch_capabilities(client)
        assert unread_checkpoints(found, "simulated-a", "simulated-a") == [(path, 1000)]
        monkeypatch.setattr(drawing, "_LARGE_BYTES", 1001)
        drawing.say_what_is_read(found, ["simulated-a"])
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(drawing, "_LARGE_BYTES", 1000)
        drawing.say_what_is_read(found, ["simulated-a"])
        assert f"reading {path.name} (0.0 GB), once" in capsys.readouterr().err
        found = look_at_checkpoints(client, found, "simulated-a")
        assert unread_checkpoints(found, "simulated-a") == []
        path.write_bytes(b"y" * 999)
        assert unread_checkpoints(found, "simulated-a") == [(path, 999)]
