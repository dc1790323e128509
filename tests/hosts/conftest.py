"""What the live checks share: the hosts that the environment names, and recording.

LORALOOM_WEBUI_URL (with LORALOOM_WEBUI_AUTH), LORALOOM_WEBUI_DIR, LORALOOM_KOHYA_GUI,
LORALOOM_SD_SCRIPTS, LORALOOM_BASE_MODEL; LORALOOM_RECORD=1 writes what was seen to
tests/recorded/, LORALOOM_HOSTS_TABLE=1 rows into docs/testing.md. A check whose host is not named
is skipped and says so.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hosts_table import write_rows

from a1111_ext.api.client import Client, parse_credentials

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"

_outcomes: dict[str, Counter[str]] = defaultdict(Counter)
_partly: set[str] = set()
"""Files of which a check was left out by an option: no row is written for them."""


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note whose checks are left out."""
    _partly.update(one.path.name for one in items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count how each live check ended; a failing fixture counts as a failed check."""
    path = Path(report.nodeid.partition("::")[0])
    if path.parent.name != "hosts":
        return
    if report.when == "call" or report.outcome != "passed":
        _outcomes[path.name][report.outcome] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the rows of docs/testing.md where LORALOOM_HOSTS_TABLE asks for it."""
    is_worker = hasattr(session.config, "workerinput")
    if not os.environ.get("LORALOOM_HOSTS_TABLE") or is_worker or session.shouldstop:
        return
    whole = {file: counts for file, counts in _outcomes.items() if file not in _partly}
    for row in write_rows(PAGE, whole, date.today()):
        print(row)


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
