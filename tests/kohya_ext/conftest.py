"""The page that our tab is built on, without a browser, and pictures for its project."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_gradio_page import FakePage

from kohya_ext.simulator.creature import recipes, write_pictures


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
