"""Accounts without a home folder, and `~name` of a user that nobody knows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

import a1111_ext
import dynprompts
import kohya_ext
from kohya_ext.cli import main
from kohya_ext.project import ToolError, user_folder
from kohya_ext.project.home import expand_home, home_folder, typed_path, typed_path_text
from kohya_ext.training.config.paths import absolute_path

_OWN = re.compile(r"(?<!os\.path)\.expanduser\(|Path\.home\(")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account as services and containers have it."""
    for name in ("HOME", "USERPROFILE", "HOMEPATH", "HOMEDRIVE", "LORALOOM_HOME"):
        monkeypatch.delenv(name, raising=False)
    if os.name != "nt":
        import pwd

        def unknown(_: int) -> None:
            raise KeyError

        monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.skipif(os.name == "nt", reason="there it is a folder beside the own one")
def test_a_user_that_nobody_knows_stays_as_typed(tmp_path: Path):
    typed = "~nobody-of-that-name/a.safetensors"
    assert expand_home(typed) == Path(typed)
    assert absolute_path(typed, tmp_path) == str(tmp_path / typed)


def test_the_own_folder_is_put_in():
    assert expand_home("~/models") == home_folder() / "models"
    assert home_folder() == Path.home()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_it_says_what_to_set(capsys: pytest.CaptureFixture[str]):
    assert not home_folder().exists()
    with pytest.raises(ToolError, match=r"has no home folder.*LORALOOM_HOME.*LL122"):
        user_folder()
    assert main(["queue", "list"]) == 1
    assert "LL122" in capsys.readouterr().err


@pytest.mark.usefixtures("homeless")
def test_a_named_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORALOOM_HOME", str(tmp_path / "own"))
    assert user_folder() == tmp_path / "own"
    assert main(["queue", "list"]) == 0


def test_nobody_asks_pathlib_for_the_home():
    roots = [Path(one.__file__).parent for one in (kohya_ext, a1111_ext, dynprompts)]
    files = [path for root in roots for path in root.rglob("*.py")]
    assert len(files) > 100
    assert [one for one in files if _OWN.search(one.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "pasted",
    ['"{}"', "'{}'", ' "{}" ', " {}\t", "{address}"],
    ids=["quotes", "single quotes", "spaces", "a tab", "an address"],
)
def test_a_pasted_path_is_the_path(tmp_path: Path, pasted: str):
    folder = tmp_path / "my set ä"
    assert typed_path(pasted.format(folder, address=folder.as_uri())) == folder


@pytest.mark.parametrize("hub", ["runwayml/stable-diffusion-v1-5", "a b/c", "50%/set", "it's"])
def test_other_text_stays_as_it_was_typed(hub: str):
    assert typed_path_text(hub) == hub


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_folder_with_quotes_in_its_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path('"old"').mkdir()
    assert typed_path('"old"') == Path('"old"')
    assert typed_path_text("%TEMP%/x") == "%TEMP%/x"


@pytest.mark.skipif(sys.platform != "win32", reason="how Windows writes paths")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (r"%USERPROFILE%\set", r"C:\Users\kit\set"),
        (r'"%userprofile%/set"', "C:\\Users\\kit/set"),
        (r"%HF_TOKEN%\set", r"%HF_TOKEN%\set"),
        (r'C:\my set"', r"C:\my set"),
        ("file://nas/loras/my%20set", r"\\nas\loras\my set"),
        ("file:///C:/my%20set", r"C:\my set"),
        (r"\\nas\loras", r"\\nas\loras"),
        ("D:set", "D:set"),
    ],
)
def test_windows_paths_are_understood(typed: str, meant: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("USERPROFILE", r"C:\Users\kit")
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert typed_path_text(typed) == meant


@pytest.mark.skipif(sys.platform != "win32", reason="a quirk of Windows' command lines")
def test_a_path_that_took_in_other_words_is_refused(capsys: pytest.CaptureFixture[str]):
    """What `import "C:\\my set\\" --rename` becomes before any program reads it."""
    assert main(["show", 'C:\\my set" --json']) == 2
    assert "leave out that backslash" in capsys.readouterr().err
