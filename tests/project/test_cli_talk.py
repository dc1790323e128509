"""How commands talk: data to stdout, talk to stderr."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kohya_ext.cli import main
from kohya_ext.project import Progress, Project
from kohya_ext.project import cli as talk
from kohya_ext.project.shell import shell_path


def test_talk_and_data_do_not_mix(capsys: pytest.CaptureFixture[str]):
    talk.say("talk")
    talk.emit("data")
    talk.emit_json({"path": Path("狐")})
    talk.next_step("loraloom grid mira")
    out, err = capsys.readouterr()
    assert out == 'data\n{\n  "path": "狐"\n}\n'
    assert err == "talk\nNext: loraloom grid mira\n"


def test_paths_are_shown_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert shell_path(tmp_path / "fox") == "fox"
    assert shell_path(tmp_path / "my fox") in ("'my fox'", '"my fox"')


def test_without_a_terminal_phases_are_lines(capsys: pytest.CaptureFixture[str]):
    with talk.progress_bar() as show:
        for done in range(4):
            show(Progress("Drawing", done, 3, "cells"))
        show(Progress("Waiting", 0))
    assert capsys.readouterr().err == ("Drawing: 0/3 cells\nDrawing: 3/3 cells\nWaiting: 0\n")


def test_on_a_terminal_a_bar_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with talk.progress_bar() as show:
        show(Progress("Drawing", 1, 3, "cells"))
        show(Progress("Drawing", 3, 3, "cells"))
    error = capsys.readouterr().err
    assert "Drawing" in error
    assert "3/3" in error


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["grid", "--until", "3"], "--until works only with --follow"),
        (["grid", "--stop-when-overtrained"], "works only with --follow"),
        (["grid", "--serve", "--epochs", "2"], "--serve and --epochs cannot be combined"),
        (["grid", "--lan", "--dry-run"], "--lan and --dry-run cannot be combined"),
        (["grid", "--server-side", "--cluster", "x:1"], "--server-side and --cluster cannot be"),
        (["publish", "--public"], "--public works only with --to"),
        (["publish", "--serve", "--json"], "--serve and --json cannot be combined"),
        (["show", "--cluster", "x:1"], "--cluster works only with --verify"),
        (["train", "--keep-states", "3"], "--keep-states works only with --save-states"),
        (["train", "--stop", "--epochs", "3"], "--stop and --epochs cannot be combined"),
        (["train", "--gui", "v24"], "--gui says which GUI the json of --config is of"),
        (["templates", "--style-name", "x"], "--style-name works only with --styles"),
        (["config", "--to", "x"], "--to works only with --from"),
        (["review", "--report", "--port", "3"], "--report and --port cannot be combined"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    words: list[str],
    problem: str,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(project.root)
    assert main(words) == 2
    assert problem in " ".join(capsys.readouterr().err.split())


def test_a_flag_that_shares_its_value_with_others_is_reported_apart(
    project: Project, capsys: pytest.CaptureFixture[str]
):
    """`--attach` and `--stop` write the same value: only the one that was typed is judged."""
    assert main(["train", str(project.root), "--attach", "--json"]) == 1
    assert "LL307" in capsys.readouterr().err  # the job was read: no wrong usage
