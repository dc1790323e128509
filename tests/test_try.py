"""`python scripts/try`: what a newcomer runs first, with nothing but Python."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "try"


@pytest.fixture
def script() -> ModuleType:
    spec = spec_from_loader("try_script", SourceFileLoader("try_script", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@pytest.mark.parametrize(
    ("system", "words"),
    [("nt", r"loraloom-venv\Scripts\activate"), ("posix", "source loraloom-venv/bin/activate")],
)
def test_the_demo_tells_how_to_call_loraloom(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, words: str
):
    monkeypatch.setattr(script.os, "name", system)
    assert script.activation() == words


def test_a_word_it_does_not_know():
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "dance"], capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 1
    assert "python scripts/try demo" in result.stderr


def test_the_tests_write_into_memory_where_there_is_room(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PYTEST_DEBUG_TEMPROOT", raising=False)
    monkeypatch.setattr(script.os, "access", lambda *words: True)
    for free, found in ((10**10, {"PYTEST_DEBUG_TEMPROOT": str(Path("/dev/shm"))}), (64 << 20, {})):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(script.shutil, "disk_usage", lambda path, usage=usage: usage)
        assert script.in_memory() == found
    monkeypatch.setattr(script.os, "access", lambda *words: False)
    assert script.in_memory() == {}


@pytest.mark.parametrize(("cores", "processes"), [(None, "2"), (2, "3"), (64, "8")])
def test_one_process_more_than_cores(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, cores: int | None, processes: str
):
    monkeypatch.setattr(script.os, "cpu_count", lambda: cores)
    assert script.beside_each_other()[:2] == ["-n", processes]
