"""What comes from outside never moves a terminal's cursor, and is told as it is."""

from __future__ import annotations

import json

import pytest

from kohya_ext.cli import main
from kohya_ext.project import Project
from kohya_ext.project.cli import emit, emit_json, say
from kohya_ext.project.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fox\x1b[2J.png", "fox\\x1b[2J.png"),
        ("a\x9b31m", "a\\x9b31m"),
        ("gpj.\u202efox", "gpj.\\u202efox"),
        ("bell\x07\r", "bell\\x07\\x0d"),
        ("half\udc80", "half\\udc80"),
        ("two\nlines\tand ünï 狐", "two\nlines\tand ünï 狐"),
    ],
)
def test_escape_sequences_are_shown_as_codes(text: str, shown: str):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:7860/x", "http://***@host:7860/x"),
        ("http:/me:secret@host has no project", "http:/***@host has no project"),
        (r"http:\me:secret@host has no project", r"http:\***@host has no project"),
        ("tcp://me:@host", "tcp://***@host"),
        ("https://token@host, ssh://git@host", "https://***@host, ssh://git@host"),
        ("http://me:sec@ret@host", "http://***@host"),
        ("see https://host/@me:you, a@b c:d@e", "see https://host/@me:you, a@b c:d@e"),
    ],
)
def test_no_password_of_an_address_is_shown(text: str, shown: str):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "words", [["show", "http://me:secret@host"], ["queue", "http://me:secret@host"]]
)
def test_an_address_in_a_wrong_place_shows_no_password(
    words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(words) in (1, 2)
    said = "".join(capsys.readouterr())
    assert "***@host" in said
    assert "secret" not in said


def test_every_way_out_is_guarded(capsys: pytest.CaptureFixture[str]):
    emit("a\x1b]0;title\x07")
    say("b\x1b[2J")
    emit_json({"name": "c\x1b[2J\x9b"})
    said = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b"} & set(said.out + said.err)
    assert json.loads(said.out.partition("\n")[2]) == {"name": "c\x1b[2J\x9b"}


def test_an_error_does_not_clear_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path):
    assert main(["show", str(tmp_path / "x\x1b[2Jy")]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_an_argument_that_is_not_text_is_one_sentence(
    project: Project, capsys: pytest.CaptureFixture[str]
):
    assert main(["grid", str(project.root), "--prompt", "{lora} \udc80"]) == 1
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_a_word_of_control_letters_is_no_command(capsys: pytest.CaptureFixture[str]):
    assert main(["\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
