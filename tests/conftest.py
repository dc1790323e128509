"""What all tests share: a user folder of their own, and a project to work in."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from kohya_ext.project import Project, apply_init, plan_init


@pytest.fixture(autouse=True)
def _own_user_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No test reads or writes the settings of the person who runs it."""
    monkeypatch.setenv("LORALOOM_HOME", str(tmp_path_factory.mktemp("loraloom-home")))


@pytest.fixture
def heard_signals():
    """Children hear Ctrl-C and a closing terminal, also when nohup or `&` started the tests."""
    if sys.platform == "win32":
        yield
        return
    before = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGHUP)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project of an invented creature, in a folder with a blank in its name."""
    return apply_init(plan_init(tmp_path / "my quillfox", "Quillfox"))
