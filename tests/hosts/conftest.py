"""What the live checks share: the hosts that the environment names, and recording.

LORALOOM_WEBUI_URL (with LORALOOM_WEBUI_AUTH), LORALOOM_WEBUI_DIR, LORALOOM_KOHYA_GUI,
LORALOOM_SD_SCRIPTS, LORALOOM_BASE_MODEL; LORALOOM_RECORD=1 writes what was seen to
tests/recorded/. A check whose host is not named is skipped and says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from a1111_ext.api.client import Client, parse_credentials

RECORDED = Path(__file__).resolve().parents[1] / "recorded"


def named(variable: str) -> str:
    """Return what the environment names, or skip the check."""
    value = os.environ.get(variable, "")
    if not value:
        pytest.skip(f"{variable} names no host")
    return value


@pytest.fixture
def live_webui() -> Iterator[Client]:
    """The WebUI at LORALOOM_WEBUI_URL."""
    auth = os.environ.get("LORALOOM_WEBUI_AUTH", "")
    with Client(named("LORALOOM_WEBUI_URL"), parse_credentials(auth)) as client:
        yield client


@pytest.fixture
def record() -> Callable[[str, str, str, Any], None]:
    """Write what a host answered, with host and version, when LORALOOM_RECORD is set."""

    def write(place: str, host: str, version: str, answers: Any) -> None:
        if os.environ.get("LORALOOM_RECORD"):
            data = {"host": host, "version": version, "answers": answers}
            text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
            (RECORDED / place).write_text(text + "\n", encoding="utf-8", newline="\n")

    return write
