"""The page about the language runs as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from dynprompts.tools.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dynprompts.md"


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "hair.txt").write_text("red\nblue\n", encoding="utf-8")
    (tmp_path / "wildcards" / "hats.txt").write_text("bowler\nbonnet\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["parse"]("__hair+hats__", names["library"]).count() == 4
    assert names["sample"].pick("framing") in ("headshot", "close range")
    assert len(names["batch"]) == 40


def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "wildcards").mkdir()
    for name, text in (("hair", "red\nblue\n"), ("hats", "bowler\n")):
        (tmp_path / "wildcards" / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("a fox\n# a note\na hen\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^python -m dynprompts (?=[\"@])(.+)$", PAGE.read_text("utf-8"), re.M)
    printed = []
    for command in commands:
        assert main(shlex.split(command), "dynprompts") == 0
        printed.append(capsys.readouterr().out.splitlines())
    free, united, lines = printed
    assert len(free) == 3
    assert all(len(set(one.split(" and "))) == 2 for one in free)
    assert united == [f"a quillfox, {one}" for one in ("blue", "bowler", "red")]
    assert lines == ["a fox", "a hen"]
