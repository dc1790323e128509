"""`python scripts/windows-tests`: the tests that Windows can break, with a Windows Python."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "windows-tests"


@pytest.fixture
def script() -> ModuleType:
    loader = SourceFileLoader("windows_tests_script", str(SCRIPT))
    spec = spec_from_loader("windows_tests_script", loader)
    assert spec is not None
    module = module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


@pytest.mark.skipif(os.name == "nt", reason="there the Python at hand is a Windows Python")
@pytest.mark.parametrize("named", ["", "no-such-folder/python.exe"])
def test_without_a_windows_python_it_says_how_to_prepare_one(named: str):
    result = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "LORALOOM_WINDOWS_PYTHON": named},
    )
    assert result.returncode == 77
    assert "the Windows tests did not run" in result.stdout
    assert "--platform win_amd64" in result.stdout
    assert named in result.stdout


def test_the_tests_that_it_names_exist(script: ModuleType):
    assert [one for one in script.TESTS if not (ROOT / one).exists()] == []


@pytest.mark.skipif(os.name == "nt", reason="paths need no other spelling there")
def test_wine_sees_our_root_as_a_drive(script: ModuleType):
    assert script.as_windows(Path("/some/place/x.py")) == r"Z:\some\place\x.py"
