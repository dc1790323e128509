"""`python scripts/windows-tests`: the tests that Windows can break, with a Windows Python."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
import zipfile
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
    assert "--prepare FOLDER" in result.stdout
    assert named in result.stdout


def test_the_tests_that_it_names_exist(script: ModuleType):
    assert [one for one in script.TESTS if not (ROOT / one).exists()] == []


@pytest.mark.skipif(os.name == "nt", reason="paths need no other spelling there")
def test_wine_sees_our_root_as_a_drive(script: ModuleType):
    assert script.as_windows(Path("/some/place/x.py")) == r"Z:\some\place\x.py"


@pytest.mark.skipif(os.name == "nt", reason="nothing is prepared there")
def test_where_wine_cannot_be_installed_it_says_so(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.delenv("LORALOOM_WINE", raising=False)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    assert script.prepare(tmp_path / "windows") == 77
    assert "apt could not install it" in capsys.readouterr().out
    assert not (tmp_path / "windows").exists()


def test_a_prepared_folder_is_found_again(script: ModuleType, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as packed:
        packed.writestr("cp310/python.exe", b"")
        packed.writestr("cp310/Lib/venv/scripts/nt/python.exe", b"")
    (tmp_path / "get").mkdir()
    with tarfile.open(tmp_path / "get" / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "data.zip", "embed-3.10.1/src/data.zip")
    assert script.find_python(tmp_path) is None
    script.unpack_python(tmp_path / "get", tmp_path / "windows")
    assert script.find_python(tmp_path) == tmp_path / "windows" / "cp310" / "python.exe"


def test_the_folders_packages_and_prefix_are_used(script: ModuleType, tmp_path: Path):
    found = script.environment(tmp_path / "packages", tmp_path / "prefix")
    assert found["WINEPREFIX"] == str(tmp_path / "prefix")
    assert "packages" in found["PYTHONPATH"]


@pytest.mark.skipif(os.name == "nt", reason="its shell is another one")
def test_what_holds_the_output_is_not_waited_for(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(script, "LAST_WORDS_SECONDS", 0.1)
    started = time.monotonic()
    assert script.run(["sh", "-c", "sleep 20 & exit 3"], dict(os.environ)) == 3
    assert time.monotonic() - started < 15


def test_the_output_comes_through(script: ModuleType, capfd: pytest.CaptureFixture[str]):
    assert script.run([sys.executable, "-c", "print('3 passed')"], dict(os.environ)) == 0
    assert "3 passed" in capfd.readouterr().out
