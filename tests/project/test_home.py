"""Accounts without a home folder, and `~name` of a user that nobody knows."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import a1111_ext
import dynprompts
import kohya_ext
from kohya_ext.cli import main
from kohya_ext.project import ToolError, user_folder
from kohya_ext.project.home import expand_home, home_folder
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
