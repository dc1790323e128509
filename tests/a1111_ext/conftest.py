"""What the tests of the picture half share: a simulated WebUI and LoRA files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from a1111_ext.api.client import Client
from a1111_ext.simulator import SimulatedWebui, start_webui


@pytest.fixture
def webui(tmp_path: Path) -> Iterator[SimulatedWebui]:
    """A simulated WebUI with two checkpoints and no LoRA."""
    with start_webui(tmp_path / "webui") as running:
        yield running


@pytest.fixture
def client(webui: SimulatedWebui) -> Iterator[Client]:
    with Client(webui.url) as opened:
        yield opened
