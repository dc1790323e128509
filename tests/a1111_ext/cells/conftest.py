"""What the tests of cells share: a ledger, and one WebUI with two epochs of a LoRA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from drawing import with_hash
from loras import save_lora

from a1111_ext.api.client import Client
from a1111_ext.cells import HttpBackend, Ledger
from a1111_ext.simulator import SimulatedWebui


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "cells.db", tmp_path / "cells") as opened:
        yield opened


@pytest.fixture
def backend(webui: SimulatedWebui) -> Iterator[HttpBackend]:
    for epoch in (1, 2):
        with_hash(save_lora(webui.host.lora_dir, f"fox-{epoch:06d}", epoch=epoch))
    webui.host.refresh_loras()
    opened = HttpBackend(Client(webui.url), startup_seconds=0.0)
    yield opened
    opened.close()
