"""How commands talk: data to stdout, talk to stderr."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kohya_ext.project import Progress
from kohya_ext.project import cli as talk


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
    assert talk.shell_path(tmp_path / "fox") == "fox"
    assert talk.shell_path(tmp_path / "my fox") in ("'my fox'", '"my fox"')


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
