"""The one command: overview, sub-commands, plugins, exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.cli.dispatch import _speak_utf8
from kohya_ext.project import Project
from kohya_ext.project.cli import (
    emit_json,
)
from kohya_ext.project.shell import (
    shell_path,
    shell_words,
)

PLUGIN = """
import click

@click.command()
@click.argument("errno", type=int)
def refused(errno):
    raise OSError(errno, "no way", "some file")

@click.command()
def hello():
    "Say hello."
    click.echo("hello from a plugin")
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path with an installed plugin and a broken one."""
    folder = tmp_path / "site"
    info = folder / "loom_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "loom_plugin.py").write_text(PLUGIN, encoding="utf-8")
    (info / "METADATA").write_text("Name: loom-plugin\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[other]\nx = y:z\n\n[loraloom.commands]\n"
        "hello = loom_plugin:hello\nrefused = loom_plugin:refused\n"
        "broken = loom_plugin_missing:x\n\n[more]\na = b:c\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(folder)
    return folder


def test_no_words_give_the_overview(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    assert "Usage: loraloom COMMAND" in capsys.readouterr().out


def test_an_unknown_command_suggests_a_known_one(capsys: pytest.CaptureFixture[str]):
    assert main(["innit"]) == 2
    assert "Did you mean `loraloom init`? [LL108]" in capsys.readouterr().err


def test_a_plugin_joins(plugins: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert "From plugins:\n  broken\n  hello\n  refused\n" in overview
    assert main(["hello"]) == 0
    assert capsys.readouterr().out == "hello from a plugin\n"


def test_a_broken_plugin_is_named(plugins: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["broken"]) == 1
    error = capsys.readouterr().err
    assert "loom_plugin_missing" in error
    assert "LL109" in error


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, "LL120"), (errno.ENOSPC, "LL110")])
def test_a_refusal_nobody_explained_is_a_sentence(
    plugins: Path, capsys: pytest.CaptureFixture[str], number: int, code: str
):
    assert main(["refused", str(number)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert "some file" in error
    assert code in error


def test_ctrl_c_while_a_command_loads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kohya_ext.cli.dispatch.find_command", interrupted)
    assert main(["publish"]) == 130
    assert "Run the same command again to continue" in capsys.readouterr().err


def test_a_clone_without_its_packages_names_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'click'", name="click")

    monkeypatch.setattr("kohya_ext.cli.dispatch.find_command", missing)
    assert main(["show"]) == 1
    error = capsys.readouterr().err
    assert "has no package click" in error
    assert "-m pip install ." in error
    assert "LL121" in error


def test_an_error_is_one_sentence_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["show", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Error: ")


def test_wrong_usage_is_exit_2(capsys: pytest.CaptureFixture[str]):
    assert main(["init"]) == 2
    assert "Missing argument" in capsys.readouterr().err


def test_help_of_one_command(capsys: pytest.CaptureFixture[str]):
    assert main(["init", "--help"]) == 0
    assert "--trigger" in capsys.readouterr().out


def test_init_then_show_name_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "fox"
    assert main(["init", str(folder), "--trigger", "Quillfox", "--kind", "creature"]) == 0
    assert "Next: loraloom import" in capsys.readouterr().err
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr()
    assert "Quillfox (creature)" in shown.out
    assert "Next: loraloom import" in shown.err


def test_init_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["init", str(tmp_path / "x"), "--trigger", "Quillfox", "--dry-run"]) == 0
    assert "trigger_word" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_is_followed_by_the_real_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["init", str(tmp_path / "x"), "--trigger", "Quillfox", "--dry-run"]) == 0
    assert capsys.readouterr().err == "Next: the same command without --dry-run\n"


@pytest.mark.parametrize(
    ("chosen", "written"),
    [(None, "Füchse 狐".encode()), ("cp1252", "Füchse ?".encode("cp1252"))],
)
def test_what_goes_into_a_file_is_utf8_on_windows(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, written: bytes
):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    if chosen:
        monkeypatch.setenv("PYTHONIOENCODING", chosen)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with monkeypatch.context() as patch:
        patch.setattr("kohya_ext.cli.dispatch.os.name", "nt")
        patch.setattr(sys, "stdout", stream)
        _speak_utf8()
        print("Füchse 狐", end="", flush=True)
    assert stream.buffer.getvalue() == written


def test_json_loses_no_letter_on_an_old_console(monkeypatch: pytest.MonkeyPatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp437")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        emit_json({"word": "Füchse 狐"})
        stream.flush()
    assert json.loads(stream.buffer.getvalue())["word"] == "Füchse 狐"


def test_a_command_line_for_windows_has_its_quotes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kohya_ext.project.shell.os.name", "posix")
    assert shell_words(["python", "a b"]) == "python 'a b'"
    monkeypatch.setattr("kohya_ext.project.shell.os.name", "nt")
    assert shell_words(["python", "a b"]) == 'python "a b"'


@pytest.mark.parametrize(
    ("name", "shown"),
    [("fox", "fox"), ("my fox", '"my fox"'), ("fox&co", '"fox&co"'), ("fox (2)", '"fox (2)"')],
)
def test_windows_quotes_what_its_shells_read(
    monkeypatch: pytest.MonkeyPatch, name: str, shown: str
):
    path = Path(name)
    monkeypatch.setattr("kohya_ext.project.shell.os.name", "nt")
    assert shell_path(path) == shown


def test_show_speaks_json(project: Project, capsys: pytest.CaptureFixture[str]):
    assert main(["show", str(project.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trigger_word"] == "Quillfox"


def test_the_version_is_reported(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("loraloom ")


def test_a_clone_runs_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "kohya_ext", "nonsense"],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 2
    assert "LL108" in result.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(["--help"], 0), (["--version"], 0), (["show", "--help"], 1)]
)
def test_a_reader_that_went_away_is_no_error(words: list[str], status: int):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "kohya_ext", *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (status, b"")
