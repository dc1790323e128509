"""`python scripts/install` after something went wrong: interrupted, moved, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from .test_install import SCRIPT, Machine, kohya, machine, put_tab, script, webui

__all__ = ("kohya", "machine", "script", "webui")


class Killed(BaseException):
    """The window is closed."""


def kill_at(count: int, function):
    """Return `function`, which is killed at its call number `count`."""
    calls = iter(range(count))

    def killed(*words, **options):
        if next(calls, None) is None:
            raise Killed
        return function(*words, **options)

    return killed


@pytest.mark.parametrize("count", [0, 1, 40, 400])
def test_an_interrupted_copy_is_no_extension_and_goes(
    script: ModuleType,
    machine: Machine,
    webui: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
):
    hosts = script.Hosts((), (webui,))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", kill_at(count, shutil.copyfile))
        with pytest.raises(Killed):
            script.install(machine.program, hosts, "", tmp_path)
    extensions = webui / "extensions"
    assert not list(extensions.glob("*/scripts/*.py"))  # nothing for the WebUI to load
    assert script.install(machine.program, hosts, "", tmp_path) == 0
    assert [one.name for one in extensions.iterdir()] == ["loraloom"]
    assert machine.program.remove(script.Hosts()) == []
    assert not list(extensions.iterdir())


@pytest.mark.parametrize("count", [0, 3, 60, 400])
@pytest.mark.parametrize("again", ["install", "remove"])
def test_an_interrupted_deletion_is_taken_up_again(
    script: ModuleType,
    machine: Machine,
    webui: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    again: str,
):
    hosts = script.Hosts((), (webui,))
    script.install(machine.program, hosts, "", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", kill_at(count, os.unlink))
        with pytest.raises(Killed):
            machine.program.remove(script.Hosts())
    extension = webui / "extensions" / "loraloom"
    assert (extension / script.MARK).is_file()
    if again == "install":
        assert script.install(machine.program, hosts, "", tmp_path) == 0
        assert (extension / "pyproject.toml").is_file()
    assert machine.program.remove(script.Hosts()) == []
    assert not extension.exists()


def test_a_copy_that_was_interrupted_is_removed(
    script: ModuleType, machine: Machine, webui: Path, tmp_path: Path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", kill_at(40, shutil.copyfile))
        with pytest.raises(Killed):
            script.install(machine.program, script.Hosts((), (webui,)), "", tmp_path)
    assert machine.program.remove(script.Hosts()) == []
    assert not list((webui / "extensions").iterdir())
    assert not machine.program.folder.exists()


def test_an_environment_without_pip_is_made_again(
    script: ModuleType, machine: Machine, tmp_path: Path
):
    machine.program.python.parent.mkdir(parents=True)
    machine.program.python.write_bytes(b"")
    machine.fails_with = "import pip"
    script.install(machine.program, script.Hosts(), "", tmp_path)
    made = [sys.executable, "-m", "venv", "--clear", str(machine.program.venv)]
    assert made in machine.ran


def test_hosts_that_were_moved_are_found_and_cleaned(
    script: ModuleType, machine: Machine, kohya: Path, webui: Path, tmp_path: Path, capsys
):
    script.install(machine.program, script.Hosts((kohya,), (webui,)), "", tmp_path)
    put_tab(kohya)
    moved = tmp_path / "other disk"
    kohya.parent.rename(moved)
    here = tmp_path / "here"
    shutil.copytree(moved / "the webui" / "modules", here / "another webui" / "modules")
    (here / "another webui" / "webui.py").write_text("", encoding="utf-8")
    hosts = machine.program.moved_hosts([], here, tmp_path)
    assert machine.program.remove(hosts) == []
    assert not list(moved.rglob("*loraloom*"))
    assert " is gone." not in capsys.readouterr().out


def test_a_host_that_is_nowhere_is_named_when_removing(
    script: ModuleType, machine: Machine, kohya: Path, webui: Path, tmp_path: Path, capsys
):
    script.install(machine.program, script.Hosts((kohya,), (webui,)), "", tmp_path)
    shutil.rmtree(kohya)
    shutil.rmtree(webui)
    hosts = machine.program.moved_hosts([], tmp_path / "here", tmp_path)
    assert machine.program.remove(hosts) == []
    printed = capsys.readouterr().out
    assert f"{kohya} is gone." in printed
    assert f"{webui / 'extensions' / 'loraloom'} is gone." in printed


def test_a_folder_typed_with_dots_is_found_from_anywhere(
    script: ModuleType, webui: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = script.find_hosts([Path("..", "progs", "the webui")], here, tmp_path)
    assert found.webui == (webui,)


def test_a_webui_that_refuses_writing_does_not_keep_the_others_waiting(
    script: ModuleType, machine: Machine, webui: Path, tmp_path: Path, capsys
):
    locked = tmp_path / "locked"
    (locked / "modules").mkdir(parents=True)
    (locked / "extensions").write_text("no folder", encoding="utf-8")
    assert script.install(machine.program, script.Hosts((), (locked, webui)), "", tmp_path) == 1
    assert f"WebUI: no extension in {locked}: " in capsys.readouterr().out
    assert (webui / "extensions" / "loraloom").is_dir()


def test_a_home_that_refuses_writing_is_one_sentence(tmp_path: Path):
    home = tmp_path / "home"
    home.write_text("no folder", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "LORALOOM_HOME": str(home), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Stopped: ")
    assert "Traceback" not in done.stderr


def test_one_file_writes_another_one(script: ModuleType, tmp_path: Path):
    first, second = tmp_path / "first.pyz", tmp_path / "second.pyz"
    script.pack(first)
    subprocess.run([sys.executable, str(first), "--pack", str(second)], check=True)
    assert zipfile.ZipFile(first).namelist() == zipfile.ZipFile(second).namelist()


def test_an_upgrade_reaches_all_that_was_installed_before(
    script: ModuleType,
    machine: Machine,
    kohya: Path,
    webui: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Without their folders, only the program was renewed, and the extension stayed an old one."""
    put_tab(kohya)
    (webui / "webui-user.sh").write_text('export COMMANDLINE_ARGS="--data-dir data"\n', "utf-8")
    (webui / "data").mkdir()
    script.install(machine.program, script.Hosts((kohya,), (webui,)), "", tmp_path / "home")
    old = webui / "data" / "extensions" / "loraloom" / "a1111_ext" / "removed_since.py"
    old.write_text("", encoding="utf-8")
    assert machine.program.known_hosts() == script.Hosts((kohya,), (webui,))
    (tmp_path / "far").mkdir()
    monkeypatch.chdir(tmp_path / "far")
    monkeypatch.setattr(script, "find_hosts", lambda *_: script.Hosts())
    monkeypatch.setattr(script, "Program", lambda _: machine.program)
    assert script.main([]) == 0
    assert not old.exists()
    assert str(kohya) in capsys.readouterr().out


def test_hosts_that_are_not_found_are_asked_for_in_a_command_that_runs(
    script: ModuleType, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    script.install(machine.program, script.Hosts(), "", tmp_path / "home")
    said = capsys.readouterr().out
    assert script.shell_words(sys.executable, SCRIPT, "FOLDER", "FOLDER") in said
